//! What is not enforced exactly, and why.

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
