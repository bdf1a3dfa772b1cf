//! One network namespace.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::sched::{CloneFlags, setns, unshare};

use super::super::LabError;

/// Moves the calling thread, and all that it starts from now on, into a network of its own. To be
/// called before any other thread runs.
pub(crate) fn enter_private_network() -> Result<(), LabError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| LabError::Kernel {
        step: "unshare",
        place: "node".to_owned(),
        source: error.into(),
    })
}

/// A namespace: it goes when this value and the sockets in it go.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    file: OwnedFd,
}

impl Namespace {
    /// A new one; `name` is for messages.
    pub(crate) fn create(name: &str) -> Result<Self, LabError> {
        let made = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open("/proc/thread-self/ns/net")
            });
            thread.join().unwrap_or_else(|_| Err(panicked()))
        });
        let file = made.map_err(|source| LabError::Kernel {
            step: "making a network namespace",
            place: name.to_owned(),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            file: file.into(),
        })
    }

    /// For messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// For `IFLA_NET_NS_FD`.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Runs `work` in the namespace, on a thread that ends with it. Sockets that `work` makes stay
    /// in the namespace wherever they are used later.
    pub(crate) fn inside<T: Send>(
        &self,
        step: &'static str,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<T, LabError> {
        let done = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)?;
                work()
            });
            thread.join().unwrap_or_else(|_| Err(panicked()))
        });
        done.map_err(|source| LabError::Kernel {
            step,
            place: self.name.clone(),
            source,
        })
    }

    /// Sets kernel parameters below `/proc/sys/net`.
    pub(crate) fn set(&self, values: &[(&str, &str)]) -> Result<(), LabError> {
        self.inside("setting kernel parameters", || set_here(values))
    }

    /// Makes the kernel ask for the MAC of `neighbour`.
    pub(crate) fn knock(&self, neighbour: IpAddr) -> Result<(), LabError> {
        self.inside("asking for the gateway", || {
            let (any, to): (IpAddr, SocketAddr) = match neighbour {
                IpAddr::V4(addr) => (IpAddr::from([0; 4]), (addr, 9).into()),
                IpAddr::V6(addr) => {
                    let scope = if addr.is_unicast_link_local() {
                        nix::net::if_::if_nametoindex("eth0")?
                    } else {
                        0
                    };
                    let to = std::net::SocketAddrV6::new(addr, 9, 0, scope);
                    (IpAddr::from([0; 16]), to.into())
                }
            };
            UdpSocket::bind((any, 0))?.send_to(&[0], to).map(|_| ())
        })
    }
}

/// Sets kernel parameters of the calling thread's network. A parameter that this kernel does not
/// have is left out: IPv6 may be compiled out or switched off.
pub(super) fn set_here(values: &[(&str, &str)]) -> io::Result<()> {
    for (name, value) in values {
        match fs::write(format!("/proc/sys/net/{name}"), value) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn panicked() -> io::Error {
    io::Error::other("the thread in the namespace ended unexpectedly")
}
