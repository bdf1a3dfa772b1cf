//! `testbed stf`: scripts of the P4 community's simple test framework against the engine.
//!
//! *In:* a folder of `NAME.stf` with `NAME.json` beside it, as p4c's bmv2 back end writes it. *Out:*
//! what became of each script, and one closing line `N passed, N failed`. With `--p4c`, a program
//! without JSON is compiled first, into a temporary folder: nothing is written beside the sources.

mod case;
mod compile;
mod entries;
mod fuzz;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;
use thiserror::Error;

use crate::progress::Progress;
use case::{Case, Outcome, Verdict};
use compile::Compiler;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with NAME.stf and NAME.json.
    dir: PathBuf,

    /// Folder with the NAME.json, if they are not beside the scripts.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,

    /// Compiler for NAME.p4 where NAME.json is absent, for example "p4c-bm2-ss --std p4-14".
    ///
    /// Words behind the program go to it as arguments. Programs for another architecture than
    /// v1model are skipped.
    #[arg(long, value_name = "COMMAND")]
    p4c: Option<String>,

    /// Folder with the NAME.p4, if they are not beside the scripts.
    #[arg(long, value_name = "DIR")]
    sources: Option<PathBuf>,

    /// Instead, send random packets through the engine and through this peer (bmv2), with the entries
    /// of the script in both, and compare what leaves, byte for byte.
    #[arg(long, value_enum)]
    against: Option<Against>,

    /// The program of bmv2.
    #[arg(long, value_name = "PROGRAM", default_value = "simple_switch_grpc")]
    bmv2: String,

    /// Packets for each program with --against.
    #[arg(long, value_name = "N", default_value_t = 500)]
    packets: usize,

    /// Seed of those packets.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Only scripts whose name contains this.
    #[arg(long, value_name = "WORD")]
    only: Option<String>,

    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// With whom the engine is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Against {
    /// The behavioral model's `simple_switch_grpc`.
    Bmv2,
}

/// Why nothing was run.
#[derive(Debug, Error)]
enum StfError {
    /// No folder.
    #[error("The folder {} cannot be read", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No scripts.
    #[error("There is no script NAME.stf in {}", path.display())]
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// The compiler.
    #[error(transparent)]
    Compiler(#[from] compile::CompilerError),
    /// Standard output.
    #[error("The report cannot be written to standard output")]
    Output(#[source] std::io::Error),
}

/// The document of `--json`.
#[derive(Debug, Default, Serialize)]
struct Report {
    passed: usize,
    failed: usize,
    skipped: usize,
    remembered: usize,
    lost: usize,
    packets: usize,
    entries: usize,
    results: Vec<Outcome>,
}

/// Runs the command: success if scripts ran and none failed.
pub(crate) fn run(args: &Args) -> ExitCode {
    match try_run(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            crate::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn try_run(args: &Args) -> Result<bool, StfError> {
    let scripts = scripts(&args.dir, args.only.as_deref())?;
    let compiler = args.p4c.as_deref().map(Compiler::new).transpose()?;
    let programs = args.programs.as_deref().unwrap_or(&args.dir);
    let sources = args.sources.as_deref().unwrap_or(&args.dir);
    if args.against == Some(Against::Bmv2) && !crate::test::runs(&args.bmv2) {
        say(&format!(
            "SKIP comparison with bmv2: {} is not installed",
            args.bmv2
        ))?;
        return Ok(true);
    }
    let mut report = Report::default();
    let mut progress = Progress::new();
    for (index, script) in scripts.iter().enumerate() {
        let case = Case::new(script, programs, sources);
        progress.show(|| format!("script {} of {}: {}", index + 1, scripts.len(), case.name));
        let outcome = match args.against {
            None => case.run(compiler.as_ref()),
            Some(Against::Bmv2) => {
                case.fuzz(compiler.as_ref(), &args.bmv2, args.packets, args.seed)
            }
        };
        if !args.json && outcome.verdict != Verdict::Passed {
            progress.clear();
            let word = outcome.verdict.word();
            say(&format!("{word} {}: {}", outcome.name, outcome.reason))?;
        }
        report.take(outcome);
    }
    progress.clear();
    if args.json {
        let text = serde_json::to_string_pretty(&report);
        say(&text.map_err(|error| StfError::Output(error.into()))?)?;
    } else {
        if report.remembered > 0 {
            let remembered = report.remembered;
            say(&format!(
                "{remembered} differ by what bmv2 remembers of packets before"
            ))?;
        }
        if report.lost > 0 {
            say(&format!("bmv2 ended with {} programs", report.lost))?;
        }
        if report.skipped > 0 {
            say(&format!("{} skipped", report.skipped))?;
        }
        say(&format!(
            "{} passed, {} failed",
            report.passed, report.failed
        ))?;
    }
    Ok(report.failed == 0 && report.passed > 0)
}

impl Report {
    fn take(&mut self, outcome: Outcome) {
        match outcome.verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed => self.failed += 1,
            Verdict::Skipped => self.skipped += 1,
            Verdict::Remembered => self.remembered += 1,
            Verdict::Lost => self.lost += 1,
        }
        self.packets += outcome.packets;
        self.entries += outcome.entries;
        self.results.push(outcome);
    }
}

/// The scripts of a folder, by name.
fn scripts(dir: &Path, only: Option<&str>) -> Result<Vec<PathBuf>, StfError> {
    let found = std::fs::read_dir(dir).map_err(|source| StfError::Folder {
        path: dir.to_owned(),
        source,
    })?;
    let wanted = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        path.extension().is_some_and(|extension| extension == "stf")
            && only.is_none_or(|word| name.contains(word))
    };
    let mut scripts: Vec<PathBuf> = found
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(wanted)
        .collect();
    scripts.sort();
    if scripts.is_empty() {
        return Err(StfError::Empty {
            path: dir.to_owned(),
        });
    }
    Ok(scripts)
}

fn say(line: &str) -> Result<(), StfError> {
    writeln!(std::io::stdout().lock(), "{line}").map_err(StfError::Output)
}

#[cfg(test)]
mod tests;
