//! Streams that cannot be used: the command says which file, what is wrong, and what to do.
//!
//! What a running chain does with such input is tried with its processes, in `src/demo/tests`.

#![allow(clippy::expect_used, reason = "a test target: a failure is a panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Header and body of a frame.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u64).to_le_bytes().to_vec();
    bytes.extend(body);
    bytes
}

fn small() -> Vec<u8> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/felix-streams");
    fs::read(cases.join("small.felix")).expect("the recording is part of the checkout")
}

/// What `testbed <command>` says of a stream, and that it fails.
fn complaint(command: &str, path: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .args([command, "--stream"])
        .arg(path)
        .output()
        .expect("testbed runs");
    assert_eq!(
        output.status.code(),
        Some(1),
        "{command} of {}",
        path.display()
    );
    assert!(
        output.stdout.is_empty(),
        "{command} wrote to standard output"
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Both commands that read streams say all of `words` about one with this content.
fn refused(content: &[u8], words: &[&str]) {
    let folder = TempDir::new().expect("a temporary folder");
    let path: PathBuf = folder.path().join("bad.felix");
    fs::write(&path, content).expect("a file in it");
    for command in ["demo", "replay"] {
        let said = complaint(command, &path);
        for word in words.iter().chain(&["bad.felix"]) {
            assert!(
                said.contains(word),
                "{command} does not say {word:?}:\n{said}"
            );
        }
    }
}

#[test]
fn a_stream_that_is_not_there_is_named() {
    for command in ["demo", "replay"] {
        let said = complaint(command, Path::new("/nowhere/at-all.felix"));
        assert!(said.contains("/nowhere/at-all.felix"), "{said}");
        assert!(said.contains("Check the path"), "{said}");
        assert!(said.contains("No such file"), "{said}");
    }
}

#[test]
fn a_stream_that_was_cut_in_a_body_says_where() {
    let whole = small();
    refused(
        &whole[..whole.len() - 3],
        &[
            "ends at byte 7308",
            "inside the body of frame 50",
            "was cut off",
        ],
    );
}

#[test]
fn a_stream_that_was_cut_in_a_header_says_where() {
    let mut content = small();
    content.extend([1, 0, 0]);
    refused(
        &content,
        &[
            "inside the header of frame 51",
            "3 of 8 bytes",
            "was cut off",
        ],
    );
}

#[test]
fn a_frame_of_four_gibibytes_is_not_waited_for() {
    let mut content = small();
    content.extend((1u64 << 32).to_le_bytes());
    refused(
        &content,
        &[
            "Frame 51",
            "4294967296 bytes",
            "the limit is",
            "little endian",
        ],
    );
}

#[test]
fn a_frame_that_is_no_message_is_named() {
    refused(&frame(&[0xff; 5]), &["frame 0", "restart Felix"]);
}

#[test]
fn an_empty_stream_says_what_it_should_hold() {
    refused(&[], &["is empty", "frames that Felix wrote"]);
}

#[test]
fn a_stream_without_an_end_of_its_snapshot_is_not_enforced() {
    let whole = small();
    let first = usize::try_from(u64::from_le_bytes(whole[..8].try_into().expect("8 bytes")));
    let first = first.expect("a small frame");
    refused(
        &whole[..8 + first],
        &[
            "ends after 1 frames without an in-sync message",
            "Record it for longer",
        ],
    );
}
