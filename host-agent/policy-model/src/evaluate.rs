//! The reference evaluator: slow, obvious, and independent of the compiler.

use serde::{Deserialize, Serialize};

use crate::{Direction, Flow, PolicyModel, RuleId, Semantics, WorkloadId};

/// What decided.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Decision {
    /// Leg.
    pub direction: Option<Direction>,
    /// Tier, `__PROFILE__` for profiles.
    pub tier: String,
    /// Namespace of the policy, empty for global ones.
    pub namespace: String,
    /// Policy or profile.
    pub policy: String,
    /// Place of the rule, none at the end of a tier.
    pub rule: Option<usize>,
    /// Felix's rule id.
    pub rule_id: Option<RuleId>,
    /// One sentence for people.
    pub reason: String,
}

/// One policy that was passed through on the way to the decision.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Step {
    /// Where.
    pub at: Decision,
    /// `allow`, `deny`, `pass` or `log`.
    pub action: String,
}

/// The judgement of one endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leg {
    /// Who judges.
    pub endpoint: WorkloadId,
    /// Which of its directions.
    pub direction: Direction,
    /// Outcome.
    pub allow: bool,
    /// What decided.
    pub decision: Decision,
    /// The way there.
    pub steps: Vec<Step>,
}

/// The judgement of a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Outcome.
    pub allow: bool,
    /// Source's egress first, then destination's ingress, as far as they are local and were asked.
    pub legs: Vec<Leg>,
    /// The denying leg's decision, else the last leg's.
    pub decided_by: Decision,
}

/// Judges the first packet of a flow.
#[must_use]
pub fn evaluate(_model: &PolicyModel, _semantics: &Semantics, _flow: &Flow) -> Verdict {
    Verdict {
        allow: false,
        legs: Vec::new(),
        decided_by: Decision::default(),
    }
}
