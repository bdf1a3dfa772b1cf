//! Cut and put together.

use proptest::prelude::*;
use prost::Message;
use table_model::{ActionCall, ActionId, RowKey, TableId};

use super::*;
use crate::proto;
use crate::types::ToDpu;

fn row(key: u32, weight: usize) -> Row {
    Row {
        key: RowKey {
            table: TableId(1),
            bytes: key.to_be_bytes().as_slice().into(),
        },
        action: ActionCall {
            action: ActionId(1),
            params: vec![0xff; weight].into(),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn snapshots_come_together_below_the_limit(
        count in 0_u32..12_000,
        weight in 0_usize..600,
    ) {
        let rows: Vec<Row> = (0..count).map(|key| row(key, weight)).collect();
        let mut assembler = Assembler::default();
        let mut whole = None;
        for chunk in snapshot_chunks(Generation(3), rows.clone().into_iter()) {
            prop_assert!(whole.is_none(), "nothing follows the last chunk");
            let wire = proto::SyncRequest::from(ToDpu::Snapshot(chunk.clone()));
            prop_assert!(wire.encoded_len() < 4 << 20);
            whole = assembler.snapshot(chunk).unwrap();
        }
        let want = Change::Snapshot(Generation(3), rows.into_iter().collect());
        prop_assert_eq!(whole, Some(want));
    }

    #[test]
    fn deltas_come_together_below_the_limit(
        sizes in prop::collection::vec(1_u32..8000, 0..5),
        weight in 0_usize..600,
    ) {
        let mut next = 0..;
        let delta = TableDelta {
            base: Generation(1),
            generation: Generation(2),
            phases: sizes
                .iter()
                .map(|size| Phase {
                    updates: next
                        .by_ref()
                        .take(*size as usize)
                        .map(|key| Update::Insert(row(key, weight)))
                        .collect(),
                })
                .collect(),
        };
        let mut assembler = Assembler::default();
        let mut whole = None;
        for chunk in delta_chunks(delta.clone()) {
            prop_assert!(whole.is_none(), "nothing follows the last chunk");
            let wire = proto::SyncRequest::from(ToDpu::Delta(chunk.clone()));
            prop_assert!(wire.encoded_len() < 4 << 20);
            whole = assembler.delta(chunk).unwrap();
        }
        prop_assert_eq!(whole, Some(Change::Delta(delta)));
    }
}

fn part(generation: u64, begin: bool, end: bool, key: u32) -> SnapshotChunk {
    SnapshotChunk {
        generation: Generation(generation),
        begin,
        end,
        rows: vec![row(key, 1)],
    }
}

#[test]
fn chunks_that_do_not_fit_are_refused() {
    let mut assembler = Assembler::default();
    assert_eq!(
        assembler.snapshot(part(1, false, true, 1)),
        Err(ChunkError::NoBegin(1))
    );
    assembler.snapshot(part(1, true, false, 1)).unwrap();
    assert_eq!(
        assembler.snapshot(part(2, false, true, 2)),
        Err(ChunkError::Mixed { open: 1, given: 2 })
    );
    assert_eq!(
        assembler.snapshot(part(1, false, true, 1)),
        Err(ChunkError::Twice {
            generation: 1,
            table: 1
        })
    );
    let delta = DeltaChunk {
        generation: Generation(2),
        parts: vec![(1, Vec::new()), (0, Vec::new())],
        ..DeltaChunk::default()
    };
    assert_eq!(
        Assembler::default().delta(delta),
        Err(ChunkError::PhaseOrder {
            generation: 2,
            last: 1,
            given: 0
        })
    );
}

#[test]
fn a_new_snapshot_takes_the_place_of_what_was_open() {
    let mut assembler = Assembler::default();
    let open = DeltaChunk {
        base: Generation(1),
        generation: Generation(2),
        parts: vec![(0, vec![Update::Insert(row(9, 1))])],
        last: false,
    };
    assert_eq!(assembler.delta(open), Ok(None));
    assembler.snapshot(part(3, true, false, 1)).unwrap();
    let whole = assembler.snapshot(part(4, true, true, 2)).unwrap();
    let want = Change::Snapshot(Generation(4), [row(2, 1)].into_iter().collect());
    assert_eq!(whole, Some(want));
}
