//! The demo as a user without any privilege.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::setup;

/// Debian's `nobody` and `nogroup`.
const NOBODY: &str = "65534";
/// What the demo starts; copied where anybody can reach it, as a checkout may be closed to others.
const PROGRAMS: &[&str] = &[
    "testbed",
    "p4switch",
    "dpu-agent",
    "host-agent",
    "felix-bridge",
];

/// The command, and its home, which goes with the second value. The error is a reason to skip.
pub(super) fn demo(testbed: &Path) -> Result<(Command, TempDir), String> {
    setup::program("setpriv", "util-linux")?;
    let home = home(testbed).map_err(|error| format!("a home cannot be made: {error}"))?;
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .args(["--inh-caps=-all", "--bounding-set=-all"])
        .arg(home.path().join("testbed"))
        .arg("demo")
        .current_dir(home.path());
    for variable in ["HOME", "XDG_RUNTIME_DIR", "TMPDIR"] {
        command.env(variable, home.path());
    }
    // As a user would: not through cargo.
    for variable in ["CARGO", "CARGO_MANIFEST_DIR"] {
        command.env_remove(variable);
    }
    Ok((command, home))
}

fn home(testbed: &Path) -> std::io::Result<TempDir> {
    let home = tempfile::Builder::new().prefix("margay-").tempdir()?;
    fs::set_permissions(home.path(), Permissions::from_mode(0o777))?;
    for program in PROGRAMS {
        let from = testbed.with_file_name(program);
        let to = home.path().join(program);
        fs::copy(from, &to)?;
        fs::set_permissions(to, Permissions::from_mode(0o755))?;
    }
    Ok(home)
}
