//! Routes and VXLAN tunnel endpoints.

use felix_proto::felix;
use policy_model::{Route, RouteTypes, Update, Vtep};

use super::problem::{Effect, Report};
use super::text;

pub(super) fn update(update: felix::RouteUpdate, report: &mut Report) -> Option<Update> {
    let felix::RouteUpdate {
        ip_pool_type,
        dst,
        dst_node_name,
        dst_node_ip,
        same_subnet,
        nat_outgoing,
        local_workload,
        tunnel_type,
        borrowed,
        types,
    } = update;
    report.about("route", &dst);
    let net = match text::net(&dst) {
        Ok(net) => net,
        Err(what) => {
            report.add(Effect::Skipped, format!("dst: {what}"));
            return None;
        }
    };
    let tunnels = tunnel_type.map_or(
        [false; 3],
        |felix::TunnelType {
             ipip,
             vxlan,
             wireguard,
         }| [ipip, vxlan, wireguard],
    );
    Some(Update::Route(
        net,
        Route {
            types: RouteTypes(types),
            pool_type: ip_pool_type,
            node: dst_node_name,
            node_ip: report.optional_addr("dst_node_ip", &dst_node_ip),
            same_subnet,
            nat_outgoing,
            local_workload,
            borrowed,
            tunnels,
        },
    ))
}

pub(super) fn remove(remove: &felix::RouteRemove, report: &mut Report) -> Option<Update> {
    let felix::RouteRemove { dst } = remove;
    report.about("route", dst);
    match text::net(dst) {
        Ok(net) => Some(Update::RouteRemove(net)),
        Err(what) => {
            report.add(Effect::Skipped, format!("dst: {what}"));
            None
        }
    }
}

pub(super) fn vtep(update: felix::VxlanTunnelEndpointUpdate, report: &mut Report) -> Update {
    let felix::VxlanTunnelEndpointUpdate {
        node,
        mac,
        ipv4_addr,
        parent_device_ip,
        mac_v6,
        ipv6_addr,
        parent_device_ipv6,
    } = update;
    report.about("VXLAN tunnel endpoint", &node);
    let mut mac_of = |field: &str, value: &str| {
        if value.is_empty() {
            return None;
        }
        match text::mac(value) {
            Ok(mac) => Some(mac),
            Err(what) => {
                report.add(Effect::Skipped, format!("{field}: {what}"));
                None
            }
        }
    };
    let (mac, mac_v6) = (mac_of("mac", &mac), mac_of("mac_v6", &mac_v6));
    let vtep = Vtep {
        mac,
        addr: report.optional_addr("ipv4_addr", &ipv4_addr),
        underlay: report.optional_addr("parent_device_ip", &parent_device_ip),
        mac_v6,
        addr_v6: report.optional_addr("ipv6_addr", &ipv6_addr),
        underlay_v6: report.optional_addr("parent_device_ipv6", &parent_device_ipv6),
    };
    Update::Vtep(node, vtep)
}
