//! Puts in place what the checks need beyond `cargo build`.

use std::path::Path;
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

fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
