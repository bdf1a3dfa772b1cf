//! Cold start and memory, in a process of its own that has nothing else.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use policy_compiler::generate::shapes::Shape;
use serde::{Deserialize, Serialize};

use super::super::report::Report;
use super::super::{Bench, BenchError};
use super::clock::on_core;
use super::node::{Node, roomy};

/// Name of the figure of memory.
pub(super) const MEMORY: &str = "seven sets a pod, resident after the start";
/// Name of the cold start's figure.
pub(super) const START: &str = "10 000 selector policies, apply and compile";

/// What such a process found.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Found {
    /// Seconds on a core that the model took for all updates, and the generator that makes them.
    apply: f64,
    /// Seconds on a core of the first commit.
    compile: f64,
    /// Seconds of both on the wall.
    wall: f64,
    /// Resident bytes before, after, and at the most.
    empty: u64,
    resident: u64,
    peak: u64,
}

/// Measures.
pub(super) fn measure(report: &mut Report) -> Result<(), BenchError> {
    #[expect(clippy::cast_precision_loss, reason = "figures")]
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let parts = [
        ("seven sets a pod", "cold-seven-sets"),
        ("10 000 selector policies", "cold-selectors"),
    ];
    for (shape, part) in parts {
        let found = ask(part, true)?;
        let own = found.resident.saturating_sub(found.empty);
        let name = |what: &str| format!("{shape}, {what}");
        report.sample(&name("resident after the start"), "MB", megabytes(own));
        let peak = found.peak.saturating_sub(found.empty);
        report.sample(&name("resident at the most"), "MB", megabytes(peak));
        // Without what a general allocator keeps for later.
        let found = ask(part, false)?;
        let own = found.resident.saturating_sub(found.empty);
        let kept = name("resident with the allocator's own thresholds");
        report.sample(&kept, "MB", megabytes(own));
        report.sample(&name("apply"), "s on a core", found.apply);
        report.sample(&name("compile"), "s on a core", found.compile);
        report.sample(
            &name("apply and compile"),
            "s on a core",
            found.apply + found.compile,
        );
        report.sample(&name("apply and compile, wall"), "s", found.wall);
    }
    Ok(())
}

/// Runs a part as a process. `give_back` has the allocator return what is free at once, so that what
/// is resident is what is held.
fn ask(part: &'static str, give_back: bool) -> Result<Found, BenchError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", part]).stdin(Stdio::null());
    if give_back {
        // GNU libc; others take no notice.
        command.env("MALLOC_MMAP_THRESHOLD_", "131072");
        command.env("MALLOC_TRIM_THRESHOLD_", "131072");
    }
    let done = command.output()?;
    let failed = |reason: String| BenchError::Part { what: part, reason };
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(failed(format!("{}: {said}", done.status)));
    }
    serde_json::from_slice(&done.stdout).map_err(|error| failed(error.to_string()))
}

/// The process.
pub(in crate::bench) fn child(bench: Bench) -> ExitCode {
    let shape = match bench {
        Bench::ColdSelectors => Shape::SELECTORS,
        _ => Shape::SEVEN_SETS,
    };
    let found = match start(&shape) {
        Ok(found) => found,
        Err(error) => {
            crate::complain(&error);
            return ExitCode::FAILURE;
        }
    };
    match serde_json::to_writer(std::io::stdout().lock(), &found) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(shape: &Shape) -> Result<Found, BenchError> {
    let mut found = Found {
        empty: resident("VmRSS:"),
        ..Found::default()
    };
    let mut node = Node::empty(shape, roomy());
    let began = Instant::now();
    let (loaded, apply) = on_core(|| node.load(shape));
    loaded?;
    let (commit, compile) = on_core(|| node.commit());
    found.wall = began.elapsed().as_secs_f64();
    drop(commit?);
    found.apply = apply.as_secs_f64();
    found.compile = compile.as_secs_f64();
    found.resident = resident("VmRSS:");
    found.peak = resident("VmHWM:");
    Ok(found)
}

/// Bytes that the kernel says of this process.
fn resident(what: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(what));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0_u64) * 1024
}
