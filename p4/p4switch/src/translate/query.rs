//! One entity of a Read (P4Runtime 13; wildcards of tables 9.1.5).

use p4_engine::ProfileIndex;
use p4runtime_proto::p4::v1::{
    DirectMeterEntry, Entity, TableEntry, entity::Entity as Kind,
    packet_replication_engine_entry::Type as Replication, table_action,
};

use super::{
    action, array, digest, key, meter, profile, replication, table_entry, update::no_externs,
    value_set,
};
use crate::{
    failure::Failure,
    operation::{Cells, Filter, Query, View},
    pipeline::{Pipeline, Table},
};

/// Which objects of the p4info the client may see.
pub(crate) type Visible<'a> = &'a dyn Fn(u32) -> bool;

/// Checks an entity against the pipeline and puts it in the engine's terms. Wildcards leave out
/// what is not visible.
pub(crate) fn query(
    pipeline: &Pipeline,
    visible: Visible<'_>,
    given: Entity,
) -> Result<Query, Failure> {
    match given
        .entity
        .ok_or_else(|| Failure::invalid("The entity to read has no kind"))?
    {
        Kind::TableEntry(entry) => entries(pipeline, visible, &entry),
        Kind::DirectCounterEntry(entry) => {
            let entry = entry.table_entry.unwrap_or_default();
            direct(pipeline, visible, &entry, View::DirectCounter)
        }
        Kind::DirectMeterEntry(DirectMeterEntry {
            table_entry,
            config: _,
            counter_data,
        }) => {
            meter::no_counters(counter_data.is_some())?;
            let entry = table_entry.unwrap_or_default();
            direct(pipeline, visible, &entry, View::DirectMeter)
        }
        Kind::CounterEntry(entry) if entry.counter_id == 0 => {
            let all = pipeline.counters.iter();
            let seen = all.filter(|counter| visible(counter.id));
            Ok(Query::Counters {
                counters: seen.map(|counter| counter.index).collect(),
                cells: Cells::All,
            })
        }
        Kind::CounterEntry(entry) => {
            let counter = array::counter(pipeline, entry.counter_id)?;
            let cells = array::cells(entry.index.as_ref(), counter.size, &counter.name)?;
            let counters = vec![counter.index];
            Ok(Query::Counters { counters, cells })
        }
        Kind::MeterEntry(entry) => {
            meter::no_counters(entry.counter_data.is_some())?;
            if entry.meter_id == 0 {
                let all = pipeline.meters.iter();
                let seen = all.filter(|meter| visible(meter.id));
                return Ok(Query::Meters {
                    meters: seen.map(|meter| meter.index).collect(),
                    cells: Cells::All,
                });
            }
            let meter = meter::meter(pipeline, entry.meter_id)?;
            let cells = array::cells(entry.index.as_ref(), meter.size, &meter.name)?;
            let meters = vec![meter.index];
            Ok(Query::Meters { meters, cells })
        }
        Kind::RegisterEntry(entry) if entry.register_id == 0 => {
            let all = pipeline.registers.iter();
            let seen = all.filter(|register| visible(register.id));
            Ok(Query::Registers {
                registers: seen.map(|register| register.index).collect(),
                cells: Cells::All,
            })
        }
        Kind::RegisterEntry(entry) => {
            let register = array::register(pipeline, entry.register_id)?;
            let cells = array::cells(entry.index.as_ref(), register.size, &register.name)?;
            let registers = vec![register.index];
            Ok(Query::Registers { registers, cells })
        }
        Kind::ActionProfileMember(entry) => Ok(Query::Members {
            profiles: profiles(pipeline, visible, entry.action_profile_id)?,
            member: (entry.member_id != 0).then_some(entry.member_id),
        }),
        Kind::ActionProfileGroup(entry) => Ok(Query::SelectorGroups {
            profiles: profiles(pipeline, visible, entry.action_profile_id)?,
            group: (entry.group_id != 0).then_some(entry.group_id),
        }),
        Kind::ValueSetEntry(entry) if entry.value_set_id == 0 => {
            let seen = pipeline.value_sets.iter().filter(|set| visible(set.id));
            Ok(Query::ValueSets(seen.map(|set| set.index).collect()))
        }
        Kind::ValueSetEntry(entry) => {
            let set = value_set::value_set(pipeline, entry.value_set_id)?;
            Ok(Query::ValueSets(vec![set.index]))
        }
        Kind::DigestEntry(entry) if entry.digest_id == 0 => {
            let all = pipeline.digests.iter().enumerate();
            let seen = all.filter(|(_, digest)| visible(digest.id));
            Ok(Query::Digests(seen.map(|(at, _)| at).collect()))
        }
        Kind::DigestEntry(entry) => {
            let digest = digest::position(pipeline, entry.digest_id)?;
            Ok(Query::Digests(vec![digest]))
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
        Kind::ExternEntry(_) => Err(no_externs()),
    }
}

fn profiles(
    pipeline: &Pipeline,
    visible: Visible<'_>,
    id: u32,
) -> Result<Vec<ProfileIndex>, Failure> {
    if id == 0 {
        let seen = pipeline.profiles.iter();
        let seen = seen.filter(|profile| visible(profile.id));
        return Ok(seen.map(|profile| profile.index).collect());
    }
    profile::profile(pipeline, id).map(|profile| vec![profile.index])
}

fn one_or_all(id: u32, what: &str) -> Result<Option<u16>, Failure> {
    if id == 0 {
        Ok(None)
    } else {
        replication::id(id, what).map(Some)
    }
}

fn entries(
    pipeline: &Pipeline,
    visible: Visible<'_>,
    given: &TableEntry,
) -> Result<Query, Failure> {
    let view = View::Entry {
        counter: given.counter_data.is_some(),
        meter: given.meter_config.is_some(),
        hit: given.time_since_last_hit.is_some(),
    };
    meter::no_counters(given.meter_counter_data.is_some())?;
    if given.table_id == 0 {
        let seen = pipeline.tables.iter().filter(|table| visible(table.id));
        let tables = seen.map(|table| table.index).collect();
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
        return Err(table_entry::no_counter(table));
    }
    if given.meter_config.is_some() {
        meter::rates(table)?;
    }
    if given.time_since_last_hit.is_some() && !table.idle_timeout {
        return Err(table_entry::no_idle_timeout(table));
    }
    if given.time_since_last_hit.is_some() && given.is_default_action {
        return Err(Failure::invalid("A default entry has no idle timeout"));
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
        Some(key::parts(table, &given.r#match, false)?)
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

fn direct(
    pipeline: &Pipeline,
    visible: Visible<'_>,
    entry: &TableEntry,
    view: View,
) -> Result<Query, Failure> {
    let has = |table: &Table| match view {
        View::DirectMeter => table.metered.is_some(),
        _ => table.counted,
    };
    if entry.table_id == 0 {
        let all = pipeline.tables.iter();
        let seen = all.filter(|table| has(table) && visible(table.id));
        return Ok(Query::Entries {
            tables: seen.map(|table| table.index).collect(),
            filter: Filter::default(),
            view,
        });
    }
    let table = table_entry::table(pipeline, entry.table_id)?;
    if !has(table) {
        return Err(match view {
            View::DirectMeter => {
                Failure::invalid(format!("Table {} has no direct meter", table.name))
            }
            _ => table_entry::no_counter(table),
        });
    }
    if entry.r#match.is_empty() && !entry.is_default_action {
        let filter = filter(table, entry)?;
        return Ok(Query::Entries {
            tables: vec![table.index],
            filter,
            view,
        });
    }
    Ok(Query::Direct {
        table: table.index,
        row: table_entry::row(table, entry)?,
        view,
    })
}
