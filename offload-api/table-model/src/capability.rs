//! What a target can do, declared by its back end and read by the compiler and the reconciler.

use serde::{Deserialize, Serialize};

use crate::{TableId, TableSchema};

/// How a pointer row changes from one target to another without a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Flip {
    /// Entries can be modified in place.
    Modify,
    /// A longer prefix is inserted over the old entry, then the old one goes.
    ShadowInsert,
    /// Only default actions can be modified.
    DefaultAction,
}

/// What a batch promises to packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Atomicity {
    /// Nothing: packets may see any prefix, and errors leave the rest applied.
    ContinueOnError,
    /// All or nothing, but packets may see a part in between.
    RollbackOnError,
    /// All or nothing, and no packet sees a part.
    Dataplane,
}

/// Entries that a table really holds on this target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableLimit {
    /// Table.
    pub table: TableId,
    /// Entries.
    pub entries: u64,
}

/// The record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Capability {
    /// Name of the back end and what it talks to, for people.
    pub target: String,
    /// How pointers flip.
    pub flip: Flip,
    /// Best promise that a batch gets.
    pub atomicity: Atomicity,
    /// Updates that one write should carry.
    pub batch: usize,
    /// Limits that differ from the schema's sizes.
    pub limits: Vec<TableLimit>,
}

impl Capability {
    /// Entries that `table` holds on this target: its own limit where it has one, else the schema's
    /// size. A limit above the schema's size does not count, for the compiler only knows the schema.
    #[must_use]
    pub fn entries(&self, table: &TableSchema) -> u64 {
        self.limits
            .iter()
            .find(|limit| limit.table == table.id)
            .map_or(table.size, |limit| limit.entries.min(table.size))
    }
}
