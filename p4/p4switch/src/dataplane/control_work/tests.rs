//! A read of a large table is cut, and still sees each entry once.

use std::sync::Arc;

use p4_engine::{ActionCall, EngineConfig, Entry, EntryAction, KeyPart, Program, Value};
use tokio::sync::mpsc;

use super::{Answers, Job};
use crate::{
    control::{Answered, Read},
    device::Device,
    operation::{Filter, Operation, Piece, Query, View},
    pipeline::Pipeline,
};

const JSON: &str = include_str!("../../../tests/programs/switch.json");
const P4INFO: &[u8] = include_bytes!("../../../tests/programs/switch.p4info.bin");
const ENTRIES: u64 = 50_000;

#[test]
fn a_read_of_a_large_table_lets_packets_in_between() {
    let p4info = prost::Message::decode(P4INFO).unwrap();
    let pipeline = Arc::new(Pipeline::load(p4info, JSON.into(), None).unwrap());
    let program: Arc<Program> = Arc::clone(&pipeline.program);
    let generation = pipeline.generation;
    let own = pipeline.table(0x0200_0001).unwrap();
    let (table, action) = (
        own.index,
        own.actions.iter().find(|one| one.params.len() == 1),
    );
    let action = action.unwrap().index;
    let mut device = Device::new(
        program,
        Some(Arc::clone(&pipeline)),
        EngineConfig::default(),
    );
    for number in 0..ENTRIES {
        let args = vec![Value::from(number % 500)];
        let entry = Entry {
            key: vec![KeyPart::Exact(Value::from(number))],
            priority: 0,
            action: EntryAction::Call(ActionCall { action, args }),
        };
        let beside = None;
        let insert = Operation::Insert {
            table,
            entry,
            beside,
        };
        device.apply(insert, None).unwrap();
    }
    let (pieces, mut answers) = mpsc::unbounded_channel();
    let view = View::Entry {
        counter: false,
        meter: false,
        hit: false,
    };
    let query = Query::Entries {
        tables: vec![table],
        filter: Filter::default(),
        view,
    };
    let read = Read {
        generation,
        queries: vec![(0, query)],
        pieces,
    };
    let mut job = Answers::begin(read, Some(&device));
    let mut slices = 0;
    while let Some(under_way) = job {
        job = under_way.step(Some(&mut device));
        slices += 1;
        if slices == 1 {
            assert!(matches!(job, Some(Job::Read(_))), "all in one slice");
        }
    }
    assert!(slices > 1);
    let mut seen = Vec::new();
    while let Ok(answered) = answers.try_recv() {
        let Answered::Piece(Piece::Entries { rows, .. }) = answered else {
            panic!("{answered:?}");
        };
        assert!(rows.len() <= 512, "{} rows in a piece", rows.len());
        seen.extend(rows.into_iter().map(|row| row.entry.key));
    }
    let all: Vec<_> = (0..ENTRIES)
        .map(|number| vec![KeyPart::Exact(Value::from(number))])
        .collect();
    assert!(
        seen == all,
        "{} of {ENTRIES} entries, or not in order",
        seen.len()
    );
}
