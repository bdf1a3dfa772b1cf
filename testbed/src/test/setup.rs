//! Puts in place what the checks need beyond `cargo build`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::check::{cargo, show};
use super::tally::Tally;

/// Adds rustfmt and clippy where the toolchain came without them.
pub(super) fn toolchain(root: &Path, _tally: &mut Tally) {
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !has_component(root, command) {
            show(&format!("setting up: rustup component add {component}"));
            let mut rustup = Command::new("rustup");
            rustup
                .current_dir(root)
                .args(["component", "add", component]);
            succeeds(rustup);
        }
    }
}

/// Whether `cargo <command>` works.
pub(super) fn has_component(root: &Path, command: &str) -> bool {
    succeeds(cargo(root, &[command, "--version"]))
}

/// Whether a program is installed.
pub(crate) fn runs(name: &str) -> bool {
    let mut ask = Command::new(name);
    ask.arg("--version");
    succeeds(ask)
}

/// Makes sure of a program, by Debian's package if root may install it. The error is a reason to
/// skip.
pub(super) fn program(name: &str, package: &str) -> Result<(), String> {
    if runs(name) {
        return Ok(());
    }
    show(&format!("setting up: apt-get install {package}"));
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--no-install-recommends", package]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    if succeeds(apt) {
        Ok(())
    } else {
        Err(format!(
            "{name} is not installed (Debian package {package})"
        ))
    }
}

/// P4Runtime clients that others wrote, by the versions that the tests know.
const CLIENTS: [(&str, &[&str]); 2] = [
    (
        "p4runtime-shell",
        &["p4runtime-shell==0.0.6", "protobuf==3.20.3"],
    ),
    ("finsy", &["finsy==0.30.0"]),
];

/// Installs the clients below `folder`, each in an environment of its own, as they want different
/// versions of protobuf. Gives their interpreters, separated by colons; the error is a reason to
/// skip.
pub(super) fn clients(folder: &Path) -> Result<String, String> {
    let all: Result<Vec<String>, String> = CLIENTS
        .iter()
        .map(|(name, packages)| {
            let python = client(&folder.join(name), packages)?;
            Ok(python.to_string_lossy().into_owned())
        })
        .collect();
    all.map(|pythons| pythons.join(":"))
}

fn client(folder: &Path, packages: &[&str]) -> Result<PathBuf, String> {
    let python = folder.join("bin/python");
    // Written last: what was cut off is done again.
    let done = folder.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    show(&format!("setting up: pip install {wanted}"));
    let venv = || {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(folder);
        succeeds(venv)
    };
    if !venv() {
        let mut apt = Command::new("apt-get");
        apt.args(["install", "--yes", "--no-install-recommends"]);
        apt.args(["python3", "python3-venv"]);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        if !(succeeds(apt) && venv()) {
            return Err("python3 cannot make an environment (Debian package python3-venv)".into());
        }
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
    pip.args(packages);
    if !succeeds(pip) {
        return Err(format!("pip cannot install {wanted}"));
    }
    std::fs::write(&done, wanted).map_err(|error| format!("{}: {error}", done.display()))?;
    Ok(python)
}

fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
