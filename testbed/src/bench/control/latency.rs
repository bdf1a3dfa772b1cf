//! One change at a time, from the model's update to the last write of its commit, at a hundred
//! thousand entries and at a million.

use std::time::{Duration, Instant};

use policy_compiler::generate::Choices;
use policy_compiler::generate::shapes::{Shape, delta, member};
use policy_model::Update;
use tokio::runtime::Runtime;

use super::super::BenchError;
use super::super::report::Report;
use super::clock::{on_core, quantile};
use super::node::Node;
use super::wire::Device;

/// Hundreds of thousands of entries.
const SIZES: [u32; 2] = [1, 10];
/// Changes of members in a round.
const CHANGES: usize = 1000;
/// Edits in a round.
const EDITS: u16 = 200;

/// Name of a figure.
pub(super) fn name(what: &str, which: &str, size: u32) -> String {
    format!("{what} to committed, {which}, {size}00 000 entries")
}

/// Measures; both sizes take turns.
pub(super) fn measure(
    rounds: u32,
    runtime: &Runtime,
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut worlds = Vec::new();
    for size in SIZES {
        let shape = Shape::rows(size);
        let mut device = Device::start(runtime)?;
        let (mut node, commit) = Node::new(&shape, device.capability())?;
        let mut entries = device.write(runtime, &commit.phases)?;
        node.apply(vec![shape.long_policy(0)])?;
        let commit = node.commit()?;
        device.write(runtime, &commit.phases)?;
        entries = entries.max(count(&node));
        #[expect(clippy::cast_precision_loss, reason = "a figure")]
        let entries = entries as f64;
        report.sample(&format!("entries, {size}00 000"), "rows", entries);
        worlds.push((size, shape, shape.groups(), device, node, 0_u16));
    }
    let mut choices = Choices::new(13);
    for _ in 0..rounds {
        for (size, shape, groups, device, node, edition) in &mut worlds {
            let mut run = Run::default();
            for _ in 0..CHANGES / 2 {
                let pod = choices.below(shape.pods as usize);
                let group = groups.get(pod / shape.alike as usize);
                let set = group.and_then(|sets| choices.pick(sets)).copied();
                let pod = member(u32::try_from(pod).unwrap_or(0));
                for come in [false, true] {
                    let update = delta(set.unwrap_or(0), vec![pod], come);
                    run.change(runtime, node, device, update)?;
                }
            }
            run.report("member change", *size, report);
            let mut run = Run::default();
            for _ in 0..EDITS {
                *edition = *edition % 1000 + 1;
                run.change(runtime, node, device, shape.long_policy(*edition))?;
            }
            run.report("policy edit", *size, report);
        }
    }
    Ok(())
}

fn count(node: &Node) -> usize {
    let rows: u64 = node.compiler.usage().iter().map(|table| table.rows).sum();
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// Changes of one kind.
#[derive(Debug, Default)]
struct Run {
    all: Vec<Duration>,
    compiled: Vec<Duration>,
    written: usize,
}

impl Run {
    fn change(
        &mut self,
        runtime: &Runtime,
        node: &mut Node,
        device: &mut Device,
        update: Update,
    ) -> Result<(), BenchError> {
        let began = Instant::now();
        let (commit, compiled) = on_core(|| {
            node.apply(vec![update])?;
            node.commit()
        });
        self.written += device.write(runtime, &commit?.phases)?;
        self.all.push(began.elapsed());
        self.compiled.push(compiled);
        Ok(())
    }

    fn report(&mut self, what: &str, size: u32, report: &mut Report) {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        for (which, share) in [("p50", 0.5), ("p99", 0.99)] {
            let value = milliseconds(quantile(&mut self.all, share));
            report.sample(&name(what, which, size), "ms", value);
        }
        for (which, share) in [("p50 of compiling", 0.5), ("p99 of compiling", 0.99)] {
            let value = milliseconds(quantile(&mut self.compiled, share));
            report.sample(&name(what, which, size), "ms on a core", value);
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure")]
        let rows = self.written as f64 / self.all.len().max(1) as f64;
        report.sample(&name(what, "rows written", size), "rows", rows);
    }
}
