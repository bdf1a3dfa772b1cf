//! Steps: what a row should be, whatever it is now.

use std::collections::{BTreeMap, HashMap};

use table_model::{
    ActionCall, Phase, Row, RowKey, Schema, SchemaError, TableDelta, TableId, TableSnapshot, Update,
};

use crate::{Drift, Refusal};

/// One row's wanted state.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) key: RowKey,
    /// `None`: the row goes.
    pub(crate) want: Option<ActionCall>,
}

impl Step {
    /// The update that takes the row from what is there to what is wanted, if they differ.
    pub(crate) fn update(&self, there: Option<&ActionCall>) -> Option<Update> {
        match (&self.want, there) {
            (Some(want), Some(there)) if want == there => None,
            (Some(want), there) => {
                let row = Row {
                    key: self.key.clone(),
                    action: want.clone(),
                };
                Some(match there {
                    Some(_) => Update::Modify(row),
                    None => Update::Insert(row),
                })
            }
            (None, Some(_)) => Some(Update::Delete(self.key.clone())),
            (None, None) => None,
        }
    }
}

impl From<Update> for Step {
    fn from(update: Update) -> Self {
        match update {
            Update::Insert(row) | Update::Modify(row) => Self {
                key: row.key,
                want: Some(row.action),
            },
            Update::Delete(key) => Self { key, want: None },
        }
    }
}

pub(crate) type Steps = Vec<Vec<Step>>;

pub(crate) fn steps(phases: Vec<Phase>) -> Steps {
    phases
        .into_iter()
        .map(|phase| phase.updates.into_iter().map(Step::from).collect())
        .collect()
}

/// What takes `observed` to `desired`, new things first.
pub(crate) fn subtract(
    schema: &Schema,
    desired: &TableSnapshot,
    observed: &TableSnapshot,
) -> Result<(Steps, Drift), SchemaError> {
    let phases = table_model::diff(schema, desired, observed)?;
    let mut drift = Drift::default();
    for update in phases.iter().flat_map(|phase| &phase.updates) {
        match update {
            Update::Insert(_) => drift.missing += 1,
            Update::Modify(_) => drift.changed += 1,
            Update::Delete(_) => drift.foreign += 1,
        }
    }
    Ok((steps(phases), drift))
}

/// The same steps with those first that make room. Only for a device that holds rows nobody asked
/// for and has no room left: packets may then miss rows for a moment.
pub(crate) fn make_room_first(steps: Steps) -> Steps {
    let (deletes, puts): (Steps, Steps) = steps
        .into_iter()
        .partition(|phase| phase.first().is_some_and(|step| step.want.is_none()));
    deletes.into_iter().chain(puts).collect()
}

/// Whether a delta fits the state that it claims to start from: inserts what is absent, changes what
/// is present. A delta that does not was made from another state than the one held here.
pub(crate) fn fits(
    schema: &Schema,
    held: &TableSnapshot,
    delta: &TableDelta,
) -> Result<(), String> {
    let mut touched: HashMap<&RowKey, bool> = HashMap::new();
    for update in delta.phases.iter().flat_map(|phase| &phase.updates) {
        let key = update.key();
        let table = schema.table(key.table).map_err(|error| error.to_string())?;
        let there = touched
            .get(key)
            .copied()
            .unwrap_or_else(|| held.get(key).is_some());
        let (fits, after) = match update {
            Update::Insert(_) => (!there, true),
            Update::Modify(_) => (there, true),
            Update::Delete(_) => (there, false),
        };
        // A table without match fields has its row always.
        if !fits && !table.fields.is_empty() {
            return Err(format!(
                "Delta {} {} a row that table {} {}",
                delta.generation.0,
                if there { "inserts" } else { "changes" },
                table.name,
                if there { "has" } else { "does not have" },
            ));
        }
        touched.insert(key, after);
    }
    Ok(())
}

/// Checks that every table has room at the worst moment of every phase, all inserts of a phase
/// before all its deletes.
pub(crate) fn check_room(
    schema: &Schema,
    limits: &BTreeMap<TableId, u64>,
    observed: &TableSnapshot,
    steps: &Steps,
) -> Result<(), Refusal> {
    let mut held: BTreeMap<TableId, u64> = BTreeMap::new();
    let mut moved: HashMap<&RowKey, bool> = HashMap::new();
    for phase in steps {
        let mut change: BTreeMap<TableId, (u64, u64)> = BTreeMap::new();
        for step in phase {
            let there = moved
                .get(&step.key)
                .copied()
                .unwrap_or_else(|| observed.get(&step.key).is_some());
            let wanted = step.want.is_some();
            if there != wanted {
                let (inserts, deletes) = change.entry(step.key.table).or_default();
                *(if wanted { inserts } else { deletes }) += 1;
                moved.insert(&step.key, wanted);
            }
        }
        for (table, (inserts, deletes)) in change {
            let start = observed.table_len(table) as u64;
            let now = held.entry(table).or_insert(start);
            let limit = limits.get(&table).copied().unwrap_or(u64::MAX);
            let peak = *now + inserts;
            if inserts > 0 && peak > limit && !schema.table(table)?.fields.is_empty() {
                return Err(full(
                    schema,
                    table,
                    peak.saturating_sub(start),
                    limit,
                    start,
                ));
            }
            *now = peak - deletes.min(peak);
        }
    }
    Ok(())
}

pub(crate) fn full(schema: &Schema, table: TableId, need: u64, limit: u64, held: u64) -> Refusal {
    Refusal::Full {
        table,
        name: name(schema, table),
        need,
        free: limit.saturating_sub(held),
    }
}

pub(crate) fn name(schema: &Schema, table: TableId) -> String {
    schema
        .table(table)
        .map_or_else(|_| format!("{:#010x}", table.0), |table| table.name.clone())
}
