//! `p4switch run`, `--trace` and `--pcap`: what people look at packets with.
#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/entities.json")
}

/// A frame of 60 bytes that meets the table of `branch`.
fn frame(branch: u8, key: u16, kind: u16) -> Vec<u8> {
    let mut frame = vec![0, branch, 0, 0];
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.resize(60, 0);
    frame
}

/// A capture with the packets at these microseconds.
fn capture(path: &Path, packets: &[(u32, Vec<u8>)]) {
    let mut file = Vec::new();
    for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    for (time, frame) in packets {
        let length = u32::try_from(frame.len()).expect("short");
        for field in [1_700_000_000, *time, length, length] {
            file.extend_from_slice(&field.to_le_bytes());
        }
        file.extend_from_slice(frame);
    }
    fs::write(path, file).expect("written");
}

/// The frames of a capture that this machine wrote.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).expect("a capture");
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while let Some((record, after)) = rest.split_first_chunk::<16>() {
        let length = u32::from_ne_bytes([record[8], record[9], record[10], record[11]]) as usize;
        frames.push(after[..length].to_vec());
        rest = &after[length..];
    }
    frames
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_p4switch"))
        .current_dir(directory)
        .arg("run")
        .arg(program())
        .args(arguments)
        .output()
        .expect("the program starts")
}

const ENTRIES: &str = "\
# Every kind of match, names cut short.
table_add by_time forward 0x0005 => 2
table_add Pipe.by_bits forward 0x400/1 => 3
table_add by_all forward 0x100&&&0xff00 5->9 0&&&0xff => 4 10
table_add by_all forward 0x100&&&0xff00 5->6 0&&&0 => 5 1
table_set_default by_meter metered 9
mc_mgrp_create 7
mc_node_create 1 11 12
mc_node_associate 7 0
table_add by_time flood 7 => 7
";

#[test]
fn packets_of_files_go_through_the_program() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    capture(
        &at("a.pcap"),
        &[
            (3, frame(5, 5, 0)),
            (9, frame(5, 7, 0)),
            (10, frame(5, 9, 0)),
        ],
    );
    capture(&at("b.pcap"), &[(5, frame(8, 0x456, 1))]);
    capture(
        &at("c.pcap"),
        &[
            (11, frame(9, 0x102, 6)),
            (12, frame(9, 0x102, 7)),
            (13, frame(4, 1, 1)),
        ],
    );
    fs::write(at("entries.txt"), ENTRIES).expect("written");
    let output = run(
        directory.path(),
        &[
            "--entries",
            "entries.txt",
            "--in",
            "a.pcap",
            "--in",
            "1@b.pcap",
            "--in",
            "c.pcap",
            "--out",
            "all.pcap",
            "--out",
            "12@twelve.pcap",
        ],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "7 packets in, 7 out, 1 dropped\n");
    let changed = |mut frame: Vec<u8>| {
        // The program writes the colour, green, where the kind was.
        frame[12..14].fill(0);
        frame
    };
    assert_eq!(
        frames(&at("all.pcap")),
        [
            frame(5, 5, 0),
            frame(8, 0x456, 1),
            frame(5, 7, 0),
            frame(5, 7, 0),
            frame(9, 0x102, 6),
            frame(9, 0x102, 7),
            changed(frame(4, 1, 1)),
        ]
    );
    assert_eq!(frames(&at("twelve.pcap")), [frame(5, 7, 0)]);
}

#[test]
fn a_trace_says_where_each_packet_went_and_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let packets = [(0, frame(9, 0x102, 6)), (1, frame(5, 1, 0))];
    capture(&at("in.pcap"), &packets);
    fs::write(at("entries.txt"), ENTRIES).expect("written");
    let arguments = ["--entries", "entries.txt", "--in", "3@in.pcap"];
    let text = run(directory.path(), &[&arguments[..], &["--trace"]].concat());
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for wanted in [
        "packet 1",
        "port 3",
        "Pipe.by_all",
        "hit",
        "packet 2",
        "miss",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in:\n{text}");
    }
    let json = run(
        directory.path(),
        &[&arguments[..], &["--trace=json"]].concat(),
    );
    let lines: Vec<serde_json::Value> = String::from_utf8_lossy(&json.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["packet"], &lines[0]["port"]),
        (&1.into(), &3.into())
    );
    assert_eq!(lines[1]["time_us"], 1);
    let events = lines[0]["events"].as_array().expect("events");
    let table = events.iter().find(|event| event["event"] == "table");
    // Smaller wins, so the second of the two entries.
    assert_eq!(table.expect("a table")["args"][0]["value"], "0x5");
    let last = events.last().expect("an event");
    assert_eq!((&last["event"], &last["port"]), (&"sent".into(), &5.into()));
    let dropped = lines[1]["events"].as_array().expect("events");
    assert!(dropped.iter().any(|event| event["event"] == "dropped"));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    capture(&at("in.pcap"), &[]);
    for (commands, wanted) in [
        (
            "table_add nowhere forward 1 => 1",
            "0 objects of kind table",
        ),
        ("\n\ntable_add by_time forward 1 2 => 1", "Line 3 of"),
        ("table_add by_time forward 1 => x", "no number"),
        ("table_add by_bits forward 1 => 1", "VALUE/LENGTH"),
        (
            "table_add by_time forward 1 => 1 1",
            "takes 1 parameters, 2 given",
        ),
        ("table_add fixed forward 1 => 1", "const"),
        ("table_dump by_time", "no command table_dump"),
        ("mc_mgrp_create", "Usage: mc_mgrp_create GROUP"),
    ] {
        fs::write(at("entries.txt"), commands).expect("written");
        let output = run(
            directory.path(),
            &["--entries", "entries.txt", "--in", "in.pcap"],
        );
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{commands}");
        assert!(said.contains(wanted), "{said}");
    }
    fs::write(at("text.pcap"), "no capture").expect("written");
    let output = run(directory.path(), &["--in", "text.pcap"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no classic pcap file"));
}

#[test]
fn a_running_switch_captures_its_ports() {
    use p4switch::{Config, Observe, StartProgram, Switch};
    let directory = tempfile::tempdir().expect("a directory");
    let config = Config {
        program: Some(StartProgram {
            json: fs::read_to_string(program()).expect("a program"),
            p4info: None,
        }),
        ..Config::default()
    };
    let observe = Observe {
        pcap: Some(directory.path().join("new")),
        trace: None,
    };
    let switch = Switch::start_observed(config, observe).expect("started");
    let packet = frame(6, 2, 0);
    assert_eq!(switch.inject(5, &packet), [(2, packet.clone())]);
    switch.shutdown();
    let read = |name: &str| frames(&directory.path().join("new").join(name));
    assert_eq!(read("port5_in.pcap"), std::slice::from_ref(&packet));
    assert_eq!(read("port2_out.pcap"), [packet]);
}
