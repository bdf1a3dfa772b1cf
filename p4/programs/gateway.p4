/* ARP and neighbour solicitation for the pods' gateway and for the uplink's own addresses are
 * answered here; no host process takes part. */

/* The address that every pod sees as its gateway's. */
const bit<48> GATEWAY_MAC = 0xeeeeeeeeeeee;

control Gateway(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    bit<1> uplink = 0;

    @name(".gateway") @id(0x01000025)
    action gateway(bit<48> mac) {
        md.answered = 1;
        md.in_mac = mac;
    }

    @name(".gateway_v4") @id(0x02000033)
    table gateway_v4 {
        key = {
            uplink : exact @name("uplink");
            hdr.arp.target_ip : exact @name("addr");
        }
        actions = { gateway; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 256;
    }

    @name(".gateway_v6") @id(0x02000034)
    table gateway_v6 {
        key = {
            uplink : exact @name("uplink");
            hdr.nd.target : exact @name("addr");
        }
        actions = { gateway; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 256;
    }

    action answer_arp() {
        hdr.arp.operation = 2;
        hdr.arp.target_mac = hdr.arp.sender_mac;
        bit<32> asked = hdr.arp.target_ip;
        hdr.arp.target_ip = hdr.arp.sender_ip;
        hdr.arp.sender_mac = md.in_mac;
        hdr.arp.sender_ip = asked;
        md.answer_len = 14 + 28;
    }

    /* Router, solicited, override (RFC 4861, 4.4); with the target link-layer address option. */
    action answer_nd() {
        hdr.ipv6.dst = hdr.ipv6.src;
        hdr.ipv6.src = hdr.nd.target;
        hdr.ipv6.hop_limit = 255;
        hdr.ipv6.payload_len = 32;
        hdr.icmp.type = ND_ADVERTISEMENT;
        hdr.icmp.code = 0;
        hdr.icmp.identifier = 0xe000;
        hdr.icmp.sequence = 0;
        hdr.nd_option.setValid();
        hdr.nd_option.type = 2;
        hdr.nd_option.len = 1;
        hdr.nd_option.mac = md.in_mac;
        md.answer_len = 14 + 40 + 32;
    }

    apply {
        if (md.port_kind == PORT_UPLINK) {
            uplink = 1;
        }
        if (hdr.arp.isValid()) {
            if (hdr.arp.operation == 1 && hdr.arp.hardware == 1 && hdr.arp.protocol == TYPE_IPV4) {
                gateway_v4.apply();
            }
            if (md.answered == 1) {
                answer_arp();
            }
        } else if (hdr.ipv6.src != 0 && hdr.ipv6.hop_limit == 255 && !hdr.extension0.isValid()) {
            gateway_v6.apply();
            if (md.answered == 1) {
                answer_nd();
            }
        }
        if (md.answered == 1) {
            hdr.ethernet.dst = hdr.ethernet.src;
            hdr.ethernet.src = md.in_mac;
            if (hdr.vlan.isValid()) {
                md.answer_len = md.answer_len + 4;
            }
            truncate(md.answer_len);
            sm.egress_spec = md.in_port;
        } else {
            md.drop_reason = DROP_NEIGHBOUR;
        }
    }
}
