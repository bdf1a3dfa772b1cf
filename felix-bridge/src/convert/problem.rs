//! What could not be understood, and what follows from it.

use std::fmt;
use std::net::IpAddr;

use felix_proto::UnknownField;
use ipnet::IpNet;

use super::text;

/// What follows from a problem.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// The policy, endpoint or set is refused where it matters, so traffic is denied.
    Denies,
    /// The message or the part was left out; nothing that is enforced depends on it.
    Skipped,
    /// Taken over and not enforced.
    NotEnforced,
}

/// One thing that could not be understood or is not enforced.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Problem {
    /// The object: message and key.
    pub about: String,
    /// Field, value and what is wrong with it.
    pub what: String,
    /// What follows.
    pub effect: Effect,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Denies => "traffic that depends on it is denied",
            Effect::Skipped => "left out",
            Effect::NotEnforced => "not enforced",
        };
        write!(f, "{}: {} ({effect})", self.about, self.what)
    }
}

/// Collects the problems of one message.
#[derive(Debug)]
pub(super) struct Report {
    about: String,
    problems: Vec<Problem>,
    unknown: Vec<UnknownField>,
}

impl Report {
    pub(super) fn new(unknown: Vec<UnknownField>) -> Self {
        Self {
            about: String::new(),
            problems: Vec::new(),
            unknown,
        }
    }

    /// Names the object that the following problems are about.
    pub(super) fn about(&mut self, kind: &str, key: impl fmt::Display) {
        self.about = format!("{kind} {key}");
    }

    pub(super) fn add(&mut self, effect: Effect, what: impl Into<String>) {
        self.problems.push(Problem {
            about: self.about.clone(),
            what: what.into(),
            effect,
        });
    }

    /// Takes the unknown fields that `wanted` picks; what nobody takes is reported at the end.
    pub(super) fn take_unknown(
        &mut self,
        mut wanted: impl FnMut(&UnknownField) -> bool,
    ) -> Vec<UnknownField> {
        self.unknown.extract_if(.., |field| wanted(field)).collect()
    }

    /// An address that may be absent (empty text).
    pub(super) fn optional_addr(&mut self, field: &str, value: &str) -> Option<IpAddr> {
        if value.is_empty() {
            return None;
        }
        match text::addr(value) {
            Ok(addr) => Some(addr),
            Err(what) => {
                self.add(Effect::Skipped, format!("{field}: {what}"));
                None
            }
        }
    }

    /// An address with or without a prefix length, which is kept as it is; may be absent.
    pub(super) fn optional_interface(&mut self, field: &str, value: &str) -> Option<IpNet> {
        if value.is_empty() {
            return None;
        }
        match text::interface(value) {
            Ok(net) => Some(net),
            Err(what) => {
                self.add(Effect::Skipped, format!("{field}: {what}"));
                None
            }
        }
    }

    pub(super) fn finish(mut self) -> Vec<Problem> {
        for field in std::mem::take(&mut self.unknown) {
            self.add(
                Effect::Skipped,
                format!("{field} is not known to this program"),
            );
        }
        self.problems
    }
}
