//! One script with its program.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p4_engine::stf::Script;
use p4_engine::{Engine, EngineConfig, Program};
use serde::Serialize;

use super::compile::{Compiled, Compiler};
use super::entries;
use super::fuzz::{self, Compared};

/// A script and where its program is.
#[derive(Debug)]
pub(super) struct Case {
    /// Without extension.
    pub(super) name: String,
    script: PathBuf,
    program: PathBuf,
    source: PathBuf,
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
    /// bmv2 differs only by what it remembers of packets before.
    Remembered,
    /// bmv2 ended.
    Lost,
}

impl Verdict {
    /// At the beginning of a line for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIP",
            Self::Remembered => "remembered",
            Self::Lost => "bmv2 ended",
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
    /// Entries and default actions that the script added to both sides.
    pub(super) entries: usize,
    /// Frames that came as expected.
    pub(super) frames: usize,
    /// Counters checked.
    pub(super) counters: usize,
}

impl Case {
    /// `script` with the program of its name in `programs`, or its source in `sources`.
    pub(super) fn new(script: &Path, programs: &Path, sources: &Path) -> Self {
        let stem = script.file_stem().unwrap_or_default();
        let named = |folder: &Path, extension: &str| {
            let mut name = stem.to_owned();
            name.push(extension);
            folder.join(name)
        };
        Self {
            name: stem.to_string_lossy().into_owned(),
            script: script.to_owned(),
            program: named(programs, ".json"),
            source: named(sources, ".p4"),
        }
    }

    /// Runs its script on the engine.
    pub(super) fn run(&self, compiler: Option<&Compiler>) -> Outcome {
        self.outcome(compiler, |json| {
            let report = play(json, &self.script)?;
            let outcome = self.blank(Verdict::Passed, String::new());
            Ok(Outcome {
                packets: report.packets,
                frames: report.frames,
                counters: report.counters,
                ..outcome
            })
        })
    }

    /// Compares the engine with bmv2 on random packets.
    pub(super) fn fuzz(
        &self,
        compiler: Option<&Compiler>,
        bmv2: &str,
        packets: usize,
        seed: u64,
    ) -> Outcome {
        self.outcome(compiler, |json| {
            let script =
                std::fs::read_to_string(&self.script).map_err(|error| error.to_string())?;
            let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            let path = folder.path().join("program.json");
            let (json, entries) = entries::installed(json, &script)?;
            std::fs::write(&path, json).map_err(|error| error.to_string())?;
            let (verdict, reason, packets) =
                match fuzz::compare(bmv2, &path, &script, packets, seed)? {
                    Compared::Equal(packets) => (Verdict::Passed, String::new(), packets),
                    Compared::Remembered(what) => (Verdict::Remembered, what, 0),
                    Compared::Lost(what) => (Verdict::Lost, what, 0),
                };
            Ok(Outcome {
                packets,
                entries,
                ..self.blank(verdict, reason)
            })
        })
    }

    fn outcome(
        &self,
        compiler: Option<&Compiler>,
        judge: impl FnOnce(&str) -> Result<Outcome, String>,
    ) -> Outcome {
        let judged = match self.program(compiler) {
            Ok(Compiled::Json(json)) => judge(&json),
            Ok(Compiled::NotOurs(reason)) => return self.blank(Verdict::Skipped, reason),
            Err(reason) => Err(reason),
        };
        judged.unwrap_or_else(|reason| self.blank(Verdict::Failed, reason))
    }

    fn blank(&self, verdict: Verdict, reason: String) -> Outcome {
        Outcome {
            name: self.name.clone(),
            verdict,
            reason,
            packets: 0,
            entries: 0,
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
            Some(compiler) => compiler.compile(&self.source),
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
