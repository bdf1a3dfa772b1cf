//! Inputs that are missing, cut off or senseless: the message names the thing and the fix.

use std::io::Write;

use super::run::{output, recording};

/// Runs it with this stream and returns what it complained of.
fn complaint(args: &[&str]) -> (i32, String) {
    let output = output(args);
    assert!(
        output.stdout.is_empty(),
        "nothing is shown of what is not right"
    );
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn stream_complaint(bytes: &[u8]) -> String {
    let file = file(bytes);
    let path = file.path().to_str().unwrap();
    let (code, text) = complaint(&["--stream", path, "--target", "none"]);
    assert_eq!(code, 1);
    assert!(text.contains(path), "{text} names the file");
    text
}

#[test]
fn a_missing_stream() {
    let (code, text) = complaint(&["--stream", "/nowhere/x.felix"]);
    assert_eq!(code, 1);
    assert!(
        text.contains("/nowhere/x.felix") && text.contains("Check the path"),
        "{text}"
    );
}

#[test]
fn no_stream_at_all_is_wrong_usage() {
    let (code, text) = complaint(&[]);
    assert_eq!(code, 2);
    assert!(text.contains("--stream"), "{text}");
}

#[test]
fn a_stream_that_is_cut_off() {
    let whole = std::fs::read(recording("small.felix")).unwrap();
    let text = stream_complaint(&whole[..whole.len() - 3]);
    assert!(
        text.contains("frame 50") && text.contains("again"),
        "{text}"
    );
    let text = stream_complaint(&whole[..whole.len() - 3000]);
    assert!(text.contains("cut off"), "{text}");
}

#[test]
fn an_empty_stream() {
    assert!(stream_complaint(&[]).contains("empty"));
}

#[test]
fn a_frame_of_four_gigabytes() {
    let mut bytes = (1_u64 << 32).to_le_bytes().to_vec();
    bytes.extend_from_slice(b"more");
    let text = stream_complaint(&bytes);
    assert!(
        text.contains("4294967296") && text.contains("limit"),
        "{text}"
    );
}

#[test]
fn a_frame_that_is_no_message() {
    let mut bytes = 5_u64.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0xff; 5]);
    let text = stream_complaint(&bytes);
    assert!(text.contains("Frame 0"), "{text}");
}

#[test]
fn a_stream_without_in_sync() {
    let whole = std::fs::read(recording("small.felix")).unwrap();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap());
    let first = 8 + usize::try_from(length).unwrap();
    let text = stream_complaint(&whole[..first]);
    assert!(text.contains("without an in-sync message"), "{text}");
}

#[test]
fn flows_that_are_none() {
    let stream = recording("small.felix");
    let stream = stream.to_str().unwrap();
    let complain = |bytes: &[u8]| {
        let flows = file(bytes);
        let path = flows.path().to_str().unwrap();
        let args = ["--stream", stream, "--flows", path, "--target", "none"];
        let (code, text) = complaint(&args);
        assert_eq!(code, 1);
        assert!(text.contains(path), "{text} names the file");
        text
    };
    let text = complain(b"\n{\"src\":\"10.0.0.1\"}\n");
    assert!(text.contains("Line 2") && text.contains("dport"), "{text}");
    let text = complain(b"{\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\",\"proto\":\"quux\"}\n");
    assert!(text.contains("quux"), "{text}");
    let (_, text) = complaint(&["--stream", stream, "--flows", "/nowhere/f.jsonl"]);
    assert!(text.contains("Flow file /nowhere/f.jsonl"), "{text}");
}

#[test]
fn a_target_that_is_not_installed() {
    let stream = recording("small.felix");
    let stream = stream.to_str().unwrap();
    let args = [
        "--stream",
        stream,
        "--target",
        "bmv2",
        "--bmv2",
        "/nowhere/simple_switch_grpc",
    ];
    let (code, text) = complaint(&args);
    assert_eq!(code, 1);
    assert!(
        text.contains("/nowhere/simple_switch_grpc") && text.contains("Install"),
        "{text}"
    );
}
