//! One entity of a Read (P4Runtime 13; wildcards of tables 9.1.5).

use p4runtime_proto::p4::v1::{
    DirectCounterEntry, Entity, TableEntry, entity::Entity as Kind,
    packet_replication_engine_entry::Type as Replication, table_action,
};

use super::{action, array, key, replication, table_entry, update::unimplemented};
use crate::{
    failure::Failure,
    operation::{Cells, Filter, Query, View},
    pipeline::{Pipeline, Table},
};

/// Checks an entity against the pipeline and puts it in the engine's terms.
pub(crate) fn query(pipeline: &Pipeline, given: Entity) -> Result<Query, Failure> {
    match given
        .entity
        .ok_or_else(|| Failure::invalid("The entity to read has no kind"))?
    {
        Kind::TableEntry(entry) => entries(pipeline, &entry),
        Kind::DirectCounterEntry(entry) => direct_counters(pipeline, &entry),
        Kind::CounterEntry(entry) => {
            if entry.counter_id == 0 {
                let counters = pipeline
                    .counters
                    .iter()
                    .map(|counter| counter.index)
                    .collect();
                return Ok(Query::Counters {
                    counters,
                    cells: Cells::All,
                });
            }
            let counter = array::counter(pipeline, entry.counter_id)?;
            let cells = array::cells(entry.index.as_ref(), counter.size, &counter.name)?;
            Ok(Query::Counters {
                counters: vec![counter.index],
                cells,
            })
        }
        Kind::RegisterEntry(entry) => {
            if entry.register_id == 0 {
                let registers = pipeline
                    .registers
                    .iter()
                    .map(|register| register.index)
                    .collect();
                return Ok(Query::Registers {
                    registers,
                    cells: Cells::All,
                });
            }
            let register = array::register(pipeline, entry.register_id)?;
            let cells = array::cells(entry.index.as_ref(), register.size, &register.name)?;
            Ok(Query::Registers {
                registers: vec![register.index],
                cells,
            })
        }
        Kind::PacketReplicationEngineEntry(entry) => match entry.r#type {
            Some(Replication::MulticastGroupEntry(entry)) => Ok(Query::Multicast(one_or_all(
                entry.multicast_group_id,
                "multicast group",
            )?)),
            Some(Replication::CloneSessionEntry(entry)) => Ok(Query::Clones(one_or_all(
                entry.session_id,
                "clone session",
            )?)),
            None => Err(Failure::invalid("The packet replication entry has no type")),
        },
        other => Err(unimplemented(pipeline, &other)),
    }
}

fn one_or_all(id: u32, what: &str) -> Result<Option<u16>, Failure> {
    if id == 0 {
        Ok(None)
    } else {
        replication::id(id, what).map(Some)
    }
}

fn entries(pipeline: &Pipeline, given: &TableEntry) -> Result<Query, Failure> {
    let view = View::Entry {
        counter: given.counter_data.is_some(),
    };
    if given.table_id == 0 {
        let tables = pipeline.tables.iter().map(|table| table.index).collect();
        return Ok(if given.is_default_action {
            Query::Defaults { tables, view }
        } else {
            Query::Entries {
                tables,
                filter: Filter::default(),
                view,
            }
        });
    }
    let table = table_entry::table(pipeline, given.table_id)?;
    if given.counter_data.is_some() && !table.counted {
        return Err(Failure::invalid(format!(
            "Table {} has no direct counter",
            table.name
        )));
    }
    if given.time_since_last_hit.is_some() {
        return Err(if table.idle_timeout {
            Failure::unimplemented(format!(
                "Idle timeouts, which table {} asks for, are not supported by this server",
                table.name
            ))
        } else {
            Failure::invalid(format!(
                "Table {} does not support idle timeouts",
                table.name
            ))
        });
    }
    if given.is_default_action {
        return Ok(Query::Defaults {
            tables: vec![table.index],
            view,
        });
    }
    let filter = filter(table, given)?;
    Ok(Query::Entries {
        tables: vec![table.index],
        filter,
        view,
    })
}

fn filter(table: &Table, given: &TableEntry) -> Result<Filter, Failure> {
    let key = if given.r#match.is_empty() {
        None
    } else {
        Some(key::parts(table, &given.r#match)?)
    };
    let action = match given
        .action
        .as_ref()
        .and_then(|action| action.r#type.as_ref())
    {
        Some(table_action::Type::Action(call)) => Some(action::find(table, call.action_id)?.index),
        Some(_) => {
            return Err(Failure::invalid(
                "Entries can be filtered by action id only",
            ));
        }
        None => None,
    };
    if given.priority < 0 {
        return Err(Failure::invalid("A priority cannot be negative"));
    }
    #[expect(deprecated, reason = "older controllers filter by it")]
    let controller_metadata = given.controller_metadata;
    Ok(Filter {
        key,
        priority: (given.priority != 0).then_some(given.priority),
        action,
        metadata: (!given.metadata.is_empty()).then(|| given.metadata.clone()),
        controller_metadata: (controller_metadata != 0).then_some(controller_metadata),
    })
}

fn direct_counters(pipeline: &Pipeline, given: &DirectCounterEntry) -> Result<Query, Failure> {
    let view = View::DirectCounter;
    let counted = |table: &&Table| table.counted;
    let entry = given.table_entry.as_ref();
    let Some(entry) = entry.filter(|entry| entry.table_id != 0) else {
        let tables = pipeline
            .tables
            .iter()
            .filter(counted)
            .map(|table| table.index)
            .collect();
        return Ok(Query::Entries {
            tables,
            filter: Filter::default(),
            view,
        });
    };
    let table = table_entry::table(pipeline, entry.table_id)?;
    if !table.counted {
        return Err(Failure::invalid(format!(
            "Table {} has no direct counter",
            table.name
        )));
    }
    if entry.r#match.is_empty() && !entry.is_default_action {
        let filter = filter(table, entry)?;
        return Ok(Query::Entries {
            tables: vec![table.index],
            filter,
            view,
        });
    }
    let row = table_entry::row(table, entry)?;
    Ok(Query::DirectCounter {
        table: table.index,
        row,
    })
}
