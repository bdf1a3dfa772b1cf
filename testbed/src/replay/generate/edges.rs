//! The addresses, ports, protocols and ICMP types at which verdicts may change.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::is_unicast;
use ipnet::IpNet;
use policy_model::{Icmp, L4, Member, PolicyModel, Protocol, Rule, Side};

/// Nobody's addresses (documentation ranges, RFC 5737 and 3849), and some that are far away.
const STRANGERS: [&str; 6] = [
    "192.0.2.77",
    "203.0.113.250",
    "8.8.8.8",
    "100.64.0.1",
    "2001:db8:ffff::77",
    "2606:4700::1111",
];

/// Ports that are tried whatever the rules say.
const PORTS: [u16; 6] = [1, 53, 80, 443, 4789, 8080];

/// Protocols that are tried whatever the rules say: IGMP, IP-in-IP, GRE, ESP, OSPF, VRRP,
/// UDP-Lite and one that is for experiments (RFC 3692).
const PROTOCOLS: [u8; 8] = [2, 4, 47, 50, 89, 112, 136, 253];

/// ICMP messages that are tried whatever the rules say.
const ICMP: [(u8, u8); 6] = [(0, 0), (3, 1), (8, 0), (11, 0), (13, 0), (255, 255)];
const ICMPV6: [(u8, u8); 6] = [(1, 4), (3, 0), (128, 0), (129, 0), (200, 0), (255, 255)];

const SOURCE_PORT: u16 = 40_000;

/// Edges of one model.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    /// Addresses of local endpoints.
    pub(super) locals: BTreeSet<IpAddr>,
    /// Those, and all others worth a try.
    pub(super) addresses: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
    source_ports: BTreeSet<u16>,
    protocols: BTreeSet<u8>,
    icmp: BTreeSet<Icmp>,
}

impl Edges {
    pub(super) fn of(model: &PolicyModel) -> Self {
        let mut edges = Self::default();
        for (_, endpoint) in model.workloads() {
            edges
                .locals
                .extend(endpoint.addresses().filter(|addr| is_unicast(*addr)));
        }
        edges.addresses.extend(&edges.locals);
        edges
            .addresses
            .extend(STRANGERS.iter().filter_map(|s| s.parse::<IpAddr>().ok()));
        edges.ports.extend(PORTS);
        edges.source_ports.insert(SOURCE_PORT);
        edges.protocols.extend(PROTOCOLS);
        for (_, set) in model.ip_sets() {
            for member in set.members.sorted() {
                edges.member(&member);
            }
        }
        let config = model.config();
        let failsafes = [config.failsafe_inbound(), config.failsafe_outbound()];
        for failsafe in failsafes.into_iter().flatten().flatten() {
            around(&mut edges.ports, failsafe.port, failsafe.port);
            edges.source_ports.insert(failsafe.port);
            failsafe.net.into_iter().for_each(|net| edges.net(net));
        }
        for (_, policy) in model.policies() {
            policy
                .inbound
                .iter()
                .chain(&policy.outbound)
                .for_each(|rule| edges.rule(rule));
        }
        for (_, profile) in model.profiles() {
            profile
                .inbound
                .iter()
                .chain(&profile.outbound)
                .for_each(|rule| edges.rule(rule));
        }
        edges
    }

    fn member(&mut self, member: &Member) {
        match member {
            Member::Net(net) => self.net(*net),
            Member::Port { addr, port, .. } => {
                self.net(IpNet::from(*addr));
                around(&mut self.ports, *port, *port);
            }
        }
    }

    fn rule(&mut self, rule: &Rule) {
        let protocols = [rule.protocol, rule.not_protocol];
        self.protocols
            .extend(protocols.into_iter().flatten().map(|protocol| protocol.0));
        self.icmp
            .extend([rule.icmp, rule.not_icmp].into_iter().flatten());
        for side in [&rule.src, &rule.dst] {
            let Side { nets, not_nets, .. } = side;
            nets.iter().chain(not_nets).for_each(|net| self.net(*net));
        }
        for range in rule.dst.ports.iter().chain(&rule.dst.not_ports) {
            around(&mut self.ports, range.first, range.last);
        }
        for range in rule.src.ports.iter().chain(&rule.src.not_ports) {
            around(&mut self.source_ports, range.first, range.last);
        }
    }

    /// Both ends of a net, and the addresses just outside.
    fn net(&mut self, net: IpNet) {
        let (first, last) = (net.network(), net.broadcast());
        let outside = [step(first, false), step(last, true)];
        let candidates = [Some(first), Some(last)]
            .into_iter()
            .chain(outside)
            .flatten();
        self.addresses
            .extend(candidates.filter(|addr| is_unicast(*addr)));
    }

    /// Everything that may stand behind the addresses of one family; each port is tried from as
    /// many source ports.
    pub(super) fn l4s(&self, v4: bool, sources: u16) -> Vec<(Protocol, L4)> {
        let mut l4s = BTreeSet::new();
        for protocol in [Protocol::TCP, Protocol::UDP, Protocol::SCTP] {
            let to = self
                .ports
                .iter()
                .flat_map(|dst| (0..sources).map(|n| (SOURCE_PORT + n, *dst)));
            let from = self
                .source_ports
                .iter()
                .flat_map(|src| PORTS.map(|dst| (*src, dst)));
            l4s.extend(
                to.chain(from)
                    .map(|(src, dst)| (protocol, L4::Ports { src, dst })),
            );
        }
        let (icmp, always) = if v4 {
            (Protocol::ICMP, ICMP)
        } else {
            (Protocol::ICMPV6, ICMPV6)
        };
        for (kind, code) in self.icmp_near().into_iter().chain(always) {
            l4s.insert((icmp, L4::Icmp { kind, code }));
        }
        let protocols = self.protocols.iter().map(|number| Protocol(*number));
        let plain = protocols.filter(|protocol| {
            !protocol.has_ports() && !matches!(*protocol, Protocol::ICMP | Protocol::ICMPV6)
        });
        l4s.extend(plain.map(|protocol| (protocol, L4::Other)));
        l4s.into_iter().collect()
    }

    /// The types and codes that rules name, and their neighbours.
    fn icmp_near(&self) -> BTreeSet<(u8, u8)> {
        let near = |n: u8| {
            [n.checked_sub(1), Some(n), n.checked_add(1)]
                .into_iter()
                .flatten()
        };
        self.icmp
            .iter()
            .flat_map(|icmp| {
                let codes = near(icmp.code.unwrap_or(0));
                codes.flat_map(move |code| near(icmp.kind).map(move |kind| (kind, code)))
            })
            .collect()
    }
}

/// Both ends of a range, the ports just outside, and one inside.
fn around(ports: &mut BTreeSet<u16>, first: u16, last: u16) {
    let outside = [first.checked_sub(1), last.checked_add(1)];
    ports.extend(outside.into_iter().flatten());
    ports.extend([first, first + (last.saturating_sub(first)) / 2, last]);
}

/// The address after or before this one, if there is one.
fn step(addr: IpAddr, up: bool) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(v4) => {
            let bits = v4.to_bits();
            let next = if up {
                bits.checked_add(1)
            } else {
                bits.checked_sub(1)
            };
            next.map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let next = if up {
                bits.checked_add(1)
            } else {
                bits.checked_sub(1)
            };
            next.map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}
