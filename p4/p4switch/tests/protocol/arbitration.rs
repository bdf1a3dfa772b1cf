//! P4Runtime 5: roles, election ids, and who may write.

use p4runtime_proto::{
    Client, ElectionId,
    client::{ArbitrateError, Arbitrated, Backup, Event, PipelineError, WriteError},
    p4::v1::{
        WriteRequest, p4_runtime_client::P4RuntimeClient,
        set_forwarding_pipeline_config_request::Action, write_request::Atomicity,
    },
};
use tonic::Code;

use crate::support::{connect, empty, insert, mac_entry, primary, ready, switch_config, write};

async fn backup(switch: &p4switch::Handle, election_id: u128) -> Client<Backup> {
    match connect(switch)
        .await
        .arbitrate("", ElectionId(election_id))
        .await
        .expect("answered")
    {
        Arbitrated::Backup(client) => client,
        Arbitrated::Primary(_) => panic!("a backup was expected"),
    }
}

#[tokio::test]
async fn capabilities_name_the_version() {
    let switch = empty();
    assert_eq!(
        connect(&switch)
            .await
            .capabilities()
            .await
            .expect("answered"),
        "1.5.0"
    );
    let stranger = Client::connect(&switch.grpc_addr().to_string(), 9)
        .await
        .expect("connected");
    assert_eq!(
        stranger.capabilities().await.expect_err("refused").code(),
        Code::NotFound
    );
    switch.shutdown();
}

#[tokio::test]
async fn a_higher_id_takes_over_and_the_old_primary_may_not_write() {
    let (switch, mut first) = ready().await;
    let second = primary(&switch, 2).await;
    let told = first.event().await.expect("told");
    assert_eq!(
        told,
        Event::Arbitration {
            code: Code::AlreadyExists,
            highest: Some(ElectionId(2))
        }
    );
    let refused = first
        .write(vec![insert(mac_entry(1, 1))], Atomicity::ContinueOnError)
        .await
        .expect_err("not the primary");
    assert!(matches!(
        refused,
        WriteError::Refused {
            code: Code::PermissionDenied,
            ..
        }
    ));
    let second = second.adopt(7).await.expect("same pipeline");
    write(&second, vec![insert(mac_entry(1, 1))]).await;
    switch.shutdown();
}

#[tokio::test]
async fn nobody_is_promoted_when_the_primary_leaves() {
    let (switch, first) = ready().await;
    let mut second = backup(&switch, 0).await;
    assert_eq!(second.highest(), Some(ElectionId(1)));
    drop(first);
    assert_eq!(
        second.event().await.expect("told"),
        Event::Arbitration {
            code: Code::NotFound,
            highest: Some(ElectionId(1))
        }
    );
    let refused = second.claim(ElectionId(0)).await.expect("answered");
    let Arbitrated::Backup(second) = refused else {
        panic!("an id below the highest won")
    };
    let Arbitrated::Primary(second) = second.claim(ElectionId(1)).await.expect("answered") else {
        panic!("the highest id did not win")
    };
    let second = second.adopt(7).await.expect("same pipeline");
    write(&second, vec![insert(mac_entry(1, 1))]).await;
    switch.shutdown();
}

#[tokio::test]
async fn two_live_clients_cannot_share_an_id() {
    let switch = empty();
    let _first = primary(&switch, 5).await;
    let second = connect(&switch).await.arbitrate("", ElectionId(5)).await;
    let Err(ArbitrateError::Refused { source, .. }) = second else {
        panic!("taken twice")
    };
    assert_eq!(source.code(), Code::InvalidArgument);
    switch.shutdown();
}

#[tokio::test]
async fn another_device_ends_the_stream() {
    let switch = empty();
    let address = switch.grpc_addr().to_string();
    let client = Client::connect(&address, 99).await.expect("connected");
    let Err(ArbitrateError::Refused { source, .. }) = client.arbitrate("", ElectionId(1)).await
    else {
        panic!("a device that is not there was taken")
    };
    assert_eq!(source.code(), Code::NotFound);
    assert!(
        source.message().contains("--device-id"),
        "{}",
        source.message()
    );
    switch.shutdown();
}

#[tokio::test]
async fn roles_have_primaries_of_their_own() {
    let (switch, default) = ready().await;
    let other = connect(&switch)
        .await
        .primary("telemetry", ElectionId(1))
        .await
        .expect("primary");
    let other = other.adopt(7).await.expect("same pipeline");
    write(&default, vec![insert(mac_entry(1, 1))]).await;
    write(&other, vec![insert(mac_entry(2, 1))]).await;
    switch.shutdown();
}

#[tokio::test]
async fn requests_are_checked_in_the_order_of_the_specification() {
    let switch = empty();
    let channel = p4runtime_proto::client::endpoint(&switch.grpc_addr().to_string())
        .expect("address")
        .connect()
        .await
        .expect("connected");
    let mut raw = P4RuntimeClient::new(channel);
    let mut code =
        async |request: WriteRequest| raw.write(request).await.expect_err("refused").code();
    let request = WriteRequest {
        device_id: 1,
        ..WriteRequest::default()
    };
    let wrong_device = WriteRequest {
        device_id: 2,
        ..request.clone()
    };
    assert_eq!(code(wrong_device).await, Code::NotFound);
    let wrong_role = WriteRequest {
        role: "nobody".into(),
        ..request.clone()
    };
    assert_eq!(code(wrong_role).await, Code::NotFound);
    // No stream, no election id: bmv2 lets it through, the specification does not.
    assert_eq!(code(request.clone()).await, Code::PermissionDenied);
    let client = primary(&switch, 3).await;
    assert_eq!(code(request.clone()).await, Code::PermissionDenied);
    let election_id = Some(ElectionId(3).into());
    let right = WriteRequest {
        election_id,
        ..request
    };
    assert_eq!(code(right.clone()).await, Code::FailedPrecondition);
    let client = client
        .set_pipeline(switch_config(1))
        .await
        .expect("pipeline set");
    let odd = WriteRequest {
        atomicity: 77,
        ..right
    };
    assert_eq!(code(odd).await, Code::InvalidArgument);
    drop(client);
    switch.shutdown();
}

#[tokio::test]
async fn only_the_primary_sets_the_pipeline() {
    let switch = empty();
    let first = primary(&switch, 1).await;
    let _second = primary(&switch, 2).await;
    let refused = first
        .set_pipeline(switch_config(1))
        .await
        .expect_err("not the primary");
    let PipelineError::Refused {
        action: Action::VerifyAndCommit,
        source,
    } = refused.source
    else {
        panic!("{:?}", refused.source)
    };
    assert_eq!(source.code(), Code::PermissionDenied);
    // The error gives the client back.
    assert_eq!(refused.client.election_id(), ElectionId(1));
    switch.shutdown();
}

#[tokio::test]
async fn streams_end_when_the_switch_stops() {
    let (switch, mut client) = ready().await;
    switch.shutdown();
    let lost = client.event().await.expect_err("the stream has ended");
    assert_eq!(lost.source.code(), Code::Unavailable);
}
