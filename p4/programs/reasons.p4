/* Why a packet was dropped: the index into the drop_reason counter.
 * p4-tables reads these names and numbers out of this file. */

const bit<8> DROP_NONE = 0;
/* The frame is cut short, its IPv4 header checksum is wrong, or a header contradicts itself. */
const bit<8> DROP_MALFORMED = 1;
/* The port has no row in endpoint_port. */
const bit<8> DROP_UNKNOWN_PORT = 2;
/* Neither IP nor ARP. */
const bit<8> DROP_NOT_IP = 3;
/* An 802.1Q tag with a VLAN id: no network of that id here. */
const bit<8> DROP_VLAN = 4;
/* The source address is not one of the endpoint's. */
const bit<8> DROP_SPOOFED_ADDRESS = 5;
/* The source MAC is not the endpoint's. */
const bit<8> DROP_SPOOFED_MAC = 6;
/* An ARP or neighbour message that the gateway does not answer. */
const bit<8> DROP_NEIGHBOUR = 7;
/* Multicast, broadcast or link-local destination: not routed. */
const bit<8> DROP_NOT_ROUTABLE = 8;
/* From the uplink to an address that is not a local endpoint. */
const bit<8> DROP_NOT_LOCAL = 9;
/* No route. */
const bit<8> DROP_NO_ROUTE = 10;
/* For the node's own address. */
const bit<8> DROP_TO_HOST = 11;
/* TTL or hop limit is used up. */
const bit<8> DROP_TTL = 12;
/* A fragment that has no layer 4 header to judge. */
const bit<8> DROP_FRAGMENT = 13;
/* VXLAN or IP-in-IP from a workload. */
const bit<8> DROP_TUNNEL = 14;
/* Egress policy of the source endpoint. */
const bit<8> DROP_EGRESS_POLICY = 15;
/* Ingress policy of the destination endpoint. */
const bit<8> DROP_INGRESS_POLICY = 16;
/* The source endpoint is closed: its policy cannot be enforced exactly, or it is down. */
const bit<8> DROP_EGRESS_CLOSED = 17;
/* The destination endpoint is closed. */
const bit<8> DROP_INGRESS_CLOSED = 18;
/* The class has no verdict for the packet: a programming error, denied. */
const bit<8> DROP_NO_VERDICT = 19;
/* A host endpoint's policy for what comes in through it: pre-DNAT, forwarded or for the node. */
const bit<8> DROP_HOST_ENDPOINT_INGRESS = 20;
/* IPv6 extension headers that the parser does not follow. */
const bit<8> DROP_EXTENSION_HEADERS = 21;
/* A host endpoint's policy for what leaves through it: forwarded or the node's own. */
const bit<8> DROP_HOST_ENDPOINT_EGRESS = 22;
/* A host endpoint's untracked policy. */
const bit<8> DROP_HOST_ENDPOINT_UNTRACKED = 23;
/* More than the source endpoint may send. */
const bit<8> DROP_EGRESS_LIMIT = 24;
/* More than the destination endpoint may get. */
const bit<8> DROP_INGRESS_LIMIT = 25;
/* Not a drop: an allowed connection that found no free slot. Its replies are judged by policy. */
const bit<8> COUNT_CONNECTION_TABLE_FULL = 62;
/* Not a drop: an ARP or neighbour question that was answered. */
const bit<8> COUNT_NEIGHBOUR_ANSWERED = 63;
