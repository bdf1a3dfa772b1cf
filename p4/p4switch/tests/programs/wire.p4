// Port 1 to port 2 and back; nothing else.
#include <core.p4>
#include <v1model.p4>

header ethernet_t {
    bit<48> destination;
    bit<48> source;
    bit<16> kind;
}

struct headers_t {
    ethernet_t ethernet;
}

struct metadata_t { }

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t standard) {
    state start {
        packet.extract(hdr.ethernet);
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control Pipe(inout headers_t hdr, inout metadata_t meta,
                inout standard_metadata_t standard) {
    action drop() {
        mark_to_drop(standard);
    }
    action forward(bit<9> port) {
        standard.egress_spec = port;
    }
    @id(0x02000001)
    table by_mac {
        key = { hdr.ethernet.destination: exact; }
        actions = { forward; drop; NoAction; }
        default_action = NoAction();
        size = 1024;
    }
    apply {
        if (standard.ingress_port == 1) {
            standard.egress_spec = 2;
        } else if (standard.ingress_port == 2) {
            standard.egress_spec = 1;
        } else {
            mark_to_drop(standard);
        }
        by_mac.apply();
    }
}

control Out(inout headers_t hdr, inout metadata_t meta,
               inout standard_metadata_t standard) {
    apply { }
}

control Compute(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control Deparse(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.ethernet);
    }
}

V1Switch(Parse(), Verify(), Pipe(), Out(), Compute(), Deparse()) main;
