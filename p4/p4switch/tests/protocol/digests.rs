//! P4Runtime 9.6 and 16.2: digests.

use std::time::Duration;

use p4runtime_proto::{
    Client,
    client::{Event, Ready},
    p4::v1::{
        DigestEntry, DigestList, DigestListAck, P4Data, P4StructLike, digest_entry::Config,
        entity::Entity as Kind, p4_data::Data, update::Type,
    },
};
use tonic::Code;

use crate::support::{Named, branch, code_of, read, update, write};

async fn list(client: &mut Client<Ready>) -> DigestList {
    match client.event().await.expect("told") {
        Event::Digest(list) => list,
        other => panic!("not a digest: {other:?}"),
    }
}

/// True if nothing comes within a while.
async fn silent(client: &mut Client<Ready>) -> bool {
    let wait = Duration::from_millis(150);
    tokio::time::timeout(wait, client.event()).await.is_err()
}

fn entry(program: &Named, timeout: Duration, max_list_size: i32, ack: Duration) -> Kind {
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).expect("short");
    Kind::DigestEntry(DigestEntry {
        digest_id: program.id("seen_t"),
        config: Some(Config {
            max_timeout_ns: nanos(timeout),
            max_list_size,
            ack_timeout_ns: nanos(ack),
        }),
    })
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_digest_is_switched_on_told_acknowledged_and_switched_off() {
    let program = Named::entities();
    let (switch, mut client) = program.ready().await;
    let learn = |source| drop(switch.inject(3, &branch(10, 0, source, 0x8100)));
    learn(1);
    assert!(silent(&mut client).await, "not switched on");

    let at_once = entry(&program, Duration::ZERO, 1, HOUR);
    let code = async |client: &Client<Ready>, change, kind: &Kind| {
        code_of(client, update(change, kind.clone())).await
    };
    assert_eq!(code(&client, Type::Modify, &at_once).await, Code::NotFound);
    assert_eq!(code(&client, Type::Insert, &at_once).await, Code::Ok);
    assert_eq!(
        code(&client, Type::Insert, &at_once).await,
        Code::AlreadyExists
    );
    let wild = Kind::DigestEntry(DigestEntry::default());
    assert_eq!(read(&client, wild).await, std::slice::from_ref(&at_once));

    learn(0x0a0b);
    let first = list(&mut client).await;
    assert_eq!(first.digest_id, program.id("seen_t"));
    assert!(first.timestamp > 0);
    let data = |data| P4Data { data: Some(data) };
    let members = vec![
        data(Data::Bitstring(vec![0x0a, 0x0b].into())),
        data(Data::Bitstring(vec![3].into())),
        data(Data::Bitstring(vec![0x81, 0].into())),
    ];
    assert_eq!(first.data, [data(Data::Struct(P4StructLike { members }))]);
    // Not again before it is acknowledged.
    learn(0x0a0b);
    assert!(silent(&mut client).await);
    let ack = DigestListAck {
        digest_id: first.digest_id,
        list_id: first.list_id,
    };
    client.acknowledge(ack).await.expect("sent");
    // The stream and the packet go different ways, so the packet is tried until the switch knows.
    let again = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            learn(0x0a0b);
            if !silent_or_list(&mut client).await {
                return;
            }
        }
    });
    again.await.expect("told again after the acknowledgement");

    assert_eq!(code(&client, Type::Delete, &at_once).await, Code::Ok);
    learn(77);
    assert!(silent(&mut client).await);
    assert_eq!(code(&client, Type::Delete, &at_once).await, Code::NotFound);

    let unknown = DigestListAck {
        digest_id: 5,
        list_id: 1,
    };
    client.acknowledge(unknown).await.expect("sent");
    let Event::Error(error) = client.event().await.expect("told") else {
        panic!("not an error");
    };
    assert_eq!(Code::from_i32(error.canonical_code), Code::InvalidArgument);
    switch.shutdown();
}

async fn silent_or_list(client: &mut Client<Ready>) -> bool {
    let wait = Duration::from_millis(50);
    match tokio::time::timeout(wait, client.event()).await {
        Ok(event) => {
            assert!(matches!(event.expect("told"), Event::Digest(_)));
            false
        }
        Err(_) => true,
    }
}

#[tokio::test]
async fn lists_are_filled_or_sent_when_time_is_up() {
    let program = Named::entities();
    let (switch, mut client) = program.ready().await;
    let learn = |source| drop(switch.inject(3, &branch(10, 0, source, 0)));
    let three = entry(&program, HOUR, 3, Duration::ZERO);
    write(&client, vec![update(Type::Insert, three)]).await;
    for source in [1, 1, 2, 3, 4] {
        learn(source);
    }
    assert_eq!(list(&mut client).await.data.len(), 3);
    assert!(silent(&mut client).await, "one waits");
    let soon = entry(&program, Duration::from_millis(30), 100, Duration::ZERO);
    write(&client, vec![update(Type::Modify, soon)]).await;
    // A new list, as the waiting one has an hour.
    learn(5);
    learn(6);
    let negative = entry(&program, Duration::ZERO, -1, Duration::ZERO);
    assert_eq!(
        code_of(&client, update(Type::Modify, negative)).await,
        Code::InvalidArgument
    );
    write(
        &client,
        vec![
            update(Type::Delete, entry(&program, HOUR, 0, HOUR)),
            update(
                Type::Insert,
                entry(&program, Duration::from_millis(30), 100, Duration::ZERO),
            ),
        ],
    )
    .await;
    learn(7);
    learn(8);
    learn(7);
    assert_eq!(list(&mut client).await.data.len(), 2);
    switch.shutdown();
}
