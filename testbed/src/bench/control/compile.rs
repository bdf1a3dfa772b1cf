//! Compiling alone: member updates a second on one core, and how many rows policy comes to.

use std::time::Duration;

use policy_compiler::generate::Choices;
use policy_compiler::generate::shapes::Shape;

use super::super::BenchError;
use super::super::report::Report;
use super::clock::on_core;
use super::node::{Node, roomy};

/// Pods that stop at once, and start at once: seven member updates each, and one commit for all.
const PODS: u32 = 10_000;
/// Those of a small batch.
const FEW: u32 = 100;

/// Name of the rate's figure.
pub(super) const RATE: &str = "compiled, 10 000 pods of 7 sets in a batch";
/// Shapes as Kubernetes policy makes them.
pub(super) const KUBERNETES_SHAPES: [&str; 3] = [
    "seven sets a pod",
    "10 000 selector policies",
    "1 000 tenants",
];

/// Name of a figure of rows.
pub(super) fn rows_name(shape: &str, of: &str) -> String {
    format!("rows a {of}, {shape}")
}

/// Measures.
pub(super) fn measure(rounds: u32, report: &mut Report) -> Result<(), BenchError> {
    let names = KUBERNETES_SHAPES.into_iter().chain([
        "294 policies of 68 rules",
        "1 000 policies with sets of nets",
        "2 000 addresses with labels of their own",
    ]);
    let shapes = [
        Shape::SEVEN_SETS,
        Shape::SELECTORS,
        Shape::tenants(1_000),
        Shape::LONG_LIST,
        Shape::network_sets(1_000),
        Shape::near_unique(2_000),
    ];
    for (name, shape) in names.zip(&shapes) {
        let (node, _) = Node::new(shape, roomy())?;
        count_rows(name, shape, &node, report);
    }
    let shape = Shape::SEVEN_SETS;
    let (mut node, _) = Node::new(&shape, roomy())?;
    let groups = shape.groups();
    let mut choices = Choices::new(7);
    let few = "compiled, 100 pods of 7 sets in a batch";
    for _ in 0..rounds {
        for (name, pods, batches) in [(RATE, PODS, 3), (few, FEW, 100)] {
            let (mut spent, mut updates) = (Duration::ZERO, 0_u32);
            for _ in 0..batches {
                let pods = some_pods(&mut choices, &shape, pods);
                for start in [false, true] {
                    let batch = shape.pods_move(&groups, &pods, start);
                    let (done, time) = on_core(|| {
                        node.apply(batch)?;
                        node.commit()
                    });
                    done?;
                    spent += time;
                    updates += u32::try_from(pods.len()).unwrap_or(0) * shape.sets_a_pod;
                }
            }
            let rate = f64::from(updates) / spent.as_secs_f64();
            report.sample(name, "member updates/s", rate);
        }
    }
    Ok(())
}

/// Numbers of pods, sorted, each once.
pub(super) fn some_pods(choices: &mut Choices, shape: &Shape, count: u32) -> Vec<u32> {
    let mut pods: Vec<u32> = (0..count)
        .map(|_| u32::try_from(choices.below(shape.pods as usize)).unwrap_or(0))
        .collect();
    pods.sort_unstable();
    pods.dedup();
    pods
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn count_rows(name: &str, shape: &Shape, node: &Node, report: &mut Report) {
    let usage = node.compiler.usage();
    let all: u64 = usage.iter().map(|table| table.rows).sum();
    let verdicts = usage.iter().filter(|table| {
        let name = table.name.as_str();
        name.starts_with("acl_verdict") || name.starts_with("acl_class")
    });
    let verdicts: u64 = verdicts.map(|table| table.rows).sum();
    let members: usize = node.model.ip_sets().map(|(_, set)| set.members.len()).sum();
    let a_membership = all as f64 / members as f64;
    report.sample(&rows_name(name, "membership"), "rows", a_membership);
    let a_rule = verdicts as f64 / shape.rule_count() as f64;
    report.sample(&rows_name(name, "rule"), "rows", a_rule);
}
