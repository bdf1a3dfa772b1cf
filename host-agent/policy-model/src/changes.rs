//! What changed since the last look.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::{HostEndpointId, IpSetId, Member, Members, PolicyId, ProfileId, WorkloadId};

/// Keys of everything that differs since the last [`crate::PolicyModel::take_changes`], coalesced.
///
/// A key is listed once however often it changed. Memberships are exact: what came and went again
/// is not listed. Any other key that is listed *may* be equal to what it was.
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
    /// Workload endpoints put or removed, and those that won or lost an address because another
    /// endpoint was.
    pub workloads: BTreeSet<WorkloadId>,
    /// Host endpoints put or removed.
    pub host_endpoints: BTreeSet<HostEndpointId>,
    /// Sets created, removed, or of another kind or validity.
    pub sets: BTreeSet<IpSetId>,
    /// Memberships that differ, in either direction, those of created and removed sets included.
    /// No set is listed with no member.
    pub members: BTreeMap<IpSetId, Members>,
    /// Routes put or removed.
    pub routes: BTreeSet<IpNet>,
    /// Node addresses.
    pub hosts: bool,
    /// Anything else.
    pub other: bool,
}

impl ChangeSet {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            config,
            in_sync,
            policies,
            profiles,
            workloads,
            host_endpoints,
            sets,
            members,
            routes,
            hosts,
            other,
        } = self;
        !(*config || *in_sync || *hosts || *other)
            && policies.is_empty()
            && profiles.is_empty()
            && workloads.is_empty()
            && host_endpoints.is_empty()
            && sets.is_empty()
            && members.is_empty()
            && routes.is_empty()
    }

    /// Adds what a later look found. A membership that both list came back to what it was and is
    /// dropped.
    pub fn merge(&mut self, later: Self) {
        let Self {
            config,
            in_sync,
            policies,
            profiles,
            workloads,
            host_endpoints,
            sets,
            members,
            routes,
            hosts,
            other,
        } = later;
        self.config |= config;
        self.in_sync |= in_sync;
        self.policies.extend(policies);
        self.profiles.extend(profiles);
        self.workloads.extend(workloads);
        self.host_endpoints.extend(host_endpoints);
        self.sets.extend(sets);
        for (id, members) in members {
            self.flip_all(&id, &members);
        }
        self.routes.extend(routes);
        self.hosts |= hosts;
        self.other |= other;
    }

    /// Memberships that differ, one by one, in no particular order inside a set.
    pub fn memberships(&self) -> impl Iterator<Item = (&IpSetId, Member)> {
        self.members
            .iter()
            .flat_map(|(id, members)| members.iter().map(move |member| (id, member)))
    }

    /// How many memberships differ.
    #[must_use]
    pub fn membership_count(&self) -> usize {
        self.members.values().map(Members::len).sum()
    }

    /// Notes that each of these memberships is now the opposite of what it was.
    pub(crate) fn flip(&mut self, id: &IpSetId, flipped: impl IntoIterator<Item = Member>) {
        let mut flipped = flipped.into_iter().peekable();
        if flipped.peek().is_none() {
            return;
        }
        if !self.members.contains_key(id) {
            self.members.insert(id.clone(), Members::default());
        }
        let Some(members) = self.members.get_mut(id) else {
            return;
        };
        members.flip(flipped);
        if members.is_empty() {
            self.members.remove(id);
        }
    }

    /// The same for all of these. Where nothing is noted of the set yet they are shared and not
    /// copied, as a set that comes or goes is.
    pub(crate) fn flip_all(&mut self, id: &IpSetId, flipped: &Members) {
        if self.members.contains_key(id) || flipped.is_empty() {
            self.flip(id, flipped.iter());
        } else {
            self.members.insert(id.clone(), flipped.clone());
        }
    }
}
