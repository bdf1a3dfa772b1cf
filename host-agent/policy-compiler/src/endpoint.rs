//! What one endpoint needs, and the rows that point packets to its chains.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use p4_tables::{
    DropReason, endpoint_local_v4, endpoint_local_v6, endpoint_mac, endpoint_port,
    endpoint_source_v4, endpoint_source_v6,
};
use policy_model::{
    Direction, Family, HostLists, IpSetId, Limits, Member, PolicyId, PolicyModel, ProfileId, Rule,
    Side, Tier, WorkloadEndpoint, WorkloadId,
};
use serde::{Deserialize, Serialize};
use table_model::Row;

use crate::host::ForWorkload;
use crate::limits;
use crate::nets::{family_of, holds};
use crate::site::{HostPort, Port, mac_number};
use crate::site_rows::RowMap;

/// The port that v1model drops to; stands where a closed endpoint has no port.
pub(crate) const NO_PORT: u16 = 511;

/// How far an endpoint is enforced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EndpointState {
    /// All of it.
    Enforced,
    /// Some of it denies more than its policy says; the reasons are sentences for people.
    Partly {
        /// Why.
        reasons: Vec<String>,
    },
    /// Nothing passes.
    Closed {
        /// Why, a sentence for people.
        reason: String,
    },
    /// The DPU has no port for it, and nothing passes.
    NoPort {
        /// Interface that Felix names.
        interface: String,
    },
}

/// Who has legs and rows of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Owner {
    /// The node itself.
    Node,
    /// A workload.
    Workload(WorkloadId),
}

/// What a compiled endpoint holds on to.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub pointers: RowMap,
    /// Classes of its legs by family, one entry a pointer and step.
    pub legs: Vec<(Family, u32)>,
    /// Nodes of its legs' chains, one entry a pointer and step.
    pub nodes: Vec<u32>,
    pub needs: Needs,
    /// Addresses and prefixes that the legs were folded for.
    pub locals: Vec<IpNet>,
    pub state: EndpointState,
}

/// What an endpoint's legs are made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    pub policies: BTreeSet<PolicyId>,
    pub profiles: BTreeSet<ProfileId>,
    /// Sets that the rules ask of the endpoint's own side.
    pub local_sets: BTreeSet<IpSetId>,
    /// Sets that they ask of the other end.
    pub remote_sets: BTreeSet<IpSetId>,
}

impl Needs {
    pub(crate) fn new(model: &PolicyModel, endpoint: &WorkloadEndpoint) -> Self {
        let mut needs = Self::default();
        for direction in [Direction::Ingress, Direction::Egress] {
            needs.tiers(model, &endpoint.tiers, direction, direction);
            needs.profiles(model, &endpoint.profiles, direction);
        }
        needs
    }

    /// Lists of a host endpoint, folded for the destination's end or the source's.
    pub(crate) fn host(
        &mut self,
        model: &PolicyModel,
        lists: &HostLists<'_>,
        policies: Direction,
        direction: Direction,
    ) {
        self.tiers(model, lists.pre_dnat, policies, direction);
        self.tiers(model, lists.tiers, policies, direction);
        self.profiles(model, lists.profiles, policies);
    }

    fn tiers(
        &mut self,
        model: &PolicyModel,
        tiers: &[Tier],
        policies: Direction,
        direction: Direction,
    ) {
        for id in tiers.iter().flat_map(|tier| tier.enforced(policies)) {
            if let Some(policy) = model.policy(id) {
                self.rules(direction, policy.rules(policies));
            }
            self.policies.insert(id.clone());
        }
    }

    /// Only lists whose policies are about the end that is local have profiles.
    fn profiles(&mut self, model: &PolicyModel, profiles: &[ProfileId], direction: Direction) {
        for id in profiles {
            if let Some(profile) = model.profile(id) {
                self.rules(direction, profile.rules(direction));
            }
            self.profiles.insert(id.clone());
        }
    }

    fn rules(&mut self, direction: Direction, rules: &[Rule]) {
        for rule in rules {
            let (local, remote) = match direction {
                Direction::Ingress => (&rule.dst, &rule.src),
                Direction::Egress => (&rule.src, &rule.dst),
            };
            for id in sets_of(local) {
                if !self.local_sets.contains(id) {
                    self.local_sets.insert(id.clone());
                }
            }
            for id in sets_of(remote) {
                if !self.remote_sets.contains(id) {
                    self.remote_sets.insert(id.clone());
                }
            }
        }
    }
}

fn sets_of(side: &Side) -> impl Iterator<Item = &IpSetId> {
    let lists = [
        &side.sets,
        &side.not_sets,
        &side.named_ports,
        &side.not_named_ports,
        &side.ip_port_sets,
    ];
    lists.into_iter().flatten()
}

/// Prefixes inside which no rule that an egress leg asks tells source addresses apart: the allowed
/// source prefix itself and every net and member inside it that a rule's source side names. Longest
/// prefix match puts each address under the right one. None if there are more than `limit`.
pub(crate) fn source_regions(
    model: &PolicyModel,
    endpoint: &WorkloadEndpoint,
    host: &ForWorkload<'_>,
    limit: usize,
) -> Option<BTreeSet<IpNet>> {
    let wide: Vec<IpNet> = endpoint.spoofed_sources.iter().map(IpNet::trunc).collect();
    let mut regions: BTreeSet<IpNet> = wide.iter().copied().collect();
    if wide.is_empty() {
        return Some(regions);
    }
    let mut see = |net: IpNet| {
        if wide.iter().any(|wide| holds(wide, &net)) {
            regions.insert(net.trunc());
        }
        regions.len() <= limit
    };
    let policies = endpoint
        .tiers
        .iter()
        .flat_map(|tier| tier.enforced(Direction::Egress))
        .filter_map(|id| model.policy(id))
        .map(|policy| policy.rules(Direction::Egress));
    let profiles = endpoint
        .profiles
        .iter()
        .filter_map(|id| model.profile(id))
        .map(|profile| profile.rules(Direction::Egress));
    let of_host = host.at_source().flat_map(|(lists, direction)| {
        let tiers = lists.pre_dnat.iter().chain(lists.tiers);
        let ids = tiers.flat_map(move |tier| tier.enforced(direction));
        ids.filter_map(|id| model.policy(id))
            .map(move |policy| policy.rules(direction))
    });
    let failsafes = host.failsafe_nets();
    for net in failsafes {
        if !see(net) {
            return None;
        }
    }
    for rule in policies.chain(profiles).chain(of_host).flatten() {
        for net in rule.src.nets.iter().chain(&rule.src.not_nets) {
            if !see(*net) {
                return None;
            }
        }
        for set in sets_of(&rule.src).filter_map(|id| model.ip_set(id)) {
            for member in set.members.iter() {
                let net = match member {
                    Member::Net(net) => net,
                    Member::Port { addr, .. } => IpNet::from(addr),
                };
                if !see(net) {
                    return None;
                }
            }
        }
    }
    Some(regions)
}

/// First steps for what a workload sends, by where it goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outwards {
    pub local: u32,
    pub uplink: u32,
    pub node: u32,
}

/// First steps for what a workload gets, by where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inwards {
    pub local: u32,
    pub uplink: u32,
    pub untracked: u32,
}

/// Collects the rows of one endpoint.
#[derive(Debug)]
pub(crate) struct Pointers<'a> {
    pub rows: &'a mut RowMap,
    /// None if the endpoint is closed.
    pub port: Option<Port>,
    /// MAC of the workload.
    pub mac: [u8; 6],
    /// What it may send and get.
    pub limits: Limits,
}

impl Pointers<'_> {
    /// The port, and the MAC that its packets must have if Felix names one.
    pub(crate) fn port(&mut self, number: u16, felix_mac: Option<[u8; 6]>) {
        let key = endpoint_port::key(number);
        if self.port.is_none() {
            self.put(endpoint_port::closed_port(
                key,
                DropReason::EgressClosed as u8,
            ));
            return;
        }
        let limited = !self.limits.egress.is_empty();
        self.put(endpoint_port::workload_port(
            key,
            felix_mac.is_some(),
            limited,
        ));
        for row in limits::rows(number, self.limits) {
            self.put(row);
        }
        if let Some(mac) = felix_mac {
            self.put(endpoint_mac::permit_mac(endpoint_mac::key(
                number,
                mac_number(mac),
            )));
        }
    }

    /// Packets from this source at the endpoint's port. Chain 0 denies everything.
    pub(crate) fn source(&mut self, net: &IpNet, first: Outwards) {
        let Outwards {
            local,
            uplink,
            node,
        } = first;
        let Some(Port { number, .. }) = self.port else {
            return;
        };
        self.put(match net {
            IpNet::V4(net) => {
                let key = endpoint_source_v4::key(number, net.network().into(), net.prefix_len());
                endpoint_source_v4::source_endpoint(key, local, uplink, node)
            }
            IpNet::V6(net) => {
                let key = endpoint_source_v6::key(number, net.network().into(), net.prefix_len());
                endpoint_source_v6::source_endpoint(key, local, uplink, node)
            }
        });
    }

    /// Packets to this address of the endpoint. A closed endpoint has the row as well: without it
    /// the address would count as remote.
    pub(crate) fn local(&mut self, addr: IpAddr, first: Inwards) {
        let Inwards {
            local,
            uplink,
            untracked,
        } = first;
        let number = self.port.map_or(NO_PORT, |port| port.number);
        let mac = mac_number(self.mac);
        let limited = !self.limits.ingress.is_empty();
        self.put(match addr {
            IpAddr::V4(addr) => {
                let key = endpoint_local_v4::key(addr.into());
                endpoint_local_v4::local_endpoint(
                    key, number, mac, local, uplink, untracked, limited,
                )
            }
            IpAddr::V6(addr) => {
                let key = endpoint_local_v6::key(addr.into());
                endpoint_local_v6::local_endpoint(
                    key, number, mac, local, uplink, untracked, limited,
                )
            }
        });
    }

    fn put(&mut self, row: Row) {
        self.rows.insert(row.key, row.action);
    }
}

/// First steps of what the node itself sends or gets over the uplink; 0 if nothing judges it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfNode {
    pub chain: u32,
    pub untracked: u32,
}

/// The rows of one of the node's own addresses.
pub(crate) fn node_rows(
    port: HostPort,
    addr: IpAddr,
    inwards: OfNode,
    outwards: OfNode,
) -> [Row; 2] {
    let (number, mac) = (port.number, mac_number(port.mac));
    let (into, out) = (inwards, outwards);
    match addr {
        IpAddr::V4(addr) => {
            let source = endpoint_source_v4::key(number, addr.into(), 32);
            let local = endpoint_local_v4::key(addr.into());
            [
                endpoint_source_v4::source_node(source, out.chain, out.untracked),
                endpoint_local_v4::local_node(local, number, mac, into.chain, into.untracked),
            ]
        }
        IpAddr::V6(addr) => {
            let source = endpoint_source_v6::key(number, addr.into(), 128);
            let local = endpoint_local_v6::key(addr.into());
            [
                endpoint_source_v6::source_node(source, out.chain, out.untracked),
                endpoint_local_v6::local_node(local, number, mac, into.chain, into.untracked),
            ]
        }
    }
}

/// Whether a changed member may change how one of these places is folded.
pub(crate) fn concerns(member: &Member, locals: &[IpNet]) -> bool {
    match member {
        Member::Net(net) => locals
            .iter()
            .any(|local| holds(net, local) || holds(local, net)),
        Member::Port { addr, .. } => locals.iter().any(|local| {
            family_of(local) == family_of(&IpNet::from(*addr)) && local.contains(addr)
        }),
    }
}
