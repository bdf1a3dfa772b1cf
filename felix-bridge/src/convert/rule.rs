//! `Rule`.

use std::collections::BTreeMap;
use std::sync::Arc;

use felix_proto::felix::rule::{Icmp as IcmpField, NotIcmp as NotIcmpField};
use felix_proto::felix::{self, http_match::path_match::PathMatch};
use ipnet::IpNet;
use policy_model::{
    Direction, HttpMatch, InvalidRule, IpSetId, PortRange, Rule, RuleId, RuleNotes, Side,
};

use super::text;

/// Converts a list of rules. `unknown` says what is not known at a place of the list.
pub(super) fn list(
    rules: Vec<felix::Rule>,
    direction: Direction,
    unknown: &BTreeMap<usize, Vec<String>>,
    invalid: &mut Vec<InvalidRule>,
) -> Vec<Rule> {
    let mut good = Vec::with_capacity(rules.len());
    for (index, rule) in rules.into_iter().enumerate() {
        let mut faults = Faults(unknown.get(&index).cloned().unwrap_or_default());
        let rule = convert(rule, &mut faults);
        if faults.0.is_empty() {
            good.push(rule);
        } else {
            invalid.push(InvalidRule {
                direction,
                index,
                id: rule.id,
                reason: faults.0.join("; "),
            });
        }
    }
    good
}

/// Everything that is wrong with one rule.
struct Faults(Vec<String>);

impl Faults {
    fn keep<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|what| self.0.push(what)).ok()
    }

    fn nets(&mut self, field: &str, values: &[String]) -> Vec<IpNet> {
        values
            .iter()
            .filter_map(|value| {
                self.keep(text::net(value).map_err(|what| format!("{field}: {what}")))
            })
            .collect()
    }

    fn ports(&mut self, field: &str, values: Vec<felix::PortRange>) -> Vec<PortRange> {
        values
            .into_iter()
            .filter_map(|value| self.keep(text::ports(field, value)))
            .collect()
    }
}

/// Converts one rule. If it has faults the result holds no more than its id.
fn convert(rule: felix::Rule, faults: &mut Faults) -> Rule {
    let felix::Rule {
        action,
        ip_version,
        protocol,
        src_net,
        src_ports,
        dst_net,
        dst_ports,
        src_ip_set_ids,
        dst_ip_set_ids,
        src_named_port_ip_set_ids,
        dst_named_port_ip_set_ids,
        dst_ip_port_set_ids,
        not_protocol,
        not_src_net,
        not_src_ports,
        not_dst_net,
        not_dst_ports,
        not_src_ip_set_ids,
        not_dst_ip_set_ids,
        not_src_named_port_ip_set_ids,
        not_dst_named_port_ip_set_ids,
        original_src_selector,
        original_dst_selector,
        original_src_namespace_selector,
        original_dst_namespace_selector,
        original_not_src_selector,
        original_not_dst_selector,
        src_service_account_match,
        dst_service_account_match,
        http_match,
        metadata,
        original_dst_service,
        original_dst_service_namespace,
        original_src_service,
        original_src_service_namespace,
        rule_id,
        icmp,
        not_icmp,
    } = rule;
    let mut written: BTreeMap<String, String> = [
        ("original_src_selector", original_src_selector),
        ("original_dst_selector", original_dst_selector),
        (
            "original_src_namespace_selector",
            original_src_namespace_selector,
        ),
        (
            "original_dst_namespace_selector",
            original_dst_namespace_selector,
        ),
        ("original_not_src_selector", original_not_src_selector),
        ("original_not_dst_selector", original_not_dst_selector),
        ("original_dst_service", original_dst_service),
        (
            "original_dst_service_namespace",
            original_dst_service_namespace,
        ),
        ("original_src_service", original_src_service),
        (
            "original_src_service_namespace",
            original_src_service_namespace,
        ),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(field, value)| (field.to_owned(), value))
    .collect();
    for (field, value) in [
        ("src_service_account_match", src_service_account_match),
        ("dst_service_account_match", dst_service_account_match),
    ] {
        if let Some(felix::ServiceAccountMatch { selector, names }) = value {
            written.insert(
                field.to_owned(),
                format!("selector {selector}, names {}", names.join(" ")),
            );
        }
    }
    let annotations = metadata.map_or_else(BTreeMap::new, |felix::RuleMetadata { annotations }| {
        annotations
    });
    let icmp = icmp.and_then(|icmp| {
        let (field, kind, code) = match icmp {
            IcmpField::IcmpType(kind) => ("icmp_type", kind, None),
            IcmpField::IcmpTypeCode(felix::IcmpTypeAndCode { r#type, code }) => {
                ("icmp_type_code", r#type, Some(code))
            }
        };
        faults.keep(text::icmp(field, kind, code))
    });
    let not_icmp = not_icmp.and_then(|icmp| {
        let (field, kind, code) = match icmp {
            NotIcmpField::NotIcmpType(kind) => ("not_icmp_type", kind, None),
            NotIcmpField::NotIcmpTypeCode(felix::IcmpTypeAndCode { r#type, code }) => {
                ("not_icmp_type_code", r#type, Some(code))
            }
        };
        faults.keep(text::icmp(field, kind, code))
    });
    Rule {
        // A rule with faults is thrown away by the caller, so the stand-in is never seen.
        action: faults
            .keep(text::action(&action))
            .unwrap_or(policy_model::Action::Deny),
        family: faults.keep(text::family(ip_version)).flatten(),
        protocol: protocol.and_then(|protocol| faults.keep(text::protocol("protocol", protocol))),
        not_protocol: not_protocol
            .and_then(|protocol| faults.keep(text::protocol("not_protocol", protocol))),
        icmp,
        not_icmp,
        src: Side {
            nets: faults.nets("src_net", &src_net),
            not_nets: faults.nets("not_src_net", &not_src_net),
            ports: faults.ports("src_ports", src_ports),
            not_ports: faults.ports("not_src_ports", not_src_ports),
            named_ports: sets(&src_named_port_ip_set_ids),
            not_named_ports: sets(&not_src_named_port_ip_set_ids),
            sets: sets(&src_ip_set_ids),
            not_sets: sets(&not_src_ip_set_ids),
            ip_port_sets: Vec::new(),
        },
        dst: Side {
            nets: faults.nets("dst_net", &dst_net),
            not_nets: faults.nets("not_dst_net", &not_dst_net),
            ports: faults.ports("dst_ports", dst_ports),
            not_ports: faults.ports("not_dst_ports", not_dst_ports),
            named_ports: sets(&dst_named_port_ip_set_ids),
            not_named_ports: sets(&not_dst_named_port_ip_set_ids),
            sets: sets(&dst_ip_set_ids),
            not_sets: sets(&not_dst_ip_set_ids),
            ip_port_sets: sets(&dst_ip_port_set_ids),
        },
        http: http_match.map(|http| http_match_of(http, faults)),
        id: RuleId::from(&*rule_id),
        notes: Arc::new(RuleNotes {
            written,
            annotations,
        }),
    }
}

fn sets(ids: &[String]) -> Vec<IpSetId> {
    ids.iter().map(|id| IpSetId::from(&**id)).collect()
}

fn http_match_of(http: felix::HttpMatch, faults: &mut Faults) -> HttpMatch {
    let felix::HttpMatch { methods, paths } = http;
    let paths = paths
        .into_iter()
        .filter_map(
            |felix::http_match::PathMatch { path_match }| match path_match {
                Some(PathMatch::Exact(path)) => Some(path),
                Some(PathMatch::Prefix(path)) => Some(format!("{path}*")),
                None => {
                    faults
                        .0
                        .push("http_match: a path is neither exact nor a prefix".to_owned());
                    None
                }
            },
        )
        .collect();
    HttpMatch { methods, paths }
}
