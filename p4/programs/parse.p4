/* Ethernet, 802.1Q, ARP, IPv4 with options, IPv6 with extension headers, and layer 4. */

const bit<16> TYPE_IPV4 = 0x0800;
const bit<16> TYPE_ARP = 0x0806;
const bit<16> TYPE_VLAN = 0x8100;
const bit<16> TYPE_IPV6 = 0x86dd;

const bit<8> PROTOCOL_ICMP = 1;
const bit<8> PROTOCOL_IPIP = 4;
const bit<8> PROTOCOL_TCP = 6;
const bit<8> PROTOCOL_UDP = 17;
const bit<8> PROTOCOL_ICMPV6 = 58;
const bit<8> PROTOCOL_SCTP = 132;

const bit<8> NEXT_HOP_BY_HOP = 0;
const bit<8> NEXT_ROUTING = 43;
const bit<8> NEXT_FRAGMENT = 44;
const bit<8> NEXT_DESTINATION = 60;

const bit<8> ND_SOLICITATION = 135;
const bit<8> ND_ADVERTISEMENT = 136;

parser Parse(packet_in packet, out headers_t hdr, inout metadata_t md,
             inout standard_metadata_t sm) {
    state start {
        packet.extract(hdr.ethernet);
        md.type = hdr.ethernet.type;
        transition select(hdr.ethernet.type) {
            TYPE_VLAN: vlan;
            TYPE_ARP: arp;
            TYPE_IPV4: ipv4;
            TYPE_IPV6: ipv6;
            default: accept;
        }
    }

    state vlan {
        packet.extract(hdr.vlan);
        md.type = hdr.vlan.type;
        transition select(hdr.vlan.type) {
            TYPE_ARP: arp;
            TYPE_IPV4: ipv4;
            TYPE_IPV6: ipv6;
            default: accept;
        }
    }

    state arp {
        packet.extract(hdr.arp);
        transition accept;
    }

    state ipv4 {
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.version == 4 && hdr.ipv4.ihl >= 5, error.ParserInvalidArgument);
        md.protocol = hdr.ipv4.protocol;
        transition select(hdr.ipv4.ihl) {
            5: ipv4_payload;
            default: ipv4_options;
        }
    }

    state ipv4_options {
        packet.extract(hdr.ipv4_options, ((bit<32>)hdr.ipv4.ihl - 5) * 32);
        transition ipv4_payload;
    }

    state ipv4_payload {
        transition select(hdr.ipv4.fragment_offset) {
            0: layer4;
            default: later_fragment;
        }
    }

    state ipv6 {
        packet.extract(hdr.ipv6);
        verify(hdr.ipv6.version == 6, error.ParserInvalidArgument);
        md.protocol = hdr.ipv6.next_header;
        transition select(hdr.ipv6.next_header) {
            NEXT_HOP_BY_HOP: extension0;
            NEXT_ROUTING: extension0;
            NEXT_DESTINATION: extension0;
            NEXT_FRAGMENT: fragment;
            default: layer4;
        }
    }

    /* `len` counts units of 8 bytes after the first. */
    state extension0 {
        bit<16> word = packet.lookahead<bit<16>>();
        verify(word[7:0] <= 7, error.HeaderTooShort);
        packet.extract(hdr.extension0, ((bit<32>)word[7:0] << 6) + 48);
        md.protocol = hdr.extension0.next_header;
        transition select(hdr.extension0.next_header) {
            NEXT_ROUTING: extension1;
            NEXT_DESTINATION: extension1;
            NEXT_FRAGMENT: fragment;
            default: layer4;
        }
    }

    state extension1 {
        bit<16> word = packet.lookahead<bit<16>>();
        verify(word[7:0] <= 7, error.HeaderTooShort);
        packet.extract(hdr.extension1, ((bit<32>)word[7:0] << 6) + 48);
        md.protocol = hdr.extension1.next_header;
        transition select(hdr.extension1.next_header) {
            NEXT_ROUTING: extension2;
            NEXT_DESTINATION: extension2;
            NEXT_FRAGMENT: fragment;
            default: layer4;
        }
    }

    state extension2 {
        bit<16> word = packet.lookahead<bit<16>>();
        verify(word[7:0] <= 7, error.HeaderTooShort);
        packet.extract(hdr.extension2, ((bit<32>)word[7:0] << 6) + 48);
        md.protocol = hdr.extension2.next_header;
        transition select(hdr.extension2.next_header) {
            NEXT_FRAGMENT: fragment;
            default: layer4;
        }
    }

    state fragment {
        packet.extract(hdr.fragment);
        md.protocol = hdr.fragment.next_header;
        transition select(hdr.fragment.offset) {
            0: layer4;
            default: later_fragment;
        }
    }

    state later_fragment {
        md.is_fragment = 1;
        transition accept;
    }

    state layer4 {
        transition select(md.protocol) {
            PROTOCOL_TCP: tcp;
            PROTOCOL_UDP: udp;
            PROTOCOL_SCTP: sctp;
            PROTOCOL_ICMP: icmp;
            PROTOCOL_ICMPV6: icmpv6;
            /* One more extension header than the parser follows: the protocol is not known. */
            NEXT_HOP_BY_HOP: unparsed;
            NEXT_ROUTING: unparsed;
            NEXT_FRAGMENT: unparsed;
            NEXT_DESTINATION: unparsed;
            default: accept;
        }
    }

    state unparsed {
        md.unparsed = 1;
        transition accept;
    }

    state tcp {
        packet.extract(hdr.tcp);
        md.src_port = hdr.tcp.src_port;
        md.dst_port = hdr.tcp.dst_port;
        transition accept;
    }

    state udp {
        packet.extract(hdr.udp);
        md.src_port = hdr.udp.src_port;
        md.dst_port = hdr.udp.dst_port;
        transition accept;
    }

    state sctp {
        packet.extract(hdr.sctp);
        md.src_port = hdr.sctp.src_port;
        md.dst_port = hdr.sctp.dst_port;
        transition accept;
    }

    /* Policy sees type and code where other protocols have their destination port. */
    state icmp {
        packet.extract(hdr.icmp);
        md.dst_port = hdr.icmp.type ++ hdr.icmp.code;
        transition accept;
    }

    state icmpv6 {
        packet.extract(hdr.icmp);
        md.dst_port = hdr.icmp.type ++ hdr.icmp.code;
        transition select(hdr.icmp.type) {
            ND_SOLICITATION: nd;
            default: accept;
        }
    }

    state nd {
        packet.extract(hdr.nd);
        transition accept;
    }
}

control VerifyHeaders(inout headers_t hdr, inout metadata_t md) {
    apply {
        verify_checksum(hdr.ipv4.isValid() && hdr.ipv4.ihl == 5,
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_len,
              hdr.ipv4.identification, hdr.ipv4.reserved, hdr.ipv4.dont_fragment,
              hdr.ipv4.more_fragments, hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol,
              hdr.ipv4.src, hdr.ipv4.dst },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        verify_checksum(hdr.ipv4_options.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_len,
              hdr.ipv4.identification, hdr.ipv4.reserved, hdr.ipv4.dont_fragment,
              hdr.ipv4.more_fragments, hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol,
              hdr.ipv4.src, hdr.ipv4.dst, hdr.ipv4_options.options },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control UpdateHeaders(inout headers_t hdr, inout metadata_t md) {
    apply {
        update_checksum(hdr.ipv4.isValid() && hdr.ipv4.ihl == 5,
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_len,
              hdr.ipv4.identification, hdr.ipv4.reserved, hdr.ipv4.dont_fragment,
              hdr.ipv4.more_fragments, hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol,
              hdr.ipv4.src, hdr.ipv4.dst },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(hdr.ipv4_options.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_len,
              hdr.ipv4.identification, hdr.ipv4.reserved, hdr.ipv4.dont_fragment,
              hdr.ipv4.more_fragments, hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol,
              hdr.ipv4.src, hdr.ipv4.dst, hdr.ipv4_options.options },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        /* A neighbour advertisement of ours: pseudo-header, then all of the message. */
        update_checksum(hdr.nd_option.isValid(),
            { hdr.ipv6.src, hdr.ipv6.dst, 16w0, hdr.ipv6.payload_len, 24w0, hdr.ipv6.next_header,
              hdr.icmp.type, hdr.icmp.code, hdr.icmp.identifier, hdr.icmp.sequence, hdr.nd.target,
              hdr.nd_option.type, hdr.nd_option.len, hdr.nd_option.mac },
            hdr.icmp.checksum, HashAlgorithm.csum16);
    }
}

control Deparse(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.ethernet);
        packet.emit(hdr.vlan);
        packet.emit(hdr.arp);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv4_options);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.extension0);
        packet.emit(hdr.extension1);
        packet.emit(hdr.extension2);
        packet.emit(hdr.fragment);
        packet.emit(hdr.tcp);
        packet.emit(hdr.udp);
        packet.emit(hdr.sctp);
        packet.emit(hdr.icmp);
        packet.emit(hdr.nd);
        packet.emit(hdr.nd_option);
    }
}
