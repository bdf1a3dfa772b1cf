//! P4Runtime 9 and 12: what may be written, with the code of each refusal.

use p4runtime_proto::p4::v1::{
    CounterData, CounterEntry, DirectCounterEntry, Entity, ExternEntry, Index, MeterConfig, P4Data,
    RegisterEntry, TableAction, TableEntry, Update,
    entity::Entity as Kind,
    field_match::{Exact, FieldMatchType},
    p4_data::Data,
    table_action,
    update::Type,
    write_request::Atomicity,
};
use tonic::Code;

use crate::support::{
    BY_MAC, BY_MASK, BY_ROUTE, FIXED, LEFT, RIGHT, SCOPED, SETTINGS, action, array_id, code_of,
    delete, entries, entry, exact, failures, frame, insert, lpm, mac_entry, modify, optional,
    range, read, ready, ternary, update, write,
};

fn masked(priority: i32, r#match: Vec<p4runtime_proto::p4::v1::FieldMatch>) -> TableEntry {
    TableEntry {
        priority,
        ..entry(BY_MASK, r#match, action("drop", &[]))
    }
}

fn default_of(table_id: u32, action: Option<TableAction>) -> TableEntry {
    TableEntry {
        table_id,
        action,
        is_default_action: true,
        ..TableEntry::default()
    }
}

#[tokio::test]
async fn entries_come_change_and_go() {
    let (switch, client) = ready().await;
    let code = async |update| code_of(&client, update).await;
    assert_eq!(code(modify(mac_entry(1, 2))).await, Code::NotFound);
    assert_eq!(code(delete(mac_entry(1, 2))).await, Code::NotFound);
    assert_eq!(code(insert(mac_entry(1, 2))).await, Code::Ok);
    assert_eq!(code(insert(mac_entry(1, 3))).await, Code::AlreadyExists);
    assert_eq!(entries(&client, BY_MAC).await, [mac_entry(1, 2)]);
    assert_eq!(switch.inject(7, &frame(1, 9, 0))[0].0, 2);
    assert_eq!(code(modify(mac_entry(1, 3))).await, Code::Ok);
    assert_eq!(switch.inject(7, &frame(1, 9, 0))[0].0, 3);
    // A DELETE looks at the key only.
    let nonsense = TableEntry {
        idle_timeout_ns: 5,
        ..mac_entry(1, 0x7777)
    };
    assert_eq!(code(delete(nonsense)).await, Code::Ok);
    assert_eq!(switch.inject(7, &frame(1, 9, 0)), []);
    switch.shutdown();
}

#[tokio::test]
async fn malformed_entries_are_refused() {
    let (switch, client) = ready().await;
    let good = mac_entry(1, 2);
    let raw = |value: &'static [u8]| {
        let kind = FieldMatchType::Exact(Exact {
            value: value.into(),
        });
        vec![p4runtime_proto::p4::v1::FieldMatch {
            field_id: 1,
            field_match_type: Some(kind),
        }]
    };
    let with_match = |r#match| TableEntry {
        r#match,
        ..mac_entry(1, 2)
    };
    let with_action = |action| TableEntry {
        action,
        ..mac_entry(1, 2)
    };
    let member = table_action::Type::ActionProfileMemberId(3);
    let route = |value, len| entry(BY_ROUTE, vec![lpm(1, value, len)], action("forward", &[1]));
    let invalid = [
        TableEntry {
            table_id: 0,
            ..good.clone()
        },
        TableEntry {
            table_id: 0x0200_0077,
            ..good.clone()
        },
        TableEntry {
            priority: 1,
            ..good.clone()
        },
        TableEntry {
            is_const: true,
            ..good.clone()
        },
        TableEntry {
            idle_timeout_ns: 5,
            ..good.clone()
        },
        TableEntry {
            meter_config: Some(MeterConfig::default()),
            ..good.clone()
        },
        TableEntry {
            counter_data: Some(CounterData::default()),
            ..good.clone()
        },
        TableEntry {
            time_since_last_hit: Some(Default::default()),
            ..good.clone()
        },
        with_match(vec![]),
        with_match(vec![exact(1, 1), exact(1, 2)]),
        with_match(vec![exact(1, 1), exact(2, 2)]),
        with_match(vec![exact(9, 1)]),
        with_match(vec![lpm(1, 1, 48)]),
        with_match(raw(&[])),
        with_match(raw(&[1, 0, 0, 0, 0, 0, 0])),
        with_action(None),
        with_action(Some(TableAction { r#type: None })),
        with_action(Some(TableAction {
            r#type: Some(member),
        })),
        with_action(Some(action("mark", &[1]))),
        with_action(Some(action("forward", &[]))),
        with_action(Some(action("forward", &[1, 2]))),
        with_action(Some(action("forward", &[512]))),
        // Bits behind the prefix, prefix 0 and prefixes that are too long.
        route(0x0a00_0001, 24),
        route(0, 0),
        route(0x0a00_0000, 33),
        route(0x0a00_0000, -1),
        route(0x1_0000_0000, 32),
        // Priorities and don't-care rules.
        masked(0, vec![ternary(1, 1, 0xff)]),
        masked(-1, vec![ternary(1, 1, 0xff)]),
        masked(1, vec![ternary(1, 0, 0)]),
        masked(1, vec![ternary(1, 0x100, 0xff)]),
        masked(1, vec![range(2, 5, 4)]),
        masked(1, vec![range(2, 0, 0xffff)]),
        masked(1, vec![range(2, 0, 0x1_0000)]),
        masked(1, vec![optional(3, 512)]),
        // A table without key has a default entry only.
        entry(SETTINGS, vec![], action("set_version", &[1])),
    ];
    for entry in invalid {
        let code = code_of(&client, insert(entry.clone())).await;
        assert_eq!(code, Code::InvalidArgument, "{entry:?}");
    }
    // Zero-padded values are not canonical and still right.
    let padded = with_match(raw(&[0, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!(code_of(&client, insert(padded)).await, Code::Ok);
    assert_eq!(entries(&client, BY_MAC).await, std::slice::from_ref(&good));
    let no_type = Update {
        r#type: 0,
        ..insert(good)
    };
    assert_eq!(code_of(&client, no_type).await, Code::InvalidArgument);
    let no_entity = Update {
        r#type: Type::Insert.into(),
        entity: Some(Entity { entity: None }),
    };
    assert_eq!(code_of(&client, no_entity).await, Code::InvalidArgument);
    switch.shutdown();
}

#[tokio::test]
async fn priorities_and_dont_cares_decide() {
    let (switch, client) = ready().await;
    let all = TableEntry {
        priority: 1,
        ..entry(BY_MASK, vec![], action("forward", &[1]))
    };
    let odd = TableEntry {
        priority: 5,
        ..entry(
            BY_MASK,
            vec![ternary(1, 1, 1), range(2, 10, 20)],
            action("forward", &[2]),
        )
    };
    let port = TableEntry {
        priority: 9,
        ..entry(BY_MASK, vec![optional(3, 4)], action("forward", &[3]))
    };
    write(
        &client,
        vec![
            insert(all.clone()),
            insert(odd.clone()),
            insert(port.clone()),
        ],
    )
    .await;
    let out = |port, source, kind| switch.inject(port, &frame(0, source, kind))[0].0;
    assert_eq!(out(1, 2, 15), 1);
    assert_eq!(out(1, 3, 15), 2);
    assert_eq!(out(1, 3, 21), 1);
    assert_eq!(out(4, 3, 15), 3);
    // Don't-care fields are left out of answers.
    let mut want = vec![all, odd.clone(), port];
    want.sort_by_key(prost::Message::encode_to_vec);
    assert_eq!(entries(&client, BY_MASK).await, want);
    // The same match with another priority is another entry.
    let again = TableEntry {
        priority: 6,
        ..odd.clone()
    };
    assert_eq!(
        code_of(&client, insert(odd.clone())).await,
        Code::AlreadyExists
    );
    assert_eq!(code_of(&client, insert(again)).await, Code::Ok);
    let missing = TableEntry { priority: 7, ..odd };
    assert_eq!(code_of(&client, delete(missing)).await, Code::NotFound);
    switch.shutdown();
}

#[tokio::test]
async fn lpm_keys_of_odd_width_match_by_their_top_bits() {
    let (switch, client) = ready().await;
    // Seven bits: port 0b100_0001 has prefix 0b1000.
    let entry = entry(
        SCOPED,
        vec![lpm(1, 0b100_0000, 4)],
        action("entry_only", &[]),
    );
    write(&client, vec![insert(entry.clone())]).await;
    assert_eq!(entries(&client, SCOPED).await, [entry]);
    switch.shutdown();
}

#[tokio::test]
async fn a_full_table_says_so_and_takes_again_after_a_delete() {
    let (switch, client) = ready().await;
    let at = |value| entry(SCOPED, vec![lpm(1, value, 7)], action("entry_only", &[]));
    let updates = (0..6).map(|value| insert(at(value))).collect();
    let failed = failures(&client, updates, Atomicity::ContinueOnError).await;
    let codes: Vec<_> = failed
        .iter()
        .map(|error| (error.index, error.code))
        .collect();
    assert_eq!(
        codes,
        [(4, Code::ResourceExhausted), (5, Code::ResourceExhausted)]
    );
    assert_eq!(entries(&client, SCOPED).await.len(), 4);
    write(&client, vec![delete(at(0))]).await;
    assert_eq!(code_of(&client, insert(at(4))).await, Code::Ok);
    switch.shutdown();
}

#[tokio::test]
async fn const_tables_and_scopes_are_permissions() {
    let (switch, client) = ready().await;
    let fixed = entry(FIXED, vec![exact(1, 0x88cc)], action("mark", &[1]));
    for update in [
        insert(fixed.clone()),
        modify(fixed.clone()),
        delete(fixed.clone()),
    ] {
        assert_eq!(code_of(&client, update).await, Code::PermissionDenied);
    }
    let default = default_of(FIXED, Some(action("mark", &[1])));
    assert_eq!(
        code_of(&client, modify(default)).await,
        Code::PermissionDenied
    );
    let held = entries(&client, FIXED).await;
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|entry| entry.is_const));
    let scoped = entry(SCOPED, vec![lpm(1, 1, 7)], action("default_only", &[]));
    assert_eq!(
        code_of(&client, insert(scoped)).await,
        Code::PermissionDenied
    );
    let default = default_of(SCOPED, Some(action("entry_only", &[])));
    assert_eq!(
        code_of(&client, modify(default)).await,
        Code::PermissionDenied
    );
    let default = default_of(SCOPED, Some(action("default_only", &[])));
    assert_eq!(code_of(&client, modify(default)).await, Code::Ok);
    switch.shutdown();
}

#[tokio::test]
async fn default_entries_are_modified_and_reset() {
    let (switch, client) = ready().await;
    let default = default_of(BY_MAC, Some(action("forward", &[6])));
    for update in [insert(default.clone()), delete(default.clone())] {
        assert_eq!(code_of(&client, update).await, Code::InvalidArgument);
    }
    for wrong in [
        TableEntry {
            priority: 1,
            ..default.clone()
        },
        TableEntry {
            r#match: vec![exact(1, 1)],
            ..default.clone()
        },
        TableEntry {
            idle_timeout_ns: 1,
            ..default.clone()
        },
    ] {
        assert_eq!(code_of(&client, modify(wrong)).await, Code::InvalidArgument);
    }
    let query = Kind::TableEntry(default_of(BY_MAC, None));
    let initial = read(&client, query.clone()).await;
    let marked = TableEntry {
        metadata: "mine".into(),
        ..default
    };
    write(&client, vec![modify(marked.clone())]).await;
    assert_eq!(
        read(&client, query.clone()).await,
        [Kind::TableEntry(marked)]
    );
    assert_eq!(switch.inject(1, &frame(1, 2, 0))[0].0, 6);
    write(&client, vec![modify(default_of(BY_MAC, None))]).await;
    assert_eq!(read(&client, query).await, initial);
    assert_eq!(
        initial,
        [Kind::TableEntry(default_of(
            BY_MAC,
            Some(action("NoAction", &[]))
        ))]
    );
    assert_eq!(switch.inject(1, &frame(1, 2, 0)), []);
    switch.shutdown();
}

#[tokio::test]
async fn metadata_belongs_to_the_entry() {
    let (switch, client) = ready().await;
    #[expect(deprecated, reason = "the older cookie is kept as well")]
    let marked = TableEntry {
        metadata: "rule 7".into(),
        controller_metadata: 99,
        ..mac_entry(1, 2)
    };
    write(&client, vec![insert(marked.clone())]).await;
    assert_eq!(entries(&client, BY_MAC).await, [marked]);
    // MODIFY sets the whole entry.
    write(&client, vec![modify(mac_entry(1, 3))]).await;
    assert_eq!(entries(&client, BY_MAC).await, [mac_entry(1, 3)]);
    // An entry that comes later does not inherit it.
    write(
        &client,
        vec![modify(TableEntry {
            metadata: "x".into(),
            ..mac_entry(1, 3)
        })],
    )
    .await;
    write(
        &client,
        vec![delete(mac_entry(1, 3)), insert(mac_entry(1, 4))],
    )
    .await;
    assert_eq!(entries(&client, BY_MAC).await, [mac_entry(1, 4)]);
    switch.shutdown();
}

#[tokio::test]
async fn one_failure_does_not_stop_the_others_unless_asked() {
    let (switch, client) = ready().await;
    write(&client, vec![insert(mac_entry(2, 2))]).await;
    let batch = || {
        vec![
            insert(mac_entry(1, 1)),
            insert(mac_entry(2, 1)),
            insert(mac_entry(3, 1)),
        ]
    };
    for atomicity in [Atomicity::RollbackOnError, Atomicity::DataplaneAtomic] {
        let failed = failures(&client, batch(), atomicity).await;
        let codes: Vec<_> = failed.iter().map(|error| error.code).collect();
        assert_eq!(codes, [Code::Aborted, Code::AlreadyExists, Code::Aborted]);
        assert_eq!(entries(&client, BY_MAC).await, [mac_entry(2, 2)]);
    }
    let failed = failures(&client, batch(), Atomicity::ContinueOnError).await;
    let codes: Vec<_> = failed
        .iter()
        .map(|error| (error.index, error.code))
        .collect();
    assert_eq!(codes, [(1, Code::AlreadyExists)]);
    assert_eq!(entries(&client, BY_MAC).await.len(), 3);
    switch.shutdown();
}

#[tokio::test]
async fn a_batch_that_fails_is_taken_back_whole() {
    let (switch, client) = ready().await;
    let counted = TableEntry {
        counter_data: Some(CounterData {
            byte_count: 10,
            packet_count: 1,
        }),
        metadata: "kept".into(),
        ..entry(
            BY_ROUTE,
            vec![lpm(1, 0x0a00_0000, 8)],
            action("forward", &[1]),
        )
    };
    let register = |value: u8| {
        update(
            Type::Modify,
            Kind::RegisterEntry(RegisterEntry {
                register_id: array_id("marks"),
                index: Some(Index { index: 2 }),
                data: Some(P4Data {
                    data: Some(Data::Bitstring(vec![value].into())),
                }),
            }),
        )
    };
    let counter = |packet_count| {
        update(
            Type::Modify,
            Kind::CounterEntry(CounterEntry {
                counter_id: array_id("seen"),
                index: Some(Index { index: 2 }),
                data: Some(CounterData {
                    byte_count: 0,
                    packet_count,
                }),
            }),
        )
    };
    let mark = |version| default_of(SETTINGS, Some(action("set_version", &[version])));
    write(
        &client,
        vec![
            insert(counted.clone()),
            register(5),
            counter(6),
            modify(mark(1)),
        ],
    )
    .await;
    let everything = async || {
        let mut all = Vec::new();
        let query = TableEntry {
            table_id: BY_ROUTE,
            counter_data: Some(CounterData::default()),
            ..TableEntry::default()
        };
        all.extend(read(&client, Kind::TableEntry(query)).await);
        all.extend(read(&client, Kind::TableEntry(default_of(SETTINGS, None))).await);
        all.extend(read(&client, Kind::RegisterEntry(RegisterEntry::default())).await);
        all.extend(read(&client, Kind::CounterEntry(CounterEntry::default())).await);
        all.extend(
            entries(&client, BY_MAC)
                .await
                .into_iter()
                .map(Kind::TableEntry),
        );
        all
    };
    let before = everything().await;
    let changed = TableEntry {
        counter_data: None,
        metadata: "new".into(),
        ..counted.clone()
    };
    // Every kind of update, the same entry changed, deleted and written anew, then a failure.
    let batch = vec![
        insert(mac_entry(1, 1)),
        modify(changed.clone()),
        delete(counted.clone()),
        insert(changed),
        register(9),
        counter(9),
        modify(mark(2)),
        update(
            Type::Modify,
            Kind::DirectCounterEntry(DirectCounterEntry {
                table_entry: Some(counted),
                data: Some(CounterData {
                    byte_count: 1,
                    packet_count: 1,
                }),
            }),
        ),
        delete(mac_entry(9, 9)),
    ];
    let failed = failures(&client, batch, Atomicity::DataplaneAtomic).await;
    assert_eq!(failed.last().map(|error| error.code), Some(Code::NotFound));
    assert_eq!(everything().await, before);
    switch.shutdown();
}

#[tokio::test]
async fn counters_and_registers_are_written_in_their_bounds() {
    let (switch, client) = ready().await;
    let (seen, marks) = (array_id("seen"), array_id("marks"));
    let counter = |counter_id, index: Option<i64>, packet_count| {
        Kind::CounterEntry(CounterEntry {
            counter_id,
            index: index.map(|index| Index { index }),
            data: Some(CounterData {
                byte_count: 3,
                packet_count,
            }),
        })
    };
    let register = |register_id, index: Option<i64>, data: &'static [u8]| {
        Kind::RegisterEntry(RegisterEntry {
            register_id,
            index: index.map(|index| Index { index }),
            data: Some(P4Data {
                data: Some(Data::Bitstring(data.into())),
            }),
        })
    };
    let code = async |change, kind| code_of(&client, update(change, kind)).await;
    let modify = Type::Modify;
    assert_eq!(
        code(modify, counter(seen, Some(16), 1)).await,
        Code::OutOfRange
    );
    assert_eq!(
        code(modify, counter(seen, Some(-1), 1)).await,
        Code::InvalidArgument
    );
    assert_eq!(
        code(modify, counter(seen, Some(1), -1)).await,
        Code::InvalidArgument
    );
    assert_eq!(
        code(modify, counter(77, Some(1), 1)).await,
        Code::InvalidArgument
    );
    assert_eq!(
        code(modify, register(marks, Some(8), &[1])).await,
        Code::OutOfRange
    );
    assert_eq!(
        code(modify, register(marks, Some(-1), &[1])).await,
        Code::InvalidArgument
    );
    assert_eq!(
        code(modify, register(marks, Some(1), &[])).await,
        Code::OutOfRange
    );
    assert_eq!(
        code(modify, register(marks, Some(1), &[1, 0, 0, 0, 0])).await,
        Code::OutOfRange
    );
    let none = RegisterEntry {
        register_id: marks,
        ..RegisterEntry::default()
    };
    assert_eq!(
        code(modify, Kind::RegisterEntry(none)).await,
        Code::InvalidArgument
    );
    for change in [Type::Insert, Type::Delete] {
        assert_eq!(
            code(change, counter(seen, Some(1), 1)).await,
            Code::InvalidArgument
        );
        assert_eq!(
            code(change, register(marks, Some(1), &[1])).await,
            Code::InvalidArgument
        );
    }
    assert_eq!(code(modify, counter(seen, None, 4)).await, Code::Ok);
    let one = counter(seen, Some(5), 4);
    assert_eq!(read(&client, one.clone()).await, [one]);
    assert_eq!(code(modify, register(marks, None, &[0xaa])).await, Code::Ok);
    assert_eq!(
        code(modify, register(marks, Some(2), &[0xff, 0, 0, 0])).await,
        Code::Ok
    );
    let all = read(&client, register(marks, None, &[0])).await;
    let want: Vec<_> = (0..8)
        .map(|index| {
            let value: &[u8] = if index == 2 {
                &[0xff, 0, 0, 0]
            } else {
                &[0xaa]
            };
            register(marks, Some(index), value)
        })
        .collect();
    assert_eq!(all, want);
    switch.shutdown();
}

#[tokio::test]
async fn registers_of_any_width_and_sign_reach_the_program() {
    let (switch, client) = ready().await;
    let cell = |name, index, bytes: Vec<u8>| {
        Kind::RegisterEntry(RegisterEntry {
            register_id: array_id(name),
            index: Some(Index { index }),
            data: Some(P4Data {
                data: Some(Data::Bitstring(bytes.into())),
            }),
        })
    };
    // The program writes cell 0 plus one to cell 1, and for the signed array cell 0 minus one.
    let mut wide = vec![0x77; 40];
    wide[39] = 0xff;
    let updates = vec![
        update(Type::Modify, cell("wide", 0, wide.clone())),
        update(Type::Modify, cell("offsets", 0, vec![0xf8, 0x00])),
    ];
    write(&client, updates).await;
    assert!(switch.inject(1, &frame(1, 2, 3)).is_empty());
    wide[38] = 0x78;
    wide[39] = 0;
    let read = async |kind| read(&client, kind).await;
    assert_eq!(read(cell("wide", 1, vec![])).await, [cell("wide", 1, wide)]);
    // -2048 - 1 in twelve bits is 2047.
    assert_eq!(
        read(cell("offsets", 0, vec![])).await,
        [cell("offsets", 0, vec![0xf8, 0x00])]
    );
    assert_eq!(
        read(cell("offsets", 1, vec![])).await,
        [cell("offsets", 1, vec![0x07, 0xff])]
    );
    switch.shutdown();
}

#[tokio::test]
async fn direct_counters_need_their_entry() {
    let (switch, client) = ready().await;
    let route = entry(
        BY_ROUTE,
        vec![lpm(1, 0x0a00_0000, 8)],
        action("forward", &[1]),
    );
    let counter = |table_entry: &TableEntry, packet_count| {
        Kind::DirectCounterEntry(DirectCounterEntry {
            table_entry: Some(table_entry.clone()),
            data: Some(CounterData {
                byte_count: 3,
                packet_count,
            }),
        })
    };
    let code = async |change, kind| code_of(&client, update(change, kind)).await;
    assert_eq!(code(Type::Modify, counter(&route, 1)).await, Code::NotFound);
    write(&client, vec![insert(route.clone())]).await;
    assert_eq!(
        code(Type::Insert, counter(&route, 1)).await,
        Code::InvalidArgument
    );
    assert_eq!(
        code(Type::Modify, counter(&mac_entry(1, 1), 1)).await,
        Code::InvalidArgument
    );
    assert_eq!(code(Type::Modify, counter(&route, 41)).await, Code::Ok);
    let key = TableEntry {
        action: None,
        ..route.clone()
    };
    assert_eq!(read(&client, counter(&key, 0)).await, [counter(&key, 41)]);
    // MODIFY without counter data leaves it; with data it is set.
    write(
        &client,
        vec![modify(TableEntry {
            action: None,
            ..route.clone()
        })],
    )
    .await;
    assert_eq!(read(&client, counter(&key, 0)).await, [counter(&key, 41)]);
    assert_eq!(entries(&client, BY_ROUTE).await, [route]);
    switch.shutdown();
}

#[tokio::test]
async fn what_is_not_programmed_is_named() {
    let (switch, client) = ready().await;
    let other = Kind::ExternEntry(ExternEntry {
        extern_id: 5,
        ..ExternEntry::default()
    });
    let batch = vec![update(Type::Modify, other)];
    let failed = failures(&client, batch, Atomicity::ContinueOnError).await;
    assert_eq!(failed[0].code, Code::Unimplemented);
    assert!(
        failed[0].message.contains("Extern"),
        "{}",
        failed[0].message
    );
    switch.shutdown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_atomic_batch_is_never_seen_in_part() {
    let (switch, client) = ready().await;
    let (mac, rounds) = (0xa, 300);
    let side = |table, name, version| entry(table, vec![exact(1, mac)], action(name, &[version]));
    write(
        &client,
        vec![
            insert(mac_entry(mac, 3)),
            insert(side(LEFT, "set_version", 0)),
            insert(side(RIGHT, "set_check", 0)),
        ],
    )
    .await;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let packets = scope.spawn(|| {
            let mut sent = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) || sent == 0 {
                // The program drops the packet if the two tables do not agree.
                let outputs = switch.inject(1, &frame(0xa, 1, 0));
                assert_eq!(outputs.len(), 1, "packet {sent} saw half of a batch");
                sent += 1;
            }
            sent
        });
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            runtime.block_on(async {
                for version in 1..=rounds {
                    // Other work in between, so that there is time to look in.
                    let mut batch = vec![modify(side(LEFT, "set_version", version))];
                    batch.extend((0..50).map(|at| insert(mac_entry(1000 * version + at, 1))));
                    batch.push(modify(side(RIGHT, "set_check", version)));
                    client
                        .write(batch, Atomicity::DataplaneAtomic)
                        .await
                        .expect("written");
                }
            });
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(packets.join().expect("no packet saw half of a batch") > 0);
    });
    switch.shutdown();
}
