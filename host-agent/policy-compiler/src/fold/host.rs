//! What is left of a host endpoint's lists at one local address.

use std::sync::Arc;

use policy_model::{
    Action, Direction, FAILSAFE_TIER, FailsafePort, Family, HOST_TIER, HostList, HostLists, Icmp,
    PortRange, Protocol, Rule, RuleId, RuleNotes, Side, Tier,
};

use super::{Fold, end, passes, push};
use crate::chain::{LegOwner, Section, Step};
use crate::program::{Outcome, ResidualRule};
use crate::rule_ref::{HostAction, RuleHolder, RuleRef};

/// ICMPv6 that workloads may send to the node whatever their policy: multicast listener queries,
/// reports and dones, router solicitations, neighbour solicitations and advertisements.
const ROUTER_ICMP: [u8; 6] = [130, 131, 132, 133, 135, 136];

/// Failsafe ports as configured; what cannot be read has the lists refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Failsafes {
    pub inbound: Vec<FailsafePort>,
    pub outbound: Vec<FailsafePort>,
}

impl Fold<'_> {
    /// What is left of these lists; none if they let everything through.
    pub(crate) fn host(&mut self, lists: &HostLists<'_>, failsafes: &Failsafes) -> Option<Section> {
        let mut steps = Vec::new();
        let mut on = self.skippable(lists.pre_dnat, failsafes, false, &mut steps);
        match lists.list {
            HostList::Untracked => on = self.skippable(lists.tiers, failsafes, true, &mut steps),
            HostList::Normal if on => {
                let start = steps.len();
                let rules = self.failsafes(failsafes, false, Outcome::Allow);
                push(&mut steps, rules, start);
                if self.tiers(lists.tiers, true, &mut steps) {
                    self.profiles(lists.profiles, &mut steps);
                }
            }
            HostList::PreDnat | HostList::Forward if on => {
                on = self.tiers(lists.tiers, true, &mut steps);
            }
            HostList::Normal | HostList::PreDnat | HostList::Forward => {}
        }
        if steps.is_empty() {
            return None;
        }
        if on && matches!(lists.list, HostList::PreDnat | HostList::Forward) {
            let rule = self.host_action(HostAction::EndOfList, Outcome::Allow);
            let mut start = steps.last().map_or(0, |step| step.tier);
            // What the last tier passes needs a step to go to.
            if passes(&steps[start..]) {
                start = steps.len();
            }
            end(&mut steps, start, rule);
        }
        Some(self.of_host(steps, lists.list))
    }

    /// Denies everything: the lists cannot be enforced exactly.
    pub(crate) fn refused(&mut self, list: HostList) -> Section {
        let rule = self.host_action(HostAction::Refused, Outcome::Deny);
        self.of_host(one_step(vec![rule]), list)
    }

    fn of_host(&self, steps: Vec<Step>, list: HostList) -> Section {
        Section {
            steps,
            owner: match list {
                HostList::Untracked => LegOwner::Untracked,
                HostList::PreDnat | HostList::Forward | HostList::Normal => LegOwner::HostEndpoint,
            },
            direction: self.policies,
            accepts_all: false,
        }
    }

    /// What the node does before a workload's policy is asked: accepts what every router must.
    pub(crate) fn router_icmp(&mut self) -> Option<Section> {
        if self.family == Family::V4 {
            return None;
        }
        let id = self.host_rule(HostAction::RouterIcmp);
        let rules = ROUTER_ICMP.map(|kind| ResidualRule {
            protocol: Some(Protocol::ICMPV6),
            icmp: Some(Icmp { kind, code: None }),
            ..ResidualRule::unconditional(id, Outcome::Allow)
        });
        Some(self.of_node(rules.into(), true))
    }

    /// What the node does behind a workload's policy where `DefaultEndpointToHostAction` drops.
    pub(crate) fn endpoint_to_host(&mut self) -> Section {
        let rule = self.host_action(HostAction::EndpointToHost, Outcome::Deny);
        self.of_node(vec![rule], false)
    }

    fn of_node(&self, rules: Vec<ResidualRule>, accepts_all: bool) -> Section {
        Section {
            steps: one_step(rules),
            owner: LegOwner::Node,
            direction: self.policies,
            accepts_all,
        }
    }

    /// Tiers whose ends do not deny, and that failsafe traffic does not meet: each of them passes
    /// it, before anything else.
    fn skippable(
        &mut self,
        tiers: &[Tier],
        failsafes: &Failsafes,
        replies: bool,
        steps: &mut Vec<Step>,
    ) -> bool {
        tiers.iter().all(|tier| {
            let start = steps.len();
            let on = self.tier(tier, false, start, steps);
            if steps.len() == start {
                return on;
            }
            let rules = self.failsafes(failsafes, replies, Outcome::NextTier);
            if rules.is_empty() {
                return on;
            }
            steps.insert(start, Step { rules, tier: start });
            true
        })
    }

    /// What is left of the failsafe ports, with `replies` those of the other direction as well.
    fn failsafes(
        &mut self,
        failsafes: &Failsafes,
        replies: bool,
        outcome: Outcome,
    ) -> Vec<ResidualRule> {
        let inbound = (Direction::Ingress, &failsafes.inbound);
        let outbound = (Direction::Egress, &failsafes.outbound);
        let (requests, answers) = match self.policies {
            Direction::Ingress => (inbound, outbound),
            Direction::Egress => (outbound, inbound),
        };
        let mut left = Vec::new();
        for ((parameter, ports), reply) in [(requests, false), (answers, true)] {
            if reply && !replies {
                continue;
            }
            for (index, failsafe) in ports.iter().enumerate() {
                let rule = failsafe_rule(failsafe, self.policies, reply);
                let Some(mut rule) = self.rule(&rule, outcome) else {
                    continue;
                };
                rule.id = self.rules.id(RuleRef {
                    direction: self.policies,
                    tier: FAILSAFE_TIER.into(),
                    holder: RuleHolder::Failsafe(parameter),
                    rule: Some(index),
                    rule_id: None,
                });
                left.push(rule);
            }
        }
        left
    }

    fn host_action(&mut self, action: HostAction, outcome: Outcome) -> ResidualRule {
        ResidualRule::unconditional(self.host_rule(action), outcome)
    }

    fn host_rule(&mut self, action: HostAction) -> u32 {
        let direction = match action {
            HostAction::EndpointToHost | HostAction::RouterIcmp => Direction::Ingress,
            HostAction::EndOfList | HostAction::Refused => self.policies,
        };
        self.rules.id(RuleRef {
            direction,
            tier: HOST_TIER.into(),
            holder: RuleHolder::Host(action),
            rule: None,
            rule_id: None,
        })
    }
}

fn one_step(rules: Vec<ResidualRule>) -> Vec<Step> {
    vec![Step { rules, tier: 0 }]
}

/// A failsafe port as a rule: about the peer's address, and the destination's port, or the
/// source's where the packet is a reply.
fn failsafe_rule(failsafe: &FailsafePort, direction: Direction, reply: bool) -> Rule {
    let nets = failsafe.net.into_iter().collect();
    let port = PortRange {
        first: failsafe.port,
        last: failsafe.port,
    };
    let (mut src, mut dst) = (Side::default(), Side::default());
    match direction {
        Direction::Ingress => src.nets = nets,
        Direction::Egress => dst.nets = nets,
    }
    if reply {
        src.ports = vec![port];
    } else {
        dst.ports = vec![port];
    }
    Rule {
        action: Action::Allow,
        family: None,
        protocol: Some(failsafe.protocol),
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        src,
        dst,
        http: None,
        id: RuleId::from(""),
        notes: Arc::new(RuleNotes::default()),
    }
}
