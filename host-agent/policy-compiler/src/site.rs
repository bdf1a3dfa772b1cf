//! Where endpoints are plugged in, from the DPU's inventory.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::Node;

/// A workload's port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Port {
    /// Port number of the pipeline.
    pub number: u16,
    /// MAC of the workload's end, used where Felix names none.
    pub mac: Option<[u8; 6]>,
}

/// The port to the rest of the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uplink {
    /// Port number of the pipeline.
    pub port: u16,
    /// Its interface.
    pub interface: String,
    /// MAC that packets leave with.
    pub mac: [u8; 6],
    /// The node's own addresses, besides those of its `HostMetadata`: it answers ARP and neighbour
    /// solicitations for them.
    pub addresses: Vec<IpAddr>,
    /// MAC of the default route's neighbour.
    pub next_hop_mac: [u8; 6],
    /// Neighbours with destinations of their own.
    pub neighbours: Vec<(IpNet, [u8; 6])>,
}

/// The port of the node itself: its own network stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostPort {
    /// Port number of the pipeline.
    pub number: u16,
    /// MAC of the node's end.
    pub mac: [u8; 6],
}

/// Everything that the compiler has to know about the DPU's ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Ports by the name of the workload's interface on the host.
    pub workload_ports: BTreeMap<String, Port>,
    /// The uplink; without one, local endpoints reach each other only.
    pub uplink: Option<Uplink>,
    /// The port of the node itself; without one, packets to it are dropped.
    pub host: Option<HostPort>,
    /// MAC that workloads see as their gateway's.
    pub gateway_mac: [u8; 6],
}

impl Default for Site {
    fn default() -> Self {
        Self {
            workload_ports: BTreeMap::new(),
            uplink: None,
            host: None,
            gateway_mac: p4_tables::GATEWAY_MAC,
        }
    }
}

impl Site {
    /// The node as [`policy_model::evaluate`] has to know it.
    #[must_use]
    pub fn node(&self) -> Node {
        let uplink = self.uplink.as_ref();
        Node {
            uplink: uplink.map_or_else(String::new, |uplink| uplink.interface.clone()),
            addresses: uplink.map_or_else(Vec::new, |uplink| uplink.addresses.clone()),
            host_port: self.host.is_some(),
        }
    }
}

/// A MAC as the number that rows carry.
pub(crate) fn mac_number(mac: [u8; 6]) -> u64 {
    mac.iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
