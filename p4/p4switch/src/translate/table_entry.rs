//! Table entries and their direct counters (P4Runtime 9.1).

use bytes::Bytes;
use p4_engine::{CounterValue, Entry, EntryAction};
use p4runtime_proto::p4::v1::{CounterData, DirectCounterEntry, TableEntry, update::Type};

use super::{
    action::{Place, table_action},
    key::key,
};
use crate::{
    failure::Failure,
    operation::{Extra, Operation, Row},
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
        return default_entry(table, change, &given);
    }
    if table.is_const && (change != Type::Modify || given.action.is_some()) {
        return Err(Failure::denied(format!(
            "Table {} has const entries",
            table.name
        )));
    }
    if change == Type::Delete {
        let key = key(table, &given.r#match, given.priority)?;
        return Ok(Operation::Delete {
            table: table.index,
            key,
        });
    }
    direct_resources(table, &given)?;
    let key = key(table, &given.r#match, given.priority)?;
    let action = given
        .action
        .as_ref()
        .map(|action| table_action(table, action, Place::Entry))
        .transpose()?
        .map(EntryAction::Call);
    let counter = given.counter_data.as_ref().map(counter_value).transpose()?;
    let extra = extra(&given);
    match (change, action) {
        (Type::Insert, Some(action)) => Ok(Operation::Insert {
            table: table.index,
            entry: Entry {
                key: key.parts,
                priority: key.priority,
                action,
            },
            extra,
            counter,
        }),
        (Type::Insert, None) => Err(Failure::invalid(format!(
            "The new entry of table {} has no action",
            table.name
        ))),
        (_, action) => Ok(Operation::Modify {
            table: table.index,
            key,
            action,
            extra,
            counter,
        }),
    }
}

fn default_entry(table: &Table, change: Type, given: &TableEntry) -> Result<Operation, Failure> {
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
    if !table.direct {
        return Err(Failure::denied(format!(
            "Table {} has an action profile, so its default entry is NoAction for good",
            table.name
        )));
    }
    if given.idle_timeout_ns != 0 {
        return Err(Failure::invalid("A default entry has no idle timeout"));
    }
    direct_resources(table, given)?;
    let call = given
        .action
        .as_ref()
        .map(|action| table_action(table, action, Place::Default))
        .transpose()?;
    // A reset takes everything back, whatever else the update says.
    let reset = call.is_none();
    Ok(Operation::Default {
        table: table.index,
        call,
        extra: if reset {
            Extra::default()
        } else {
            extra(given)
        },
        counter: given.counter_data.as_ref().map(counter_value).transpose()?,
    })
}

/// Refuses what the table has not or this server does not do.
fn direct_resources(table: &Table, given: &TableEntry) -> Result<(), Failure> {
    let name = &table.name;
    if given.time_since_last_hit.is_some() {
        return Err(Failure::invalid("time_since_last_hit cannot be written"));
    }
    if given.idle_timeout_ns != 0 {
        return Err(if table.idle_timeout {
            Failure::unimplemented(format!(
                "Idle timeouts, which table {name} asks for, are not supported by this server"
            ))
        } else {
            Failure::invalid(format!("Table {name} does not support idle timeouts"))
        });
    }
    if given.meter_config.is_some() || given.meter_counter_data.is_some() {
        return Err(if table.metered {
            Failure::unimplemented(format!(
                "The direct meter of table {name} cannot be programmed by this server"
            ))
        } else {
            Failure::invalid(format!("Table {name} has no direct meter"))
        });
    }
    if given.counter_data.is_some() && !table.counted {
        return Err(no_counter(table));
    }
    Ok(())
}

fn no_counter(table: &Table) -> Failure {
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
    let row = row(table, entry)?;
    let value = given.data.as_ref().map(counter_value).transpose()?;
    Ok(Operation::DirectCounter {
        table: table.index,
        row,
        value,
    })
}

/// The row of a direct counter.
pub(super) fn row(table: &Table, entry: &TableEntry) -> Result<Row, Failure> {
    if !table.counted {
        return Err(no_counter(table));
    }
    if !entry.is_default_action {
        return key(table, &entry.r#match, entry.priority).map(Row::Entry);
    }
    if !entry.r#match.is_empty() || entry.priority != 0 {
        return Err(Failure::invalid(
            "A default entry takes neither match nor priority",
        ));
    }
    Ok(Row::Default)
}

fn extra(given: &TableEntry) -> Extra {
    #[expect(deprecated, reason = "older controllers keep their cookie there")]
    let controller_metadata = given.controller_metadata;
    // A copy, so that a few bytes do not keep the whole request in memory.
    Extra {
        metadata: Bytes::copy_from_slice(&given.metadata),
        controller_metadata,
    }
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
