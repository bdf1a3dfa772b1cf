//! First packets by kernel sockets.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use policy_model::{L4, Protocol};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::super::Probe;
use crate::packet::payload;

/// A socket that is bound and has sent nothing.
#[derive(Debug)]
pub(super) struct Loaded {
    socket: Socket,
    to: SockAddr,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Stream,
    Datagram,
    Raw(Vec<u8>),
}

/// Sends again and again on one flow. What a send costs is not looked at: captures count what
/// really left.
#[derive(Debug)]
pub(super) enum Sender {
    /// Datagrams on a connected socket.
    Datagrams(Socket),
    /// A stream that is opened by the first send; later ones carry data once it stands.
    Stream {
        /// The socket.
        socket: Socket,
        /// Where it is to go; none once it was opened.
        to: Option<SockAddr>,
    },
}

impl Sender {
    /// Sends once. An error of an earlier send (ICMP, a stream that does not stand yet) surfaces here
    /// and costs that send.
    pub(super) fn send(&mut self) {
        match self {
            Self::Datagrams(socket) => {
                let _ = socket.send(b"margay");
            }
            Self::Stream { socket, to } => match to.take() {
                Some(to) => {
                    let _ = socket.connect(&to);
                }
                None => {
                    // What was said back is taken, so that the window stays open.
                    let mut heard = [0; 256];
                    let _ = (&*socket).read(&mut heard);
                    let _ = socket.send(b"margay");
                }
            },
        }
    }
}

/// A conversation under way.
#[derive(Debug)]
pub(super) enum Talk {
    Stream(TcpStream),
    Datagram(UdpSocket),
    /// The capture alone tells; the socket keeps the protocol known to the kernel.
    Silent {
        _socket: Socket,
    },
}

/// Makes the socket of a probe, in the calling thread's namespace.
pub(super) fn load(probe: &Probe) -> io::Result<Loaded> {
    let flow = &probe.flow;
    let (kind, protocol, sport, dport) = match (flow.protocol, flow.l4) {
        (Protocol::TCP, L4::Ports { src, dst }) => (Kind::Stream, 6, src, dst),
        (Protocol::UDP, L4::Ports { src, dst }) => (Kind::Datagram, 17, src, dst),
        (protocol, _) => (Kind::Raw(payload(flow, probe.tag)), protocol.0, 0, 0),
    };
    let style = match kind {
        Kind::Stream => Type::STREAM,
        Kind::Datagram => Type::DGRAM,
        Kind::Raw(_) => Type::RAW,
    };
    let domain = Domain::for_address(SocketAddr::new(flow.src, 0));
    let socket = Socket::new(domain, style, Some(i32::from(protocol).into()))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if matches!(kind, Kind::Stream) {
        // An end of a conversation leaves nothing behind.
        socket.set_linger(Some(Duration::ZERO))?;
    }
    socket.bind(&SocketAddr::new(flow.src, sport).into())?;
    Ok(Loaded {
        socket,
        to: SocketAddr::new(flow.dst, dport).into(),
        kind,
    })
}

impl Loaded {
    /// For many packets.
    pub(super) fn sender(self) -> io::Result<Sender> {
        if matches!(self.kind, Kind::Stream) {
            return Ok(Sender::Stream {
                socket: self.socket,
                to: Some(self.to),
            });
        }
        self.socket.connect(&self.to)?;
        Ok(Sender::Datagrams(self.socket))
    }

    /// Sends the first packet.
    pub(super) fn fire(self) -> io::Result<Talk> {
        match self.kind {
            Kind::Stream => {
                match self.socket.connect(&self.to) {
                    Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {}
                    other => other?,
                }
                TcpStream::from_std(self.socket.into()).map(Talk::Stream)
            }
            Kind::Datagram => {
                self.socket.connect(&self.to)?;
                self.socket.send(b"margay")?;
                UdpSocket::from_std(self.socket.into()).map(Talk::Datagram)
            }
            Kind::Raw(message) => {
                self.socket.send_to(&message, &self.to)?;
                Ok(Talk::Silent {
                    _socket: self.socket,
                })
            }
        }
    }
}

const EINPROGRESS: i32 = nix::errno::Errno::EINPROGRESS as i32;

impl Talk {
    /// Waits for the other end's answer; none where only a capture can tell.
    pub(super) async fn answered(self, patience: Duration) -> Option<bool> {
        match self {
            Self::Stream(stream) => {
                Some(timeout(patience, converse(stream)).await.is_ok_and(|r| r))
            }
            Self::Datagram(socket) => {
                let mut buffer = [0; 64];
                let got = timeout(patience, socket.recv(&mut buffer)).await;
                Some(matches!(got, Ok(Ok(length)) if buffer[..length] == *b"margay"))
            }
            Self::Silent { .. } => None,
        }
    }
}

async fn converse(mut stream: TcpStream) -> bool {
    let mut word = [0; 6];
    let talk = async {
        stream.writable().await?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        stream.write_all(b"margay").await?;
        stream.read_exact(&mut word).await
    };
    talk.await.is_ok() && word == *b"margay"
}

/// The address and port that a server needs for the probe to be answered.
pub(super) fn server(probe: &Probe) -> Option<(Protocol, IpAddr, u16)> {
    let flow = &probe.flow;
    match (flow.protocol, flow.l4) {
        (protocol @ (Protocol::TCP | Protocol::UDP), L4::Ports { dst, .. }) => {
            Some((protocol, flow.dst, dst))
        }
        (Protocol::SCTP, L4::Ports { .. }) => Some((Protocol::SCTP, flow.dst, 0)),
        _ => None,
    }
}
