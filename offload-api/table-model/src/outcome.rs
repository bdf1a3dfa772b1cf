//! What became of updates that were sent to a device.

use std::sync::Arc;

/// What became of one update.
///
/// Four answers are certain: the device has spoken and its state is known. [`Outcome::Failed`] and
/// [`Outcome::Lost`] are not: the update may have been applied, and only reading back tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Applied.
    Ok,
    /// Insert of a key that the device already has (P4Runtime: `ALREADY_EXISTS`).
    Exists,
    /// Modify or delete of a key that the device does not have (P4Runtime: `NOT_FOUND`).
    Missing,
    /// The update's table has no room (P4Runtime: `RESOURCE_EXHAUSTED`).
    Full,
    /// The device will never take this update (P4Runtime: `INVALID_ARGUMENT`,
    /// `PERMISSION_DENIED`, `UNIMPLEMENTED`); the text is the device's own.
    Refused(Arc<str>),
    /// The device failed for a reason that it does not give (bmv2: `UNKNOWN`), or a fault was
    /// injected.
    Failed(Arc<str>),
    /// The connection broke before an answer came.
    Lost(Arc<str>),
}

impl Outcome {
    /// Whether the update is in force.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// What became of a write: one outcome for each update, in the order of the updates.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WriteReport {
    /// The outcomes.
    pub outcomes: Vec<Outcome>,
}

impl WriteReport {
    /// The report of a write of `count` updates that were all applied.
    #[must_use]
    pub fn applied(count: usize) -> Self {
        Self::all(count, Outcome::Ok)
    }

    /// The report of a write in which every update had the same outcome.
    #[must_use]
    pub fn all(count: usize, outcome: Outcome) -> Self {
        Self {
            outcomes: vec![outcome; count],
        }
    }

    /// Whether every update was applied.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_applied)
    }
}
