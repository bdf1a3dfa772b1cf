//! P4Runtime 13 and 9.1.5: wildcards, filters, and answers in pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p4runtime_proto::decode_update_errors;
use p4runtime_proto::p4::v1::{
    Action, CounterData, CounterEntry, DirectCounterEntry, Entity, MeterEntry, RegisterEntry,
    TableAction, TableEntry, entity::Entity as Kind, table_action, write_request::Atomicity,
};
use prost::Message as _;
use tonic::Code;

use crate::support::{
    BY_MAC, BY_MASK, BY_ROUTE, FIXED, action, action_id, array_id, entries, entry, exact, frame,
    insert, lpm, mac_entry, read, ready, ternary, write,
};

fn table(kind: Kind) -> TableEntry {
    match kind {
        Kind::TableEntry(entry) => entry,
        other => panic!("not a table entry: {other:?}"),
    }
}

#[tokio::test]
async fn filters_select() {
    let (switch, client) = ready().await;
    let dropped = entry(BY_MAC, vec![exact(1, 3)], action("drop", &[]));
    let marked = TableEntry {
        metadata: "m".into(),
        ..mac_entry(2, 5)
    };
    write(
        &client,
        vec![
            insert(mac_entry(1, 5)),
            insert(marked.clone()),
            insert(dropped.clone()),
        ],
    )
    .await;
    let find = async |query: TableEntry| {
        let mut found: Vec<_> = read(&client, Kind::TableEntry(query))
            .await
            .into_iter()
            .map(table)
            .collect();
        found.sort_by_key(prost::Message::encode_to_vec);
        found
    };
    let all = TableEntry {
        table_id: BY_MAC,
        ..TableEntry::default()
    };
    assert_eq!(find(all.clone()).await.len(), 3);
    let by_match = TableEntry {
        r#match: vec![exact(1, 2)],
        ..all.clone()
    };
    assert_eq!(find(by_match).await, std::slice::from_ref(&marked));
    let nothing = TableEntry {
        r#match: vec![exact(1, 9)],
        ..all.clone()
    };
    assert_eq!(find(nothing).await, []);
    let call = Action {
        action_id: action_id("drop"),
        params: vec![],
    };
    let call = Some(TableAction {
        r#type: Some(table_action::Type::Action(call)),
    });
    assert_eq!(
        find(TableEntry {
            action: call,
            ..all.clone()
        })
        .await,
        [dropped]
    );
    assert_eq!(
        find(TableEntry {
            metadata: "m".into(),
            ..all.clone()
        })
        .await,
        [marked]
    );
    let by_priority = |priority, value| TableEntry {
        priority,
        ..entry(BY_MASK, vec![ternary(1, value, 0xff)], action("drop", &[]))
    };
    let masks = [by_priority(1, 1), by_priority(2, 1), by_priority(2, 2)];
    write(&client, masks.iter().cloned().map(insert).collect()).await;
    let query = TableEntry {
        table_id: BY_MASK,
        priority: 2,
        ..TableEntry::default()
    };
    assert_eq!(find(query).await, masks[1..]);
    let query = TableEntry {
        table_id: BY_MASK,
        r#match: vec![ternary(1, 1, 0xff)],
        ..TableEntry::default()
    };
    assert_eq!(find(query).await, masks[..2]);
    switch.shutdown();
}

#[tokio::test]
async fn table_zero_means_all_tables() {
    let (switch, client) = ready().await;
    write(&client, vec![insert(mac_entry(1, 5))]).await;
    let all: Vec<_> = read(&client, Kind::TableEntry(TableEntry::default()))
        .await
        .into_iter()
        .map(|kind| table(kind).table_id)
        .collect();
    // The two const entries are among them.
    assert_eq!(all, [BY_MAC, FIXED, FIXED]);
    let defaults = TableEntry {
        is_default_action: true,
        ..TableEntry::default()
    };
    assert_eq!(read(&client, Kind::TableEntry(defaults)).await.len(), 8);
    switch.shutdown();
}

#[tokio::test]
async fn counters_are_there_when_asked_for() {
    let (switch, client) = ready().await;
    let route = entry(
        BY_ROUTE,
        vec![lpm(1, 0x0a00_0000, 8)],
        action("forward", &[4]),
    );
    write(&client, vec![insert(route.clone())]).await;
    let mut packet = frame(1, 2, 0x0800);
    packet[14] = 0x45;
    packet[30..34].copy_from_slice(&[10, 1, 2, 3]);
    for _ in 0..3 {
        assert_eq!(switch.inject(6, &packet)[0].0, 4);
    }
    let counted = CounterData {
        byte_count: 180,
        packet_count: 3,
    };
    let query = TableEntry {
        table_id: BY_ROUTE,
        counter_data: Some(CounterData::default()),
        ..TableEntry::default()
    };
    let with_counter = TableEntry {
        counter_data: Some(counted),
        ..route.clone()
    };
    assert_eq!(
        read(&client, Kind::TableEntry(query)).await,
        [Kind::TableEntry(with_counter)]
    );
    assert_eq!(
        entries(&client, BY_ROUTE).await,
        std::slice::from_ref(&route)
    );
    let key = TableEntry {
        action: None,
        ..route
    };
    let direct = DirectCounterEntry {
        table_entry: Some(key),
        data: Some(counted),
    };
    // Every direct counter of every table.
    let all = Kind::DirectCounterEntry(DirectCounterEntry::default());
    assert_eq!(read(&client, all).await, [Kind::DirectCounterEntry(direct)]);
    let seen = CounterEntry {
        counter_id: array_id("seen"),
        index: Some(p4runtime_proto::p4::v1::Index { index: 6 }),
        data: None,
    };
    let want = CounterEntry {
        data: Some(counted),
        ..seen
    };
    assert_eq!(
        read(&client, Kind::CounterEntry(seen)).await,
        [Kind::CounterEntry(want)]
    );
    let counters = read(&client, Kind::CounterEntry(CounterEntry::default())).await;
    assert_eq!(counters.len(), 16);
    let registers = read(&client, Kind::RegisterEntry(RegisterEntry::default())).await;
    assert_eq!(registers.len(), 8 + 4 + 4);
    switch.shutdown();
}

#[tokio::test]
async fn good_queries_are_answered_beside_bad_ones() {
    let (switch, client) = ready().await;
    write(&client, vec![insert(mac_entry(1, 5))]).await;
    let query = |table_id| {
        let entry = TableEntry {
            table_id,
            ..TableEntry::default()
        };
        Entity {
            entity: Some(Kind::TableEntry(entry)),
        }
    };
    let meter = Entity {
        entity: Some(Kind::MeterEntry(MeterEntry {
            meter_id: 5,
            ..MeterEntry::default()
        })),
    };
    let missing = DirectCounterEntry {
        table_entry: Some(TableEntry {
            table_id: BY_ROUTE,
            r#match: vec![lpm(1, 0x0a00_0000, 8)],
            ..TableEntry::default()
        }),
        data: None,
    };
    let missing = Entity {
        entity: Some(Kind::DirectCounterEntry(missing)),
    };
    let queries = vec![
        query(BY_MAC),
        query(0x0200_0099),
        meter,
        missing,
        Entity { entity: None },
    ];
    let mut answers = client.read(queries).await.expect("under way");
    let first = answers.next().await.expect("a piece").expect("not the end");
    assert_eq!(
        first,
        [Entity {
            entity: Some(Kind::TableEntry(mac_entry(1, 5)))
        }]
    );
    let failed = answers.next().await.expect_err("the bad queries");
    assert_eq!(failed.source.code(), Code::Unknown);
    let errors = decode_update_errors(&failed.source).expect("details");
    let codes: Vec<_> = errors
        .iter()
        .map(|error| (error.index, error.code))
        .collect();
    assert_eq!(
        codes,
        [
            (1, Code::InvalidArgument),
            (2, Code::InvalidArgument),
            (3, Code::NotFound),
            (4, Code::InvalidArgument)
        ]
    );
    switch.shutdown();
}

#[tokio::test]
async fn a_large_table_comes_in_pieces_below_a_megabyte() {
    const ENTRIES: u128 = 100_000;
    let (switch, client) = ready().await;
    let all: Vec<_> = (0..ENTRIES).collect();
    for batch in all.chunks(5000) {
        let updates = batch.iter().map(|mac| insert(mac_entry(*mac, 7))).collect();
        client
            .write(updates, Atomicity::ContinueOnError)
            .await
            .expect("written");
    }
    let mut answers = client.read_table(BY_MAC, false).await.expect("under way");
    let mut seen = std::collections::BTreeSet::new();
    let mut pieces = 0;
    while let Some(piece) = answers.next().await.expect("a piece") {
        pieces += 1;
        let size: usize = piece.iter().map(|entity| entity.encoded_len() + 6).sum();
        assert!(size < 1 << 20, "a piece of {size} bytes");
        seen.extend(piece.into_iter().map(|entity| entity.encode_to_vec()));
    }
    assert!(pieces > 1);
    assert_eq!(seen.len() as u128, ENTRIES);
    switch.shutdown();
}

/// A packet waits for a slice of a read, not for all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_pass_while_a_large_table_is_read() {
    const ENTRIES: u128 = 60_000;
    let (switch, client) = ready().await;
    let all: Vec<_> = (0..ENTRIES).collect();
    for batch in all.chunks(5000) {
        let updates = batch.iter().map(|mac| insert(mac_entry(*mac, 7))).collect();
        client
            .write(updates, Atomicity::ContinueOnError)
            .await
            .expect("written");
    }
    let switch = Arc::new(switch);
    let reading = Arc::new(AtomicBool::new(true));
    let packets = {
        let (switch, reading) = (Arc::clone(&switch), Arc::clone(&reading));
        tokio::task::spawn_blocking(move || {
            let (mut count, mut longest) = (0_u32, Duration::ZERO);
            while reading.load(Ordering::Relaxed) {
                let began = Instant::now();
                let sent = switch.inject(1, &frame(3, 4, 3));
                assert_eq!(sent.len(), 1, "{sent:?}");
                longest = longest.max(began.elapsed());
                count += 1;
            }
            (count, longest)
        })
    };
    let began = Instant::now();
    let read = entries(&client, BY_MAC).await;
    let whole = began.elapsed();
    reading.store(false, Ordering::Relaxed);
    let (count, longest) = packets.await.expect("no packet was lost");
    assert_eq!(read.len() as u128, ENTRIES);
    assert!(count > 20, "{count} packets");
    assert!(
        longest < whole / 4,
        "a packet took {longest:?} of the {whole:?} that the read took"
    );
}
