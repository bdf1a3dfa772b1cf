//! Compiling one endpoint.

use std::collections::BTreeSet;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;
use policy_model::{Direction, IpSetId, PolicyModel, WorkloadEndpoint, WorkloadId};

use super::{Compiler, place};
use crate::chain::{Node, links};
use crate::endpoint::{Endpoint, EndpointState, Needs, Pointers, source_regions};
use crate::fold::Fold;
use crate::journal::Journal;
use crate::nets::family_of;
use crate::site::{Port, Site};
use crate::site_rows::RowMap;

/// The chain that denies everything.
const CLOSED: u32 = 0;

/// Rows that the allowed source prefixes of one endpoint may take.
const SOURCE_REGIONS: usize = 1024;

impl Compiler {
    /// Compiles an endpoint as the model has it; none if it has none.
    pub(super) fn compile_endpoint(
        &mut self,
        model: &PolicyModel,
        site: &Site,
        id: &WorkloadId,
        journal: &mut Journal,
    ) -> Option<Endpoint> {
        let endpoint = model.workload(id)?;
        let mut state = self.own_state(site, id, endpoint);
        let port = site.workload_ports.get(&endpoint.interface).copied();
        let open = matches!(state, EndpointState::Enforced);
        let mac = endpoint.mac.or(port.and_then(|port| port.mac));
        let mut out = Endpoint {
            pointers: RowMap::new(),
            legs: Vec::new(),
            nodes: Vec::new(),
            needs: Needs::new(model, endpoint),
            locals: Vec::new(),
            state: EndpointState::Enforced,
        };
        let mut pointers = Pointers {
            rows: &mut out.pointers,
            port: port.filter(|_| open),
            mac: mac.unwrap_or_default(),
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

        let mut asked: HashMap<IpNet, HashMap<IpSetId, bool, FixedState>, FixedState> =
            HashMap::default();
        let owned: BTreeSet<IpNet> = endpoint
            .addresses()
            .filter(|addr| model.owner(*addr) == Some(id))
            .map(IpNet::from)
            .collect();
        let mut leg = |direction, local: IpNet| {
            let asked = asked.entry(local).or_default();
            self.leg(
                model,
                endpoint,
                direction,
                local,
                asked,
                (&mut out.legs, &mut out.nodes),
                journal,
            )
        };
        for local in &owned {
            let ids = if ingress {
                leg(Direction::Ingress, *local)
            } else {
                Ok(CLOSED)
            };
            pointers.local(local.addr(), keep(ids, &mut reasons));
            let ids = if egress {
                leg(Direction::Egress, *local)
            } else {
                Ok(CLOSED)
            };
            pointers.source(local, keep(ids, &mut reasons));
        }
        out.locals.extend(&owned);
        if open && egress {
            out.locals.extend(&endpoint.spoofed_sources);
            match source_regions(model, endpoint, SOURCE_REGIONS) {
                Some(regions) => {
                    for region in regions.difference(&owned) {
                        let ids = leg(Direction::Egress, *region);
                        pointers.source(region, keep(ids, &mut reasons));
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
        let uplink = site.uplink.as_ref();
        if uplink.is_some_and(|uplink| uplink.port == port.number) {
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

    /// The chain of one leg of one local address.
    #[expect(
        clippy::too_many_arguments,
        reason = "a leg is made of this much, and all of it is borrowed apart"
    )]
    fn leg(
        &mut self,
        model: &PolicyModel,
        endpoint: &WorkloadEndpoint,
        direction: Direction,
        local: IpNet,
        asked: &mut HashMap<IpSetId, bool, FixedState>,
        (legs, nodes): (&mut Vec<(policy_model::Family, u32)>, &mut Vec<u32>),
        journal: &mut Journal,
    ) -> Result<u32, String> {
        let family = family_of(&local);
        let plane = &mut self.planes[place(family)];
        let mut fold = Fold {
            model,
            atoms: &mut plane.atoms,
            rules: &mut self.shared.rules,
            family,
            direction,
            local,
            own_ports: &mut self.own_ports,
            asked: std::mem::take(asked),
        };
        let steps = fold.leg(endpoint);
        *asked = fold.asked;
        let links = links(&steps, self.short_leg, direction, family);
        let mut classes = Vec::with_capacity(links.len());
        let mut ways = Vec::with_capacity(links.len());
        for link in links {
            let class = plane
                .intern_class(link.program, &mut self.shared, journal)
                .map_err(|_| {
                    format!("its rules tell more than 65536 groups of ports apart at {local}")
                })?;
            classes.push(class);
            ways.push((link.next, link.pass));
        }
        // From the end, as a node is named by what follows it.
        let mut ids = vec![CLOSED; classes.len()];
        for (at, (class, (next, pass))) in classes.iter().zip(ways).enumerate().rev() {
            let class = &plane.classes[*class];
            let id = |way: Option<usize>| way.and_then(|way| ids.get(way)).copied();
            let node = Node {
                class: class.id,
                ports: class.ports,
                source_ports: class.source_ports,
                next: id(next).unwrap_or(CLOSED),
                pass: id(pass).unwrap_or(CLOSED),
            };
            let (node, id) = self.shared.chains.intern(node, journal);
            nodes.push(node);
            ids[at] = id;
        }
        legs.extend(classes.into_iter().map(|class| (family, class)));
        Ok(ids.first().copied().unwrap_or(CLOSED))
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
        id: &WorkloadId,
        new: Option<Endpoint>,
    ) -> Option<Endpoint> {
        let old = self.endpoints.remove(id);
        if let Some(old) = &old {
            unlink(&mut self.by_policy, &old.needs.policies, id);
            unlink(&mut self.by_profile, &old.needs.profiles, id);
            unlink(&mut self.by_set, &old.needs.sets, id);
            unlink(&mut self.by_local_set, &old.needs.local_sets, id);
        }
        if let Some(new) = new {
            link(&mut self.by_policy, &new.needs.policies, id);
            link(&mut self.by_profile, &new.needs.profiles, id);
            link(&mut self.by_set, &new.needs.sets, id);
            link(&mut self.by_local_set, &new.needs.local_sets, id);
            self.endpoints.insert(id.clone(), new);
        }
        old
    }
}

/// The chain of a leg; one that cannot be compiled denies everything and says why.
fn keep(leg: Result<u32, String>, reasons: &mut Vec<String>) -> u32 {
    leg.unwrap_or_else(|reason| {
        reasons.push(reason);
        CLOSED
    })
}

type Index<K> = std::collections::BTreeMap<K, BTreeSet<WorkloadId>>;

fn link<K: Ord + Clone>(index: &mut Index<K>, keys: &BTreeSet<K>, id: &WorkloadId) {
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

fn unlink<K: Ord>(index: &mut Index<K>, keys: &BTreeSet<K>, id: &WorkloadId) {
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
