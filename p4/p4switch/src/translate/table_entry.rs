//! Table entries and their direct counters (P4Runtime 9.1).

use bytes::Bytes;
use p4_engine::{CounterValue, Entry, EntryAction, MeterConfig};
use p4runtime_proto::p4::v1::{CounterData, DirectCounterEntry, TableEntry, update::Type};

use super::{
    action::{Does, Place, table_action},
    key::key,
    meter,
};
use crate::{
    failure::Failure,
    operation::{Beside, Extra, Operation, Row},
    pipeline::{Pipeline, Table},
};

/// The table that an entity names.
pub(super) fn table(pipeline: &Pipeline, id: u32) -> Result<&Table, Failure> {
    if id == 0 {
        return Err(Failure::invalid("The table id is missing"));
    }
    pipeline
        .table(id)
        .ok_or_else(|| Failure::invalid(format!("There is no table {}", pipeline.describe(id))))
}

/// An update of a table entry.
pub(super) fn update(
    pipeline: &Pipeline,
    change: Type,
    given: TableEntry,
) -> Result<Operation, Failure> {
    let table = table(pipeline, given.table_id)?;
    if given.is_const {
        return Err(Failure::invalid(
            "An entry with is_const set cannot be written",
        ));
    }
    if given.is_default_action {
        return default_entry(pipeline, table, change, &given);
    }
    if table.is_const && (change != Type::Modify || given.action.is_some()) {
        return Err(Failure::denied(format!(
            "Table {} has const entries",
            table.name
        )));
    }
    if change == Type::Delete {
        let key = key(table, &given.r#match, given.priority, false)?;
        return Ok(Operation::Delete {
            table: table.index,
            key,
        });
    }
    check_fields(table, &given)?;
    let allocate = change == Type::Insert;
    let key = key(table, &given.r#match, given.priority, allocate)?;
    let does = given
        .action
        .as_ref()
        .map(|action| table_action(pipeline, table, action, Place::Entry))
        .transpose()?;
    let (action, set) = match does {
        Some(Does::Action(action)) => (Some(action), None),
        // The switch makes the group.
        Some(Does::Set(set)) => (Some(EntryAction::Group(0)), Some(set)),
        None => (None, None),
    };
    let extra = extra(&given);
    // Most entries have nothing of it, so that is decided first.
    let plain = extra.is_none()
        && set.is_none()
        && given.counter_data.is_none()
        && given.meter_config.is_none();
    let beside = if plain {
        None
    } else {
        Some(Box::new(Beside {
            extra: extra.unwrap_or_default(),
            counter: given.counter_data.as_ref().map(counter_value).transpose()?,
            meter: meter_config(table, &given)?,
            set,
        }))
    };
    match (change, action) {
        (Type::Insert, Some(action)) => Ok(Operation::Insert {
            table: table.index,
            entry: Entry {
                key: key.parts,
                priority: key.priority,
                action,
            },
            beside,
        }),
        (Type::Insert, None) => Err(Failure::invalid(format!(
            "The new entry of table {} has no action",
            table.name
        ))),
        (_, action) => Ok(Operation::Modify {
            table: table.index,
            key,
            action,
            beside,
        }),
    }
}

fn meter_config(table: &Table, given: &TableEntry) -> Result<Option<MeterConfig>, Failure> {
    let Some(given) = &given.meter_config else {
        return Ok(None);
    };
    meter::config(&table.name, meter::rates(table)?, given).map(Some)
}

fn default_entry(
    pipeline: &Pipeline,
    table: &Table,
    change: Type,
    given: &TableEntry,
) -> Result<Operation, Failure> {
    if change != Type::Modify {
        return Err(Failure::invalid(format!(
            "The default entry of table {} is always there; it can only be modified",
            table.name
        )));
    }
    if !given.r#match.is_empty() || given.priority != 0 {
        return Err(Failure::invalid(format!(
            "The default entry of table {} takes neither match nor priority",
            table.name
        )));
    }
    if table.const_default {
        return Err(Failure::denied(format!(
            "Table {} has a const default action",
            table.name
        )));
    }
    if table.profile.is_some() {
        return Err(Failure::denied(format!(
            "Table {} has an action profile, so its default entry is NoAction for good",
            table.name
        )));
    }
    if given.idle_timeout_ns != 0 {
        return Err(Failure::invalid("A default entry has no idle timeout"));
    }
    check_fields(table, given)?;
    let does = given
        .action
        .as_ref()
        .map(|action| table_action(pipeline, table, action, Place::Default))
        .transpose()?;
    let call = match does {
        Some(Does::Action(EntryAction::Call(call))) => Some(call),
        // Tables with a profile were refused above.
        _ => None,
    };
    // A reset takes everything back, whatever else the update says.
    let beside = Beside {
        extra: match call {
            Some(_) => extra(given).unwrap_or_default(),
            None => Extra::default(),
        },
        counter: given.counter_data.as_ref().map(counter_value).transpose()?,
        meter: meter_config(table, given)?,
        set: None,
    };
    Ok(Operation::Default {
        table: table.index,
        call,
        beside: (beside != Beside::default()).then(|| Box::new(beside)),
    })
}

/// Refuses what the table has not.
fn check_fields(table: &Table, given: &TableEntry) -> Result<(), Failure> {
    let name = &table.name;
    if given.time_since_last_hit.is_some() {
        return Err(Failure::invalid("time_since_last_hit cannot be written"));
    }
    if given.idle_timeout_ns < 0 {
        return Err(Failure::invalid("The idle timeout is negative"));
    }
    if given.idle_timeout_ns != 0 && !table.idle_timeout {
        return Err(no_idle_timeout(table));
    }
    if given.meter_config.is_some() {
        meter::rates(table)?;
    }
    if given.meter_counter_data.is_some() && table.metered.is_none() {
        return Err(Failure::invalid(format!(
            "Table {name} has no direct meter"
        )));
    }
    meter::no_counters(given.meter_counter_data.is_some())?;
    if given.counter_data.is_some() && !table.counted {
        return Err(no_counter(table));
    }
    Ok(())
}

pub(super) fn no_idle_timeout(table: &Table) -> Failure {
    Failure::invalid(format!(
        "Table {} does not support idle timeouts (support_timeout = true)",
        table.name
    ))
}

pub(super) fn no_counter(table: &Table) -> Failure {
    Failure::invalid(format!("Table {} has no direct counter", table.name))
}

/// An update of a direct counter.
pub(super) fn direct_counter(
    pipeline: &Pipeline,
    change: Type,
    given: &DirectCounterEntry,
) -> Result<Operation, Failure> {
    if change != Type::Modify {
        return Err(Failure::invalid("A direct counter can only be modified"));
    }
    let Some(entry) = &given.table_entry else {
        return Err(Failure::invalid("The direct counter names no table entry"));
    };
    let table = table(pipeline, entry.table_id)?;
    if !table.counted {
        return Err(no_counter(table));
    }
    let row = row(table, entry)?;
    let value = given.data.as_ref().map(counter_value).transpose()?;
    Ok(Operation::DirectCounter {
        table: table.index,
        row,
        value,
    })
}

/// The row of a direct counter or meter.
pub(super) fn row(table: &Table, entry: &TableEntry) -> Result<Row, Failure> {
    if !entry.is_default_action {
        return key(table, &entry.r#match, entry.priority, false).map(Row::Entry);
    }
    if !entry.r#match.is_empty() || entry.priority != 0 {
        return Err(Failure::invalid(
            "A default entry takes neither match nor priority",
        ));
    }
    Ok(Row::Default)
}

/// `None` if there is nothing of it, as in most entries.
fn extra(given: &TableEntry) -> Option<Extra> {
    #[expect(deprecated, reason = "older controllers keep their cookie there")]
    let controller_metadata = given.controller_metadata;
    if given.metadata.is_empty() && controller_metadata == 0 && given.idle_timeout_ns == 0 {
        return None;
    }
    // A copy, so that a few bytes do not keep the whole request in memory.
    Some(Extra {
        metadata: Bytes::copy_from_slice(&given.metadata),
        controller_metadata,
        idle_timeout_ns: given.idle_timeout_ns,
    })
}

/// The value of a counter cell.
pub(super) fn counter_value(given: &CounterData) -> Result<CounterValue, Failure> {
    let cell = |count: i64| {
        u64::try_from(count).map_err(|_| Failure::invalid("A counter cannot be negative"))
    };
    Ok(CounterValue {
        packets: cell(given.packet_count)?,
        bytes: cell(given.byte_count)?,
    })
}
