/*
 * One table for each kind of match, for benches: a frame's EtherType picks the table, whose entry
 * names the port that it leaves by. All tables match what stands behind the Ethernet header.
 */
#include <core.p4>
#include <v1model.p4>

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> kind;
}

header key_t {
    bit<32> addr;
    bit<16> port;
    bit<16> rest;
}

struct headers_t {
    ethernet_t ethernet;
    key_t key;
}

struct metadata_t {}

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md,
             inout standard_metadata_t standard) {
    state start {
        packet.extract(hdr.ethernet);
        packet.extract(hdr.key);
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t md) { apply {} }

control Pick(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t standard) {
    action forward(bit<9> port) { standard.egress_spec = port; }
    action drop() { mark_to_drop(standard); }

    table by_exact {
        key = { hdr.key.addr : exact; hdr.key.port : exact; }
        actions = { forward; drop; }
        default_action = drop;
        size = 2097152;
    }
    table by_lpm {
        key = { hdr.key.addr : lpm; }
        actions = { forward; drop; }
        default_action = drop;
        size = 2097152;
    }
    table by_ternary {
        key = { hdr.key.addr : ternary; hdr.key.port : ternary; }
        actions = { forward; drop; }
        default_action = drop;
        size = 2097152;
    }
    table by_range {
        key = { hdr.key.addr : exact; hdr.key.port : range; }
        actions = { forward; drop; }
        default_action = drop;
        size = 2097152;
    }
    table by_optional {
        key = { hdr.key.addr : optional; hdr.key.port : optional; }
        actions = { forward; drop; }
        default_action = drop;
        size = 2097152;
    }

    apply {
        if (hdr.ethernet.kind == 0x8801) {
            by_exact.apply();
        } else if (hdr.ethernet.kind == 0x8802) {
            by_lpm.apply();
        } else if (hdr.ethernet.kind == 0x8803) {
            by_ternary.apply();
        } else if (hdr.ethernet.kind == 0x8804) {
            by_range.apply();
        } else if (hdr.ethernet.kind == 0x8805) {
            by_optional.apply();
        } else {
            drop();
        }
    }
}

control Leave(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t standard) {
    apply {}
}

control Compute(inout headers_t hdr, inout metadata_t md) { apply {} }

control Deparse(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.ethernet);
        packet.emit(hdr.key);
    }
}

V1Switch(Parse(), Verify(), Pick(), Leave(), Compute(), Deparse()) main;
