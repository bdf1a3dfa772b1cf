//! Plays the recordings of real Felixes.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use felix_bridge::{FrameReader, Problem, Session};
use flate2::read::GzDecoder;
use policy_model::Update;

/// Every recording, the frames it holds, and what its scenario asks for beyond this release.
const RECORDINGS: [&str; 10] = [
    "churn.felix.gz",
    "overlay.felix",
    "restart-1.felix",
    "restart-2.felix",
    "services.felix",
    "small-v3.30.felix",
    "small-v3.31.felix",
    "small-v3.32.felix",
    "small.felix",
    "tiers.felix",
];

fn open(name: &str) -> Box<dyn Read> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testbed/cases/felix-streams")
        .join(name);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if name.ends_with(".gz") {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    }
}

fn play(name: &str) -> (Session, Vec<Update>, Vec<Problem>) {
    let mut session = Session::new();
    let (mut updates, mut problems) = (Vec::new(), Vec::new());
    for frame in FrameReader::new(open(name)) {
        let received = session.frame(&frame.unwrap()).unwrap();
        updates.extend(received.update);
        problems.extend(received.problems);
    }
    (session, updates, problems)
}

#[test]
fn show() {
    for name in RECORDINGS {
        let at = std::time::Instant::now();
        let (session, updates, problems) = play(name);
        println!(
            "{name}: {:?} {} {} {:?}",
            session.counts(),
            session.evidence(),
            updates.len(),
            at.elapsed()
        );
        let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.sort();
        problems.dedup();
        for problem in problems {
            println!("    {problem}");
        }
    }
}
