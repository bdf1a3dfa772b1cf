//! What became of one flow.

use policy_model::{Decision, Verdict};
use serde::Serialize;
use serde_json::Value;

use super::flows::{Expected, Trial};

/// The answer to one flow; its JSON form is the command's output.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    id: Value,
    /// The reference evaluator's.
    verdict: &'static str,
    /// What the target did; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<&'static str>,
    decided_by: DecidedBy,
    /// Present if the packet left where it should not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    misdelivered_to_port: Option<u16>,
    #[serde(skip)]
    differs: bool,
    #[serde(skip)]
    checks: Checks,
}

#[derive(Clone, Debug, Serialize)]
struct DecidedBy {
    direction: Value,
    tier: String,
    namespace: String,
    policy: String,
    /// -1 at the end of a tier, none if policy was not asked.
    rule: Option<i64>,
    reason: String,
}

/// Comparisons with what the file of flows said: none where it said nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Checks {
    /// The evaluator's verdict is Calico's.
    pub(crate) verdict: Option<bool>,
    /// The evaluator's verdict is the kernel's.
    pub(crate) kernel: Option<bool>,
    /// All legs and their traces are Calico's.
    pub(crate) traces: Option<bool>,
}

/// What a target did with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// Nothing came out.
    Dropped,
    /// It came out of the right port.
    Forwarded,
    /// It came out of another port.
    Misdelivered(u16),
}

impl Answer {
    /// Compares what evaluator, target and file say.
    pub(crate) fn new(trial: &Trial, verdict: &Verdict, fate: Option<Fate>) -> Self {
        let (packet, port) = match fate {
            None => (None, None),
            Some(Fate::Dropped) => (Some("dropped"), None),
            Some(Fate::Forwarded) => (Some("forwarded"), None),
            Some(Fate::Misdelivered(port)) => (Some("forwarded"), Some(port)),
        };
        let right = if verdict.allow {
            Fate::Forwarded
        } else {
            Fate::Dropped
        };
        Self {
            id: trial.id.clone(),
            verdict: word(verdict.allow),
            packet,
            decided_by: DecidedBy::from(&verdict.decided_by),
            misdelivered_to_port: port,
            differs: fate.is_some_and(|fate| fate != right),
            checks: check(&trial.expected, verdict),
        }
    }

    /// Whether the target did not do what the evaluator says.
    pub(crate) fn differs(&self) -> bool {
        self.differs
    }

    /// Whether the target let the packet through; none without a target.
    pub(crate) fn forwarded(&self) -> Option<bool> {
        self.packet.map(|word| word == "forwarded")
    }

    /// Whether the evaluator allows.
    pub(crate) fn allowed(&self) -> bool {
        self.verdict == word(true)
    }

    /// Comparisons with the file.
    pub(crate) fn checks(&self) -> Checks {
        self.checks
    }

    /// Why, in one sentence.
    pub(crate) fn reason(&self) -> &str {
        &self.decided_by.reason
    }

    /// As in the file of flows.
    pub(crate) fn id(&self) -> &Value {
        &self.id
    }
}

impl From<&Decision> for DecidedBy {
    fn from(decision: &Decision) -> Self {
        let Decision {
            direction,
            tier,
            namespace,
            policy,
            rule,
            rule_id: _, // the rule's place says as much
            reason,
        } = decision;
        let asked = !tier.is_empty();
        let place = rule.map_or(-1, |rule| i64::try_from(rule).unwrap_or(i64::MAX));
        Self {
            direction: serde_json::to_value(direction).unwrap_or_default(),
            tier: tier.clone(),
            namespace: namespace.clone(),
            policy: policy.clone(),
            rule: asked.then_some(place),
            reason: reason.clone(),
        }
    }
}

fn word(allow: bool) -> &'static str {
    if allow { "allow" } else { "deny" }
}

fn check(expected: &Expected, verdict: &Verdict) -> Checks {
    let ours: Vec<_> = verdict
        .legs
        .iter()
        .map(|leg| {
            let direction = match leg.direction {
                policy_model::Direction::Ingress => "in",
                policy_model::Direction::Egress => "out",
            };
            (leg.endpoint.to_string(), direction.to_owned(), leg.trace())
        })
        .collect();
    Checks {
        verdict: expected.verdict.map(|allow| allow == verdict.allow),
        kernel: expected.kernel.map(|allow| allow == verdict.allow),
        traces: (!expected.legs.is_empty()).then(|| expected.legs == ours),
    }
}
