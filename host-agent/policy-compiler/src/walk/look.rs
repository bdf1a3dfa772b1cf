//! Lookups in rows, as the pipeline's tables do them, and one step of a chain.

use std::net::IpAddr;

use p4_tables::{DropReason, schema};
use policy_model::{Direction, Flow, L4};
use table_model::{FieldValue, MatchKind, Row, RowKey, TableSchema};

use super::{Said, Walker};

/// A hit, unpacked.
pub(super) struct Hit {
    pub(super) action: String,
    pub(super) params: Vec<u128>,
}

impl Walker {
    /// What a deny of a step counts as.
    pub(super) fn reason(&self, chain: u32) -> Option<DropReason> {
        let key = [FieldValue::Exact(u128::from(chain))];
        let node = self.exact("acl_chain", &key, &mut Vec::new())?;
        reason_of(&node)
    }

    pub(super) fn step(
        &self,
        direction: Direction,
        chain: u32,
        flow: &Flow,
        hits: &mut Vec<Row>,
    ) -> Option<(DropReason, Said)> {
        let key = [FieldValue::Exact(u128::from(chain))];
        let node = self.exact("acl_chain", &key, hits)?;
        let reason = reason_of(&node)?;
        let [class, ports, source_ports, next, pass, accept] = ids(&node.params, 0)?;
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
        let said = match verdict.action.as_str() {
            "allow" => Said::Allowed(rule, accept),
            "next_policy" => Said::Onward(next),
            "next_tier" => Said::Onward(pass),
            _ => Said::Denied(rule),
        };
        Some((reason, said))
    }

    pub(super) fn exact(
        &self,
        table: &str,
        fields: &[FieldValue],
        hits: &mut Vec<Row>,
    ) -> Option<Hit> {
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

    pub(super) fn longest(
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
pub(super) fn prefix_len(key: &RowKey) -> Option<u8> {
    let table = schema().table(key.table).ok()?;
    let lpm = table.fields.last()?.kind == MatchKind::Lpm;
    key.bytes.last().copied().filter(|_| lpm)
}

/// So many ids, from a place on.
pub(super) fn ids<const N: usize>(params: &[u128], from: usize) -> Option<[u32; N]> {
    let mut ids = [0; N];
    for (id, param) in ids.iter_mut().zip(params.get(from..from + N)?) {
        *id = u32::try_from(*param).ok()?;
    }
    Some(ids)
}

fn reason_of(node: &Hit) -> Option<DropReason> {
    let reason = u8::try_from(*node.params.last()?).ok()?;
    DropReason::from_index(reason)
}

/// Source and destination port as the pipeline's metadata has them: ICMP's type and code stand in
/// the destination port.
pub(super) fn l4(flow: &Flow) -> (u16, u16) {
    match flow.l4 {
        L4::Ports { src, dst } => (src, dst),
        L4::Icmp { kind, code } => (0, u16::from(kind) << 8 | u16::from(code)),
        L4::Other => (0, 0),
    }
}

pub(super) fn number(addr: IpAddr) -> u128 {
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
pub(super) fn by_family(addr: IpAddr, table: &'static str) -> &'static str {
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
