/* Headers and metadata. */

header ethernet_h {
    bit<48> dst;
    bit<48> src;
    bit<16> type;
}

header vlan_h {
    bit<3>  pcp;
    bit<1>  dei;
    bit<12> vid;
    bit<16> type;
}

/* Ethernet and IPv4 only (RFC 826). */
header arp_h {
    bit<16> hardware;
    bit<16> protocol;
    bit<8>  hardware_len;
    bit<8>  protocol_len;
    bit<16> operation;
    bit<48> sender_mac;
    bit<32> sender_ip;
    bit<48> target_mac;
    bit<32> target_ip;
}

header ipv4_h {
    bit<4>  version;
    bit<4>  ihl;
    bit<8>  tos;
    bit<16> total_len;
    bit<16> identification;
    bit<1>  reserved;
    bit<1>  dont_fragment;
    bit<1>  more_fragments;
    bit<13> fragment_offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

header ipv4_options_h {
    varbit<320> options;
}

header ipv6_h {
    bit<4>   version;
    bit<8>   traffic_class;
    bit<20>  flow_label;
    bit<16>  payload_len;
    bit<8>   next_header;
    bit<8>   hop_limit;
    bit<128> src;
    bit<128> dst;
}

/* Hop-by-hop, routing and destination options (RFC 8200, 4.3 to 4.6): up to 64 bytes each. */
header ipv6_extension_h {
    bit<8>      next_header;
    bit<8>      len;
    varbit<496> body;
}

header ipv6_fragment_h {
    bit<8>  next_header;
    bit<8>  reserved;
    bit<13> offset;
    bit<2>  reserved2;
    bit<1>  more;
    bit<32> identification;
}

header tcp_h {
    bit<16> src_port;
    bit<16> dst_port;
    bit<32> sequence;
    bit<32> acknowledgement;
    bit<4>  data_offset;
    bit<4>  reserved;
    bit<1>  cwr;
    bit<1>  ece;
    bit<1>  urg;
    bit<1>  ack;
    bit<1>  psh;
    bit<1>  rst;
    bit<1>  syn;
    bit<1>  fin;
    bit<16> window;
    bit<16> checksum;
    bit<16> urgent;
}

header udp_h {
    bit<16> src_port;
    bit<16> dst_port;
    bit<16> len;
    bit<16> checksum;
}

/* The common header (RFC 9260, 3.1). */
header sctp_h {
    bit<16> src_port;
    bit<16> dst_port;
    bit<32> tag;
    bit<32> checksum;
}

/* ICMP and ICMPv6: the four bytes that all types share, and the next four. */
header icmp_h {
    bit<8>  type;
    bit<8>  code;
    bit<16> checksum;
    bit<16> identifier;
    bit<16> sequence;
}

/* What follows in a neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4). */
header nd_h {
    bit<128> target;
}

/* A link-layer address option (RFC 4861, 4.6.1). */
header nd_option_h {
    bit<8>  type;
    bit<8>  len;
    bit<48> mac;
}

struct headers_t {
    ethernet_h       ethernet;
    vlan_h           vlan;
    arp_h            arp;
    ipv4_h           ipv4;
    ipv4_options_h   ipv4_options;
    ipv6_h           ipv6;
    ipv6_extension_h extension0;
    ipv6_extension_h extension1;
    ipv6_extension_h extension2;
    ipv6_fragment_h  fragment;
    tcp_h            tcp;
    udp_h            udp;
    sctp_h           sctp;
    icmp_h           icmp;
    nd_h             nd;
    nd_option_h      nd_option;
}

/* Kinds of port, from endpoint_port. */
const bit<3> PORT_UNKNOWN = 0;
const bit<3> PORT_WORKLOAD = 1;
const bit<3> PORT_UPLINK = 2;
const bit<3> PORT_CLOSED = 3;
const bit<3> PORT_HOST = 4;

/* Stands where a local endpoint that is closed has no port: v1model drops what goes there. */
const bit<9> NO_PORT = 511;

/* One slot of the connection table:
 * low address, high address, low port, high port, protocol, epoch, state, last use. */
typedef bit<368> slot_t;
typedef bit<296> connection_t;

struct metadata_t {
    /* Parsing. */
    bit<16>  type;
    bit<8>   protocol;
    bit<1>   unparsed;
    bit<1>   is_fragment;
    bit<16>  src_port;
    bit<16>  dst_port;

    /* Where it came from and where it goes. */
    bit<8>   drop_reason;
    bit<3>   port_kind;
    bit<1>   mac_check;
    bit<1>   src_limited;
    bit<1>   dst_limited;
    bit<2>   colour;
    bit<1>   is_v6;
    bit<1>   local_src;
    bit<1>   local_dst;
    /* The node itself. Its packets count as no local endpoint's above, those to it do. */
    bit<1>   node_src;
    bit<1>   node_dst;
    bit<9>   out_port;
    bit<48>  out_mac;
    bit<48>  in_mac;
    bit<1>   answered;
    bit<32>  answer_len;

    /* First steps of the legs by where the packet goes or comes from. Of a workload 0 is closed, of
     * the node 0 is open, and without untracked policy 0 is no such leg. */
    bit<32>  src_chain;
    bit<32>  src_uplink_chain;
    bit<32>  src_node_chain;
    bit<32>  src_untracked_chain;
    bit<32>  dst_chain;
    bit<32>  dst_uplink_chain;
    bit<32>  dst_untracked_chain;

    /* The leg that is due: its first step, whether there is one, whether the source end asks. */
    bit<32>  first_step;
    bit<1>   due;
    bit<1>   outward;
    bit<1>   untracked;

    /* The step that this pass judges. */
    bit<32>  class;
    bit<32>  ports;
    bit<32>  source_ports;
    bit<32>  remote_v4;
    bit<128> remote_v6;
    bit<16>  remote_port;
    bit<32>  host_label;
    bit<32>  net_label;
    bit<32>  host_set;
    bit<32>  net_set;
    bit<32>  group;
    bit<32>  net_group;
    bit<16>  port_group;
    bit<16>  source_port_group;
    bit<1>   judged;
    bit<1>   allowed;
    bit<1>   left;
    bit<32>  rule;
    bit<32>  next_step;
    bit<32>  pass_step;
    bit<32>  accept_step;
    bit<8>   deny_reason;
    bit<32>  onward;

    /* Settings. */
    bit<16>  epoch;
    bit<16>  vxlan_port;
    bit<1>   drop_vxlan;
    bit<1>   drop_ipip;

    /* Connection. */
    bit<128> src;
    bit<128> dst;
    bit<1>   tracked;
    bit<1>   opens;
    bit<1>   established;
    bit<1>   found;
    bit<1>   second;
    bit<1>   room;
    bit<8>   state;
    bit<32>  index0;
    bit<32>  index1;
    connection_t connection;
    slot_t   slot0;
    slot_t   slot1;

    /* Route. */
    bit<32>  next_hop;

    /* Carried into the next pass, which starts with all other metadata zero: untracked policy has
     * been asked and has accepted the packet, the egress leg has allowed it, the step of the leg
     * that is due (0 for its first), where the packet came from, and when. */
    @field_list(1)
    bit<1>   untracked_done;
    @field_list(1)
    bit<1>   stateless;
    @field_list(1)
    bit<1>   egress_done;
    @field_list(1)
    bit<32>  chain;
    @field_list(1)
    bit<9>   in_port;
    @field_list(1)
    bit<48>  now;
}
