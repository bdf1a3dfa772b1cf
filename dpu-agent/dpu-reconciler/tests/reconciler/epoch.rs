//! Forgetting connections survives hosts and agents.

use dpu_reconciler::{Input, Report};

use crate::lab::{Lab, body, settings, state};

fn epoch(lab: &Lab) -> u16 {
    lab.reconciler.status().epoch.expect("an epoch")
}

#[test]
fn flushing_raises_the_epoch_and_the_next_snapshot_keeps_it() {
    let mut lab = Lab::new();
    lab.snapshot(&state([settings(1), body(1, 1)]));
    lab.run();
    assert_eq!(epoch(&lab), 1);
    lab.give(Input::FlushConnections);
    lab.run();
    assert_eq!(lab.last(), &Report::Flushed { epoch: 2 });
    assert_eq!(lab.device.rows(), state([settings(2), body(1, 1)]));
    let updates = lab.device.updates();
    lab.snapshot(&state([settings(1), body(1, 1)]));
    lab.run();
    assert_eq!(lab.device.updates(), updates);
    // The host's own change counts on top.
    lab.delta(&state([settings(4), body(1, 1)]));
    lab.run();
    assert_eq!(epoch(&lab), 5);
}

#[test]
fn an_agent_that_starts_over_takes_the_epoch_that_it_finds() {
    let mut lab = Lab::new();
    lab.snapshot(&state([settings(1)]));
    lab.give(Input::FlushConnections);
    lab.run();
    let updates = lab.device.updates();
    lab.new_agent();
    lab.snapshot(&state([settings(1)]));
    lab.run();
    assert_eq!(epoch(&lab), 2);
    assert_eq!(lab.device.updates(), updates);
    lab.give(Input::FlushConnections);
    lab.run();
    assert_eq!(epoch(&lab), 3);
}

#[test]
fn a_device_that_restarted_gets_the_flushed_epoch_back() {
    let mut lab = Lab::new();
    lab.snapshot(&state([settings(1)]));
    lab.give(Input::FlushConnections);
    lab.run();
    lab.device.restart();
    lab.run();
    assert_eq!(lab.device.rows(), state([settings(2)]));
}

#[test]
fn zero_is_left_out() {
    let mut lab = Lab::new();
    lab.snapshot(&state([settings(u16::MAX)]));
    lab.give(Input::FlushConnections);
    lab.run();
    assert_eq!(epoch(&lab), 1);
}

#[test]
fn there_is_nothing_to_forget_before_a_snapshot() {
    let mut lab = Lab::new();
    lab.give(Input::FlushConnections);
    lab.run();
    assert!(matches!(lab.last(), Report::FlushRefused { .. }));
}
