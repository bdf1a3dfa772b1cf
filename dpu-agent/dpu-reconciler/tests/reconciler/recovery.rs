//! Devices that come and go, and rows that change behind our back.

use dpu_backend::Faults;
use dpu_reconciler::{Drift, Input, Refusal, Report};

use crate::lab::{BODY, Lab, body, pointer, settings, state};

#[test]
fn a_device_that_restarted_empty_gets_everything_back() {
    let mut lab = Lab::new();
    let rows = state(
        (0..50)
            .map(|id| body(id, 1))
            .chain([pointer(1, 3), settings(1)]),
    );
    lab.snapshot(&rows);
    lab.run();
    lab.device.restart();
    lab.run();
    assert_eq!(lab.device.rows(), rows);
    assert!(matches!(lab.last(), Report::Restored { written: 52, .. }));
    assert_eq!(lab.reconciler.status().restored, 52);
}

#[test]
fn a_connection_that_breaks_costs_reads_only() {
    let mut lab = Lab::new();
    lab.snapshot(&state([body(1, 1), settings(1)]));
    lab.run();
    let updates = lab.device.updates();
    lab.device.disconnect();
    lab.run();
    assert_eq!(lab.device.updates(), updates);
    assert!(lab.reconciler.status().in_sync);
}

#[test]
fn a_change_that_was_interrupted_is_made_again() {
    let mut lab = Lab::with_faults(11);
    lab.snapshot(&state((0..10).map(|id| body(id, 1)).chain([pointer(1, 3)])));
    lab.run();
    lab.backend.set_faults(Faults {
        crash_after: Some(9),
        ..Faults::default()
    });
    let after = state((5..25).map(|id| body(id, 2)).chain([pointer(1, 7)]));
    lab.delta(&after);
    lab.run();
    assert_eq!(lab.backend.injected(), 1);
    assert_eq!(lab.device.rows(), after);
    assert!(matches!(lab.last(), Report::Enforced { .. }));
}

#[test]
fn drift_is_found_repaired_and_counted() {
    let mut lab = Lab::new();
    lab.closed = false;
    let rows = state([
        body(1, 1),
        body(2, 1),
        body(3, 1),
        pointer(1, 1),
        settings(1),
    ]);
    lab.snapshot(&rows);
    lab.run();
    lab.device.disturb(|there| {
        there.take(&body(2, 1).key);
        there.put(body(3, 9));
        there.put(body(4, 4));
        there.put(pointer(6, 4));
    });
    lab.run();
    assert_ne!(lab.device.rows(), rows, "not before the timer");
    lab.now += lab.settings.drift_every;
    lab.run();
    assert_eq!(lab.device.rows(), rows);
    let drift = Drift {
        missing: 1,
        changed: 1,
        foreign: 2,
    };
    assert_eq!(lab.last(), &Report::DriftRepaired(drift));
    assert_eq!(lab.reconciler.status().drift, drift);
    let updates = lab.device.updates();
    lab.now += lab.settings.drift_every;
    lab.run();
    assert_eq!(lab.device.updates(), updates);
    assert_eq!(lab.reconciler.status().drift_checks, 2);
}

#[test]
fn drift_is_looked_for_when_asked() {
    let mut lab = Lab::new();
    lab.snapshot(&state([body(1, 1)]));
    lab.run();
    lab.device
        .disturb(|there| drop(there.take(&body(1, 1).key)));
    lab.give(Input::CheckDrift);
    lab.run();
    assert_eq!(lab.device.rows(), state([body(1, 1)]));
}

#[test]
fn drift_is_looked_for_between_changes_that_never_end() {
    let mut lab = Lab::new();
    lab.snapshot(&state([body(1, 1), body(2, 0)]));
    lab.run();
    lab.device
        .disturb(|there| drop(there.take(&body(1, 1).key)));
    lab.give(Input::CheckDrift);
    for value in 1..20 {
        // Two waiting at any time.
        lab.delta(&state([body(1, 1), body(2, value)]));
        while lab.reconciler.backlog() > 1 {
            lab.step();
        }
    }
    assert!(lab.device.rows().get(&body(1, 1).key).is_some());
}

#[test]
fn rows_in_the_way_give_room_to_those_that_are_wanted() {
    let mut lab = Lab::new();
    lab.closed = false;
    lab.device.limit(BODY, 3);
    let rows = state([body(1, 1), body(2, 1), body(3, 1)]);
    lab.snapshot(&rows);
    lab.run();
    lab.device
        .disturb(|there| *there = state([body(7, 1), body(8, 1), body(9, 1)]));
    lab.give(Input::CheckDrift);
    lab.run();
    assert_eq!(lab.device.rows(), rows);
    assert_eq!(lab.reconciler.status().fault, None);
}

#[test]
fn a_repair_that_fails_is_told_and_tried_again() {
    let mut lab = Lab::new();
    let rows = state([body(1, 1), body(2, 1), body(3, 1), pointer(1, 1)]);
    lab.snapshot(&rows);
    lab.run();
    lab.device.limit(BODY, 2);
    lab.device.restart();
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::RepairFailed {
            reason: Refusal::Full { .. }
        }
    ));
    assert!(!lab.reconciler.status().in_sync);
    assert_eq!(
        lab.device.rows().table_len(crate::lab::POINTER),
        0,
        "closed while incomplete"
    );
    lab.device.limit(BODY, 3);
    lab.now += lab.settings.drift_every;
    lab.run();
    assert_eq!(lab.device.rows(), rows);
    assert!(lab.reconciler.status().in_sync);
}

#[test]
fn a_device_that_always_fails_gets_the_change_refused_in_the_end() {
    let mut lab = Lab::with_faults(3);
    lab.snapshot(&state([body(1, 1)]));
    lab.run();
    lab.backend.set_faults(Faults {
        fail: 1.0,
        ..Faults::default()
    });
    lab.delta(&state([body(1, 1), body(2, 1)]));
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::Refused {
            reason: Refusal::Device { .. },
            ..
        }
    ));
    assert_eq!(lab.backend.injected(), u64::from(lab.settings.attempts));
    assert_eq!(lab.device.rows(), state([body(1, 1)]));
}
