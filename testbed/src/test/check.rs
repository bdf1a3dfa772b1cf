//! One check: a program that says by its exit code whether all is well.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::tally::{Outcome, Result};

/// A program to run.
#[derive(Debug)]
pub(super) struct Check {
    name: String,
    command: Command,
    counted: bool,
    last_line_only: bool,
}

impl Check {
    /// Passes if the program exits with 0.
    pub(super) fn new(name: &str, command: Command) -> Self {
        Self {
            name: name.to_owned(),
            command,
            counted: false,
            last_line_only: false,
        }
    }

    /// The program is `cargo test`: each of its tests counts for itself.
    pub(super) fn counted(mut self) -> Self {
        self.counted = true;
        self
    }

    /// Of what the program says on standard output, only the last line is for people.
    pub(super) fn last_line_only(mut self) -> Self {
        self.last_line_only = true;
        self
    }

    /// Runs it; what it says is shown as it comes.
    pub(super) fn run(mut self) -> Outcome {
        show(&format!("== {}", self.name));
        let started = Instant::now();
        self.command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let program = self.command.get_program().to_string_lossy().into_owned();
                show(&format!("{program} cannot be started: {error}"));
                return self.outcome(false, Libtest::default(), started);
            }
        };
        let mut libtest = Libtest::default();
        let mut last = String::new();
        if let Some(said) = child.stdout.take() {
            for line in BufReader::new(said)
                .split(b'\n')
                .map_while(std::io::Result::ok)
            {
                let line = String::from_utf8_lossy(&line).into_owned();
                let wanted = libtest.take(&line);
                if !self.last_line_only && (wanted || !self.counted) {
                    show(&line);
                }
                last = line;
            }
        }
        if self.last_line_only {
            show(&last);
        }
        let succeeded = child.wait().is_ok_and(|status| status.success());
        self.outcome(succeeded, libtest, started)
    }

    fn outcome(self, succeeded: bool, libtest: Libtest, started: Instant) -> Outcome {
        let seconds = started.elapsed().as_secs();
        let word = if succeeded { "ok" } else { "FAILED" };
        show(&format!("-- {}: {word}, {seconds} s", self.name));
        let mut results = libtest.results(&self.name);
        if !self.counted {
            results.retain(|result| matches!(result, Result::Skipped(_)));
        }
        // A test program that broke before it could count is a failure of its own.
        let failed = results
            .iter()
            .any(|result| matches!(result, Result::Failed(_)));
        if !self.counted || (!succeeded && !failed) {
            results.push(if succeeded {
                Result::Passed(1)
            } else {
                Result::Failed(self.name)
            });
        }
        Outcome { results }
    }
}

/// cargo, as it runs this program or by its name.
pub(super) fn cargo(root: &Path, words: &[&str]) -> Command {
    let mut command = crate::cargo::cargo();
    command.current_dir(root).args(words);
    command
}

/// Standard output, at once: standard error of the checks goes straight through.
pub(super) fn show(line: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is no reason not to test.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What `cargo test` prints, read as it comes.
#[derive(Debug, Default)]
struct Libtest {
    passed: u64,
    failed: Vec<String>,
    skipped: Vec<String>,
    cases: u64,
    in_successes: bool,
}

impl Libtest {
    /// Whether people want to see the line: what passing tests print is left out, but for skips.
    fn take(&mut self, line: &str) -> bool {
        if line == "successes:" {
            self.in_successes = true;
        } else if line == "failures:" || line.starts_with("test result:") {
            self.in_successes = false;
        }
        let skip = line.trim_start().strip_prefix("SKIP");
        if let Some(reason) = skip {
            self.skipped
                .push(reason.trim_start_matches([':', ' ']).to_owned());
            return true;
        }
        // A property test says how many cases it tried.
        if let Some(cases) = line.trim_start().strip_prefix("CASES ") {
            let number = cases.split(' ').next().unwrap_or("");
            self.cases += number.parse::<u64>().unwrap_or(0);
            return true;
        }
        if let Some(test) = line.strip_prefix("test ")
            && let Some(name) = test.strip_suffix("... FAILED")
        {
            self.failed.push(name.trim().to_owned());
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count_before(result, " passed");
        }
        !self.in_successes && !line.ends_with("... ok")
    }

    fn results(self, check: &str) -> Vec<Result> {
        let failed = self.failed.into_iter();
        let skipped = self.skipped.into_iter();
        let mut results: Vec<_> = failed
            .map(|name| Result::Failed(format!("{check}: {name}")))
            .chain(skipped.map(Result::Skipped))
            .collect();
        results.push(Result::Passed(self.passed));
        if self.cases > 0 {
            results.push(Result::Cases(self.cases));
        }
        results
    }
}

fn count_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().unwrap_or("");
    let number = before.rsplit(|c: char| !c.is_ascii_digit()).next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (u64, Vec<String>, Vec<String>, Vec<String>) {
        let mut libtest = Libtest::default();
        let shown = text.lines().filter(|line| libtest.take(line));
        let shown = shown.map(str::to_owned).collect();
        (libtest.passed, libtest.failed, libtest.skipped, shown)
    }

    #[test]
    fn the_output_of_test_programs_is_counted() {
        let text = "running 3 tests\n\
            test a::works ... ok\n\
            test b::breaks ... FAILED\n\
            test c::wants_root ... ok\n\
            \n\
            successes:\n\
            \n\
            ---- c::wants_root stdout ----\n\
            chatter\n\
            SKIP c::wants_root: it needs root\n\
            CASES 120000 packets of random flows\n\
            \n\
            failures:\n\
            why it broke\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n\
            test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let (passed, failed, skipped, shown) = read(text);
        assert_eq!(passed, 42);
        assert_eq!(failed, ["b::breaks"]);
        assert_eq!(skipped, ["c::wants_root: it needs root"]);
        assert!(shown.iter().any(|line| line == "why it broke"));
        assert!(!shown.iter().any(|line| line == "chatter"));
        assert!(shown.iter().any(|line| line.starts_with("CASES 120000")));
    }

    #[test]
    fn a_program_that_cannot_start_is_a_failure() {
        let outcome = Check::new("nothing", Command::new("/nonexistent/program")).run();
        let failed = |result: &Result| matches!(result, Result::Failed(name) if name == "nothing");
        assert!(outcome.results.iter().any(failed));
    }

    #[test]
    fn an_exit_code_decides_a_check_that_is_not_counted() {
        for (program, passes) in [("true", true), ("false", false)] {
            let outcome = Check::new("x", Command::new(program)).run();
            let passed = |result: &Result| matches!(result, Result::Passed(1));
            assert_eq!(outcome.results.iter().any(passed), passes);
        }
    }
}
