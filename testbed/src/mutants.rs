//! `testbed mutants`: would the tests notice? Faults that somebody could make are put into a copy of
//! the workspace one at a time, and the tests that should catch them are run.
//!
//! *In:* `testbed/cases/mutants/mutants.toml`. *Out:* for each fault whether it was caught, and a
//! closing line. A fault that does not compile has shown nothing and counts as a failure of the list.

mod copy;
mod list;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use thiserror::Error;

use copy::{CopyError, Workspace};
use list::{ListError, Mutant};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only faults whose names contain this.
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// Name the faults and try none.
    #[arg(long)]
    list: bool,
    /// Tests that take longer have noticed that something hangs.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// Why the check could not be made.
#[derive(Debug, Error)]
pub(crate) enum MutantsError {
    /// The list.
    #[error(transparent)]
    List(#[from] ListError),
    /// The copy of the workspace.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Nothing to do.
    #[error("No fault's name contains {0:?}; --list names them")]
    NoneLeft(String),
    /// The tests fail without any fault.
    #[error("The tests of {packages} fail as they are, so they cannot tell a fault")]
    AlreadyFailing {
        /// Packages.
        packages: String,
    },
    /// cargo.
    #[error("cargo cannot be started")]
    Cargo(#[source] std::io::Error),
    /// Standard output.
    #[error("Standard output cannot be written")]
    Output(#[from] std::io::Error),
}

/// What the tests made of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    /// A test failed.
    Caught,
    /// The tests did not come to an end.
    Hung,
    /// All tests passed.
    Survived,
    /// The compiler refused it: the list is wrong.
    Unbuildable,
}

impl Fate {
    fn is_caught(self) -> bool {
        matches!(self, Self::Caught | Self::Hung)
    }
}

#[derive(Serialize)]
struct Trial<'a> {
    name: &'a str,
    file: &'a str,
    fate: Fate,
    seconds: f64,
}

#[derive(Serialize)]
struct Document<'a> {
    mutants: Vec<Trial<'a>>,
    caught: usize,
    survived: usize,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match check(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            crate::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn check(args: &Args) -> Result<bool, MutantsError> {
    let root = root();
    let mut mutants = list::read(&root)?;
    if let Some(words) = &args.only {
        mutants.retain(|mutant| mutant.name.contains(words.as_str()));
        if mutants.is_empty() {
            return Err(MutantsError::NoneLeft(words.clone()));
        }
    }
    let mut out = std::io::stdout().lock();
    if args.list {
        for mutant in &mutants {
            writeln!(out, "{}: {}", mutant.file, mutant.name)?;
        }
        return Ok(true);
    }
    let workspace = Workspace::new(&root)?;
    intact(&workspace, &mutants)?;
    let mut trials = Vec::with_capacity(mutants.len());
    for mutant in &mutants {
        let started = Instant::now();
        let healthy = workspace.infect(mutant)?;
        let fate = tried(&workspace, mutant, Duration::from_secs(args.timeout));
        workspace.put(&mutant.file, &healthy)?;
        let trial = Trial {
            name: &mutant.name,
            file: &mutant.file,
            fate: fate?,
            seconds: started.elapsed().as_secs_f64(),
        };
        if !args.json {
            let word = match trial.fate {
                Fate::Caught => "caught",
                Fate::Hung => "caught (hung)",
                Fate::Survived => "SURVIVED",
                Fate::Unbuildable => "DOES NOT BUILD",
            };
            writeln!(out, "{word}: {} ({:.0} s)", trial.name, trial.seconds)?;
        }
        trials.push(trial);
    }
    let caught = trials.iter().filter(|trial| trial.fate.is_caught()).count();
    let survived = trials.len() - caught;
    if args.json {
        let document = Document {
            mutants: trials,
            caught,
            survived,
        };
        serde_json::to_writer_pretty(&mut out, &document).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{caught} caught, {survived} not")?;
    }
    Ok(survived == 0)
}

/// Tests that fail anyway would catch everything.
fn intact(workspace: &Workspace, mutants: &[Mutant]) -> Result<(), MutantsError> {
    let mut packages: Vec<&str> = mutants
        .iter()
        .flat_map(|mutant| &mutant.packages)
        .map(String::as_str)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let mut tests = tests(workspace, &packages);
    let passed = tests.status().map_err(MutantsError::Cargo)?.success();
    if passed {
        return Ok(());
    }
    let packages = packages.join(", ");
    Err(MutantsError::AlreadyFailing { packages })
}

fn tried(workspace: &Workspace, mutant: &Mutant, patience: Duration) -> Result<Fate, MutantsError> {
    let packages: Vec<&str> = mutant.packages.iter().map(String::as_str).collect();
    let mut build = tests(workspace, &packages);
    build.arg("--no-run");
    if !build.status().map_err(MutantsError::Cargo)?.success() {
        return Ok(Fate::Unbuildable);
    }
    let mut child = tests(workspace, &packages)
        .spawn()
        .map_err(MutantsError::Cargo)?;
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().map_err(MutantsError::Cargo)? {
            return Ok(if status.success() {
                Fate::Survived
            } else {
                Fate::Caught
            });
        }
        if Instant::now() >= deadline {
            end(&mut child);
            return Ok(Fate::Hung);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ends cargo and the test that it runs, which are a process group of their own.
fn end(child: &mut std::process::Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let group = nix::unistd::Pid::from_raw(group);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    }
    let _ = child.wait();
}

/// `cargo test` of some packages in the copy, quiet, with a folder for what it builds that all
/// faults share.
fn tests(workspace: &Workspace, packages: &[&str]) -> Command {
    use std::os::unix::process::CommandExt;

    let mut command = crate::cargo::cargo();
    command
        .current_dir(workspace.folder())
        .args(["test", "--locked", "--quiet", "--tests"])
        .env("CARGO_TARGET_DIR", workspace.built())
        .env_remove("RUSTFLAGS")
        // A counterexample that an earlier fault left behind is no merit of the next run.
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    for package in packages {
        command.args(["-p", package]);
    }
    command
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

#[cfg(test)]
mod tests;
