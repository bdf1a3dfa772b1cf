//! One update of a Write.

use p4runtime_proto::p4::v1::{Update, entity::Entity, update::Type};

use super::{Ports, array, replication, table_entry};
use crate::{failure::Failure, operation::Operation, pipeline::Pipeline};

/// Checks an update against the pipeline and puts it in the engine's terms.
pub(crate) fn update(
    pipeline: &Pipeline,
    ports: Ports,
    given: Update,
) -> Result<Operation, Failure> {
    let change = match Type::try_from(given.r#type) {
        Ok(Type::Unspecified) | Err(_) => {
            return Err(Failure::invalid("The update has no type"));
        }
        Ok(change) => change,
    };
    let entity = given.entity.and_then(|entity| entity.entity);
    match entity.ok_or_else(|| Failure::invalid("The update has no entity"))? {
        Entity::TableEntry(entry) => table_entry::update(pipeline, change, entry),
        Entity::DirectCounterEntry(entry) => table_entry::direct_counter(pipeline, change, &entry),
        Entity::CounterEntry(entry) => array::update_counter(pipeline, change, &entry),
        Entity::RegisterEntry(entry) => array::update_register(pipeline, change, &entry),
        Entity::PacketReplicationEngineEntry(entry) => replication::update(ports, change, entry),
        other => Err(unimplemented(pipeline, &other)),
    }
}

/// Names what this server does not program.
pub(super) fn unimplemented(pipeline: &Pipeline, entity: &Entity) -> Failure {
    let (kind, id) = match entity {
        Entity::ExternEntry(entry) => ("Externs", entry.extern_id),
        Entity::ActionProfileMember(entry) => ("Action profile members", entry.action_profile_id),
        Entity::ActionProfileGroup(entry) => ("Action profile groups", entry.action_profile_id),
        Entity::MeterEntry(entry) => ("Meters", entry.meter_id),
        Entity::DirectMeterEntry(entry) => (
            "Direct meters",
            entry.table_entry.as_ref().map_or(0, |entry| entry.table_id),
        ),
        Entity::ValueSetEntry(entry) => ("Value sets", entry.value_set_id),
        Entity::DigestEntry(entry) => ("Digests", entry.digest_id),
        Entity::TableEntry(_)
        | Entity::CounterEntry(_)
        | Entity::DirectCounterEntry(_)
        | Entity::PacketReplicationEngineEntry(_)
        | Entity::RegisterEntry(_) => ("This kind", 0),
    };
    let of = if id == 0 {
        String::new()
    } else {
        format!(" ({})", pipeline.describe(id))
    };
    Failure::unimplemented(format!("{kind} are not supported by this server{of}"))
}
