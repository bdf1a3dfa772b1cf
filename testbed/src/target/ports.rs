//! Who is plugged in where: ports for the workloads of a stream, an uplink, and the node itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use policy_compiler::{HostPort, Port, Site, Uplink};
use policy_model::{PolicyModel, WorkloadId};

use crate::packet::arp_request;

/// The uplink's port.
const UPLINK: u16 = 1;
/// The node's own port; workloads come behind it.
const HOST: u16 = 2;
/// Below bmv2's drop port (511), with room for a port to the controller.
const LAST: u16 = 509;
/// Benchmarking range (RFC 2544): nobody's address in any recording.
const UPLINK_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 255, 254);
const UPLINK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const NEIGHBOUR_MAC: [u8; 6] = [2, 0, 0, 1, 0, 1];
const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Where an address is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attachment {
    /// Port.
    pub(crate) port: u16,
    /// MAC of whoever is behind it.
    pub(crate) mac: [u8; 6],
    /// MAC that it sends to.
    pub(crate) peer: [u8; 6],
}

/// Ports by interface. An interface keeps its port while an endpoint names it, and where nobody is
/// in the way its number follows from its name, so that equal states have equal rows.
#[derive(Debug)]
pub(crate) struct Ports {
    site: Site,
    free: BTreeSet<u16>,
}

impl Ports {
    /// An uplink and nobody else, but for the node itself: where policy alone is judged, its
    /// addresses are like any other behind the uplink.
    pub(crate) fn new(policy_only: bool) -> Self {
        let site = Site {
            uplink: Some(Uplink {
                port: UPLINK,
                interface: "eth0".into(),
                mac: UPLINK_MAC,
                addresses: vec![UPLINK_ADDRESS.into()],
                next_hop_mac: NEIGHBOUR_MAC,
                neighbours: Vec::new(),
            }),
            host: (!policy_only).then_some(HostPort {
                number: HOST,
                mac: HOST_MAC,
            }),
            ..Site::default()
        };
        Self {
            site,
            free: (HOST + 1..=LAST).collect(),
        }
    }

    /// For the compiler.
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Plugs in who came and unplugs who went. An endpoint for whom no port is left stays without
    /// one, as it would on a device.
    pub(crate) fn follow(&mut self, model: &PolicyModel) {
        let named: BTreeSet<&str> = model
            .workloads()
            .map(|(_, endpoint)| endpoint.interface.as_str())
            .collect();
        let gone: Vec<String> = self
            .site
            .workload_ports
            .keys()
            .filter(|name| !named.contains(name.as_str()))
            .cloned()
            .collect();
        for name in gone {
            if let Some(port) = self.site.workload_ports.remove(&name) {
                self.free.insert(port.number);
            }
        }
        for name in named {
            if self.site.workload_ports.contains_key(name) {
                continue;
            }
            let wanted = preferred(name);
            let next = self.free.range(wanted..).next().or(self.free.first());
            let Some(number) = next.copied() else {
                tracing::warn!(
                    interface = name,
                    "No port is left; the endpoint stays unplugged"
                );
                continue;
            };
            self.free.remove(&number);
            let [high, low] = number.to_be_bytes();
            let port = Port {
                number,
                mac: Some([2, 0, 0, 2, high, low]),
            };
            self.site.workload_ports.insert(name.to_owned(), port);
        }
    }

    /// Where packets with this address come from and go to: its endpoint's port, the node's, else
    /// the uplink. None for an endpoint without a port.
    pub(crate) fn attachment(&self, model: &PolicyModel, addr: IpAddr) -> Option<Attachment> {
        let Some(endpoint) = model.owner(addr).and_then(|id| model.workload(id)) else {
            let own = self.site.host.filter(|_| {
                let node = self.site.node();
                model.node_addresses(&node).contains(&addr)
            });
            if let Some(HostPort { number, mac }) = own {
                return Some(Attachment {
                    port: number,
                    mac,
                    peer: self.site.gateway_mac,
                });
            }
            return Some(Attachment {
                port: UPLINK,
                mac: NEIGHBOUR_MAC,
                peer: UPLINK_MAC,
            });
        };
        let port = self.site.workload_ports.get(&endpoint.interface)?;
        Some(Attachment {
            port: port.number,
            mac: endpoint.mac.or(port.mac).unwrap_or_default(),
            peer: self.site.gateway_mac,
        })
    }

    /// ARP requests that the pipeline answers whatever the policy says: one through an open port of
    /// each remainder of the port number by `threads`.
    pub(crate) fn sentinels(
        &self,
        model: &PolicyModel,
        is_open: impl Fn(&WorkloadId) -> bool,
        threads: u16,
    ) -> Vec<(u16, Vec<u8>)> {
        let mut sentinels = BTreeMap::new();
        let gateway = p4_tables::GATEWAY_V4;
        for (_, endpoint) in model.workloads().filter(|(id, _)| is_open(id)) {
            if let Some(port) = self.site.workload_ports.get(&endpoint.interface) {
                let mac = endpoint.mac.or(port.mac).unwrap_or_default();
                let frame = (
                    port.number,
                    arp_request(mac, Ipv4Addr::UNSPECIFIED, gateway),
                );
                sentinels.entry(port.number % threads).or_insert(frame);
            }
        }
        let request = arp_request(NEIGHBOUR_MAC, Ipv4Addr::UNSPECIFIED, UPLINK_ADDRESS);
        let frame = (UPLINK, request);
        sentinels.entry(UPLINK % threads).or_insert(frame);
        sentinels.into_values().collect()
    }
}

/// The port that an interface gets if it is free: FNV-1a of the name.
fn preferred(name: &str) -> u16 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let span = u32::from(LAST - HOST);
    HOST + 1 + u16::try_from(hash % span).unwrap_or(0)
}
