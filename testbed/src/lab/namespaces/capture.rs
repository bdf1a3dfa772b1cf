//! What left and what entered each namespace, frame by frame.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::super::LabError;
use super::namespace::Namespace;
use crate::packet::{Mark, Seen, read};

/// `ARPHRD_ETHER`: leaves the loopback interface out.
const ETHERNET: u16 = 1;
/// `PACKET_OUTGOING`.
const OUTGOING: u8 = 4;
/// Room for a burst of all probes.
const BUFFER: usize = 16 << 20;

/// Frames by mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Count {
    /// Left a namespace.
    pub(super) sent: u64,
    /// Entered one.
    pub(super) delivered: u64,
}

impl Count {
    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            delivered: self.delivered + other.delivered,
        }
    }

    /// Frames that were sent, did not come out, and are not among the `dropped`.
    pub(super) fn missing(self, dropped: u64) -> i128 {
        i128::from(self.sent) - i128::from(self.delivered) - i128::from(dropped)
    }
}

#[derive(Debug, Default)]
struct State {
    all: Count,
    marks: HashMap<Mark, Count>,
    neighbours: HashMap<(String, IpAddr), [u8; 6]>,
}

/// The captures of all namespaces together.
#[derive(Debug, Default)]
pub(super) struct Capture {
    state: Mutex<State>,
}

impl Capture {
    /// Captures in `namespace` from now on.
    pub(super) fn watch(self: &Arc<Self>, namespace: &Namespace) -> Result<(), LabError> {
        let socket = namespace.inside("capturing", || {
            let socket = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )?;
            setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)?;
            Ok(socket)
        })?;
        let failed = |source| LabError::Kernel {
            step: "capturing",
            place: namespace.name().to_owned(),
            source,
        };
        // tokio's datagram socket waits for any descriptor that reads a datagram at a time.
        let socket = UdpSocket::from_std(socket.into()).map_err(failed)?;
        let place = namespace.name().to_owned();
        let capture = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = capture.follow(&place, socket).await {
                tracing::error!(place, %error, "the capture ended");
            }
        });
        Ok(())
    }

    async fn follow(&self, place: &str, socket: UdpSocket) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let frame = socket.async_io(Interest::READABLE, || {
                recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer).map_err(io::Error::from)
            });
            match frame.await {
                Ok((length, Some(from))) if from.hatype() == ETHERNET => {
                    self.note(place, &buffer[..length], from.pkttype() == OUTGOING);
                }
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(Errno::ENETDOWN as i32) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn note(&self, place: &str, frame: &[u8], outgoing: bool) {
        let mut state = self.state();
        let add = |count: &mut Count| {
            if outgoing {
                count.sent += 1;
            } else {
                count.delivered += 1;
            }
        };
        add(&mut state.all);
        match read(frame) {
            Seen::Packet(mark) => add(state.marks.entry(mark).or_default()),
            Seen::NeighbourAnswer { addr, mac } if !outgoing => {
                state.neighbours.insert((place.to_owned(), addr), mac);
            }
            Seen::NeighbourAnswer { .. } | Seen::Other => {}
        }
    }

    /// All frames so far.
    pub(super) fn all(&self) -> Count {
        self.state().all
    }

    /// The packets with this mark so far.
    pub(super) fn of(&self, mark: &Mark) -> Count {
        self.state().marks.get(mark).copied().unwrap_or_default()
    }

    /// Forgets packets; the totals stay.
    pub(super) fn forget(&self) {
        self.state().marks.clear();
    }

    /// The MAC that `place` was told for `addr`.
    pub(super) fn neighbour(&self, place: &str, addr: IpAddr) -> Option<[u8; 6]> {
        let state = self.state();
        state.neighbours.get(&(place.to_owned(), addr)).copied()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
