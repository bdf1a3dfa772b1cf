//! The rows depend on the policy and never on how it came about.

use proptest::prelude::*;

use super::*;
use crate::generate::change;

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn rows_after_a_history_are_the_rows_from_scratch(
        seed in any::<u64>(),
        steps in 1_usize..40,
        burst in 1_usize..4,
    ) {
        let size = Size::SMALL;
        let (mut choices, mut model) = generated(seed, size);
        let semantics = semantics(false);
        let mut compiler = new_compiler(seed, semantics.clone());
        let mut walker = Walker::default();
        let first = commit(&mut compiler, &mut model);
        apply(&mut walker, &first);
        for _ in 0..steps {
            for _ in 0..burst {
                let update = change(&mut choices, size, &model);
                model.apply(update).unwrap();
            }
            let next = commit(&mut compiler, &mut model);
            prop_assert_eq!(&next.refusals, &model.refusals(&semantics));
            apply(&mut walker, &next);
            for flow in flows(&mut choices, &model, 10) {
                check_flow(&compiler, &walker, &model, &semantics, &flow);
            }
        }
        let mut scratch = new_compiler(seed, semantics);
        scratch.commit(&model, &policy_model::ChangeSet::default(), &site()).unwrap();
        prop_assert_eq!(compiler.rows(), scratch.rows());
        prop_assert_eq!(walker.rows(), &compiler.snapshot());
        let usage: u64 = compiler.usage().iter().map(|table| table.rows).sum();
        prop_assert_eq!(usage, compiler.rows().len() as u64);
        prop_assert_eq!(compiler.usage(), scratch.usage());

        // A look at everything finds nothing to do.
        compiler.resync();
        let nothing = commit(&mut compiler, &mut model);
        prop_assert_eq!(nothing.phases, Vec::new());
    }

    #[test]
    fn a_model_built_anew_costs_what_differs(seed in any::<u64>(), steps in 0_usize..12) {
        let size = Size::SMALL;
        let (mut choices, mut model) = generated(seed, size);
        let mut compiler = new_compiler(seed, semantics(seed.is_multiple_of(3)));
        let mut walker = Walker::default();
        apply(&mut walker, &commit(&mut compiler, &mut model));
        for _ in 0..steps {
            let update = change(&mut choices, size, &model);
            model.apply(update).unwrap();
        }
        // What changed is not told: the compiler must find it.
        model.take_changes();
        compiler.resync();
        apply(&mut walker, &commit(&mut compiler, &mut model));
        let mut scratch = new_compiler(seed, semantics(seed.is_multiple_of(3)));
        scratch.commit(&model, &policy_model::ChangeSet::default(), &site()).unwrap();
        prop_assert_eq!(compiler.rows(), scratch.rows());
        prop_assert_eq!(walker.rows(), &scratch.snapshot());
    }
}
