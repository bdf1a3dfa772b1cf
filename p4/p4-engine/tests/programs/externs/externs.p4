/* What scripts cannot check: digests, random numbers, messages, assertions, meters, selectors,
 * profiles, value sets, initial entries. */
#include <core.p4>
#include <v1model.p4>

header h_h { bit<8> op; bit<8> value; bit<16> result; bit<16> flow; }
struct headers_t { h_h h; }
struct metadata_t { }
struct seen_t { bit<8> op; bit<16> flow; }

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    value_set<bit<16>>(4) known_flows;
    state start {
        packet.extract(hdr.h);
        transition select(hdr.h.flow) {
            known_flows: known;
            default: accept;
        }
    }
    state known { sm.priority = 5; transition accept; }
}
control Verify(inout headers_t hdr, inout metadata_t md) { apply { } }
control In(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    meter(4, MeterType.packets) limits;
    direct_meter<bit<2>>(MeterType.bytes) own_limit;
    bit<2> colour = 3;
    action set(bit<16> result) { hdr.h.result = result; }
    action metered() { own_limit.read(colour); hdr.h.result = (bit<16>)colour; }
    action_selector(HashAlgorithm.crc16, 16, 14) choose;
    action_profile(4) members;
    table chosen {
        key = { hdr.h.value : exact; hdr.h.flow : selector; }
        actions = { set; NoAction; }
        implementation = choose;
    }
    table listed {
        key = { hdr.h.value : exact; }
        actions = { set; NoAction; }
        implementation = members;
    }
    table limited {
        key = { hdr.h.value : exact; }
        actions = { metered; NoAction; }
        meters = own_limit;
        default_action = NoAction;
    }
    table started {
        key = { hdr.h.value : exact; }
        actions = { set; NoAction; }
        default_action = NoAction;
        entries = { 1 : set(11); 2 : set(22); }
        size = 8;
    }
    apply {
        sm.egress_spec = 1;
        if (hdr.h.op == 1) {
            digest<seen_t>(1, { hdr.h.op, hdr.h.flow });
        } else if (hdr.h.op == 2) {
            random(hdr.h.result, 16w10, 16w20);
        } else if (hdr.h.op == 3) {
            log_msg("flow {} of op {}", { hdr.h.flow, hdr.h.op });
        } else if (hdr.h.op == 4) {
            assert(hdr.h.value != 7);
        } else if (hdr.h.op == 5) {
            bit<8> result;
            limits.execute_meter((bit<32>)hdr.h.value, result);
            hdr.h.result = (bit<16>)result;
        } else if (hdr.h.op == 6) {
            chosen.apply();
        } else if (hdr.h.op == 7) {
            listed.apply();
        } else if (hdr.h.op == 8) {
            limited.apply();
        } else if (hdr.h.op == 9) {
            hdr.h.result = (bit<16>)sm.priority;
        } else if (hdr.h.op == 10) {
            started.apply();
        } else if (hdr.h.op == 12) {
            sm.mcast_grp = 99;
        }
    }
}
control Eg(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    apply { if (hdr.h.op == 11) { recirculate_preserving_field_list(0); } }
}
control Compute(inout headers_t hdr, inout metadata_t md) { apply { } }
control Deparse(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.h); } }
V1Switch(Parse(), Verify(), In(), Eg(), Compute(), Deparse()) main;
