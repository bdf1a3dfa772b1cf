//! `evaluate` and the rows agree.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;

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
fn rows_decide_as_the_evaluator_does() {
    let tried = Cell::new(0_usize);
    let config = cases(800);
    let ordinary = std::env::var_os("PROPTEST_CASES").is_none();
    let cases = (any::<u64>(), sizes(), any::<bool>());
    proptest!(config, |((seed, size, policy_only) in cases)| {
        let (mut choices, mut model) = generated(seed, size);
        let semantics = semantics(policy_only);
        let mut compiler = new_compiler(seed, semantics.clone());
        let first = commit(&mut compiler, &mut model);
        let mut walker = Walker::default();
        apply(&mut walker, &first);
        prop_assert_eq!(walker.rows(), &compiler.snapshot());
        for flow in flows(&mut choices, &model, 300) {
            check_flow(&compiler, &walker, &model, &semantics, &flow);
            tried.set(tried.get() + 1);
        }
    });
    println!("CASES {} flows over rows", tried.get());
    assert!(
        !ordinary || tried.get() >= 100_000 * nightly() as usize,
        "{}",
        tried.get()
    );
}
