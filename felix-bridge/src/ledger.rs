//! What becomes of every field of every message.
//!
//! One line for each: enforced, delegated, refused, not enforced, or for people only, and by whom or
//! why. A test walks the messages and fails when a field has no line; another renders the lines to
//! `docs/felix-ledger.md`.

mod cluster;
mod endpoint;
mod envelope;
mod policy;

use std::fmt;
use std::fmt::Write as _;

/// What becomes of a field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fate {
    /// It decides packets, or how the state that does is kept.
    Enforced,
    /// Somebody else does it.
    Delegated,
    /// What carries it denies, visibly.
    Refused,
    /// Taken over and without effect, visibly where somebody asked for it.
    NotEnforced,
    /// For people; it was never meant to decide packets.
    Informative,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforced => "enforced",
            Self::Delegated => "delegated",
            Self::Refused => "refused",
            Self::NotEnforced => "not enforced",
            Self::Informative => "informative",
        })
    }
}

/// The fate of one field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Message as in the protocol.
    pub message: &'static str,
    /// Field as in the protocol; empty for a message without fields.
    pub field: &'static str,
    /// Fate.
    pub fate: Fate,
    /// By what, to whom, or why.
    pub note: &'static str,
}

/// Every line, message by message.
pub fn lines() -> impl Iterator<Item = &'static Line> {
    [
        envelope::LINES,
        policy::LINES,
        endpoint::LINES,
        cluster::LINES,
    ]
    .into_iter()
    .flatten()
}

/// The ledger as a page of the book.
#[must_use]
pub fn render() -> String {
    let mut page = String::from(
        "# What becomes of what Felix says\n\n\
         Every field of every message of Felix's external dataplane protocol (3.30 to 3.33), and what \
         this release does with it. *Enforced*: it decides packets, or how the state that does is \
         kept. *Delegated*: somebody else does it. *Refused*: what carries it denies, and says so. *Not \
         enforced*: it has no effect, and where somebody asked for it that is shown. *Informative*: for \
         people.\n\n\
         This page is rendered from `felix-bridge/src/ledger.rs`; change it there. Fields of a newer \
         Felix are on no list: within a rule, a policy, a profile, a tier or a set they make it \
         refused, elsewhere they are reported and have no effect. Messages of a type that is not known \
         are reported, counted and skipped.\n",
    );
    let mut counts = std::collections::BTreeMap::<Fate, usize>::new();
    for line in lines() {
        *counts.entry(line.fate).or_default() += 1;
    }
    let summary: Vec<String> = counts
        .iter()
        .map(|(fate, count)| format!("{count} {fate}"))
        .collect();
    // Writing to a string cannot fail.
    let _ok = writeln!(
        page,
        "\n{} fields: {}.",
        lines().count(),
        summary.join(", ")
    );
    let mut message = "";
    for line in lines() {
        if line.message != message {
            message = line.message;
            let _ok = writeln!(
                page,
                "\n## {message}\n\n| field | fate | how or why |\n|---|---|---|"
            );
        }
        let field = if line.field.is_empty() {
            "(the message)".to_owned()
        } else {
            format!("`{}`", line.field)
        };
        let _ok = writeln!(page, "| {field} | {} | {} |", line.fate, line.note);
    }
    page
}

const fn line(message: &'static str, field: &'static str, fate: Fate, note: &'static str) -> Line {
    Line {
        message,
        field,
        fate,
        note,
    }
}

#[cfg(test)]
mod tests;
