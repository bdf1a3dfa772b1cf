/* Local delivery, uplink, and the rewrite on the way out. */

control Route(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    @name(".route") @id(0x01000021)
    action route(bit<32> next_hop) {
        md.next_hop = next_hop;
        md.drop_reason = DROP_NO_ROUTE;
    }

    @name(".to_host") @id(0x01000022)
    action to_host() {
        md.drop_reason = DROP_TO_HOST;
    }

    @name(".blackhole") @id(0x01000023)
    action blackhole() {
        md.drop_reason = DROP_NO_ROUTE;
    }

    @name(".route_v4") @id(0x02000030)
    table route_v4 {
        key = { hdr.ipv4.dst : lpm @name("dst"); }
        actions = { route; to_host; blackhole; }
        default_action = blackhole;
        size = 65536;
    }

    @name(".route_v6") @id(0x02000031)
    table route_v6 {
        key = { hdr.ipv6.dst : lpm @name("dst"); }
        actions = { route; to_host; blackhole; }
        default_action = blackhole;
        size = 65536;
    }

    @name(".next_hop") @id(0x01000024)
    action next_hop(bit<9> port, bit<48> src_mac, bit<48> dst_mac) {
        md.drop_reason = DROP_NONE;
        md.out_port = port;
        md.in_mac = src_mac;
        md.out_mac = dst_mac;
    }

    @name(".route_next_hop") @id(0x02000032)
    table route_next_hop {
        key = { md.next_hop : exact @name("next_hop"); }
        actions = { next_hop; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 4096;
    }

    apply {
        if (hdr.ipv4.isValid()) {
            route_v4.apply();
        } else {
            route_v6.apply();
        }
        if (md.next_hop != 0) {
            route_next_hop.apply();
        }
    }
}

/* Addresses, TTL, and the port. */
control Rewrite(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    apply {
        hdr.ethernet.dst = md.out_mac;
        hdr.ethernet.src = md.in_mac;
        if (hdr.vlan.isValid()) {
            hdr.ethernet.type = hdr.vlan.type;
            hdr.vlan.setInvalid();
        }
        if (hdr.ipv4.isValid()) {
            hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
        } else {
            hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
        }
        sm.egress_spec = md.out_port;
    }
}
