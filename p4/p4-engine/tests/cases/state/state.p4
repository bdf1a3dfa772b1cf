/* Registers of odd and wide widths, indirect counters, hashes, checksums with payload. */
#include <core.p4>
#include <v1model.p4>

header h_h { bit<8> op; bit<8> index; bit<16> sum; bit<200> wide; bit<32> value; }
struct headers_t { h_h h; }
struct metadata_t { }

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    state start { packet.extract(hdr.h); transition accept; }
}
control Verify(inout headers_t hdr, inout metadata_t md) {
    apply {
        verify_checksum(hdr.h.op == 9, { hdr.h.op, hdr.h.index, hdr.h.wide, hdr.h.value },
            hdr.h.sum, HashAlgorithm.csum16);
    }
}
control In(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    register<bit<200>>(4) wide_cells;
    register<bit<5>>(4) small_cells;
    counter(4, CounterType.packets_and_bytes) seen;
    apply {
        sm.egress_spec = 1;
        seen.count((bit<32>)hdr.h.index);
        if (hdr.h.op == 1) {
            wide_cells.write((bit<32>)hdr.h.index, hdr.h.wide);
        } else if (hdr.h.op == 2) {
            wide_cells.read(hdr.h.wide, (bit<32>)hdr.h.index);
        } else if (hdr.h.op == 3) {
            bit<5> cell;
            small_cells.read(cell, (bit<32>)hdr.h.index);
            small_cells.write((bit<32>)hdr.h.index, cell + 17);
            hdr.h.value = (bit<32>)cell;
        } else if (hdr.h.op == 4) {
            hash(hdr.h.value, HashAlgorithm.crc32, 32w0, { hdr.h.wide }, 64w0x100000000);
        } else if (hdr.h.op == 5) {
            hash(hdr.h.value, HashAlgorithm.crc16, 32w1000, { hdr.h.wide }, 32w100);
        } else if (hdr.h.op == 9) {
            hdr.h.value = (bit<32>)sm.checksum_error;
        } else if (hdr.h.op == 10) {
            mark_to_drop(sm);
        }
    }
}
control Eg(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) { apply { } }
control Compute(inout headers_t hdr, inout metadata_t md) {
    apply {
        update_checksum_with_payload(hdr.h.op == 8, { hdr.h.op, hdr.h.index, hdr.h.wide, hdr.h.value },
            hdr.h.sum, HashAlgorithm.csum16);
    }
}
control Deparse(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.h); } }
V1Switch(Parse(), Verify(), In(), Eg(), Compute(), Deparse()) main;
