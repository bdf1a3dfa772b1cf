//! One endpoint, one direction: tiers, then profiles.

use super::matching::matches;
use super::{Decision, HOST_TIER, Judge, Leg, Step, StepAction};
use crate::{
    Action, Direction, Flow, PROFILE_TIER, PolicyModel, ProfileId, Rule, Semantics, Tier,
    WorkloadEndpoint, WorkloadId,
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
    let owner = Judge::Workload(id.clone());
    let Some(endpoint) = model.workload(id) else {
        return refused(owner, direction, format!("Endpoint {id} is not known."));
    };
    if !endpoint.active {
        return refused(owner, direction, format!("Endpoint {id} is not active."));
    }
    if let Some(refusal) = model.leg_refusal(id, direction, semantics) {
        return refused(owner, direction, format!("Refused: {refusal}."));
    }
    let mut walk = Walk::new(model, direction, flow);
    let allow = walk.endpoint(endpoint);
    walk.leg(owner, allow)
}

/// What the node itself does with a packet from a workload.
pub(super) fn of_node(allow: bool, what: &str, reason: &str) -> Leg {
    let decision = Decision {
        direction: Some(Direction::Ingress),
        tier: HOST_TIER.into(),
        policy: what.into(),
        reason: reason.into(),
        ..Decision::default()
    };
    let action = if allow {
        StepAction::Allow
    } else {
        StepAction::Deny
    };
    Leg {
        endpoint: Judge::Node,
        direction: Direction::Ingress,
        allow,
        decision: decision.clone(),
        steps: vec![Step {
            at: decision,
            action,
        }],
    }
}

/// A leg that denies without asking policy.
pub(super) fn refused(endpoint: Judge, direction: Direction, reason: String) -> Leg {
    Leg {
        endpoint,
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

pub(super) struct Walk<'a> {
    pub(super) model: &'a PolicyModel,
    pub(super) direction: Direction,
    pub(super) flow: &'a Flow,
    steps: Vec<Step>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(model: &'a PolicyModel, direction: Direction, flow: &'a Flow) -> Self {
        Self {
            model,
            direction,
            flow,
            steps: Vec::new(),
        }
    }

    /// The leg, decided by the last step.
    pub(super) fn leg(self, endpoint: Judge, allow: bool) -> Leg {
        let decision = self.steps.last().map(|step| step.at.clone());
        Leg {
            endpoint,
            direction: self.direction,
            allow,
            decision: decision.unwrap_or_default(),
            steps: self.steps,
        }
    }

    fn endpoint(&mut self, endpoint: &WorkloadEndpoint) -> bool {
        for tier in &endpoint.tiers {
            match self.tier(tier, true) {
                StepAction::Allow => return true,
                StepAction::Deny => return false,
                StepAction::Pass | StepAction::Log => {}
            }
        }
        self.profiles(&endpoint.profiles)
    }

    /// A tier with no enforced policy for this direction is as if it were not there. Its end is told
    /// of in the name of its first enforced policy, as Calico does. Where ends do not count it
    /// passes.
    pub(super) fn tier(&mut self, tier: &Tier, ends: bool) -> StepAction {
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
        if !ends {
            return StepAction::Pass;
        }
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
    pub(super) fn profiles(&mut self, profiles: &[ProfileId]) -> bool {
        for id in profiles {
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
        let index = rule.map(|(index, _)| index);
        self.note(place, index, action, reason);
        if let (Some(step), Some((_, rule))) = (self.steps.last_mut(), rule) {
            step.at.rule_id = Some(rule.id.clone());
        }
    }

    /// A step that no rule of a policy is behind.
    pub(super) fn note(
        &mut self,
        place: &Place<'_>,
        rule: Option<usize>,
        action: StepAction,
        reason: String,
    ) {
        self.steps.push(Step {
            at: Decision {
                direction: Some(self.direction),
                tier: place.tier.into(),
                namespace: place.namespace.into(),
                policy: place.policy.into(),
                rule,
                rule_id: None,
                reason,
            },
            action,
        });
    }
}

/// Whose rules are looked at.
pub(super) struct Place<'a> {
    pub(super) tier: &'a str,
    pub(super) namespace: &'a str,
    pub(super) policy: &'a str,
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
