//! Random states, faults, restarts and orders.

use dpu_backend::Faults;
use dpu_reconciler::{Input, Refusal, Report};
use proptest::prelude::*;
use table_model::TableSnapshot;

use crate::lab::{BODY, Lab, body, pointer, settings, state};

/// A state in which every pointer leads somewhere.
fn closed_state() -> impl Strategy<Value = TableSnapshot> {
    let bodies = proptest::collection::btree_map(0_u32..12, 0_u8..3, 1..12);
    let pointers = proptest::collection::btree_map(0_u16..8, any::<prop::sample::Index>(), 0..8);
    (bodies, pointers).prop_map(|(bodies, pointers)| {
        let ids: Vec<u32> = bodies.keys().copied().collect();
        let pointers = pointers
            .into_iter()
            .map(|(port, at)| pointer(port, *at.get(&ids)));
        let bodies = bodies.iter().map(|(&id, &value)| body(id, value));
        state(bodies.chain(pointers).chain([settings(1)]))
    })
}

#[derive(Clone, Debug)]
enum Event {
    Snapshot(TableSnapshot),
    Delta(TableSnapshot),
    Faults(Faults),
    Restart,
    Disconnect,
    NewAgent,
    Flush,
    Hello,
    CheckDrift,
    Steps(usize),
    Run,
}

fn event() -> impl Strategy<Value = Event> {
    let faults = (
        0.0..0.4,
        0.0..0.3,
        0.0..0.2,
        0.0..0.2,
        proptest::option::of(0_u64..30),
    )
        .prop_map(|(fail, lose_answer, break_off, read, crash_after)| Faults {
            fail,
            lose_answer,
            break_off,
            read,
            connect: read,
            crash_after,
            reorder: true,
        });
    prop_oneof![
        2 => closed_state().prop_map(Event::Snapshot),
        6 => closed_state().prop_map(Event::Delta),
        2 => faults.prop_map(Event::Faults),
        1 => Just(Event::Restart),
        1 => Just(Event::Disconnect),
        1 => Just(Event::NewAgent),
        1 => Just(Event::Flush),
        1 => Just(Event::Hello),
        1 => Just(Event::CheckDrift),
        4 => (1_usize..12).prop_map(Event::Steps),
        2 => Just(Event::Run),
    ]
}

fn play(lab: &mut Lab, event: Event) {
    match event {
        Event::Snapshot(rows) => lab.snapshot(&rows),
        Event::Delta(rows) => lab.delta(&rows),
        Event::Faults(faults) => lab.backend.set_faults(faults),
        Event::Restart => lab.device.restart(),
        Event::Disconnect => lab.device.disconnect(),
        Event::NewAgent => lab.new_agent(),
        Event::Flush => lab.give(Input::FlushConnections),
        Event::Hello => lab.hello(),
        Event::CheckDrift => lab.give(Input::CheckDrift),
        Event::Steps(count) => {
            for _ in 0..count {
                lab.step();
            }
        }
        Event::Run => lab.run(),
    }
}

/// Rows but for the settings, whose epoch is not the host's alone.
fn rows(snapshot: &TableSnapshot) -> Vec<table_model::Row> {
    let mut snapshot = snapshot.clone();
    snapshot.take(&settings(0).key);
    snapshot
        .tables()
        .flat_map(|table| snapshot.table(table))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens on the way: no pointer ever leads nowhere, no row of every complete state is
    /// ever deleted (both watched update by update in the lab), and in the end the device holds what
    /// was asked for last. Asking again writes nothing.
    #[test]
    fn converges_under_faults(
        seed in any::<u64>(),
        events in proptest::collection::vec(event(), 1..40),
        last in closed_state(),
    ) {
        let mut lab = Lab::with_faults(seed);
        for event in events {
            play(&mut lab, event);
        }
        lab.backend.set_faults(Faults { reorder: true, ..Faults::default() });
        lab.run();
        lab.delta(&last);
        lab.run();
        if lab.needs_snapshot {
            lab.snapshot(&last);
            lab.run();
        }
        prop_assert_eq!(rows(&lab.device.rows()), rows(&last));
        prop_assert!(lab.reconciler.status().in_sync, "{:?}", lab.reconciler.status());
        let updates = lab.device.updates();
        lab.snapshot(&last);
        lab.give(Input::CheckDrift);
        lab.run();
        prop_assert_eq!(lab.device.updates(), updates);
    }

    /// A table that is too small makes changes fail as a whole or succeed as a whole.
    #[test]
    fn no_change_is_left_half_done(
        states in proptest::collection::vec((closed_state(), any::<bool>()), 1..12),
        limit in 1_u64..14,
        told in any::<bool>(),
    ) {
        let mut lab = Lab::new();
        if told {
            lab.device.limit(BODY, limit);
        }
        lab.run();
        // The device may turn out to be smaller than it said.
        lab.device.limit(BODY, limit);
        for (wanted, whole) in states {
            let before = lab.device.rows();
            if whole {
                lab.snapshot(&wanted);
            } else {
                lab.delta(&wanted);
            }
            lab.run();
            match lab.last() {
                Report::Enforced { .. } => prop_assert_eq!(lab.device.rows(), wanted),
                Report::Refused { reason: Refusal::Full { table, need, free, .. }, .. } => {
                    prop_assert_eq!(*table, BODY);
                    prop_assert!(need > free);
                    prop_assert_eq!(lab.device.rows(), before);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    /// Drift of any kind goes away.
    #[test]
    fn drift_is_repaired(wanted in closed_state(), found in closed_state()) {
        let mut lab = Lab::new();
        lab.closed = false;
        lab.snapshot(&wanted);
        lab.run();
        lab.device.disturb(|there| *there = found);
        lab.give(Input::CheckDrift);
        lab.run();
        prop_assert_eq!(lab.device.rows(), wanted);
    }
}
