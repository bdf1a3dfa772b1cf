//! One rule against one flow: all criteria must hold, and a missing one holds for everything.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{Family, Flow, Icmp, IpSetId, L4, PolicyModel, Protocol, Rule, Side};

/// Whether the rule matches.
pub(super) fn matches(model: &PolicyModel, rule: &Rule, flow: &Flow) -> bool {
    family_matches(rule, flow)
        && protocol_matches(rule, flow)
        && icmp_matches(rule, flow)
        && side_matches(model, &rule.src, flow, flow.src, source_port(flow))
        && side_matches(model, &rule.dst, flow, flow.dst, destination_port(flow))
}

fn family_matches(rule: &Rule, flow: &Flow) -> bool {
    rule.family
        .is_none_or(|family| family == family_of(flow.src))
}

fn protocol_matches(rule: &Rule, flow: &Flow) -> bool {
    rule.protocol.is_none_or(|wanted| flow.protocol == wanted)
        && rule
            .not_protocol
            .is_none_or(|unwanted| flow.protocol != unwanted)
}

/// Only the family's own ICMP has types: a positive criterion fails for every other protocol, a
/// negated one excludes nothing there.
fn icmp_matches(rule: &Rule, flow: &Flow) -> bool {
    rule.icmp.is_none_or(|wanted| is_icmp(flow, wanted))
        && rule
            .not_icmp
            .is_none_or(|unwanted| !is_icmp(flow, unwanted))
}

fn is_icmp(flow: &Flow, criterion: Icmp) -> bool {
    let own = match family_of(flow.src) {
        Family::V4 => Protocol::ICMP,
        Family::V6 => Protocol::ICMPV6,
    };
    match flow.l4 {
        L4::Icmp { kind, code } if flow.protocol == own => {
            criterion.kind == kind && criterion.code.is_none_or(|wanted| wanted == code)
        }
        L4::Icmp { .. } | L4::Ports { .. } | L4::Other => false,
    }
}

/// One end of the flow. `port` is none for protocols whose ports policy may not look at.
fn side_matches(
    model: &PolicyModel,
    side: &Side,
    flow: &Flow,
    addr: IpAddr,
    port: Option<u16>,
) -> bool {
    let Side {
        nets,
        not_nets,
        ports,
        not_ports,
        named_ports,
        not_named_ports,
        sets,
        not_sets,
        ip_port_sets,
    } = side;
    let in_range =
        |port: u16| move |range: &crate::PortRange| range.first <= port && port <= range.last;
    let in_set = |id: &IpSetId| model.ip_set(id).is_some_and(|set| set.members.holds(addr));
    let in_port_set = |id: &IpSetId| {
        port.is_some_and(|port| {
            model
                .ip_set(id)
                .is_some_and(|set| set.members.holds_port(addr, flow.protocol, port))
        })
    };

    (nets.is_empty() || nets.iter().any(|net| net.contains(&addr)))
        && not_nets_leave(not_nets, addr)
        && (ports.is_empty() && named_ports.is_empty()
            || port.is_some_and(|port| ports.iter().any(in_range(port)))
            || named_ports.iter().any(in_port_set))
        && !port.is_some_and(|port| not_ports.iter().any(in_range(port)))
        && !not_named_ports.iter().any(in_port_set)
        && sets.iter().all(in_set)
        && !not_sets.iter().any(in_set)
        && ip_port_sets.iter().all(in_port_set)
}

/// Negated nets: the address must be in none. A list that has the whole family, or only the other
/// family, makes Felix's own dataplanes leave the rule out.
fn not_nets_leave(not_nets: &[IpNet], addr: IpAddr) -> bool {
    if not_nets.is_empty() {
        return true;
    }
    let same_family = |net: &&IpNet| family_of(net.addr()) == family_of(addr);
    not_nets.iter().any(|net| same_family(&net)) && !not_nets.iter().any(|net| net.contains(&addr))
}

fn family_of(addr: IpAddr) -> Family {
    match addr {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

fn source_port(flow: &Flow) -> Option<u16> {
    match flow.l4 {
        L4::Ports { src, .. } if flow.protocol.has_ports() => Some(src),
        L4::Ports { .. } | L4::Icmp { .. } | L4::Other => None,
    }
}

fn destination_port(flow: &Flow) -> Option<u16> {
    match flow.l4 {
        L4::Ports { dst, .. } if flow.protocol.has_ports() => Some(dst),
        L4::Ports { .. } | L4::Icmp { .. } | L4::Other => None,
    }
}
