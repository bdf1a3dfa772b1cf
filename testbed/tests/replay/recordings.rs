//! Evaluator, packets and Calico on what real Felix wrote.

use std::io::{Read, Write};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::run::{Answers, answers, recording};

fn path(name: &str) -> String {
    recording(name).to_str().unwrap().to_owned()
}

/// Calico's verdicts and traces, and our packets, on every flow of a verdict file. `kernel` says how
/// many the kernel dropped for reasons outside policy (the recordings' README names them).
fn agrees_with_calico(name: &str, flows: u64, kernel: u64, target: &str) {
    let stream = if name == "churn" {
        "churn.felix.gz"
    } else {
        &format!("{name}.felix")
    };
    let verdicts = path(&format!("{name}.verdicts.jsonl.gz"));
    let stream = path(stream);
    let answers = answers(&[
        "--stream",
        &stream,
        "--flows",
        &verdicts,
        "--policy-only",
        "--target",
        target,
    ]);
    assert_eq!(answers.count("/calico_verdict/compared"), flows);
    assert_eq!(answers.count("/calico_verdict/differ"), 0);
    assert_eq!(answers.count("/calico_traces/compared"), flows);
    assert_eq!(answers.count("/calico_traces/differ"), 0);
    assert_eq!(answers.count("/calico_kernel/differ"), kernel);
    if target != "none" {
        let packets = answers.count("/forwarded") + answers.count("/dropped");
        assert_eq!(packets, flows);
    }
}

#[test]
fn small_agrees_with_calico() {
    agrees_with_calico("small", 3_000, 3, "soft");
}

#[test]
fn tiers_agrees_with_calico() {
    agrees_with_calico("tiers", 5_683, 9, "soft");
}

#[test]
fn churn_agrees_with_calico() {
    agrees_with_calico("churn", 12_000, 0, "none");
}

/// Ten thousand flows of our own making, with and without `--policy-only`.
fn packets_do_what_the_evaluator_says(name: &str) {
    let stream = path(&format!("{name}.felix"));
    for seed in ["1", "2"] {
        let own = ["--stream", &stream, "--generate", "10000", "--seed", seed];
        let strict = answers(&own);
        let policy_only = answers(&[&own[..], &["--policy-only"]].concat());
        for answers in [strict, policy_only] {
            assert_eq!(answers.count("/flows"), 10_000);
            assert!(answers.count("/entries") > 0);
        }
    }
}

#[test]
fn own_flows_of_small() {
    packets_do_what_the_evaluator_says("small");
}

#[test]
fn own_flows_of_tiers() {
    packets_do_what_the_evaluator_says("tiers");
}

#[test]
fn own_flows_of_overlay() {
    packets_do_what_the_evaluator_says("overlay");
}

#[test]
fn own_flows_of_services() {
    packets_do_what_the_evaluator_says("services");
}

#[test]
fn own_flows_of_restarts() {
    packets_do_what_the_evaluator_says("restart-1");
    packets_do_what_the_evaluator_says("restart-2");
}

#[test]
fn own_flows_of_older_releases() {
    for release in ["3.30", "3.31", "3.32"] {
        packets_do_what_the_evaluator_says(&format!("small-v{release}"));
    }
}

/// Flows of a verdict file without the frame that they belong to.
fn at_the_end(name: &str) -> tempfile::NamedTempFile {
    let packed = std::fs::read(recording(name)).unwrap();
    let mut text = String::new();
    GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for line in text.lines() {
        let mut flow: Value = serde_json::from_str(line).unwrap();
        flow.as_object_mut().unwrap().remove("at");
        writeln!(file, "{flow}").unwrap();
    }
    file
}

#[test]
fn all_releases_of_felix_give_the_same_state_for_the_same_scenario() {
    let flows = at_the_end("small.verdicts.jsonl.gz");
    let flows = flows.path().to_str().unwrap();
    let play = |name: &str| {
        let stream = path(name);
        answers(&["--stream", &stream, "--flows", flows, "--policy-only"])
    };
    let newest = play("small.felix");
    assert_eq!(newest.count("/calico_verdict/differ"), 0);
    for release in ["3.30", "3.31", "3.32"] {
        let older = play(&format!("small-v{release}.felix"));
        assert_eq!(older.fates(), newest.fates(), "{release}");
        let state = |answers: &Answers| answers.summary["fingerprint"].clone();
        assert_eq!(state(&older), state(&newest), "{release}");
    }
}

#[test]
fn a_restart_ends_as_the_second_session_alone_and_rewrites_nothing() {
    let (first, second) = (path("restart-1.felix"), path("restart-2.felix"));
    let tail = ["--generate", "10000"];
    let both = answers(&[&["--stream", &first, "--stream", &second], &tail[..]].concat());
    let alone = answers(&[&["--stream", &second], &tail[..]].concat());
    assert_eq!(both.count("/rewritten"), 0);
    assert_eq!(both.summary["fingerprint"], alone.summary["fingerprint"]);
    assert_eq!(both.fates(), alone.fates());
    let again = answers(&["--stream", &second, "--stream", &second]);
    assert_eq!(
        again.summary["writes"][1], 0,
        "the same snapshot writes nothing"
    );
}

#[test]
fn what_is_refused_is_listed_and_denies() {
    let stream = path("tiers.felix");
    let flow = r#"{"id":"to front","src":"192.0.2.77","dst":"10.66.0.2","proto":"tcp","dport":80}"#;
    let mut flows = tempfile::NamedTempFile::new().unwrap();
    writeln!(flows, "{flow}").unwrap();
    let flows = flows.path().to_str().unwrap();
    let judge = |more: &[&str]| {
        answers(
            &[
                &["--stream", &stream, "--flows", flows, "--policy-only"],
                more,
            ]
            .concat(),
        )
    };
    let listed = |answers: &Answers, text: &str| {
        let refusals = answers.summary["refusals"].as_array().unwrap();
        refusals
            .iter()
            .any(|refusal| refusal.as_str().unwrap().contains(text))
    };
    let refused = judge(&["--http-match", "refuse"]);
    assert!(listed(&refused, "HTTP match"));
    assert!(listed(&refused, "host endpoint"));
    assert!(
        !listed(&refused, "pre-DNAT"),
        "on a host endpoint it is in its place"
    );
    let reason = refused.flows[0]["decided_by"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("Refused: "), "{reason}");
    assert_eq!(refused.flows[0]["packet"], "dropped");
    assert!(
        !listed(&judge(&[]), "HTTP match"),
        "--policy-only takes the L3/L4 part"
    );
}
