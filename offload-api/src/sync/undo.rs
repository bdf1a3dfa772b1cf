//! What rows were before a run of changes.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use table_model::{ActionCall, Row, RowKey, TableSnapshot, Update};

/// For each row that changed since a generation, what it was at that generation. Rows that are
/// again what they were are not held, so this never outgrows the two states that it stands between.
#[derive(Clone, Debug, Default)]
pub(super) struct Undo {
    before: HashMap<RowKey, Option<ActionCall>, FixedState>,
}

impl Undo {
    /// Applies an update to `state`, remembering what was there.
    pub(super) fn apply(&mut self, state: &mut TableSnapshot, update: &Update) {
        let was = match update {
            Update::Insert(row) | Update::Modify(row) => state.put(row.clone()),
            Update::Delete(key) => state.take(key),
        };
        let key = update.key();
        let now = state.get(key);
        match self.before.get(key) {
            Some(before) if before.as_ref() == now => {
                self.before.remove(key);
            }
            Some(_) => {}
            None if was.as_ref() == now => {}
            None => {
                self.before.insert(key.clone(), was);
            }
        }
    }

    /// Puts an older run of changes in front of this one.
    pub(super) fn precede(&mut self, older: Self, state: &TableSnapshot) {
        for (key, before) in older.before {
            if state.get(&key) == before.as_ref() {
                self.before.remove(&key);
            } else {
                self.before.insert(key, before);
            }
        }
    }

    /// The updates that lead from the state before to `state`, in no order.
    pub(super) fn updates(&self, state: &TableSnapshot) -> Vec<Update> {
        self.before
            .iter()
            .filter_map(|(key, before)| {
                let row = |action: &ActionCall| Row {
                    key: key.clone(),
                    action: action.clone(),
                };
                match (before, state.get(key)) {
                    (None, Some(action)) => Some(Update::Insert(row(action))),
                    (Some(_), Some(action)) => Some(Update::Modify(row(action))),
                    (Some(_), None) => Some(Update::Delete(key.clone())),
                    (None, None) => None,
                }
            })
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.before.len()
    }
}
