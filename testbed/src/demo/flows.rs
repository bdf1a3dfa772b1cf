//! The flows of one stage: every pair of pods, the network both ways, every port that policy names
//! and its neighbours.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::{Flow, L4, Member, PolicyModel, PortRange, Protocol, Rule};

/// Addresses beyond the uplink that policy names are taken up to this many, by family.
const REMOTES: usize = 12;
/// Source ports of flows whose source port plays no part.
const FIRST_SOURCE_PORT: u16 = 32_768;
/// Where other layers' own machinery starts: neighbour discovery and multicast listeners.
const ICMPV6_OWN: std::ops::RangeInclusive<u8> = 130..=143;

/// Deals flows out so that no two of a run meet in the connection table: a later stage asks about
/// fresh connections only.
#[derive(Debug, Default)]
pub(super) struct Dealer {
    next: u16,
    used: HashSet<(IpAddr, IpAddr, Protocol, u16, u16)>,
}

impl Dealer {
    /// The flows that the model's policy asks for, at most `limit` of them.
    pub(super) fn deal(&mut self, model: &PolicyModel, limit: usize) -> Vec<Flow> {
        let locals = locals(model);
        let others: Vec<IpAddr> = locals
            .iter()
            .copied()
            .chain(remotes(model, &locals))
            .collect();
        let kinds = kinds(model);
        let mut flows = Vec::new();
        // The kind turns slowest: whatever the limit, every pair is met.
        for (protocol, l4) in &kinds {
            for local in &locals {
                for other in &others {
                    if local == other || local.is_ipv4() != other.is_ipv4() {
                        continue;
                    }
                    let remote = !locals.contains(other);
                    flows.extend(self.flow(*local, *other, *protocol, *l4));
                    if remote {
                        flows.extend(self.flow(*other, *local, *protocol, *l4));
                    }
                }
            }
        }
        thin(flows, limit)
    }

    /// A fresh flow, or none if its connection was used before or the family has no such protocol.
    fn flow(&mut self, src: IpAddr, dst: IpAddr, protocol: Protocol, l4: L4) -> Option<Flow> {
        let foreign = if src.is_ipv4() {
            Protocol::ICMPV6
        } else {
            Protocol::ICMP
        };
        if protocol == foreign {
            return None;
        }
        let l4 = match l4 {
            L4::Ports { src: 0, dst } => L4::Ports {
                src: self.source_port(),
                dst,
            },
            other => other,
        };
        let (left, right) = match l4 {
            L4::Ports { src, dst } => (src, dst),
            L4::Icmp { kind, code } => (u16::from(kind), u16::from(code)),
            L4::Other => (0, 0),
        };
        // Both directions of a connection are one connection.
        let fresh = match l4 {
            L4::Icmp { .. } => true,
            _ => {
                !self.used.contains(&(dst, src, protocol, right, left))
                    && self.used.insert((src, dst, protocol, left, right))
            }
        };
        fresh.then_some(Flow {
            src,
            dst,
            protocol,
            l4,
        })
    }

    fn source_port(&mut self) -> u16 {
        self.next = (self.next + 1) % (u16::MAX - FIRST_SOURCE_PORT);
        FIRST_SOURCE_PORT + self.next
    }
}

/// Evenly, so that each part of the whole keeps its share.
fn thin(flows: Vec<Flow>, limit: usize) -> Vec<Flow> {
    let whole = flows.len();
    if whole <= limit {
        return flows;
    }
    // A stride without a common factor with what repeats would be better still; an even one does.
    let keep = |index: usize| index * limit / whole != (index + 1) * limit / whole;
    let kept = flows
        .into_iter()
        .enumerate()
        .filter(|(index, _)| keep(*index));
    kept.map(|(_, flow)| flow).collect()
}

/// Addresses of local workloads.
fn locals(model: &PolicyModel) -> BTreeSet<IpAddr> {
    let workloads = model.workloads().filter(|(_, workload)| workload.active);
    workloads
        .flat_map(|(id, workload)| workload.nets.iter().map(move |net| (id, net.addr())))
        .filter(|(id, addr)| model.owner(*addr) == Some(id))
        .map(|(_, addr)| addr)
        .collect()
}

/// Addresses that sets and nets name, those next to a net's edges, and strangers.
fn remotes(model: &PolicyModel, locals: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
    let mut nets: BTreeSet<IpNet> = BTreeSet::new();
    for (_, set) in model.ip_sets() {
        for member in set.members.iter() {
            nets.insert(match member {
                Member::Net(net) => net,
                Member::Port { addr, .. } => addr.into(),
            });
        }
    }
    for rule in rules(model) {
        for side in [&rule.src, &rule.dst] {
            nets.extend(side.nets.iter().chain(&side.not_nets));
        }
    }
    let mut own: BTreeSet<IpAddr> = BTreeSet::new();
    for (_, host) in model.hosts() {
        let nets = [host.v4, host.v6].into_iter().flatten();
        own.extend(nets.map(|net| net.addr()));
    }
    let mut found = BTreeSet::new();
    for net in nets {
        found.extend([net.addr(), net.network(), net.broadcast()]);
        found.extend(beside(&net));
    }
    let usable = |addr: &IpAddr| is_usable(*addr) && !locals.contains(addr) && !own.contains(addr);
    let (v4, v6): (Vec<_>, Vec<_>) = found.into_iter().filter(usable).partition(IpAddr::is_ipv4);
    let strangers: [IpAddr; 2] = [
        [198, 51, 100, 77].into(),
        [0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x77].into(),
    ];
    let some = |addresses: Vec<IpAddr>| {
        let step = addresses.len().div_ceil(REMOTES).max(1);
        addresses.into_iter().step_by(step)
    };
    some(v4).chain(some(v6)).chain(strangers).collect()
}

/// The first address after a net.
fn beside(net: &IpNet) -> Option<IpAddr> {
    match net.broadcast() {
        IpAddr::V4(last) => Some(std::net::Ipv4Addr::from(u32::from(last).checked_add(1)?).into()),
        IpAddr::V6(last) => Some(std::net::Ipv6Addr::from(u128::from(last).checked_add(1)?).into()),
    }
}

/// Whether an interface can have the address and a router passes it on.
fn is_usable(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => {
            let first = addr.octets()[0];
            first != 0 && first != 127 && first < 224 && !addr.is_link_local()
        }
        IpAddr::V6(addr) => {
            !addr.is_unspecified()
                && !addr.is_loopback()
                && !addr.is_multicast()
                && !addr.is_unicast_link_local()
                && addr.to_ipv4_mapped().is_none()
        }
    }
}

fn rules(model: &PolicyModel) -> impl Iterator<Item = &Rule> {
    let policies = model
        .policies()
        .map(|(_, policy)| (&policy.inbound, &policy.outbound));
    let profiles = model
        .profiles()
        .map(|(_, profile)| (&profile.inbound, &profile.outbound));
    policies
        .chain(profiles)
        .flat_map(|(inbound, outbound)| inbound.iter().chain(outbound))
}

/// Protocols with the ports and types that policy names and those next to them; a source port of 0
/// stands for any.
fn kinds(model: &PolicyModel) -> BTreeSet<(Protocol, L4)> {
    let echo = L4::Icmp { kind: 8, code: 0 };
    let echo_v6 = L4::Icmp { kind: 128, code: 0 };
    let mut kinds = BTreeSet::from([(Protocol::ICMP, echo), (Protocol::ICMPV6, echo_v6)]);
    for (protocol, port) in [
        (Protocol::TCP, 80),
        (Protocol::UDP, 53),
        (Protocol::SCTP, 5060),
    ] {
        kinds.insert((protocol, L4::Ports { src: 0, dst: port }));
    }
    for (_, set) in model.ip_sets() {
        for member in set.members.iter() {
            if let Member::Port { protocol, port, .. } = member {
                kinds.extend(around(
                    protocol,
                    PortRange {
                        first: port,
                        last: port,
                    },
                ));
            }
        }
    }
    for rule in rules(model) {
        for protocol in [rule.protocol, rule.not_protocol].into_iter().flatten() {
            let portless = !protocol.has_ports();
            let plain = portless && !matches!(protocol, Protocol::ICMP | Protocol::ICMPV6);
            if plain && is_plain(protocol) {
                kinds.insert((protocol, L4::Other));
            }
        }
        let protocols = match rule.protocol {
            Some(protocol) => vec![protocol],
            None => vec![Protocol::TCP, Protocol::UDP],
        };
        for range in rule.dst.ports.iter().chain(&rule.dst.not_ports) {
            for protocol in protocols.iter().filter(|protocol| protocol.has_ports()) {
                kinds.extend(around(*protocol, *range));
            }
        }
        for range in rule.src.ports.iter().chain(&rule.src.not_ports) {
            for protocol in protocols.iter().filter(|protocol| protocol.has_ports()) {
                for src in [range.first.saturating_sub(1), range.first, range.last] {
                    if src != 0 {
                        kinds.insert((*protocol, L4::Ports { src, dst: 80 }));
                    }
                }
            }
        }
        for icmp in [rule.icmp, rule.not_icmp].into_iter().flatten() {
            let codes = [
                icmp.code.unwrap_or(0),
                icmp.code.unwrap_or(0).wrapping_add(1),
            ];
            for kind in [icmp.kind, icmp.kind.wrapping_add(1)] {
                for code in codes {
                    kinds.insert((Protocol::ICMP, L4::Icmp { kind, code }));
                    if !ICMPV6_OWN.contains(&kind) {
                        kinds.insert((Protocol::ICMPV6, L4::Icmp { kind, code }));
                    }
                }
            }
        }
    }
    kinds
}

/// Neither a header that belongs to IPv6 itself nor a number that a raw socket keeps for itself.
fn is_plain(protocol: Protocol) -> bool {
    !matches!(protocol.0, 0 | 43 | 44 | 50 | 51 | 59 | 60 | 135 | 255)
}

/// Both ends of a range, and the ports just outside.
fn around(protocol: Protocol, range: PortRange) -> impl Iterator<Item = (Protocol, L4)> {
    let ports = [
        range.first.checked_sub(1),
        Some(range.first),
        Some(range.last),
        range.last.checked_add(1),
    ];
    let ports = ports.into_iter().flatten().filter(|port| *port != 0);
    ports.map(move |dst| (protocol, L4::Ports { src: 0, dst }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_tried_at_and_outside_both_ends() {
        let range = PortRange {
            first: 80,
            last: 90,
        };
        let ports: Vec<u16> = around(Protocol::TCP, range)
            .filter_map(|(_, l4)| match l4 {
                L4::Ports { dst, .. } => Some(dst),
                L4::Icmp { .. } | L4::Other => None,
            })
            .collect();
        assert_eq!(ports, [79, 80, 90, 91]);
    }

    #[test]
    fn both_directions_of_a_portless_protocol_are_one_connection() {
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut dealer = Dealer::default();
        assert!(dealer.flow(a, b, Protocol(47), L4::Other).is_some());
        assert!(dealer.flow(b, a, Protocol(47), L4::Other).is_none());
    }

    #[test]
    fn thinning_keeps_the_number_and_the_ends_of_the_whole() {
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut dealer = Dealer::default();
        let l4 = L4::Ports { src: 0, dst: 80 };
        let flows: Vec<Flow> = (0..1000)
            .filter_map(|_| dealer.flow(a, b, Protocol::TCP, l4))
            .collect();
        assert_eq!(thin(flows, 100).len(), 100);
    }
}
