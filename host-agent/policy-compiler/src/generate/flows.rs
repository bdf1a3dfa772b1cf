//! Flows aimed at the edges of rules, nets and ports.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use policy_model::{Flow, L4, Member, Node, PolicyModel, Protocol, Rule};

use super::{Choices, strangers};

/// What a model's rules, sets and endpoints turn on.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    /// Addresses of local endpoints.
    pub local: Vec<IpAddr>,
    /// Addresses of the node.
    pub node: Vec<IpAddr>,
    /// Addresses in, at the rim of and just outside of every net and set, and strangers.
    pub addresses: Vec<IpAddr>,
    /// Ports at, below and above the ends of every range and named port.
    pub ports: Vec<u16>,
    /// Protocols that rules name, and some that they do not.
    pub protocols: Vec<Protocol>,
    /// Members of sets of ports.
    pub services: Vec<(IpAddr, Protocol, u16)>,
    /// ICMP types and codes that rules name, and others.
    pub icmp: Vec<(u8, u8)>,
}

impl Edges {
    /// Collects the edges of a model.
    #[must_use]
    pub fn of(model: &PolicyModel) -> Self {
        let mut nets: BTreeSet<IpNet> = BTreeSet::new();
        let mut ports: BTreeSet<u16> = BTreeSet::from([1, 40000]);
        let mut protocols: BTreeSet<Protocol> =
            [1, 4, 6, 17, 47, 58, 89, 132, 136].map(Protocol).into();
        let mut icmp: BTreeSet<(u8, u8)> = BTreeSet::from([(8, 0), (128, 0)]);
        let mut services = BTreeSet::new();
        let mut port = |port: u16| {
            ports.extend([port.saturating_sub(1), port, port.saturating_add(1)]);
        };
        for (_, set) in model.ip_sets() {
            for member in set.members.iter() {
                match member {
                    Member::Net(net) => {
                        nets.insert(net);
                    }
                    Member::Port {
                        addr,
                        protocol,
                        port: at,
                    } => {
                        nets.insert(IpNet::from(addr));
                        port(at);
                        services.insert((addr, protocol, at));
                    }
                }
            }
        }
        let policies = model
            .policies()
            .flat_map(|(_, policy)| policy.inbound.iter().chain(&policy.outbound));
        let profiles = model
            .profiles()
            .flat_map(|(_, profile)| profile.inbound.iter().chain(&profile.outbound));
        for rule in policies.chain(profiles) {
            let Rule { src, dst, .. } = rule;
            for side in [src, dst] {
                nets.extend(side.nets.iter().chain(&side.not_nets));
                for range in side.ports.iter().chain(&side.not_ports) {
                    port(range.first);
                    port(range.last);
                }
            }
            protocols.extend(rule.protocol.iter().chain(&rule.not_protocol));
            for criterion in rule.icmp.iter().chain(&rule.not_icmp) {
                let code = criterion.code.unwrap_or(7);
                icmp.insert((criterion.kind, code));
                icmp.insert((criterion.kind, code.wrapping_add(1)));
                icmp.insert((criterion.kind.wrapping_add(1), code));
            }
        }
        let local: BTreeSet<IpAddr> = model
            .workloads()
            .flat_map(|(_, endpoint)| endpoint.addresses())
            .collect();
        let config = model.config();
        let failsafes = [config.failsafe_inbound(), config.failsafe_outbound()];
        for failsafe in failsafes.into_iter().flatten().flatten() {
            ports.insert(failsafe.port);
            protocols.insert(failsafe.protocol);
            nets.extend(failsafe.net);
        }
        let mut addresses: BTreeSet<IpAddr> = nets.iter().flat_map(rim).collect();
        addresses.extend(strangers());
        addresses.extend(&local);
        addresses.retain(|addr| !addr.is_multicast() && !is_link_local(addr));
        Self {
            local: local.into_iter().collect(),
            node: model.node_addresses(&Node::UNKNOWN).into_iter().collect(),
            addresses: addresses.into_iter().collect(),
            ports: ports.into_iter().collect(),
            protocols: protocols.into_iter().collect(),
            services: services.into_iter().collect(),
            icmp: icmp.into_iter().collect(),
        }
    }
}

fn is_link_local(addr: &IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_broadcast(),
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    }
}

/// First and last address of a net and their neighbours outside.
fn rim(net: &IpNet) -> Vec<IpAddr> {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                .map(|n| Ipv4Addr::from(n).into())
                .to_vec()
        }
        IpNet::V6(net) => {
            let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                .map(|n| Ipv6Addr::from(n).into())
                .to_vec()
        }
    }
}

/// A flow with a local endpoint or the node at one end at least; none if the edges have no such
/// thing.
#[must_use]
pub fn flow(choices: &mut Choices, edges: &Edges) -> Option<Flow> {
    let local = if choices.chance(25) && !edges.node.is_empty() {
        *choices.pick(&edges.node)?
    } else {
        *choices.pick(&edges.local)?
    };
    if choices.chance(25)
        && let Some(flow) = to_service(choices, edges, local)
    {
        return Some(flow);
    }
    let others = if choices.chance(40) {
        &edges.local
    } else {
        &edges.addresses
    };
    let other = *choices.pick(others)?;
    if local.is_ipv4() != other.is_ipv4() {
        return None;
    }
    let (src, dst) = if choices.chance(50) {
        (local, other)
    } else {
        (other, local)
    };
    let protocol = if choices.chance(60) {
        choices.one(&[Protocol::TCP, Protocol::UDP])
    } else {
        *choices.pick(&edges.protocols)?
    };
    let icmp = if src.is_ipv4() {
        Protocol::ICMP
    } else {
        Protocol::ICMPV6
    };
    let l4 = if protocol.has_ports() {
        L4::Ports {
            src: *choices.pick(&edges.ports)?,
            dst: *choices.pick(&edges.ports)?,
        }
    } else if protocol == icmp {
        let (kind, code) = *choices.pick(&edges.icmp)?;
        L4::Icmp { kind, code }
    } else {
        L4::Other
    };
    Some(Flow {
        src,
        dst,
        protocol,
        l4,
    })
}

/// A flow between a local endpoint and a member of a set of ports: to its port, and sometimes from
/// it.
fn to_service(choices: &mut Choices, edges: &Edges, local: IpAddr) -> Option<Flow> {
    let (addr, protocol, port) = *choices.pick(&edges.services)?;
    if addr.is_ipv4() != local.is_ipv4() || !protocol.has_ports() {
        return None;
    }
    let (near, far) = (*choices.pick(&edges.ports)?, port);
    let to = choices.chance(70);
    let (src, dst) = if to { (local, addr) } else { (addr, local) };
    let (sport, dport) = if to { (near, far) } else { (far, near) };
    Some(Flow {
        src,
        dst,
        protocol,
        l4: L4::Ports {
            src: sport,
            dst: dport,
        },
    })
}
