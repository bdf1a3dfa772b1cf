//! Servers: TCP and UDP say back what they hear, SCTP answers an INIT.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use policy_model::Protocol;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::packet::init_ack;

/// Connections that wait for `accept`.
const BACKLOG: i32 = 1024;

/// What a namespace has to serve: protocol, address, port.
pub(super) type Wanted = BTreeSet<(Protocol, IpAddr, u16)>;

/// Opens the sockets, in the calling thread's namespace.
pub(super) fn open(wanted: &Wanted) -> io::Result<Vec<(Protocol, Socket)>> {
    let mut sockets = Vec::with_capacity(wanted.len());
    for (protocol, addr, port) in wanted {
        let at = SocketAddr::new(*addr, *port);
        let style = match *protocol {
            Protocol::TCP => Type::STREAM,
            Protocol::UDP => Type::DGRAM,
            _ => Type::RAW,
        };
        let number = i32::from(protocol.0).into();
        let socket = Socket::new(Domain::for_address(at), style, Some(number))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        socket.bind(&at.into())?;
        if style == Type::STREAM {
            socket.listen(BACKLOG)?;
        }
        sockets.push((*protocol, socket));
    }
    Ok(sockets)
}

/// Serves until `tasks` is dropped.
pub(super) fn serve(
    tasks: &mut JoinSet<io::Result<()>>,
    protocol: Protocol,
    socket: Socket,
) -> io::Result<()> {
    match protocol {
        Protocol::TCP => {
            let listener = TcpListener::from_std(socket.into())?;
            tasks.spawn(streams(listener));
        }
        Protocol::UDP => {
            let socket = UdpSocket::from_std(socket.into())?;
            tasks.spawn(datagrams(socket));
        }
        _ => {
            // A raw socket reads and writes like one of datagrams.
            let socket = UdpSocket::from_std(socket.into())?;
            tasks.spawn(init_acks(socket));
        }
    }
    Ok(())
}

async fn streams(listener: TcpListener) -> io::Result<()> {
    let mut talks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        talks.spawn(say_back(stream));
        while talks.try_join_next().is_some() {}
    }
}

async fn say_back(mut stream: TcpStream) -> io::Result<()> {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    let mut buffer = [0; 64];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}

async fn datagrams(socket: UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        // An ICMP error of an earlier answer surfaces here; the server stays.
        if let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..length], from).await;
        }
    }
}

async fn init_acks(socket: UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let (length, mut from) = socket.recv_from(&mut buffer).await?;
        // A raw IPv4 socket shows the IP header, an IPv6 one does not (raw(7)).
        let skip = if from.is_ipv4() { 20 } else { 0 };
        let heard = buffer[..length].get(skip..);
        if let Some(answer) = heard.and_then(init_ack) {
            from.set_port(0);
            let _ = socket.send_to(&answer, from).await;
        }
    }
}
