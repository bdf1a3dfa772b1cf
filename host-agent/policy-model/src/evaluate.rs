//! The reference evaluator: slow, obvious, and independent of the compiler.
//!
//! It walks the endpoint's tiers, policies and rules as Calico's documentation tells it and looks
//! at one criterion after the other. Nothing is indexed, cached or precompiled.

mod host;
mod leg;
mod matching;
mod trace;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    Crossing, Direction, Flow, HOST_TIER, HostEndpointId, HostList, L4, PolicyModel, Protocol,
    RuleId, Semantics, WorkloadId,
};
use host::Passed;

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

/// Whose policy a leg is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Judge {
    /// A local workload's.
    Workload(WorkloadId),
    /// A host endpoint's.
    Host(HostEndpointId, HostList),
    /// Nobody's: what the node does with packets to itself.
    Node,
}

impl fmt::Display for Judge {
    /// A workload by its id alone, as Calico's own verdict files have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(id) => id.fmt(f),
            Self::Host(id, _) => write!(f, "host endpoint {id}"),
            Self::Node => f.write_str("node"),
        }
    }
}

/// The judgement of one endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leg {
    /// Who judges.
    pub endpoint: Judge,
    /// Which of its directions. A host endpoint for all interfaces takes inwards what comes from a
    /// workload.
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
    /// In the order in which the packet meets them: at the source's end, then at the destination's.
    /// All are judged, even if one denies; a host endpoint without policies is not there.
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
    let (src, dst) = (
        end(model, semantics, flow.src),
        end(model, semantics, flow.dst),
    );
    let passes = Passes {
        model,
        semantics,
        flow,
    };
    let mut legs = Vec::new();
    passes.inwards(&src, &dst, &mut legs);
    passes.outwards(&src, &dst, &mut legs);
    let outside = match (&src, &dst) {
        (End::Elsewhere, End::Elsewhere) => {
            Some("Neither address is a local workload's; nothing is passed through.")
        }
        (End::Node, End::Node) => Some("The node does not send to itself through the device."),
        (_, End::Elsewhere) if !semantics.policy_only && model.node_metadata_has(flow.dst) => {
            Some("The destination is this node, which the device has no port for.")
        }
        _ => None,
    };
    let allow = outside.is_none() && legs.iter().all(|leg| leg.allow);
    let decided_by = match (legs.iter().find(|leg| !leg.allow), outside) {
        (Some(leg), _) => leg.decision.clone(),
        (None, Some(reason)) => denied(reason.into()).decided_by,
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

/// Who has an address.
enum End<'a> {
    /// A local workload.
    Workload(&'a WorkloadId),
    /// The node itself, behind a port of its own.
    Node,
    /// Whoever is behind the uplink.
    Elsewhere,
}

fn end<'a>(model: &'a PolicyModel, semantics: &Semantics, addr: IpAddr) -> End<'a> {
    let Semantics {
        policy_only, node, ..
    } = semantics;
    match model.owner(addr) {
        Some(id) => End::Workload(id),
        None if !policy_only && node.host_port && model.node_addresses(node).contains(&addr) => {
            End::Node
        }
        None => End::Elsewhere,
    }
}

/// A flow on its way.
struct Passes<'a> {
    model: &'a PolicyModel,
    semantics: &'a Semantics,
    flow: &'a Flow,
}

impl Passes<'_> {
    /// What is asked where the packet comes in.
    fn inwards(&self, src: &End<'_>, dst: &End<'_>, legs: &mut Vec<Leg>) {
        match (src, dst) {
            (End::Elsewhere, End::Elsewhere) | (End::Node, _) => {}
            (End::Elsewhere, End::Workload(_) | End::Node) => {
                let list = match dst {
                    End::Node => HostList::Normal,
                    End::Workload(_) | End::Elsewhere => HostList::Forward,
                };
                // Accepted without a connection: no other list of a host endpoint is asked.
                if self.host(
                    Crossing::Uplink,
                    HostList::Untracked,
                    Direction::Ingress,
                    legs,
                ) != Passed::Accepted
                {
                    self.host(Crossing::Uplink, list, Direction::Ingress, legs);
                }
            }
            (End::Workload(id), _) => {
                let list = match dst {
                    End::Node => HostList::PreDnat,
                    End::Workload(_) | End::Elsewhere => HostList::Forward,
                };
                self.host(Crossing::Workload, list, Direction::Ingress, legs);
                let (model, semantics, flow) = (self.model, self.semantics, self.flow);
                let own = match tunnel_from_workload(model, semantics, flow) {
                    Some(reason) => {
                        let owner = Judge::Workload((*id).clone());
                        leg::refused(owner, Direction::Egress, reason)
                    }
                    None => leg::judge(model, semantics, id, Direction::Egress, flow),
                };
                // A closed workload sends nothing at all.
                let closed = !own.allow && own.steps.is_empty();
                if matches!(dst, End::Node) && is_router_icmp(flow) && !closed {
                    let reason = "Every router takes neighbour discovery and listener reports.";
                    legs.push(leg::of_node(true, "ICMPv6", reason));
                } else {
                    legs.push(own);
                }
            }
        }
    }

    /// What is asked where the packet goes out.
    fn outwards(&self, src: &End<'_>, dst: &End<'_>, legs: &mut Vec<Leg>) {
        match (src, dst) {
            (End::Elsewhere, End::Elsewhere | End::Node) | (End::Node, End::Node) => {}
            // The node's packets to its workloads are not policed.
            (End::Node, End::Workload(id)) => {
                let active = |id| self.model.workload(id).is_some_and(|w| w.active);
                if !active(id) {
                    let reason = format!("Endpoint {id} is not active.");
                    let owner = Judge::Workload((*id).clone());
                    legs.push(leg::refused(owner, Direction::Ingress, reason));
                }
            }
            (End::Node, End::Elsewhere) => {
                if self.host(
                    Crossing::Uplink,
                    HostList::Untracked,
                    Direction::Egress,
                    legs,
                ) != Passed::Accepted
                {
                    self.host(Crossing::Uplink, HostList::Normal, Direction::Egress, legs);
                }
            }
            (End::Workload(_), End::Elsewhere) => {
                self.host(Crossing::Uplink, HostList::Forward, Direction::Egress, legs);
            }
            (End::Workload(_) | End::Elsewhere, End::Workload(id)) => {
                let (model, semantics, flow) = (self.model, self.semantics, self.flow);
                legs.push(leg::judge(model, semantics, id, Direction::Ingress, flow));
                self.host(
                    Crossing::Workload,
                    HostList::Forward,
                    Direction::Egress,
                    legs,
                );
            }
            (End::Workload(_), End::Node) => {
                if !is_router_icmp(self.flow) && !self.model.config().endpoint_reaches_host() {
                    let reason = "What workloads send to their own node is dropped.";
                    legs.push(leg::of_node(false, "DefaultEndpointToHostAction", reason));
                }
            }
        }
    }

    /// Asks a host endpoint, if there is one that asks anything there.
    fn host(
        &self,
        crossing: Crossing,
        list: HostList,
        direction: Direction,
        legs: &mut Vec<Leg>,
    ) -> Passed {
        let (model, semantics) = (self.model, self.semantics);
        let Some(lists) = model.host_lists(semantics, crossing, list, direction) else {
            return Passed::Left;
        };
        let (leg, passed) = host::judge(model, semantics, &lists, direction, self.flow);
        legs.push(leg);
        passed
    }
}

/// Multicast listener queries, reports and dones, router solicitations, neighbour solicitations and
/// advertisements: Felix lets workloads send them to the node whatever the policy.
fn is_router_icmp(flow: &Flow) -> bool {
    let of_router = |kind| matches!(kind, 130..=133 | 135 | 136);
    flow.src.is_ipv6()
        && flow.protocol == Protocol::ICMPV6
        && matches!(flow.l4, L4::Icmp { kind, .. } if of_router(kind))
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
