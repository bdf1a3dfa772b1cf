//! `testbed storm`: a thousand edits of policy in a row under traffic, every packet judged.
//!
//! *In:* a seed. *Out:* how many packets were sent, settled and in flight, and every one that did
//! neither what the policy before the edit says nor what the one after it says.
//!
//! All edits are made up and judged by the reference evaluator before the first packet. Then the
//! editor compiles one after the other and writes its phases over P4Runtime to `p4switch`, while
//! other threads send without a pause through its in-memory port. Each packet is the first of a
//! new connection. Who sends notes which edit was in force for certain before, and which may have
//! been when the answer was back: the packet has to fit a state in between. The editor goes on when
//! every sender has begun a batch after the last edit was acknowledged, so that window is never
//! wider than one edit, and a packet outside of an edit has one right answer.

mod edits;
mod traffic;
mod world;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use policy_model::{Flow, ModelError, PolicyModel, Semantics, evaluate};
use serde::Serialize;
use thiserror::Error;

use crate::progress::Progress;
use crate::random::Random;
use crate::replay::enforce::{EnforceError, Enforcement};
use crate::replay::report::Summary;
use crate::target::{Soft, TargetError};
use edits::{Edit, Kind};
use traffic::{Clock, Counts, Plan, Wrong};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Edits in a row.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    edits: usize,

    /// Flows that the traffic consists of.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    flows: u32,

    /// Threads that send.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16))]
    senders: u32,

    /// Seed of world, edits and flows.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Why the storm ended early.
#[derive(Debug, Error)]
enum StormError {
    /// The world.
    #[error("The policy that was made up contradicts itself")]
    Model(#[from] ModelError),
    /// The target does not start.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// An edit was not taken.
    #[error(transparent)]
    Enforce(#[from] EnforceError),
    /// An address has no port.
    #[error("The pod with {0} has no port")]
    NoPort(std::net::IpAddr),
    /// A sender ended.
    #[error("A thread that sends packets ended")]
    Sender,
    /// Standard output.
    #[error("The report cannot be written to standard output")]
    Output(#[from] std::io::Error),
}

/// What the storm did.
#[derive(Clone, Debug, Default, Serialize)]
struct Report {
    seed: u64,
    edits: usize,
    /// Edits by kind.
    kinds: BTreeMap<Kind, usize>,
    /// Edits that wrote something.
    written: usize,
    /// Edits that wrote something and met packets while they were in flight.
    met: usize,
    /// Entries inserted, modified and deleted.
    writes: u64,
    flows: usize,
    /// Flows that every state allows.
    always_allowed: usize,
    /// Flows that every state denies.
    always_denied: usize,
    /// Verdicts of flows that edits turned.
    turned: usize,
    #[serde(flatten)]
    counts: Counts,
    /// The first packets that fit neither state.
    examples: Vec<String>,
    /// Wall time of making and judging all edits.
    prepare_seconds: f64,
    /// Wall time under traffic.
    storm_seconds: f64,
    /// Longest edit, from its change to the last acknowledgement.
    longest_edit_seconds: f64,
}

/// Runs the command: success if every packet had the verdict of before or after.
pub(crate) fn run(args: &Args) -> ExitCode {
    match storm(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            crate::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn storm(args: &Args) -> Result<bool, StormError> {
    let began = Instant::now();
    let semantics = Semantics::default();
    let mut random = Random::new(args.seed);
    let mut model = world::model(&mut random)?;
    let count = usize::try_from(args.flows).unwrap_or(usize::MAX);
    let flows = world::flows(&mut random, count);
    let first = model.clone();
    let (edits, plan) = prepare(&mut random, &mut model, &semantics, flows, args.edits)?;
    let mut report = Report {
        seed: args.seed,
        edits: edits.len(),
        flows: plan.flows.len(),
        always_allowed: plan.constant(true),
        always_denied: plan.constant(false),
        turned: plan.turned(),
        prepare_seconds: began.elapsed().as_secs_f64(),
        ..Report::default()
    };
    for edit in &edits {
        *report.kinds.entry(edit.kind).or_default() += 1;
    }

    let soft = Soft::start()?;
    let switch = soft.switch();
    let mut enforcement = Enforcement::of(Box::new(soft), &semantics);
    let mut model = first;
    let changes = model.take_changes();
    enforcement.commit(&model, &changes)?;
    let plan = plan.plugged_in(|addr| enforcement.attachment(&model, addr))?;

    let began = Instant::now();
    let senders = usize::try_from(args.senders).unwrap_or(1);
    let clock = Clock::new(senders);
    let (done, wrong) = std::thread::scope(|scope| {
        let send = |number| {
            let (plan, clock, switch) = (&plan, &clock, &switch);
            let seed = args.seed.wrapping_add(number as u64);
            scope.spawn(move || traffic::send(plan, clock, switch, number, senders, seed))
        };
        let threads: Vec<_> = (0..senders).map(send).collect();
        let edited = edit(&mut enforcement, &mut model, &edits, &clock, &mut report);
        clock.stop();
        let mut wrong: Vec<Wrong> = Vec::new();
        let mut heard = Ok(());
        for thread in threads {
            match thread.join() {
                Ok(Some((counts, mistakes))) => {
                    report.counts.add(&counts);
                    wrong.extend(mistakes);
                }
                Ok(None) | Err(_) => heard = Err(StormError::Sender),
            }
        }
        (edited.and(heard), wrong)
    });
    done?;
    report.storm_seconds = began.elapsed().as_secs_f64();
    report.met = report.counts.edits_met.len();
    report.examples = wrong
        .iter()
        .map(|wrong| describe(wrong, &plan, &edits))
        .collect();
    enforcement.finish(&model, &mut Summary::default())?;
    show(args.json, &report)?;
    Ok(report.counts.wrong == 0)
}

/// Makes all edits and judges every flow in every state.
fn prepare(
    random: &mut Random,
    model: &mut PolicyModel,
    semantics: &Semantics,
    flows: Vec<Flow>,
    count: usize,
) -> Result<(Vec<Edit>, Plan), StormError> {
    let mut progress = Progress::new();
    let judge = |model: &PolicyModel, flow: &Flow| evaluate(model, semantics, flow).allow;
    let verdicts = flows.iter().map(|flow| judge(model, flow)).collect();
    let mut plan = Plan::new(flows, verdicts);
    let mut edits = Vec::with_capacity(count);
    for number in 0..count {
        progress.show(|| format!("making edit {number} of {count}"));
        let edit = edits::next(random, model, number);
        model.apply(edit.update.clone())?;
        plan.edit(&edit.concerns, |flow| judge(model, flow));
        edits.push(edit);
    }
    progress.clear();
    Ok((edits, plan))
}

/// Edit by edit, each when all senders have seen the one before.
fn edit(
    enforcement: &mut Enforcement,
    model: &mut PolicyModel,
    edits: &[Edit],
    clock: &Clock,
    report: &mut Report,
) -> Result<(), StormError> {
    let mut progress = Progress::new();
    let mut longest = Duration::ZERO;
    for (number, edit) in edits.iter().enumerate() {
        if !clock.wait_for_all(number) {
            return Err(StormError::Sender);
        }
        progress.show(|| format!("edit {number} of {}", edits.len()));
        let began = Instant::now();
        let before = enforcement.writes();
        clock.begin(number + 1);
        model.apply(edit.update.clone())?;
        let changes = model.take_changes();
        enforcement.commit(model, &changes)?;
        clock.done(number + 1);
        longest = longest.max(began.elapsed());
        report.written += usize::from(enforcement.writes() > before);
    }
    progress.clear();
    if !clock.wait_for_all(edits.len()) {
        return Err(StormError::Sender);
    }
    report.writes = enforcement.writes();
    report.longest_edit_seconds = longest.as_secs_f64();
    Ok(())
}

fn describe(wrong: &Wrong, plan: &Plan, edits: &[Edit]) -> String {
    let did = match wrong.left {
        Some(port) => format!("left by port {port}"),
        None => "was dropped".to_owned(),
    };
    let flow = &plan.flows[wrong.flow];
    let during = match edits.get(wrong.from) {
        Some(edit) if wrong.to > wrong.from => format!("during edit {}: {edit}", wrong.to),
        _ => format!("after edit {}", wrong.from),
    };
    format!("{flow:?} {did} {during}")
}

fn show(json: bool, report: &Report) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        return writeln!(out, "{}", serde_json::to_string(report)?);
    }
    let counts = &report.counts;
    writeln!(
        out,
        "edits           {} in {:.1} s, the longest {:.0} ms; {} wrote {} entries, {} of them met packets",
        report.edits,
        report.storm_seconds,
        report.longest_edit_seconds * 1e3,
        report.written,
        report.writes,
        report.met
    )?;
    writeln!(
        out,
        "flows           {}: {} always allowed, {} always denied, {} verdicts turned",
        report.flows, report.always_allowed, report.always_denied, report.turned
    )?;
    writeln!(
        out,
        "packets         {}: {} while an edit was in flight, {} of flows that it turned",
        counts.packets, counts.in_flight, counts.undecided
    )?;
    writeln!(
        out,
        "wrong           {}: {} lost, {} leaked, {} at the wrong port",
        counts.wrong, counts.lost, counts.leaked, counts.misdelivered
    )?;
    for example in &report.examples {
        writeln!(out, "                {example}")?;
    }
    Ok(())
}

impl Plan {
    /// Frames for every flow.
    fn plugged_in(
        mut self,
        attachment: impl Fn(std::net::IpAddr) -> Option<crate::target::Attachment>,
    ) -> Result<Self, StormError> {
        let find = |addr| attachment(addr).ok_or(StormError::NoPort(addr));
        self.ends = self
            .flows
            .iter()
            .map(|flow| Ok((find(flow.src)?, find(flow.dst)?.port)))
            .collect::<Result<_, StormError>>()?;
        Ok(self)
    }
}
