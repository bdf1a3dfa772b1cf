//! A commit that does not fit leaves everything as it was.

use proptest::prelude::*;
use table_model::TableLimit;

use super::*;
use crate::CompileError;
use crate::generate::change;

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_full_table_leaves_the_compiler_as_it_was(
        seed in any::<u64>(),
        room in 0_u64..4,
        steps in 1_usize..16,
    ) {
        let size = Size::SMALL;
        let (mut choices, mut model) = generated(seed, size);
        let semantics = semantics(seed.is_multiple_of(3));
        let mut compiler = new_compiler(seed, semantics.clone());
        commit(&mut compiler, &mut model);
        let usage = compiler.usage();
        let table = choices.pick(&usage).unwrap();
        let mut tight = capability();
        tight.limits.push(TableLimit { table: table.table, entries: table.rows + room });
        compiler.set_capability(tight);
        let mut refused = false;
        for _ in 0..steps {
            let update = change(&mut choices, size, &model);
            model.apply(update).unwrap();
            let changes = model.take_changes();
            let before = compiler.rows();
            let states: Vec<_> = compiler.endpoint_states()
                .map(|(id, state)| (id.clone(), state.clone()))
                .collect();
            match compiler.commit(&model, &changes, &site()) {
                Ok(_) => refused = false,
                Err(CompileError::Full { table: name, need, free }) => {
                    refused = true;
                    prop_assert_eq!(&name, &table.name);
                    prop_assert!(need > free);
                    prop_assert_eq!(before, compiler.rows());
                    let now: Vec<_> = compiler.endpoint_states()
                        .map(|(id, state)| (id.clone(), state.clone()))
                        .collect();
                    prop_assert_eq!(states, now);
                }
            }
        }
        let mut scratch = new_compiler(seed, semantics);
        scratch.commit(&model, &policy_model::ChangeSet::default(), &site()).unwrap();
        if !refused {
            prop_assert_eq!(compiler.rows(), scratch.rows());
        }
        // With room again, what was refused is made up for.
        compiler.set_capability(capability());
        commit(&mut compiler, &mut model);
        prop_assert_eq!(compiler.rows(), scratch.rows());
        prop_assert_eq!(compiler.usage(), scratch.usage());
    }
}
