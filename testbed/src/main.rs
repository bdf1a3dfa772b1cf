//! `testbed`: labs, demo, replay, tests and benches of the whole product.
//!
//! Each subcommand is a module: its arguments, and `run`, which gives back the exit code. What a
//! command shows goes to stdout, progress and logs to stderr.

#![forbid(unsafe_code)]

mod demo;
mod replay;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs Margay with no hardware: a demo, recorded Felix streams, and every test.
#[derive(Debug, Parser)]
#[command(name = "testbed", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the main job: a recorded Felix stream becomes table entries that decide real packets.
    Demo(demo::Args),
    /// Plays a recorded Felix stream and sends a packet for each flow.
    Replay(replay::Args),
    /// Sets up what is missing and runs every test of the workspace.
    Test(test::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Demo(args) => demo::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Test(args) => test::run(args),
    }
}
