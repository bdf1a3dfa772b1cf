/* Clones of both kinds with preserved fields, resubmit, recirculate, multicast, truncate, order. */
#include <core.p4>
#include <v1model.p4>

header h_h { bit<8> op; bit<8> pass; bit<8> kept; bit<8> instance; bit<16> rid; bit<16> length; }
struct headers_t { h_h h; }
struct metadata_t { @field_list(1) bit<8> kept; bit<8> lost; }

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    state start { packet.extract(hdr.h); transition accept; }
}
control Verify(inout headers_t hdr, inout metadata_t md) { apply { } }
control In(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    apply {
        sm.egress_spec = 1;
        md.lost = md.lost + 1;
        if (hdr.h.op == 1) {
            /* The copy is the packet as it came, with `kept` as it is at the end of ingress. */
            hdr.h.pass = 0x10;
            clone_preserving_field_list(CloneType.I2E, 5, 1);
            md.kept = 0x33;
        } else if (hdr.h.op == 3) {
            if (md.kept < 2) {
                md.kept = md.kept + 1;
                hdr.h.pass = 0xff;
                resubmit_preserving_field_list(1);
            }
        } else if (hdr.h.op == 5) {
            sm.mcast_grp = 7;
        } else if (hdr.h.op == 6) {
            truncate(10);
        } else if (hdr.h.op == 7) {
            clone(CloneType.I2E, 6);
            mark_to_drop(sm);
        }
    }
}
control Eg(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    apply {
        hdr.h.kept = md.kept;
        hdr.h.instance = (bit<8>)sm.instance_type;
        hdr.h.rid = sm.egress_rid;
        hdr.h.length = (bit<16>)sm.packet_length;
        if (hdr.h.op == 2 && sm.instance_type == 0) {
            md.kept = 0x44;
            clone_preserving_field_list(CloneType.E2E, 5, 1);
            hdr.h.pass = 0x20;
        } else if (hdr.h.op == 4 && hdr.h.pass < 3) {
            hdr.h.pass = hdr.h.pass + 1;
            md.kept = md.kept + 0x10;
            recirculate_preserving_field_list(1);
        } else if (hdr.h.op == 5 && sm.egress_port == 3) {
            mark_to_drop(sm);
        }
    }
}
control Compute(inout headers_t hdr, inout metadata_t md) { apply { } }
control Deparse(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.h); } }
V1Switch(Parse(), Verify(), In(), Eg(), Compute(), Deparse()) main;
