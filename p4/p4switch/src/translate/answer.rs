//! What the engine's thread found, as entities.

use bytes::{Bytes, BytesMut};
use p4_engine::{ActionCall, CounterValue, EntryAction, KeyPart, MatchKind, TableIndex, Value};
use p4runtime_proto::p4::v1::{
    self, CloneSessionEntry, CounterData, CounterEntry, DirectCounterEntry, Entity, FieldMatch,
    Index, MulticastGroupEntry, P4Data, PacketReplicationEngineEntry, RegisterEntry, Replica,
    TableAction, TableEntry, entity::Entity as Kind, field_match, p4_data::Data,
    packet_replication_engine_entry::Type as Replication, replica::PortKind, table_action,
};

use super::array::signed_bytes;
use crate::{
    operation::{Extra, Found, FoundDefault, GivenPort, Group, Piece, ReplicaSpec, Session, View},
    pipeline::{CellType, Pipeline, Register, Table},
};

/// Turns pieces into entities; byte strings of one answer share few allocations.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pipeline: &'a Pipeline,
    bytes: BytesMut,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(pipeline: &'a Pipeline) -> Self {
        Self {
            pipeline,
            bytes: BytesMut::new(),
        }
    }

    /// Appends the entities of a piece.
    pub(crate) fn extend(&mut self, piece: Piece, out: &mut Vec<Entity>) {
        match piece {
            Piece::Entries { table, view, rows } => {
                let Some(table) = self.table(table) else {
                    return;
                };
                out.extend(rows.into_iter().map(|found| self.entry(table, view, found)));
            }
            Piece::Default { table, view, found } => {
                let Some(table) = self.table(table) else {
                    return;
                };
                out.push(self.default_entry(table, view, found));
            }
            Piece::Counters {
                counter,
                first,
                values,
            } => {
                let id = self
                    .pipeline
                    .counter_at(counter)
                    .map_or(0, |counter| counter.id);
                out.extend((first..).zip(values).map(|(cell, value)| {
                    entity(Kind::CounterEntry(CounterEntry {
                        counter_id: id,
                        index: index(cell),
                        data: Some(counter_data(value)),
                    }))
                }));
            }
            Piece::Registers {
                register,
                first,
                values,
            } => {
                let Some(register) = self.pipeline.register_at(register) else {
                    return;
                };
                out.extend((first..).zip(values).map(|(cell, value)| {
                    entity(Kind::RegisterEntry(RegisterEntry {
                        register_id: register.id,
                        index: index(cell),
                        data: Some(self.cell(register, &value)),
                    }))
                }));
            }
            Piece::Multicast { group, config } => out.push(multicast(group, config)),
            Piece::Clone { session, config } => out.push(clone(session, config)),
        }
    }

    fn table(&self, index: TableIndex) -> Option<&'a Table> {
        self.pipeline
            .tables
            .iter()
            .find(|table| table.index == index)
    }

    fn entry(&mut self, table: &Table, view: View, found: Found) -> Entity {
        let Found {
            entry,
            extra,
            counter,
        } = found;
        let mut answer = TableEntry {
            table_id: table.id,
            r#match: self.fields(table, &entry.key),
            priority: entry.priority,
            ..TableEntry::default()
        };
        match view {
            View::DirectCounter => direct_counter(answer, counter),
            View::Entry { counter: wanted } => {
                answer.action = Some(self.table_action(table, entry.action));
                answer.is_const = table.is_const;
                fill(
                    &mut answer,
                    extra,
                    (wanted && table.counted).then_some(counter),
                );
                entity(Kind::TableEntry(answer))
            }
        }
    }

    fn default_entry(&mut self, table: &Table, view: View, found: FoundDefault) -> Entity {
        let FoundDefault {
            action,
            extra,
            counter,
        } = found;
        let mut answer = TableEntry {
            table_id: table.id,
            is_default_action: true,
            ..TableEntry::default()
        };
        match view {
            View::DirectCounter => direct_counter(answer, counter),
            View::Entry { counter: wanted } => {
                answer.action = action.map(|action| self.table_action(table, action));
                answer.is_const = table.const_default;
                fill(
                    &mut answer,
                    extra,
                    (wanted && table.counted).then_some(counter),
                );
                entity(Kind::TableEntry(answer))
            }
        }
    }

    /// Don't-care parts are left out (P4Runtime 9.1.1).
    fn fields(&mut self, table: &Table, key: &[KeyPart]) -> Vec<FieldMatch> {
        let mut fields = Vec::with_capacity(key.len());
        for (field, part) in table.fields.iter().zip(key) {
            use field_match::{Exact, FieldMatchType as Type, Lpm, Optional, Range, Ternary};
            let kind = match part {
                KeyPart::Exact(value) => Type::Exact(Exact {
                    value: self.number(value),
                }),
                KeyPart::Lpm { prefix_len: 0, .. } | KeyPart::Optional(None) => continue,
                KeyPart::Ternary { mask, .. } if mask.is_zero() => continue,
                KeyPart::Range { low, high }
                    if low.is_zero() && *high == Value::ones(field.bits) =>
                {
                    continue;
                }
                KeyPart::Lpm { value, prefix_len } => Type::Lpm(Lpm {
                    value: self.number(value),
                    prefix_len: i32::from(*prefix_len),
                }),
                KeyPart::Ternary { value, .. } if field.kind == MatchKind::Optional => {
                    Type::Optional(Optional {
                        value: self.number(value),
                    })
                }
                KeyPart::Ternary { value, mask } => Type::Ternary(Ternary {
                    value: self.number(value),
                    mask: self.number(mask),
                }),
                KeyPart::Range { low, high } => Type::Range(Range {
                    low: self.number(low),
                    high: self.number(high),
                }),
                KeyPart::Optional(Some(value)) => Type::Optional(Optional {
                    value: self.number(value),
                }),
            };
            fields.push(FieldMatch {
                field_id: field.id,
                field_match_type: Some(kind),
            });
        }
        fields
    }

    fn table_action(&mut self, table: &Table, action: EntryAction) -> TableAction {
        let kind = match action {
            EntryAction::Call(call) => table_action::Type::Action(self.call(table, &call)),
            EntryAction::Member(member) => table_action::Type::ActionProfileMemberId(member),
            EntryAction::Group(group) => table_action::Type::ActionProfileGroupId(group),
        };
        TableAction { r#type: Some(kind) }
    }

    fn call(&mut self, table: &Table, call: &ActionCall) -> v1::Action {
        let Some(action) = table.action_at(call.action) else {
            return v1::Action::default();
        };
        let params = action
            .params
            .iter()
            .zip(&call.args)
            .map(|(param, value)| v1::action::Param {
                param_id: param.id,
                value: self.number(value),
            });
        v1::Action {
            action_id: action.id,
            params: params.collect(),
        }
    }

    fn cell(&mut self, register: &Register, value: &Value) -> P4Data {
        let data = match register.cell {
            CellType::Unsigned | CellType::Other => Data::Bitstring(self.number(value)),
            CellType::Signed => Data::Bitstring(signed_bytes(value, register.bits).into()),
            CellType::Bool => Data::Bool(!value.is_zero()),
            CellType::Enum => Data::EnumValue(self.number(value)),
        };
        P4Data { data: Some(data) }
    }

    /// The canonical byte string.
    fn number(&mut self, value: &Value) -> Bytes {
        let limbs = value.limbs();
        let Some((top, rest)) = limbs.split_last() else {
            return Bytes::from_static(&[0]);
        };
        let skip = top.leading_zeros() as usize / 8;
        self.bytes.extend_from_slice(&top.to_be_bytes()[skip..]);
        for limb in rest.iter().rev() {
            self.bytes.extend_from_slice(&limb.to_be_bytes());
        }
        let number = self.bytes.split().freeze();
        if self.bytes.capacity() < 64 {
            self.bytes = BytesMut::with_capacity(1 << 16);
        }
        number
    }
}

fn entity(kind: Kind) -> Entity {
    Entity { entity: Some(kind) }
}

fn index(cell: usize) -> Option<Index> {
    Some(Index {
        index: i64::try_from(cell).unwrap_or(i64::MAX),
    })
}

fn counter_data(value: CounterValue) -> CounterData {
    let cell = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    CounterData {
        byte_count: cell(value.bytes),
        packet_count: cell(value.packets),
    }
}

fn direct_counter(entry: TableEntry, counter: CounterValue) -> Entity {
    entity(Kind::DirectCounterEntry(DirectCounterEntry {
        table_entry: Some(entry),
        data: Some(counter_data(counter)),
    }))
}

fn fill(answer: &mut TableEntry, extra: Option<Extra>, counter: Option<CounterValue>) {
    if let Some(Extra {
        metadata,
        controller_metadata,
    }) = extra
    {
        answer.metadata = metadata;
        #[expect(deprecated, reason = "returned to the controllers that wrote it")]
        {
            answer.controller_metadata = controller_metadata;
        }
    }
    answer.counter_data = counter.map(counter_data);
}

fn replicas(given: Vec<ReplicaSpec>) -> Vec<Replica> {
    given
        .into_iter()
        .map(|replica| Replica {
            port_kind: Some(match replica.given {
                GivenPort::Bytes(bytes) => PortKind::Port(bytes),
                #[expect(deprecated, reason = "returned as it was written")]
                GivenPort::Number(number) => PortKind::EgressPort(number),
            }),
            instance: u32::from(replica.instance),
            backup_replicas: Vec::new(),
        })
        .collect()
}

fn replication(kind: Replication) -> Entity {
    entity(Kind::PacketReplicationEngineEntry(
        PacketReplicationEngineEntry { r#type: Some(kind) },
    ))
}

fn multicast(group: u16, config: Group) -> Entity {
    replication(Replication::MulticastGroupEntry(MulticastGroupEntry {
        multicast_group_id: u32::from(group),
        replicas: replicas(config.replicas),
        metadata: config.metadata,
    }))
}

fn clone(session: u16, config: Session) -> Entity {
    replication(Replication::CloneSessionEntry(CloneSessionEntry {
        session_id: u32::from(session),
        replicas: replicas(config.replicas),
        class_of_service: 0,
        packet_length_bytes: i32::try_from(config.length).unwrap_or(i32::MAX),
    }))
}
