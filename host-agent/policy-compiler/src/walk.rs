//! A tiny interpreter of rows: what the pipeline does with the first packet of a flow.
//!
//! It knows the tables' names and fields from the schema and the order of lookups from
//! `p4/programs`, and nothing of how rows are made, so that it can hold the compiler to account.

mod look;

use std::collections::BTreeMap;
use std::net::IpAddr;

use p4_tables::DropReason;
use policy_model::{Direction, Flow, Protocol};
use serde::{Deserialize, Serialize};
use table_model::{ApplyError, FieldValue, Row, RowKey, TableId, TableSnapshot, Update};

use crate::chain::LegOwner;
use crate::endpoint::NO_PORT;
use look::{by_family, ids, l4, number, prefix_len};

/// All rows, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub struct Walker {
    rows: TableSnapshot,
    /// Prefix lengths in use, by table: how many rows have each.
    lengths: BTreeMap<TableId, BTreeMap<u8, usize>>,
}

/// One leg of policy as the rows decided it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LegWalk {
    /// Whose policy.
    pub owner: LegOwner,
    /// Direction of its policies.
    pub direction: Direction,
    /// First step; 0 is closed.
    pub chain: u32,
    /// Steps taken, the last one included.
    pub steps: usize,
    /// Outcome.
    pub allow: bool,
    /// Rule id of the verdict row; none for a closed leg and where untracked policy leaves the
    /// packet to the lists that track.
    pub rule: Option<u32>,
    /// Rows hit, in order.
    pub hits: Vec<Row>,
}

/// What became of a packet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Walk {
    /// It leaves.
    pub allow: bool,
    /// Why it does not, as the pipeline's counter names it.
    pub drop: Option<String>,
    /// Port that it leaves by.
    pub out_port: Option<u16>,
    /// Rows hit before policy.
    pub hits: Vec<Row>,
    /// In the order in which they are asked; a leg that was not is not here.
    pub legs: Vec<LegWalk>,
}

/// What one step says.
enum Said {
    /// Allowed by this rule; the next section begins there, 0 if there is none.
    Allowed(Option<u32>, u32),
    /// Denied.
    Denied(Option<u32>),
    /// Ask this step, 0 if there is none.
    Onward(u32),
}

/// What a chain comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Came {
    Allowed,
    Denied(DropReason),
    /// No rule of an untracked list accepted or denied it.
    Left,
}

/// What is behind a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Behind {
    Workload,
    Uplink,
    Node,
}

/// First steps at the source's end.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// To a local endpoint, to the uplink, to the node.
    Endpoint([u32; 3]),
    /// To the uplink, and before connections.
    Node([u32; 2]),
}

/// First steps at the destination's end.
#[derive(Clone, Copy, Debug)]
enum Local {
    /// From a local endpoint, from the uplink, and before connections.
    Endpoint([u32; 3]),
    /// From the uplink, and before connections.
    Node([u32; 2]),
}

/// Where a packet was sent and what judges it: the chain before connections, at the source's end and
/// at the destination's; none where nothing is asked.
struct Way {
    untracked: Option<u32>,
    outward: Option<u32>,
    inward: Option<u32>,
    /// Asked instead of `inward` once untracked policy has accepted; the others are then not.
    stateless: Option<u32>,
    from_node: bool,
}

impl Walker {
    /// Takes rows.
    #[must_use]
    pub fn new(rows: TableSnapshot) -> Self {
        let mut walker = Self::default();
        for (key, _) in rows.iter() {
            walker.note(key, true);
        }
        walker.rows = rows;
        walker
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &TableSnapshot {
        &self.rows
    }

    /// Applies one update strictly.
    ///
    /// # Errors
    /// An insert of what is there, a change of what is not.
    pub fn apply(&mut self, update: Update) -> Result<(), ApplyError> {
        let key = update.key().clone();
        let (insert, delete) = match update {
            Update::Insert(_) => (true, false),
            Update::Modify(_) => (false, false),
            Update::Delete(_) => (false, true),
        };
        self.rows.apply_update(update)?;
        if insert || delete {
            self.note(&key, insert);
        }
        Ok(())
    }

    fn note(&mut self, key: &RowKey, more: bool) {
        let Some(prefix_len) = prefix_len(key) else {
            return;
        };
        let lengths = self.lengths.entry(key.table).or_default();
        let count = lengths.entry(prefix_len).or_default();
        *count = if more { *count + 1 } else { *count - 1 };
        if *count == 0 {
            lengths.remove(&prefix_len);
        }
    }

    /// The port where a flow's first packet comes in: the source's if that is local, else the
    /// uplink.
    #[must_use]
    pub fn ingress_port(&self, flow: &Flow, uplink: u16) -> u16 {
        self.local(flow.src, &mut Vec::new())
            .map_or(uplink, |(port, _)| port)
    }

    /// Follows the first packet of a flow, that comes in at this port with an acceptable MAC.
    #[must_use]
    pub fn walk(&self, ingress_port: u16, flow: &Flow) -> Walk {
        let mut walk = Walk {
            allow: false,
            drop: None,
            out_port: None,
            hits: Vec::new(),
            legs: Vec::new(),
        };
        match self.pass(ingress_port, flow, &mut walk) {
            Ok(port) => {
                walk.allow = true;
                walk.out_port = Some(port);
            }
            Err(reason) => walk.drop = Some(reason.name().to_owned()),
        }
        walk
    }

    /// What each chain of a flow's two ends comes to, whatever the others say and whichever of them
    /// is asked: the source's for a local endpoint, the uplink and the node, the destination's from
    /// a local endpoint, from the uplink and before connections. None where there is none; the words
    /// are for comparison alone.
    #[must_use]
    pub fn chains(&self, ingress_port: u16, flow: &Flow) -> [Option<String>; 6] {
        let source = match self.source(ingress_port, flow.src, &mut Vec::new()) {
            Some(Source::Endpoint(chains)) => chains.map(Some),
            Some(Source::Node([uplink, untracked])) => [some(untracked), some(uplink), None],
            None => [None; 3],
        };
        let local = match self.local(flow.dst, &mut Vec::new()) {
            Some((_, Local::Endpoint([local, uplink, untracked]))) => {
                [Some(local), Some(uplink), some(untracked)]
            }
            Some((_, Local::Node([uplink, untracked]))) => [None, some(uplink), some(untracked)],
            None => [None; 3],
        };
        let ends = [(source, Direction::Egress), (local, Direction::Ingress)];
        let mut came = ends.into_iter().flat_map(|(chains, direction)| {
            chains.map(|chain| {
                let came = self.chain(direction, chain?, flow, &mut Vec::new());
                Some(format!("{came:?}"))
            })
        });
        std::array::from_fn(|_| came.next().flatten())
    }

    fn pass(&self, ingress_port: u16, flow: &Flow, walk: &mut Walk) -> Result<u16, DropReason> {
        let (way, out_port) = self.way(ingress_port, flow, &mut walk.hits)?;
        let mut inward = way.inward;
        let mut outward = way.outward;
        if let Some(chain) = way.untracked {
            let direction = way.untracked_direction();
            match self.chain(direction, chain, flow, &mut walk.legs) {
                Came::Denied(reason) => return Err(reason),
                Came::Left => {}
                Came::Allowed => (outward, inward) = (None, way.stateless),
            }
        }
        for (direction, chain) in [(Direction::Egress, outward), (Direction::Ingress, inward)] {
            let Some(chain) = chain else { continue };
            match self.chain(direction, chain, flow, &mut walk.legs) {
                Came::Denied(reason) => return Err(reason),
                Came::Left => return Err(DropReason::NoVerdict),
                Came::Allowed => {}
            }
        }
        Ok(out_port)
    }

    /// What a packet has to pass, and the port that it leaves by then.
    fn way(
        &self,
        ingress_port: u16,
        flow: &Flow,
        hits: &mut Vec<Row>,
    ) -> Result<(Way, u16), DropReason> {
        let port = [FieldValue::Exact(u128::from(ingress_port))];
        let kind = self
            .exact("endpoint_port", &port, hits)
            .ok_or(DropReason::UnknownPort)?;
        let behind = match kind.action.as_str() {
            "workload_port" => Behind::Workload,
            "uplink_port" => Behind::Uplink,
            "host_port" => Behind::Node,
            _ => {
                let reason = kind.params.first().and_then(|r| u8::try_from(*r).ok());
                let reason = reason.and_then(DropReason::from_index);
                return Err(reason.unwrap_or(DropReason::UnknownPort));
            }
        };
        let source = if behind == Behind::Uplink {
            None
        } else {
            self.source(ingress_port, flow.src, hits)
        };
        let local = self.local(flow.dst, hits);
        if !routable(flow.dst) {
            return Err(DropReason::NotRoutable);
        }
        let mut way = Way::nothing();
        match (behind, source, local) {
            (Behind::Workload, Some(Source::Endpoint([to_local, to_uplink, to_node])), local) => {
                way.outward = Some(match local {
                    None => to_uplink,
                    Some((_, Local::Endpoint([from_local, ..]))) => {
                        way.inward = Some(from_local);
                        to_local
                    }
                    Some((_, Local::Node(_))) => to_node,
                });
                if self.is_tunnel(flow, hits) {
                    return Err(DropReason::Tunnel);
                }
            }
            (Behind::Node, Some(Source::Node([to_uplink, untracked])), None) => {
                way.outward = some(to_uplink);
                way.untracked = some(untracked);
                way.from_node = true;
            }
            (Behind::Node, Some(Source::Node(_)), Some((port, Local::Endpoint(_)))) => {
                if port == NO_PORT {
                    return Err(DropReason::IngressClosed);
                }
            }
            (Behind::Node, Some(Source::Node(_)), Some((_, Local::Node(_)))) => {
                return Err(DropReason::ToHost);
            }
            (Behind::Workload | Behind::Node, ..) => return Err(DropReason::SpoofedAddress),
            (Behind::Uplink, _, None) => return Err(DropReason::NotLocal),
            (Behind::Uplink, _, Some((_, Local::Endpoint([from_local, uplink, untracked])))) => {
                way.inward = Some(uplink);
                way.untracked = some(untracked);
                way.stateless = Some(from_local);
            }
            (Behind::Uplink, _, Some((_, Local::Node([uplink, untracked])))) => {
                way.inward = some(uplink);
                way.untracked = some(untracked);
            }
        }
        let out_port = match local {
            Some((port, _)) => port,
            None => self.route(flow.dst, hits)?,
        };
        Ok((way, out_port))
    }

    fn source(&self, port: u16, src: IpAddr, hits: &mut Vec<Row>) -> Option<Source> {
        let port = [FieldValue::Exact(u128::from(port))];
        let hit = self.longest(by_family(src, "endpoint_source"), &port, src, hits)?;
        Some(if hit.action == "source_node" {
            Source::Node(ids(&hit.params, 0)?)
        } else {
            Source::Endpoint(ids(&hit.params, 0)?)
        })
    }

    fn local(&self, dst: IpAddr, hits: &mut Vec<Row>) -> Option<(u16, Local)> {
        let key = [FieldValue::Exact(number(dst))];
        let hit = self.exact(by_family(dst, "endpoint_local"), &key, hits)?;
        let port = u16::try_from(*hit.params.first()?).ok()?;
        let local = if hit.action == "local_node" {
            Local::Node(ids(&hit.params, 2)?)
        } else {
            Local::Endpoint(ids(&hit.params, 2)?)
        };
        Some((port, local))
    }

    fn is_tunnel(&self, flow: &Flow, hits: &mut Vec<Row>) -> bool {
        let (port, vxlan, ipip) = match self.exact("acl_settings", &[], hits) {
            Some(hit) => match hit.params.as_slice() {
                [_, port, vxlan, ipip] => (*port, *vxlan == 1, *ipip == 1),
                _ => (4789, true, true),
            },
            None => (4789, true, true),
        };
        let (_, dport) = l4(flow);
        vxlan && flow.protocol == Protocol::UDP && u128::from(dport) == port
            || ipip && flow.protocol == Protocol(4)
    }

    fn route(&self, dst: IpAddr, hits: &mut Vec<Row>) -> Result<u16, DropReason> {
        let hit = self
            .longest(by_family(dst, "route"), &[], dst, hits)
            .ok_or(DropReason::NoRoute)?;
        match hit.action.as_str() {
            "route" => {
                let id = hit.params.first().copied().unwrap_or_default();
                let next_hop = self
                    .exact("route_next_hop", &[FieldValue::Exact(id)], hits)
                    .ok_or(DropReason::NoRoute)?;
                let port = next_hop.params.first().and_then(|p| u16::try_from(*p).ok());
                port.ok_or(DropReason::NoRoute)
            }
            "to_host" => Err(DropReason::ToHost),
            _ => Err(DropReason::NoRoute),
        }
    }

    /// A chain, section by section, each of them a leg.
    fn chain(
        &self,
        direction: Direction,
        chain: u32,
        flow: &Flow,
        legs: &mut Vec<LegWalk>,
    ) -> Came {
        if chain == 0 {
            legs.push(LegWalk::new(LegOwner::Workload, direction, 0));
            return Came::Denied(match direction {
                Direction::Egress => DropReason::EgressClosed,
                Direction::Ingress => DropReason::IngressClosed,
            });
        }
        let mut at = chain;
        let mut leg: Option<LegWalk> = None;
        // A chain cannot lead back into itself; rows that do are nobody's to follow.
        for _ in 0..4096 {
            let mut hits = Vec::new();
            let Some((reason, said)) = self.step(direction, at, flow, &mut hits) else {
                break;
            };
            let (owner, of) = owner(reason, direction);
            let current = leg.get_or_insert_with(|| LegWalk::new(owner, of, at));
            current.steps += 1;
            current.hits.append(&mut hits);
            match said {
                Said::Onward(0) if owner == LegOwner::Untracked => {
                    current.allow = true;
                    legs.extend(leg);
                    return Came::Left;
                }
                // A section that nothing of applied to.
                Said::Onward(to) => {
                    at = to;
                    if self.reason(to).is_some_and(|next| next != reason) {
                        leg = None;
                    }
                }
                Said::Denied(rule) => {
                    current.rule = rule;
                    legs.extend(leg);
                    return Came::Denied(reason);
                }
                Said::Allowed(rule, behind) => {
                    (current.allow, current.rule) = (true, rule);
                    legs.extend(leg.take());
                    if behind == 0 {
                        return Came::Allowed;
                    }
                    at = behind;
                }
            }
        }
        legs.extend(leg);
        Came::Denied(DropReason::NoVerdict)
    }
}

impl LegWalk {
    fn new(owner: LegOwner, direction: Direction, chain: u32) -> Self {
        Self {
            owner,
            direction,
            chain,
            steps: 0,
            allow: false,
            rule: None,
            hits: Vec::new(),
        }
    }
}

impl Way {
    const fn nothing() -> Self {
        Self {
            untracked: None,
            outward: None,
            inward: None,
            stateless: None,
            from_node: false,
        }
    }

    /// Which end the chain before connections is about.
    const fn untracked_direction(&self) -> Direction {
        if self.from_node {
            Direction::Egress
        } else {
            Direction::Ingress
        }
    }
}

/// A first step, if there is such a leg.
fn some(chain: u32) -> Option<u32> {
    (chain != 0).then_some(chain)
}

/// Whose policy a step is, by what its denies count as, and which direction of it.
fn owner(reason: DropReason, direction: Direction) -> (LegOwner, Direction) {
    match reason {
        DropReason::HostEndpointIngress => (LegOwner::HostEndpoint, Direction::Ingress),
        DropReason::HostEndpointEgress => (LegOwner::HostEndpoint, Direction::Egress),
        DropReason::HostEndpointUntracked => (LegOwner::Untracked, direction),
        DropReason::ToHost => (LegOwner::Node, Direction::Ingress),
        DropReason::EgressPolicy => (LegOwner::Workload, Direction::Egress),
        _ => (LegOwner::Workload, Direction::Ingress),
    }
}

fn routable(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => !addr.is_multicast() && !addr.is_broadcast(),
        IpAddr::V6(addr) => !addr.is_multicast() && !addr.is_unicast_link_local(),
    }
}
