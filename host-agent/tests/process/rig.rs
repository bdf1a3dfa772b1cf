//! A recorded Felix, a daemon, a DPU in memory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use felix_bridge::relay::{self, RelayConfig, RelayError};
use felix_bridge::{FrameReader, Session};
use felix_proto::felix::from_dataplane::Payload;
use felix_proto::felix::{
    ActivePolicyRemove, FromDataplane, PolicyId, ToDataplane, WorkloadEndpointId,
    WorkloadEndpointRemove, to_dataplane,
};
use host_agent::config::Layer;
use host_agent::{Config, HostAgent};
use offload_api::host::{HostClient, HostStatus};
use offload_api::identity::{Expected, Identity, Role};
use offload_api::server::{self, MemoryDpu, Security};
use offload_api::tls::{Pki, ServerTls};
use offload_api::types::{DevicePort, PortRole};
use policy_compiler::{Compiler, Port, Site, Uplink};
use policy_model::{PolicyModel, Update, WorkloadId};
use prost::Message as _;
use table_model::{Capability, TableSnapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::LONG;

/// A recorded stream.
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: usize,
    updates: Vec<Update>,
    in_sync_ends: usize,
}

impl Stream {
    pub(crate) fn recorded(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../testbed/cases/felix-streams")
            .join(format!("{name}.felix"));
        let bytes =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut session = Session::new();
        let mut stream = Self {
            frames: 0,
            updates: Vec::new(),
            in_sync_ends: 0,
            bytes: bytes.clone(),
        };
        let mut end = 0;
        for frame in FrameReader::new(bytes.as_slice()) {
            let frame = frame.unwrap();
            end += 8 + frame.body.len();
            let received = session.frame(&frame).unwrap();
            if received.update == Some(Update::InSync) {
                stream.in_sync_ends = end;
            }
            stream.updates.extend(received.update);
            stream.frames += 1;
        }
        stream
    }

    /// Before `InSync`, and from it on.
    pub(crate) fn split_at_in_sync(&self) -> (Vec<u8>, Vec<u8>) {
        // An `InSync` frame is 8 bytes of length and 4 or 5 of body; the cut may be anywhere in
        // front of its end.
        let (before, after) = self.bytes.split_at(self.in_sync_ends - 6);
        (before.to_vec(), after.to_vec())
    }

    pub(crate) fn model(&self) -> PolicyModel {
        let mut model = PolicyModel::new();
        for update in &self.updates {
            model.apply(update.clone()).unwrap();
        }
        model
    }

    /// Frames that remove every workload endpoint, from this sequence number on.
    pub(crate) fn removals(&self, from: u64) -> Vec<u8> {
        let model = self.model();
        let numbered = model.workloads().zip(from..);
        let removal = |((id, _), sequence): ((&WorkloadId, _), u64)| {
            let payload = to_dataplane::Payload::WorkloadEndpointRemove(WorkloadEndpointRemove {
                id: Some(WorkloadEndpointId {
                    orchestrator_id: id.orchestrator.to_string(),
                    workload_id: id.workload.to_string(),
                    endpoint_id: id.endpoint.to_string(),
                }),
            });
            frame(sequence, payload)
        };
        numbered.flat_map(removal).collect()
    }

    /// Every interface that the stream ever names, in order.
    pub(crate) fn ports(&self) -> Vec<String> {
        let names: BTreeSet<String> = self
            .updates
            .iter()
            .filter_map(|update| match update {
                Update::Workload(_, endpoint) => Some(endpoint.interface.clone()),
                _ => None,
            })
            .collect();
        names.into_iter().collect()
    }
}

/// A frame that contradicts every stream.
pub(crate) fn removal_of_an_unknown_policy(sequence: u64) -> Vec<u8> {
    let id = PolicyId {
        name: "never-was".to_owned(),
        kind: "GlobalNetworkPolicy".to_owned(),
        ..PolicyId::default()
    };
    let remove = ActivePolicyRemove { id: Some(id) };
    frame(sequence, to_dataplane::Payload::ActivePolicyRemove(remove))
}

fn frame(sequence: u64, payload: to_dataplane::Payload) -> Vec<u8> {
    let message = ToDataplane {
        sequence_number: sequence,
        payload: Some(payload),
    };
    let body = message.encode_to_vec();
    let length = u64::try_from(body.len()).unwrap();
    [&length.to_le_bytes()[..], &body].concat()
}

/// What the rows have to be in the end: compiled in one go from the stream's last state.
pub(crate) async fn expected(stream: &Stream, rig: &Rig) -> TableSnapshot {
    let mut model = stream.model();
    let capability = server::Dpu::capability(rig.dpu.as_ref())
        .await
        .unwrap()
        .capability;
    let capability = Capability {
        target: String::new(),
        ..capability
    };
    let mut compiler = Compiler::new(capability, rig.config().semantics);
    let changes = model.take_changes();
    compiler.commit(&model, &changes, &rig.site()).unwrap();
    compiler.snapshot()
}

const UPLINK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
const NEXT_HOP: [u8; 6] = [2, 0, 0, 0, 0, 0xff];

fn device_ports(interfaces: &[String]) -> Vec<DevicePort> {
    let unique: BTreeSet<&String> = interfaces.iter().collect();
    let uplink = DevicePort {
        number: 0,
        interface: "uplink".to_owned(),
        mac: Some(UPLINK_MAC),
        role: PortRole::Uplink {
            addresses: vec!["172.20.0.11".parse().unwrap()],
            next_hop_mac: Some(NEXT_HOP),
            neighbours: Vec::new(),
        },
    };
    let workloads = unique
        .into_iter()
        .zip(1..)
        .map(|(interface, number)| DevicePort {
            number,
            interface: interface.clone(),
            mac: Some([2, 0, 0, 0, 1, u8::try_from(number).unwrap()]),
            role: PortRole::Workload,
        });
    std::iter::once(uplink).chain(workloads).collect()
}

/// What outlives daemons: directories and the DPU.
pub(crate) struct Rig {
    dir: tempfile::TempDir,
    pub(crate) dpu: Arc<MemoryDpu>,
    ports: Mutex<Vec<DevicePort>>,
    address: String,
    server: JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Rig {
    pub(crate) async fn new(interfaces: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki {
            dir: dir.path().join("pki"),
            identity: Identity::new(Role::DpuAgent, "dpu-1").unwrap(),
        };
        pki.prepare().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ports = device_ports(interfaces);
        let dpu = Arc::new(MemoryDpu::new(p4_tables::schema().clone(), ports.clone()));
        let security = Security::Mutual {
            tls: ServerTls::new(pki).unwrap(),
            expected: Expected::any(Role::HostAgent),
        };
        let served = Arc::clone(&dpu);
        let server = tokio::spawn(async move {
            server::serve(listener, served, security, std::future::pending())
                .await
                .unwrap();
        });
        Self {
            dir,
            dpu,
            ports: Mutex::new(ports),
            address,
            server,
        }
    }

    pub(crate) fn plug(&self, interfaces: &[String]) {
        let ports = device_ports(interfaces);
        self.ports.lock().unwrap().clone_from(&ports);
        self.dpu.set_ports(ports);
    }

    pub(crate) fn site(&self) -> Site {
        let mut site = Site::default();
        for port in self.ports.lock().unwrap().iter() {
            match &port.role {
                PortRole::Workload => {
                    let there = Port {
                        number: port.number,
                        mac: port.mac,
                    };
                    site.workload_ports.insert(port.interface.clone(), there);
                }
                PortRole::Uplink { addresses, .. } => {
                    site.uplink = Some(Uplink {
                        port: port.number,
                        interface: port.interface.clone(),
                        mac: UPLINK_MAC,
                        addresses: addresses.clone(),
                        next_hop_mac: NEXT_HOP,
                        neighbours: Vec::new(),
                    });
                }
                PortRole::Host | PortRole::Other => {}
            }
        }
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same settings as [`Rig::config`], as flags.
    pub(crate) fn flags(&self) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        [
            ("--node", "node-a".to_owned()),
            ("--felix-socket", path("felix.sock")),
            ("--socket", path("host-agent.sock")),
            ("--state-dir", path("state")),
            ("--dpu", self.address.clone()),
            ("--dpu-name", "dpu-1".to_owned()),
            ("--pki", path("pki")),
            ("--http", "127.0.0.1:0".to_owned()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    pub(crate) fn felix(&self, bytes: Vec<u8>) -> Felix {
        Felix::speaks(self.path("felix.sock"), bytes)
    }

    pub(crate) fn config(&self) -> Config {
        let path = |name: &str| Some(self.dir.path().join(name));
        let layer = Layer {
            node: Some("node-a".to_owned()),
            felix_socket: path("felix.sock"),
            socket: path("host-agent.sock"),
            state_dir: path("state"),
            endpoint_status: path("calico"),
            dpu: Some(self.address.clone()),
            dpu_name: Some("dpu-1".to_owned()),
            pki: path("pki"),
            http: Some("127.0.0.1:0".parse().unwrap()),
            ..Layer::default()
        };
        layer.resolve().unwrap()
    }

    pub(crate) async fn start(&self) -> Agent {
        let config = self.config();
        let host = HostAgent::bind(config.clone()).await.unwrap();
        let http = host.http_address().unwrap().to_string();
        let (stop, stopping) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            host.run(async {
                let _ = stopping.await;
            })
            .await
            .unwrap();
        });
        Agent {
            config,
            http,
            stop,
            task,
        }
    }

    /// Waits until the DPU holds just this.
    pub(crate) async fn holds(&self, want: &TableSnapshot) {
        let mut seen = self.dpu.seen();
        let reached = timeout(LONG, async {
            while self.dpu.state() != *want {
                seen.changed().await.unwrap();
            }
        });
        if reached.await.is_err() {
            let state = self.dpu.state();
            let missing = want
                .iter()
                .filter(|(key, action)| state.get(key) != Some(action));
            let extra = state.iter().filter(|(key, _)| want.get(key).is_none());
            panic!(
                "the DPU holds {} rows, {} wanted, {} missing or different, {} too many",
                state.len(),
                want.len(),
                missing.count(),
                extra.count()
            );
        }
    }

    /// Waits for an acknowledgement beyond these.
    pub(crate) async fn acked_after(&self, acks: usize) {
        let mut seen = self.dpu.seen();
        timeout(LONG, seen.wait_for(|seen| seen.acks.len() > acks))
            .await
            .expect("another acknowledgement")
            .unwrap();
    }
}

/// A running daemon.
pub(crate) struct Agent {
    config: Config,
    http: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Agent {
    /// Ends the daemon, in an orderly way or not: both leave the DPU as it is.
    pub(crate) async fn kill(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }

    pub(crate) fn felix(&self, bytes: Vec<u8>) -> Felix {
        Felix::speaks(self.config.felix_socket.clone(), bytes)
    }

    pub(crate) async fn people(&self) -> HostClient {
        HostClient::connect(&self.config.socket).await.unwrap()
    }

    pub(crate) async fn status_when(&self, condition: impl Fn(&HostStatus) -> bool) -> HostStatus {
        let mut watch = self.people().await.watch().await.unwrap();
        let mut last = None;
        let found = timeout(LONG, async {
            loop {
                let status = watch.next().await.unwrap().expect("the daemon runs");
                if condition(&status) {
                    return status;
                }
                last = Some(status);
            }
        })
        .await;
        found.unwrap_or_else(|_| panic!("the state never came, the last was {last:?}"))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        (code, body)
    }

    pub(crate) async fn metric_when(&self, name: &str, condition: impl Fn(f64) -> bool) {
        let reached = timeout(LONG, async {
            loop {
                let page = self.get("/metrics").await.1;
                let value = page
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
                if value.is_some_and(&condition) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        reached
            .await
            .unwrap_or_else(|_| panic!("{name} never got there"));
    }
}

/// A Felix that says what was recorded.
pub(crate) struct Felix {
    read: Mutex<Option<ReadHalf<DuplexStream>>>,
    writer: Mutex<Option<JoinHandle<WriteHalf<DuplexStream>>>>,
    relay: JoinHandle<Option<RelayError>>,
}

impl Felix {
    /// Through a relay to the daemon at this socket.
    fn speaks(socket: PathBuf, bytes: Vec<u8>) -> Self {
        let (ours, relays) = tokio::io::duplex(1 << 16);
        let (source, sink) = tokio::io::split(relays);
        let config = RelayConfig {
            socket,
            backlog: 64 << 20,
        };
        let relay = tokio::spawn(async move { relay::run(&config, source, sink).await.err() });
        let (read, mut write) = tokio::io::split(ours);
        let writer = tokio::spawn(async move {
            write.write_all(&bytes).await.unwrap();
            write
        });
        Self {
            read: Mutex::new(Some(read)),
            writer: Mutex::new(Some(writer)),
            relay,
        }
    }

    /// Says more.
    pub(crate) async fn says(&self, bytes: Vec<u8>) {
        let writer = self.writer.lock().unwrap().take().unwrap();
        let mut write = writer.await.unwrap();
        write.write_all(&bytes).await.unwrap();
        *self.writer.lock().unwrap() = Some(tokio::spawn(async move { write }));
    }

    /// Ends, and the relay with it.
    pub(crate) async fn goes(self) {
        let writer = self.writer.lock().unwrap().take().unwrap();
        let mut write = writer.await.unwrap();
        write.shutdown().await.unwrap();
        drop(write);
        drop(self.read.lock().unwrap().take());
        timeout(LONG, self.relay)
            .await
            .expect("the relay ends")
            .unwrap();
    }

    /// Waits until the relay ends by itself; why it says it did.
    pub(crate) async fn ended(self) -> String {
        let ended = timeout(LONG, self.relay).await.expect("the relay ends");
        let error = ended.unwrap().expect("the relay says why");
        offload_api::error_chain(&error)
    }

    /// Waits until it was told that all of these are up.
    pub(crate) async fn hears_up(&self, ids: &[WorkloadId]) {
        let mut read = self.read.lock().unwrap().take().unwrap();
        let mut open: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
        let heard = timeout(LONG, async {
            while !open.is_empty() {
                let length = read.read_u64_le().await.unwrap();
                let mut body = vec![0; usize::try_from(length).unwrap()];
                read.read_exact(&mut body).await.unwrap();
                let message = FromDataplane::decode(body.as_slice()).unwrap();
                if let Some(Payload::WorkloadEndpointStatusUpdate(update)) = message.payload {
                    let id = update.id.unwrap();
                    if update.status.unwrap().status == "up" {
                        let (orchestrator, workload, endpoint) =
                            (id.orchestrator_id, id.workload_id, id.endpoint_id);
                        open.remove(&format!("{orchestrator}/{workload}/{endpoint}"));
                    }
                }
            }
        });
        assert!(heard.await.is_ok(), "Felix was not told of {open:?}");
    }
}
