//! Pools, namespaces, service accounts, BGP configuration and services.

use std::collections::BTreeMap;
use std::sync::Arc;

use felix_proto::felix;
use policy_model::{IpPool, Service, ServiceId, ServicePort, Update};

use super::problem::{Effect, Report};
use super::text;

/// What a headless service has in place of a cluster IP.
const HEADLESS: &str = "None";

pub(super) fn pool_update(update: felix::IpamPoolUpdate, report: &mut Report) -> Option<Update> {
    let felix::IpamPoolUpdate { id, pool } = update;
    report.about("IP pool", &id);
    let Some(pool) = pool else {
        report.add(Effect::Skipped, "the update has no pool");
        return None;
    };
    let felix::IpamPool {
        cidr,
        masquerade,
        ipip_mode,
        vxlan_mode,
        allowed_uses,
    } = pool;
    match text::net(&cidr) {
        Ok(cidr) => Some(Update::IpPool(
            id,
            IpPool {
                cidr,
                masquerade,
                ipip: ipip_mode,
                vxlan: vxlan_mode,
                uses: allowed_uses,
            },
        )),
        Err(what) => {
            report.add(Effect::Skipped, format!("cidr: {what}"));
            None
        }
    }
}

pub(super) fn service_account(
    id: Option<felix::ServiceAccountId>,
    report: &mut Report,
) -> Option<(Arc<str>, Arc<str>)> {
    report.about("service account", "without an id");
    let Some(felix::ServiceAccountId { namespace, name }) = id else {
        report.add(Effect::Skipped, "the message has no id");
        return None;
    };
    report.about("service account", format_args!("{namespace}/{name}"));
    Some((Arc::from(namespace), Arc::from(name)))
}

pub(super) fn namespace(id: Option<felix::NamespaceId>, report: &mut Report) -> Option<Arc<str>> {
    report.about("namespace", "without an id");
    let Some(felix::NamespaceId { name }) = id else {
        report.add(Effect::Skipped, "the message has no id");
        return None;
    };
    report.about("namespace", &name);
    Some(Arc::from(name))
}

pub(super) fn bgp(update: felix::GlobalBgpConfigUpdate) -> Update {
    let felix::GlobalBgpConfigUpdate {
        service_cluster_cidrs,
        service_external_cidrs,
        service_loadbalancer_cidrs,
        local_workload_peering_ip_v4,
        local_workload_peering_ip_v6,
    } = update;
    let one = |text: String| if text.is_empty() { vec![] } else { vec![text] };
    let values = [
        ("service_cluster_cidrs", service_cluster_cidrs),
        ("service_external_cidrs", service_external_cidrs),
        ("service_loadbalancer_cidrs", service_loadbalancer_cidrs),
        (
            "local_workload_peering_ip_v4",
            one(local_workload_peering_ip_v4),
        ),
        (
            "local_workload_peering_ip_v6",
            one(local_workload_peering_ip_v6),
        ),
    ];
    let values: BTreeMap<String, Vec<String>> = values
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(field, values)| (field.to_owned(), values))
        .collect();
    Update::BgpConfig(values)
}

pub(super) fn service(update: felix::ServiceUpdate, report: &mut Report) -> Update {
    let felix::ServiceUpdate {
        name,
        namespace,
        r#type,
        cluster_ips,
        loadbalancer_ip,
        external_ips,
        ports,
        loadbalancer_ingress_ips,
    } = update;
    report.about("service", format_args!("{namespace}/{name}"));
    let mut addresses = |field: &str, values: Vec<String>| {
        values
            .iter()
            .filter(|value| *value != HEADLESS)
            .filter_map(|value| report.optional_addr(field, value))
            .collect()
    };
    let service = Service {
        kind: r#type,
        cluster_ips: addresses("cluster_ips", cluster_ips),
        external_ips: addresses("external_ips", external_ips),
        ingress_ips: addresses("loadbalancer_ingress_ips", loadbalancer_ingress_ips),
        load_balancer_ip: report.optional_addr("loadbalancer_ip", &loadbalancer_ip),
        ports: ports
            .into_iter()
            .filter_map(|port| service_port(port, report))
            .collect(),
    };
    let id = ServiceId {
        namespace: Arc::from(namespace),
        name: Arc::from(name),
    };
    Update::Service(id, service)
}

fn service_port(port: felix::ServicePort, report: &mut Report) -> Option<ServicePort> {
    let felix::ServicePort {
        protocol,
        port,
        node_port,
    } = port;
    let mut number = |field: &str, value: i32| {
        let number = u32::try_from(value)
            .ok()
            .filter(|number| *number <= u32::from(u16::MAX));
        if number.is_none() {
            report.add(
                Effect::Skipped,
                format!("ports: {field} {value} is not within 0 to 65535"),
            );
        }
        number
    };
    Some(ServicePort {
        port: number("Port", port)?,
        node_port: number("NodePort", node_port)?,
        protocol,
    })
}
