//! What people read: the matrix of verdicts, and the same as one JSON document.

mod matrix;

use std::io::{self, Write};

use policy_model::{Decision, Direction};
use serde::Serialize;

use super::plan::{Case, Stage};
use crate::lab::{Outcome, Topology};

/// All that the demo found out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Everything agreed.
    pub(super) ok: bool,
    /// The recorded stream.
    pub(super) stream: String,
    /// `namespaces` or `memory`.
    pub(super) lab: &'static str,
    /// Local pods.
    pub(super) pods: Vec<String>,
    /// One for each state of the stream.
    pub(super) stages: Vec<StageReport>,
    /// From frame to enforced.
    pub(super) enforced: Vec<Enforced>,
    /// Frames that Felix said.
    pub(super) frames: usize,
    /// Entries that the switch holds at the end.
    pub(super) entries: u64,
    /// Endpoints by what Felix was told of them.
    pub(super) status_to_felix: std::collections::BTreeMap<String, String>,
    /// What was killed, and what that did to packets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) kills: Vec<super::kill::KillReport>,
    /// Wall clock of the run, builds aside, in seconds.
    pub(super) seconds: f64,
}

/// A state of the stream.
#[derive(Debug, Serialize)]
pub(super) struct StageReport {
    /// The frame that completes it.
    pub(super) frame: usize,
    /// For people.
    pub(super) title: String,
    /// Flows tried.
    pub(super) flows: usize,
    /// Of those, allowed by the evaluator.
    pub(super) allowed: usize,
    /// Of those, conversations in which the other end's answer came back.
    pub(super) answered: usize,
    /// Flows on which packets and evaluator differ.
    pub(super) differ: usize,
    /// Gateways whose MAC the pipeline told.
    pub(super) gateways: usize,
    /// How long the packets took, in milliseconds.
    pub(super) milliseconds: u128,
    /// Frames that the switch dropped meanwhile, by reason.
    pub(super) dropped: std::collections::BTreeMap<&'static str, u64>,
    /// Flow by flow.
    pub(super) verdicts: Vec<FlowReport>,
    #[serde(skip)]
    text: String,
}

/// One flow.
#[derive(Debug, Serialize)]
pub(super) struct FlowReport {
    from: String,
    to: String,
    src: std::net::IpAddr,
    dst: std::net::IpAddr,
    proto: u8,
    l4: String,
    verdict: &'static str,
    packet: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<bool>,
    agrees: bool,
    decided_by: DecisionReport,
}

/// What decided, as the evaluator tells it.
#[derive(Debug, Serialize)]
struct DecisionReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    tier: String,
    namespace: String,
    policy: String,
    rule: Option<usize>,
    reason: String,
}

/// The way of one change through the chain.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Enforced {
    /// What changed.
    pub(super) what: String,
    /// From the last byte of the frame to the target's acknowledgement, in milliseconds.
    pub(super) milliseconds: f64,
}

/// Whether packets did what the evaluator says, replies included.
pub(super) fn agrees(case: &Case, outcome: Outcome) -> bool {
    outcome.forwarded == case.verdict.allow && outcome.answered != Some(false)
}

impl StageReport {
    pub(super) fn new(stage: &Stage, outcomes: &[Outcome], topology: &Topology) -> Self {
        let pairs = || stage.cases.iter().zip(outcomes.iter().copied());
        let count = |wanted: &dyn Fn(&Case, Outcome) -> bool| {
            pairs()
                .filter(|(case, outcome)| wanted(case, *outcome))
                .count()
        };
        Self {
            frame: stage.frame,
            title: stage.title.clone(),
            flows: stage.cases.len(),
            allowed: count(&|case, _| case.verdict.allow),
            answered: count(&|_, outcome| outcome.answered == Some(true)),
            differ: count(&|case, outcome| !agrees(case, outcome)),
            gateways: 0,
            milliseconds: 0,
            dropped: std::collections::BTreeMap::new(),
            verdicts: pairs()
                .map(|(case, outcome)| flow(case, outcome, topology))
                .collect(),
            text: matrix::render(stage, outcomes, topology),
        }
    }

    /// The matrix.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

fn flow(case: &Case, outcome: Outcome, topology: &Topology) -> FlowReport {
    let probe = &case.probe;
    let decision = &case.verdict.decided_by;
    FlowReport {
        from: topology.name(probe.from).to_owned(),
        to: topology.name(probe.to).to_owned(),
        src: probe.flow.src,
        dst: probe.flow.dst,
        proto: probe.flow.protocol.0,
        l4: matrix::l4(&probe.flow),
        verdict: if case.verdict.allow { "allow" } else { "deny" },
        packet: if outcome.forwarded {
            "forwarded"
        } else {
            "dropped"
        },
        answered: outcome.answered,
        agrees: agrees(case, outcome),
        decided_by: DecisionReport {
            direction: decision.direction,
            tier: decision.tier.clone(),
            namespace: decision.namespace.clone(),
            policy: decision.policy.clone(),
            rule: decision.rule,
            reason: decision.reason.clone(),
        },
    }
}

/// The rule that decided, in one line.
pub(super) fn decided_by(decision: &Decision) -> String {
    let direction = match decision.direction {
        Some(Direction::Ingress) => "ingress",
        Some(Direction::Egress) => "egress",
        None => "outside policy",
    };
    if decision.policy.is_empty() {
        return format!("{direction}: {}", decision.reason);
    }
    let policy = if decision.namespace.is_empty() {
        decision.policy.clone()
    } else {
        format!("{}/{}", decision.namespace, decision.policy)
    };
    let tier = if decision.tier == policy_model::PROFILE_TIER {
        "profile"
    } else {
        decision.tier.as_str()
    };
    let rule = match decision.rule {
        Some(rule) => format!("rule {rule}"),
        None => "end of tier".to_owned(),
    };
    format!("{direction} {tier} / {policy} / {rule}")
}

impl Report {
    /// For people.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for stage in &self.stages {
            writeln!(
                out,
                "\n{}, frame {} of stream {}: {} flows, {} allowed, {} denied, {} answers came \
                 back, {} ms",
                stage.title,
                stage.frame,
                self.stream,
                stage.flows,
                stage.allowed,
                stage.flows - stage.allowed,
                stage.answered,
                stage.milliseconds,
            )?;
            out.write_all(stage.text.as_bytes())?;
            if !stage.dropped.is_empty() {
                let counts: Vec<String> = stage
                    .dropped
                    .iter()
                    .map(|(reason, count)| format!("{reason} {count}"))
                    .collect();
                writeln!(out, "dropped by the switch: {}", counts.join(", "))?;
            }
        }
        writeln!(out, "\nfrom frame to enforced:")?;
        for enforced in summary(&self.enforced) {
            writeln!(out, "  {enforced}")?;
        }
        for kill in &self.kills {
            kill.write(out)?;
        }
        let told: Vec<String> = self
            .status_to_felix
            .iter()
            .map(|(endpoint, status)| format!("{endpoint} {status}"))
            .collect();
        if !told.is_empty() {
            writeln!(out, "\nstatus told to Felix: {}", told.join(", "))?;
        }
        let flows: usize = self.stages.iter().map(|stage| stage.flows).sum();
        let differ: usize = self.stages.iter().map(|stage| stage.differ).sum();
        writeln!(
            out,
            "\n{}: {} frames, {} pods ({}), {} entries on the switch, {flows} flows: {} agree, \
             {differ} differ, {:.1} s",
            if self.ok { "ok" } else { "NOT OK" },
            self.frames,
            self.pods.len(),
            self.lab,
            self.entries,
            flows - differ,
            self.seconds,
        )
    }
}

/// The first, which is the snapshot, by itself; live changes by median and worst.
fn summary(enforced: &[Enforced]) -> Vec<String> {
    let line = |one: &Enforced| format!("{:>8.1} ms  {}", one.milliseconds, one.what);
    let Some((first, rest)) = enforced.split_first() else {
        return Vec::new();
    };
    let mut lines = vec![line(first)];
    let mut sorted = rest.to_vec();
    sorted.sort_by(|a, b| a.milliseconds.total_cmp(&b.milliseconds));
    if let (Some(median), Some(worst)) = (sorted.get(sorted.len() / 2), sorted.last()) {
        lines.push(format!(
            "{:>8.1} ms  median of {} live changes",
            median.milliseconds,
            rest.len()
        ));
        lines.push(format!(
            "{:>8.1} ms  worst of them ({})",
            worst.milliseconds, worst.what
        ));
    }
    lines
}
