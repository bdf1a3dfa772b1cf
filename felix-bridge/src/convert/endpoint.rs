//! Workload and host endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use felix_proto::{PolicyRef, felix};
use ipnet::IpNet;
use policy_model::{
    HostEndpoint, HostEndpointId, PolicyId, ProfileId, Tier, Update, WorkloadEndpoint, WorkloadId,
};

use super::problem::{Effect, Report};
use super::{policy, qos, text};

pub(super) fn workload_update(
    update: felix::WorkloadEndpointUpdate,
    report: &mut Report,
) -> Option<Update> {
    let felix::WorkloadEndpointUpdate { id, endpoint } = update;
    let id = workload_key(id, report)?;
    let mut parts = Parts::default();
    parts.unknown(report);
    let endpoint = endpoint.unwrap_or_else(|| {
        parts.invalid.push("the update has no endpoint".to_owned());
        felix::WorkloadEndpoint::default()
    });
    let endpoint = workload(endpoint, parts);
    report_endpoint(&endpoint.invalid, report);
    for (field, asked) in &endpoint.unenforced {
        report.add(Effect::NotEnforced, format!("{field}: {asked}"));
    }
    Some(Update::Workload(id, endpoint))
}

pub(super) fn workload_remove(
    remove: felix::WorkloadEndpointRemove,
    report: &mut Report,
) -> Option<Update> {
    let felix::WorkloadEndpointRemove { id } = remove;
    workload_key(id, report).map(Update::WorkloadRemove)
}

fn workload_key(id: Option<felix::WorkloadEndpointId>, report: &mut Report) -> Option<WorkloadId> {
    report.about("workload endpoint", "without an id");
    let Some(id) = id else {
        report.add(Effect::Skipped, "the message has no id");
        return None;
    };
    let felix::WorkloadEndpointId {
        orchestrator_id,
        workload_id,
        endpoint_id,
    } = id;
    let id = WorkloadId {
        orchestrator: Arc::from(orchestrator_id),
        workload: Arc::from(workload_id),
        endpoint: Arc::from(endpoint_id),
    };
    report.about("workload endpoint", &id);
    Some(id)
}

fn workload(endpoint: felix::WorkloadEndpoint, mut parts: Parts) -> WorkloadEndpoint {
    let felix::WorkloadEndpoint {
        state,
        name,
        mac,
        profile_ids,
        ipv4_nets,
        ipv6_nets,
        tiers,
        ipv4_nat,
        ipv6_nat,
        allow_spoofed_source_prefixes,
        annotations: _, // informative
        qos_controls,
        local_bgp_peer,
        skip_redir: _, // hints for Felix's eBPF programs
        qos_policies,
        is_istio_ambient,
        live_migration_role,
        live_migration_uid: _,      // identifies the migration
        live_migration_vmi_name: _, // likewise
        workload_type: _,           // Felix 3.30's hint for its eBPF programs
    } = endpoint;
    let mac = if mac.is_empty() {
        None
    } else {
        match text::mac(&mac) {
            Ok(mac) => Some(mac),
            Err(what) => {
                parts.invalid.push(format!("mac: {what}"));
                None
            }
        }
    };
    let mut nets = parts.nets("ipv4_nets", &ipv4_nets, Some(true));
    nets.extend(parts.nets("ipv6_nets", &ipv6_nets, Some(false)));
    let spoofed_sources = parts.nets(
        "allow_spoofed_source_prefixes",
        &allow_spoofed_source_prefixes,
        None,
    );
    let tiers = parts.tiers("tiers", tiers);
    for (field, nats) in [("ipv4_nat", ipv4_nat), ("ipv6_nat", ipv6_nat)] {
        let nats: Vec<String> = nats
            .into_iter()
            .map(|felix::NatInfo { ext_ip, int_ip }| format!("{ext_ip} to {int_ip}"))
            .collect();
        if !nats.is_empty() {
            parts.unenforced(field, nats.join(", "));
        }
    }
    let (limits, asked) = qos::limits(&qos_controls.unwrap_or_default());
    if !asked.is_empty() {
        parts.unenforced("qos_controls", asked);
    }
    if let Some(felix::LocalBgpPeer { bgp_peer_name }) = local_bgp_peer {
        parts.unenforced("local_bgp_peer", bgp_peer_name);
    }
    if !qos_policies.is_empty() {
        parts.unenforced("qos_policies", dscp(qos_policies));
    }
    if is_istio_ambient {
        parts.unenforced("is_istio_ambient", "true".to_owned());
    }
    if live_migration_role != 0 {
        let role = felix::LiveMigrationRole::try_from(live_migration_role).map_or_else(
            |_| live_migration_role.to_string(),
            |role| role.as_str_name().to_owned(),
        );
        parts.unenforced("live_migration_role", role);
    }
    let Parts {
        invalid,
        unenforced,
    } = parts;
    WorkloadEndpoint {
        active: state == "active",
        interface: name,
        mac,
        profiles: profiles(&profile_ids),
        nets,
        tiers,
        spoofed_sources,
        limits,
        unenforced,
        invalid,
    }
}

pub(super) fn host_update(
    update: felix::HostEndpointUpdate,
    report: &mut Report,
) -> Option<Update> {
    let felix::HostEndpointUpdate { id, endpoint } = update;
    let id = host_key(id, report)?;
    let mut parts = Parts::default();
    parts.unknown(report);
    let endpoint = endpoint.unwrap_or_else(|| {
        parts.invalid.push("the update has no endpoint".to_owned());
        felix::HostEndpoint::default()
    });
    let felix::HostEndpoint {
        name,
        profile_ids,
        tiers,
        expected_ipv4_addrs,
        expected_ipv6_addrs,
        untracked_tiers,
        pre_dnat_tiers,
        forward_tiers,
        qos_policies,
    } = endpoint;
    let addresses = [
        ("expected_ipv4_addrs", expected_ipv4_addrs),
        ("expected_ipv6_addrs", expected_ipv6_addrs),
    ]
    .into_iter()
    .flat_map(|(field, values)| parts.nets(field, &values, None))
    .map(|net| net.addr())
    .collect();
    if !qos_policies.is_empty() {
        report.add(
            Effect::NotEnforced,
            format!("qos_policies: {}", dscp(qos_policies)),
        );
    }
    for (field, asked) in &parts.unenforced {
        report.add(Effect::NotEnforced, format!("{field}: {asked}"));
    }
    let endpoint = HostEndpoint {
        interface: name,
        profiles: profiles(&profile_ids),
        tiers: parts.tiers("tiers", tiers),
        untracked_tiers: parts.tiers("untracked_tiers", untracked_tiers),
        pre_dnat_tiers: parts.tiers("pre_dnat_tiers", pre_dnat_tiers),
        forward_tiers: parts.tiers("forward_tiers", forward_tiers),
        addresses,
        invalid: parts.invalid,
    };
    report_endpoint(&endpoint.invalid, report);
    Some(Update::HostEndpoint(id, endpoint))
}

pub(super) fn host_remove(
    remove: felix::HostEndpointRemove,
    report: &mut Report,
) -> Option<Update> {
    let felix::HostEndpointRemove { id } = remove;
    host_key(id, report).map(Update::HostEndpointRemove)
}

fn host_key(id: Option<felix::HostEndpointId>, report: &mut Report) -> Option<HostEndpointId> {
    report.about("host endpoint", "without an id");
    let Some(felix::HostEndpointId { endpoint_id }) = id else {
        report.add(Effect::Skipped, "the message has no id");
        return None;
    };
    report.about("host endpoint", &endpoint_id);
    Some(HostEndpointId::from(&*endpoint_id))
}

/// What is collected on the way.
#[derive(Default)]
struct Parts {
    invalid: Vec<String>,
    unenforced: BTreeMap<String, String>,
}

impl Parts {
    /// A field of a newer release within a tier may change verdicts; one of the endpoint itself
    /// never did so far (quality of service, migration, hints), so it is shown and not enforced.
    fn unknown(&mut self, report: &mut Report) {
        for field in report.take_unknown(|_| true) {
            let name = format!("field {} of {}", field.number, field.message);
            if matches!(field.message, "WorkloadEndpoint" | "HostEndpoint") {
                self.unenforced(&name, "of a newer Felix".to_owned());
            } else {
                self.invalid
                    .push(format!("{name} is not known to this program"));
            }
        }
    }

    fn unenforced(&mut self, field: &str, asked: String) {
        self.unenforced.insert(field.to_owned(), asked);
    }

    /// Nets of one family, or of any.
    fn nets(&mut self, field: &str, values: &[String], v4: Option<bool>) -> Vec<IpNet> {
        let mut nets = Vec::with_capacity(values.len());
        for value in values {
            match text::net(value) {
                Ok(net) if v4.is_none_or(|v4| v4 == matches!(net, IpNet::V4(_))) => nets.push(net),
                Ok(_) => self
                    .invalid
                    .push(format!("{field}: \"{value}\" is of the other family")),
                Err(what) => self.invalid.push(format!("{field}: {what}")),
            }
        }
        nets
    }

    fn tiers(&mut self, field: &str, tiers: Vec<felix::TierInfo>) -> Vec<Tier> {
        tiers
            .into_iter()
            .map(|tier| self.tier(field, tier))
            .collect()
    }

    fn tier(&mut self, field: &str, tier: felix::TierInfo) -> Tier {
        let felix::TierInfo {
            name,
            ingress_policies,
            egress_policies,
            default_action,
        } = tier;
        let default_pass = match &*default_action.to_ascii_lowercase() {
            "pass" => true,
            "deny" | "" => false,
            _ => {
                self.invalid.push(format!(
                    "{field}: default_action \"{default_action}\" of tier {name} is neither Deny \
                     nor Pass"
                ));
                false
            }
        };
        Tier {
            ingress: self.policies(&name, "ingress_policies", &ingress_policies),
            egress: self.policies(&name, "egress_policies", &egress_policies),
            name: Arc::from(name),
            default_pass,
        }
    }

    fn policies(&mut self, tier: &str, field: &str, entries: &[Vec<u8>]) -> Vec<PolicyId> {
        let mut ids = Vec::with_capacity(entries.len());
        for entry in entries {
            match PolicyRef::try_from(&entry[..]) {
                Ok(PolicyRef::Text(text)) => ids.push(policy::textual(&text)),
                Ok(PolicyRef::Id(id)) => ids.push(policy::identity(id).0),
                Err(what) => self.invalid.push(format!("{field} of tier {tier}: {what}")),
            }
        }
        ids
    }
}

fn profiles(ids: &[String]) -> Vec<ProfileId> {
    ids.iter().map(|id| ProfileId::from(&**id)).collect()
}

fn dscp(policies: Vec<felix::QoSPolicy>) -> String {
    let asked: Vec<String> = policies
        .into_iter()
        .map(
            |felix::QoSPolicy { destination, dscp }| match &*destination {
                "" => format!("DSCP {dscp}"),
                to => format!("DSCP {dscp} to {to}"),
            },
        )
        .collect();
    asked.join(", ")
}

fn report_endpoint(invalid: &[String], report: &mut Report) {
    for what in invalid {
        report.add(Effect::Denies, what.clone());
    }
}
