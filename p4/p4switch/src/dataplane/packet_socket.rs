//! Packet injection over a unix stream socket, without any interface.
//!
//! Little endian. Request: u32 length of what follows, u64 sequence, u16 port, frame. Reply: u32
//! length of what follows, u64 sequence, u16 count, then for each output u16 port, u16 length,
//! bytes. Requests may be pipelined; replies keep their order. A client that does not read its
//! replies is not read from either.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            fs::FileTypeExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::packets::Packets;

/// Sequence and port in front of a frame.
const HEADER: usize = 10;
/// Largest frame; the length field of a reply holds no more.
const FRAME: usize = 0xffff;
/// Bytes read in one turn.
const CHUNK: usize = 256 << 10;
/// Replies that may wait for a client before it is no longer read from.
const BACKLOG: usize = 1 << 20;
/// Clients at a time.
const CLIENTS: usize = 256;

/// The listener and its clients.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    listener: UnixListener,
    path: PathBuf,
    clients: BTreeMap<u64, Client>,
    next: u64,
    chunk: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    /// Bytes of requests that are not complete.
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    interest: EpollFlags,
}

impl PacketSocket {
    /// Binds `path`; a socket that a dead process left there is replaced.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let is_socket =
            std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        if is_socket && UnixStream::connect(path).is_err() {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            clients: BTreeMap::new(),
            next: 0,
            chunk: vec![0; CHUNK],
        })
    }

    /// Takes new clients; their epoll tokens start at `token`.
    pub(super) fn accept(&mut self, epoll: &Epoll, token: u64) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!(%error, "A packet client was not accepted");
                    return;
                }
            };
            if self.clients.len() >= CLIENTS {
                tracing::warn!("{CLIENTS} packet clients are connected; another is turned away");
                continue;
            }
            let id = self.next;
            let interest = EpollFlags::EPOLLIN;
            let event = EpollEvent::new(interest, token + id);
            let watched = stream
                .set_nonblocking(true)
                .and_then(|()| epoll.add(&stream, event).map_err(io::Error::from));
            if let Err(error) = watched {
                tracing::warn!(%error, "A packet client cannot be watched");
                continue;
            }
            self.next += 1;
            let (input, output) = (Vec::new(), Vec::new());
            self.clients.insert(
                id,
                Client {
                    stream,
                    input,
                    output,
                    written: 0,
                    interest,
                },
            );
        }
    }

    /// Serves one client; one that is gone or breaks the protocol is forgotten.
    pub(super) fn serve(
        &mut self,
        id: u64,
        events: EpollFlags,
        epoll: &Epoll,
        packets: &mut Packets,
    ) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let token = super::CONNECTIONS + id;
        let outcome = client
            .serve(events, &mut self.chunk, packets)
            .and_then(|()| client.watch(token, epoll));
        if let Err(error) = outcome {
            if error.kind() != ErrorKind::UnexpectedEof {
                tracing::warn!(%error, "A packet client was dropped");
            }
            // Closing the stream takes it out of epoll as well.
            self.clients.remove(&id);
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for PacketSocket {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Client {
    fn serve(
        &mut self,
        events: EpollFlags,
        chunk: &mut [u8],
        packets: &mut Packets,
    ) -> io::Result<()> {
        let readable = EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if events.intersects(readable) {
            match self.stream.read(chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.requests(&chunk[..read], packets)?,
                Err(error) if is_later(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.flush()
    }

    fn requests(&mut self, bytes: &[u8], packets: &mut Packets) -> io::Result<()> {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut rest = input.as_slice();
        while let Some((length, body)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if !(HEADER..=HEADER + FRAME).contains(&length) {
                let text = format!(
                    "a request of {length} bytes; {HEADER} to {}",
                    HEADER + FRAME
                );
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
            let Some((request, next)) = body.split_at_checked(length) else {
                break;
            };
            self.request(request, packets);
            rest = next;
        }
        let used = input.len() - rest.len();
        input.drain(..used);
        self.input = input;
        Ok(())
    }

    fn request(&mut self, request: &[u8], packets: &mut Packets) {
        let (sequence, rest) = request.split_at(8);
        let (port, frame) = rest.split_at(2);
        let port = u16::from_le_bytes([port[0], port[1]]);
        let outputs = packets.inject_with(port, frame);
        let fitting = || {
            outputs
                .frames()
                .iter()
                .filter(|output| output.bytes.len() <= FRAME)
        };
        let count = u16::try_from(fitting().count()).unwrap_or(u16::MAX);
        let start = self.output.len();
        self.output.extend_from_slice(&[0; 4]);
        self.output.extend_from_slice(sequence);
        self.output.extend_from_slice(&count.to_le_bytes());
        for output in fitting().take(usize::from(count)) {
            let length = u16::try_from(output.bytes.len()).unwrap_or(u16::MAX);
            self.output.extend_from_slice(&output.port.to_le_bytes());
            self.output.extend_from_slice(&length.to_le_bytes());
            self.output.extend_from_slice(&output.bytes);
        }
        let length = u32::try_from(self.output.len() - start - 4).unwrap_or(u32::MAX);
        self.output[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if is_later(&error) => break,
                Err(error) => return Err(error),
            }
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        } else if self.written > BACKLOG {
            self.output.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    fn watch(&mut self, token: u64, epoll: &Epoll) -> io::Result<()> {
        let waiting = self.output.len() - self.written;
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, waiting <= BACKLOG);
        interest.set(EpollFlags::EPOLLOUT, waiting > 0);
        if interest != self.interest {
            epoll.modify(&self.stream, &mut EpollEvent::new(interest, token))?;
            self.interest = interest;
        }
        Ok(())
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
