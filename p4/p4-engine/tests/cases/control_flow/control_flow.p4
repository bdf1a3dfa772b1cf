/* Nested conditions in actions, loops, exit, unions, validity, header assignment, slices, casts. */
#include <core.p4>
#include <v1model.p4>

header h_h { bit<8> op; bit<8> a; bit<8> b; bit<8> r; bit<16> s; }
header one_h { bit<8> x; }
header two_h { bit<16> x; }
header_union either_h { one_h one; two_h two; }
struct headers_t { h_h h; h_h copy; either_h either; }
struct metadata_t { }

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    state start {
        packet.extract(hdr.h);
        transition select(hdr.h.op) {
            1: one;
            2: two;
            default: accept;
        }
    }
    state one { packet.extract(hdr.either.one); transition accept; }
    state two { packet.extract(hdr.either.two); transition accept; }
}
control Verify(inout headers_t hdr, inout metadata_t md) { apply { } }
control In(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    action classify() {
        if (hdr.h.a > 100) {
            hdr.h.r = 3;
            if (hdr.h.b == 7) { hdr.h.r = 4; }
        } else if (hdr.h.a > 10) {
            hdr.h.r = 2;
        } else {
            hdr.h.r = 1;
        }
    }
    action add_up() {
        hdr.h.s = 0;
        for (bit<8> i = 1; i <= hdr.h.a; i = i + 1) {
            if (i == 7) { continue; }
            if (i == 12) { break; }
            hdr.h.s = hdr.h.s + (bit<16>)i;
        }
    }
    action leave() { hdr.h.r = 0x99; exit; }
    apply {
        sm.egress_spec = 1;
        if (hdr.h.op == 1) {
            if (hdr.either.one.isValid()) {
                hdr.either.two.setValid();
                hdr.either.two.x = 0xabcd;
            }
        } else if (hdr.h.op == 3) {
            classify();
        } else if (hdr.h.op == 4) {
            add_up();
        } else if (hdr.h.op == 5) {
            leave();
            hdr.h.r = 0x11;
        } else if (hdr.h.op == 6) {
            hdr.copy = hdr.h;
            hdr.copy.r = hdr.h.isValid() ? 8w1 : 8w0;
            hdr.h.setInvalid();
        } else if (hdr.h.op == 7) {
            hdr.h.s[11:4] = hdr.h.a;
            hdr.h.r = hdr.h.a |+| hdr.h.b;
        } else if (hdr.h.op == 8) {
            int<8> x = (int<8>)hdr.h.a;
            int<8> y = (int<8>)hdr.h.b;
            hdr.h.r = x < y ? 8w1 : 8w0;
            hdr.h.s = (bit<16>)(int<16>)(x |-| y);
        }
        hdr.h.b = hdr.h.b + 1;
    }
}
control Eg(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) { apply { } }
control Compute(inout headers_t hdr, inout metadata_t md) { apply { } }
control Deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.h); packet.emit(hdr.copy); packet.emit(hdr.either); }
}
V1Switch(Parse(), Verify(), In(), Eg(), Compute(), Deparse()) main;
