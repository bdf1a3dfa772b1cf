//! Why a packet went where it went.

use serde::Serialize;

/// What dropped a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// `mark_to_drop` (or the drop port) at the end of ingress.
    IngressDrop,
    /// `mark_to_drop` (or the drop port) at the end of egress.
    EgressDrop,
    /// The multicast group has no member or does not exist.
    NoReplica,
    /// The packet went round more often than the engine allows.
    PassLimit,
    /// The packet ran more operations than the engine allows.
    StepLimit,
    /// `assert` or `assume` did not hold.
    Assertion,
}

/// One step of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[non_exhaustive]
pub enum TraceEvent {
    /// The packet is gone.
    Dropped {
        /// Why.
        reason: DropReason,
    },
    /// A frame left.
    Sent {
        /// Port.
        port: u16,
        /// Length in bytes.
        length: usize,
    },
}

/// All steps of a packet, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// The steps.
    pub events: Vec<TraceEvent>,
}
