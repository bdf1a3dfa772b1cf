use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};

use super::*;

/// Runs a test with a veth pair in a namespace of its own, or prints SKIP.
fn with_pair(name: &str, test: fn(Interface, Interface)) {
    let run = |line: &str| {
        let output = Command::new("ip").args(line.split(' ')).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !geteuid().is_root() || !run("link") {
        println!("SKIP {name}: it takes root and the program ip");
        return;
    }
    let outcome = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        assert!(run("link add west0 type veth peer name east0"));
        assert!(run("link set west0 addrgenmode none"));
        assert!(run("link set east0 addrgenmode none"));
        assert!(run("link set west0 up") && run("link set east0 up"));
        let open = |name| Interface::open(1, name).expect("the interface opens");
        let (mut west, mut east) = (open("west0"), open("east0"));
        // A link that has just come up takes frames and loses them until its queue is active.
        let (probe, mut buffers) = (frame(PROBE, 50), ReceiveBuffers::new(4));
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut through = false;
        while !through {
            assert!(Instant::now() < deadline, "the link does not come up");
            west.send([probe.as_slice()].into_iter());
            east.receive(&mut buffers, &mut |_| through = true);
        }
        test(west, east);
    });
    if let Err(panic) = outcome.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Kind of the frames that try the link; tests pass them over.
const PROBE: [u8; 2] = [0x88, 0xb6];

/// Waits for `count` frames.
fn take(interface: &mut Interface, count: usize) -> Vec<Vec<u8>> {
    let mut buffers = ReceiveBuffers::new(64);
    let mut frames = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    while frames.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} frames came",
            frames.len()
        );
        interface.receive(&mut buffers, &mut |frame| {
            if frame[12..14] != PROBE {
                frames.push(frame.to_vec());
            }
        });
    }
    frames
}

fn frame(kind: [u8; 2], length: usize) -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9];
    frame.extend(kind);
    frame.extend((0..length).map(|at| at.to_be_bytes()[7]));
    frame
}

#[test]
fn vlan_tags_survive_the_kernel() {
    with_pair("vlan_tags_survive_the_kernel", |mut a, mut b| {
        let plain = frame([0x88, 0xb5], 50);
        // One tag, two tags, and a service tag: the kernel takes the outer one off.
        let mut tagged = frame([0x81, 0x00], 0);
        tagged.extend([0x20, 0x07, 0x88, 0xb5, 1, 2, 3]);
        let mut twice = frame([0x88, 0xa8], 0);
        twice.extend([0x00, 0x05, 0x81, 0x00, 0x00, 0x06, 0x88, 0xb5, 1, 2, 3]);
        let sent = [plain, tagged, twice];
        assert_eq!(a.send(sent.iter().map(Vec::as_slice)), 3);
        assert_eq!(take(&mut b, 3), sent);
        // What left is not seen again where it left.
        a.receive(&mut ReceiveBuffers::new(4), &mut |frame| {
            panic!("{frame:?} came back")
        });
    });
}

#[test]
fn a_frame_that_cannot_be_sent_does_not_stop_the_others() {
    with_pair(
        "a_frame_that_cannot_be_sent_does_not_stop_the_others",
        |mut a, mut b| {
            let good = frame([0x88, 0xb5], 50);
            let (long, short) = (frame([0x88, 0xb5], 5000), vec![1, 2, 3]);
            let all = [&long, &good, &short, &good, &long];
            assert_eq!(a.send(all.into_iter().map(Vec::as_slice)), 2);
            assert_eq!(take(&mut b, 2), [good.clone(), good]);
        },
    );
}

#[test]
fn many_frames_come_in_order() {
    with_pair("many_frames_come_in_order", |mut a, mut b| {
        let sent: Vec<_> = (0..500).map(|at| frame([0x88, 0xb5], 20 + at)).collect();
        assert_eq!(a.send(sent.iter().map(Vec::as_slice)), 500);
        assert_eq!(take(&mut b, 500), sent);
    });
}
