//! `testbed bench`: how fast, measured beside the peer in one run.
//!
//! *In:* the name of a bench, and the peers to measure beside. *Out:* figures (medians over rounds in
//! which all take turns, with their spread), and for each target whether it is met, for people or as
//! one JSON document. A peer that is not installed is a printed skip, and its targets are left out.

mod control;
mod kinds;
mod packets;
mod peer;
mod raw;
mod report;
mod wire;
mod writes;

use std::process::ExitCode;

use clap::ValueEnum;
use thiserror::Error;

use report::Report;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    #[arg(value_enum)]
    bench: Bench,

    /// Peers to measure beside: bmv2 (packets, writes), nft and ipset (control).
    #[arg(long, value_enum, value_delimiter = ',')]
    against: Vec<Peer>,

    /// The program of bmv2.
    #[arg(long, value_name = "PROGRAM", default_value = "simple_switch_grpc")]
    bmv2: String,

    /// Rounds in which all take turns.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,

    /// No round begins after this many seconds.
    #[arg(long, value_name = "S", default_value_t = 270)]
    seconds: u64,

    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Bench {
    /// Packets a second: over veth pairs (needs root), and of the engine alone.
    Packets,
    /// Table writes a second over P4Runtime, and reads.
    Writes,
    /// From Felix's frame to rows that are committed: rate, latency, rows, memory, cold start.
    Control,
    /// A part of `control` in a process of its own.
    #[value(hide = true)]
    ColdSevenSets,
    /// The other one.
    #[value(hide = true)]
    ColdSelectors,
}

/// Who else can be measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Peer {
    /// The behavioral model's `simple_switch_grpc`.
    Bmv2,
    /// The kernel's nftables, by `nft`.
    Nft,
    /// The kernel's IP sets, by `ipset`.
    Ipset,
}

/// Why a bench ended early.
#[derive(Debug, Error)]
enum BenchError {
    /// A switch.
    #[error(transparent)]
    Peer(#[from] peer::PeerError),
    /// The lab.
    #[error(transparent)]
    Lab(#[from] crate::lab::LabError),
    /// The wire.
    #[error("{step} failed")]
    Wire {
        /// What was being done.
        step: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing comes through.
    #[error("{name} forwards nothing of what it should: {sent} packets sent")]
    Silent {
        /// Who.
        name: String,
        /// Packets.
        sent: u64,
    },
    /// The program.
    #[error("The program of the bench cannot be loaded")]
    Program(#[from] p4_engine::LoadError),
    /// The program's text.
    #[error("The checked-in program of the bench is broken")]
    Json(#[from] serde_json::Error),
    /// An entry.
    #[error("The engine does not take an entry")]
    Entry(#[from] p4_engine::ControlError),
    /// Policy of the bench.
    #[error("The policy of the bench cannot be compiled")]
    Compile(#[from] policy_compiler::CompileError),
    /// Policy of the bench.
    #[error("The policy of the bench contradicts itself")]
    Model(#[from] policy_model::ModelError),
    /// A stream of the bench.
    #[error("The stream of the bench cannot be read")]
    Session(#[from] felix_bridge::SessionError),
    /// Its frames.
    #[error("The stream of the bench has no frames")]
    Frame(#[from] felix_proto::FrameError),
    /// A part that ran as a process of its own.
    #[error("{what} did not end well: {reason}")]
    Part {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Threads and sockets.
    #[error("The operating system gave no thread, process or socket")]
    System(#[from] std::io::Error),
}

/// Runs the command: success if all targets are met.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut report = Report::new(args);
    let done = match args.bench {
        Bench::Packets => packets::run(args, &mut report),
        Bench::Writes => writes::run(args, &mut report),
        Bench::Control => control::run(args, &mut report),
        Bench::ColdSevenSets | Bench::ColdSelectors => return control::cold(args.bench),
    };
    if let Err(error) = done {
        crate::complain(&error);
        return ExitCode::FAILURE;
    }
    match report.close(args.json) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            crate::complain(&error);
            ExitCode::FAILURE
        }
    }
}
