//! Real connections: who gets in, who does not and what is said, and a sync client that outlives
//! cuts, restarts and rotations.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use offload_api::client::{self, CallError, ConnectError, Connector};
use offload_api::error_chain;
use offload_api::identity::{Expected, Identity, Role};
use offload_api::server::{self, MemoryDpu, Security};
use offload_api::sync::{Limits, SyncClient, SyncState};
use offload_api::tls::{Pki, ServerTls};
use offload_api::types::{DevicePort, EntryView, PageRequest, PortRole};
use table_model::{
    ActionId, ActionSchema, FieldSchema, FieldValue, MatchKind, ParamSchema, Phase, Rank, Row,
    Schema, TableId, TableSchema, Update,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

fn schema() -> Schema {
    Schema {
        fingerprint: 42,
        tables: vec![TableSchema {
            id: TableId(0x0200_0001),
            name: "things".to_owned(),
            size: 100_000,
            rank: Rank::Body,
            fields: vec![FieldSchema {
                id: 1,
                name: "key".to_owned(),
                bits: 32,
                kind: MatchKind::Exact,
            }],
            actions: vec![ActionSchema {
                id: ActionId(0x0100_0001),
                name: "set".to_owned(),
                params: vec![ParamSchema {
                    id: 1,
                    name: "value".to_owned(),
                    bits: 32,
                }],
            }],
            counted: true,
        }],
    }
}

fn row(key: u32, value: u32) -> Row {
    let schema = schema();
    let table = &schema.tables[0];
    Row {
        key: table.key(&[FieldValue::Exact(key.into())]).unwrap(),
        action: table.actions[0].call(&[value.into()]).unwrap(),
    }
}

fn inserts(keys: std::ops::Range<u32>) -> Vec<Phase> {
    vec![Phase {
        updates: keys.map(|key| Update::Insert(row(key, 1))).collect(),
    }]
}

fn pki(dir: &Path, role: Role, name: &str) -> Pki {
    let pki = Pki {
        dir: dir.to_owned(),
        identity: Identity::new(role, name).unwrap(),
    };
    pki.prepare().unwrap();
    pki
}

struct Server {
    address: SocketAddr,
    dpu: Arc<MemoryDpu>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(security: Security) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = DevicePort {
        number: 3,
        interface: "cali1".to_owned(),
        mac: Some([2; 6]),
        role: PortRole::Workload,
    };
    let dpu = Arc::new(MemoryDpu::new(schema(), vec![port]));
    let served = Arc::clone(&dpu);
    let task = tokio::spawn(async move {
        server::serve(listener, served, security, std::future::pending())
            .await
            .unwrap();
    });
    Server { address, dpu, task }
}

fn mutual(dir: &Path, expected: Expected) -> Security {
    Security::Mutual {
        tls: ServerTls::new(pki(dir, Role::DpuAgent, "dpu-1")).unwrap(),
        expected,
    }
}

fn connector(server: &Server, dir: &Path, expected: Expected) -> Connector {
    Connector {
        address: server.address.to_string(),
        security: client::Security::Mutual {
            pki: pki(dir, Role::HostAgent, "node-1"),
            expected,
        },
    }
}

fn host() -> Expected {
    Expected::any(Role::HostAgent)
}

fn dpu() -> Expected {
    Expected::any(Role::DpuAgent)
}

async fn until(
    states: &mut watch::Receiver<SyncState>,
    what: &str,
    condition: impl FnMut(&SyncState) -> bool,
) -> SyncState {
    timeout(LONG, states.wait_for(condition))
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"))
        .unwrap()
        .clone()
}

#[tokio::test]
async fn those_who_belong_together_talk() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(mutual(dir.path(), host())).await;
    let client = connector(&server, dir.path(), dpu())
        .connect()
        .await
        .unwrap();
    let peer = client.peer().map(ToString::to_string);
    assert_eq!(peer.as_deref(), Some("spiffe://margay/dpu-agent/dpu-1"));
    assert_eq!(client.device().await.unwrap().schema_fingerprint, 42);
    assert_eq!(client.ports().await.unwrap()[0].interface, "cali1");
    assert_eq!(client.flush_connections().await.unwrap(), 1);
}

#[tokio::test]
async fn a_client_refuses_a_server_of_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(mutual(dir.path(), host())).await;
    let expected = Expected {
        role: Role::DpuAgent,
        name: Some("dpu-2".to_owned()),
    };
    let error = connector(&server, dir.path(), expected)
        .connect()
        .await
        .unwrap_err();
    let text = error_chain(&error);
    assert!(matches!(error, ConnectError::Identity { .. }), "{error:?}");
    for part in [
        "spiffe://margay/dpu-agent/dpu-2",
        "spiffe://margay/dpu-agent/dpu-1",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_server_refuses_a_client_of_another_name_and_says_whom_it_expects() {
    let dir = tempfile::tempdir().unwrap();
    let only = Expected {
        role: Role::HostAgent,
        name: Some("node-9".to_owned()),
    };
    let server = serve(mutual(dir.path(), only)).await;
    let client = connector(&server, dir.path(), dpu())
        .connect()
        .await
        .unwrap();
    let error = client.device().await.unwrap_err();
    assert!(error.is_permission());
    let text = error_chain(&error);
    for part in [
        "spiffe://margay/host-agent/node-9",
        "spiffe://margay/host-agent/node-1",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn an_authority_of_its_own_is_not_trusted() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = serve(mutual(ours.path(), host())).await;
    let error = connector(&server, theirs.path(), dpu())
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Handshake { .. }), "{error:?}");
}

#[tokio::test]
async fn plaintext_is_spoken_only_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let secure = serve(mutual(dir.path(), host())).await;
    let plain_client = |server: &Server| Connector {
        address: server.address.to_string(),
        security: client::Security::Plaintext,
    };
    // A plaintext client may get a connection, and gets no answer on it.
    if let Ok(client) = plain_client(&secure).connect().await {
        assert!(matches!(
            client.device().await,
            Err(CallError::Status { .. })
        ));
    }
    let plain = serve(Security::Plaintext).await;
    let error = connector(&plain, dir.path(), dpu())
        .connect()
        .await
        .unwrap_err();
    let text = error_chain(&error);
    assert!(text.contains("plaintext"), "{text}");
    let client = plain_client(&plain).connect().await.unwrap();
    assert!(client.peer().is_none());
    assert_eq!(client.device().await.unwrap().name, "memory");
}

#[tokio::test]
async fn nobody_at_home_is_told_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let connector = Connector {
        address: address.clone(),
        security: client::Security::Plaintext,
    };
    let text = connector.connect().await.unwrap_err().to_string();
    assert!(text.contains(&address), "{text}");
}

#[tokio::test]
async fn rotated_certificates_are_taken_up_without_a_restart() {
    let (dir, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = serve(mutual(dir.path(), host())).await;
    let connector = connector(&server, dir.path(), dpu());
    let before = connector.connect().await.unwrap();
    pki(fresh.path(), Role::DpuAgent, "dpu-1");
    pki(fresh.path(), Role::HostAgent, "node-1");
    for name in [
        "ca.pem",
        "dpu-agent.pem",
        "dpu-agent-key.pem",
        "host-agent.pem",
        "host-agent-key.pem",
    ] {
        fs::copy(fresh.path().join(name), dir.path().join(name)).unwrap();
    }
    let after = connector.connect().await.unwrap();
    assert_eq!(after.device().await.unwrap().name, "memory");
    assert_eq!(
        before.device().await.unwrap().name,
        "memory",
        "open connections stay"
    );
}

#[tokio::test]
async fn a_server_keeps_what_it_had_when_a_rotated_file_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let clients = tempfile::tempdir().unwrap();
    let server = serve(mutual(dir.path(), host())).await;
    for name in ["ca.pem", "ca-key.pem"] {
        fs::copy(dir.path().join(name), clients.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("dpu-agent.pem"), "nonsense").unwrap();
    let client = connector(&server, clients.path(), dpu())
        .connect()
        .await
        .unwrap();
    assert_eq!(client.device().await.unwrap().name, "memory");
}

#[tokio::test]
async fn the_stream_survives_cuts_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(mutual(dir.path(), host())).await;
    let connector = connector(&server, dir.path(), dpu());
    let sync = SyncClient::start(Arc::new(schema()), connector, Limits::default());
    let mut states = sync.state();
    until(&mut states, "the connection", |state| state.connected).await;
    assert_eq!(
        server.dpu.seen().borrow().snapshots,
        0,
        "nothing before the first commit"
    );

    // Large enough for more than one chunk.
    let first = sync.commit(inserts(0..25_000)).unwrap();
    until(&mut states, "the first state", |state| {
        state.acknowledged == first
    })
    .await;
    assert_eq!(server.dpu.state().len(), 25_000);

    server.dpu.cut();
    let second = sync.commit(inserts(25_000..25_010)).unwrap();
    until(&mut states, "the change after a cut", |state| {
        state.acknowledged == second
    })
    .await;
    assert_eq!(
        server.dpu.seen().borrow().snapshots,
        1,
        "a known session continues"
    );

    server.dpu.restart();
    let third = sync.commit(inserts(25_010..25_011)).unwrap();
    let state = until(&mut states, "the change after a restart", |state| {
        state.acknowledged >= third
    })
    .await;
    assert_eq!(server.dpu.state().len(), 25_011);
    let ack = state.ack.unwrap();
    assert_eq!(
        (ack.written, ack.unchanged),
        (1, 25_010),
        "what is there is not rewritten"
    );

    // Reads go by pages.
    let client = sync.client().borrow().clone().unwrap();
    let mut page = PageRequest::default();
    let mut count = 0;
    loop {
        let got = client
            .entries("things", EntryView::Observed, page)
            .await
            .unwrap();
        count += got.items.len();
        match got.next {
            Some(token) => page = PageRequest { size: 0, token },
            None => break,
        }
    }
    assert_eq!(count, 25_011);
}

#[tokio::test]
async fn a_full_table_is_told_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(mutual(dir.path(), host())).await;
    server.dpu.limit(TableId(0x0200_0001), Some(5));
    let connector = connector(&server, dir.path(), dpu());
    let sync = SyncClient::start(Arc::new(schema()), connector, Limits::default());
    let mut states = sync.state();
    let kept = sync.commit(inserts(0..3)).unwrap();
    until(&mut states, "the small state", |state| {
        state.acknowledged == kept
    })
    .await;
    sync.commit(inserts(3..9)).unwrap();
    let state = until(&mut states, "the refusal", |state| state.refused.is_some()).await;
    assert_eq!(state.acknowledged, kept);
    assert_eq!(server.dpu.state().len(), 3, "what was enforced stays");
    server.dpu.limit(TableId(0x0200_0001), None);
    until(&mut states, "the retry", |state| {
        state.refused.is_none() && state.acknowledged == state.desired
    })
    .await;
    assert_eq!(server.dpu.state().len(), 9);
}

#[tokio::test]
async fn a_slow_dpu_gets_few_changes() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(mutual(dir.path(), host())).await;
    server.dpu.delay(Duration::from_millis(30));
    let connector = connector(&server, dir.path(), dpu());
    let sync = SyncClient::start(Arc::new(schema()), connector, Limits::default());
    let mut states = sync.state();
    for key in 0..500 {
        sync.commit(inserts(key..key + 1)).unwrap();
        tokio::task::yield_now().await;
    }
    until(&mut states, "the end", |state| {
        state.desired.0 >= 500 && state.acknowledged == state.desired
    })
    .await;
    assert_eq!(server.dpu.state().len(), 500);
    let changes = server.dpu.seen().borrow().acks.len();
    assert!(changes < 100, "{changes} changes for 500 commits");
}
