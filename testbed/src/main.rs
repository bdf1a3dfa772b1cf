//! `testbed`: labs, demo, replay, tests and benches of the whole product.
//!
//! Each subcommand is a module: its arguments, and `run`, which gives back the exit code. What a
//! command shows goes to stdout, progress and logs to stderr.

#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod demo;
mod lab;
mod mutants;
mod packet;
mod progress;
mod random;
mod replay;
mod stf;
mod storm;
mod target;
mod test;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Runs Margay with no hardware: a demo, recorded Felix streams, and every test.
#[derive(Debug, Parser)]
#[command(name = "testbed", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures, beside a peer where one is installed, and judges targets.
    Bench(bench::Args),
    /// Shows the main job: a recorded Felix stream becomes table entries that decide real packets.
    Demo(demo::Args),
    /// Puts faults into a copy of the sources, and sees whether the tests notice.
    Mutants(mutants::Args),
    /// Plays a recorded Felix stream and sends a packet for each flow.
    Replay(replay::Args),
    /// Runs scripts of the simple test framework on the engine.
    Stf(stf::Args),
    /// Edits policy a thousand times under traffic and judges every packet.
    Storm(storm::Args),
    /// Sets up what is missing and runs every test of the workspace.
    Test(test::Args),
    /// Runs a program that ends when the demo ends.
    #[command(hide = true)]
    Supervised(demo::supervised::Args),
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("MARGAY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Mutants(args) => mutants::run(&args),
        Command::Replay(args) => replay::run(args),
        Command::Stf(args) => stf::run(&args),
        Command::Storm(args) => storm::run(&args),
        Command::Test(args) => test::run(args),
        Command::Supervised(args) => demo::supervised::run(&args),
    }
}

/// Tells people what went wrong and why, all the way down.
fn complain(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    let _ = writeln!(std::io::stderr().lock(), "testbed: {text}");
}
