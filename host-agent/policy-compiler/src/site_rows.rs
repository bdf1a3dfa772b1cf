//! Rows that follow from the site and the configuration alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use p4_tables::{
    GATEWAY_V4, GATEWAY_V6, acl_settings, endpoint_port, gateway_v4, gateway_v6, route_next_hop,
    route_v4, route_v6,
};
use policy_model::{PolicyModel, Semantics};
use table_model::{ActionCall, Row, RowKey};

use crate::fingerprint::{Fingerprint, short};
use crate::site::{Site, Uplink, mac_number};

/// Rows by key.
pub(crate) type RowMap = BTreeMap<RowKey, ActionCall>;

/// The rows; next hops apart, as only ids lead to them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SiteRows {
    pub pointers: RowMap,
    pub next_hops: RowMap,
}

impl SiteRows {
    pub(crate) fn new(model: &PolicyModel, semantics: &Semantics, site: &Site, epoch: u16) -> Self {
        let mut rows = Self::default();
        let config = model.config();
        let judged = !semantics.policy_only;
        rows.point(acl_settings::settings(
            acl_settings::key(),
            epoch,
            config.vxlan_port(),
            judged && !config.allow_vxlan_from_workloads(),
            judged && !config.allow_ipip_from_workloads(),
        ));
        let gateway = mac_number(site.gateway_mac);
        rows.gateway(false, GATEWAY_V4.into(), gateway);
        rows.gateway(false, GATEWAY_V6.into(), gateway);
        if let Some(uplink) = &site.uplink {
            let key = endpoint_port::key(uplink.port);
            rows.point(endpoint_port::uplink_port(key));
            rows.uplink(uplink);
            // What the network asks for the node's address, the node cannot answer itself.
            if judged && site.host.is_some() {
                for addr in model.node_addresses(&semantics.node) {
                    rows.gateway(true, addr, mac_number(uplink.mac));
                }
            }
        }
        if judged {
            let host = model
                .hostname()
                .and_then(|name| model.hosts().find(|(there, _)| *there == name));
            let addresses = host
                .iter()
                .flat_map(|(_, host)| host.v4.iter().chain(&host.v6));
            for net in addresses {
                rows.point(match net.addr() {
                    IpAddr::V4(addr) => route_v4::to_host(route_v4::key(addr.into(), 32)),
                    IpAddr::V6(addr) => route_v6::to_host(route_v6::key(addr.into(), 128)),
                });
            }
        }
        rows
    }

    /// Routes and the uplink's own addresses.
    fn uplink(&mut self, uplink: &Uplink) {
        for addr in &uplink.addresses {
            self.gateway(true, *addr, mac_number(uplink.mac));
        }
        let default = self.next_hop(uplink, uplink.next_hop_mac);
        self.point(route_v4::route(route_v4::key(0, 0), default));
        self.point(route_v6::route(route_v6::key(0, 0), default));
        for (net, mac) in &uplink.neighbours {
            let next_hop = self.next_hop(uplink, *mac);
            self.point(match net {
                IpNet::V4(net) => {
                    let key = route_v4::key(net.network().into(), net.prefix_len());
                    route_v4::route(key, next_hop)
                }
                IpNet::V6(net) => {
                    let key = route_v6::key(net.network().into(), net.prefix_len());
                    route_v6::route(key, next_hop)
                }
            });
        }
    }

    /// A next hop's id is its content, so a neighbour's new MAC is a new next hop and a flip.
    fn next_hop(&mut self, uplink: &Uplink, mac: [u8; 6]) -> u32 {
        let (from, to) = (mac_number(uplink.mac), mac_number(mac));
        let mut hash = Fingerprint::new("next hop");
        hash.word(u64::from(uplink.port));
        hash.word(from);
        hash.word(to);
        let mut id = short(hash.finish());
        loop {
            let row = route_next_hop::next_hop(route_next_hop::key(id), uplink.port, from, to);
            match self.next_hops.get(&row.key) {
                Some(there) if *there != row.action => id = id.wrapping_add(1).max(1),
                Some(_) => return id,
                None => {
                    self.next_hops.insert(row.key, row.action);
                    return id;
                }
            }
        }
    }

    fn gateway(&mut self, uplink: bool, addr: IpAddr, mac: u64) {
        self.point(match addr {
            IpAddr::V4(addr) => gateway_v4::gateway(gateway_v4::key(uplink, addr.into()), mac),
            IpAddr::V6(addr) => gateway_v6::gateway(gateway_v6::key(uplink, addr.into()), mac),
        });
    }

    fn point(&mut self, row: Row) {
        self.pointers.insert(row.key, row.action);
    }
}
