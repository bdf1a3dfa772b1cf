//! What hangs on which port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy_model::WorkloadId;

/// The MAC that every pod sees as its gateway's.
pub(crate) const GATEWAY_MAC: [u8; 6] = [0xee; 6];
/// The gateway of every pod (Calico).
pub(crate) const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The link-local address that goes with [`GATEWAY_MAC`].
pub(crate) const GATEWAY_V6: Ipv6Addr =
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0xecee, 0xeeff, 0xfeee, 0xeeee);

/// An end of a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Place {
    /// The pod with this index.
    Pod(usize),
    /// Everything beyond the uplink.
    Network,
}

/// A local workload.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// Identity as Felix spells it.
    pub(crate) id: WorkloadId,
    /// Host-side interface.
    pub(crate) interface: String,
    /// Port of the switch.
    pub(crate) port: u16,
    /// The pod's own MAC.
    pub(crate) mac: [u8; 6],
    /// All addresses that it ever has in the stream.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Pod {
    /// Namespace and pod, for people.
    pub(crate) fn name(&self) -> &str {
        &self.id.workload
    }
}

/// The way out of the node.
#[derive(Clone, Debug)]
pub(crate) struct Uplink {
    /// Port of the switch.
    pub(crate) port: u16,
    /// The node's interface.
    pub(crate) interface: String,
    /// The node's MAC there.
    pub(crate) mac: [u8; 6],
    /// The MAC of the router beyond.
    pub(crate) next_hop_mac: [u8; 6],
    /// The node's own addresses, one a family.
    pub(crate) node: Vec<IpAddr>,
    /// Addresses that live beyond: remote pods and strangers.
    pub(crate) remote: Vec<IpAddr>,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// Local workloads, sorted by id.
    pub(crate) pods: Vec<Pod>,
    /// The way out.
    pub(crate) uplink: Uplink,
}

impl Topology {
    /// Places by address. An address that two pods have one after the other belongs to the one
    /// that `owner` says has it now.
    pub(crate) fn place(&self, owner: Option<&WorkloadId>) -> Place {
        owner
            .and_then(|owner| self.pods.iter().position(|pod| pod.id == *owner))
            .map_or(Place::Network, Place::Pod)
    }

    /// The gateways that a place asks for.
    pub(crate) fn gateways(&self, place: Place) -> Vec<IpAddr> {
        let Place::Pod(index) = place else {
            return self.uplink.node.clone();
        };
        let addresses = self.pods.get(index).map_or(&[][..], |pod| &pod.addresses);
        let mut gateways = Vec::new();
        if addresses.iter().any(IpAddr::is_ipv4) {
            gateways.push(GATEWAY_V4.into());
        }
        if addresses.iter().any(IpAddr::is_ipv6) {
            gateways.push(GATEWAY_V6.into());
        }
        gateways
    }

    /// For messages.
    pub(crate) fn name(&self, place: Place) -> &str {
        match place {
            Place::Pod(index) => self.pods.get(index).map_or("?", Pod::name),
            Place::Network => "network",
        }
    }
}
