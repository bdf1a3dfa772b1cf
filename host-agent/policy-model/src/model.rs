//! The store.

mod apply;
mod replace;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use crate::owners::Owners;
use crate::{
    ChangeSet, Config, Encapsulation, HostEndpoint, HostEndpointId, HostMetadata, IpPool, IpSet,
    IpSetId, IpSetKind, Member, Policy, PolicyId, Profile, ProfileId, Route, Service, ServiceId,
    Vtep, WorkloadEndpoint, WorkloadId,
};

/// Labels of a namespace or service account.
pub type Labels = BTreeMap<String, String>;

/// A WireGuard peer: public key (base64) and interface address.
pub type WireguardPeer = (String, Option<IpAddr>);

/// Why an update was refused; the model is as it was before.
///
/// Felix promises all of this (its own test consumer checks the same), so a refused update means
/// that the stream and the model have parted: keep what is enforced and ask for a new snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ModelError {
    /// A delta or removal of a set that was never sent.
    #[error("IP set {0} is not known")]
    UnknownIpSet(IpSetId),
    /// A delta adds what is there.
    #[error("IP set {set} already has the member {member}")]
    AlreadyMember {
        /// The set.
        set: IpSetId,
        /// The member as it is spelled in the message.
        member: String,
    },
    /// A delta removes what is not there.
    #[error("IP set {set} does not have the member {member}")]
    NotMember {
        /// The set.
        set: IpSetId,
        /// The member as it is spelled in the message.
        member: String,
    },
    /// A member of another shape than the set's kind.
    #[error("IP set {set} is of kind {kind:?} and cannot hold {member}")]
    WrongShape {
        /// The set.
        set: IpSetId,
        /// Its kind.
        kind: IpSetKind,
        /// The member.
        member: Member,
    },
    /// Removal of a policy that was never sent.
    #[error("policy {0} is not known")]
    UnknownPolicy(PolicyId),
    /// Removal of a profile that was never sent.
    #[error("profile {0} is not known")]
    UnknownProfile(ProfileId),
    /// Removal of a workload endpoint that was never sent.
    #[error("workload endpoint {0} is not known")]
    UnknownWorkload(WorkloadId),
    /// Removal of a host endpoint that was never sent.
    #[error("host endpoint {0} is not known")]
    UnknownHostEndpoint(HostEndpointId),
}

/// Everything that the control plane said, by key.
#[derive(Clone, Debug, Default)]
pub struct PolicyModel {
    state: State,
    owners: Owners,
    changes: ChangeSet,
}

/// What was said; equal states mean equal enforcement.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct State {
    in_sync: bool,
    config: Config,
    ip_sets: BTreeMap<IpSetId, IpSet>,
    policies: BTreeMap<PolicyId, Policy>,
    profiles: BTreeMap<ProfileId, Profile>,
    workloads: BTreeMap<WorkloadId, WorkloadEndpoint>,
    host_endpoints: BTreeMap<HostEndpointId, HostEndpoint>,
    hosts: BTreeMap<String, HostMetadata>,
    pools: BTreeMap<String, IpPool>,
    service_accounts: BTreeMap<(Arc<str>, Arc<str>), Labels>,
    namespaces: BTreeMap<Arc<str>, Labels>,
    routes: BTreeMap<IpNet, Route>,
    vteps: BTreeMap<String, Vtep>,
    /// By node and "is the IPv6 one".
    wireguard: BTreeMap<(String, bool), WireguardPeer>,
    bgp: BTreeMap<String, Vec<String>>,
    encapsulation: Encapsulation,
    services: BTreeMap<ServiceId, Service>,
}

/// Equal if they hold the same state; what was already taken as a change plays no part.
impl PartialEq for PolicyModel {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl Eq for PolicyModel {}

impl PolicyModel {
    /// An empty one, not in sync.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> ChangeSet {
        std::mem::take(&mut self.changes)
    }

    /// What changed since the last [`Self::take_changes`], left in place.
    #[must_use]
    pub fn changes(&self) -> &ChangeSet {
        &self.changes
    }

    /// Whether the snapshot is complete; nothing may be programmed before.
    #[must_use]
    pub fn in_sync(&self) -> bool {
        self.state.in_sync
    }

    /// Configuration as it came; see [`Config`] for Felix's defaults.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// This node's name, once configuration has come (`FelixHostname`).
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.state
            .config
            .values
            .get("FelixHostname")
            .map(String::as_str)
    }

    /// The local endpoint that has this address. Of two claimants the lowest id among the active
    /// ones, else the lowest of all. Only single addresses are owned.
    #[must_use]
    pub fn owner(&self, addr: IpAddr) -> Option<&WorkloadId> {
        self.owners.owner(addr)
    }

    /// One IP set.
    #[must_use]
    pub fn ip_set(&self, id: &IpSetId) -> Option<&IpSet> {
        self.state.ip_sets.get(id)
    }

    /// All IP sets, by id.
    pub fn ip_sets(&self) -> impl ExactSizeIterator<Item = (&IpSetId, &IpSet)> {
        self.state.ip_sets.iter()
    }

    /// One policy.
    #[must_use]
    pub fn policy(&self, id: &PolicyId) -> Option<&Policy> {
        self.state.policies.get(id)
    }

    /// All policies, by id, staged ones included.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = (&PolicyId, &Policy)> {
        self.state.policies.iter()
    }

    /// One profile.
    #[must_use]
    pub fn profile(&self, id: &ProfileId) -> Option<&Profile> {
        self.state.profiles.get(id)
    }

    /// All profiles, by id.
    pub fn profiles(&self) -> impl ExactSizeIterator<Item = (&ProfileId, &Profile)> {
        self.state.profiles.iter()
    }

    /// One local workload endpoint.
    #[must_use]
    pub fn workload(&self, id: &WorkloadId) -> Option<&WorkloadEndpoint> {
        self.state.workloads.get(id)
    }

    /// All local workload endpoints, by id.
    pub fn workloads(&self) -> impl ExactSizeIterator<Item = (&WorkloadId, &WorkloadEndpoint)> {
        self.state.workloads.iter()
    }

    /// One local host endpoint.
    #[must_use]
    pub fn host_endpoint(&self, id: &HostEndpointId) -> Option<&HostEndpoint> {
        self.state.host_endpoints.get(id)
    }

    /// All local host endpoints, by id.
    pub fn host_endpoints(
        &self,
    ) -> impl ExactSizeIterator<Item = (&HostEndpointId, &HostEndpoint)> {
        self.state.host_endpoints.iter()
    }

    /// All routes, by destination.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = (&IpNet, &Route)> {
        self.state.routes.iter()
    }

    /// All nodes, by name.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = (&String, &HostMetadata)> {
        self.state.hosts.iter()
    }

    /// All IP pools, by Felix's id.
    pub fn pools(&self) -> impl ExactSizeIterator<Item = (&String, &IpPool)> {
        self.state.pools.iter()
    }

    /// All VXLAN tunnel endpoints, by node.
    pub fn vteps(&self) -> impl ExactSizeIterator<Item = (&String, &Vtep)> {
        self.state.vteps.iter()
    }

    /// All services, by id.
    pub fn services(&self) -> impl ExactSizeIterator<Item = (&ServiceId, &Service)> {
        self.state.services.iter()
    }

    /// All namespaces with their labels.
    pub fn namespaces(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Labels)> {
        self.state.namespaces.iter()
    }

    /// All service accounts (namespace, name) with their labels.
    pub fn service_accounts(
        &self,
    ) -> impl ExactSizeIterator<Item = (&(Arc<str>, Arc<str>), &Labels)> {
        self.state.service_accounts.iter()
    }

    /// All WireGuard peers, by node and whether it is the IPv6 one.
    pub fn wireguard(&self) -> impl ExactSizeIterator<Item = (&(String, bool), &WireguardPeer)> {
        self.state.wireguard.iter()
    }

    /// BGP configuration by field name.
    #[must_use]
    pub fn bgp(&self) -> &BTreeMap<String, Vec<String>> {
        &self.state.bgp
    }

    /// Encapsulations in use.
    #[must_use]
    pub fn encapsulation(&self) -> &Encapsulation {
        &self.state.encapsulation
    }
}

#[cfg(test)]
mod tests;
