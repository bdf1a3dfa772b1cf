//! Running the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A file of the recordings.
pub(crate) fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("cases/felix-streams")
        .join(name)
}

/// Runs it and gives back what it did.
pub(crate) fn output(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_testbed"))
        .arg("replay")
        .args(args)
        .output()
        .unwrap()
}

/// What a successful run with `--json` said.
pub(crate) struct Answers {
    /// One for each flow.
    pub flows: Vec<Value>,
    /// The last line.
    pub summary: Value,
}

impl Answers {
    /// A count of the summary, by its path.
    pub(crate) fn count(&self, path: &str) -> u64 {
        let value = self.summary.pointer(path);
        value
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("{path} in {}", self.summary))
    }

    /// Verdict and packet of each flow, by id.
    pub(crate) fn fates(&self) -> Vec<(Value, Value, Value)> {
        let fate = |flow: &Value| {
            (
                flow["id"].clone(),
                flow["verdict"].clone(),
                flow["packet"].clone(),
            )
        };
        self.flows.iter().map(fate).collect()
    }
}

/// Runs it with `--json`; it has to succeed.
pub(crate) fn answers(args: &[&str]) -> Answers {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let output = output(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut flows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = flows.pop().unwrap_or_default();
    assert!(output.status.success(), "{args:?}: {errors}\n{summary}");
    assert_eq!(summary["differences"], 0, "{args:?}");
    assert_eq!(summary["flows"], flows.len());
    Answers { flows, summary }
}
