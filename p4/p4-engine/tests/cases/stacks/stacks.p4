/* Header stacks: next and last in the parser, push, pop, run-time index, overflow. */
#include <core.p4>
#include <v1model.p4>

header first_h { bit<8> count; bit<8> op; bit<8> index; bit<8> found; }
header item_h { bit<7> value; bit<1> more; bit<8> extra; }

struct headers_t { first_h first; item_h[3] items; }
struct metadata_t { }

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    state start {
        packet.extract(hdr.first);
        transition select(hdr.first.count) {
            0: accept;
            default: item;
        }
    }
    state item {
        packet.extract(hdr.items.next);
        transition select(hdr.items.last.more) {
            1: item;
            default: accept;
        }
    }
}
control Verify(inout headers_t hdr, inout metadata_t md) { apply { } }
control In(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    apply {
        sm.egress_spec = 1;
        if (sm.parser_error == error.StackOutOfBounds) {
            hdr.first.found = 0xee;
        } else if (hdr.first.op == 1) {
            hdr.items.push_front(1);
            hdr.items[0].setValid();
            hdr.items[0] = { 0x55, 1, 0xaa };
        } else if (hdr.first.op == 2) {
            hdr.items.pop_front(2);
        } else if (hdr.first.op == 3) {
            hdr.first.found = hdr.items[hdr.first.index].extra;
            hdr.items[hdr.first.index].extra = 0x77;
        }
    }
}
control Eg(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) { apply { } }
control Compute(inout headers_t hdr, inout metadata_t md) { apply { } }
control Deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.first); packet.emit(hdr.items); }
}
V1Switch(Parse(), Verify(), In(), Eg(), Compute(), Deparse()) main;
