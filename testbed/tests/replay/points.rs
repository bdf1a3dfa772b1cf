//! Recorded streams at every point: flows after each in-sync message and after fifty frames behind
//! one, and the state of a stream back in time.

use std::io::{Read, Write};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::run::{Answers, answers, output, recording};

fn path(name: &str) -> String {
    recording(name).to_str().unwrap().to_owned()
}

/// Packets and evaluator agree at each point (`answers` sees to it), strictly and by policy alone,
/// and there are as many points as the streams have frames for.
fn agrees_at_every_point(names: &[&str], points: u64) {
    let streams: Vec<String> = names.iter().map(|name| path(name)).collect();
    let mut args = vec!["--points", "50", "--generate", "20400", "--seed", "5"];
    for stream in &streams {
        args.extend(["--stream", stream]);
    }
    let strict = answers(&args);
    args.push("--policy-only");
    let policy_only = answers(&args);
    for answers in [&strict, &policy_only] {
        assert_eq!(answers.count("/points"), points, "{names:?}");
        let packets = answers.count("/forwarded") + answers.count("/dropped");
        assert_eq!(packets, answers.count("/flows"), "{names:?}");
    }
    assert!(policy_only.count("/forwarded") > 0, "{names:?}");
}

#[test]
fn small_after_every_frame() {
    agrees_at_every_point(&["small.felix"], 22);
}

#[test]
fn tiers_after_every_frame() {
    agrees_at_every_point(&["tiers.felix"], 49);
}

#[test]
fn overlay_after_every_frame() {
    agrees_at_every_point(&["overlay.felix"], 46);
}

#[test]
fn services_after_every_frame() {
    agrees_at_every_point(&["services.felix"], 23);
}

#[test]
fn restarts_after_every_frame() {
    agrees_at_every_point(&["restart-1.felix", "restart-2.felix"], 2);
}

#[test]
fn older_releases_after_every_frame() {
    for release in ["3.30", "3.31", "3.32"] {
        agrees_at_every_point(&[&format!("small-v{release}.felix")], 22);
    }
}

/// Fewer flows a point, and the rows followed without a device: most of the time would go into
/// writing the rows of 71 states. The packets of this stream are sent by the replay of the whole.
#[test]
fn churn_after_fifty_frames() {
    let stream = path("churn.felix.gz");
    let answers = answers(&[
        "--stream",
        &stream,
        "--points",
        "50",
        "--generate",
        "5100",
        "--target",
        "rows",
    ]);
    assert_eq!(answers.count("/points"), 51);
    assert!(answers.count("/forwarded") > 0 && answers.count("/dropped") > 0);
}

/// Flows of Calico's verdict file, `count` of them.
fn verdicts(name: &str, count: usize) -> Vec<Value> {
    let packed = std::fs::read(recording(name)).unwrap();
    let mut text = String::new();
    GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    let flows = text.lines().take(count);
    flows
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_stream_back_in_time_is_as_it_was() {
    const FRAMES: [u64; 4] = [29, 36, 43, 50];
    let stream = path("small.felix");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for frame in FRAMES {
        for mut flow in verdicts("small.verdicts.jsonl.gz", 150) {
            flow["id"] = format!("{frame} {}", flow["id"]).into();
            flow["at"] = frame.into();
            writeln!(file, "{flow}").unwrap();
        }
    }
    let flows = file.path().to_str().unwrap();
    let play = |more: &[&str]| {
        let all = ["--stream", &stream, "--flows", flows, "--policy-only"];
        answers(&[&all, more].concat())
    };
    let of = |answers: &Answers, frame: u64| {
        let mut fates = answers.fates();
        let name = format!("{frame} ");
        fates.retain(|(id, ..)| id.as_str().unwrap().starts_with(&name));
        fates
    };
    let passing = play(&[]);
    for frame in FRAMES {
        let then = play(&["--until", &frame.to_string()]);
        assert_eq!(then.count("/flows"), 600, "all flows are tried there");
        assert_eq!(then.count("/frames"), frame + 1);
        assert_eq!(of(&then, frame), of(&passing, frame), "frame {frame}");
    }
    let verdicts = |frame: &u64| -> Vec<Value> {
        let fates = of(&passing, *frame).into_iter();
        fates.map(|(_, verdict, _)| verdict).collect()
    };
    let states: Vec<_> = FRAMES.iter().map(verdicts).collect();
    assert!(
        states.windows(2).any(|pair| pair[0] != pair[1]),
        "the states differ"
    );
}

#[test]
fn what_calico_said_counts_at_its_own_moment_only() {
    let stream = path("small.felix");
    let flows = path("small.verdicts.jsonl.gz");
    let play = |until: &str| {
        let all = ["--stream", &stream, "--flows", &flows, "--policy-only"];
        answers(&[&all[..], &["--until", until]].concat())
    };
    let end = play("50");
    assert_eq!(end.count("/calico_verdict/compared"), 3000);
    assert_eq!(end.count("/calico_verdict/differ"), 0);
    let earlier = play("40");
    assert_eq!(earlier.count("/flows"), 3000);
    assert_eq!(earlier.summary["calico_verdict"], Value::Null);
}

#[test]
fn before_in_sync_everything_is_denied() {
    let stream = path("small.felix");
    let early = ["--stream", &stream, "--until", "1", "--generate", "50"];
    let answers = answers(&early);
    assert_eq!(answers.summary["state"]["in_sync"], false);
    assert_eq!(answers.count("/frames"), 2);
    assert_eq!(answers.count("/allowed"), 0);
    assert_eq!(answers.count("/forwarded"), 0);
    assert_eq!(answers.count("/entries"), 0);
}

#[test]
fn a_frame_that_is_not_there() {
    let stream = path("small.felix");
    let output = output(&["--stream", &stream, "--until", "100000"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("no frame 100000") && text.contains("smaller"),
        "{text}"
    );
}
