/* Exact, LPM, ternary, range and optional keys; const entries; defaults; hit, miss, action_run. */
#include <core.p4>
#include <v1model.p4>

header h_h { bit<32> addr; bit<16> low; bit<8> kind; bit<8> result; bit<128> wide; }
struct headers_t { h_h h; }
struct metadata_t { }

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    state start { packet.extract(hdr.h); transition accept; }
}
control Verify(inout headers_t hdr, inout metadata_t md) { apply { } }
control In(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    direct_counter(CounterType.packets_and_bytes) hits;
    action set(bit<8> value) { hdr.h.result = value; }
    action out_of(bit<9> port) { sm.egress_spec = port; }
    action wide_set(bit<128> value) { hdr.h.wide = value; }
    table exact_t {
        key = { hdr.h.addr : exact; hdr.h.low : exact; }
        actions = { set; NoAction; }
        default_action = set(0xee);
        counters = hits;
        size = 4;
    }
    table lpm_t {
        key = { hdr.h.kind : exact; hdr.h.addr : lpm; }
        actions = { set; NoAction; }
        default_action = NoAction;
    }
    table ternary_t {
        key = { hdr.h.addr : ternary; hdr.h.low : range; }
        actions = { set; NoAction; }
        default_action = NoAction;
    }
    table optional_t {
        key = { hdr.h.low : optional; }
        actions = { set; wide_set; }
        const default_action = set(0xdd);
    }
    table ports {
        key = { hdr.h.kind : exact; }
        actions = { out_of; }
        const default_action = out_of(1);
        const entries = { 9 : out_of(9); 0xff : out_of(511); }
    }
    apply {
        ports.apply();
        if (hdr.h.kind == 1) {
            exact_t.apply();
        } else if (hdr.h.kind == 2 || hdr.h.kind == 3) {
            if (!lpm_t.apply().hit) { hdr.h.result = 0xcc; }
        } else if (hdr.h.kind == 4) {
            if (ternary_t.apply().miss) { hdr.h.result = 0xbb; }
        } else if (hdr.h.kind == 5) {
            switch (optional_t.apply().action_run) {
                wide_set: { hdr.h.result = 1; }
                default: { hdr.h.low = 0xffff; }
            }
        }
    }
}
control Eg(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) { apply { } }
control Compute(inout headers_t hdr, inout metadata_t md) { apply { } }
control Deparse(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.h); } }
V1Switch(Parse(), Verify(), In(), Eg(), Compute(), Deparse()) main;
