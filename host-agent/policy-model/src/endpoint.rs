//! Endpoints (Felix messages `WorkloadEndpoint`, `HostEndpoint`, `TierInfo`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Direction, Limits, PolicyId, ProfileId};

/// A tier as an endpoint lists it: policies in order, and what follows when none matched.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Tier {
    /// Name.
    pub name: Arc<str>,
    /// Policies for traffic towards the endpoint.
    pub ingress: Vec<PolicyId>,
    /// Policies for traffic from the endpoint.
    pub egress: Vec<PolicyId>,
    /// End-of-tier action `Pass`; otherwise `Deny`. A word that is neither denies.
    pub default_pass: bool,
}

/// A local workload endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct WorkloadEndpoint {
    /// `state` is `active`; any other word is admin down.
    pub active: bool,
    /// Host-side interface.
    pub interface: String,
    /// MAC of the workload; Felix with the Kubernetes datastore sends none.
    pub mac: Option<[u8; 6]>,
    /// Profiles in order.
    pub profiles: Vec<ProfileId>,
    /// Addresses, IPv4 then IPv6, in Felix's order.
    pub nets: Vec<IpNet>,
    /// Tiers in order.
    pub tiers: Vec<Tier>,
    /// Source prefixes that the workload may use besides its own.
    pub spoofed_sources: Vec<IpNet>,
    /// How much it may send and receive.
    pub limits: Limits,
    /// Features asked for that are not enforced in this release, by field name with what was asked
    /// (DSCP, floating IPs, …), for the endpoint's status.
    pub unenforced: BTreeMap<String, String>,
    /// Parts that could not be understood, naming field and value: both legs deny.
    pub invalid: Vec<String>,
}

impl WorkloadEndpoint {
    /// The single addresses among its nets; a wider net owns nothing and has the endpoint refused.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.nets
            .iter()
            .filter(|net| net.prefix_len() == net.max_prefix_len())
            .map(IpNet::addr)
    }
}

impl Tier {
    /// The policies of one direction that count: staged ones are shown and never enforced.
    pub fn enforced(&self, direction: Direction) -> impl Iterator<Item = &PolicyId> {
        let policies = match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        };
        policies.iter().filter(|id| !id.is_staged())
    }
}

/// A local host endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HostEndpoint {
    /// Interface name, `*` for all, empty for a match by address.
    pub interface: String,
    /// Profiles in order.
    pub profiles: Vec<ProfileId>,
    /// For traffic that ends or starts on the host.
    pub tiers: Vec<Tier>,
    /// Before connection tracking.
    pub untracked_tiers: Vec<Tier>,
    /// Before DNAT.
    pub pre_dnat_tiers: Vec<Tier>,
    /// For traffic through the host.
    pub forward_tiers: Vec<Tier>,
    /// Expected addresses.
    pub addresses: Vec<IpAddr>,
    /// Parts that could not be understood.
    pub invalid: Vec<String>,
}
