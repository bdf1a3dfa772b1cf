//! A snapshot behaves like the plain map that it is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use table_model::{
    ApplyError, Capability, Row, RowKey, TableDelta, TableId, TableLimit, TableSnapshot, Update,
};

use crate::generate::{BODY, LABEL, POINTER, closed_state, ranked, row};

#[derive(Clone, Debug)]
enum Step {
    Put(Row),
    Take(RowKey),
    Apply(Update),
}

fn any_row() -> impl Strategy<Value = Row> {
    let table = prop_oneof![Just(POINTER), Just(LABEL), Just(BODY)];
    (table, 0_u16..4, 0_u16..3).prop_map(|(table, key, to)| row(table, key, to))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any_row().prop_map(Step::Put),
        any_row().prop_map(|row| Step::Take(row.key)),
        any_row().prop_map(|row| Step::Apply(Update::Insert(row))),
        any_row().prop_map(|row| Step::Apply(Update::Modify(row))),
        any_row().prop_map(|row| Step::Apply(Update::Delete(row.key))),
    ]
}

proptest! {
    #[test]
    fn it_agrees_with_a_map(steps in proptest::collection::vec(step(), 0..60)) {
        let mut snapshot = TableSnapshot::new();
        let mut map = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(row) => {
                    let before = map.insert(row.key.clone(), row.action.clone());
                    prop_assert_eq!(snapshot.put(row), before);
                }
                Step::Take(key) => prop_assert_eq!(snapshot.take(&key), map.remove(&key)),
                Step::Apply(update) => {
                    let there = map.contains_key(update.key());
                    let table = update.key().table.0;
                    let want = match (&update, there) {
                        (Update::Insert(_), true) => Err(ApplyError::Exists(table)),
                        (Update::Modify(_) | Update::Delete(_), false) => {
                            Err(ApplyError::Missing(table))
                        }
                        (Update::Insert(row) | Update::Modify(row), _) => {
                            map.insert(row.key.clone(), row.action.clone());
                            Ok(())
                        }
                        (Update::Delete(key), _) => {
                            map.remove(key);
                            Ok(())
                        }
                    };
                    prop_assert_eq!(snapshot.apply_update(update), want);
                }
            }
            prop_assert_eq!(snapshot.len(), map.len());
            prop_assert_eq!(snapshot.is_empty(), map.is_empty());
        }
        for table in [POINTER, LABEL, BODY] {
            let want: Vec<Row> = map
                .iter()
                .filter(|(key, _)| key.table == table)
                .map(|(key, action)| Row { key: key.clone(), action: action.clone() })
                .collect();
            prop_assert_eq!(snapshot.table_len(table), want.len());
            prop_assert_eq!(snapshot.table_iter(table).count(), want.len());
            prop_assert_eq!(snapshot.table(table), want);
        }
        let rows = map.into_iter().map(|(key, action)| Row { key, action });
        prop_assert_eq!(rows.collect::<TableSnapshot>(), snapshot);
    }

    #[test]
    fn one_table_can_be_replaced(a in closed_state(), b in closed_state()) {
        let (mut here, mut there) = (a.clone(), b.clone());
        let before = here.replace_table(LABEL, &mut there);
        prop_assert_eq!(before.table(LABEL), a.table(LABEL));
        prop_assert_eq!(before.len(), a.table_len(LABEL));
        prop_assert_eq!(here.table(LABEL), b.table(LABEL));
        prop_assert_eq!(here.table(BODY), a.table(BODY));
        prop_assert_eq!(there.table_len(LABEL), 0);
    }
}

#[test]
fn what_came_before_a_refused_update_stays() {
    let mut state = TableSnapshot::new();
    let phases = vec![table_model::Phase {
        updates: vec![
            Update::Insert(row(BODY, 1, 1)),
            Update::Delete(row(BODY, 2, 1).key),
            Update::Insert(row(BODY, 3, 1)),
        ],
    }];
    let delta = TableDelta {
        phases,
        ..TableDelta::default()
    };
    assert_eq!((delta.len(), delta.is_empty()), (3, false));
    assert_eq!(state.apply(delta), Err(ApplyError::Missing(BODY.0)));
    assert_eq!(state.table(BODY), [row(BODY, 1, 1)]);
}

#[test]
fn a_target_holds_what_it_says_but_never_more_than_the_schema() {
    let schema = ranked();
    let limit = |table: TableId, entries| TableLimit { table, entries };
    let capability = Capability {
        target: String::new(),
        flip: table_model::Flip::Modify,
        atomicity: table_model::Atomicity::ContinueOnError,
        batch: 1,
        limits: vec![limit(BODY, 7), limit(LABEL, 1000)],
    };
    let entries = |table| capability.entries(schema.table(table).unwrap());
    assert_eq!(
        [entries(BODY), entries(LABEL), entries(POINTER)],
        [7, 100, 100]
    );
}
