//! `testbed test`: sets up what is missing and runs every check of the workspace.
//!
//! *In:* a checkout and the Rust toolchain. *Out:* what each check said, and one closing line
//! `N passed, N failed, N skipped`. A check that fails does not keep the others from running; a
//! check that cannot run on this machine is a printed skip with its reason.

mod check;
mod ordinary;
mod setup;
mod tally;

pub(crate) use setup::runs;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use check::Check;
use tally::Tally;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ten times as many cases in the big property tests: more than a million each.
    #[arg(long)]
    nightly: bool,

    /// Run only the tests whose names contain one of these words.
    ///
    /// Formatting, lints, documents, demo and replays are left out then.
    #[arg(last = true, value_name = "FILTER")]
    filters: Vec<OsString>,
}

/// Recorded streams that have a file of Calico's own verdicts, and the target of their replay.
const JUDGED: &[(&str, &str, &str)] = &[
    ("small", "small.felix", "soft"),
    ("tiers", "tiers.felix", "soft"),
    ("churn", "churn.felix.gz", "soft"),
    ("small", "small.felix", "bmv2"),
    ("tiers", "tiers.felix", "bmv2"),
];

/// Names interpreters with P4Runtime clients to the switch's tests.
const CLIENT_PYTHON: &str = "MARGAY_CLIENT_PYTHON";

/// The reference target. No registry carries it, so it is used where somebody has built it.
pub(crate) const BMV2: &str = "simple_switch_grpc";

pub(crate) fn run(args: Args) -> ExitCode {
    let root = root();
    let mut tally = Tally::default();
    let started = Instant::now();
    if args.filters.is_empty() {
        everything(&root, args.nightly, &mut tally);
    } else {
        let mut tests = check::cargo(&root, &["test", "--release", "--workspace", "--"]);
        tests.arg("--show-output").args(&args.filters);
        as_nightly(&mut tests, args.nightly);
        tally.add(Check::new("tests", tests).counted().run());
    }
    tally.say(&format!("all checks: {} s", started.elapsed().as_secs()));
    tally.close()
}

/// Tells property tests that they have the night.
fn as_nightly(tests: &mut Command, nightly: bool) {
    if nightly {
        tests.env("MARGAY_NIGHTLY", "1");
    }
}

fn everything(root: &Path, nightly: bool, tally: &mut Tally) {
    setup::toolchain(root, tally);
    let build = check::cargo(root, &["build", "--release", "--workspace"]);
    tally.add(Check::new("build", build).run());
    if setup::has_component(root, "fmt") {
        let fmt = check::cargo(root, &["fmt", "--all", "--check"]);
        tally.add(Check::new("formatting", fmt).run());
    } else {
        tally.skip(
            "formatting",
            "rustfmt is not installed and rustup cannot add it",
        );
    }
    if setup::has_component(root, "clippy") {
        let words = ["clippy", "--release", "--workspace", "--all-targets", "--"];
        let mut clippy = check::cargo(root, &words);
        clippy.args(["-D", "warnings"]);
        tally.add(Check::new("lints", clippy).run());
    } else {
        tally.skip("lints", "clippy is not installed and rustup cannot add it");
    }
    let mut doc = check::cargo(root, &["doc", "--release", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    tally.add(Check::new("documentation", doc).run());
    let words = ["test", "--release", "--workspace", "--no-fail-fast", "--"];
    let mut tests = check::cargo(root, &words);
    tests.arg("--show-output");
    as_nightly(&mut tests, nightly);
    if std::env::var_os(CLIENT_PYTHON).is_none() {
        match setup::clients(&target(root).join("clients")) {
            Ok(pythons) => {
                tests.env(CLIENT_PYTHON, pythons);
            }
            Err(reason) => tally.skip("P4Runtime clients of others", &reason),
        }
    }
    tally.add(Check::new("tests", tests).counted().run());
    demos(root, tally);
    replays(root, tally);
}

/// The demo as this user and, if this is root, as an ordinary one too.
fn demos(root: &Path, tally: &mut Tally) {
    let program = program(root);
    let mut demo = Command::new(&program);
    demo.current_dir(root).arg("demo");
    if nix::unistd::geteuid().is_root() {
        tally.add(Check::new("demo as root", demo).run());
        match ordinary::demo(&program) {
            Ok((command, _home)) => {
                tally.add(Check::new("demo as an ordinary user", command).run());
            }
            Err(reason) => tally.skip("demo as an ordinary user", &reason),
        }
    } else {
        tally.add(Check::new("demo as an ordinary user", demo).run());
        tally.skip("demo as root", "this user is not root");
    }
}

/// Each recorded stream with what Calico itself said.
fn replays(root: &Path, tally: &mut Tally) {
    let streams = root.join("testbed/cases/felix-streams");
    let bmv2 = runs(BMV2);
    for (name, file, target) in JUDGED {
        let title = format!("replay of {name} on {target}");
        if *target == "bmv2" && !bmv2 {
            tally.skip(&title, &format!("{BMV2} is not installed"));
            continue;
        }
        let mut replay = Command::new(program(root));
        replay
            .current_dir(root)
            .args(["replay", "--policy-only", "--json", "--target", target]);
        replay.arg("--stream").arg(streams.join(file));
        let verdicts = streams.join(format!("{name}.verdicts.jsonl.gz"));
        replay.arg("--flows").arg(verdicts);
        let check = Check::new(&title, replay);
        tally.add(check.last_line_only().run());
    }
}

/// The testbed that the build has just made: this process may run an older one.
fn program(root: &Path) -> PathBuf {
    target(root).join("release/testbed")
}

fn target(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| root.join("target"), PathBuf::from)
}

/// The checkout, which `cargo run` names; else where this program was built.
fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
    let manifest =
        manifest.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map_or_else(PathBuf::new, Path::to_owned)
}
