//! What one endpoint needs, and the rows that point packets to its chains.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use p4_tables::{
    DropReason, endpoint_local_v4, endpoint_local_v6, endpoint_mac, endpoint_port,
    endpoint_source_v4, endpoint_source_v6,
};
use policy_model::{
    Direction, Family, IpSetId, Member, PolicyId, PolicyModel, ProfileId, Rule, Side,
    WorkloadEndpoint,
};
use serde::{Deserialize, Serialize};
use table_model::Row;

use crate::nets::{family_of, holds};
use crate::site::{Port, mac_number};
use crate::site_rows::RowMap;

/// The port that v1model drops to; stands where a closed endpoint has no port.
const NO_PORT: u16 = 511;

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
    /// Sets that the rules name.
    pub sets: BTreeSet<IpSetId>,
    /// Those that are about the endpoint's own side.
    pub local_sets: BTreeSet<IpSetId>,
}

impl Needs {
    pub(crate) fn new(model: &PolicyModel, endpoint: &WorkloadEndpoint) -> Self {
        let mut needs = Self::default();
        for direction in [Direction::Ingress, Direction::Egress] {
            let policies = endpoint
                .tiers
                .iter()
                .flat_map(|tier| tier.enforced(direction));
            for id in policies {
                if let Some(policy) = model.policy(id) {
                    needs.rules(direction, policy.rules(direction));
                }
                needs.policies.insert(id.clone());
            }
            for id in &endpoint.profiles {
                if let Some(profile) = model.profile(id) {
                    needs.rules(direction, profile.rules(direction));
                }
                needs.profiles.insert(id.clone());
            }
        }
        needs
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
            for id in sets_of(local).chain(sets_of(remote)) {
                if !self.sets.contains(id) {
                    self.sets.insert(id.clone());
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

/// Prefixes inside which no egress rule tells source addresses apart: the allowed source prefix
/// itself and every net and member inside it that a rule's source side names. Longest prefix match
/// puts each address under the right one. None if there are more than `limit`.
pub(crate) fn source_regions(
    model: &PolicyModel,
    endpoint: &WorkloadEndpoint,
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
    for rule in policies.chain(profiles).flatten() {
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

/// Collects the rows of one endpoint.
#[derive(Debug)]
pub(crate) struct Pointers<'a> {
    pub rows: &'a mut RowMap,
    /// None if the endpoint is closed.
    pub port: Option<Port>,
    /// MAC of the workload.
    pub mac: [u8; 6],
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
        self.put(endpoint_port::workload_port(key, felix_mac.is_some()));
        if let Some(mac) = felix_mac {
            self.put(endpoint_mac::permit_mac(endpoint_mac::key(
                number,
                mac_number(mac),
            )));
        }
    }

    /// Packets from this source at the endpoint's port. Chain 0 denies everything.
    pub(crate) fn source(&mut self, net: &IpNet, chain: u32) {
        let Some(Port { number, .. }) = self.port else {
            return;
        };
        self.put(match net {
            IpNet::V4(net) => {
                let key = endpoint_source_v4::key(number, net.network().into(), net.prefix_len());
                endpoint_source_v4::source_endpoint(key, chain)
            }
            IpNet::V6(net) => {
                let key = endpoint_source_v6::key(number, net.network().into(), net.prefix_len());
                endpoint_source_v6::source_endpoint(key, chain)
            }
        });
    }

    /// Packets to this address of the endpoint. A closed endpoint has the row as well: without it
    /// the address would count as remote.
    pub(crate) fn local(&mut self, addr: IpAddr, chain: u32) {
        let number = self.port.map_or(NO_PORT, |port| port.number);
        let mac = mac_number(self.mac);
        self.put(match addr {
            IpAddr::V4(addr) => {
                let key = endpoint_local_v4::key(addr.into());
                endpoint_local_v4::local_endpoint(key, number, mac, chain)
            }
            IpAddr::V6(addr) => {
                let key = endpoint_local_v6::key(addr.into());
                endpoint_local_v6::local_endpoint(key, number, mac, chain)
            }
        });
    }

    fn put(&mut self, row: Row) {
        self.rows.insert(row.key, row.action);
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
