/* The pipeline: the contract between the agents and every device.
 *
 * parse, port and endpoint, anti-spoof, limit of the source endpoint, route, untracked policy of a
 * host endpoint, connection lookup, egress policy of the source endpoint, ingress policy of the
 * destination endpoint (each step by step, see acl.p4), limit of the destination endpoint,
 * connection commit, rewrite and out.
 * What a host endpoint says of a packet that passes through is part of those two legs.
 * ARP and neighbour discovery are answered on the way. Stages live in files of their own. */

#include <core.p4>
#include <v1model.p4>

#include "reasons.p4"
#include "headers.p4"
#include "parse.p4"
#include "gateway.p4"
#include "endpoint.p4"
#include "limit.p4"
#include "connection.p4"
#include "acl.p4"
#include "route.p4"

control Pipeline(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    @name(".drop_reason")
    counter(64, CounterType.packets_and_bytes) drop_reason;

    @name(".settings") @id(0x01000020)
    action settings(bit<16> epoch, bit<16> vxlan_port, bit<1> drop_vxlan, bit<1> drop_ipip) {
        md.epoch = epoch;
        md.vxlan_port = vxlan_port;
        md.drop_vxlan = drop_vxlan;
        md.drop_ipip = drop_ipip;
    }

    @name(".acl_settings") @id(0x02000023)
    table acl_settings {
        actions = { settings; }
        default_action = settings(0, 4789, 1, 1);
    }

    Endpoint() endpoint;
    Gateway() gateway;
    EgressLimit() egress_limit;
    IngressLimit() ingress_limit;
    ConnectionLookup() connection_lookup;
    ConnectionCommit() connection_commit;
    Acl() acl;
    Route() route;
    Rewrite() rewrite;

    apply {
        bit<1> again = 0;
        bit<1> first_pass = 0;
        acl_settings.apply();
        if (md.untracked_done == 0 && md.egress_done == 0 && md.chain == 0) {
            first_pass = 1;
            md.in_port = sm.ingress_port;
            md.now = sm.ingress_global_timestamp;
        }

        if (sm.parser_error == error.HeaderTooShort) {
            md.drop_reason = DROP_EXTENSION_HEADERS;
        } else if (sm.parser_error != error.NoError || sm.checksum_error == 1) {
            md.drop_reason = DROP_MALFORMED;
        } else {
            endpoint.apply(hdr, md, sm);
        }

        if (md.drop_reason == DROP_NONE) {
            if (hdr.vlan.isValid() && hdr.vlan.vid != 0) {
                md.drop_reason = DROP_VLAN;
            } else if (hdr.arp.isValid() || hdr.nd.isValid()) {
                gateway.apply(hdr, md, sm);
            } else if (hdr.ipv4.isValid()) {
                md.src = 96w0xffff ++ hdr.ipv4.src;
                md.dst = 96w0xffff ++ hdr.ipv4.dst;
                if (hdr.ipv4.dst[31:28] == 0xe || hdr.ipv4.dst == 0xffffffff) {
                    md.drop_reason = DROP_NOT_ROUTABLE;
                } else if (hdr.ipv4.ttl <= 1) {
                    md.drop_reason = DROP_TTL;
                } else if (hdr.ipv4.more_fragments == 1) {
                    md.is_fragment = 1;
                }
            } else if (hdr.ipv6.isValid()) {
                md.is_v6 = 1;
                md.src = hdr.ipv6.src;
                md.dst = hdr.ipv6.dst;
                if (hdr.ipv6.dst[127:120] == 0xff || hdr.ipv6.dst[127:118] == 0x3fa) {
                    md.drop_reason = DROP_NOT_ROUTABLE;
                } else if (hdr.ipv6.hop_limit <= 1) {
                    md.drop_reason = DROP_TTL;
                } else if (hdr.fragment.isValid() && hdr.fragment.more == 1) {
                    md.is_fragment = 1;
                }
            } else {
                md.drop_reason = DROP_NOT_IP;
            }
        }

        if (md.drop_reason == DROP_NONE && md.answered == 0) {
            if (md.port_kind == PORT_WORKLOAD && md.local_src == 0) {
                md.drop_reason = DROP_SPOOFED_ADDRESS;
            } else if (md.port_kind == PORT_HOST && md.node_src == 0) {
                md.drop_reason = DROP_SPOOFED_ADDRESS;
            } else if (md.port_kind == PORT_UPLINK && md.local_dst == 0) {
                md.drop_reason = DROP_NOT_LOCAL;
            } else if (md.port_kind == PORT_HOST && md.node_dst == 1) {
                md.drop_reason = DROP_TO_HOST;
            } else if (md.unparsed == 1) {
                md.drop_reason = DROP_EXTENSION_HEADERS;
            } else if (md.is_fragment == 1) {
                md.drop_reason = DROP_FRAGMENT;
            } else if (md.local_src == 1 && md.drop_vxlan == 1 && hdr.udp.isValid()
                       && md.dst_port == md.vxlan_port) {
                md.drop_reason = DROP_TUNNEL;
            } else if (md.local_src == 1 && md.drop_ipip == 1 && md.protocol == PROTOCOL_IPIP) {
                md.drop_reason = DROP_TUNNEL;
            }
        }

        if (md.drop_reason == DROP_NONE && md.answered == 0) {
            if (first_pass == 1 && md.src_limited == 1) {
                egress_limit.apply(md);
                if (md.colour != 0) {
                    md.drop_reason = DROP_EGRESS_LIMIT;
                }
            }
        }

        if (md.drop_reason == DROP_NONE && md.answered == 0) {
            if (md.local_dst == 0) {
                route.apply(hdr, md, sm);
            }
        }

        if (md.drop_reason == DROP_NONE && md.answered == 0) {
            /* The leg that is due. Untracked policy is asked of every packet, so it comes before
             * connections; then the source's egress, then the destination's ingress. */
            if (md.untracked_done == 0) {
                if (md.port_kind == PORT_UPLINK) {
                    md.first_step = md.dst_untracked_chain;
                } else if (md.port_kind == PORT_HOST && md.local_dst == 0) {
                    md.first_step = md.src_untracked_chain;
                    md.outward = 1;
                }
                if (md.first_step != 0) {
                    md.untracked = 1;
                    md.due = 1;
                }
            }
            if (md.untracked == 0) {
                md.outward = 0;
                if (md.stateless == 0) {
                    connection_lookup.apply(hdr, md, sm);
                }
                if (md.found == 0 || md.opens == 1) {
                    if (md.local_src == 1 && md.egress_done == 0) {
                        md.due = 1;
                        md.outward = 1;
                        if (md.local_dst == 0) {
                            md.first_step = md.src_uplink_chain;
                        } else if (md.node_dst == 1) {
                            md.first_step = md.src_node_chain;
                        } else {
                            md.first_step = md.src_chain;
                        }
                    } else if (md.port_kind == PORT_HOST) {
                        /* What the node sends a local endpoint is not policed, but one that is
                         * closed gets nothing. */
                        if (md.local_dst == 1 && md.out_port == NO_PORT) {
                            md.drop_reason = DROP_INGRESS_CLOSED;
                        } else if (md.local_dst == 0 && md.stateless == 0 && md.src_uplink_chain != 0) {
                            md.due = 1;
                            md.outward = 1;
                            md.first_step = md.src_uplink_chain;
                        }
                    } else if (md.node_dst == 1) {
                        if (md.port_kind == PORT_UPLINK && md.stateless == 0
                                && md.dst_uplink_chain != 0) {
                            md.due = 1;
                            md.first_step = md.dst_uplink_chain;
                        }
                    } else {
                        md.due = 1;
                        md.first_step = md.dst_chain;
                        if (md.port_kind == PORT_UPLINK && md.stateless == 0) {
                            md.first_step = md.dst_uplink_chain;
                        }
                    }
                }
            }
            if (md.due == 1) {
                if (md.outward == 1) {
                    md.remote_v4 = hdr.ipv4.dst;
                    md.remote_v6 = hdr.ipv6.dst;
                    md.remote_port = md.dst_port;
                } else {
                    md.remote_v4 = hdr.ipv4.src;
                    md.remote_v6 = hdr.ipv6.src;
                    md.remote_port = md.src_port;
                }
                if (md.chain == 0) {
                    md.chain = md.first_step;
                }
                if (md.chain == 0) {
                    md.drop_reason = DROP_INGRESS_CLOSED;
                    if (md.outward == 1) {
                        md.drop_reason = DROP_EGRESS_CLOSED;
                    }
                } else {
                    acl.apply(hdr, md);
                    if (md.judged == 1 && md.allowed == 0) {
                        md.drop_reason = md.deny_reason;
                    } else if (md.onward != 0) {
                        again = 1;
                    } else if (md.untracked == 1 && (md.judged == 1 || md.left == 1)) {
                        /* Accepted without a connection, or left to the lists that track. */
                        md.untracked_done = 1;
                        md.stateless = md.judged;
                        if (md.judged == 0 || (md.port_kind == PORT_UPLINK && md.node_dst == 0)) {
                            again = 1;
                        }
                    } else if (md.judged == 0) {
                        md.drop_reason = DROP_NO_VERDICT;
                    } else if (md.local_src == 1 && md.egress_done == 0) {
                        if (md.local_dst == 1 && md.node_dst == 0) {
                            md.egress_done = 1;
                            again = 1;
                        }
                    }
                }
            }
        }

        if (md.drop_reason == DROP_NONE && md.answered == 0) {
            if (again == 0 && md.dst_limited == 1) {
                ingress_limit.apply(md);
                if (md.colour != 0) {
                    md.drop_reason = DROP_INGRESS_LIMIT;
                }
            }
        }

        if (md.drop_reason != DROP_NONE) {
            drop_reason.count((bit<32>)md.drop_reason);
            mark_to_drop(sm);
        } else if (md.answered == 1) {
            drop_reason.count((bit<32>)COUNT_NEIGHBOUR_ANSWERED);
        } else if (again == 1) {
            md.chain = md.onward;
            resubmit_preserving_field_list(1);
        } else {
            connection_commit.apply(hdr, md, sm, drop_reason);
            rewrite.apply(hdr, md, sm);
        }
    }
}

control Out(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    apply { }
}

V1Switch(Parse(), VerifyHeaders(), Pipeline(), Out(), UpdateHeaders(), Deparse()) main;
