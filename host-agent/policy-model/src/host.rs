//! Which lists of which host endpoint a packet meets where. How they decide, evaluator and compiler
//! work out each for itself.
//!
//! One interface has one host endpoint: of those that name it, or name none and expect one of its
//! addresses, the alphabetically first, else the first that names `*`. The node has one interface
//! towards the network here, the uplink, and those of its workloads, which only `*` covers: for
//! packets that pass through (pre-DNAT and forward lists), as Felix has it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    Direction, HostEndpoint, HostEndpointId, Node, PolicyModel, ProfileId, Semantics, Tier,
};

/// Names every interface without an endpoint of its own.
const EVERY_INTERFACE: &str = "*";

/// An interface of the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Crossing {
    /// Towards the network.
    Uplink,
    /// Towards a workload.
    Workload,
}

/// Which of a host endpoint's lists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum HostList {
    /// Before connections; not of `*`, which Felix ignores there.
    Untracked,
    /// Pre-DNAT alone: from a workload to its own node.
    PreDnat,
    /// Inwards pre-DNAT, then forward: what passes through.
    Forward,
    /// Inwards pre-DNAT, then normal, with failsafe ports and profiles: what ends or starts here.
    Normal,
}

/// The lists that a packet meets in one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostLists<'a> {
    /// The endpoint that covers the interface.
    pub id: &'a HostEndpointId,
    /// Likewise.
    pub endpoint: &'a HostEndpoint,
    /// Asked first. Of another endpoint if this one has none and there is one for `*`.
    pub pre_dnat: &'a [Tier],
    /// Asked then.
    pub tiers: &'a [Tier],
    /// Asked last, of the normal list only.
    pub profiles: &'a [ProfileId],
    /// Which list.
    pub list: HostList,
}

impl HostLists<'_> {
    /// Whether failsafe ports play a part: before each list but the forward one.
    #[must_use]
    pub fn has_failsafes(&self) -> bool {
        !self.pre_dnat.is_empty() || matches!(self.list, HostList::Untracked | HostList::Normal)
    }
}

impl PolicyModel {
    /// The node's own addresses: those of its `HostMetadata`, and those that the dataplane knows.
    #[must_use]
    pub fn node_addresses(&self, node: &Node) -> BTreeSet<IpAddr> {
        let own = self.hostname();
        let metadata = self
            .hosts()
            .filter(|(name, _)| Some(name.as_str()) == own)
            .flat_map(|(_, host)| [host.v4, host.v6])
            .flatten()
            .map(|net| net.addr());
        metadata.chain(node.addresses.iter().copied()).collect()
    }

    /// Whether this is an address of the node's `HostMetadata`.
    pub(crate) fn node_metadata_has(&self, addr: IpAddr) -> bool {
        self.node_addresses(&Node::UNKNOWN).contains(&addr)
    }

    /// The host endpoint for interfaces without one of their own.
    #[must_use]
    pub fn wildcard_endpoint(&self) -> Option<(&HostEndpointId, &HostEndpoint)> {
        // Sorted by id, so the first is the one that counts.
        self.host_endpoints()
            .find(|(_, endpoint)| endpoint.interface == EVERY_INTERFACE)
    }

    /// The host endpoint that covers the uplink.
    #[must_use]
    pub fn uplink_endpoint(&self, node: &Node) -> Option<(&HostEndpointId, &HostEndpoint)> {
        let mut addresses = None;
        self.host_endpoints()
            .find(|(_, endpoint)| {
                if !endpoint.interface.is_empty() {
                    return endpoint.interface == node.uplink;
                }
                let addresses = addresses.get_or_insert_with(|| self.node_addresses(node));
                endpoint.addresses.iter().any(|a| addresses.contains(a))
            })
            .or_else(|| self.wildcard_endpoint())
    }

    /// The lists that a packet meets at an interface, inwards or outwards; none if there are none.
    #[must_use]
    pub fn host_lists(
        &self,
        semantics: &Semantics,
        crossing: Crossing,
        list: HostList,
        direction: Direction,
    ) -> Option<HostLists<'_>> {
        if semantics.policy_only {
            return None;
        }
        let (id, endpoint) = match crossing {
            Crossing::Uplink => self.uplink_endpoint(&semantics.node)?,
            Crossing::Workload => self.wildcard_endpoint()?,
        };
        let pre_dnat: &[Tier] = match (list, direction) {
            (HostList::Untracked, _) | (_, Direction::Egress) => &[],
            _ if !endpoint.pre_dnat_tiers.is_empty() => &endpoint.pre_dnat_tiers,
            _ => self
                .wildcard_endpoint()
                .map_or(&[], |(_, every)| &every.pre_dnat_tiers),
        };
        if list == HostList::Untracked && endpoint.interface == EVERY_INTERFACE {
            return None;
        }
        let tiers: &[Tier] = match list {
            HostList::Untracked => &endpoint.untracked_tiers,
            HostList::PreDnat => &[],
            HostList::Forward => &endpoint.forward_tiers,
            HostList::Normal => &endpoint.tiers,
        };
        let profiles: &[ProfileId] = match list {
            HostList::Normal => &endpoint.profiles,
            HostList::Untracked | HostList::PreDnat | HostList::Forward => &[],
        };
        let asks = list == HostList::Normal
            || !pre_dnat.is_empty()
            || !tiers.is_empty()
            || !endpoint.invalid.is_empty();
        asks.then_some(HostLists {
            id,
            endpoint,
            pre_dnat,
            tiers,
            profiles,
            list,
        })
    }
}
