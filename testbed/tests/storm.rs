//! `testbed storm` as a user runs it: a thousand edits of policy under the traffic of ten thousand
//! flows, and every packet has the verdict of before or after the edit that it met.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test target: a failure is a panic"
)]

use std::process::Command;

use serde_json::Value;

/// Edits: an unoptimised engine is too slow for all of them.
const EDITS: u64 = if cfg!(debug_assertions) { 50 } else { 1000 };

#[test]
fn every_packet_has_the_verdict_of_before_or_after() {
    let output = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .args(["storm", "--json", "--edits", &EDITS.to_string()])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}\n{errors}"));
    let count = |name: &str| {
        report[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    assert!(output.status.success(), "{text}\n{errors}");
    assert_eq!(count("edits"), EDITS);
    assert_eq!(count("flows"), 10_000);
    for wrong in ["wrong", "lost", "leaked", "misdelivered"] {
        assert_eq!(count(wrong), 0, "{wrong}: {text}");
    }
    // What the judgement rests on: traffic met the edits, and edits turned verdicts.
    assert!(count("widest") <= 1, "{text}");
    assert!(count("written") * 10 >= EDITS * 9, "{text}");
    assert!(count("met") * 10 >= EDITS * 9, "{text}");
    assert!(count("undecided") >= EDITS, "{text}");
    assert!(count("turned") >= EDITS, "{text}");
    assert!(
        count("always_allowed") > 0 && count("always_denied") > 0,
        "{text}"
    );
    for kind in [
        "rule-added",
        "rule-removed",
        "rule-changed",
        "rules-reordered",
        "tiers-reordered",
        "tier-default",
        "policies-changed",
        "member-added",
        "member-removed",
        "set-replaced",
    ] {
        assert!(report["kinds"][kind].as_u64() > Some(0), "{kind}: {text}");
    }
}
