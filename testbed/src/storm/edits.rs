//! Edits of policy, one object at a time as Felix tells them.
//!
//! A packet between two local pods is judged twice, by the source's egress and by the destination's
//! ingress policy. Each judgement changes at one write; two that change against each other in one
//! edit would make a third verdict for a moment, in Calico's own dataplanes as in this one. So each
//! edit here changes one direction of a policy or an endpoint, or the membership of one pod, and
//! every packet can be held to "before or after" without exception.

use std::fmt;
use std::net::IpAddr;

use policy_model::{IpSetKind, Member, Policy, PolicyId, PolicyModel, Rule, Update};
use serde::Serialize;

use super::world::{
    self, PODS, POLICIES, REMOTES, SETS, TIERS, address, members, policy_id, set_id, workload_id,
};
use crate::random::Random;

/// What is edited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// A rule more.
    RuleAdded,
    /// A rule less.
    RuleRemoved,
    /// Another rule in its place.
    RuleChanged,
    /// The same rules in another order.
    RulesReordered,
    /// The tiers of an endpoint in another order.
    TiersReordered,
    /// What follows the end of a tier.
    TierDefault,
    /// Other policies of a tier, or the same in another order.
    PoliciesChanged,
    /// A pod comes into a set.
    MemberAdded,
    /// A pod leaves a set.
    MemberRemoved,
    /// The set with other remote members.
    SetReplaced,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::RuleAdded,
        Self::RuleRemoved,
        Self::RuleChanged,
        Self::RulesReordered,
        Self::TiersReordered,
        Self::TierDefault,
        Self::PoliciesChanged,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::SetReplaced,
    ];
}

/// One edit.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    /// What kind.
    pub(super) kind: Kind,
    /// What Felix says.
    pub(super) update: Update,
    /// Addresses whose flows it may concern.
    pub(super) concerns: Vec<IpAddr>,
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind;
        match &self.update {
            Update::Policy(id, _) => write!(f, "{kind:?} in policy {id}"),
            Update::Workload(id, _) => write!(f, "{kind:?} at endpoint {id}"),
            Update::IpSet { id, .. } | Update::IpSetDelta { id, .. } => {
                write!(f, "{kind:?} in set {id}")
            }
            _ => write!(f, "{kind:?}"),
        }
    }
}

/// The next edit that changes something; kinds take turns.
pub(super) fn next(random: &mut Random, model: &PolicyModel, number: usize) -> Edit {
    let mut turn = number;
    loop {
        let kind = Kind::ALL[turn % Kind::ALL.len()];
        if let Some(edit) = attempt(random, model, kind) {
            return edit;
        }
        turn += 1;
    }
}

fn attempt(random: &mut Random, model: &PolicyModel, kind: Kind) -> Option<Edit> {
    match kind {
        Kind::RuleAdded | Kind::RuleRemoved | Kind::RuleChanged | Kind::RulesReordered => {
            let id = policy_id(random.below(TIERS.len()), random.below(POLICIES));
            let inbound = random.below(2) == 0;
            let mut policy = model.policy(&id)?.clone();
            edit_rules(random, kind, &mut policy, inbound)?;
            let concerns = users(model, &id, inbound);
            let update = Update::Policy(id, policy);
            Some(Edit {
                kind,
                update,
                concerns,
            })
        }
        Kind::TiersReordered | Kind::TierDefault | Kind::PoliciesChanged => {
            edit_tiers(random, model, kind)
        }
        Kind::MemberAdded | Kind::MemberRemoved => edit_member(random, model, kind),
        Kind::SetReplaced => replace(random, model),
    }
}

fn edit_rules(random: &mut Random, kind: Kind, policy: &mut Policy, inbound: bool) -> Option<()> {
    let rules: &mut Vec<Rule> = if inbound {
        &mut policy.inbound
    } else {
        &mut policy.outbound
    };
    let before = rules.clone();
    match kind {
        Kind::RuleAdded if rules.len() < 8 => {
            let at = random.below(rules.len() + 1);
            rules.insert(at, world::rule(random, inbound));
        }
        Kind::RuleRemoved if !rules.is_empty() => {
            rules.remove(random.below(rules.len()));
        }
        Kind::RuleChanged if !rules.is_empty() => {
            let at = random.below(rules.len());
            rules[at] = world::rule(random, inbound);
        }
        Kind::RulesReordered if rules.len() > 1 => {
            let by = 1 + random.below(rules.len() - 1);
            rules.rotate_left(by);
        }
        _ => {}
    }
    (*rules != before).then_some(())
}

/// Tiers of one endpoint: a packet meets an endpoint in one direction only.
fn edit_tiers(random: &mut Random, model: &PolicyModel, kind: Kind) -> Option<Edit> {
    let pod = random.below(PODS);
    let id = workload_id(pod);
    let mut endpoint = model.workload(&id)?.clone();
    match kind {
        Kind::TiersReordered => {
            let by = 1 + random.below(endpoint.tiers.len() - 1);
            endpoint.tiers.rotate_left(by);
        }
        Kind::TierDefault => {
            let at = random.below(endpoint.tiers.len());
            let tier = endpoint.tiers.get_mut(at)?;
            tier.default_pass = !tier.default_pass;
        }
        _ => {
            let at = random.below(endpoint.tiers.len());
            let tier = endpoint.tiers.get_mut(at)?;
            let number = TIERS.iter().position(|name| **name == *tier.name)?;
            let list = if random.below(2) == 0 {
                &mut tier.ingress
            } else {
                &mut tier.egress
            };
            let new = world::listed(random, number);
            if *list == new {
                list.reverse();
            } else {
                *list = new;
            }
        }
    }
    if model.workload(&id) == Some(&endpoint) {
        return None;
    }
    Some(Edit {
        kind,
        update: Update::Workload(id, endpoint),
        concerns: [false, true].map(|v6| address(pod, v6)).into(),
    })
}

fn edit_member(random: &mut Random, model: &PolicyModel, kind: Kind) -> Option<Edit> {
    let id = set_id(random.below(SETS));
    let pod = random.below(PODS + REMOTES);
    let there = model.ip_set(&id)?.members.contains(&members(pod)[0]);
    if there != (kind == Kind::MemberRemoved) {
        return None;
    }
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    if there {
        removed.extend(members(pod));
    } else {
        added.extend(members(pod));
    }
    Some(Edit {
        kind,
        update: Update::IpSetDelta {
            id,
            added,
            removed,
            invalid_added: Vec::new(),
            invalid_removed: Vec::new(),
        },
        concerns: [false, true].map(|v6| address(pod, v6)).into(),
    })
}

/// The set anew: local pods stay what they are, a few remote ones come and go.
fn replace(random: &mut Random, model: &PolicyModel) -> Option<Edit> {
    let id = set_id(random.below(SETS));
    let set = model.ip_set(&id)?;
    let mut now: Vec<Member> = Vec::new();
    let mut concerns = Vec::new();
    for pod in 0..PODS + REMOTES {
        let there = set.members.contains(&members(pod)[0]);
        let turned = pod >= PODS && random.below(16) == 0;
        if turned {
            concerns.extend([false, true].map(|v6| address(pod, v6)));
        }
        if there != turned {
            now.extend(members(pod));
        }
    }
    (!concerns.is_empty()).then_some(Edit {
        kind: Kind::SetReplaced,
        update: Update::IpSet {
            id,
            kind: IpSetKind::Net,
            members: now,
            invalid: Vec::new(),
        },
        concerns,
    })
}

/// Addresses of the pods that list a policy for one direction.
fn users(model: &PolicyModel, id: &PolicyId, inbound: bool) -> Vec<IpAddr> {
    model
        .workloads()
        .filter(|(_, endpoint)| {
            endpoint.tiers.iter().any(|tier| {
                let list = if inbound { &tier.ingress } else { &tier.egress };
                list.contains(id)
            })
        })
        .flat_map(|(_, endpoint)| endpoint.addresses().collect::<Vec<_>>())
        .collect()
}
