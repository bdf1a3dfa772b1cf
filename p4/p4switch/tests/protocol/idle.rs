//! P4Runtime 9.1.7 and 16.3: idle timeouts.

use std::time::{Duration, Instant};

use p4runtime_proto::{
    Client,
    client::{Event, Ready},
    p4::v1::{
        IdleTimeoutNotification, TableEntry, entity::Entity as Kind, table_entry::IdleTimeout,
    },
};
use tonic::Code;

use crate::support::{Named, branch, code_of, delete, insert, modify, ports, read, write};

async fn notice(client: &mut Client<Ready>) -> IdleTimeoutNotification {
    let wait = Duration::from_secs(10);
    let event = tokio::time::timeout(wait, client.event()).await;
    match event.expect("in time").expect("told") {
        Event::IdleTimeout(notice) => notice,
        other => panic!("not an idle timeout: {other:?}"),
    }
}

fn timed(program: &Named, key: u128, timeout: Duration) -> TableEntry {
    TableEntry {
        idle_timeout_ns: i64::try_from(timeout.as_nanos()).expect("short"),
        metadata: "mine".into(),
        ..program.entry("by_time", key, program.call("forward", &[2]))
    }
}

#[tokio::test]
async fn an_entry_that_is_not_hit_is_told_again_and_again() {
    let program = Named::entities();
    let (switch, mut client) = program.ready().await;
    let timeout = Duration::from_millis(60);
    let entry = timed(&program, 5, timeout);
    let begun = Instant::now();
    write(&client, vec![insert(entry.clone())]).await;
    let told = notice(&mut client).await;
    assert!(begun.elapsed() >= timeout);
    // Key, metadata and the timeout, and nothing else.
    let wanted = TableEntry {
        action: None,
        ..entry.clone()
    };
    assert_eq!(told.table_entry, [wanted]);
    assert!(told.timestamp > 0);
    notice(&mut client).await;
    assert!(begun.elapsed() >= timeout * 2);
    assert_eq!(
        read(&client, Kind::TableEntry(entry.clone())).await,
        [Kind::TableEntry(entry.clone())]
    );
    write(&client, vec![delete(entry)]).await;
    // One may have been on its way.
    let silence = async {
        while tokio::time::timeout(timeout * 4, client.event())
            .await
            .is_ok()
        {}
    };
    let wait = Duration::from_secs(10);
    tokio::time::timeout(wait, silence)
        .await
        .expect("silent in the end");
    switch.shutdown();
}

#[tokio::test]
async fn hits_put_the_notice_off() {
    let program = Named::entities();
    let (switch, mut client) = program.ready().await;
    let timeout = Duration::from_millis(400);
    write(&client, vec![insert(timed(&program, 5, timeout))]).await;
    let begun = Instant::now();
    let mut last = begun;
    while begun.elapsed() < timeout * 2 {
        assert_eq!(ports(&switch, &branch(5, 5, 0, 0)), [2]);
        last = Instant::now();
        // A pause that is much shorter than the timeout; the machine may make it longer.
        let early = tokio::time::timeout(Duration::from_millis(10), client.event()).await;
        if early.is_ok() {
            assert!(last.elapsed() >= timeout, "told although it was hit");
            switch.shutdown();
            return;
        }
    }
    notice(&mut client).await;
    assert!(last.elapsed() >= timeout - Duration::from_millis(5));
    switch.shutdown();
}

#[tokio::test]
async fn the_time_since_the_last_hit_is_read() {
    let program = Named::entities();
    let (switch, client) = program.ready().await;
    // Also without a timeout (9.1.7).
    let entry = program.entry("by_time", 5, program.call("forward", &[2]));
    write(&client, vec![insert(entry.clone())]).await;
    let query = TableEntry {
        time_since_last_hit: Some(IdleTimeout::default()),
        ..entry.clone()
    };
    let elapsed = async || match &read(&client, Kind::TableEntry(query.clone())).await[..] {
        [Kind::TableEntry(found)] => found.time_since_last_hit.expect("asked for").elapsed_ns,
        other => panic!("not one entry: {other:?}"),
    };
    std::thread::sleep(Duration::from_millis(50));
    let before = elapsed().await;
    assert!(before >= 50_000_000, "{before} ns since it was written");
    let hit = Instant::now();
    assert_eq!(ports(&switch, &branch(5, 5, 0, 0)), [2]);
    let after = elapsed().await;
    let most = i64::try_from(hit.elapsed().as_nanos()).expect("short");
    assert!(after <= most, "{after} ns since the hit {most} ns ago");
    let plain = read(&client, Kind::TableEntry(entry.clone())).await;
    assert_eq!(plain, [Kind::TableEntry(entry)]);
    switch.shutdown();
}

#[tokio::test]
async fn timeouts_are_refused_where_they_make_no_sense() {
    let program = Named::entities();
    let (switch, client) = program.ready().await;
    let good = timed(&program, 5, Duration::from_secs(1));
    let elsewhere = TableEntry {
        idle_timeout_ns: 1,
        ..program.entry("started", 9, program.call("forward", &[2]))
    };
    let negative = TableEntry {
        idle_timeout_ns: -1,
        ..good.clone()
    };
    let hit = TableEntry {
        time_since_last_hit: Some(IdleTimeout::default()),
        ..good.clone()
    };
    for wrong in [elsewhere, negative, hit] {
        assert_eq!(code_of(&client, insert(wrong)).await, Code::InvalidArgument);
    }
    let default = TableEntry {
        r#match: vec![],
        is_default_action: true,
        ..good
    };
    assert_eq!(
        code_of(&client, modify(default)).await,
        Code::InvalidArgument
    );
    switch.shutdown();
}
