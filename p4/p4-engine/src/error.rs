//! What can be wrong with a program and with a control operation.

use serde::Serialize;
use std::fmt;

/// A place in the P4 source, as p4c notes it in the JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceLocation {
    /// Path as given to the compiler.
    pub file: String,
    /// One-based line.
    pub line: u32,
    /// One-based column.
    pub column: u32,
    /// The text there.
    pub fragment: String,
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)?;
        if self.fragment.is_empty() {
            Ok(())
        } else {
            write!(f, ": `{}`", self.fragment)
        }
    }
}

/// Why a program was refused. The engine refuses when it loads, never at a packet.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The text is not the JSON that p4c's bmv2 back end writes.
    #[error("The program is not valid bmv2 JSON; compile it with p4c's bmv2 back end for v1model")]
    Json(#[source] serde_json::Error),
    /// The JSON has another major version.
    #[error("The program has bmv2 JSON version {major}.{minor}, the engine reads version 2")]
    Version {
        /// Major version found.
        major: i64,
        /// Minor version found.
        minor: i64,
    },
    /// The JSON has no such part, but another part refers to it.
    #[error("{kind} \"{name}\" is referred to by {referrer} but not declared")]
    Unresolved {
        /// What kind of object is missing.
        kind: &'static str,
        /// Its name or id.
        name: String,
        /// Who refers to it.
        referrer: String,
    },
    /// A construct that the engine does not do.
    #[error("{construct} in {place} is not supported{}", At(location))]
    Unsupported {
        /// The construct, by the name that P4 or the JSON gives it.
        construct: String,
        /// The action, parser state, table or control where it stands.
        place: String,
        /// The place in the source, if the JSON tells.
        location: Option<SourceLocation>,
    },
    /// A part of the JSON does not make sense.
    #[error("{place} is malformed: {problem}{}", At(location))]
    Malformed {
        /// The action, parser state, table or control where it stands.
        place: String,
        /// What is wrong.
        problem: String,
        /// The place in the source, if the JSON tells.
        location: Option<SourceLocation>,
    },
    /// The program exceeds a bound of the engine.
    #[error("The program has {have} {what}, the engine takes {limit}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        have: usize,
        /// How many are possible.
        limit: usize,
    },
}

struct At<'a>(&'a Option<SourceLocation>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(location) => write!(f, " ({location})"),
            None => Ok(()),
        }
    }
}

/// Why a control operation was refused; the engine's state is then as before.
///
/// P4Runtime codes: `NotFound` is NOT_FOUND, `Exists` ALREADY_EXISTS, `Full` RESOURCE_EXHAUSTED,
/// `Const` PERMISSION_DENIED, the others INVALID_ARGUMENT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The object or entry is not there.
    #[error("{what} is not there")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// An entry with this match (and priority) exists.
    #[error("Table {table} already has an entry with this match")]
    Exists {
        /// Table name.
        table: String,
    },
    /// The table, profile or group has no room.
    #[error("{what} is full at {size}")]
    Full {
        /// Table or profile name.
        what: String,
        /// Its size.
        size: usize,
    },
    /// The program declares this as constant.
    #[error("{what} is const in the program")]
    Const {
        /// What cannot be changed.
        what: String,
    },
    /// A number does not fit.
    #[error("{what} has {have} bits, it takes {bits}")]
    TooWide {
        /// Field or parameter name.
        what: String,
        /// Bits that it takes.
        bits: usize,
        /// Bits that the number needs.
        have: usize,
    },
    /// Anything else that does not fit the program.
    #[error("{what}")]
    Invalid {
        /// What is wrong, one sentence.
        what: String,
    },
    /// Something still refers to it.
    #[error("{what} is in use")]
    InUse {
        /// What cannot be removed.
        what: String,
    },
}
