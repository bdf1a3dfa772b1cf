//! The reference evaluator: slow, obvious, and independent of the compiler.
//!
//! It walks the endpoint's tiers, policies and rules as Calico's documentation tells it and looks
//! at one criterion after the other. Nothing is indexed, cached or precompiled.

mod leg;
mod matching;
mod trace;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Direction, Flow, L4, PolicyModel, Protocol, RuleId, Semantics, WorkloadId};

/// Tier name under which profiles are told of, as in Calico's own traces.
pub const PROFILE_TIER: &str = "__PROFILE__";

/// What decided.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Decision {
    /// Leg.
    pub direction: Option<Direction>,
    /// Tier, `__PROFILE__` for profiles, empty if policy was not asked.
    pub tier: String,
    /// Namespace of the policy, empty for global ones.
    pub namespace: String,
    /// Policy or profile; at the end of a tier its first enforced policy.
    pub policy: String,
    /// Place of the rule, none at the end of a tier.
    pub rule: Option<usize>,
    /// Felix's rule id.
    pub rule_id: Option<RuleId>,
    /// One sentence for people.
    pub reason: String,
}

/// What one step on the way to the decision did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepAction {
    /// Accepted by this endpoint.
    Allow,
    /// Dropped.
    Deny,
    /// On to the next tier.
    Pass,
    /// Noted; evaluation goes on with the next rule.
    Log,
}

/// One rule that matched, or one end of a tier. The last step of a leg is its decision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Where.
    pub at: Decision,
    /// What followed.
    pub action: StepAction,
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
    /// The way there, the decision included; empty if policy was not asked.
    pub steps: Vec<Step>,
}

/// The judgement of a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Outcome.
    pub allow: bool,
    /// Source's egress first, then destination's ingress, as far as they are local. Both are
    /// judged, even if the first denies.
    pub legs: Vec<Leg>,
    /// The first denying leg's decision; else what denies outside policy; else the last leg's.
    pub decided_by: Decision,
}

/// Judges the first packet of a flow.
///
/// Whether the model is in sync plays no part: before that, ask nobody and deny.
#[must_use]
pub fn evaluate(model: &PolicyModel, semantics: &Semantics, flow: &Flow) -> Verdict {
    if flow.src.is_ipv4() != flow.dst.is_ipv4() {
        return denied("Source and destination are of different families.".into());
    }
    let src = model.owner(flow.src);
    let dst = model.owner(flow.dst);
    let mut legs = Vec::new();
    if let Some(src) = src {
        legs.push(match tunnel_from_workload(model, semantics, flow) {
            Some(reason) => leg::refused(src, Direction::Egress, reason),
            None => leg::judge(model, semantics, src, Direction::Egress, flow),
        });
    }
    if let Some(dst) = dst {
        legs.push(leg::judge(model, semantics, dst, Direction::Ingress, flow));
    }
    let outside = if src.is_none() && dst.is_none() {
        Some("Neither address is a local workload's; nothing is passed through.".to_owned())
    } else if !semantics.policy_only && is_own_node(model, flow.dst) {
        Some("The destination is this node; that traffic is denied in this release.".to_owned())
    } else if src.is_none() || dst.is_none() {
        model
            .uplink_refusal(semantics)
            .map(|refusal| format!("The uplink is closed: {refusal}."))
    } else {
        None
    };
    let allow = outside.is_none() && legs.iter().all(|leg| leg.allow);
    let decided_by = match (legs.iter().find(|leg| !leg.allow), outside) {
        (Some(leg), _) => leg.decision.clone(),
        (None, Some(reason)) => denied(reason).decided_by,
        (None, None) => legs
            .last()
            .map(|leg| leg.decision.clone())
            .unwrap_or_default(),
    };
    Verdict {
        allow,
        legs,
        decided_by,
    }
}

/// Workloads must not build tunnels past policy: UDP to the VXLAN port and IP-in-IP are dropped
/// before policy, unless configuration allows them.
fn tunnel_from_workload(model: &PolicyModel, semantics: &Semantics, flow: &Flow) -> Option<String> {
    if semantics.policy_only {
        return None;
    }
    let config = model.config();
    let vxlan = flow.protocol == Protocol::UDP
        && matches!(flow.l4, L4::Ports { dst, .. } if dst == config.vxlan_port());
    if vxlan && !config.allow_vxlan_from_workloads() {
        return Some("Workloads may not send to the VXLAN port.".into());
    }
    if flow.protocol == Protocol::IPIP && !config.allow_ipip_from_workloads() {
        return Some("Workloads may not send IP-in-IP.".into());
    }
    None
}

fn is_own_node(model: &PolicyModel, addr: IpAddr) -> bool {
    let own = model.hostname();
    model
        .hosts()
        .filter(|(name, _)| Some(name.as_str()) == own)
        .any(|(_, host)| {
            [host.v4, host.v6]
                .into_iter()
                .flatten()
                .any(|net| net.addr() == addr)
        })
}

fn denied(reason: String) -> Verdict {
    Verdict {
        allow: false,
        legs: Vec::new(),
        decided_by: Decision {
            reason,
            ..Decision::default()
        },
    }
}

#[cfg(test)]
mod tests;
