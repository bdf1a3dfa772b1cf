//! Where the reconciler stands, for readiness, metrics and people.

use table_model::Generation;

use crate::{Refusal, Session};

/// Rows that were found other than desired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drift {
    /// Desired and not there.
    pub missing: u64,
    /// There with another action or other parameters.
    pub changed: u64,
    /// There and not desired.
    pub foreign: u64,
}

impl Drift {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.missing + self.changed + self.foreign
    }

    pub(crate) const fn add(&mut self, other: Self) {
        self.missing += other.missing;
        self.changed += other.changed;
        self.foreign += other.foreign;
    }
}

/// Where the reconciler stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The device is reachable.
    pub connected: bool,
    /// Every table was read over this connection and no answer is uncertain.
    pub read_back: bool,
    /// Whose desired state is enforced; none before the first complete one.
    pub session: Option<Session>,
    /// The newest generation taken in for that session.
    pub desired: Option<Generation>,
    /// The newest generation that was in force as a whole.
    pub enforced: Option<Generation>,
    /// Rows of the enforced generation.
    pub rows: u64,
    /// The device holds the enforced generation, as far as anyone can know without reading again.
    pub in_sync: bool,
    /// Rows are being brought back.
    pub repairing: bool,
    /// Why the desired state could not be brought back, if so.
    pub fault: Option<Refusal>,
    /// The connection epoch in force.
    pub epoch: Option<u16>,
    /// Changes that wait.
    pub queued: usize,
    /// Updates sent since start.
    pub updates: u64,
    /// Updates that failed, were refused or got no answer since start.
    pub failures: u64,
    /// Writes sent since start.
    pub writes: u64,
    /// Tables read since start.
    pub reads: u64,
    /// Passes over all tables in search of drift.
    pub drift_checks: u64,
    /// Drift repaired since start.
    pub drift: Drift,
    /// Updates that restored a device that had lost rows, since start.
    pub restored: u64,
    /// Changes undone since start.
    pub rollbacks: u64,
}
