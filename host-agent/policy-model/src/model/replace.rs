//! A new session's snapshot in place of the old state.

use std::collections::{BTreeMap, BTreeSet};

use super::{PolicyModel, State};

impl PolicyModel {
    /// Takes over the state of a new session, complete when its in-sync message came. The
    /// [`crate::ChangeSet`] grows by the difference only: what both hold is not in it, and a
    /// membership that changed before and is now as it was at the last look drops out.
    ///
    /// Until then the old state stays as it is: feed the new session's updates to a model of its
    /// own and call this at its [`crate::Update::InSync`].
    pub fn replace_with(&mut self, new: Self) {
        let Self {
            state: new,
            owners: _,  // follows from the endpoints
            changes: _, // differences from an empty model
        } = new;
        self.replace_sets(&new);
        self.replace_workloads(&new);
        let State {
            in_sync,
            config,
            ip_sets: _,
            policies,
            profiles,
            workloads: _,
            host_endpoints,
            hosts,
            pools,
            service_accounts,
            namespaces,
            routes,
            vteps,
            wireguard,
            bgp,
            encapsulation,
            services,
        } = &self.state;
        let changes = &mut self.changes;
        changes.in_sync |= new.in_sync && !in_sync;
        changes.config |= new.config != *config;
        differing(policies, &new.policies, &mut changes.policies);
        differing(profiles, &new.profiles, &mut changes.profiles);
        differing(
            host_endpoints,
            &new.host_endpoints,
            &mut changes.host_endpoints,
        );
        differing(routes, &new.routes, &mut changes.routes);
        changes.hosts |= new.hosts != *hosts;
        changes.other |= new.pools != *pools
            || new.service_accounts != *service_accounts
            || new.namespaces != *namespaces
            || new.vteps != *vteps
            || new.wireguard != *wireguard
            || new.bgp != *bgp
            || new.encapsulation != *encapsulation
            || new.services != *services;
        self.state = new;
    }

    fn replace_sets(&mut self, new: &State) {
        let changes = &mut self.changes;
        self.state.ip_sets.retain(|id, set| {
            let stays = new.ip_sets.contains_key(id);
            if !stays {
                changes.flip_all(id, &set.members);
                changes.sets.insert(id.clone());
            }
            stays
        });
        for (id, set) in &new.ip_sets {
            if self.state.ip_sets.get(id) != Some(set) {
                self.put_set(id.clone(), set.clone());
            }
        }
    }

    fn replace_workloads(&mut self, new: &State) {
        let gone: Vec<_> = self
            .state
            .workloads
            .keys()
            .filter(|id| !new.workloads.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            self.remove_workload(&id);
        }
        for (id, endpoint) in &new.workloads {
            self.put_workload(id.clone(), endpoint.clone());
        }
    }
}

/// Notes the keys that only one side has or whose values differ.
fn differing<K: Ord + Clone, V: PartialEq>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    keys: &mut BTreeSet<K>,
) {
    keys.extend(old.keys().filter(|key| !new.contains_key(*key)).cloned());
    let changed = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(value));
    keys.extend(changed.map(|(key, _)| key.clone()));
}
