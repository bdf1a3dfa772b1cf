//! Programs compiled on the way, in a folder that goes again.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use thiserror::Error;

/// What there is of a program.
#[derive(Debug)]
pub(super) enum Compiled {
    /// What p4c's bmv2 back end wrote.
    Json(String),
    /// Nothing to run here, and why.
    NotOurs(String),
}

/// Why nothing can be compiled.
#[derive(Debug, Error)]
pub(super) enum CompilerError {
    /// No words.
    #[error("--p4c names no program: say for example --p4c p4c-bm2-ss")]
    NoProgram,
    /// No such program.
    #[error("{program} cannot be run. Install p4c, or name its bmv2 compiler with --p4c")]
    NotInstalled {
        /// What was run.
        program: String,
        /// Why it was not.
        source: std::io::Error,
    },
    /// No folder to write to.
    #[error("No temporary folder can be made")]
    Folder(#[source] std::io::Error),
}

/// A compiler and its arguments.
#[derive(Debug)]
pub(super) struct Compiler {
    program: String,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Compiler {
    /// From the words of `--p4c`.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn new(command: &str) -> Result<Self, CompilerError> {
        let mut words = command.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or(CompilerError::NoProgram)?;
        let asked = Command::new(&program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Err(source) = asked {
            return Err(CompilerError::NotInstalled { program, source });
        }
        Ok(Self {
            program,
            arguments: words.collect(),
            folder: tempfile::tempdir().map_err(CompilerError::Folder)?,
        })
    }

    /// Compiles a program; the error is what the compiler said.
    pub(super) fn compile(&self, source: &Path) -> Result<Compiled, String> {
        let text = match std::fs::read(source) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => {
                let path = source.display();
                return Ok(Compiled::NotOurs(format!("no program: {path}: {error}")));
            }
        };
        // P4_14 programs include no architecture; those of P4_16 say which one they are for.
        let p4_14 = self.arguments.iter().any(|word| word.ends_with("14"));
        if !p4_14 && !text.contains("v1model.p4") {
            return Ok(Compiled::NotOurs("not written for v1model".to_owned()));
        }
        let out = self.folder.path().join("out.json");
        let done = Command::new(&self.program)
            .args(&self.arguments)
            .arg("-o")
            .arg(&out)
            .arg(source)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{} cannot be run: {error}", self.program))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            let first = said.lines().find(|line| line.contains("error"));
            let first = first.or(said.lines().next()).unwrap_or("no reason given");
            return Err(format!("{} refuses it: {first}", self.program));
        }
        let json = std::fs::read_to_string(&out);
        // The next program must not find this one's.
        let _ = std::fs::remove_file(&out);
        json.map(Compiled::Json)
            .map_err(|error| format!("{} wrote no JSON: {error}", self.program))
    }
}
