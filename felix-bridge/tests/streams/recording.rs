//! The recordings, and what playing them gives.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use bytes::{BufMut, Bytes, BytesMut};
use felix_bridge::{Effect, FrameReader, Problem, Session};
use flate2::read::GzDecoder;
use policy_model::Update;

/// Every recording with its number of frames (the scenarios' own README gives churn's; the others
/// are the line counts of the decodings beside them).
pub(crate) const RECORDINGS: [(&str, usize); 10] = [
    ("churn", 61_366),
    ("overlay", 119),
    ("restart-1", 30),
    ("restart-2", 26),
    ("services", 78),
    ("small-v3.30", 53),
    ("small-v3.31", 53),
    ("small-v3.32", 53),
    ("small", 51),
    ("tiers", 121),
];

pub(crate) fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testbed/cases/felix-streams")
}

pub(crate) fn raw(name: &str) -> Vec<u8> {
    let plain = cases().join(format!("{name}.felix"));
    let mut bytes = Vec::new();
    if plain.exists() {
        File::open(plain).unwrap().read_to_end(&mut bytes).unwrap();
    } else {
        let packed = File::open(cases().join(format!("{name}.felix.gz"))).unwrap();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    }
    bytes
}

pub(crate) fn bodies(name: &str) -> Vec<Bytes> {
    FrameReader::new(&raw(name)[..])
        .map(|frame| frame.unwrap().body)
        .collect()
}

/// Bodies as Felix writes them.
pub(crate) fn framed(bodies: &[Bytes]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for body in bodies {
        out.put_u64_le(body.len() as u64);
        out.put_slice(body);
    }
    out.to_vec()
}

pub(crate) struct Play {
    pub(crate) session: Session,
    pub(crate) updates: Vec<Update>,
    pub(crate) problems: Vec<Problem>,
}

pub(crate) fn play(name: &str) -> Play {
    let mut play = Play {
        session: Session::new(),
        updates: Vec::new(),
        problems: Vec::new(),
    };
    for frame in FrameReader::new(&raw(name)[..]) {
        let received = play.session.frame(&frame.unwrap()).unwrap();
        play.updates.extend(received.update);
        play.problems.extend(received.problems);
    }
    play
}

/// What is not enforced is what the scenario asks for beyond this release, and nothing else.
#[test]
fn every_recording_decodes_without_invalid_parts() {
    for (name, frames) in RECORDINGS {
        let play = play(name);
        let counts = play.session.counts();
        assert_eq!(counts.frames, frames as u64, "{name}");
        assert_eq!(counts.updates, frames as u64, "{name}");
        assert_eq!(
            (counts.unknown_messages, counts.unknown_fields),
            (0, 0),
            "{name}"
        );
        assert_eq!(play.session.next_sequence(), frames as u64, "{name}");
        assert!(play.session.in_sync(), "{name}");
        let mut asked: Vec<&str> = Vec::new();
        for problem in &play.problems {
            assert_eq!(problem.effect, Effect::NotEnforced, "{name}: {problem}");
            asked.push(problem.what.split(':').next().unwrap());
        }
        asked.sort_unstable();
        asked.dedup();
        let expected: &[&str] = match name {
            "overlay" => &["local_bgp_peer"],
            "tiers" => &["ipv4_nat", "qos_controls", "qos_policies"],
            _ => &[],
        };
        assert_eq!(asked, expected, "{name}");
    }
}

/// A stream with any byte changed is read to its end, or refused with a reason; nothing panics.
#[test]
fn damaged_recordings_are_refused_or_read() {
    let whole = raw("tiers");
    let (mut refused, mut read) = (0, 0);
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let mut session = Session::new();
        let mut failed = false;
        for frame in FrameReader::new(&damaged[..]) {
            let Ok(frame) = frame else {
                failed = true;
                break;
            };
            if session.frame(&frame).is_err() {
                failed = true;
                break;
            }
        }
        if failed {
            refused += 1;
        } else {
            read += 1;
        }
    }
    assert!(refused > 20 && read > 20, "{refused} refused, {read} read");
}
