/* Ports and endpoints: who sent the packet, may it use that source, who gets it. */

control Endpoint(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    @name(".workload_port") @id(0x01000001)
    action workload_port(bit<1> mac_check, bit<1> limited) {
        md.port_kind = PORT_WORKLOAD;
        md.src_limited = limited;
        md.mac_check = mac_check;
    }

    @name(".uplink_port") @id(0x01000002)
    action uplink_port() {
        md.port_kind = PORT_UPLINK;
    }

    /* The node itself: its own network stack. */
    @name(".host_port") @id(0x01000007)
    action host_port() {
        md.port_kind = PORT_HOST;
    }

    @name(".closed_port") @id(0x01000003)
    action closed_port(bit<8> reason) {
        md.port_kind = PORT_CLOSED;
        md.drop_reason = reason;
    }

    @name(".endpoint_port") @id(0x02000001)
    table endpoint_port {
        key = { md.in_port : exact @name("ingress_port"); }
        actions = { workload_port; uplink_port; host_port; closed_port; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 512;
    }

    @name(".permit_mac") @id(0x01000004)
    action permit_mac() { }

    @name(".endpoint_mac") @id(0x02000002)
    table endpoint_mac {
        key = {
            md.in_port : exact @name("ingress_port");
            hdr.ethernet.src : exact @name("src_mac");
        }
        actions = { permit_mac; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 4096;
    }

    /* First steps for what goes to a local endpoint, to the uplink and to the node. */
    @name(".source_endpoint") @id(0x01000005)
    action source_endpoint(bit<32> chain, bit<32> uplink_chain, bit<32> node_chain) {
        md.local_src = 1;
        md.src_chain = chain;
        md.src_uplink_chain = uplink_chain;
        md.src_node_chain = node_chain;
    }

    /* The node's own address: first steps for what goes to the uplink, 0 if nothing judges it. */
    @name(".source_node") @id(0x01000008)
    action source_node(bit<32> uplink_chain, bit<32> untracked_chain) {
        md.node_src = 1;
        md.src_uplink_chain = uplink_chain;
        md.src_untracked_chain = untracked_chain;
    }

    @name(".endpoint_source_v4") @id(0x02000003)
    table endpoint_source_v4 {
        key = {
            md.in_port : exact @name("ingress_port");
            hdr.ipv4.src : lpm @name("src");
        }
        actions = { source_endpoint; source_node; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 4096;
    }

    @name(".endpoint_source_v6") @id(0x02000004)
    table endpoint_source_v6 {
        key = {
            md.in_port : exact @name("ingress_port");
            hdr.ipv6.src : lpm @name("src");
        }
        actions = { source_endpoint; source_node; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 4096;
    }

    /* First steps for what comes from a local endpoint, and from the uplink. Untracked policy of a
     * host endpoint comes before connections; 0 if there is none. */
    @name(".local_endpoint") @id(0x01000006)
    action local_endpoint(bit<9> port, bit<48> mac, bit<32> chain, bit<32> uplink_chain,
                          bit<32> untracked_chain, bit<1> limited) {
        md.local_dst = 1;
        md.dst_limited = limited;
        md.out_port = port;
        md.out_mac = mac;
        md.in_mac = GATEWAY_MAC;
        md.dst_chain = chain;
        md.dst_uplink_chain = uplink_chain;
        md.dst_untracked_chain = untracked_chain;
    }

    /* The node's own address: first steps for what comes from the uplink, 0 if nothing judges it. */
    @name(".local_node") @id(0x01000009)
    action local_node(bit<9> port, bit<48> mac, bit<32> uplink_chain, bit<32> untracked_chain) {
        md.local_dst = 1;
        md.node_dst = 1;
        md.out_port = port;
        md.out_mac = mac;
        md.in_mac = GATEWAY_MAC;
        md.dst_uplink_chain = uplink_chain;
        md.dst_untracked_chain = untracked_chain;
    }

    @name(".endpoint_local_v4") @id(0x02000005)
    table endpoint_local_v4 {
        key = { hdr.ipv4.dst : exact @name("dst"); }
        actions = { local_endpoint; local_node; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 4096;
    }

    @name(".endpoint_local_v6") @id(0x02000006)
    table endpoint_local_v6 {
        key = { hdr.ipv6.dst : exact @name("dst"); }
        actions = { local_endpoint; local_node; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 4096;
    }

    apply {
        endpoint_port.apply();
        if (md.port_kind == PORT_UNKNOWN) {
            md.drop_reason = DROP_UNKNOWN_PORT;
        } else if (md.port_kind != PORT_CLOSED) {
            if (md.mac_check == 1) {
                if (!endpoint_mac.apply().hit) {
                    md.drop_reason = DROP_SPOOFED_MAC;
                }
            }
            if (hdr.ipv4.isValid()) {
                if (md.port_kind != PORT_UPLINK) {
                    endpoint_source_v4.apply();
                }
                endpoint_local_v4.apply();
            } else if (hdr.ipv6.isValid()) {
                if (md.port_kind != PORT_UPLINK) {
                    endpoint_source_v6.apply();
                }
                endpoint_local_v6.apply();
            }
        }
    }
}
