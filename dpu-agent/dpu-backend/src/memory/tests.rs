//! The in-memory device keeps to what P4Runtime asks of a target.

use std::sync::Arc;

use super::*;
use crate::testing::{ROUTE, SETTINGS, block_on, route, schema, settings};

#[test]
fn answers_each_update_strictly() {
    let device = MemoryDevice::new(Arc::new(schema()));
    let mut backend = device.backend();
    block_on(backend.connect()).unwrap();
    let report = block_on(backend.write(&[
        Update::Insert(route(1, 10)),
        Update::Insert(route(1, 11)),
        Update::Modify(route(2, 10)),
        Update::Delete(route(3, 0).key),
        Update::Modify(route(1, 12)),
    ]));
    assert_eq!(
        report.outcomes,
        [
            Outcome::Ok,
            Outcome::Exists,
            Outcome::Missing,
            Outcome::Missing,
            Outcome::Ok
        ]
    );
    assert_eq!(device.rows().table(ROUTE), [route(1, 12)]);
    assert_eq!(device.updates(), 5);
    assert_eq!(device.writes(), 1);
    assert_eq!(device.take_journal().len(), 2);
}

#[test]
fn a_full_table_takes_no_more_rows_but_still_changes_those_it_has() {
    let device = MemoryDevice::new(Arc::new(schema()));
    device.limit(ROUTE, 1);
    let mut backend = device.backend();
    let capability = block_on(backend.connect()).unwrap();
    let table = schema();
    assert_eq!(capability.entries(table.table(ROUTE).unwrap()), 1);
    let report = block_on(backend.write(&[
        Update::Insert(route(1, 10)),
        Update::Insert(route(2, 10)),
        Update::Insert(route(1, 11)),
        Update::Modify(route(1, 11)),
    ]));
    assert_eq!(
        report.outcomes,
        [Outcome::Ok, Outcome::Full, Outcome::Exists, Outcome::Ok]
    );
}

#[test]
fn bytes_outside_the_schema_are_refused() {
    let device = MemoryDevice::new(Arc::new(schema()));
    let mut backend = device.backend();
    block_on(backend.connect()).unwrap();
    let mut short = route(1, 10);
    short.key.bytes.pop();
    let mut foreign = route(1, 10);
    foreign.action.action.0 += 77;
    let report = block_on(backend.write(&[Update::Insert(short), Update::Insert(foreign)]));
    assert!(
        report
            .outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Refused(_)))
    );
    assert!(device.rows().is_empty());
}

#[test]
fn the_default_entry_is_always_there() {
    let device = MemoryDevice::new(Arc::new(schema()));
    let mut backend = device.backend();
    block_on(backend.connect()).unwrap();
    let report =
        block_on(backend.write(&[Update::Modify(settings(1)), Update::Insert(settings(2))]));
    assert!(report.is_applied());
    assert_eq!(device.rows().table(SETTINGS), [settings(2)]);
    assert!(block_on(backend.write(&[Update::Delete(settings(0).key)])).is_applied());
    assert!(device.rows().is_empty());
}

#[test]
fn a_restart_empties_the_device_and_breaks_the_connection() {
    let device = MemoryDevice::new(Arc::new(schema()));
    let mut backend = device.backend();
    block_on(backend.connect()).unwrap();
    block_on(backend.write(&[Update::Insert(route(1, 10))]));
    device.restart();
    block_on(backend.lost());
    let report = block_on(backend.write(&[Update::Insert(route(1, 10))]));
    assert!(matches!(report.outcomes[..], [Outcome::Lost(_)]));
    block_on(backend.connect()).unwrap();
    let mut rows = Vec::new();
    block_on(backend.read(ROUTE, &mut |piece| rows.extend(piece))).unwrap();
    assert!(rows.is_empty());
}

#[test]
fn a_read_gives_every_row_once() {
    let device = MemoryDevice::new(Arc::new(schema()));
    let mut backend = device.backend();
    block_on(backend.connect()).unwrap();
    let want: Vec<Row> = (0..2500).map(|dst| route(dst, 1)).collect();
    device.disturb(|rows| *rows = want.iter().cloned().collect());
    let mut pieces = 0;
    let mut rows = Vec::new();
    block_on(backend.read(ROUTE, &mut |piece| {
        pieces += 1;
        rows.extend(piece);
    }))
    .unwrap();
    assert_eq!(pieces, 3);
    assert_eq!(rows, want);
}

#[test]
fn counters_belong_to_entries() {
    let device = MemoryDevice::new(Arc::new(schema()));
    let mut backend = device.backend();
    block_on(backend.connect()).unwrap();
    block_on(backend.write(&[Update::Insert(route(1, 10))]));
    device.count(&route(1, 10).key, 60);
    device.count(&route(1, 10).key, 40);
    let mut counters = Vec::new();
    block_on(backend.counters(ROUTE, &mut |piece| counters.extend(piece))).unwrap();
    assert_eq!(
        counters,
        [EntryCounter {
            key: route(1, 10).key,
            value: CounterValue {
                packets: 2,
                bytes: 100
            }
        }]
    );
}
