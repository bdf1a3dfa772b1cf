//! What goes into the reconciler and what comes out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use table_model::{
    Capability, Generation, Row, TableDelta, TableId, TableSnapshot, Update, WriteReport,
};

use crate::Drift;

/// Names one run of a host agent; generations count within a session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Session(pub Arc<str>);

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The device is reachable, we are its writer and the pipeline is in place.
    Connected(Capability),
    /// The device is lost; whatever was under way has no answer.
    Lost,
    /// Rows of the table whose read is under way.
    Rows(Vec<Row>),
    /// The read under way is over; on an error its rows are void.
    ReadEnd(Result<(), String>),
    /// The write under way is over.
    Written(WriteReport),
    /// A host opened a stream; it is answered by [`Report::Welcome`] or [`Report::Resync`] as soon as
    /// no change of a stream before it is under way. Changes of streams before it that wait are
    /// dropped: the host will give them again.
    Hello(Session),
    /// A host gave a complete desired state.
    Snapshot {
        /// Whose.
        session: Session,
        /// Its generation.
        generation: Generation,
        /// All rows.
        rows: TableSnapshot,
    },
    /// A host gave a change of the desired state.
    Delta {
        /// Whose.
        session: Session,
        /// The change.
        delta: TableDelta,
    },
    /// Someone wants all connections forgotten.
    FlushConnections,
    /// Someone wants the device read and compared now.
    CheckDrift,
    /// Time has passed.
    Tick,
}

/// The next thing to do.
#[derive(Debug)]
pub enum Output {
    /// Read this table; answer with [`Input::Rows`] any number of times, then [`Input::ReadEnd`].
    Read(TableId),
    /// Write these updates, in any order among themselves; answer with [`Input::Written`].
    Write(Arc<[Update]>),
    /// Tell whom it concerns; needs no answer.
    Report(Report),
}

/// News.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// A generation is in force, all of it.
    Enforced {
        /// Whose.
        session: Session,
        /// Which.
        generation: Generation,
        /// Updates that the device took.
        written: u64,
        /// Rows that were right already.
        unchanged: u64,
        /// Time since it was asked for, waiting included.
        took: Duration,
    },
    /// A generation is not in force, none of it; what was before still is.
    Refused {
        /// Whose.
        session: Session,
        /// Which.
        generation: Generation,
        /// Why.
        reason: Refusal,
    },
    /// A host that opened a stream can go on with deltas.
    Welcome {
        /// Whose.
        session: Session,
        /// From this generation, which is enforced.
        generation: Generation,
    },
    /// Nothing is held that this host could build on; only a snapshot helps.
    Resync {
        /// Whose.
        session: Session,
        /// Why.
        reason: Desync,
        /// The newest generation taken in, of any session; the snapshot must go beyond it.
        generation: Generation,
    },
    /// A device that had lost rows has them back.
    Restored {
        /// Updates that it took.
        written: u64,
        /// Time since the device was reachable again.
        took: Duration,
    },
    /// Rows had changed behind our back and are right again.
    DriftRepaired(Drift),
    /// The desired state cannot be brought back; tried again on the slow timer.
    RepairFailed {
        /// Why.
        reason: Refusal,
    },
    /// All connections are forgotten.
    Flushed {
        /// The epoch now in force.
        epoch: u16,
    },
    /// Connections were not forgotten.
    FlushRefused {
        /// Why, for people.
        reason: String,
    },
}

/// Why a generation is not enforced.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// A generation that is not newer than the one held.
    #[error("Generation {} is stale, {} is held", given.0, have.0)]
    Stale {
        /// The generation that came.
        given: Generation,
        /// The newest one taken in.
        have: Generation,
    },
    /// A newer snapshot came while this waited.
    #[error("A newer snapshot took its place")]
    Superseded,
    /// A table has no room. Rows are replaced by inserting the new ones before the old ones go, so a
    /// change can need more room than its result.
    #[error("Table {name} has room for {free} more rows, {need} are needed")]
    Full {
        /// The table.
        table: TableId,
        /// Its name.
        name: String,
        /// Rows that the change adds before it removes any.
        need: u64,
        /// Rows that the table could take before the change.
        free: u64,
    },
    /// The device refuses a row, or failed to take it many times.
    #[error("The device does not take a row of table {name}: {text}")]
    Device {
        /// The table.
        table: TableId,
        /// Its name.
        name: String,
        /// The device's words.
        text: String,
    },
    /// Rows that the schema does not have.
    #[error("{0}")]
    Schema(#[from] table_model::SchemaError),
}

/// Why a host has to send a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Desync {
    /// This agent was started anew.
    #[error("No desired state is held yet")]
    NoState,
    /// The state held is another session's.
    #[error("The state held belongs to session {held}")]
    OtherSession {
        /// Whose it is.
        held: Session,
    },
    /// A delta does not continue the generation held.
    #[error("The delta continues generation {}, {} is held", base.0, held.0)]
    Base {
        /// The delta's.
        base: Generation,
        /// The one held.
        held: Generation,
    },
    /// A delta inserts what is there or changes what is not.
    #[error("{0}")]
    Misfit(String),
}
