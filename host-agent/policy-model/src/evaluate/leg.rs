//! One endpoint, one direction: tiers, then profiles.

use super::matching::matches;
use super::{Decision, Leg, PROFILE_TIER, Step, StepAction};
use crate::{
    Action, Direction, Flow, PolicyModel, Rule, Semantics, Tier, WorkloadEndpoint, WorkloadId,
};

/// What a list of rules came to.
enum Outcome {
    /// A rule decided.
    Decided(StepAction),
    /// No rule matched, or only `log` ones did.
    NoMatch,
}

/// Judges one leg.
pub(super) fn judge(
    model: &PolicyModel,
    semantics: &Semantics,
    id: &WorkloadId,
    direction: Direction,
    flow: &Flow,
) -> Leg {
    let Some(endpoint) = model.workload(id) else {
        return refused(id, direction, format!("Endpoint {id} is not known."));
    };
    if !endpoint.active {
        return refused(id, direction, format!("Endpoint {id} is not active."));
    }
    if let Some(refusal) = model.leg_refusal(id, direction, semantics) {
        return refused(id, direction, format!("Refused: {refusal}."));
    }
    let mut walk = Walk {
        model,
        direction,
        flow,
        steps: Vec::new(),
    };
    let allow = walk.endpoint(endpoint);
    let decision = walk.steps.last().map(|step| step.at.clone());
    Leg {
        endpoint: id.clone(),
        direction,
        allow,
        decision: decision.unwrap_or_default(),
        steps: walk.steps,
    }
}

/// A leg that denies without asking policy.
pub(super) fn refused(id: &WorkloadId, direction: Direction, reason: String) -> Leg {
    Leg {
        endpoint: id.clone(),
        direction,
        allow: false,
        decision: Decision {
            direction: Some(direction),
            reason,
            ..Decision::default()
        },
        steps: Vec::new(),
    }
}

struct Walk<'a> {
    model: &'a PolicyModel,
    direction: Direction,
    flow: &'a Flow,
    steps: Vec<Step>,
}

impl Walk<'_> {
    fn endpoint(&mut self, endpoint: &WorkloadEndpoint) -> bool {
        for tier in &endpoint.tiers {
            match self.tier(tier) {
                StepAction::Allow => return true,
                StepAction::Deny => return false,
                StepAction::Pass | StepAction::Log => {}
            }
        }
        self.profiles(endpoint)
    }

    /// A tier with no enforced policy for this direction is as if it were not there. Its end is told
    /// of in the name of its first enforced policy, as Calico does.
    fn tier(&mut self, tier: &Tier) -> StepAction {
        let mut first = None;
        for id in tier.enforced(self.direction) {
            first = first.or(Some(id));
            let Some(policy) = self.model.policy(id) else {
                continue; // leg_refusal has closed the leg already
            };
            let place = Place {
                tier: &tier.name,
                namespace: &id.namespace,
                policy: &id.name,
            };
            if let Outcome::Decided(action) = self.rules(&place, policy.rules(self.direction)) {
                return action;
            }
        }
        let Some(first) = first else {
            return StepAction::Pass;
        };
        let action = if tier.default_pass {
            StepAction::Pass
        } else {
            StepAction::Deny
        };
        let place = Place {
            tier: &tier.name,
            namespace: &first.namespace,
            policy: &first.name,
        };
        let verb = if tier.default_pass {
            "passes"
        } else {
            "denies"
        };
        let reason = format!("No rule of tier {} matched; its end {verb}.", tier.name);
        self.step(&place, None, action, reason);
        action
    }

    /// A pass inside a profile leaves that profile; the next one is asked.
    fn profiles(&mut self, endpoint: &WorkloadEndpoint) -> bool {
        for id in &endpoint.profiles {
            let Some(profile) = self.model.profile(id) else {
                continue; // leg_refusal has closed the leg already
            };
            let place = Place {
                tier: PROFILE_TIER,
                namespace: "",
                policy: id.as_str(),
            };
            match self.rules(&place, profile.rules(self.direction)) {
                Outcome::Decided(StepAction::Allow) => return true,
                Outcome::Decided(StepAction::Deny) => return false,
                Outcome::Decided(StepAction::Pass | StepAction::Log) | Outcome::NoMatch => {}
            }
        }
        let place = Place {
            tier: PROFILE_TIER,
            namespace: "",
            policy: PROFILE_TIER,
        };
        let reason = "No profile allowed it.".to_owned();
        self.step(&place, None, StepAction::Deny, reason);
        false
    }

    fn rules(&mut self, place: &Place<'_>, rules: &[Rule]) -> Outcome {
        for (index, rule) in rules.iter().enumerate() {
            if !matches(self.model, rule, self.flow) {
                continue;
            }
            let (action, verb) = match rule.action {
                Action::Allow => (StepAction::Allow, "allows"),
                Action::Deny => (StepAction::Deny, "denies"),
                Action::Pass => (StepAction::Pass, "passes"),
                Action::Log => (StepAction::Log, "logs"),
            };
            let reason = format!("Rule {index} of {place} {verb}.");
            self.step(place, Some((index, rule)), action, reason);
            if action != StepAction::Log {
                return Outcome::Decided(action);
            }
        }
        Outcome::NoMatch
    }

    fn step(
        &mut self,
        place: &Place<'_>,
        rule: Option<(usize, &Rule)>,
        action: StepAction,
        reason: String,
    ) {
        self.steps.push(Step {
            at: Decision {
                direction: Some(self.direction),
                tier: place.tier.into(),
                namespace: place.namespace.into(),
                policy: place.policy.into(),
                rule: rule.map(|(index, _)| index),
                rule_id: rule.map(|(_, rule)| rule.id.clone()),
                reason,
            },
            action,
        });
    }
}

/// Whose rules are looked at.
struct Place<'a> {
    tier: &'a str,
    namespace: &'a str,
    policy: &'a str,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.tier == PROFILE_TIER {
            return write!(f, "profile {}", self.policy);
        }
        f.write_str("policy ")?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        write!(f, "{} in tier {}", self.policy, self.tier)
    }
}
