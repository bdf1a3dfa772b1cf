//! A whole state of all tables.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use thiserror::Error;

use crate::{ActionCall, Row, RowKey, TableDelta, TableId, Update};

type Rows = HashMap<RowKey, ActionCall, FixedState>;

/// Every row of every table, by key.
///
/// Rows are kept table by table, so that counting, listing and replacing one table costs nothing in
/// the size of the others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableSnapshot {
    /// Only tables that have rows, so that equal states compare equal.
    tables: BTreeMap<TableId, Rows>,
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
        self.tables.values().map(Rows::len).sum()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Number of rows of one table.
    #[must_use]
    pub fn table_len(&self, table: TableId) -> usize {
        self.tables.get(&table).map_or(0, Rows::len)
    }

    /// Tables that have rows, in order of their ids.
    pub fn tables(&self) -> impl Iterator<Item = TableId> {
        self.tables.keys().copied()
    }

    /// What the row with this key does.
    #[must_use]
    pub fn get(&self, key: &RowKey) -> Option<&ActionCall> {
        self.tables.get(&key.table)?.get(key)
    }

    /// Puts a row, whether its key was there or not, and gives back what it replaced.
    pub fn put(&mut self, row: Row) -> Option<ActionCall> {
        self.tables
            .entry(row.key.table)
            .or_default()
            .insert(row.key, row.action)
    }

    /// Takes a row out.
    pub fn take(&mut self, key: &RowKey) -> Option<ActionCall> {
        let rows = self.tables.get_mut(&key.table)?;
        let taken = rows.remove(key);
        if rows.is_empty() {
            self.tables.remove(&key.table);
        }
        taken
    }

    /// Moves one table's rows over from `other`, in place of those that are here, and gives back
    /// what was here.
    pub fn replace_table(&mut self, table: TableId, other: &mut Self) -> Self {
        let mut before = Self::new();
        if let Some(rows) = self.tables.remove(&table) {
            before.tables.insert(table, rows);
        }
        if let Some(rows) = other.tables.remove(&table) {
            self.tables.insert(table, rows);
        }
        before
    }

    /// All rows, tables in order of their ids, rows of one table in no order; sort before showing
    /// them.
    pub fn iter(&self) -> impl Iterator<Item = (&RowKey, &ActionCall)> {
        self.tables.values().flatten()
    }

    /// The rows of one table in no order.
    pub fn table_iter(&self, table: TableId) -> impl Iterator<Item = (&RowKey, &ActionCall)> {
        self.tables.get(&table).into_iter().flatten()
    }

    /// Rows of one table sorted by key.
    #[must_use]
    pub fn table(&self, table: TableId) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .table_iter(table)
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
            Update::Insert(row) => {
                let rows = self.tables.entry(row.key.table).or_default();
                match rows.entry(row.key) {
                    Entry::Occupied(entry) => Err(ApplyError::Exists(entry.key().table.0)),
                    Entry::Vacant(entry) => {
                        entry.insert(row.action);
                        Ok(())
                    }
                }
            }
            Update::Modify(row) => {
                let rows = self.tables.get_mut(&row.key.table);
                match rows.and_then(|rows| rows.get_mut(&row.key)) {
                    Some(action) => {
                        *action = row.action;
                        Ok(())
                    }
                    None => Err(ApplyError::Missing(row.key.table.0)),
                }
            }
            Update::Delete(key) => match self.take(&key) {
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
        let mut snapshot = Self::new();
        for row in rows {
            snapshot.put(row);
        }
        snapshot
    }
}
