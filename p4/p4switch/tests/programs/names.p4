// Types that controllers see in another form than the data plane.
#include <core.p4>
#include <v1model.p4>

@p4runtime_translation("example.org/port", string)
type bit<9> port_name_t;
@p4runtime_translation("example.org/tenant", string)
type bit<2> tenant_t;
@p4runtime_translation("example.org/label", 32)
type bit<16> label_t;

const bit<9> CPU = 255;

@controller_header("packet_in")
header packet_in_t {
    port_name_t ingress_port;
    bit<7> pad;
}

@controller_header("packet_out")
header packet_out_t {
    port_name_t egress_port;
    bit<7> pad;
}

header ethernet_t {
    bit<48> destination;
    bit<48> source;
    label_t label;
}

struct headers_t {
    packet_out_t packet_out;
    packet_in_t packet_in;
    ethernet_t ethernet;
}

struct seen_t {
    port_name_t port;
    label_t label;
    bool ours;
}

struct metadata_t {
    port_name_t port;
    tenant_t tenant;
}

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t standard) {
    state start {
        meta.port = (port_name_t) standard.ingress_port;
        transition select(standard.ingress_port) {
            CPU: from_controller;
            default: from_wire;
        }
    }
    state from_controller {
        packet.extract(hdr.packet_out);
        transition from_wire;
    }
    state from_wire {
        packet.extract(hdr.ethernet);
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control Pipe(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    action forward(port_name_t port) {
        standard.egress_spec = (bit<9>) port;
    }
    action to_controller() {
        standard.egress_spec = CPU;
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = meta.port;
        hdr.packet_in.pad = 0;
    }
    action set_tenant(tenant_t tenant) {
        meta.tenant = tenant;
        digest<seen_t>(1, { meta.port, hdr.ethernet.label, hdr.ethernet.isValid() });
    }
    @id(0x02000001)
    table by_port {
        key = { meta.port: exact @name("port"); }
        actions = { forward; to_controller; set_tenant; NoAction; }
        default_action = NoAction();
        size = 64;
    }
    @id(0x02000002)
    table by_label {
        key = {
            hdr.ethernet.label: exact @name("label");
            meta.tenant: optional @name("tenant");
        }
        actions = { forward; NoAction; }
        default_action = NoAction();
        size = 64;
    }

    apply {
        if (hdr.packet_out.isValid()) {
            standard.egress_spec = (bit<9>) hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
            exit;
        }
        mark_to_drop(standard);
        by_port.apply();
        by_label.apply();
    }
}

control Out(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply { }
}

control Refresh(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control Deparse(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
    }
}

V1Switch(Parse(), Verify(), Pipe(), Out(), Refresh(), Deparse()) main;
