//! Snapshots and deltas, in and out of order, with and without room.

use dpu_reconciler::{Desync, Input, Refusal, Report};
use table_model::{Generation, Phase, TableDelta, TableSnapshot, Update};

use crate::lab::{BODY, Lab, POINTER, body, pointer, session, settings, state};

#[test]
fn a_snapshot_is_written_once_and_acknowledged() {
    let mut lab = Lab::new();
    let rows = state(
        (0..20)
            .map(|id| body(id, 1))
            .chain([pointer(1, 3), settings(1)]),
    );
    lab.snapshot(&rows);
    lab.run();
    assert_eq!(lab.device.rows(), rows);
    assert!(matches!(
        lab.last(),
        Report::Enforced {
            generation: Generation(1),
            written: 22,
            unchanged: 0,
            ..
        }
    ));
    let updates = lab.device.updates();
    lab.snapshot(&rows);
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::Enforced {
            generation: Generation(2),
            written: 0,
            unchanged: 22,
            ..
        }
    ));
    assert_eq!(lab.device.updates(), updates);
}

#[test]
fn what_a_predecessor_left_is_adopted() {
    let mut lab = Lab::new();
    let rows = state([body(1, 1), body(2, 2), pointer(1, 1), settings(1)]);
    lab.snapshot(&rows);
    lab.run();
    let updates = lab.device.updates();
    lab.new_agent();
    lab.snapshot(&rows);
    lab.run();
    assert_eq!(lab.device.updates(), updates);
    assert_eq!(lab.reconciler.status().rows, 4);
    lab.new_agent();
    lab.snapshot(&state([body(1, 1), pointer(1, 1), settings(1)]));
    lab.run();
    assert_eq!(lab.device.updates(), updates + 1);
}

#[test]
fn nothing_is_written_or_deleted_before_a_snapshot() {
    let mut lab = Lab::new();
    lab.device
        .disturb(|rows| *rows = state([body(1, 1), pointer(1, 1)]));
    lab.run();
    lab.now += lab.settings.drift_every * 2;
    lab.run();
    assert_eq!(lab.device.updates(), 0);
    assert!(!lab.reconciler.status().in_sync);
    assert!(lab.reconciler.status().read_back);
}

#[test]
fn a_delta_keeps_its_phases() {
    let mut lab = Lab::new();
    lab.snapshot(&state([body(1, 1), pointer(1, 1), settings(1)]));
    lab.run();
    let _ = lab.device.take_journal();
    let before = lab.device.writes();
    // Not the order that a subtraction would have taken.
    let phases = vec![
        Phase {
            updates: vec![Update::Insert(pointer(2, 1)), Update::Insert(body(9, 1))],
        },
        Phase {
            updates: vec![Update::Delete(pointer(1, 1).key)],
        },
        Phase {
            updates: vec![Update::Insert(body(8, 1))],
        },
    ];
    let after = [
        body(1, 1),
        body(9, 1),
        body(8, 1),
        pointer(2, 1),
        settings(1),
    ];
    lab.asked.insert(2, state(after));
    lab.give(Input::Delta {
        session: session("host"),
        delta: TableDelta {
            base: Generation(1),
            generation: Generation(2),
            phases,
        },
    });
    lab.run();
    assert_eq!(lab.device.writes(), before + 3);
    assert_eq!(
        lab.device.rows(),
        state([
            body(1, 1),
            body(9, 1),
            body(8, 1),
            pointer(2, 1),
            settings(1)
        ])
    );
}

#[test]
fn generations_only_grow_within_a_session() {
    let mut lab = Lab::new();
    let rows = state([settings(1)]);
    lab.snapshot(&rows);
    lab.snapshot(&rows);
    lab.run();
    let stale = Generation(1);
    lab.give(Input::Snapshot {
        session: session("host"),
        generation: stale,
        rows: rows.clone(),
    });
    lab.run();
    assert_eq!(
        lab.last(),
        &Report::Refused {
            session: session("host"),
            generation: stale,
            reason: Refusal::Stale {
                given: stale,
                have: Generation(2)
            },
        }
    );
    let delta = TableDelta {
        base: Generation(1),
        generation: Generation(2),
        phases: Vec::new(),
    };
    lab.give(Input::Delta {
        session: session("host"),
        delta,
    });
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::Refused {
            reason: Refusal::Stale { .. },
            ..
        }
    ));
    // Another run of the host goes beyond what is held, or is an old one that comes late.
    let late = session("late");
    lab.give(Input::Snapshot {
        session: late.clone(),
        generation: Generation(2),
        rows: rows.clone(),
    });
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::Refused { session, reason: Refusal::Stale { .. }, .. } if *session == late
    ));
    lab.give(Input::Snapshot {
        session: session("next"),
        generation: Generation(3),
        rows,
    });
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::Enforced {
            generation: Generation(3),
            ..
        }
    ));
}

#[test]
fn a_delta_that_does_not_continue_asks_for_a_snapshot() {
    let mut lab = Lab::new();
    let delta = |base, generation, updates| TableDelta {
        base: Generation(base),
        generation: Generation(generation),
        phases: vec![Phase { updates }],
    };
    lab.run();
    lab.give(Input::Delta {
        session: session("host"),
        delta: delta(0, 1, vec![]),
    });
    lab.run();
    assert!(
        matches!(lab.last(), Report::Resync { .. }),
        "nothing is held yet"
    );
    lab.snapshot(&state([body(1, 1)]));
    lab.run();
    lab.give(Input::Delta {
        session: session("host"),
        delta: delta(5, 6, vec![]),
    });
    lab.run();
    assert!(
        matches!(lab.last(), Report::Resync { .. }),
        "a generation is left out"
    );
    let insert = vec![Update::Insert(body(1, 2))];
    lab.give(Input::Delta {
        session: session("host"),
        delta: delta(1, 2, insert),
    });
    lab.run();
    assert!(
        matches!(lab.last(), Report::Resync { .. }),
        "it was made from another state"
    );
    assert_eq!(lab.device.rows(), state([body(1, 1)]));
    assert_eq!(lab.reconciler.status().enforced, Some(Generation(1)));
}

#[test]
fn only_the_session_that_is_held_goes_on_with_deltas() {
    let mut lab = Lab::new();
    lab.give(Input::Hello(session("host")));
    lab.run();
    let resync = |reason, generation| Report::Resync {
        session: session("host"),
        reason,
        generation: Generation(generation),
    };
    assert_eq!(lab.last(), &resync(Desync::NoState, 0));
    lab.snapshot(&state([body(1, 1)]));
    lab.run();
    lab.give(Input::Hello(session("host")));
    lab.run();
    let generation = Generation(1);
    let welcome = Report::Welcome {
        session: session("host"),
        generation,
    };
    assert_eq!(lab.last(), &welcome);
    lab.give(Input::Hello(session("other")));
    lab.run();
    assert_eq!(
        lab.last(),
        &Report::Resync {
            session: session("other"),
            reason: Desync::OtherSession {
                held: session("host")
            },
            generation,
        }
    );
}

#[test]
fn a_new_stream_is_answered_once_the_change_under_way_is_settled() {
    let mut lab = Lab::new();
    lab.snapshot(&state([body(1, 1)]));
    lab.run();
    lab.delta(&state((1..=30).map(|id| body(id, 1))));
    lab.delta(&state([body(1, 1)]));
    lab.step();
    assert!(lab.device.rows().len() > 1, "the change is under way");
    lab.give(Input::Hello(session("host")));
    lab.run();
    let told = &lab.reports[1..];
    assert!(
        matches!(
            told,
            [
                Report::Enforced {
                    generation: Generation(2),
                    ..
                },
                Report::Welcome {
                    generation: Generation(2),
                    ..
                }
            ]
        ),
        "{told:?}"
    );
    assert_eq!(lab.device.rows().len(), 30, "what waited is dropped");
}

#[test]
fn a_new_stream_is_answered_while_the_device_is_away() {
    let mut lab = Lab::new();
    lab.snapshot(&state([body(1, 1)]));
    lab.run();
    lab.delta(&state((1..=30).map(|id| body(id, 1))));
    lab.step();
    lab.device.reachable(false);
    lab.give(Input::Hello(session("host")));
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::Welcome {
            generation: Generation(1),
            ..
        }
    ));
    lab.device.reachable(true);
    lab.asked.clear();
    lab.run();
    assert_eq!(lab.device.rows(), state([body(1, 1)]));
}

#[test]
fn a_change_without_room_is_refused_before_the_first_write() {
    let mut lab = Lab::new();
    lab.device.limit(BODY, 4);
    let rows = state([body(1, 1), body(2, 1), pointer(1, 1)]);
    lab.snapshot(&rows);
    lab.run();
    let writes = lab.device.writes();
    lab.delta(&state((1..=6).map(|id| body(id, 1)).chain([pointer(1, 1)])));
    lab.run();
    assert_eq!(
        lab.last(),
        &Report::Refused {
            session: session("host"),
            generation: Generation(2),
            reason: Refusal::Full {
                table: BODY,
                name: "body".to_owned(),
                need: 4,
                free: 2
            },
        }
    );
    assert_eq!(lab.device.writes(), writes);
    assert_eq!(lab.device.rows(), rows);
}

#[test]
fn a_device_that_is_full_earlier_than_it_said_gets_the_change_undone() {
    let mut lab = Lab::new();
    let rows = state([body(1, 1), body(2, 1), pointer(1, 1), settings(1)]);
    lab.snapshot(&rows);
    lab.run();
    // Smaller from now on; the reconciler was told otherwise.
    lab.device.limit(POINTER, 2);
    let more = (1..=9)
        .map(|id| body(id, 3))
        .chain((1..=9).map(|id| pointer(id, id.into())));
    lab.delta(&state(more.chain([settings(1)])));
    lab.run();
    assert!(
        matches!(
            lab.last(),
            Report::Refused {
                reason: Refusal::Full {
                    table: POINTER,
                    need: 8,
                    free: 1,
                    ..
                },
                ..
            }
        ),
        "{:?}",
        lab.last()
    );
    assert_eq!(lab.device.rows(), rows);
    assert_eq!(lab.reconciler.status().rollbacks, 1);
    assert!(lab.reconciler.status().in_sync);
}

#[test]
fn deltas_behind_a_refused_one_ask_for_a_snapshot_once() {
    let mut lab = Lab::new();
    lab.device.limit(BODY, 2);
    lab.snapshot(&state([body(1, 1)]));
    lab.run();
    lab.delta(&state((1..=5).map(|id| body(id, 1))));
    lab.delta(&state((1..=6).map(|id| body(id, 1))));
    lab.delta(&state((1..=7).map(|id| body(id, 1))));
    lab.run();
    let told = &lab.reports[lab.reports.len() - 2..];
    assert!(matches!(
        told[0],
        Report::Refused {
            generation: Generation(2),
            ..
        }
    ));
    assert!(matches!(told[1], Report::Resync { .. }));
    lab.snapshot(&state([body(1, 2), body(2, 2)]));
    lab.run();
    assert!(matches!(lab.last(), Report::Enforced { .. }));
}

#[test]
fn a_snapshot_takes_the_place_of_what_waits() {
    let mut lab = Lab::new();
    lab.device.reachable(false);
    lab.snapshot(&state([body(1, 1)]));
    lab.delta(&state([body(2, 1)]));
    lab.snapshot(&state([body(3, 1)]));
    assert_eq!(lab.reconciler.backlog(), 1);
    lab.device.reachable(true);
    lab.run();
    let superseded = |report: &&Report| {
        matches!(
            report,
            Report::Refused {
                reason: Refusal::Superseded,
                ..
            }
        )
    };
    assert_eq!(lab.reports.iter().filter(superseded).count(), 2);
    assert_eq!(lab.device.rows(), state([body(3, 1)]));
}

#[test]
fn a_row_that_the_device_never_takes_is_refused_with_its_words() {
    let mut lab = Lab::new();
    lab.snapshot(&state([body(1, 1)]));
    lab.run();
    let mut odd = body(2, 1);
    odd.action.params.push(0);
    lab.delta(&state([body(1, 1), odd]));
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::Refused {
            reason: Refusal::Device { .. },
            ..
        }
    ));
    assert_eq!(lab.device.rows(), state([body(1, 1)]));
}

#[test]
fn a_table_that_the_schema_does_not_have_is_refused() {
    let mut lab = Lab::new();
    let mut foreign = body(1, 1);
    foreign.key.table.0 = 99;
    lab.snapshot(&state([foreign]));
    lab.run();
    assert!(matches!(
        lab.last(),
        Report::Refused {
            reason: Refusal::Schema(_),
            ..
        }
    ));
    assert_eq!(lab.device.rows(), TableSnapshot::new());
}
