//! P4Runtime clients that others wrote drive the switch through every entity that they know.
//!
//! `MARGAY_CLIENT_PYTHON` names Python interpreters that have the packages, separated by colons
//! (p4runtime-shell and finsy want different versions of protobuf). Without it `python3` is tried.
//! A client that no interpreter has is skipped in print. The same scripts drive bmv2's
//! `simple_switch_grpc` where it is installed: what they find different must be on the list of
//! bmv2's gaps below.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests fail like tests, and say what they skip"
)]

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use p4switch::{Config, Switch};

const ODD: &str = "LPM keys are read as whole bytes";
const INITIAL: &str = "tables with entries of the program are out of sync with the target";
const CODES: &str = "refusals of the target are UNKNOWN";
const CLONES: &str = "clone sessions with a packet length are refused by the target";

/// A client: the module that it is, and the script for it.
struct Client {
    module: &'static str,
    script: &'static str,
    /// Checks of the script that bmv2 fails, with the reason.
    gaps: &'static [(&'static str, &'static str)],
}

const SHELL: Client = Client {
    module: "p4runtime_sh.shell",
    script: "shell.py",
    gaps: &[
        ("a prefix of odd width", ODD),
        ("entries of the program are read", INITIAL),
        ("const entries are refused with PERMISSION_DENIED", CODES),
        ("a member in use is FAILED_PRECONDITION", CODES),
        ("clone sessions", CLONES),
        ("entries of the program are changed", INITIAL),
        (
            "the last member is RESOURCE_EXHAUSTED",
            "the size of a profile is not looked at",
        ),
    ],
};
const FINSY: Client = Client {
    module: "finsy",
    script: "finsy_all.py",
    gaps: &[
        ("a prefix of odd width", ODD),
        ("entries of the program are read", INITIAL),
        ("const entries are refused with PERMISSION_DENIED", CODES),
        ("a member in use is FAILED_PRECONDITION", CODES),
        ("clone sessions", CLONES),
        ("all tables are read at once", INITIAL),
        (
            "groups with weights and watch ports",
            "a group is read back with the watch port of its last member for all",
        ),
        ("registers", "registers are UNIMPLEMENTED over P4Runtime"),
        ("value sets", "value sets are UNIMPLEMENTED"),
        (
            "backup replicas",
            "backups and metadata of groups are dropped without a word",
        ),
        ("digests can be read back", "digests have no wildcard read"),
        (
            "digests and acknowledgements",
            "now and then a digest is not told again after its acknowledgement",
        ),
    ],
};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The first interpreter that has the module.
fn python(module: &str) -> Option<String> {
    let given = std::env::var("MARGAY_CLIENT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut candidates = given.split(':').filter(|one| !one.is_empty());
    let found = candidates.find(|python| {
        let import = Command::new(python)
            .args(["-c", &format!("import {module}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        import.is_ok_and(|status| status.success())
    });
    found.map(str::to_owned)
}

/// What the script found: each check with "ok" or what went wrong.
fn outcomes(
    python: &str,
    client: &Client,
    addr: SocketAddr,
    device: u64,
) -> BTreeMap<String, String> {
    let programs = directory().join("programs");
    let scratch = tempfile::tempdir().expect("a directory");
    let file = scratch.path().join("outcomes.json");
    let output = Command::new(python)
        .arg(directory().join("clients").join(client.script))
        .args([addr.to_string(), device.to_string()])
        .args([
            programs.join("entities.p4info.txtpb"),
            programs.join("entities.json"),
        ])
        .arg(&file)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("the script runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", client.script);
    println!("{said}");
    let text = std::fs::read_to_string(&file).expect("outcomes");
    serde_json::from_str(&text).expect("a JSON document")
}

fn drives_everything(client: &Client) {
    let Some(python) = python(client.module) else {
        println!(
            "SKIP {}: no Python with module {} (MARGAY_CLIENT_PYTHON)",
            client.script, client.module
        );
        return;
    };
    let switch = Switch::start(Config {
        cpu_port: Some(255),
        ..Config::default()
    })
    .expect("the switch starts");
    let found = outcomes(&python, client, switch.grpc_addr(), 1);
    switch.shutdown();
    let wrong: Vec<_> = found
        .iter()
        .filter(|(_, outcome)| *outcome != "ok")
        .collect();
    assert!(wrong.is_empty() && found.len() > 15, "{wrong:#?}");
}

#[test]
fn p4runtime_shell_drives_everything() {
    drives_everything(&SHELL);
}

#[test]
fn finsy_drives_everything() {
    drives_everything(&FINSY);
}

/// One bmv2 at a time: its Thrift port and its notification socket are the same for all.
static ONE: Mutex<()> = Mutex::new(());

/// Ends bmv2 with the test.
struct Bmv2(Child);

impl Drop for Bmv2 {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bmv2_differs_by_its_gaps_only(client: &Client) {
    let skip = |reason: &str| println!("SKIP bmv2 with {}: {reason}", client.script);
    let Some(python) = python(client.module) else {
        return skip("no Python with the client (MARGAY_CLIENT_PYTHON)");
    };
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = free.local_addr().expect("an address");
    drop(free);
    let started = Command::new("simple_switch_grpc")
        .args(["--no-p4", "--device-id", "1", "-L", "off", "--"])
        .args(["--grpc-server-addr", &addr.to_string(), "--cpu-port", "255"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = started else {
        return skip("simple_switch_grpc is not installed");
    };
    let _bmv2 = Bmv2(child);
    let begun = Instant::now();
    while TcpStream::connect(addr).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "bmv2 does not listen"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let found = outcomes(&python, client, addr, 1);
    let wrong: BTreeMap<_, _> = found
        .iter()
        .filter(|(_, outcome)| *outcome != "ok")
        .collect();
    let unknown: Vec<_> = wrong
        .iter()
        .filter(|(name, _)| client.gaps.iter().all(|(gap, _)| gap != *name))
        .collect();
    assert!(unknown.is_empty(), "not on the list of gaps: {unknown:#?}");
    for (gap, reason) in client.gaps {
        if !wrong.contains_key(&(*gap).to_owned()) {
            println!("bmv2 has closed a gap: {gap} ({reason})");
        }
    }
}

#[test]
fn bmv2_differs_from_this_for_p4runtime_shell_by_its_gaps_only() {
    bmv2_differs_by_its_gaps_only(&SHELL);
}

#[test]
fn bmv2_differs_from_this_for_finsy_by_its_gaps_only() {
    bmv2_differs_by_its_gaps_only(&FINSY);
}
