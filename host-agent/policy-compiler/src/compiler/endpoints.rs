//! Compiling one endpoint, or the node itself.

use std::collections::BTreeSet;

use ipnet::IpNet;
use p4_tables::endpoint_port;
use policy_model::{Direction, Limits, PolicyModel, WorkloadEndpoint, WorkloadId};

use super::legs::{Legs, Put};
use super::{Compiler, place};
use crate::endpoint::{
    Endpoint, EndpointState, Inwards, Needs, OfNode, Outwards, Owner, Pointers, node_rows,
    source_regions,
};
use crate::host::{ForNode, ForWorkload};
use crate::journal::Journal;
use crate::site::{Port, Site};
use crate::site_rows::RowMap;

/// The chain that denies everything.
const CLOSED: u32 = 0;

/// Rows that the allowed source prefixes of one endpoint may take.
const SOURCE_REGIONS: usize = 1024;

impl Compiler {
    /// Compiles an endpoint as the model has it; none if it has none.
    pub(super) fn compile(
        &mut self,
        model: &PolicyModel,
        site: &Site,
        owner: &Owner,
        journal: &mut Journal,
    ) -> Option<Endpoint> {
        match owner {
            Owner::Node => self.compile_node(model, site, journal),
            Owner::Workload(id) => self.compile_endpoint(model, site, id, journal),
        }
    }

    fn compile_endpoint(
        &mut self,
        model: &PolicyModel,
        site: &Site,
        id: &WorkloadId,
        journal: &mut Journal,
    ) -> Option<Endpoint> {
        let endpoint = model.workload(id)?;
        let host = ForWorkload::new(model, &self.semantics);
        let to_node = site.host.is_some() && !self.semantics.policy_only;
        let mut state = self.own_state(site, id, endpoint);
        let port = site.workload_ports.get(&endpoint.interface).copied();
        let open = matches!(state, EndpointState::Enforced);
        let mac = endpoint.mac.or(port.and_then(|port| port.mac));
        let mut needs = Needs::new(model, endpoint);
        host.need(model, &mut needs);
        let mut out = Endpoint {
            pointers: RowMap::new(),
            legs: Vec::new(),
            nodes: Vec::new(),
            needs,
            locals: Vec::new(),
            state: EndpointState::Enforced,
        };
        let mut pointers = Pointers {
            rows: &mut out.pointers,
            port: port.filter(|_| open),
            mac: mac.unwrap_or_default(),
            limits: if self.semantics.limits && !self.semantics.policy_only {
                endpoint.limits
            } else {
                Limits::default()
            },
        };
        if let Some(Port { number, .. }) = port
            && self.port_owner.get(&number) == Some(id)
            && !matches!(state, EndpointState::NoPort { .. })
        {
            pointers.port(number, endpoint.mac);
        }

        let mut reasons = Vec::new();
        let mut leg_open = |direction| match model.leg_refusal(id, direction, &self.semantics) {
            Some(refusal) => {
                let leg = match direction {
                    Direction::Ingress => "ingress",
                    Direction::Egress => "egress",
                };
                reasons.push(format!("{leg} denies everything: {refusal}"));
                false
            }
            None => open,
        };
        let ingress = leg_open(Direction::Ingress);
        let egress = leg_open(Direction::Egress);

        let owned: BTreeSet<IpNet> = endpoint
            .addresses()
            .filter(|addr| model.owner(*addr) == Some(id))
            .map(IpNet::from)
            .collect();
        for local in &owned {
            let in_use = (&mut out.legs, &mut out.nodes);
            let mut legs = Legs::new(self, model, *local, in_use, journal);
            let first = if ingress {
                inwards(&mut legs, endpoint, &host)
            } else {
                Ok(Inwards::default())
            };
            pointers.local(local.addr(), keep(first, &mut reasons));
            let first = if egress {
                outwards(&mut legs, endpoint, &host, to_node)
            } else {
                Ok(Outwards::default())
            };
            pointers.source(local, keep(first, &mut reasons));
        }
        out.locals.extend(&owned);
        if open && egress {
            out.locals.extend(&endpoint.spoofed_sources);
            match source_regions(model, endpoint, &host, SOURCE_REGIONS) {
                Some(regions) => {
                    for region in regions.difference(&owned) {
                        let in_use = (&mut out.legs, &mut out.nodes);
                        let mut legs = Legs::new(self, model, *region, in_use, journal);
                        let first = outwards(&mut legs, endpoint, &host, to_node);
                        pointers.source(region, keep(first, &mut reasons));
                    }
                }
                None => reasons.push(format!(
                    "allowed source prefixes are denied: its rules tell more than \
                     {SOURCE_REGIONS} source nets apart inside them"
                )),
            }
        }
        if open && !reasons.is_empty() {
            state = EndpointState::Partly { reasons };
        }
        out.state = state;
        Some(out)
    }

    /// The node itself: its port, and the legs of its own addresses; none without a port for it.
    fn compile_node(
        &mut self,
        model: &PolicyModel,
        site: &Site,
        journal: &mut Journal,
    ) -> Option<Endpoint> {
        let port = site.host.filter(|_| !self.semantics.policy_only)?;
        let host = ForNode::new(model, &self.semantics);
        let mut needs = Needs::default();
        host.need(model, &mut needs);
        let mut out = Endpoint {
            pointers: RowMap::new(),
            legs: Vec::new(),
            nodes: Vec::new(),
            needs,
            locals: Vec::new(),
            state: EndpointState::Enforced,
        };
        let row = endpoint_port::host_port(endpoint_port::key(port.number));
        out.pointers.insert(row.key, row.action);
        for addr in model.node_addresses(&self.semantics.node) {
            // Inside a burst a workload may have the address still.
            if model.owner(addr).is_some() {
                continue;
            }
            let local = IpNet::from(addr);
            let in_use = (&mut out.legs, &mut out.nodes);
            let mut legs = Legs::new(self, model, local, in_use, journal);
            let [into, from] = [Direction::Ingress, Direction::Egress].map(|direction| {
                let place = usize::from(direction == Direction::Egress);
                let mut chain = |asked: &Option<_>| {
                    let asked = asked.as_ref();
                    let section = match legs.host(direction, asked, &host.failsafes) {
                        Ok(section) => section,
                        // Lists that no row can tell deny; so simple a section can always be.
                        Err(_) => asked
                            .and_then(|asked| legs.deny(direction, asked).ok())
                            .flatten(),
                    };
                    legs.link(&[&section])
                };
                OfNode {
                    chain: chain(&host.normal[place]),
                    untracked: chain(&host.untracked[place]),
                }
            });
            for row in node_rows(port, addr, into, from) {
                out.pointers.insert(row.key, row.action);
            }
            out.locals.push(local);
        }
        Some(out)
    }

    /// What the endpoint itself allows, its policy aside.
    fn own_state(
        &self,
        site: &Site,
        id: &WorkloadId,
        endpoint: &WorkloadEndpoint,
    ) -> EndpointState {
        let interface = &endpoint.interface;
        let closed = |reason: String| EndpointState::Closed { reason };
        let Some(port) = site.workload_ports.get(interface) else {
            return EndpointState::NoPort {
                interface: interface.clone(),
            };
        };
        let taken = [
            site.uplink.as_ref().map(|uplink| uplink.port),
            site.host.map(|host| host.number),
        ];
        if taken.contains(&Some(port.number)) {
            return EndpointState::NoPort {
                interface: interface.clone(),
            };
        }
        match self.port_owner.get(&port.number) {
            Some(owner) if owner == id => {}
            Some(owner) => {
                return closed(format!("port {} belongs to endpoint {owner}", port.number));
            }
            None => return closed(format!("port {} has no owner", port.number)),
        }
        if !endpoint.active {
            return closed("the endpoint is not active".into());
        }
        if endpoint.mac.or(port.mac).is_none() {
            return closed(format!(
                "neither Felix nor the DPU knows the MAC of interface {interface}"
            ));
        }
        EndpointState::Enforced
    }

    /// Counts an endpoint's legs at their classes and nodes.
    pub(super) fn count_legs(&mut self, endpoint: Option<&Endpoint>, more: bool) {
        for (family, class) in endpoint.into_iter().flat_map(|endpoint| &endpoint.legs) {
            self.planes[place(*family)].count_leg(*class, more);
        }
        for node in endpoint.into_iter().flat_map(|endpoint| &endpoint.nodes) {
            self.shared.chains.count(*node, more);
        }
    }

    /// Puts an endpoint in the place of what was there, which is returned.
    pub(super) fn replace_endpoint(
        &mut self,
        id: &Owner,
        new: Option<Endpoint>,
    ) -> Option<Endpoint> {
        let old = self.endpoints.remove(id);
        if let Some(old) = &old {
            unlink(&mut self.by_policy, &old.needs.policies, id);
            unlink(&mut self.by_profile, &old.needs.profiles, id);
            unlink(&mut self.by_local_set, &old.needs.local_sets, id);
            unlink(&mut self.by_remote_set, &old.needs.remote_sets, id);
        }
        if let Some(new) = new {
            link(&mut self.by_policy, &new.needs.policies, id);
            link(&mut self.by_profile, &new.needs.profiles, id);
            link(&mut self.by_local_set, &new.needs.local_sets, id);
            link(&mut self.by_remote_set, &new.needs.remote_sets, id);
            self.endpoints.insert(id.clone(), new);
        }
        old
    }
}

/// Chains of what a workload gets at one address.
fn inwards(
    legs: &mut Legs<'_>,
    endpoint: &WorkloadEndpoint,
    host: &ForWorkload<'_>,
) -> Result<Inwards, String> {
    let direction = Direction::Ingress;
    let mut section = |asked: &Option<_>| legs.host(direction, asked.as_ref(), &host.failsafes);
    let to: Option<_> = section(&host.to)?;
    let uplink = section(&host.uplink_in)?;
    let untracked = section(&host.untracked)?;
    let alone = to.is_none() && uplink.is_none();
    let own = legs.workload(endpoint, direction, alone)?;
    Ok(Inwards {
        local: legs.link(&[&own, &to]),
        uplink: legs.link(&[&uplink, &own, &to]),
        untracked: legs.link(&[&untracked]),
    })
}

/// Chains of what a workload sends from one address.
fn outwards(
    legs: &mut Legs<'_>,
    endpoint: &WorkloadEndpoint,
    host: &ForWorkload<'_>,
    to_node: bool,
) -> Result<Outwards, String> {
    let direction = Direction::Egress;
    let mut section = |asked: &Option<_>| legs.host(direction, asked.as_ref(), &host.failsafes);
    let from = section(&host.from)?;
    let uplink = section(&host.uplink_out)?;
    let before_node = section(&host.to_node)?;
    let alone = from.is_none() && uplink.is_none() && before_node.is_none();
    let own = legs.workload(endpoint, direction, alone)?;
    let mut first = Outwards {
        local: legs.link(&[&from, &own]),
        uplink: legs.link(&[&from, &own, &uplink]),
        node: CLOSED,
    };
    if to_node {
        let icmp = legs.router_icmp()?;
        let drops: Put = if legs.model.config().endpoint_reaches_host() {
            Ok(None)
        } else {
            legs.endpoint_to_host()
        };
        first.node = legs.link(&[&before_node, &icmp, &own, &drops?]);
    }
    Ok(first)
}

/// The chains of a leg; one that cannot be compiled denies everything and says why.
fn keep<T: Default>(leg: Result<T, String>, reasons: &mut Vec<String>) -> T {
    leg.unwrap_or_else(|reason| {
        reasons.push(reason);
        T::default()
    })
}

type Index<K> = std::collections::BTreeMap<K, BTreeSet<Owner>>;

fn link<K: Ord + Clone>(index: &mut Index<K>, keys: &BTreeSet<K>, id: &Owner) {
    for key in keys {
        match index.get_mut(key) {
            Some(ids) => {
                ids.insert(id.clone());
            }
            None => {
                index.insert(key.clone(), BTreeSet::from([id.clone()]));
            }
        }
    }
}

fn unlink<K: Ord>(index: &mut Index<K>, keys: &BTreeSet<K>, id: &Owner) {
    for key in keys {
        let Some(ids) = index.get_mut(key) else {
            continue;
        };
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
