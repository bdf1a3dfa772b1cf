//! What is not enforced exactly, and why.

mod after;
mod find;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Direction, HostEndpointId, IpSetId, PolicyId, ProfileId, WorkloadId};

/// What a refusal is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Subject {
    /// A policy.
    Policy(PolicyId),
    /// A profile.
    Profile(ProfileId),
    /// A workload endpoint.
    Workload(WorkloadId),
    /// A host endpoint.
    HostEndpoint(HostEndpointId),
    /// A set.
    IpSet(IpSetId),
    /// A configuration parameter, by its canonical name.
    Config(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(id) => write!(f, "policy {id}"),
            Self::Profile(id) => write!(f, "profile {id}"),
            Self::Workload(id) => write!(f, "workload endpoint {id}"),
            Self::HostEndpoint(id) => write!(f, "host endpoint {id}"),
            Self::IpSet(id) => write!(f, "IP set {id}"),
            Self::Config(name) => write!(f, "configuration parameter {name}"),
        }
    }
}

/// Why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RefusalReason {
    /// A part that could not be understood; the text names field and value.
    Invalid(String),
    /// An HTTP match, which an L3/L4 device cannot judge.
    HttpMatch,
    /// A policy, profile or set that is named but was never sent.
    Missing(Subject),
    /// A policy kind of a newer release.
    UnknownKind(String),
    /// A feature that this release does not enforce.
    Unsupported(String),
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(what) => write!(f, "not understood: {what}"),
            Self::HttpMatch => f.write_str("an HTTP match cannot be judged at L3/L4"),
            Self::Missing(subject) => write!(f, "{subject} is named but was never sent"),
            Self::UnknownKind(kind) => write!(f, "the policy kind {kind} is not known"),
            Self::Unsupported(what) => write!(f, "not enforced in this release: {what}"),
        }
    }
}

/// One thing that is not enforced exactly.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// About what.
    pub subject: Subject,
    /// Direction, if only one is concerned.
    pub direction: Option<Direction>,
    /// Place of the rule in its list, if one rule is the cause.
    pub rule: Option<usize>,
    /// Why.
    pub reason: RefusalReason,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.subject)?;
        match self.direction {
            Some(Direction::Ingress) => f.write_str(", ingress")?,
            Some(Direction::Egress) => f.write_str(", egress")?,
            None => {}
        }
        if let Some(rule) = self.rule {
            write!(f, ", rule {rule}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

#[cfg(test)]
mod tests;
