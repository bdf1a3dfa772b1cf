//! One host endpoint, one place: failsafe ports, pre-DNAT tiers, then one of its other lists.

use super::leg::{self, Place, Walk};
use super::{Judge, Leg, StepAction};
use crate::{
    Direction, FAILSAFE_TIER, FailsafePort, Flow, HOST_TIER, HostList, HostLists, L4, PolicyModel,
    Semantics, Tier,
};

const INBOUND: &str = "FailsafeInboundHostPorts";
const OUTBOUND: &str = "FailsafeOutboundHostPorts";

/// How a packet came through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passed {
    /// A rule accepted it, or nothing more is asked.
    Accepted,
    /// It was dropped.
    Denied,
    /// No untracked rule accepted it: the lists after connection tracking decide.
    Left,
}

/// Judges a packet by these lists.
pub(super) fn judge(
    model: &PolicyModel,
    semantics: &Semantics,
    lists: &HostLists<'_>,
    direction: Direction,
    flow: &Flow,
) -> (Leg, Passed) {
    let owner = Judge::Host(lists.id.clone(), lists.list);
    if let Some(refusal) = model.host_refusal(lists, direction, semantics) {
        let reason = format!("Refused: {refusal}.");
        return (leg::refused(owner, direction, reason), Passed::Denied);
    }
    let mut walk = Walk::new(model, direction, flow);
    let passed = match lists.list {
        HostList::Untracked => walk.skippable(lists.tiers, true),
        HostList::PreDnat | HostList::Forward | HostList::Normal => {
            match walk.skippable(lists.pre_dnat, false) {
                Passed::Left => walk.tracked(lists),
                decided => decided,
            }
        }
    };
    (walk.leg(owner, passed != Passed::Denied), passed)
}

impl Walk<'_> {
    /// Tiers whose ends do not deny, and that failsafe traffic does not meet: before connections
    /// the replies to it do not either.
    fn skippable(&mut self, tiers: &[Tier], replies: bool) -> Passed {
        if tiers.is_empty() {
            return Passed::Left;
        }
        if let Some((parameter, index)) = self.failsafe(replies) {
            self.note_failsafe(parameter, index, StepAction::Pass);
            return Passed::Left;
        }
        for tier in tiers {
            match self.tier(tier, false) {
                StepAction::Allow => return Passed::Accepted,
                StepAction::Deny => return Passed::Denied,
                StepAction::Pass | StepAction::Log => {}
            }
        }
        let reason = "No rule accepted or denied it; the next list decides.";
        self.end(StepAction::Pass, reason);
        Passed::Left
    }

    /// The forward or the normal list.
    fn tracked(&mut self, lists: &HostLists<'_>) -> Passed {
        let own = lists.list == HostList::Normal;
        if own && let Some((parameter, index)) = self.failsafe(false) {
            self.note_failsafe(parameter, index, StepAction::Allow);
            return Passed::Accepted;
        }
        for tier in lists.tiers {
            match self.tier(tier, true) {
                StepAction::Allow => return Passed::Accepted,
                StepAction::Deny => return Passed::Denied,
                StepAction::Pass | StepAction::Log => {}
            }
        }
        if own {
            return if self.profiles(lists.profiles) {
                Passed::Accepted
            } else {
                Passed::Denied
            };
        }
        let reason = "No policy of the host endpoint denies what passes through.";
        self.end(StepAction::Allow, reason);
        Passed::Accepted
    }

    /// The end of a list that denies nothing.
    fn end(&mut self, action: StepAction, reason: &str) {
        let place = Place {
            tier: HOST_TIER,
            namespace: "",
            policy: HOST_TIER,
        };
        self.note(&place, None, action, reason.into());
    }

    fn note_failsafe(&mut self, parameter: &str, index: usize, action: StepAction) {
        let place = Place {
            tier: FAILSAFE_TIER,
            namespace: "",
            policy: parameter,
        };
        let reason = format!("Entry {index} of {parameter} keeps it open.");
        self.note(&place, Some(index), action, reason);
    }

    /// The first failsafe port that the packet is for, or with `replies` from.
    fn failsafe(&self, replies: bool) -> Option<(&'static str, usize)> {
        let config = self.model.config();
        // What cannot be read has the lists refused.
        let inbound = config.failsafe_inbound().unwrap_or_default();
        let outbound = config.failsafe_outbound().unwrap_or_default();
        let L4::Ports { src, dst } = self.flow.l4 else {
            return None;
        };
        let (first, second, peer) = match self.direction {
            Direction::Ingress => ((INBOUND, inbound), (OUTBOUND, outbound), self.flow.src),
            Direction::Egress => ((OUTBOUND, outbound), (INBOUND, inbound), self.flow.dst),
        };
        let find = |(name, ports): (&'static str, Vec<FailsafePort>), port: u16| {
            let index = ports.iter().position(|failsafe| {
                failsafe.protocol == self.flow.protocol
                    && failsafe.port == port
                    && failsafe.net.is_none_or(|net| net.contains(&peer))
            });
            index.map(|index| (name, index))
        };
        find(first, dst).or_else(|| replies.then(|| find(second, src)).flatten())
    }
}
