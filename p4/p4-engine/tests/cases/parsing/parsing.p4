/* Select with masks and ranges of keys, lookahead, advance, varbit, verify, short packets. */
#include <core.p4>
#include <v1model.p4>

error { BadMagic }

header kind_h { bit<4> kind; bit<12> tag; }
header options_h { bit<8> len; varbit<64> bytes; bit<8> end; }
header word_h { bit<16> value; }
header result_h { bit<32> code; bit<16> peek; }

struct headers_t { kind_h kind; options_h options; word_h word; result_h result; }
struct metadata_t { bit<16> peek; bit<8> skip; }

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    state start {
        packet.extract(hdr.kind);
        transition select(hdr.kind.kind, hdr.kind.tag) {
            (1, 0x100 &&& 0xf00): options;
            (1, _): word;
            (2, _): skip;
            (3, _): magic;
            (4, 0x010 .. 0x01f): word;
            default: accept;
        }
    }
    state options {
        packet.extract(hdr.options, (bit<32>)packet.lookahead<bit<8>>() * 8);
        transition word;
    }
    state word {
        md.peek = packet.lookahead<bit<16>>();
        packet.extract(hdr.word);
        transition accept;
    }
    state skip {
        md.skip = packet.lookahead<bit<8>>();
        packet.advance((bit<32>)md.skip << 3);
        transition word;
    }
    state magic {
        packet.extract(hdr.word);
        verify(hdr.word.value == 0xcafe, error.BadMagic);
        transition accept;
    }
}
control Verify(inout headers_t hdr, inout metadata_t md) { apply { } }
control In(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    apply {
        sm.egress_spec = 1;
        hdr.result.setValid();
        hdr.result.peek = md.peek;
        hdr.result.code = 0;
        if (sm.parser_error == error.PacketTooShort) { hdr.result.code = 1; }
        if (sm.parser_error == error.HeaderTooShort) { hdr.result.code = 2; }
        if (sm.parser_error == error.BadMagic) { hdr.result.code = 3; }
    }
}
control Eg(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) { apply { } }
control Compute(inout headers_t hdr, inout metadata_t md) { apply { } }
control Deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.result); packet.emit(hdr.kind); packet.emit(hdr.options); packet.emit(hdr.word); }
}
V1Switch(Parse(), Verify(), In(), Eg(), Compute(), Deparse()) main;
