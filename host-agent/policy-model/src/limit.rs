//! Limits of what an endpoint may send and receive (Felix message `QoSControls`).

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// A token bucket, and a second one for the peak if there is one. The unit is the limit's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Limit {
    /// Units a second, in the long run.
    pub rate: NonZeroU64,
    /// Units that may come at once.
    pub burst: NonZeroU64,
    /// Units a second inside a burst, and how many of them may come at once.
    pub peak: Option<(NonZeroU64, NonZeroU64)>,
}

/// Limits of one direction.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct DirectionLimits {
    /// In packets.
    pub packets: Option<Limit>,
    /// In bytes, link-layer headers included.
    pub bytes: Option<Limit>,
}

/// Limits of an endpoint.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Limits {
    /// Towards the workload.
    pub ingress: DirectionLimits,
    /// From the workload.
    pub egress: DirectionLimits,
}

impl DirectionLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.packets.is_none() && self.bytes.is_none()
    }
}
