//! Random policy and random packets: the evaluator and the engine agree.
//!
//! Each case is a random world with a few random changes; its rows are compiled, written to
//! `p4switch` over P4Runtime, and its flows sent as packets. One switch serves all cases, so each
//! case also tries the way from the last one's rows to its own.

mod hosts;
mod limits;
mod sources;
mod writes;

use std::cell::RefCell;

use policy_compiler::generate::{Choices, Edges, Size, change, flow, world};
use policy_model::evaluate;
use proptest::prelude::*;

use super::*;
use crate::packet::can_be_sent;

/// Flows tried in each state of a case.
const FLOWS: usize = 150;

/// States of a case: its world, and what random changes make of it.
const STATES: usize = 2;

/// Cases; with the two figures above more than 100 000 packets.
const CASES: u32 = 440;

/// Ten times as much in a nightly run (`testbed test --nightly`).
fn nightly() -> u32 {
    if std::env::var_os("MARGAY_NIGHTLY").is_some() {
        10
    } else {
        1
    }
}

/// A switch and the state that it enforces.
struct Lab {
    semantics: Semantics,
    model: PolicyModel,
    enforcement: Enforcement,
}

impl Lab {
    fn new(policy_only: bool) -> Self {
        let semantics = Semantics {
            policy_only,
            node: Enforcement::node(policy_only),
            ..Semantics::default()
        };
        Self {
            enforcement: Enforcement::new(TargetKind::Soft, "", &semantics)
                .unwrap()
                .unwrap(),
            model: PolicyModel::new(),
            semantics,
        }
    }

    /// Sends the packets of random flows; how many there were.
    fn check(&mut self, choices: &mut Choices) -> usize {
        let changes = self.model.take_changes();
        self.enforcement.commit(&self.model, &changes).unwrap();
        let edges = Edges::of(&self.model);
        let flows: Vec<Flow> = (0..2 * FLOWS)
            .filter_map(|_| flow(choices, &edges))
            .filter(can_be_sent)
            .take(FLOWS)
            .collect();
        let fates = self
            .enforcement
            .send(&self.model, &flows, &mut Progress::new())
            .unwrap();
        for (flow, fate) in flows.iter().zip(fates) {
            let verdict = evaluate(&self.model, &self.semantics, flow);
            let right = if verdict.allow {
                Fate::Forwarded
            } else {
                Fate::Dropped
            };
            assert_eq!(fate, right, "{flow:?}\n{verdict:#?}");
        }
        flows.len()
    }
}

fn sizes() -> impl Strategy<Value = Size> {
    (1_usize..6, 0_usize..9, 1_usize..6, 0_usize..6, 0_usize..12).prop_map(
        |(endpoints, policies, rules, sets, members)| Size {
            endpoints,
            policies,
            rules,
            sets,
            members,
        },
    )
}

#[test]
fn packets_do_what_the_evaluator_says() {
    let labs = [false, true].map(|policy_only| RefCell::new(Lab::new(policy_only)));
    let packets = RefCell::new([0; 2]);
    let config = ProptestConfig {
        cases: CASES * nightly(),
        failure_persistence: Some(Box::new(
            proptest::test_runner::FileFailurePersistence::SourceParallel("proptest-regressions"),
        )),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let cases = (any::<u64>(), sizes(), any::<bool>());
    proptest!(config, |((seed, size, policy_only) in cases)| {
        let place = usize::from(policy_only);
        let lab = &mut *labs[place].borrow_mut();
        let mut choices = Choices::new(seed);
        let mut session = PolicyModel::new();
        for update in world(&mut choices, size) {
            session.apply(update).unwrap();
        }
        lab.model.replace_with(session);
        for state in 0..STATES {
            if state > 0 {
                for _ in 0..choices.below(6) + 1 {
                    let update = change(&mut choices, size, &lab.model);
                    lab.model.apply(update).unwrap();
                }
            }
            packets.borrow_mut()[place] += lab.check(&mut choices);
        }
    });
    let [strict, policy_only] = packets.into_inner();
    let sent = strict + policy_only;
    println!("CASES {sent} packets of random flows in random states");
    assert!(
        sent >= 100_000 * nightly() as usize,
        "{strict} + {policy_only}"
    );
}
