//! The judge, on packets whose fate is made up.

use policy_model::Protocol;

use super::*;

const EXIT: u16 = 7;

/// One flow with these verdicts, state by state.
fn plan(verdicts: &[bool]) -> Plan {
    let flow = Flow {
        src: [10, 0, 0, 1].into(),
        dst: [10, 0, 0, 2].into(),
        protocol: Protocol::TCP,
        l4: L4::Ports { src: 0, dst: 80 },
    };
    let mut plan = Plan::new(vec![flow], vec![verdicts[0]]);
    for verdict in &verdicts[1..] {
        plan.edit(&[flow.src], |_| *verdict);
    }
    let attachment = Attachment {
        port: 3,
        mac: [0; 6],
        peer: [0; 6],
    };
    plan.ends = vec![(attachment, EXIT)];
    plan
}

fn judged(plan: &Plan, window: (usize, usize), left: Option<u16>) -> Counts {
    let mut counts = Counts::default();
    judge(plan, 0, window, left, &mut counts, &mut Vec::new());
    counts
}

#[test]
fn a_settled_packet_has_one_right_answer() {
    let plan = plan(&[true, false]);
    assert_eq!(judged(&plan, (0, 0), Some(EXIT)).wrong, 0);
    assert_eq!(judged(&plan, (0, 0), None).lost, 1);
    assert_eq!(judged(&plan, (1, 1), None).wrong, 0);
    assert_eq!(judged(&plan, (1, 1), Some(EXIT)).leaked, 1);
}

#[test]
fn a_packet_that_meets_an_edit_may_have_either() {
    let plan = plan(&[true, false]);
    for left in [None, Some(EXIT)] {
        let counts = judged(&plan, (0, 1), left);
        assert_eq!(
            (counts.wrong, counts.undecided, counts.in_flight),
            (0, 1, 1)
        );
    }
}

#[test]
fn an_edit_that_does_not_concern_a_flow_excuses_nothing() {
    let allowed = plan(&[true, true]);
    assert_eq!(judged(&allowed, (0, 1), None).lost, 1);
    let denied = plan(&[false, false]);
    assert_eq!(judged(&denied, (0, 1), Some(EXIT)).leaked, 1);
}

#[test]
fn another_port_is_wrong_whatever_the_verdict() {
    let plan = plan(&[true, false]);
    let counts = judged(&plan, (0, 1), Some(EXIT + 1));
    assert_eq!((counts.wrong, counts.misdelivered), (1, 1));
}

#[test]
fn verdicts_that_turn_are_counted() {
    let plan = plan(&[true, true, false, true]);
    assert_eq!(plan.turned(), 2);
    assert_eq!((plan.constant(true), plan.constant(false)), (0, 0));
}

#[test]
fn the_editor_waits_until_every_sender_has_seen_an_edit() {
    let clock = Clock::new(2);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| clock.wait_for_all(1));
        clock.seen(0, 1);
        clock.seen(1, 0);
        clock.seen(1, 1);
        assert!(waits.join().unwrap());
    });
    drop(Presence(&clock));
    assert!(!clock.wait_for_all(0), "a sender that is gone is told");
}
