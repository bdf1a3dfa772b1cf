//! Figures and targets, for people and for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Args, Bench};

/// What a bench found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    bench: &'static str,
    machine: Machine,
    figures: Vec<Figure>,
    targets: Vec<Target>,
    skipped: Vec<String>,
    #[serde(skip)]
    samples: BTreeMap<(usize, String), Samples>,
    #[serde(skip)]
    order: Vec<String>,
    #[serde(skip)]
    deadline: Instant,
}

#[derive(Debug, Default)]
struct Samples {
    unit: &'static str,
    values: Vec<f64>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    /// Runnable processes of the last minute when the bench began: above zero, others took part.
    load_before: f64,
}

/// One figure: the median of its rounds.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    lowest: f64,
    highest: f64,
    rounds: usize,
}

/// One target.
#[derive(Clone, Debug, Serialize)]
struct Target {
    name: String,
    value: f64,
    want: f64,
    sense: Sense,
    met: bool,
}

/// Which side of what is wanted is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Sense {
    /// More is good.
    AtLeast,
    /// Less is good.
    AtMost,
}

impl Report {
    /// Empty, with the load of the machine as it is now.
    pub(super) fn new(args: &Args) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().and_then(|word| word.parse().ok());
        Self {
            bench: match args.bench {
                Bench::Packets => "packets",
                Bench::Writes => "writes",
                Bench::Control | Bench::ColdSevenSets | Bench::ColdSelectors => "control",
            },
            machine: Machine {
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                load_before: load.unwrap_or(0.0),
            },
            figures: Vec::new(),
            targets: Vec::new(),
            skipped: Vec::new(),
            samples: BTreeMap::new(),
            order: Vec::new(),
            deadline: Instant::now() + Duration::from_secs(args.seconds),
        }
    }

    /// Whether there is time for more.
    pub(super) fn has_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// What is left of the time.
    pub(super) fn skip(&mut self, what: &str, reason: &str) {
        progress(&format!("SKIP {what}: {reason}"));
        self.skipped.push(format!("{what}: {reason}"));
    }

    /// One sample of a figure.
    pub(super) fn sample(&mut self, name: &str, unit: &'static str, value: f64) {
        progress(&format!("{name}: {} {unit}", number(value)));
        self.note(name, unit, value);
    }

    /// One of many samples of a figure, of which none is worth a line.
    pub(super) fn note(&mut self, name: &str, unit: &'static str, value: f64) {
        let place = match self.order.iter().position(|known| known == name) {
            Some(place) => place,
            None => {
                self.order.push(name.to_owned());
                self.order.len() - 1
            }
        };
        let samples = self.samples.entry((place, name.to_owned())).or_default();
        samples.unit = unit;
        samples.values.push(value);
    }

    /// The median of a figure so far.
    pub(super) fn median(&self, name: &str) -> Option<f64> {
        let found = self.samples.iter().find(|((_, known), _)| known == name);
        found.and_then(|(_, samples)| median(&samples.values))
    }

    /// The lowest value of a figure so far.
    pub(super) fn lowest(&self, name: &str) -> Option<f64> {
        let found = self.samples.iter().find(|((_, known), _)| known == name);
        found.and_then(|(_, samples)| samples.values.iter().copied().reduce(f64::min))
    }

    /// Judges the quotient of two figures; left out if either was not measured.
    pub(super) fn ratio(&mut self, name: &str, of: &str, to: &str, sense: Sense, want: f64) {
        if let (Some(of), Some(to)) = (self.median(of), self.median(to))
            && to > 0.0
        {
            self.target(name, of / to, sense, want);
        }
    }

    /// Judges a value.
    pub(super) fn target(&mut self, name: &str, value: f64, sense: Sense, want: f64) {
        self.targets.push(Target {
            name: name.to_owned(),
            value,
            want,
            sense,
            met: match sense {
                Sense::AtLeast => value >= want,
                Sense::AtMost => value <= want,
            },
        });
    }

    /// Prints it; whether all targets are met.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(super) fn close(mut self, json: bool) -> io::Result<bool> {
        self.figures = self
            .samples
            .iter()
            .filter_map(|((_, name), samples)| {
                Some(Figure {
                    name: name.clone(),
                    value: median(&samples.values)?,
                    unit: samples.unit,
                    lowest: samples.values.iter().copied().reduce(f64::min)?,
                    highest: samples.values.iter().copied().reduce(f64::max)?,
                    rounds: samples.values.len(),
                })
            })
            .collect();
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer_pretty(&mut out, &self)?;
            writeln!(out)?;
        } else {
            self.write(&mut out)?;
        }
        Ok(self.targets.iter().all(|target| target.met))
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{}: {} cores, load before {:.2}",
            self.bench, self.machine.cores, self.machine.load_before
        )?;
        let width = self.figures.iter().map(|figure| figure.name.len()).max();
        let width = width.unwrap_or(0);
        for figure in &self.figures {
            write!(
                out,
                "  {:width$}  {:>14} {}",
                figure.name,
                number(figure.value),
                figure.unit
            )?;
            if figure.rounds > 1 {
                let (low, high) = (number(figure.lowest), number(figure.highest));
                write!(out, "  ({low} to {high} in {} rounds)", figure.rounds)?;
            }
            writeln!(out)?;
        }
        for skipped in &self.skipped {
            writeln!(out, "SKIP {skipped}")?;
        }
        for target in &self.targets {
            writeln!(out, "{}", target.line())?;
        }
        Ok(())
    }
}

impl Target {
    fn line(&self) -> String {
        let sense = match self.sense {
            Sense::AtLeast => "at least",
            Sense::AtMost => "at most",
        };
        let (value, want) = (number(self.value), number(self.want));
        let verdict = if self.met {
            "met".to_owned()
        } else {
            let (more, less) = match self.sense {
                Sense::AtLeast => (self.want, self.value),
                Sense::AtMost => (self.value, self.want),
            };
            format!(
                "NOT MET by a factor of {:.2}",
                more / less.max(f64::MIN_POSITIVE)
            )
        };
        format!("{}: {value}, wanted {sense} {want}: {verdict}", self.name)
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = sorted.get(half).copied()?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    sorted
        .get(half.checked_sub(1)?)
        .map(|lower| (lower + upper) / 2.0)
}

/// As people read it: whole and in groups of three if it is large.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digit != '-' {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// A line on standard error.
pub(super) fn progress(line: &str) {
    // Progress that nobody can see is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "bench: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_numbers() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
        assert_eq!(number(1_234_567.4), "1 234 567");
        assert_eq!(number(12.345), "12.35");
        assert_eq!(number(100.0), "100");
    }

    #[test]
    fn a_target_that_is_missed_says_by_how_much() {
        let target = |value, sense, want| Target {
            name: "x".to_owned(),
            value,
            want,
            sense,
            met: false,
        };
        let line = target(5.0, Sense::AtLeast, 10.0).line();
        assert_eq!(
            line,
            "x: 5.00, wanted at least 10.00: NOT MET by a factor of 2.00"
        );
        let line = target(3.0, Sense::AtMost, 1.5).line();
        assert!(line.ends_with("NOT MET by a factor of 2.00"), "{line}");
    }
}
