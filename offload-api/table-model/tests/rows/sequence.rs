//! Differences lead from one state to the other, and through no state that leads nowhere.

use std::collections::BTreeSet;

use proptest::prelude::*;
use table_model::{
    Generation, Phase, RowKey, Schema, TableDelta, TableId, TableSnapshot, Update, diff, sequence,
};

use crate::generate::{BODY, LABEL, POINTER, closed_state, ranked, row};

fn leads_somewhere(schema: &Schema, state: &TableSnapshot) -> bool {
    [(POINTER, LABEL), (LABEL, BODY)]
        .into_iter()
        .all(|(from, to)| {
            state.table(from).iter().all(|row| {
                let action = &schema.table(from).unwrap().actions[0];
                let named = action.params(&row.action).unwrap()[0];
                let key = schema.table(to).unwrap();
                let key = key.key(&[table_model::FieldValue::Exact(named)]).unwrap();
                state.get(&key).is_some()
            })
        })
}

fn delta(phases: Vec<Phase>) -> TableDelta {
    TableDelta {
        base: Generation(0),
        generation: Generation(1),
        phases,
    }
}

#[test]
fn new_things_come_bottom_up_and_old_ones_go_top_down() {
    let schema = ranked();
    let updates = vec![
        Update::Delete(row(BODY, 1, 0).key),
        Update::Insert(row(POINTER, 2, 2)),
        Update::Delete(row(POINTER, 1, 1).key),
        Update::Insert(row(BODY, 2, 0)),
        Update::Modify(row(LABEL, 2, 2)),
        Update::Delete(row(LABEL, 1, 1).key),
    ];
    let order: Vec<TableId> = sequence(&schema, updates)
        .unwrap()
        .iter()
        .map(|phase| phase.updates[0].key().table)
        .collect();
    assert_eq!(order, [BODY, LABEL, POINTER, POINTER, LABEL, BODY]);
}

#[test]
fn a_foreign_table_is_refused() {
    let mut foreign = row(BODY, 1, 1);
    foreign.key.table = TableId(99);
    let state: TableSnapshot = [foreign].into_iter().collect();
    let error = diff(&ranked(), &state, &TableSnapshot::new()).unwrap_err();
    assert_eq!(error.to_string(), "Table 0x00000063 is not in the schema");
}

proptest! {
    #[test]
    fn a_difference_leads_from_one_state_to_the_other(a in closed_state(), b in closed_state()) {
        let phases = diff(&ranked(), &b, &a).unwrap();
        let mut state = a;
        state.apply(delta(phases)).unwrap();
        prop_assert_eq!(state, b);
    }

    #[test]
    fn equal_states_have_no_difference(a in closed_state()) {
        prop_assert!(diff(&ranked(), &a, &a.clone()).unwrap().is_empty());
    }

    /// A device may reorder inside a phase and stop anywhere.
    #[test]
    fn no_prefix_leads_nowhere(
        a in closed_state(),
        b in closed_state(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let schema = ranked();
        let mut state = a.clone();
        let mut order = order.iter().cycle();
        for phase in diff(&schema, &b, &a).unwrap() {
            let mut updates = phase.updates;
            while !updates.is_empty() {
                let next = order.next().map_or(0, |index| index.index(updates.len()));
                state.apply_update(updates.swap_remove(next)).unwrap();
                prop_assert!(leads_somewhere(&schema, &state));
            }
        }
    }

    #[test]
    fn a_difference_does_not_depend_on_history(a in closed_state(), b in closed_state()) {
        let again: TableSnapshot = b
            .tables()
            .flat_map(|table| b.table(table).into_iter().rev())
            .collect();
        let (schema, empty) = (ranked(), TableSnapshot::new());
        prop_assert_eq!(diff(&schema, &b, &a), diff(&schema, &again, &a));
        // No key twice in a phase.
        for phase in diff(&schema, &b, &empty).unwrap() {
            let keys: BTreeSet<&RowKey> = phase.updates.iter().map(Update::key).collect();
            prop_assert_eq!(keys.len(), phase.updates.len());
        }
    }
}
