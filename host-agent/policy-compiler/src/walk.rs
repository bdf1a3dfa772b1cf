//! A tiny interpreter of rows: what the pipeline does with the first packet of a flow.
//!
//! It knows the tables' names and fields from the schema and the order of lookups from
//! `p4/programs`, and nothing of how rows are made, so that it can hold the compiler to account.

use std::collections::BTreeMap;
use std::net::IpAddr;

use p4_tables::{DropReason, schema};
use policy_model::{Direction, Flow, L4, Protocol};
use serde::{Deserialize, Serialize};
use table_model::{
    ApplyError, FieldValue, MatchKind, Row, RowKey, TableId, TableSchema, TableSnapshot, Update,
};

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
    /// Leg.
    pub direction: Direction,
    /// First step of the endpoint's chain; 0 is closed.
    pub chain: u32,
    /// Steps taken, the last one included.
    pub steps: usize,
    /// Outcome.
    pub allow: bool,
    /// Rule id of the verdict row.
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
    /// Egress first, then ingress; a leg that was not asked is not here.
    pub legs: Vec<LegWalk>,
}

/// A hit, unpacked.
struct Hit {
    action: String,
    params: Vec<u128>,
}

/// What one step says.
enum Said {
    /// Allow or deny, by this rule.
    Decided(bool, Option<u32>),
    /// Ask this step.
    Onward(u32),
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

    /// One leg of a flow, whatever the other one says; none if the rows know no endpoint there.
    #[must_use]
    pub fn leg_of(&self, direction: Direction, ingress_port: u16, flow: &Flow) -> Option<LegWalk> {
        let chain = match direction {
            Direction::Egress => {
                let port = [FieldValue::Exact(u128::from(ingress_port))];
                let kind = self.exact("endpoint_port", &port, &mut Vec::new())?;
                if kind.action != "workload_port" {
                    return None;
                }
                self.source(ingress_port, flow.src, &mut Vec::new())?
            }
            Direction::Ingress => self.local(flow.dst, &mut Vec::new())?.1,
        };
        Some(self.leg(direction, chain, flow))
    }

    fn pass(&self, ingress_port: u16, flow: &Flow, walk: &mut Walk) -> Result<u16, DropReason> {
        let port = [FieldValue::Exact(u128::from(ingress_port))];
        let kind = self
            .exact("endpoint_port", &port, &mut walk.hits)
            .ok_or(DropReason::UnknownPort)?;
        let workload = match kind.action.as_str() {
            "workload_port" => true,
            "uplink_port" => false,
            _ => {
                let reason = kind.params.first().and_then(|r| u8::try_from(*r).ok());
                let reason = reason.and_then(DropReason::from_index);
                return Err(reason.unwrap_or(DropReason::UnknownPort));
            }
        };
        let source = if workload {
            self.source(ingress_port, flow.src, &mut walk.hits)
        } else {
            None
        };
        let local = self.local(flow.dst, &mut walk.hits);
        if !routable(flow.dst) {
            return Err(DropReason::NotRoutable);
        }
        match (workload, source.is_some(), local.is_some()) {
            (true, false, _) => return Err(DropReason::SpoofedAddress),
            (false, _, false) => return Err(DropReason::NotLocal),
            _ => {}
        }
        if source.is_some() && self.is_tunnel(flow, &mut walk.hits) {
            return Err(DropReason::Tunnel);
        }
        let out_port = match local {
            Some((port, _)) => port,
            None => self.route(flow.dst, &mut walk.hits)?,
        };
        if let Some(chain) = source {
            let leg = self.leg(Direction::Egress, chain, flow);
            let allow = leg.allow;
            walk.legs.push(leg);
            if !allow {
                return Err(denial(
                    chain,
                    DropReason::EgressClosed,
                    DropReason::EgressPolicy,
                ));
            }
        }
        if let Some((_, chain)) = local {
            let leg = self.leg(Direction::Ingress, chain, flow);
            let allow = leg.allow;
            walk.legs.push(leg);
            if !allow {
                return Err(denial(
                    chain,
                    DropReason::IngressClosed,
                    DropReason::IngressPolicy,
                ));
            }
        }
        Ok(out_port)
    }

    fn source(&self, port: u16, src: IpAddr, hits: &mut Vec<Row>) -> Option<u32> {
        let port = [FieldValue::Exact(u128::from(port))];
        let hit = self.longest(by_family(src, "endpoint_source"), &port, src, hits)?;
        u32::try_from(*hit.params.first()?).ok()
    }

    fn local(&self, dst: IpAddr, hits: &mut Vec<Row>) -> Option<(u16, u32)> {
        let key = [FieldValue::Exact(number(dst))];
        let hit = self.exact(by_family(dst, "endpoint_local"), &key, hits)?;
        let port = u16::try_from(*hit.params.first()?).ok()?;
        Some((port, u32::try_from(*hit.params.get(2)?).ok()?))
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

    /// One leg of policy, step by step.
    fn leg(&self, direction: Direction, chain: u32, flow: &Flow) -> LegWalk {
        let mut leg = LegWalk {
            direction,
            chain,
            steps: 0,
            allow: false,
            rule: None,
            hits: Vec::new(),
        };
        let mut at = chain;
        while at != 0 {
            leg.steps += 1;
            match self.step(direction, at, flow, &mut leg.hits) {
                Some(Said::Decided(allow, rule)) => {
                    (leg.allow, leg.rule) = (allow, rule);
                    break;
                }
                // A chain cannot lead back into itself; rows that do are nobody's to follow.
                Some(Said::Onward(to)) if leg.steps < 4096 => at = to,
                Some(Said::Onward(_)) | None => break,
            }
        }
        leg
    }

    fn step(
        &self,
        direction: Direction,
        chain: u32,
        flow: &Flow,
        hits: &mut Vec<Row>,
    ) -> Option<Said> {
        let key = [FieldValue::Exact(u128::from(chain))];
        let node = self.exact("acl_chain", &key, hits)?;
        let mut ids = node.params.iter().map(|id| u32::try_from(*id).ok());
        let mut id = || ids.next().flatten();
        let (class, ports, source_ports) = (id()?, id()?, id()?);
        let (next, pass) = (id()?, id()?);
        let (sport, dport) = l4(flow);
        let (remote, remote_port) = match direction {
            Direction::Egress => (flow.dst, dport),
            Direction::Ingress => (flow.src, sport),
        };
        let exact = |value: u32| FieldValue::Exact(u128::from(value));
        let protocol = FieldValue::Exact(u128::from(flow.protocol.0));
        let address = FieldValue::Exact(number(remote));

        let service = [
            address,
            protocol,
            FieldValue::Exact(u128::from(remote_port)),
        ];
        let host_label = self
            .exact(by_family(remote, "acl_service"), &service, hits)
            .or_else(|| self.exact(by_family(remote, "acl_host"), &[address], hits));
        let net_label = self.longest(by_family(remote, "acl_net"), &[], remote, hits);
        let first = |hit: Option<Hit>| hit.and_then(|hit| hit.params.first().copied());
        let mut host = (0, 0);
        let mut net = (0, 0);
        if let Some(label) = first(host_label) {
            let key = [exact(class), FieldValue::Exact(label)];
            if let Some(hit) = self.exact("acl_host_group", &key, hits) {
                host = pair(&hit.params);
            }
        }
        if let Some(label) = first(net_label) {
            let key = [exact(class), FieldValue::Exact(label)];
            if let Some(hit) = self.exact("acl_net_group", &key, hits) {
                net = pair(&hit.params);
            }
        }
        let mut group = host.1;
        if net.0 != 0 {
            if host.0 == 0 {
                group = net.1;
            } else {
                let key = [
                    exact(class),
                    FieldValue::Exact(host.0),
                    FieldValue::Exact(net.0),
                ];
                group = first(self.exact("acl_pair_group", &key, hits)).unwrap_or(group);
            }
        }
        let in_ports = [exact(ports), protocol];
        let port_group = first(self.longest_port("acl_port", &in_ports, dport, hits));
        let mut source_group = None;
        if source_ports != 0 {
            let in_ports = [exact(source_ports), protocol];
            source_group = first(self.longest_port("acl_source_port", &in_ports, sport, hits));
        }
        let key = [
            exact(class),
            FieldValue::Exact(group),
            FieldValue::Exact(port_group.unwrap_or_default()),
            FieldValue::Exact(source_group.unwrap_or_default()),
        ];
        let verdict = self
            .exact("acl_verdict", &key, hits)
            .or_else(|| self.exact("acl_verdict_default", &key[..2], hits))
            .or_else(|| self.exact("acl_class_default", &key[..1], hits))?;
        let rule = verdict.params.first().and_then(|r| u32::try_from(*r).ok());
        Some(match verdict.action.as_str() {
            "allow" => Said::Decided(true, rule),
            "next_policy" => Said::Onward(next),
            "next_tier" => Said::Onward(pass),
            _ => Said::Decided(false, rule),
        })
    }

    fn exact(&self, table: &str, fields: &[FieldValue], hits: &mut Vec<Row>) -> Option<Hit> {
        let table = schema().table_named(table)?;
        self.hit(table, table.key(fields).ok()?, hits)
    }

    fn hit(&self, table: &TableSchema, key: RowKey, hits: &mut Vec<Row>) -> Option<Hit> {
        let call = self.rows.get(&key)?;
        let action = table.action(call.action).ok()?;
        hits.push(Row {
            key,
            action: call.clone(),
        });
        Some(Hit {
            action: action.name.clone(),
            params: action.params(call).ok()?,
        })
    }

    fn longest(
        &self,
        table: &str,
        before: &[FieldValue],
        addr: IpAddr,
        hits: &mut Vec<Row>,
    ) -> Option<Hit> {
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        self.longest_prefix(table, before, number(addr), bits, hits)
    }

    fn longest_port(
        &self,
        table: &str,
        before: &[FieldValue],
        port: u16,
        hits: &mut Vec<Row>,
    ) -> Option<Hit> {
        self.longest_prefix(table, before, u128::from(port), 16, hits)
    }

    fn longest_prefix(
        &self,
        table: &str,
        before: &[FieldValue],
        value: u128,
        bits: u8,
        hits: &mut Vec<Row>,
    ) -> Option<Hit> {
        let table = schema().table_named(table)?;
        let lengths = self.lengths.get(&table.id)?;
        lengths.keys().rev().find_map(|&prefix_len| {
            let spare = u32::from(bits - prefix_len);
            let value = value.checked_shr(spare).unwrap_or(0);
            let value = value.checked_shl(spare).unwrap_or(0);
            let mut fields = before.to_vec();
            fields.push(FieldValue::Lpm { value, prefix_len });
            self.hit(table, table.key(&fields).ok()?, hits)
        })
    }
}

/// The prefix length in a key of a table with one LPM field, which is the last one.
fn prefix_len(key: &RowKey) -> Option<u8> {
    let table = schema().table(key.table).ok()?;
    let lpm = table.fields.last()?.kind == MatchKind::Lpm;
    key.bytes.last().copied().filter(|_| lpm)
}

fn denial(chain: u32, closed: DropReason, policy: DropReason) -> DropReason {
    if chain == 0 { closed } else { policy }
}

/// Source and destination port as the pipeline's metadata has them: ICMP's type and code stand in
/// the destination port.
fn l4(flow: &Flow) -> (u16, u16) {
    match flow.l4 {
        L4::Ports { src, dst } => (src, dst),
        L4::Icmp { kind, code } => (0, u16::from(kind) << 8 | u16::from(code)),
        L4::Other => (0, 0),
    }
}

fn routable(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => !addr.is_multicast() && !addr.is_broadcast(),
        IpAddr::V6(addr) => !addr.is_multicast() && !addr.is_unicast_link_local(),
    }
}

fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(u32::from(addr)),
        IpAddr::V6(addr) => u128::from(addr),
    }
}

fn pair(params: &[u128]) -> (u128, u128) {
    match params {
        [set, group] => (*set, *group),
        _ => (0, 0),
    }
}

/// The table of an address' family.
fn by_family(addr: IpAddr, table: &'static str) -> &'static str {
    match (table, addr.is_ipv4()) {
        ("endpoint_source", true) => "endpoint_source_v4",
        ("endpoint_source", false) => "endpoint_source_v6",
        ("endpoint_local", true) => "endpoint_local_v4",
        ("endpoint_local", false) => "endpoint_local_v6",
        ("acl_service", true) => "acl_service_v4",
        ("acl_service", false) => "acl_service_v6",
        ("acl_host", true) => "acl_host_v4",
        ("acl_host", false) => "acl_host_v6",
        ("acl_net", true) => "acl_net_v4",
        ("acl_net", false) => "acl_net_v6",
        ("route", true) => "route_v4",
        ("route", false) => "route_v6",
        _ => table,
    }
}
