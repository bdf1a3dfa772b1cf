// One of every entity that P4Runtime has beside plain tables, in one small program.
//
// The destination MAC says which table a packet meets: its second byte picks a branch of `Pipe`,
// and the table there is looked up by the last two bytes.
#include <core.p4>
#include <v1model.p4>

typedef bit<9> port_t;

const port_t CPU = 255;

@controller_header("packet_in")
header packet_in_t {
    port_t ingress_port;
    bit<7> reason;
}

@controller_header("packet_out")
// With `through` a packet of the controller meets the tables as if it had come by a wire, so that
// a test needs no wires.
header packet_out_t {
    port_t egress_port;
    bit<7> through;
}

header ethernet_t {
    bit<8> top;
    bit<8> branch;
    bit<16> middle;
    bit<16> key;
    bit<48> source;
    bit<16> kind;
}

struct headers_t {
    packet_out_t packet_out;
    packet_in_t packet_in;
    ethernet_t ethernet;
}

struct seen_t {
    bit<48> source;
    port_t port;
    bit<16> kind;
}

struct kind_t {
    @match(exact) bit<16> kind;
    @match(exact) bit<8> top;
}

struct metadata_t {
    bit<1> trusted;
    bit<2> colour;
}

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t standard) {
    value_set<bit<16>>(4) kinds;
    value_set<kind_t>(2) pairs;

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
            kinds: trusted;
            default: more;
        }
    }
    state more {
        transition select(hdr.ethernet.kind, hdr.ethernet.top) {
            pairs: trusted;
            default: accept;
        }
    }
    state trusted {
        meta.trusted = 1;
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control Pipe(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    action_profile(8) listed;
    action_selector(HashAlgorithm.crc16, 64, 14) spread;
    action_selector(HashAlgorithm.crc16, 64, 14) shot;
    meter(8, MeterType.packets) limits;
    direct_meter<bit<2>>(MeterType.packets) own_limit;
    direct_counter(CounterType.packets_and_bytes) own_count;
    counter(8, CounterType.packets_and_bytes) total;
    register<bit<48>>(4) last_source;

    action forward(port_t port) {
        standard.egress_spec = port;
    }
    action drop() {
        mark_to_drop(standard);
    }
    action to_controller(bit<7> reason) {
        standard.egress_spec = CPU;
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = standard.ingress_port;
        hdr.packet_in.reason = reason;
    }
    action metered(port_t port) {
        own_limit.read(meta.colour);
        standard.egress_spec = port;
    }
    action flood(bit<16> group) {
        standard.mcast_grp = group;
    }
    action mirror(port_t port, bit<32> session) {
        standard.egress_spec = port;
        clone(CloneType.I2E, session);
    }

    // Actions by members of a profile.
    @id(0x02000001)
    table by_member {
        key = { hdr.ethernet.key: exact; }
        actions = { forward; drop; }
        implementation = listed;
        size = 64;
    }
    // Members and groups.
    @id(0x02000002)
    table by_group {
        key = { hdr.ethernet.key: exact; hdr.ethernet.source: selector; }
        actions = { forward; drop; }
        implementation = spread;
        size = 64;
    }
    // One-shot action sets.
    @id(0x02000003)
    table by_set {
        key = { hdr.ethernet.key: lpm; hdr.ethernet.source: selector; }
        actions = { forward; drop; }
        implementation = shot;
        size = 64;
    }
    @id(0x02000004)
    table by_meter {
        key = { hdr.ethernet.key: exact; }
        actions = { metered; NoAction; }
        default_action = NoAction();
        meters = own_limit;
        counters = own_count;
        size = 64;
    }
    @id(0x02000005)
    table by_time {
        key = { hdr.ethernet.key: exact; }
        actions = { forward; to_controller; flood; mirror; NoAction; }
        default_action = NoAction();
        support_timeout = true;
        size = 64;
    }
    // Entries of the program that may be changed.
    @id(0x02000006)
    table started {
        key = { hdr.ethernet.key: exact; }
        actions = { forward; NoAction; }
        default_action = NoAction();
        entries = {
            1: forward(1);
            2: forward(2);
        }
        size = 16;
    }
    @id(0x02000007)
    table fixed {
        key = { hdr.ethernet.key: exact; }
        actions = { forward; NoAction; }
        default_action = NoAction();
        const entries = {
            7: forward(7);
        }
    }
    // A key that is no whole number of bytes.
    @id(0x02000008)
    table by_bits {
        key = { hdr.ethernet.key[10:0]: lpm @name("bits"); }
        actions = { forward; NoAction; }
        default_action = NoAction();
        size = 64;
    }
    // Every kind of match that wants a priority.
    @id(0x02000009)
    table by_all {
        key = {
            hdr.ethernet.key: ternary @name("key");
            hdr.ethernet.kind: range @name("kind");
            hdr.ethernet.top: optional @name("top");
        }
        actions = { forward; drop; NoAction; }
        default_action = NoAction();
        size = 64;
    }

    apply {
        mark_to_drop(standard);
        if (hdr.packet_out.isValid()) {
            bit<7> through = hdr.packet_out.through;
            standard.egress_spec = hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
            if (through == 0) {
                exit;
            }
            mark_to_drop(standard);
        }
        total.count((bit<32>) hdr.ethernet.key & 7);
        last_source.write((bit<32>) hdr.ethernet.key & 3, hdr.ethernet.source);
        if (hdr.ethernet.branch == 1) {
            by_member.apply();
        } else if (hdr.ethernet.branch == 2) {
            by_group.apply();
        } else if (hdr.ethernet.branch == 3) {
            by_set.apply();
        } else if (hdr.ethernet.branch == 4) {
            by_meter.apply();
            hdr.ethernet.kind = (bit<16>) meta.colour;
        } else if (hdr.ethernet.branch == 5) {
            by_time.apply();
        } else if (hdr.ethernet.branch == 6) {
            started.apply();
        } else if (hdr.ethernet.branch == 7) {
            fixed.apply();
        } else if (hdr.ethernet.branch == 8) {
            by_bits.apply();
        } else if (hdr.ethernet.branch == 9) {
            by_all.apply();
        } else if (hdr.ethernet.branch == 10) {
            digest<seen_t>(1, { hdr.ethernet.source, standard.ingress_port,
                                hdr.ethernet.kind });
            standard.egress_spec = 1;
        } else if (hdr.ethernet.branch == 11) {
            standard.egress_spec = 10 + (port_t) meta.trusted;
        } else if (hdr.ethernet.branch == 12) {
            limits.execute_meter((bit<32>) hdr.ethernet.key & 7, meta.colour);
            hdr.ethernet.kind = (bit<16>) meta.colour;
            standard.egress_spec = 1;
        }
    }
}

control Out(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
        if (standard.egress_port == CPU && !hdr.packet_in.isValid()) {
            hdr.packet_in.setValid();
            hdr.packet_in.ingress_port = standard.ingress_port;
            hdr.packet_in.reason = 0;
        }
    }
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
