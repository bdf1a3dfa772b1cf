//! Subtraction of snapshots, and the order of writes.

use crate::{Phase, Rank, Row, Schema, SchemaError, TableSnapshot, Update};

/// Updates that turn `observed` into `desired`, in [`sequence`]d phases.
///
/// # Errors
/// A row of a table that the schema does not have.
pub fn diff(
    schema: &Schema,
    desired: &TableSnapshot,
    observed: &TableSnapshot,
) -> Result<Vec<Phase>, SchemaError> {
    let mut updates = Vec::new();
    for (key, action) in desired.iter() {
        let row = || Row {
            key: key.clone(),
            action: action.clone(),
        };
        match observed.get(key) {
            None => updates.push(Update::Insert(row())),
            Some(there) if there != action => updates.push(Update::Modify(row())),
            Some(_) => {}
        }
    }
    for (key, _) in observed.iter() {
        if desired.get(key).is_none() {
            updates.push(Update::Delete(key.clone()));
        }
    }
    sequence(schema, updates)
}

/// Sorts updates into phases: what nothing refers to yet first, then labels, then pointers; removals
/// the other way round. Inside a phase updates are sorted by key, so equal input gives equal output.
///
/// # Errors
/// A row of a table that the schema does not have.
pub fn sequence(schema: &Schema, updates: Vec<Update>) -> Result<Vec<Phase>, SchemaError> {
    const RANKS: [Rank; 3] = [Rank::Body, Rank::Label, Rank::Pointer];
    let mut puts: [Vec<Update>; 3] = Default::default();
    let mut deletes: [Vec<Update>; 3] = Default::default();
    for update in updates {
        let rank = schema.table(update.key().table)?.rank;
        let slot = RANKS.iter().position(|r| *r == rank).unwrap_or_default();
        match update {
            Update::Delete(_) => deletes[slot].push(update),
            Update::Insert(_) | Update::Modify(_) => puts[slot].push(update),
        }
    }
    Ok(puts
        .into_iter()
        .chain(deletes.into_iter().rev())
        .filter(|updates| !updates.is_empty())
        .map(|mut updates| {
            updates.sort_unstable_by(|a, b| a.key().cmp(b.key()));
            Phase { updates }
        })
        .collect())
}
