//! Random writes against a map: what the server says and holds is what the map says and holds.

use std::collections::BTreeMap;

use p4runtime_proto::p4::v1::{TableEntry, update::Type, write_request::Atomicity};
use proptest::{prelude::*, test_runner::TestRunner};
use tonic::Code;

use crate::support::{
    BY_MAC, BY_MASK, BY_ROUTE, SCOPED, action, delete, entries, entry, exact, failures, insert,
    lpm, modify, range, ready, ternary,
};

/// Entries that the table of odd width holds.
const SCOPED_SIZE: usize = 4;

#[derive(Clone, Debug)]
struct Step {
    change: Type,
    entry: TableEntry,
}

#[derive(Clone, Debug)]
struct Batch {
    steps: Vec<Step>,
    atomicity: Atomicity,
}

/// A few keys in every table, so that they collide.
fn any_entry() -> impl Strategy<Value = TableEntry> {
    let call = |port: u128| action("forward", &[port]);
    prop_oneof![
        (0..6_u128, 0..4_u128).prop_map(move |(mac, port)| entry(
            BY_MAC,
            vec![exact(1, mac)],
            call(port)
        )),
        (0..4_u128, 30..=32_i32, 0..4_u128).prop_map(move |(net, len, port)| {
            entry(
                BY_ROUTE,
                vec![lpm(1, net << 2 & (u128::MAX << (32 - len)), len)],
                call(port),
            )
        }),
        (1..3_i32, 0..3_u128, 0..2_u128, 0..4_u128).prop_map(
            move |(priority, value, low, port)| {
                let key = vec![ternary(1, value, 3), range(2, low, 9)];
                TableEntry {
                    priority,
                    ..entry(BY_MASK, key, call(port))
                }
            }
        ),
        (0..8_u128)
            .prop_map(|value| { entry(SCOPED, vec![lpm(1, value, 7)], action("entry_only", &[])) }),
    ]
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let change =
        prop_oneof![3 => Just(Type::Insert), 1 => Just(Type::Modify), 2 => Just(Type::Delete)];
    let step = (change, any_entry()).prop_map(|(change, entry)| Step { change, entry });
    let atomicity = prop_oneof![
        Just(Atomicity::ContinueOnError),
        Just(Atomicity::RollbackOnError),
        Just(Atomicity::DataplaneAtomic)
    ];
    (prop::collection::vec(step, 1..12), atomicity)
        .prop_map(|(steps, atomicity)| Batch { steps, atomicity })
}

/// Match fields and priority, printed: all that makes the identity of an entry.
type Identity = (u32, String);
type Model = BTreeMap<Identity, TableEntry>;

fn apply(model: &mut Model, step: &Step) -> Code {
    let entry = &step.entry;
    let identity = (
        entry.table_id,
        format!("{:?} {}", entry.r#match, entry.priority),
    );
    let held = model.keys().filter(|(table, _)| *table == SCOPED).count();
    let full = entry.table_id == SCOPED && held >= SCOPED_SIZE;
    match (step.change, model.contains_key(&identity)) {
        (Type::Insert, true) if full => Code::Unknown,
        (Type::Insert, true) => Code::AlreadyExists,
        (Type::Insert, false) if full => Code::ResourceExhausted,
        (Type::Insert, false) | (Type::Modify, true) => {
            model.insert(identity, entry.clone());
            Code::Ok
        }
        (_, false) => Code::NotFound,
        (_, true) => {
            model.remove(&identity);
            Code::Ok
        }
    }
}

/// What the batch should answer; the model is changed accordingly.
fn expect(model: &mut Model, batch: &Batch) -> Vec<(usize, Code)> {
    let before = model.clone();
    let mut failed = Vec::new();
    for (index, step) in batch.steps.iter().enumerate() {
        let code = apply(model, step);
        if code == Code::Ok {
            continue;
        }
        failed.push((index, code));
        if batch.atomicity != Atomicity::ContinueOnError {
            *model = before;
            let all = 0..batch.steps.len();
            return all
                .map(|at| (at, if at == index { code } else { Code::Aborted }))
                .collect();
        }
    }
    failed
}

#[test]
fn random_batches_agree_with_a_map() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 48,
        ..ProptestConfig::default()
    });
    runner
        .run(&prop::collection::vec(any_batch(), 1..12), |batches| {
            runtime.block_on(async {
                let (switch, client) = ready().await;
                let mut model = Model::new();
                for batch in &batches {
                    let want = expect(&mut model, batch);
                    let updates = batch.steps.iter().map(|step| match step.change {
                        Type::Modify => modify(step.entry.clone()),
                        Type::Delete => delete(step.entry.clone()),
                        Type::Insert | Type::Unspecified => insert(step.entry.clone()),
                    });
                    let failed = failures(&client, updates.collect(), batch.atomicity).await;
                    let got: Vec<_> = failed
                        .iter()
                        .map(|error| (error.index, error.code))
                        .collect();
                    // A table that is full may say either about an entry that it has.
                    let same = got.len() == want.len()
                        && got.iter().zip(&want).all(|(got, want)| {
                            got == want
                                || want.1 == Code::Unknown
                                    && got.0 == want.0
                                    && matches!(
                                        got.1,
                                        Code::AlreadyExists | Code::ResourceExhausted
                                    )
                        });
                    prop_assert!(same, "{:?} instead of {:?}", got, want);
                    for table in [BY_MAC, BY_ROUTE, BY_MASK, SCOPED] {
                        let mut held: Vec<_> = model
                            .iter()
                            .filter(|((of, _), _)| *of == table)
                            .map(|(_, entry)| entry.clone())
                            .collect();
                        held.sort_by_key(prost::Message::encode_to_vec);
                        prop_assert_eq!(entries(&client, table).await, held);
                    }
                }
                switch.shutdown();
                Ok(())
            })
        })
        .expect("server and map agree");
}
