//! One update of a Write.

use p4runtime_proto::p4::v1::{TableEntry, Update, entity::Entity, update::Type};

use super::{Ports, array, digest, meter, profile, replication, table_entry, value_set};
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
        Entity::MeterEntry(entry) => meter::update(pipeline, change, &entry),
        Entity::DirectMeterEntry(entry) => meter::update_direct(pipeline, change, &entry),
        Entity::ActionProfileMember(entry) => profile::update_member(pipeline, change, &entry),
        Entity::ActionProfileGroup(entry) => profile::update_group(pipeline, change, &entry),
        Entity::ValueSetEntry(entry) => value_set::update(pipeline, change, &entry),
        Entity::DigestEntry(entry) => digest::update(pipeline, change, &entry),
        Entity::ExternEntry(_) => Err(no_externs()),
    }
}

/// v1model has no externs beside those with entities of their own.
pub(super) fn no_externs() -> Failure {
    Failure::unimplemented("Extern entries are not supported: v1model has none")
}

/// The object of the p4info that an entity is about; 0 for all of its kind. Replication has none.
pub(crate) fn object_of(entity: &Entity) -> Option<u32> {
    let table = |entry: &Option<TableEntry>| entry.as_ref().map_or(0, |entry| entry.table_id);
    match entity {
        Entity::ExternEntry(entry) => Some(entry.extern_id),
        Entity::TableEntry(entry) => Some(entry.table_id),
        Entity::ActionProfileMember(entry) => Some(entry.action_profile_id),
        Entity::ActionProfileGroup(entry) => Some(entry.action_profile_id),
        Entity::MeterEntry(entry) => Some(entry.meter_id),
        Entity::DirectMeterEntry(entry) => Some(table(&entry.table_entry)),
        Entity::CounterEntry(entry) => Some(entry.counter_id),
        Entity::DirectCounterEntry(entry) => Some(table(&entry.table_entry)),
        Entity::PacketReplicationEngineEntry(_) => None,
        Entity::ValueSetEntry(entry) => Some(entry.value_set_id),
        Entity::RegisterEntry(entry) => Some(entry.register_id),
        Entity::DigestEntry(entry) => Some(entry.digest_id),
    }
}
