//! What the command shows.

use std::io::{self, Write};

use policy_model::{PolicyModel, Refusal};
use serde::Serialize;

use super::trial::Answer;

/// Differences that are shown one by one without `--json`.
const SHOWN: u64 = 20;

/// Collects answers; with `--json` each is written when it comes.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    counts: Counts,
}

/// Counts of answers.
#[derive(Clone, Debug, Default, Serialize)]
struct Counts {
    flows: u64,
    /// Evaluator.
    allowed: u64,
    /// Packets that came out.
    forwarded: u64,
    /// Packets that did not.
    dropped: u64,
    /// Flows on which evaluator and packets disagree.
    differences: u64,
    /// Against what the file of flows says.
    #[serde(skip_serializing_if = "Compared::is_none")]
    calico_verdict: Compared,
    #[serde(skip_serializing_if = "Compared::is_none")]
    calico_kernel: Compared,
    #[serde(skip_serializing_if = "Compared::is_none")]
    calico_traces: Compared,
}

/// How often the evaluator was compared, and how often it differed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Compared {
    compared: u64,
    differ: u64,
}

impl Compared {
    fn is_none(&self) -> bool {
        self.compared == 0
    }

    fn add(&mut self, equal: Option<bool>) {
        self.compared += u64::from(equal.is_some());
        self.differ += u64::from(equal == Some(false));
    }
}

/// What is known at the end.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Marks the line.
    pub(crate) summary: bool,
    /// Back end and device.
    pub(crate) target: String,
    /// Frames of all streams.
    pub(crate) frames: u64,
    /// Entries in the target's tables at the end.
    pub(crate) entries: u64,
    /// Hash of those entries: equal for equal policy, whatever the history, as long as interfaces
    /// have the same ports (one that finds its port taken keeps the one it got instead).
    pub(crate) fingerprint: String,
    /// Commits.
    pub(crate) commits: u64,
    /// Entries inserted, modified and deleted for each stream.
    pub(crate) writes: Vec<u64>,
    /// Entries that a new session's snapshot touched though they are as they were before.
    pub(crate) rewritten: u64,
    /// Policies and profiles that are not enforced as they are.
    pub(crate) refused_policies: u64,
    /// Everything that is not enforced exactly, for people.
    pub(crate) refusals: Vec<String>,
    /// What could not be understood on the way in.
    pub(crate) problems: u64,
    /// What the model holds at the end.
    pub(crate) state: State,
    /// Points at which flows were made.
    pub(crate) points: u64,
    /// Wall time, whole and by part, in seconds.
    pub(crate) seconds: Seconds,
}

/// How much the model holds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct State {
    /// The snapshot is complete; nothing is enforced before.
    pub(crate) in_sync: bool,
    /// Local workload endpoints.
    pub(crate) workloads: usize,
    /// Host endpoints.
    pub(crate) host_endpoints: usize,
    /// Policies.
    pub(crate) policies: usize,
    /// Profiles.
    pub(crate) profiles: usize,
    /// IP sets.
    pub(crate) ip_sets: usize,
    /// Members of all sets.
    pub(crate) members: usize,
}

impl State {
    pub(crate) fn of(model: &PolicyModel) -> Self {
        Self {
            in_sync: model.in_sync(),
            workloads: model.workloads().count(),
            host_endpoints: model.host_endpoints().count(),
            policies: model.policies().count(),
            profiles: model.profiles().count(),
            ip_sets: model.ip_sets().count(),
            members: model.ip_sets().map(|(_, set)| set.members.len()).sum(),
        }
    }
}

/// Wall time in seconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Seconds {
    /// All of it.
    pub(crate) total: f64,
    /// Decoding and storing.
    pub(crate) store: f64,
    /// Compiling.
    pub(crate) compile: f64,
    /// Writing to the target.
    pub(crate) write: f64,
    /// The evaluator.
    pub(crate) evaluate: f64,
    /// Packets.
    pub(crate) packets: f64,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    #[serde(flatten)]
    counts: &'a Counts,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            counts: Counts::default(),
        }
    }

    /// Takes one answer.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        let counts = &mut self.counts;
        counts.flows += 1;
        counts.allowed += u64::from(answer.allowed());
        counts.forwarded += u64::from(answer.forwarded() == Some(true));
        counts.dropped += u64::from(answer.forwarded() == Some(false));
        counts.differences += u64::from(answer.differs());
        let checks = answer.checks();
        counts.calico_verdict.add(checks.verdict);
        counts.calico_kernel.add(checks.kernel);
        counts.calico_traces.add(checks.traces);
        if self.json {
            return line(answer);
        }
        if answer.differs() && counts.differences <= SHOWN {
            let did = match answer.forwarded() {
                Some(true) => "was forwarded",
                Some(false) | None => "was dropped",
            };
            let why = answer.reason();
            let text = format!(
                "DIFFERS {}: the packet {did}; evaluator: {why}",
                answer.id()
            );
            return plain(&text);
        }
        Ok(())
    }

    /// Writes the summary, and says whether all was right.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn finish(self, summary: Summary) -> io::Result<bool> {
        let counts = &self.counts;
        if self.json {
            line(&Line {
                summary: &summary,
                counts,
            })?;
        } else {
            people(&summary, counts)?;
        }
        Ok(counts.differences == 0)
    }
}

/// The summary as text.
fn people(summary: &Summary, counts: &Counts) -> io::Result<()> {
    plain(&format!("target          {}", summary.target))?;
    plain(&format!("frames          {}", summary.frames))?;
    plain(&format!(
        "entries         {} ({})",
        summary.entries, summary.fingerprint
    ))?;
    plain(&format!("writes          {:?}", summary.writes))?;
    plain(&format!("rewritten       {}", summary.rewritten))?;
    plain(&format!(
        "refused         {} policies and profiles",
        summary.refused_policies
    ))?;
    let state = &summary.state;
    plain(&format!(
        "state           {}: {} workloads, {} host endpoints, {} policies, {} profiles, {} sets of {} members",
        if state.in_sync {
            "in sync"
        } else {
            "not in sync, everything is denied"
        },
        state.workloads,
        state.host_endpoints,
        state.policies,
        state.profiles,
        state.ip_sets,
        state.members
    ))?;
    for refusal in &summary.refusals {
        plain(&format!("                {refusal}"))?;
    }
    plain(&format!(
        "flows           {}: {} allowed; packets: {} forwarded, {} dropped",
        counts.flows, counts.allowed, counts.forwarded, counts.dropped
    ))?;
    for (name, compared) in [
        ("Calico verdicts", counts.calico_verdict),
        ("Calico kernel", counts.calico_kernel),
        ("Calico traces", counts.calico_traces),
    ] {
        if !compared.is_none() {
            let Compared { compared, differ } = compared;
            plain(&format!("{name:<15} {compared} compared, {differ} differ"))?;
        }
    }
    plain(&format!("differences     {}", counts.differences))?;
    let seconds = &summary.seconds;
    plain(&format!(
        "seconds         {:.1} (store {:.1}, compile {:.1}, write {:.1}, evaluate {:.1}, packets {:.1})",
        seconds.total,
        seconds.store,
        seconds.compile,
        seconds.write,
        seconds.evaluate,
        seconds.packets
    ))
}

/// Refusals as people read them, and the policies and profiles among their subjects.
pub(crate) fn refused(refusals: &[Refusal]) -> (Vec<String>, u64) {
    let subjects: std::collections::BTreeSet<_> = refusals
        .iter()
        .map(|refusal| &refusal.subject)
        .filter(|subject| {
            matches!(
                subject,
                policy_model::Subject::Policy(_) | policy_model::Subject::Profile(_)
            )
        })
        .collect();
    let texts = refusals.iter().map(ToString::to_string).collect();
    (texts, u64::try_from(subjects.len()).unwrap_or(u64::MAX))
}

fn line(value: &impl Serialize) -> io::Result<()> {
    plain(&serde_json::to_string(value)?)
}

fn plain(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}
