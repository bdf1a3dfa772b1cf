//! The list of what cannot be enforced after a change, without a look at everything.

use std::collections::BTreeSet;

use super::find::{BOTH, endpoint_refusals, unenforced_refusals};
use crate::{
    ChangeSet, IpSetId, PolicyId, PolicyModel, Refusal, RefusalReason, Rule, Semantics, Side,
    Subject,
};

impl PolicyModel {
    /// What [`PolicyModel::refusals`] says now, given what it said `before` these changes. The work
    /// is in proportion to what changed where policies and workloads did; a set that came or went
    /// costs a look at each rule, and everything else, which is rare, the whole of it.
    #[must_use]
    pub fn refusals_after(
        &self,
        before: &[Refusal],
        changes: &ChangeSet,
        semantics: &Semantics,
    ) -> Vec<Refusal> {
        let ChangeSet {
            config,
            in_sync,
            policies,
            profiles,
            workloads,
            host_endpoints,
            sets,
            members: _,
            routes: _,
            hosts: _,
            other: _,
        } = changes;
        let named_and_never_sent = before.iter().any(|refusal| {
            matches!(&refusal.reason, RefusalReason::Missing(what) if *what == refusal.subject)
        });
        let has_host_endpoints = self.host_endpoints().next().is_some();
        let else_changed = *config || *in_sync || !profiles.is_empty();
        if else_changed
            || !host_endpoints.is_empty()
            || has_host_endpoints
            || named_and_never_sent
            || self.names_a_misplaced_one(changes)
            || (!sets.is_empty() && self.profile_names(sets))
        {
            return self.refusals(semantics);
        }
        if policies.is_empty() && workloads.is_empty() && sets.is_empty() {
            return before.to_vec();
        }
        let mut again: BTreeSet<&PolicyId> = policies.iter().collect();
        if !sets.is_empty() {
            let naming = self.policies().filter(|(_, policy)| {
                let mut rules = policy.inbound.iter().chain(&policy.outbound);
                rules.any(|rule| names(rule, sets))
            });
            again.extend(naming.map(|(id, _)| id));
        }
        let stays = |refusal: &&Refusal| match &refusal.subject {
            Subject::Policy(id) => !again.contains(id),
            Subject::Workload(id) => !workloads.contains(id),
            Subject::IpSet(id) => !sets.contains(id),
            Subject::Profile(_) | Subject::HostEndpoint(_) | Subject::Config(_) => true,
        };
        let mut all: Vec<Refusal> = before.iter().filter(stays).cloned().collect();
        for id in again.into_iter().filter(|id| self.policy(id).is_some()) {
            for direction in BOTH {
                all.extend(self.listed_policy_refusals(id, direction, semantics));
            }
        }
        for id in workloads {
            if let Some(endpoint) = self.workload(id) {
                all.extend(endpoint_refusals(id, endpoint));
                all.extend(unenforced_refusals(id, endpoint));
            }
        }
        for id in sets {
            all.extend(self.member_refusals(id));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether a workload names a policy or profile that is not there, or a policy that has no place
    /// on a workload, as far as these changes can have brought it about.
    fn names_a_misplaced_one(&self, changes: &ChangeSet) -> bool {
        let misplaced = |id: &PolicyId| {
            let policy = self.policy(id);
            policy.is_none_or(|policy| policy.untracked || policy.pre_dnat)
        };
        let gone: BTreeSet<&PolicyId> =
            changes.policies.iter().filter(|id| misplaced(id)).collect();
        let changed = |id| changes.workloads.contains(id);
        self.workloads()
            .filter(|(id, _)| !gone.is_empty() || changed(*id))
            .any(|(id, endpoint)| {
                let mut policies = BOTH.into_iter().flat_map(|direction| {
                    let tiers = endpoint.tiers.iter();
                    tiers.flat_map(move |tier| tier.enforced(direction))
                });
                if changed(id) {
                    let mut profiles = endpoint.profiles.iter();
                    policies.any(misplaced) || profiles.any(|id| self.profile(id).is_none())
                } else {
                    policies.any(|id| gone.contains(id))
                }
            })
    }

    fn profile_names(&self, sets: &BTreeSet<IpSetId>) -> bool {
        self.profiles().any(|(_, profile)| {
            let mut rules = profile.inbound.iter().chain(&profile.outbound);
            rules.any(|rule| names(rule, sets))
        })
    }
}

fn names(rule: &Rule, sets: &BTreeSet<IpSetId>) -> bool {
    let side = |side: &Side| {
        let lists = [
            &side.sets,
            &side.not_sets,
            &side.named_ports,
            &side.not_named_ports,
            &side.ip_port_sets,
        ];
        lists.into_iter().flatten().any(|id| sets.contains(id))
    };
    side(&rule.src) || side(&rule.dst)
}
