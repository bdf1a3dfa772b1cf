//! The processes of the demo: the programs beside this one, started, watched, killed and started
//! again.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use tokio::process::Child;

use super::DemoError;

/// What the demo starts.
pub(super) const PROGRAMS: &[&str] = &["p4switch", "dpu-agent", "host-agent", "felix-bridge"];

/// Lines of a log that an error shows.
const LAST_LINES: usize = 12;

/// Starts programs that end when this process ends, however that is.
#[derive(Clone, Debug)]
pub(super) struct Launcher {
    /// This very program.
    own: PathBuf,
    /// Where the others are.
    folder: PathBuf,
    /// Where their logs go.
    logs: PathBuf,
}

impl Launcher {
    /// Programs are looked for beside this one; a checkout builds them first.
    pub(super) fn find(logs: &Path) -> Result<Self, DemoError> {
        let own = std::env::current_exe().map_err(DemoError::OwnProgram)?;
        let folder = own.parent().map_or_else(PathBuf::new, Path::to_owned);
        build(&folder)?;
        Self::over(own, folder, logs)
    }

    /// With this program of ours, and the others in `folder`.
    pub(super) fn over(own: PathBuf, folder: PathBuf, logs: &Path) -> Result<Self, DemoError> {
        for program in PROGRAMS {
            let path = folder.join(program);
            if !path.is_file() {
                return Err(DemoError::NoProgram { path });
            }
        }
        Ok(Self {
            own,
            folder,
            logs: logs.to_owned(),
        })
    }

    /// One of the programs, ready for arguments.
    pub(super) fn command(&self, program: &str) -> io::Result<Command> {
        let mut command = Command::new(&self.own);
        command
            .args(["supervised", "--"])
            .arg(self.folder.join(program));
        // Settings come from the demo alone.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MARGAY_") {
                command.env_remove(name);
            }
        }
        Ok(command)
    }

    /// The log that a program appends to.
    pub(super) fn log(&self, program: &str) -> io::Result<Stdio> {
        let path = self.log_path(program);
        let file: File = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(file.into())
    }

    /// Where it is.
    pub(super) fn log_path(&self, program: &str) -> PathBuf {
        self.logs.join(format!("{program}.log"))
    }
}

/// Brings the programs up to date when cargo has started this one.
fn build(folder: &Path) -> Result<(), DemoError> {
    let told = |name| std::env::var_os(name).is_some();
    if !(told("CARGO") && told("CARGO_MANIFEST_DIR")) {
        return Ok(());
    }
    let release = folder.file_name().is_some_and(|name| name == "release");
    if !release {
        return Ok(());
    }
    if PROGRAMS
        .iter()
        .any(|program| !folder.join(program).is_file())
    {
        super::progress("building the agents and the switch (once)");
    }
    let mut command = crate::cargo::cargo();
    command
        .args(["build", "--release", "--quiet", "--workspace", "--bins"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let built = command.status().map_err(DemoError::OwnProgram)?;
    if built.success() {
        Ok(())
    } else {
        Err(DemoError::Build)
    }
}

/// A daemon that can be killed and started again with the same arguments.
#[derive(Debug)]
pub(super) struct Daemon {
    name: &'static str,
    launcher: Launcher,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Daemon {
    /// Not started yet.
    pub(super) fn new(launcher: &Launcher, name: &'static str, arguments: Vec<String>) -> Self {
        Self {
            name,
            launcher: launcher.clone(),
            arguments,
            child: None,
        }
    }

    /// More arguments, from the next start on.
    #[cfg(test)]
    pub(super) fn add(&mut self, arguments: &[&str]) {
        let more = arguments.iter().map(|word| (*word).to_owned());
        self.arguments.extend(more);
    }

    /// Starts it.
    pub(super) fn start(&mut self) -> Result<(), DemoError> {
        let start = || {
            let mut command = self.launcher.command(self.name)?;
            command
                .args(&self.arguments)
                .stdin(Stdio::null())
                .stdout(self.launcher.log(self.name)?)
                .stderr(self.launcher.log(self.name)?);
            tokio::process::Command::from(command)
                .kill_on_drop(true)
                .spawn()
        };
        let child = start().map_err(|source| DemoError::Start {
            program: self.name,
            source,
        })?;
        self.child = Some(child);
        Ok(())
    }

    /// SIGKILL, and waits until it is gone.
    pub(super) async fn kill(&mut self) -> Result<(), DemoError> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.map_err(|source| DemoError::Start {
                program: self.name,
                source,
            })?;
        }
        Ok(())
    }

    /// How it ended, if it did by itself.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.launcher.log_path(self.name)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// For messages.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}
