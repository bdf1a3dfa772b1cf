//! A network interface as a port.
//!
//! *In:* frames as the kernel hands them out, with what it left undone (checksums, segmentation, a
//! VLAN tag kept aside). *Out:* frames as they would look on a wire, and the other way round for
//! frames that leave. An interface that goes down or vanishes is waited for.

mod offload;
mod packet_socket;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::net::if_::InterfaceFlags;
use thiserror::Error;

use self::offload::finish;
pub(crate) use self::packet_socket::ReceiveBuffers;
use self::packet_socket::{Received, Socket};

/// Why an interface cannot be a port.
#[derive(Debug, Error)]
pub enum InterfaceError {
    /// There is none of this name.
    #[error("There is no network interface {name}; `ip link` lists them")]
    Missing {
        /// The name.
        name: String,
    },
    /// It cannot be opened for packets.
    #[error("Interface {name} cannot be opened for packets (this takes CAP_NET_RAW)")]
    Open {
        /// The name.
        name: String,
        /// Cause.
        source: io::Error,
    },
}

/// One interface.
#[derive(Debug)]
pub(crate) struct Interface {
    port: u16,
    name: String,
    index: u32,
    socket: Option<Socket>,
}

impl Interface {
    /// Opens an interface that must be there.
    pub(crate) fn open(port: u16, name: &str) -> Result<Self, InterfaceError> {
        let index = index_of(name).ok_or_else(|| InterfaceError::Missing {
            name: name.to_owned(),
        })?;
        let socket = Socket::open(index).map_err(|source| InterfaceError::Open {
            name: name.to_owned(),
            source,
        })?;
        Ok(Self {
            port,
            name: name.to_owned(),
            index,
            socket: Some(socket),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(Socket::as_fd)
    }

    /// Hands over the frames that wait, a turn of them.
    pub(crate) fn receive(&mut self, buffers: &mut ReceiveBuffers, take: &mut dyn FnMut(&[u8])) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        let outcome = socket.receive(buffers, &mut |received: Received<'_>| {
            finish(received.frame, received.offload, take);
        });
        if let Err(error) = outcome {
            self.trouble(&error);
        }
    }

    /// Sends frames in order; returns how many the kernel took. One that it refuses is passed over.
    pub(crate) fn send<'a>(&mut self, frames: impl Iterator<Item = &'a [u8]>) -> usize {
        let Some(socket) = &self.socket else { return 0 };
        let frames: Vec<&[u8]> = frames.collect();
        let (mut at, mut sent) = (0, 0);
        while at < frames.len() {
            match socket.send(&frames[at..]) {
                Ok(taken) => {
                    at += taken.max(1);
                    sent += taken;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The first of them is at fault (too long, too short) or the interface is.
                Err(error) => {
                    at += 1;
                    self.trouble(&error);
                }
            }
        }
        sent
    }

    /// Looks for an interface that vanished; true if it is there again with a new socket.
    pub(crate) fn refresh(&mut self) -> bool {
        match index_of(&self.name) {
            Some(index) if self.socket.is_some() && index == self.index => false,
            Some(index) => match Socket::open(index) {
                Ok(socket) => {
                    tracing::info!(interface = self.name, port = self.port, "Interface is back");
                    self.index = index;
                    self.socket = Some(socket);
                    true
                }
                Err(error) => {
                    tracing::debug!(interface = self.name, %error, "Interface cannot be opened yet");
                    false
                }
            },
            None => {
                if self.socket.take().is_some() {
                    tracing::warn!(interface = self.name, port = self.port, "Interface is gone");
                }
                false
            }
        }
    }

    /// Down is no news that matters: the socket takes up by itself when the interface does.
    fn trouble(&self, error: &io::Error) {
        let (interface, port) = (&self.name, self.port);
        tracing::debug!(interface, port, %error, "Interface gave an error");
    }
}

/// The interfaces by which frames can leave, as far as the system knows; `None` if it does not say.
pub(crate) fn running() -> Option<BTreeSet<String>> {
    let all = nix::ifaddrs::getifaddrs().ok()?;
    let running = all.filter(|one| one.flags.contains(InterfaceFlags::IFF_RUNNING));
    Some(running.map(|one| one.interface_name).collect())
}

fn index_of(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}
