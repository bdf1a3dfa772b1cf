//! Changes to tables, in phases.

use serde::{Deserialize, Serialize};

use crate::{Row, RowKey};

/// Counts the states that a host has asked for; grows by one with each delta.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One row written or removed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Update {
    /// The key was absent.
    Insert(Row),
    /// The key is present with another action or other parameters.
    Modify(Row),
    /// The key is present and goes.
    Delete(RowKey),
}

impl Update {
    /// The key that this update touches.
    #[must_use]
    pub fn key(&self) -> &RowKey {
        match self {
            Self::Insert(row) | Self::Modify(row) => &row.key,
            Self::Delete(key) => key,
        }
    }
}

/// Updates that may reach the device in any order among themselves.
///
/// Between two phases stands a write boundary: every update of the earlier one is in force before
/// the first of the later one is sent (P4Runtime 1.4, clause 12.2: a server may reorder inside one
/// Write).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Phase {
    /// The updates; no two with the same key.
    pub updates: Vec<Update>,
}

/// What changes from generation `base` to `generation`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TableDelta {
    /// The generation that this delta starts from.
    pub base: Generation,
    /// The generation that it makes.
    pub generation: Generation,
    /// In order; empty phases are left out.
    pub phases: Vec<Phase>,
}

impl TableDelta {
    /// Number of updates in all phases.
    #[must_use]
    pub fn len(&self) -> usize {
        self.phases.iter().map(|phase| phase.updates.len()).sum()
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.phases.iter().all(|phase| phase.updates.is_empty())
    }
}
