//! `evaluate` and the rows agree.

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

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn rows_decide_as_the_evaluator_does(
        seed in any::<u64>(),
        size in sizes(),
        policy_only in any::<bool>(),
    ) {
        let (mut choices, mut model) = generated(seed, size);
        let semantics = semantics(policy_only);
        let mut compiler = new_compiler(seed, semantics.clone());
        let first = commit(&mut compiler, &mut model);
        let mut walker = Walker::default();
        apply(&mut walker, &first);
        prop_assert_eq!(walker.rows(), &compiler.snapshot());
        for flow in flows(&mut choices, &model, 300) {
            check_flow(&compiler, &walker, &model, &semantics, &flow);
        }
    }
}
