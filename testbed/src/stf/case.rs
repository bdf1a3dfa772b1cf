//! One script with its program.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p4_engine::stf::Script;
use p4_engine::{Engine, EngineConfig, Program};
use serde::Serialize;

use super::compile::{Compiled, Compiler};

/// A script and where its program is.
#[derive(Debug)]
pub(super) struct Case {
    /// Without extension.
    pub(super) name: String,
    script: PathBuf,
    program: PathBuf,
}

/// What became of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Everything expected came, and nothing else.
    Passed,
    /// It did not.
    Failed,
    /// There is nothing to run.
    Skipped,
}

impl Verdict {
    /// At the beginning of a line for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIP",
        }
    }
}

/// What became of a script, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Outcome {
    /// The script.
    pub(super) name: String,
    /// What became of it.
    pub(super) verdict: Verdict,
    /// Why it failed or was skipped; empty if it passed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
    /// Packets sent.
    pub(super) packets: usize,
    /// Frames that came as expected.
    pub(super) frames: usize,
    /// Counters checked.
    pub(super) counters: usize,
}

impl Case {
    /// `script` with the program of its name in `programs`.
    pub(super) fn new(script: &Path, programs: &Path) -> Self {
        let stem = script.file_stem().unwrap_or_default();
        let mut json = stem.to_owned();
        json.push(".json");
        Self {
            name: stem.to_string_lossy().into_owned(),
            script: script.to_owned(),
            program: programs.join(json),
        }
    }

    /// Runs it.
    pub(super) fn run(&self, compiler: Option<&Compiler>) -> Outcome {
        let (verdict, reason) = match self.program(compiler) {
            Ok(Compiled::Json(json)) => match play(&json, &self.script) {
                Ok(report) => {
                    return Outcome {
                        name: self.name.clone(),
                        verdict: Verdict::Passed,
                        reason: String::new(),
                        packets: report.packets,
                        frames: report.frames,
                        counters: report.counters,
                    };
                }
                Err(reason) => (Verdict::Failed, reason),
            },
            Ok(Compiled::NotOurs(reason)) => (Verdict::Skipped, reason),
            Err(reason) => (Verdict::Failed, reason),
        };
        Outcome {
            name: self.name.clone(),
            verdict,
            reason,
            packets: 0,
            frames: 0,
            counters: 0,
        }
    }

    fn program(&self, compiler: Option<&Compiler>) -> Result<Compiled, String> {
        match std::fs::read_to_string(&self.program) {
            Ok(json) => return Ok(Compiled::Json(json)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", self.program.display())),
        }
        match compiler {
            Some(compiler) => compiler.compile(&self.script.with_extension("p4")),
            None => Ok(Compiled::NotOurs(format!(
                "{} is not there; --p4c compiles it",
                self.program.display()
            ))),
        }
    }
}

fn play(json: &str, script: &Path) -> Result<p4_engine::stf::StfReport, String> {
    let text = std::fs::read_to_string(script).map_err(|error| error.to_string())?;
    let script = Script::parse(&text).map_err(|error| offload_api::error_chain(&error))?;
    let program = Program::load(json).map_err(|error| offload_api::error_chain(&error))?;
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    script
        .run(&mut engine)
        .map_err(|error| offload_api::error_chain(&error))
}
