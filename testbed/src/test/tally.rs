//! The count, and the closing line.

use std::process::ExitCode;

use super::check::show;

/// What became of one test, or of many that passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Result {
    /// So many passed.
    Passed(u64),
    /// This one failed.
    Failed(String),
    /// This one cannot run here, and why.
    Skipped(String),
    /// Property tests among them tried so many cases.
    Cases(u64),
}

/// What became of a check.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) results: Vec<Result>,
}

/// All of them together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: u64,
    failed: Vec<String>,
    skipped: u64,
    cases: u64,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: Outcome) {
        for result in outcome.results {
            match result {
                Result::Passed(count) => self.passed += count,
                Result::Failed(name) => self.failed.push(name),
                Result::Skipped(_) => self.skipped += 1,
                Result::Cases(cases) => self.cases += cases,
            }
        }
    }

    /// A check that cannot run here.
    pub(super) fn skip(&mut self, name: &str, reason: &str) {
        show(&format!("SKIP {name}: {reason}"));
        self.skipped += 1;
    }

    pub(super) fn say(&self, line: &str) {
        show(line);
    }

    /// The closing line and the exit code.
    pub(super) fn close(self) -> ExitCode {
        for name in &self.failed {
            show(&format!("FAILED {name}"));
        }
        if self.cases > 0 {
            show(&format!("property tests tried {} cases", self.cases));
        }
        show(&self.line());
        if self.failed.is_empty() && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn line(&self) -> String {
        let mut line = format!("{} passed, {} failed", self.passed, self.failed.len());
        if self.skipped > 0 {
            line.push_str(&format!(", {} skipped", self.skipped));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_names_skips_only_if_there_are_any() {
        let mut tally = Tally::default();
        let results = vec![
            Result::Passed(41),
            Result::Passed(1),
            Result::Failed("x".into()),
        ];
        tally.add(Outcome { results });
        assert_eq!(tally.line(), "42 passed, 1 failed");
        // Not by `skip`: the run that tests this one would count the line that it prints.
        let results = vec![Result::Skipped("y".into())];
        tally.add(Outcome { results });
        assert_eq!(tally.line(), "42 passed, 1 failed, 1 skipped");
    }
}
