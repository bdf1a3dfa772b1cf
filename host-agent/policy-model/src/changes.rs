//! What changed since the last look.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::{HostEndpointId, IpSetId, Member, PolicyId, ProfileId, WorkloadId};

/// Keys of everything that differs since the last [`crate::PolicyModel::take_changes`], coalesced.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChangeSet {
    /// Configuration.
    pub config: bool,
    /// The model came into sync.
    pub in_sync: bool,
    /// Policies put or removed.
    pub policies: BTreeSet<PolicyId>,
    /// Profiles put or removed.
    pub profiles: BTreeSet<ProfileId>,
    /// Workload endpoints put or removed.
    pub workloads: BTreeSet<WorkloadId>,
    /// Host endpoints put or removed.
    pub host_endpoints: BTreeSet<HostEndpointId>,
    /// Sets created, removed, or of another kind or validity.
    pub sets: BTreeSet<IpSetId>,
    /// Memberships that differ; what came and went again is not listed.
    pub members: BTreeSet<(IpSetId, Member)>,
    /// Routes put or removed.
    pub routes: BTreeSet<IpNet>,
    /// Node addresses.
    pub hosts: bool,
    /// Anything else.
    pub other: bool,
}
