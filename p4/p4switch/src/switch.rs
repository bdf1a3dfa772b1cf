//! Starting, using and stopping a switch inside a process.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::JoinHandle,
};

use bytes::Bytes;
use p4_engine::{EngineConfig, Program};
use p4runtime_proto::p4::config::v1::P4Info;
use prost::Message as _;
use tokio::sync::oneshot;

use crate::{
    Stats,
    config::{Config, StartError, StartProgram},
    control::{Call, Control, PortFrame, Stopped},
    dataplane::{Counters, Dataplane, PacketSocket, Parts, Wake},
    device::Device,
    interface::Interface,
    observe::{Observe, Observer},
    pipeline::{Pipeline, PipelineError},
    server::{self, Server},
    service::Service,
    sessions::Sessions,
    translate::Ports,
};

/// Frames that wait for a slow [`Handle::listen`]er; more are counted as not sent.
const LISTENER_QUEUE: usize = 1024;

/// The switch; see [`Switch::start`].
#[derive(Clone, Copy, Debug)]
pub struct Switch;

/// A running switch. It stops when this is dropped.
#[derive(Debug)]
pub struct Handle {
    grpc_addr: SocketAddr,
    control: Control,
    counters: Arc<Counters>,
    sessions: Arc<Sessions>,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Switch {
    /// Opens everything, starts the threads, and returns when requests and packets are served.
    ///
    /// # Errors
    /// If the program is refused or something cannot be opened; nothing is left running then.
    pub fn start(config: Config) -> Result<Handle, StartError> {
        Self::start_observed(config, Observe::default())
    }

    /// As [`start`](Self::start), with captures and traces of the packets.
    ///
    /// # Errors
    /// As [`start`](Self::start), and if captures cannot be written.
    pub fn start_observed(config: Config, observe: Observe) -> Result<Handle, StartError> {
        let Config {
            device_id,
            grpc_addr,
            tls,
            interfaces,
            cpu_port,
            drop_port,
            packet_socket,
            program,
        } = config;
        let ports = Ports {
            cpu: cpu_port,
            drop: drop_port,
        };
        let engine = EngineConfig {
            drop_port,
            ..EngineConfig::default()
        };
        let device = program.map(|program| load(program, &engine)).transpose()?;
        let running = device.as_ref().and_then(|device| device.pipeline.clone());
        let mut taken = BTreeSet::from_iter(cpu_port.into_iter().chain([drop_port]));
        for interface in &interfaces {
            if !taken.insert(interface.port) {
                return Err(StartError::SamePort {
                    port: interface.port,
                });
            }
        }
        let names = interfaces.iter();
        let names = names.map(|interface| (interface.port, interface.interface.clone()));
        let observer = Observer::new(observe, names.collect()).map_err(StartError::Captures)?;
        let interfaces = interfaces
            .into_iter()
            .map(|interface| Interface::open(interface.port, &interface.interface))
            .collect::<Result<Vec<_>, _>>()
            .map_err(StartError::Interface)?;
        let packet_socket = packet_socket
            .as_deref()
            .map(bind_packet_socket)
            .transpose()?;
        let listener = TcpListener::bind(grpc_addr).map_err(|source| StartError::Listen {
            addr: grpc_addr,
            source,
        })?;
        let grpc_addr = listener.local_addr().map_err(StartError::System)?;

        let wake = Arc::new(Wake::new().map_err(|error| StartError::System(error.into()))?);
        let (mut control, inbox) = Control::new(Arc::clone(&wake));
        let sessions = Arc::new(Sessions::new(device_id));
        let counters = Arc::new(Counters::default());
        let dataplane = Dataplane::new(Parts {
            wake,
            inbox,
            device,
            ports,
            interfaces,
            packet_socket,
            observer,
            sessions: Arc::clone(&sessions),
            counters: Arc::clone(&counters),
        })
        .map_err(StartError::System)?;
        control.attach(dataplane.core());
        let service = Service::new(
            device_id,
            ports,
            engine,
            control.clone(),
            Arc::clone(&sessions),
            running,
        );
        let (stop, stopped) = oneshot::channel();
        let server = Server {
            listener,
            tls,
            service,
            stopped,
        };
        let grpc = server::spawn(server)?;
        let packets = std::thread::Builder::new()
            .name("p4switch-packets".to_owned())
            .spawn(move || dataplane.run())
            .map_err(StartError::System)?;
        Ok(Handle {
            grpc_addr,
            control,
            counters,
            sessions,
            stop: Some(stop),
            threads: vec![grpc, packets],
        })
    }
}

fn load(program: StartProgram, engine: &EngineConfig) -> Result<Device, StartError> {
    let StartProgram { json, p4info } = program;
    let program =
        Program::load(&json).map_err(|error| StartError::Program(PipelineError::Program(error)))?;
    let Some(p4info) = p4info else {
        return Ok(Device::new(Arc::new(program), None, engine.clone()));
    };
    let p4info = P4Info::decode(p4info.as_slice()).map_err(StartError::P4Info)?;
    let pipeline =
        Pipeline::join(program, p4info, Bytes::from(json), None).map_err(StartError::Program)?;
    let program = Arc::clone(&pipeline.program);
    Ok(Device::new(
        program,
        Some(Arc::new(pipeline)),
        engine.clone(),
    ))
}

fn bind_packet_socket(path: &Path) -> Result<PacketSocket, StartError> {
    PacketSocket::bind(path).map_err(|source| StartError::PacketSocket {
        path: path.to_owned(),
        source,
    })
}

impl Handle {
    /// Where the gRPC server listens.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Takes a frame in at `port` and returns what this very frame caused: ports and frames in
    /// order, nothing if it was dropped. Frames for the CPU port are among them and go to the
    /// controller as well. Blocks for the time of one packet.
    #[must_use]
    pub fn inject(&self, port: u16, frame: &[u8]) -> Vec<PortFrame> {
        let mut outputs = self.inject_batch(vec![(port, frame.to_vec())]);
        outputs.pop().unwrap_or_default()
    }

    /// [`inject`](Self::inject) of many frames in one go, outputs in the order of the frames.
    #[must_use]
    pub fn inject_batch(&self, frames: Vec<PortFrame>) -> Vec<Vec<PortFrame>> {
        let (reply, answer) = sync_channel(1);
        // A switch that has stopped drops everything.
        if self.control.call(Call::Inject { frames, reply }).is_err() {
            return Vec::new();
        }
        answer.recv().unwrap_or_default()
    }

    /// Attaches an in-memory receiver to a port without interface: frames of packets that came in
    /// by interfaces or from the controller. A later call for the same port replaces the earlier.
    ///
    /// # Errors
    /// If the switch has stopped.
    pub fn listen(&self, port: u16) -> Result<Receiver<Vec<u8>>, Stopped> {
        let (frames, receiver) = sync_channel(LISTENER_QUEUE);
        self.control.call(Call::Listen { port, frames })?;
        Ok(receiver)
    }

    /// Takes a port down, or lets it be up again, whatever its interface says: members that watch
    /// it leave their groups, and backups of replicas take over.
    ///
    /// # Errors
    /// If the switch has stopped.
    pub fn set_port(&self, port: u16, up: bool) -> Result<(), Stopped> {
        self.control.call(Call::SetPort { port, up })
    }

    /// Packets counted since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Stops taking requests, ends streams, closes ports, and waits for the threads.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.sessions.close();
        if let Some(stop) = self.stop.take() {
            // The server may have ended by itself.
            let _ = stop.send(());
        }
        let mut threads = std::mem::take(&mut self.threads).into_iter();
        // Requests under way need the packet thread, so the server goes first.
        if let Some(grpc) = threads.next() {
            let _ = grpc.join();
        }
        let _ = self.control.call(Call::Stop);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}
