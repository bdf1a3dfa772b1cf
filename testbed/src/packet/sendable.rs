//! Which flows have a packet that opens them.

use std::net::IpAddr;

use policy_model::{Flow, L4, Protocol};

/// Router and neighbour discovery (RFC 4861): not a workload's traffic with another but with its
/// gateway, who answers before policy.
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=137;

/// Next headers that are no protocol in IPv6 (RFC 8200: hop-by-hop, routing, fragment, no next
/// header, destination options, and those that would have to carry a header of their own form).
const EXTENSIONS: [u8; 8] = [0, 43, 44, 51, 59, 60, 135, 139];

/// Whether there is a packet that opens this flow and is a matter of policy: between two different
/// unicast addresses that are heard beyond a link, no neighbour discovery, and with a protocol
/// number that the family takes for one.
pub(crate) fn can_be_sent(flow: &Flow) -> bool {
    let is_v6 = flow.src.is_ipv6();
    let discovery = matches!(flow.l4, L4::Icmp { kind, .. } if DISCOVERY.contains(&kind))
        && flow.protocol == Protocol::ICMPV6;
    flow.src != flow.dst
        && flow.dst.is_ipv6() == is_v6
        && is_unicast(flow.src)
        && is_unicast(flow.dst)
        && !discovery
        && !(is_v6 && EXTENSIONS.contains(&flow.protocol.0))
}

/// Whether packets with this address travel beyond a link at all.
pub(crate) fn is_unicast(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => {
            !v4.is_multicast() && !v4.is_broadcast() && !v4.is_loopback() && v4.octets()[0] != 0
        }
        IpAddr::V6(v6) => {
            !v6.is_multicast()
                && !v6.is_unicast_link_local()
                && !v6.is_loopback()
                && !v6.is_unspecified()
        }
    }
}
