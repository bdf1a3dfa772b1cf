//! One update into the store.

use std::collections::{BTreeMap, BTreeSet};

use super::{ModelError, PolicyModel};
use crate::{IpSet, IpSetId, IpSetKind, Member, Update, WorkloadEndpoint, WorkloadId};

impl PolicyModel {
    /// Takes one update. The work is in proportion to the update, never to what is stored, but for
    /// a set that arrives whole.
    ///
    /// # Errors
    /// See [`ModelError`]; the model is then as it was before.
    pub fn apply(&mut self, update: Update) -> Result<(), ModelError> {
        let Self { state, changes, .. } = self;
        match update {
            Update::InSync => {
                changes.in_sync |= !state.in_sync;
                state.in_sync = true;
            }
            Update::Config(config) => changes.config |= set(&mut state.config, config),
            Update::IpSet {
                id,
                kind,
                members,
                invalid,
            } => self.replace_set(id, kind, members, invalid)?,
            Update::IpSetDelta {
                id,
                added,
                removed,
                invalid_added,
                invalid_removed,
            } => self.apply_delta(&id, &added, &removed, invalid_added, invalid_removed)?,
            Update::IpSetRemove(id) => {
                let old = state
                    .ip_sets
                    .remove(&id)
                    .ok_or_else(|| ModelError::UnknownIpSet(id.clone()))?;
                changes.flip_all(&id, &old.members);
                changes.sets.insert(id);
            }
            Update::Policy(id, policy) => {
                if put(&mut state.policies, id.clone(), policy) {
                    changes.policies.insert(id);
                }
            }
            Update::PolicyRemove(id) => {
                if state.policies.remove(&id).is_none() {
                    return Err(ModelError::UnknownPolicy(id));
                }
                changes.policies.insert(id);
            }
            Update::Profile(id, profile) => {
                if put(&mut state.profiles, id.clone(), profile) {
                    changes.profiles.insert(id);
                }
            }
            Update::ProfileRemove(id) => {
                if state.profiles.remove(&id).is_none() {
                    return Err(ModelError::UnknownProfile(id));
                }
                changes.profiles.insert(id);
            }
            Update::Workload(id, endpoint) => self.put_workload(id, endpoint),
            Update::WorkloadRemove(id) => {
                if !state.workloads.contains_key(&id) {
                    return Err(ModelError::UnknownWorkload(id));
                }
                self.remove_workload(&id);
            }
            Update::HostEndpoint(id, endpoint) => {
                if put(&mut state.host_endpoints, id.clone(), endpoint) {
                    changes.host_endpoints.insert(id);
                }
            }
            Update::HostEndpointRemove(id) => {
                if state.host_endpoints.remove(&id).is_none() {
                    return Err(ModelError::UnknownHostEndpoint(id));
                }
                changes.host_endpoints.insert(id);
            }
            Update::Route(dst, route) => {
                if put(&mut state.routes, dst, route) {
                    changes.routes.insert(dst);
                }
            }
            Update::RouteRemove(dst) => {
                if state.routes.remove(&dst).is_some() {
                    changes.routes.insert(dst);
                }
            }
            Update::HostMetadata(node, host) => {
                changes.hosts |= put(&mut state.hosts, node, host);
            }
            Update::HostMetadataRemove(node) => {
                changes.hosts |= state.hosts.remove(&node).is_some();
            }
            Update::IpPool(id, pool) => changes.other |= put(&mut state.pools, id, pool),
            Update::IpPoolRemove(id) => changes.other |= state.pools.remove(&id).is_some(),
            Update::ServiceAccount(id, labels) => {
                changes.other |= put(&mut state.service_accounts, id, labels);
            }
            Update::ServiceAccountRemove(id) => {
                changes.other |= state.service_accounts.remove(&id).is_some();
            }
            Update::Namespace(name, labels) => {
                changes.other |= put(&mut state.namespaces, name, labels);
            }
            Update::NamespaceRemove(name) => {
                changes.other |= state.namespaces.remove(&name).is_some();
            }
            Update::Vtep(node, vtep) => changes.other |= put(&mut state.vteps, node, vtep),
            Update::VtepRemove(node) => changes.other |= state.vteps.remove(&node).is_some(),
            Update::Wireguard {
                node,
                v6,
                key,
                addr,
            } => changes.other |= put(&mut state.wireguard, (node, v6), (key, addr)),
            Update::WireguardRemove { node, v6 } => {
                changes.other |= state.wireguard.remove(&(node, v6)).is_some();
            }
            Update::BgpConfig(bgp) => changes.other |= set(&mut state.bgp, bgp),
            Update::Encapsulation(encapsulation) => {
                changes.other |= set(&mut state.encapsulation, encapsulation);
            }
            Update::Service(id, service) => changes.other |= put(&mut state.services, id, service),
            Update::ServiceRemove(id) => changes.other |= state.services.remove(&id).is_some(),
        }
        Ok(())
    }

    pub(super) fn put_workload(&mut self, id: WorkloadId, endpoint: WorkloadEndpoint) {
        let old = self.state.workloads.get(&id);
        if old == Some(&endpoint) {
            return;
        }
        let moved = self.owners.replace(&id, old, Some(&endpoint));
        self.changes.workloads.extend(moved);
        self.changes.workloads.insert(id.clone());
        self.state.workloads.insert(id, endpoint);
    }

    pub(super) fn remove_workload(&mut self, id: &WorkloadId) {
        let old = self.state.workloads.remove(id);
        let moved = self.owners.replace(id, old.as_ref(), None);
        self.changes.workloads.extend(moved);
        self.changes.workloads.insert(id.clone());
    }

    /// A set that arrives whole; of a known one only the difference is noted.
    fn replace_set(
        &mut self,
        id: IpSetId,
        kind: IpSetKind,
        members: Vec<Member>,
        invalid: Vec<String>,
    ) -> Result<(), ModelError> {
        check_shapes(&id, kind, &members)?;
        let new = IpSet {
            kind,
            members: members.into_iter().collect(),
            invalid: invalid.into_iter().collect(),
        };
        self.put_set(id, new);
        Ok(())
    }

    pub(super) fn put_set(&mut self, id: IpSetId, new: IpSet) {
        let changes = &mut self.changes;
        match self.state.ip_sets.get(&id) {
            Some(old) => {
                let gone = old.members.iter().filter(|m| !new.members.contains(m));
                changes.flip(&id, gone);
                let come = new.members.iter().filter(|m| !old.members.contains(m));
                changes.flip(&id, come);
                if old.kind != new.kind || old.invalid != new.invalid {
                    changes.sets.insert(id.clone());
                }
            }
            None => {
                changes.flip_all(&id, &new.members);
                changes.sets.insert(id.clone());
            }
        }
        self.state.ip_sets.insert(id, new);
    }

    /// Members that come and go: all of it, or none of it.
    fn apply_delta(
        &mut self,
        id: &IpSetId,
        added: &[Member],
        removed: &[Member],
        invalid_added: Vec<String>,
        invalid_removed: Vec<String>,
    ) -> Result<(), ModelError> {
        let set = self
            .state
            .ip_sets
            .get_mut(id)
            .ok_or_else(|| ModelError::UnknownIpSet(id.clone()))?;
        check_shapes(id, set.kind, added)?;
        let invalid = invalid_after(id, &set.invalid, invalid_added, invalid_removed)?;
        for (done, member) in added.iter().enumerate() {
            if !set.members.insert(*member) {
                set.members.remove_all(&added[..done]);
                return Err(ModelError::AlreadyMember {
                    set: id.clone(),
                    member: member.to_string(),
                });
            }
        }
        for (done, member) in removed.iter().enumerate() {
            if !set.members.remove(member) {
                set.members.insert_all(&removed[..done]);
                set.members.remove_all(added);
                return Err(ModelError::NotMember {
                    set: id.clone(),
                    member: member.to_string(),
                });
            }
        }
        if let Some(invalid) = invalid {
            set.invalid = invalid;
            self.changes.sets.insert(id.clone());
        }
        self.changes.flip(id, added.iter().chain(removed).copied());
        Ok(())
    }
}

/// The members that cannot be understood after a delta, if it says anything about them.
fn invalid_after(
    id: &IpSetId,
    old: &BTreeSet<String>,
    added: Vec<String>,
    removed: Vec<String>,
) -> Result<Option<BTreeSet<String>>, ModelError> {
    if added.is_empty() && removed.is_empty() {
        return Ok(None);
    }
    let mut invalid = old.clone();
    for member in added {
        if let Some(member) = invalid.replace(member) {
            let set = id.clone();
            return Err(ModelError::AlreadyMember { set, member });
        }
    }
    for member in removed {
        if !invalid.remove(&member) {
            let set = id.clone();
            return Err(ModelError::NotMember { set, member });
        }
    }
    Ok(Some(invalid))
}

/// A member of the wrong shape could never match, which a negated criterion would take for a pass.
fn check_shapes(id: &IpSetId, kind: IpSetKind, members: &[Member]) -> Result<(), ModelError> {
    match members.iter().find(|member| !kind.admits(member)) {
        None => Ok(()),
        Some(member) => Err(ModelError::WrongShape {
            set: id.clone(),
            kind,
            member: *member,
        }),
    }
}

/// Stores a value and says whether it differs from the one before.
fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: V) -> bool {
    if map.get(&key) == Some(&value) {
        return false;
    }
    map.insert(key, value);
    true
}

/// The same for a value without a key.
fn set<V: PartialEq>(slot: &mut V, value: V) -> bool {
    let differs = *slot != value;
    *slot = value;
    differs
}
