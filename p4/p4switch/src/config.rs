//! How a switch is set up.

use std::{net::SocketAddr, path::PathBuf};

use crate::pipeline::PipelineError;

/// A network interface as a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortInterface {
    /// Port number that the program sees.
    pub port: u16,
    /// Name of the interface.
    pub interface: String,
}

/// TLS of the gRPC server; all of it PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain of the server.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
    /// Authority that client certificates are checked against.
    pub client_ca: Option<Vec<u8>>,
    /// Whether a client must have a certificate.
    pub require_client_certificate: bool,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key is nobody's business.
        f.debug_struct("Tls")
            .field("client_ca", &self.client_ca.is_some())
            .field(
                "require_client_certificate",
                &self.require_client_certificate,
            )
            .finish_non_exhaustive()
    }
}

/// The program that the switch starts with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartProgram {
    /// What p4c's bmv2 back end wrote.
    pub json: String,
    /// The p4info as binary protobuf. Without it packets are processed, and a controller has to
    /// push a pipeline before it can read or write.
    pub p4info: Option<Vec<u8>>,
}

/// Settings of a switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// What P4Runtime requests must name.
    pub device_id: u64,
    /// Where the gRPC server listens; port 0 picks a free one.
    pub grpc_addr: SocketAddr,
    /// Plain text if absent.
    pub tls: Option<Tls>,
    /// Ports on network interfaces.
    pub interfaces: Vec<PortInterface>,
    /// Port that stands for the controller; without it there are no packets in or out.
    pub cpu_port: Option<u16>,
    /// Port that means drop.
    pub drop_port: u16,
    /// Unix socket for packet injection.
    pub packet_socket: Option<PathBuf>,
    /// Program to start with; a controller can push another at any time.
    pub program: Option<StartProgram>,
}

impl Default for Config {
    /// No ports, no program, a gRPC server on a free port of the loopback interface.
    fn default() -> Self {
        Self {
            device_id: 1,
            grpc_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            interfaces: Vec::new(),
            cpu_port: None,
            drop_port: 511,
            packet_socket: None,
            program: None,
        }
    }
}

/// Why a switch did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program was refused.
    #[error("The program was refused")]
    Program(#[source] PipelineError),
    /// The p4info is no binary protobuf.
    #[error(
        "The p4info is not binary protobuf; compile with p4c-bm2-ss --p4runtime-files NAME.p4info.bin"
    )]
    P4Info(#[source] prost::DecodeError),
    /// Two interfaces have the same port number, or one has the CPU or drop port's.
    #[error("Port {port} is taken twice")]
    SamePort {
        /// The number.
        port: u16,
    },
    /// An interface cannot be a port.
    #[error("A port cannot be opened")]
    Interface(#[source] crate::interface::InterfaceError),
    /// The packet socket cannot be bound.
    #[error("The packet socket {path} cannot be bound")]
    PacketSocket {
        /// Where.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The directory for captures cannot be made.
    #[error("Captures cannot be written")]
    Captures(#[source] crate::pcap::PcapError),
    /// The gRPC address cannot be bound.
    #[error("The gRPC server cannot listen on {addr}")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Cause.
        source: std::io::Error,
    },
    /// The certificate or key is not usable.
    #[error("The TLS certificate, key or authority is not usable")]
    Tls(#[source] tonic::transport::Error),
    /// A thread or its means could not be made.
    #[error("The operating system gave no thread, event or runtime")]
    System(#[source] std::io::Error),
}
