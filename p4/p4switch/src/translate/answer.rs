//! What the engine's thread found, as entities.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use p4_engine::{
    ActionCall, CounterValue, EntryAction, KeyPart, MatchKind, MeterConfig, ProfileIndex,
    TableIndex, Value,
};
use p4runtime_proto::p4::v1::{
    self, ActionProfileAction, ActionProfileActionSet, ActionProfileGroup, ActionProfileMember,
    BackupReplica, CloneSessionEntry, CounterData, CounterEntry, DigestEntry, DirectCounterEntry,
    DirectMeterEntry, Entity, FieldMatch, Index, MeterEntry, MulticastGroupEntry, P4Data,
    PacketReplicationEngineEntry, RegisterEntry, Replica, TableAction, TableEntry, ValueSetEntry,
    ValueSetMember, action_profile_action, action_profile_group, digest_entry,
    entity::Entity as Kind, field_match, p4_data::Data,
    packet_replication_engine_entry::Type as Replication, replica::PortKind, table_action,
    table_entry::IdleTimeout,
};

use super::{array::signed_bytes, value_set};
use crate::{
    operation::{
        ActionSet, DigestConfig, Extra, Found, FoundDefault, GivenPort, Group, Idle, Piece, Rare,
        ReplicaSpec, SelectorGroup, Session, View, Watch,
    },
    pipeline::{CellType, Form, Pipeline, Register, Table},
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
            Piece::Meters {
                meter,
                first,
                configs,
            } => {
                let found = self.pipeline.meter_at(meter);
                let id = found.map_or(0, |meter| meter.id);
                out.extend((first..).zip(configs).map(|(cell, config)| {
                    entity(Kind::MeterEntry(MeterEntry {
                        meter_id: id,
                        index: index(cell),
                        config: config.map(meter_config),
                        counter_data: None,
                    }))
                }));
            }
            Piece::Members { profile, members } => {
                let Some((id, table)) = self.profile(profile) else {
                    return;
                };
                out.extend(members.into_iter().map(|(member, call)| {
                    entity(Kind::ActionProfileMember(ActionProfileMember {
                        action_profile_id: id,
                        member_id: member,
                        action: Some(self.call(table, &call)),
                    }))
                }));
            }
            Piece::SelectorGroups { profile, groups } => {
                let Some((id, _)) = self.profile(profile) else {
                    return;
                };
                out.extend(
                    (groups.into_iter()).map(|(group, config)| selector_group(id, group, config)),
                );
            }
            Piece::ValueSet { set, members } => {
                let Some(set) = self.pipeline.value_set_at(set) else {
                    return;
                };
                let members = members.iter().map(|member| ValueSetMember {
                    r#match: (set.fields.iter().zip(value_set::fields(set, member)))
                        .map(|(field, value)| FieldMatch {
                            field_id: field.id,
                            field_match_type: Some(field_match::FieldMatchType::Exact(
                                field_match::Exact {
                                    value: self.value(&field.form, &value),
                                },
                            )),
                        })
                        .collect(),
                });
                out.push(entity(Kind::ValueSetEntry(ValueSetEntry {
                    value_set_id: set.id,
                    members: members.collect(),
                })));
            }
            Piece::Digest { digest, config } => {
                let Some(digest) = self.pipeline.digests.get(digest) else {
                    return;
                };
                out.push(digest_entry(digest.id, config));
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

    /// The id of a profile, and a table that has its actions.
    fn profile(&self, index: ProfileIndex) -> Option<(u32, &'a Table)> {
        let profile = self.pipeline.profile_at(index)?;
        Some((profile.id, self.pipeline.table(profile.table)?))
    }

    /// What identifies an idle entry, and what the controller keeps with it.
    pub(super) fn idle_entry(&mut self, idle: Idle) -> Option<TableEntry> {
        let Idle {
            table,
            entry,
            extra,
        } = idle;
        let table = self.table(table)?;
        let mut answer = TableEntry {
            table_id: table.id,
            r#match: self.fields(table, &entry.key),
            priority: entry.priority,
            ..TableEntry::default()
        };
        fill(&mut answer, extra);
        Some(answer)
    }

    fn entry(&mut self, table: &Table, view: View, found: Found) -> Entity {
        let Found {
            entry,
            counter,
            rare,
        } = found;
        let mut answer = TableEntry {
            table_id: table.id,
            r#match: self.fields(table, &entry.key),
            priority: entry.priority,
            ..TableEntry::default()
        };
        match view {
            View::DirectCounter => direct_counter(answer, counter),
            View::DirectMeter => direct_meter(answer, rare.and_then(|rare| rare.meter)),
            View::Entry {
                counter: wanted,
                meter,
                hit,
            } => {
                answer.is_const = table.is_const;
                answer.counter_data = (wanted && table.counted).then(|| counter_data(counter));
                let Rare {
                    extra,
                    meter: config,
                    set,
                    idle_ns,
                } = rare.map(|rare| *rare).unwrap_or_default();
                answer.action = Some(match set {
                    Some(set) => self.action_set(table, &set),
                    None => self.table_action(table, entry.action),
                });
                answer.meter_config = config.filter(|_| meter).map(meter_config);
                if hit && table.idle_timeout {
                    answer.time_since_last_hit = Some(IdleTimeout {
                        elapsed_ns: idle_ns,
                    });
                }
                fill(&mut answer, extra);
                entity(Kind::TableEntry(answer))
            }
        }
    }

    fn default_entry(&mut self, table: &Table, view: View, found: FoundDefault) -> Entity {
        let FoundDefault {
            action,
            extra,
            counter,
            meter: config,
        } = found;
        let mut answer = TableEntry {
            table_id: table.id,
            is_default_action: true,
            ..TableEntry::default()
        };
        match view {
            View::DirectCounter => direct_counter(answer, counter),
            View::DirectMeter => direct_meter(answer, config),
            View::Entry {
                counter: wanted,
                meter,
                hit: _,
            } => {
                answer.action = action.map(|action| self.table_action(table, action));
                answer.is_const = table.const_default;
                answer.counter_data = (wanted && table.counted).then(|| counter_data(counter));
                answer.meter_config = config.filter(|_| meter).map(meter_config);
                fill(&mut answer, extra.unwrap_or_default());
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
                    value: self.value(&field.form, value),
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
                        value: self.value(&field.form, value),
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
                    value: self.value(&field.form, value),
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
                value: self.value(&param.form, value),
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

    fn action_set(&mut self, table: &Table, set: &Arc<ActionSet>) -> TableAction {
        use action_profile_action::WatchKind;
        let actions = set.actions.iter().map(|action| ActionProfileAction {
            action: Some(self.call(table, &action.call)),
            weight: action.weight,
            watch_kind: action.watch.as_ref().map(|watch| match &watch.given {
                GivenPort::Bytes(bytes) => WatchKind::WatchPort(bytes.clone()),
                #[expect(deprecated, reason = "returned as it was written")]
                GivenPort::Number(number) => WatchKind::Watch(signed(*number)),
            }),
        });
        let set = ActionProfileActionSet {
            action_profile_actions: actions.collect(),
            action_selection_mode: set.mode,
            size_semantics: set.semantics,
            group_action: None,
        };
        TableAction {
            r#type: Some(table_action::Type::ActionProfileActionSet(set)),
        }
    }

    /// A value as controllers write it.
    fn value(&mut self, form: &Form, value: &Value) -> Bytes {
        match form {
            Form::Number => self.number(value),
            Form::Name(names) => names.name(value),
        }
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

fn direct_meter(entry: TableEntry, config: Option<MeterConfig>) -> Entity {
    entity(Kind::DirectMeterEntry(DirectMeterEntry {
        table_entry: Some(entry),
        config: config.map(meter_config),
        counter_data: None,
    }))
}

fn meter_config(config: MeterConfig) -> v1::MeterConfig {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    v1::MeterConfig {
        cir: number(config.committed_rate),
        cburst: number(config.committed_burst),
        pir: number(config.peak_rate),
        pburst: number(config.peak_burst),
        eburst: 0,
    }
}

fn selector_group(profile: u32, group: u32, config: SelectorGroup) -> Entity {
    use action_profile_group::{Member, member::WatchKind};
    let watch = |watch: Watch| match watch.given {
        GivenPort::Bytes(bytes) => WatchKind::WatchPort(bytes),
        #[expect(deprecated, reason = "returned as it was written")]
        GivenPort::Number(number) => WatchKind::Watch(signed(number)),
    };
    let members = config.members.into_iter().map(|member| Member {
        member_id: member.member,
        weight: member.weight,
        watch_kind: member.watch.map(watch),
    });
    entity(Kind::ActionProfileGroup(ActionProfileGroup {
        action_profile_id: profile,
        group_id: group,
        members: members.collect(),
        max_size: config.max_size,
    }))
}

fn digest_entry(digest_id: u32, config: DigestConfig) -> Entity {
    let DigestConfig {
        max_timeout_ns,
        max_list_size,
        ack_timeout_ns,
    } = config;
    entity(Kind::DigestEntry(DigestEntry {
        digest_id,
        config: Some(digest_entry::Config {
            max_timeout_ns,
            max_list_size,
            ack_timeout_ns,
        }),
    }))
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn fill(answer: &mut TableEntry, extra: Extra) {
    let Extra {
        metadata,
        controller_metadata,
        idle_timeout_ns,
    } = extra;
    answer.metadata = metadata;
    answer.idle_timeout_ns = idle_timeout_ns;
    #[expect(deprecated, reason = "returned to the controllers that wrote it")]
    {
        answer.controller_metadata = controller_metadata;
    }
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
            backup_replicas: (replica.backups.into_iter())
                .map(|backup| BackupReplica {
                    port: backup.given,
                    instance: u32::from(backup.instance),
                })
                .collect(),
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
