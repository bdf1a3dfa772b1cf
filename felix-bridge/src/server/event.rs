//! What the server tells its consumer.

use policy_model::Update;

use crate::convert::Problem;
use crate::link::SessionId;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A whole state, `InSync` last: it replaces everything that was handed on before. Comes when a
    /// session's snapshot is complete, and at the start from the journal.
    Snapshot {
        /// The session.
        session: SessionId,
        /// Not from Felix but from the journal of the run before.
        from_journal: bool,
        /// The sequence number that comes next.
        next: u64,
        /// The state.
        updates: Vec<Update>,
        /// What of it could not be understood or is not enforced.
        problems: Vec<Problem>,
    },
    /// Changes, in order.
    Updates {
        /// The session.
        session: SessionId,
        /// The sequence number that comes next.
        next: u64,
        /// The changes.
        updates: Vec<Update>,
        /// What of them could not be understood or is not enforced.
        problems: Vec<Problem>,
    },
    /// A relay is there. What is enforced does not change by that.
    SessionStarted {
        /// The session.
        session: SessionId,
        /// The sequence number at which it goes on: 0 for a new one.
        resumed_at: u64,
    },
    /// A relay has gone. What is enforced stays.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// Why, for the log.
        reason: String,
    },
}
