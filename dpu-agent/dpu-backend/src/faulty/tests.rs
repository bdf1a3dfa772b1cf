//! Faults come as often as asked, and the same ones for the same seed.

use std::sync::Arc;

use super::*;
use crate::MemoryDevice;
use crate::testing::{ROUTE, block_on, route, schema};

fn run(faults: Faults, seed: u64) -> (Vec<Outcome>, table_model::TableSnapshot) {
    let device = MemoryDevice::new(Arc::new(schema()));
    let mut backend = Faulty::new(device.backend(), faults, seed);
    block_on(backend.connect()).unwrap();
    let updates: Vec<Update> = (0..1000).map(|dst| Update::Insert(route(dst, 1))).collect();
    let report = block_on(backend.write(&updates));
    assert_eq!(report.outcomes.len(), updates.len());
    (report.outcomes, device.rows())
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let faults = Faults {
        fail: 0.2,
        lose_answer: 0.1,
        reorder: true,
        ..Faults::default()
    };
    assert_eq!(run(faults, 1), run(faults, 1));
    assert_ne!(run(faults, 1).1, run(faults, 2).1);
}

#[test]
fn a_failed_update_is_not_applied_and_a_lost_answer_is() {
    let fail = Faults {
        fail: 0.3,
        reorder: true,
        ..Faults::default()
    };
    let (outcomes, rows) = run(fail, 3);
    let failed = outcomes.iter().filter(|o| **o != Outcome::Ok).count();
    assert!((200..400).contains(&failed), "{failed} of 1000 failed");
    assert_eq!(rows.len(), 1000 - failed);
    let lose = Faults {
        lose_answer: 0.3,
        ..Faults::default()
    };
    let (outcomes, rows) = run(lose, 3);
    assert!(outcomes.iter().any(|o| *o != Outcome::Ok));
    assert_eq!(rows.len(), 1000);
}

#[test]
fn a_write_that_breaks_off_leaves_a_part() {
    let faults = Faults {
        break_off: 1.0,
        ..Faults::default()
    };
    let (outcomes, rows) = run(faults, 4);
    assert!(outcomes.iter().all(|o| matches!(o, Outcome::Lost(_))));
    assert!(!rows.is_empty() && rows.len() < 1000);
}

#[test]
fn a_crash_comes_once_and_takes_the_connection() {
    let device = MemoryDevice::new(Arc::new(schema()));
    let crashed = device.clone();
    let faults = Faults {
        crash_after: Some(2),
        ..Faults::default()
    };
    let mut backend = Faulty::new(device.backend(), faults, 5).on_crash(move || crashed.restart());
    block_on(backend.connect()).unwrap();
    let updates: Vec<Update> = (0..3).map(|dst| Update::Insert(route(dst, 1))).collect();
    assert!(block_on(backend.write(&updates[..2])).is_applied());
    assert!(!block_on(backend.write(&updates)).is_applied());
    block_on(backend.lost());
    assert!(device.rows().is_empty());
    block_on(backend.connect()).unwrap();
    assert!(block_on(backend.write(&updates)).is_applied());
    assert_eq!(device.rows().table_len(ROUTE), 3);
}

#[test]
fn a_read_that_breaks_off_says_so() {
    let device = MemoryDevice::new(Arc::new(schema()));
    let faults = Faults {
        read: 1.0,
        ..Faults::default()
    };
    let mut backend = Faulty::new(device.backend(), faults, 6);
    block_on(backend.connect()).unwrap();
    assert!(block_on(backend.read(ROUTE, &mut drop)).is_err());
    assert_eq!(backend.injected(), 1);
}
