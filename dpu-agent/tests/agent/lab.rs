//! Target, agent and host, each on its own, so that each can go away.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dpu_agent::config::{Config, HttpAddress, Target};
use dpu_agent::{Agent, View};
use offload_api::client::{Connector, DpuClient, Security};
use offload_api::identity::{Expected, Identity, Role};
use offload_api::sync::{Limits, SyncClient, SyncState};
use offload_api::tls::Pki;
use p4_tables::{acl_host_v4, acl_settings, acl_verdict, gateway_v4};
use table_model::{Row, TableSnapshot};
use tempfile::TempDir;
use tokio::sync::watch;

pub(crate) struct Lab {
    pub(crate) dir: TempDir,
    pub(crate) config: Config,
}

impl Lab {
    /// A lab whose agents drive the target at `target`.
    pub(crate) fn new(target: SocketAddr) -> Self {
        let dir = TempDir::new().unwrap();
        let config = Config {
            name: "dpu-1".to_owned(),
            listen: free_address(),
            http: HttpAddress::At("127.0.0.1:0".parse().unwrap()),
            pki: dir.path().to_owned(),
            target: Target {
                address: target.to_string(),
                deadline_seconds: 10,
                ..Target::default()
            },
            ..Config::default()
        };
        Self { dir, config }
    }

    pub(crate) async fn agent(&self) -> Agent {
        // The port of an agent before this one is free a moment after that agent has stopped.
        let free = async {
            while std::net::TcpListener::bind(self.config.listen).is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), free)
            .await
            .unwrap();
        Agent::start(self.config.clone()).await.unwrap()
    }

    pub(crate) fn connector(&self, api: SocketAddr, name: &str) -> Connector {
        connector(self.dir.path(), api, name)
    }

    pub(crate) fn host(&self, api: SocketAddr) -> SyncClient {
        let schema = Arc::new(p4_tables::schema().clone());
        SyncClient::start(schema, self.connector(api, "worker-1"), Limits::default())
    }
}

pub(crate) fn connector(pki: &Path, api: SocketAddr, name: &str) -> Connector {
    let pki = Pki {
        dir: pki.to_owned(),
        identity: Identity::new(Role::HostAgent, name).unwrap(),
    };
    pki.prepare().unwrap();
    Connector {
        address: api.to_string(),
        security: Security::Mutual {
            pki,
            expected: Expected::any(Role::DpuAgent),
        },
    }
}

pub(crate) fn switch(grpc_addr: SocketAddr) -> p4switch::Handle {
    p4switch::Switch::start(p4switch::Config {
        grpc_addr,
        device_id: 0,
        ..p4switch::Config::default()
    })
    .unwrap()
}

pub(crate) fn fresh_switch() -> p4switch::Handle {
    switch(free_address())
}

/// An address that can be listened on again and again: below the ports that the kernel gives to
/// outgoing connections, which would otherwise take it in between.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() * 61 + step) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The host's connection for questions.
pub(crate) async fn client(host: &SyncClient) -> DpuClient {
    let client = until(&mut host.client(), "a connection", Option::is_some).await;
    client.unwrap()
}

/// Waits for a state, and says what came instead.
pub(crate) async fn until<T: Clone + std::fmt::Debug>(
    watch: &mut watch::Receiver<T>,
    what: &str,
    reached: impl FnMut(&T) -> bool,
) -> T {
    match tokio::time::timeout(Duration::from_secs(60), watch.wait_for(reached)).await {
        Ok(Ok(state)) => return state.clone(),
        Ok(Err(error)) => panic!("{what}: {error}"),
        Err(_) => {}
    }
    panic!("{what} did not come; there is {:?}", watch.borrow());
}

pub(crate) async fn acknowledged(host: &SyncClient) -> SyncState {
    let mut state = host.state();
    until(&mut state, "an acknowledgement", |state| {
        state.acknowledged == state.desired && state.ack.is_some() && !state.in_flight
    })
    .await
}

pub(crate) async fn ready(agent: &Agent) -> View {
    until(&mut agent.view(), "readiness", View::ready).await
}

/// A state with rows of several tables and of both kinds of write.
pub(crate) fn state(hosts: u32) -> TableSnapshot {
    let settings = acl_settings::settings(acl_settings::key(), 1, 4789, true, true);
    let verdict = acl_verdict::deny(acl_verdict::key(1, 2, 3, 4), 5);
    let hosts = (0..hosts).map(|address| {
        let key = acl_host_v4::key(0x0a41_0000 + address);
        acl_host_v4::host_label(key, 1 + address % 7)
    });
    hosts.chain([settings, verdict]).collect()
}

pub(crate) fn gateways(count: u32) -> impl Iterator<Item = Row> {
    (0..count).map(|address| gateway_v4::gateway(gateway_v4::key(true, address), 1))
}

pub(crate) async fn get(agent: &Agent, page: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(agent.http().unwrap())
        .await
        .unwrap();
    let request = format!("GET {page} HTTP/1.1\r\nHost: dpu\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}
