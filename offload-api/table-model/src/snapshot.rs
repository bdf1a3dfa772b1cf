//! A whole state of all tables.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use thiserror::Error;

use crate::{ActionCall, Row, RowKey, TableDelta, TableId, Update};

/// Every row of every table, by key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableSnapshot {
    rows: HashMap<RowKey, ActionCall, FixedState>,
}

/// Why an update does not fit a snapshot. The snapshot is unchanged by the refused update.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ApplyError {
    /// Insert of a key that is there.
    #[error("Insert of a key that table {0:#010x} already has")]
    Exists(u32),
    /// Modify or delete of a key that is not there.
    #[error("Change of a key that table {0:#010x} does not have")]
    Missing(u32),
}

impl TableSnapshot {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What the row with this key does.
    #[must_use]
    pub fn get(&self, key: &RowKey) -> Option<&ActionCall> {
        self.rows.get(key)
    }

    /// Puts a row, whether its key was there or not, and gives back what it replaced.
    pub fn put(&mut self, row: Row) -> Option<ActionCall> {
        self.rows.insert(row.key, row.action)
    }

    /// Takes a row out.
    pub fn take(&mut self, key: &RowKey) -> Option<ActionCall> {
        self.rows.remove(key)
    }

    /// All rows in no order; sort before showing them.
    pub fn iter(&self) -> impl Iterator<Item = (&RowKey, &ActionCall)> {
        self.rows.iter()
    }

    /// Rows of one table sorted by key.
    #[must_use]
    pub fn table(&self, table: TableId) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .iter()
            .filter(|(key, _)| key.table == table)
            .map(|(key, action)| Row {
                key: key.clone(),
                action: action.clone(),
            })
            .collect();
        rows.sort_unstable();
        rows
    }

    /// Applies one update strictly.
    ///
    /// # Errors
    /// The key is there on insert, or is not on modify and delete.
    pub fn apply_update(&mut self, update: Update) -> Result<(), ApplyError> {
        match update {
            Update::Insert(row) => match self.rows.entry(row.key) {
                Entry::Occupied(entry) => Err(ApplyError::Exists(entry.key().table.0)),
                Entry::Vacant(entry) => {
                    entry.insert(row.action);
                    Ok(())
                }
            },
            Update::Modify(row) => match self.rows.get_mut(&row.key) {
                Some(action) => {
                    *action = row.action;
                    Ok(())
                }
                None => Err(ApplyError::Missing(row.key.table.0)),
            },
            Update::Delete(key) => match self.rows.remove(&key) {
                Some(_) => Ok(()),
                None => Err(ApplyError::Missing(key.table.0)),
            },
        }
    }

    /// Applies a delta strictly, phase by phase.
    ///
    /// # Errors
    /// As [`TableSnapshot::apply_update`]; what came before the refused update stays applied.
    pub fn apply(&mut self, delta: TableDelta) -> Result<(), ApplyError> {
        delta
            .phases
            .into_iter()
            .flat_map(|phase| phase.updates)
            .try_for_each(|update| self.apply_update(update))
    }
}

impl FromIterator<Row> for TableSnapshot {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Self {
            rows: rows.into_iter().map(|row| (row.key, row.action)).collect(),
        }
    }
}
