//! Who may call, and what they may say.

use std::sync::Arc;

use offload_api::proto::table_service_client::TableServiceClient;
use offload_api::sync::{Limits, SyncClient};
use offload_api::types::{FromDpu, Hello, NackReason, SnapshotChunk, ToDpu};
use p4_tables::acl_host_v4;
use table_model::{Generation, Row};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::lab::{Lab, acknowledged, fresh_switch, state, until};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_named_host_agent_may_call() {
    let switch = fresh_switch();
    let mut lab = Lab::new(switch.grpc_addr());
    lab.config.host = Some("worker-1".to_owned());
    let agent = lab.agent().await;
    // An authority's certificate for another name, from a directory of its own.
    let other = tempfile::TempDir::new().unwrap();
    for file in ["ca.pem", "ca-key.pem"] {
        std::fs::copy(lab.dir.path().join(file), other.path().join(file)).unwrap();
    }
    let intruder = crate::lab::connector(other.path(), agent.api(), "worker-2");
    let client = intruder.connect().await.unwrap();
    let error = client.device().await.unwrap_err();
    assert!(error.is_permission());
    let text = error.to_string();
    for name in [
        "spiffe://margay/host-agent/worker-1",
        "spiffe://margay/host-agent/worker-2",
    ] {
        assert!(text.contains(name), "{text}");
    }
    let schema = Arc::new(p4_tables::schema().clone());
    let intruder = SyncClient::start(schema, intruder, Limits::default());
    intruder.replace(&state(1)).unwrap();
    until(&mut intruder.state(), "the refusal", |state| {
        state.error.is_some()
    })
    .await;
    let friend = lab
        .connector(agent.api(), "worker-1")
        .connect()
        .await
        .unwrap();
    assert_eq!(friend.device().await.unwrap().name, "dpu-1");
    assert_eq!(agent.view().borrow().status.desired, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_pipeline_is_refused() {
    let switch = fresh_switch();
    let lab = Lab::new(switch.grpc_addr());
    let agent = lab.agent().await;
    let mut schema = p4_tables::schema().clone();
    schema.fingerprint ^= 1;
    let connector = lab.connector(agent.api(), "worker-1");
    let host = SyncClient::start(Arc::new(schema), connector, Limits::default());
    host.replace(&state(1)).unwrap();
    let state = until(&mut host.state(), "the refusal", |state| {
        state.error.is_some()
    })
    .await;
    let text = state.error.unwrap();
    assert!(text.contains("is not this agent's"), "{text}");
    assert_eq!(agent.view().borrow().status.desired, None);
}

struct Raw {
    requests: mpsc::Sender<offload_api::proto::SyncRequest>,
    answers: Streaming<offload_api::proto::SyncResponse>,
}

impl Raw {
    async fn open(api: std::net::SocketAddr, session: &str) -> Self {
        let mut client = TableServiceClient::connect(format!("http://{api}"))
            .await
            .unwrap();
        let (requests, receiver) = mpsc::channel(8);
        let hello = ToDpu::Hello(Hello {
            session: session.to_owned(),
            schema_fingerprint: p4_tables::schema().fingerprint,
            generation: Generation(0),
        });
        requests.send(hello.into()).await.unwrap();
        let answers = client.sync(ReceiverStream::new(receiver)).await.unwrap();
        Self {
            requests,
            answers: answers.into_inner(),
        }
    }

    async fn snapshot(&self, generation: u64, rows: Vec<Row>) {
        let chunk = ToDpu::Snapshot(SnapshotChunk {
            generation: Generation(generation),
            begin: true,
            end: true,
            rows,
        });
        self.requests.send(chunk.into()).await.unwrap();
    }

    /// The next answer that is no status.
    async fn next(&mut self) -> FromDpu {
        loop {
            let message = self.answers.message().await.unwrap().unwrap();
            match FromDpu::try_from(message).unwrap() {
                FromDpu::Status(_) => {}
                answer => return answer,
            }
        }
    }
}

fn row(address: u32) -> Row {
    acl_host_v4::host_label(acl_host_v4::key(address), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_only_grow() {
    let switch = fresh_switch();
    let mut lab = Lab::new(switch.grpc_addr());
    lab.config.insecure = true;
    let agent = lab.agent().await;
    let mut raw = Raw::open(agent.api(), "a").await;
    assert!(matches!(raw.next().await, FromDpu::Resync(_)));
    raw.snapshot(5, vec![row(1)]).await;
    assert!(matches!(raw.next().await, FromDpu::Ack(ack) if ack.generation == Generation(5)));
    for stale in [5, 4] {
        raw.snapshot(stale, vec![]).await;
        match raw.next().await {
            FromDpu::Nack(nack) => assert_eq!(nack.reason, NackReason::StaleGeneration),
            other => panic!("{other:?}"),
        }
    }
    // Another stream of the same session goes on, and the older one ends.
    let mut second = Raw::open(agent.api(), "a").await;
    assert_eq!(second.next().await, FromDpu::Welcome(Generation(5)));
    let end = loop {
        match raw.answers.message().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(
        end.unwrap_err()
            .message()
            .contains("taken this one's place")
    );
    // Another session has to go beyond what is held.
    let mut third = Raw::open(agent.api(), "b").await;
    match third.next().await {
        FromDpu::Resync(resync) => assert_eq!(resync.generation, Generation(5)),
        other => panic!("{other:?}"),
    }
    assert_eq!(agent.view().borrow().status.rows, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_breaks_off_deletes_nothing() {
    let switch = fresh_switch();
    let mut lab = Lab::new(switch.grpc_addr());
    lab.config.insecure = true;
    let agent = lab.agent().await;
    let mut raw = Raw::open(agent.api(), "a").await;
    raw.next().await;
    raw.snapshot(1, vec![row(1), row(2)]).await;
    raw.next().await;
    let mut second = Raw::open(agent.api(), "a").await;
    second.next().await;
    let part = ToDpu::Snapshot(SnapshotChunk {
        generation: Generation(2),
        begin: true,
        end: false,
        rows: vec![row(3)],
    });
    second.requests.send(part.into()).await.unwrap();
    drop(second);
    until(&mut agent.view(), "the end of the stream", |view| {
        view.host.is_none()
    })
    .await;
    let mut third = Raw::open(agent.api(), "a").await;
    assert_eq!(third.next().await, FromDpu::Welcome(Generation(1)));
    let view = agent.view().borrow().clone();
    assert_eq!((view.status.rows, view.status.updates), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_is_only_for_those_who_ask_for_it() {
    let switch = fresh_switch();
    let lab = Lab::new(switch.grpc_addr());
    let agent = lab.agent().await;
    let client = TableServiceClient::connect(format!("http://{}", agent.api())).await;
    let refused = match client {
        Err(_) => true,
        Ok(mut client) => {
            let request = offload_api::proto::ListTablesRequest::default();
            client.list_tables(request).await.is_err()
        }
    };
    assert!(refused);
    let host = lab.host(agent.api());
    host.replace(&state(1)).unwrap();
    acknowledged(&host).await;
}
