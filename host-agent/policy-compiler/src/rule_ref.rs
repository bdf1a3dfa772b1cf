//! The way back from the 32 bits in a verdict row to the rule that gave it.

use std::fmt;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use policy_model::{Direction, HOST_TIER, PROFILE_TIER, PolicyId, PolicyKind, ProfileId, RuleId};
use serde::{Deserialize, Serialize};

use crate::fingerprint::{Fingerprint, IdSpace};

/// Who holds a rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RuleHolder {
    /// A policy of a tier.
    Policy(PolicyId),
    /// A profile.
    Profile(ProfileId),
    /// Nobody: no profile matched.
    NoProfile,
    /// `FailsafeInboundHostPorts` or `FailsafeOutboundHostPorts`.
    Failsafe(Direction),
    /// A host endpoint or the node, without a rule.
    Host(HostAction),
}

/// What happens on a node without a rule of anybody's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum HostAction {
    /// No policy of a host endpoint denied what passes through.
    EndOfList,
    /// `DefaultEndpointToHostAction` drops what workloads send to the node.
    EndpointToHost,
    /// ICMPv6 that every router must take.
    RouterIcmp,
    /// A host endpoint's lists cannot be enforced exactly.
    Refused,
}

impl HostAction {
    /// As the evaluator names it.
    const fn name(self) -> &'static str {
        match self {
            Self::EndOfList | Self::Refused => HOST_TIER,
            Self::EndpointToHost => "DefaultEndpointToHostAction",
            Self::RouterIcmp => "ICMPv6",
        }
    }
}

/// A rule, or the end of a tier, as the place of a decision.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RuleRef {
    /// Leg.
    pub direction: Direction,
    /// Tier, [`PROFILE_TIER`] for profiles, and names of their own for failsafe ports and hosts.
    pub tier: Arc<str>,
    /// Policy or profile; the first enforced policy of the tier where the tier's end decides.
    pub holder: RuleHolder,
    /// Place in its list; none at the end of a tier and where no profile matched.
    pub rule: Option<usize>,
    /// Felix's id.
    pub rule_id: Option<RuleId>,
}

impl RuleRef {
    /// Name of the policy or profile, [`PROFILE_TIER`] where no profile matched.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.holder {
            RuleHolder::Policy(id) => &id.name,
            RuleHolder::Profile(id) => id.as_str(),
            RuleHolder::NoProfile => PROFILE_TIER,
            RuleHolder::Failsafe(Direction::Ingress) => "FailsafeInboundHostPorts",
            RuleHolder::Failsafe(Direction::Egress) => "FailsafeOutboundHostPorts",
            RuleHolder::Host(action) => action.name(),
        }
    }

    /// Namespace of the policy, empty for global ones and profiles.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match &self.holder {
            RuleHolder::Policy(id) => &id.namespace,
            RuleHolder::Profile(_)
            | RuleHolder::NoProfile
            | RuleHolder::Failsafe(_)
            | RuleHolder::Host(_) => "",
        }
    }

    /// What makes it this rule: its place. Releases of Felix name the same rule by different ids,
    /// and older ones do not state a policy's kind.
    fn place(&self) -> Self {
        let mut place = Self {
            rule_id: None,
            ..self.clone()
        };
        if let RuleHolder::Policy(id) = &mut place.holder
            && id.kind == PolicyKind::Unstated
        {
            id.kind = if id.namespace.is_empty() {
                PolicyKind::GlobalNetworkPolicy
            } else {
                PolicyKind::NetworkPolicy
            };
        }
        place
    }

    fn hash(&self) -> u128 {
        let Self {
            direction,
            tier,
            holder,
            rule,
            rule_id: _,
        } = self;
        let mut hash = Fingerprint::new("rule");
        hash.word(*direction as u64);
        hash.text(tier);
        match holder {
            RuleHolder::Policy(id) => {
                hash.word(1);
                hash_kind(&mut hash, &id.kind);
                hash.text(&id.namespace);
                hash.text(&id.name);
            }
            RuleHolder::Profile(id) => {
                hash.word(2);
                hash.text(id.as_str());
            }
            RuleHolder::NoProfile => hash.word(3),
            RuleHolder::Failsafe(direction) => {
                hash.word(4);
                hash.word(*direction as u64);
            }
            RuleHolder::Host(action) => {
                hash.word(5);
                hash.word(*action as u64);
            }
        }
        hash.word(rule.map_or(0, |index| index as u64 + 1));
        hash.finish()
    }
}

fn hash_kind(hash: &mut Fingerprint, kind: &PolicyKind) {
    match kind {
        PolicyKind::NetworkPolicy => hash.word(1),
        PolicyKind::GlobalNetworkPolicy => hash.word(2),
        PolicyKind::KubernetesNetworkPolicy => hash.word(3),
        PolicyKind::KubernetesClusterNetworkPolicy => hash.word(4),
        PolicyKind::Unstated => hash.word(5),
        PolicyKind::Staged(name) => {
            hash.word(6);
            hash.text(name);
        }
        PolicyKind::Unknown(name) => {
            hash.word(7);
            hash.text(name);
        }
    }
}

impl fmt::Display for RuleRef {
    /// As Calico's traces read: `tier|namespace|policy|rule`, -1 for the end of a tier.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tier, namespace, name) = (&self.tier, self.namespace(), self.name());
        match self.rule {
            Some(rule) => write!(f, "{tier}|{namespace}|{name}|{rule}"),
            None => write!(f, "{tier}|{namespace}|{name}|-1"),
        }
    }
}

/// Rules that classes refer to, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    by_place: HashMap<RuleRef, u32, FixedState>,
    by_id: HashMap<u32, Named, FixedState>,
    ids: IdSpace,
}

#[derive(Clone, Debug)]
struct Named {
    /// As Felix named it last.
    rule: RuleRef,
    users: u32,
}

impl Rules {
    /// The id of a rule; it stays while [`Rules::hold`] outweighs [`Rules::release`].
    pub(crate) fn id(&mut self, rule: RuleRef) -> u32 {
        let place = rule.place();
        if let Some(id) = self.by_place.get(&place) {
            if let Some(named) = self.by_id.get_mut(id) {
                named.rule = rule;
            }
            return *id;
        }
        let id = self.ids.take(place.hash());
        self.by_id.insert(id, Named { rule, users: 0 });
        self.by_place.insert(place, id);
        id
    }

    /// One more user.
    pub(crate) fn hold(&mut self, id: u32) {
        if let Some(named) = self.by_id.get_mut(&id) {
            named.users += 1;
        }
    }

    /// One user less; the last one takes the rule along.
    pub(crate) fn release(&mut self, id: u32) {
        let Some(named) = self.by_id.get_mut(&id) else {
            return;
        };
        named.users = named.users.saturating_sub(1);
        if named.users == 0 {
            if let Some(named) = self.by_id.remove(&id) {
                self.by_place.remove(&named.rule.place());
            }
            self.ids.give(id);
        }
    }

    /// The rule with this id.
    pub(crate) fn get(&self, id: u32) -> Option<&RuleRef> {
        self.by_id.get(&id).map(|named| &named.rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(kind: PolicyKind, namespace: &str, rule: usize, rule_id: &str) -> RuleRef {
        RuleRef {
            direction: Direction::Ingress,
            tier: "default".into(),
            holder: RuleHolder::Policy(PolicyId {
                name: "default.web".into(),
                namespace: namespace.into(),
                kind,
            }),
            rule: Some(rule),
            rule_id: Some(rule_id.into()),
        }
    }

    #[test]
    fn releases_that_name_a_rule_differently_mean_the_same_one() {
        let mut rules = Rules::default();
        let old = rules.id(rule(PolicyKind::Unstated, "shop", 0, "a"));
        rules.hold(old);
        let new = rule(PolicyKind::NetworkPolicy, "shop", 0, "b");
        assert_eq!(rules.id(new.clone()), old);
        assert_eq!(rules.get(old), Some(&new));
        rules.release(old);
        assert_eq!(rules.get(old), None);
        let again = rules.id(new);
        assert_eq!(again, old);
        let others = [
            rule(PolicyKind::NetworkPolicy, "shop", 1, "b"),
            rule(PolicyKind::KubernetesNetworkPolicy, "shop", 0, "b"),
            rule(PolicyKind::GlobalNetworkPolicy, "", 0, "b"),
        ];
        for other in others {
            assert_ne!(rules.id(other), old);
        }
    }
}
