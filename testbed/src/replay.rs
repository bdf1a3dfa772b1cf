//! `testbed replay`: plays a recorded Felix stream to its end and sends a packet for each flow.
//!
//! Frames go the way that they go in production: decoded, stored, compiled, written to the target
//! over P4Runtime. What the packets then do is compared with what the reference evaluator says.

pub(crate) mod enforce;
mod flows;
mod generate;
pub(crate) mod input;
mod player;
mod points;
pub(crate) mod report;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use policy_model::{HttpHandling, Semantics};
use thiserror::Error;

use crate::target::TargetKind;
use player::{Part, Player};
use points::Share;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Recorded stream: the bytes that Felix wrote to its driver, plain or gzipped.
    ///
    /// Given more than once, the streams follow each other like the sessions of a Felix that was
    /// restarted: the next one's snapshot takes over when it is complete. Flows then belong to the
    /// last.
    #[arg(long, value_name = "F.felix", required = true)]
    stream: Vec<PathBuf>,

    /// Flows to try, one JSON object a line, plain or gzipped.
    ///
    /// Keys: id, at (0-based frame after which the flow is tried; the end, if absent), src, dst,
    /// proto (number or name), sport, dport, icmpType, icmpCode. Others are ignored. Every flow is
    /// a fresh connection.
    #[arg(long, value_name = "F.jsonl")]
    flows: Option<PathBuf>,

    /// What the packets are sent through.
    #[arg(long, value_enum, default_value_t = TargetKind::Soft)]
    target: TargetKind,

    /// Program that `--target bmv2` starts.
    #[arg(long, value_name = "PROGRAM", default_value = "simple_switch_grpc")]
    bmv2: String,

    /// Judge by workload policy alone, as Calico's own verdict files do.
    ///
    /// HTTP matches count by their L3/L4 part, tunnel packets from workloads and packets to the
    /// node are not dropped, and host endpoints judge nothing.
    #[arg(long)]
    policy_only: bool,

    /// What to do with rules that carry an HTTP match [default: refuse; l4 with --policy-only].
    #[arg(long, value_enum)]
    http_match: Option<HttpMatch>,

    /// Besides, make this many flows from what the stream says.
    ///
    /// They are aimed at the edges of rules, nets and ports, and are tried at four points of the
    /// stream, from its in-sync message to its end; at others with `--points` or `--until`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    generate: usize,

    /// Try made flows after each in-sync message and at K frames behind one, chosen by the seed.
    ///
    /// The flows of `--generate` are shared out among these points; without it each gets 200.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    points: Option<u32>,

    /// Stop after frame N (from 0) of the last stream, and try all flows there.
    ///
    /// What the file of flows says of verdicts counts for the flows of that frame only.
    #[arg(long, value_name = "N")]
    until: Option<usize>,

    /// Seed of the flows that are made.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Frames after which what changed is compiled and written, if no flow asks for it earlier.
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..))]
    commit_every: u32,

    /// JSON lines on stdout: one for each flow, then the summary.
    #[arg(long)]
    json: bool,
}

/// `--http-match`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum HttpMatch {
    /// Refuse the policy and deny.
    Refuse,
    /// Enforce the L3/L4 part.
    L4,
}

impl Args {
    fn semantics(&self) -> Semantics {
        let http = match self.http_match {
            Some(HttpMatch::Refuse) => HttpHandling::Refuse,
            Some(HttpMatch::L4) => HttpHandling::L4,
            None if self.policy_only => HttpHandling::L4,
            None => HttpHandling::Refuse,
        };
        Semantics {
            http,
            policy_only: self.policy_only,
            node: enforce::Enforcement::node(self.policy_only),
            // Flows are sent as fast as they go.
            limits: false,
        }
    }
}

/// Why a replay ended early.
#[derive(Debug, Error)]
enum ReplayError {
    /// A stream.
    #[error(transparent)]
    Input(#[from] input::InputError),
    /// The flows.
    #[error(transparent)]
    Flows(#[from] flows::FlowError),
    /// Playing.
    #[error(transparent)]
    Play(#[from] player::PlayError),
    /// Output.
    #[error("The report cannot be written to standard output")]
    Output(#[from] std::io::Error),
}

/// Runs the command: success if evaluator and packets agreed on every flow.
pub(crate) fn run(args: Args) -> ExitCode {
    match replay(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            crate::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn replay(args: &Args) -> Result<bool, ReplayError> {
    let streams = args
        .stream
        .iter()
        .map(|path| Ok((path.clone(), input::frames(path)?)))
        .collect::<Result<Vec<_>, input::InputError>>()?;
    let trials = match &args.flows {
        Some(path) => flows::read(path)?,
        None => Vec::new(),
    };
    let mut report = report::Report::new(args.json);
    let mut player = Player::new(args, trials).map_err(ReplayError::Play)?;
    let last = streams.len().saturating_sub(1);
    for (index, (path, frames)) in streams.iter().enumerate() {
        let part = Part {
            path,
            frames,
            last: index == last,
            share: Share {
                index,
                of: streams.len(),
            },
        };
        player.play(&part, &mut report)?;
    }
    let summary = player.finish()?;
    Ok(report.finish(summary)?)
}
