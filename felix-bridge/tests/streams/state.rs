//! The state that a list of updates leaves, independent of the model's own store.

use std::collections::{BTreeMap, BTreeSet};

use policy_model::{IpSetKind, Member, Update};

/// What was said last, by key. Sets are folded.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct State {
    pub(crate) sets: BTreeMap<String, (IpSetKind, BTreeSet<Member>, BTreeSet<String>)>,
    pub(crate) latest: BTreeMap<String, Update>,
    pub(crate) in_sync: usize,
}

impl State {
    pub(crate) fn of(updates: &[Update]) -> Self {
        let mut state = Self::default();
        for update in updates {
            state.apply(update);
        }
        state
    }

    /// Applies one update and holds it to what Felix promises about deltas and removals.
    pub(crate) fn apply(&mut self, update: &Update) {
        let put = |key: String| (key, Some(update.clone()));
        let (key, value) = match update {
            Update::InSync => {
                self.in_sync += 1;
                return;
            }
            Update::IpSet {
                id,
                kind,
                members,
                invalid,
            } => {
                let members = members.iter().copied().collect();
                let invalid = invalid.iter().cloned().collect();
                self.sets.insert(id.to_string(), (*kind, members, invalid));
                return;
            }
            Update::IpSetDelta {
                id,
                added,
                removed,
                invalid_added,
                invalid_removed,
            } => {
                let (_, members, invalid) = self.sets.get_mut(id.as_str()).unwrap();
                for member in added {
                    assert!(members.insert(*member), "{id}: {member:?} was there");
                }
                for member in removed {
                    assert!(members.remove(member), "{id}: {member:?} was not there");
                }
                invalid.extend(invalid_added.iter().cloned());
                for member in invalid_removed {
                    invalid.remove(member);
                }
                return;
            }
            Update::IpSetRemove(id) => {
                assert!(self.sets.remove(id.as_str()).is_some());
                return;
            }
            Update::Config(_) => put("config".to_owned()),
            Update::Policy(id, _) => put(format!("policy {id:?}")),
            Update::PolicyRemove(id) => (format!("policy {id:?}"), None),
            Update::Profile(id, _) => put(format!("profile {id}")),
            Update::ProfileRemove(id) => (format!("profile {id}"), None),
            Update::Workload(id, _) => put(format!("workload {id}")),
            Update::WorkloadRemove(id) => (format!("workload {id}"), None),
            Update::HostEndpoint(id, _) => put(format!("host endpoint {id}")),
            Update::HostEndpointRemove(id) => (format!("host endpoint {id}"), None),
            Update::HostMetadata(id, _) => put(format!("host {id}")),
            Update::HostMetadataRemove(id) => (format!("host {id}"), None),
            Update::IpPool(id, _) => put(format!("pool {id}")),
            Update::IpPoolRemove(id) => (format!("pool {id}"), None),
            Update::ServiceAccount(id, _) => put(format!("account {id:?}")),
            Update::ServiceAccountRemove(id) => (format!("account {id:?}"), None),
            Update::Namespace(id, _) => put(format!("namespace {id}")),
            Update::NamespaceRemove(id) => (format!("namespace {id}"), None),
            Update::Route(id, _) => put(format!("route {id}")),
            Update::RouteRemove(id) => (format!("route {id}"), None),
            Update::Vtep(id, _) => put(format!("vtep {id}")),
            Update::VtepRemove(id) => (format!("vtep {id}"), None),
            Update::Wireguard { node, v6, .. } => put(format!("wireguard {node} {v6}")),
            Update::WireguardRemove { node, v6 } => (format!("wireguard {node} {v6}"), None),
            Update::BgpConfig(_) => put("bgp".to_owned()),
            Update::Encapsulation(_) => put("encapsulation".to_owned()),
            Update::Service(id, _) => put(format!("service {id:?}")),
            Update::ServiceRemove(id) => (format!("service {id:?}"), None),
        };
        match value {
            Some(update) => {
                self.latest.insert(key, update);
            }
            None => {
                assert!(self.latest.remove(&key).is_some(), "{key} was not there");
            }
        }
    }
}
