//! From what Felix says to rows that a switch has committed: how many changes a second, how long one
//! takes, how many rows policy comes to, what the agent holds, how long it takes to start.
//!
//! Policy is that of the shapes in `policy_compiler::generate::shapes`. A rate of computing is taken
//! over the time that the thread had on a core, one with a switch in it over the clock on the wall.

mod clock;
mod cold;
mod compile;
mod kernel;
mod latency;
mod node;
mod wire;

use super::report::{Report, Sense, progress};
use super::{Args, BenchError};

pub(super) use cold::child as cold;

/// Measures.
pub(super) fn run(args: &Args, report: &mut Report) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    progress("cold start and memory");
    for round in 0..args.rounds {
        if round > 0 && !report.has_time() {
            break;
        }
        cold::measure(report)?;
    }
    progress("compiling");
    compile::measure(args.rounds, report)?;
    progress("Felix frame to committed");
    wire::measure(args.rounds, &runtime, report)?;
    progress("one change at a time");
    latency::measure(args.rounds, &runtime, report)?;
    kernel::measure(args, report)?;
    judge(report);
    Ok(())
}

fn judge(report: &mut Report) {
    use Sense::{AtLeast, AtMost};
    let median = |report: &Report, name: &str| report.median(name).unwrap_or(f64::NAN);
    let lowest = |report: &Report, name: &str| report.lowest(name).unwrap_or(f64::NAN);
    let values = [
        (
            "member updates a second, compiled on one core",
            median(report, compile::RATE),
            AtLeast,
            1e6,
        ),
        (
            "member updates a second, Felix frame to committed",
            median(report, wire::RATE),
            AtLeast,
            5e5,
        ),
        (
            "ms, p99 of one member change to committed, 100 000 entries",
            lowest(report, &latency::name("member change", "p99", 1)),
            AtMost,
            1.0,
        ),
        (
            "ms, p99 of an edit of a policy of 100 rules, 100 000 entries",
            lowest(report, &latency::name("policy edit", "p99", 1)),
            AtMost,
            5.0,
        ),
        (
            "rows a membership, seven sets a pod",
            median(
                report,
                &compile::rows_name("seven sets a pod", "membership"),
            ),
            AtMost,
            0.2,
        ),
        (
            "MB, model and compiler at 250 000 addresses with 1.75 million memberships",
            median(report, cold::MEMORY),
            AtMost,
            64.0,
        ),
        (
            "s, cold start of 250 000 endpoints and 10 000 selector policies",
            median(report, cold::START),
            AtMost,
            4.0,
        ),
    ];
    for (name, value, sense, want) in values {
        report.target(name, value, sense, want);
    }
    for shape in compile::KUBERNETES_SHAPES {
        let name = compile::rows_name(shape, "rule");
        let value = median(report, &name);
        report.target(&format!("rows a rule, {shape}"), value, AtMost, 2.0);
    }
    for what in ["member change", "policy edit"] {
        let of = |size| lowest(report, &latency::name(what, "p99", size));
        let name = format!("p99 of one {what}: a million entries to 100 000");
        report.target(&name, of(10) / of(1), AtMost, 1.2);
    }
}
