// Every kind of table and array that the server's tests write to, in one small program.
#include <core.p4>
#include <v1model.p4>

typedef bit<9> port_t;

@controller_header("packet_in")
header packet_in_t {
    port_t ingress_port;
    bit<7> pad;
}

@controller_header("packet_out")
header packet_out_t {
    port_t egress_port;
    bit<7> queue;
}

header ethernet_t {
    bit<48> destination;
    bit<48> source;
    bit<16> kind;
}

header ipv4_t {
    bit<4> version;
    bit<4> header_length;
    bit<8> service;
    bit<16> length;
    bit<16> identification;
    bit<3> flags;
    bit<13> offset;
    bit<8> lifetime;
    bit<8> protocol;
    bit<16> checksum;
    bit<32> source;
    bit<32> destination;
}

struct headers_t {
    packet_out_t packet_out;
    packet_in_t packet_in;
    ethernet_t ethernet;
    ipv4_t ipv4;
}

struct metadata_t {
    bit<16> version;
    bit<16> check;
    bit<7> odd;
}

const port_t CPU = 255;

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t standard) {
    state start {
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
        transition select(hdr.ethernet.kind) {
            0x0800: ipv4;
            default: accept;
        }
    }
    state ipv4 {
        packet.extract(hdr.ipv4);
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control Pipe(inout headers_t hdr, inout metadata_t meta,
                inout standard_metadata_t standard) {
    counter(16, CounterType.packets_and_bytes) seen;
    register<bit<32>>(8) marks;
    register<int<12>>(4) offsets;
    register<bit<320>>(4) wide;

    action drop() {
        mark_to_drop(standard);
    }
    action forward(port_t port) {
        standard.egress_spec = port;
    }
    action to_controller() {
        standard.egress_spec = CPU;
    }
    action flood(bit<16> group) {
        standard.mcast_grp = group;
    }
    action mirror(port_t port, bit<32> session) {
        standard.egress_spec = port;
        clone(CloneType.I2E, session);
    }
    action set_version(bit<16> version) {
        meta.version = version;
    }
    action set_check(bit<16> version) {
        meta.check = version;
    }
    action mark(bit<32> value) {
        marks.write(3, value);
    }
    action entry_only() { }
    action default_only() { }

    // What a packet does by its destination MAC.
    @id(0x02000001)
    table by_mac {
        key = { hdr.ethernet.destination: exact; }
        actions = { forward; drop; to_controller; flood; mirror; NoAction; }
        default_action = NoAction();
        size = 1 << 20;
    }
    // Direct counters, longest prefix.
    direct_counter(CounterType.packets_and_bytes) routed;
    @id(0x02000002)
    table by_route {
        key = { hdr.ipv4.destination: lpm; }
        actions = { forward; drop; NoAction; }
        default_action = NoAction();
        counters = routed;
        size = 200000;
    }
    // Priorities.
    @id(0x02000003)
    table by_mask {
        key = {
            hdr.ethernet.source: ternary;
            hdr.ethernet.kind: range;
            standard.ingress_port: optional;
        }
        actions = { forward; drop; mark; NoAction; }
        default_action = NoAction();
        size = 60000;
    }
    @id(0x02000004)
    table fixed {
        key = { hdr.ethernet.kind: exact; }
        actions = { mark; NoAction; }
        const entries = {
            0x88cc: mark(0x88cc);
            0x88cd: mark(0x88cd);
        }
        const default_action = NoAction();
    }
    @id(0x02000005)
    table scoped {
        key = { meta.odd: lpm; }
        actions = { @tableonly entry_only; @defaultonly default_only; NoAction; }
        default_action = NoAction();
        size = 4;
    }
    // Two tables that must agree for a packet to pass.
    @id(0x02000006)
    table left {
        key = { hdr.ethernet.destination: exact; }
        actions = { set_version; NoAction; }
        default_action = NoAction();
        size = 1024;
    }
    @id(0x02000007)
    table right {
        key = { hdr.ethernet.destination: exact; }
        actions = { set_check; NoAction; }
        default_action = NoAction();
        size = 1024;
    }
    // A default entry and no others.
    @id(0x02000008)
    table settings {
        actions = { set_version; NoAction; }
        default_action = NoAction();
    }

    apply {
        meta.odd = (bit<7>) standard.ingress_port;
        if (hdr.packet_out.isValid()) {
            standard.egress_spec = hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
        } else {
            mark_to_drop(standard);
            seen.count((bit<32>) standard.ingress_port & 15);
            settings.apply();
            left.apply();
            right.apply();
            fixed.apply();
            scoped.apply();
            by_mac.apply();
            if (hdr.ipv4.isValid()) {
                by_route.apply();
            }
            by_mask.apply();
            if (meta.version != meta.check) {
                mark_to_drop(standard);
            }
            bit<320> cell;
            wide.read(cell, 0);
            wide.write(1, cell + 1);
            int<12> offset;
            offsets.read(offset, 0);
            offsets.write(1, offset - 1);
        }
    }
}

control Out(inout headers_t hdr, inout metadata_t meta,
               inout standard_metadata_t standard) {
    apply {
        if (standard.egress_port == CPU) {
            hdr.packet_in.setValid();
            hdr.packet_in.ingress_port = standard.ingress_port;
            hdr.packet_in.pad = 0;
        }
    }
}

control Compute(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control Deparse(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.ipv4);
    }
}

V1Switch(Parse(), Verify(), Pipe(), Out(), Compute(), Deparse()) main;
