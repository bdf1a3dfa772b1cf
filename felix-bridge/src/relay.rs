//! The relay: between the two pipes that Felix gives its driver and host-agent's unix socket.
//!
//! It holds no policy. It keeps the frames that host-agent has not acknowledged, within a bound;
//! when that is reached it stops reading, and Felix waits. While host-agent is away it keeps trying.
//! It ends when Felix closes its pipe, on a signal, and when host-agent cannot go on with this
//! session: then Felix, which ends with its driver, is started anew and sends a snapshot.

mod backlog;
mod connection;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use felix_proto::{Decoder, FrameError};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use crate::link::SessionId;
use backlog::Backlog;

/// First and longest pause between two attempts to reach host-agent.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(3)];
/// How long the last frames may take to reach host-agent once Felix is gone.
const FAREWELL: Duration = Duration::from_secs(10);
/// Read from Felix at once.
const CHUNK: usize = 64 << 10;

/// Where to find host-agent, and how much to keep for it.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// host-agent's socket.
    pub socket: PathBuf,
    /// Bytes of frames that wait for host-agent before reading stops.
    pub backlog: usize,
}

/// Why the relay ended before Felix did.
#[derive(Debug, Error)]
pub enum RelayError {
    /// Not started by Felix.
    #[error(
        "Descriptor {descriptor} is not an open pipe. This program is a dataplane driver: it is \
         not started by hand, start it from Felix with FELIX_USEINTERNALDATAPLANEDRIVER=false and \
         FELIX_DATAPLANEDRIVER=<path of this file>"
    )]
    Descriptor {
        /// 3 or 4.
        descriptor: u32,
        /// What the system says.
        source: io::Error,
    },
    /// No session identity.
    #[error("The session cannot be given an identity")]
    Identity(#[source] io::Error),
    /// The process cannot ask to be told of signals.
    #[error("Signals cannot be received")]
    Signal(#[source] io::Error),
    /// Reading from Felix failed.
    #[error("Felix's pipe cannot be read")]
    Read(#[source] io::Error),
    /// Writing to Felix failed.
    #[error("Felix's pipe cannot be written; Felix has closed it")]
    Write(#[source] io::Error),
    /// What Felix wrote cannot be cut into frames.
    #[error("What Felix wrote cannot be relayed further")]
    Frame(#[from] FrameError),
    /// host-agent does not take the session.
    #[error("host-agent cannot go on with this session, so Felix has to start anew: {reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
}

/// The pipes that Felix opened for its driver: descriptor 3 to read, descriptor 4 to write.
///
/// # Errors
/// [`RelayError::Descriptor`] if this process was not started by Felix.
pub fn felix_pipes() -> Result<(pipe::Receiver, pipe::Sender), RelayError> {
    // Opening them by path needs no claim on descriptors that somebody else may own.
    let path = |descriptor: u32| PathBuf::from(format!("/proc/self/fd/{descriptor}"));
    let error = |descriptor| move |source| RelayError::Descriptor { descriptor, source };
    let from = pipe::OpenOptions::new()
        .open_receiver(path(3))
        .map_err(error(3))?;
    let to = pipe::OpenOptions::new()
        .open_sender(path(4))
        .map_err(error(4))?;
    Ok((from, to))
}

/// Relays one session until Felix closes its pipe.
///
/// # Errors
/// See [`RelayError`].
pub async fn run<R, W>(config: &RelayConfig, from: R, to: W) -> Result<(), RelayError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let id = SessionId::random().map_err(RelayError::Identity)?;
    info!(session = %id, socket = %config.socket.display(), "Relaying Felix's session");
    let mut relay = Relay {
        id,
        felix: Felix {
            source: from,
            chunk: vec![0; CHUNK],
            decoder: Decoder::default(),
            ended: None,
        },
        backlog: Backlog::new(config.backlog),
    };
    let mut to = to;
    let mut pause = BACKOFF[0];
    loop {
        match relay.connect(&config.socket, pause).await? {
            Some(stream) => match connection::serve(&mut relay, stream, to).await? {
                connection::End::Done => return relay.felix.outcome(),
                connection::End::Lost { useful, to: back } => {
                    to = back;
                    if useful {
                        pause = BACKOFF[0];
                    }
                }
            },
            None => return relay.felix.outcome(),
        }
        pause = (pause * 2).min(BACKOFF[1]);
    }
}

/// One session.
struct Relay<R> {
    id: SessionId,
    felix: Felix<R>,
    backlog: Backlog,
}

impl<R: AsyncRead + Unpin> Relay<R> {
    /// Tries to reach host-agent after a pause, reading on from Felix meanwhile. None if Felix has
    /// gone and host-agent does not come back soon.
    async fn connect(
        &mut self,
        socket: &Path,
        pause: Duration,
    ) -> Result<Option<UnixStream>, RelayError> {
        // The first attempt of a session does not wait.
        let mut at = Instant::now();
        if self.backlog.was_offered() {
            at += pause;
        }
        let mut pause = pause;
        let ended = self.felix.ended.is_some();
        let mut given_up = ended.then(|| Instant::now() + FAREWELL);
        loop {
            tokio::select! {
                () = sleep_until(at) => match UnixStream::connect(socket).await {
                    Ok(stream) => return Ok(Some(stream)),
                    Err(error) => {
                        debug!(%error, socket = %socket.display(), "host-agent is not there");
                        if !self.backlog.was_offered() {
                            warn!(
                                %error, socket = %socket.display(),
                                "host-agent does not answer; keeping Felix's messages for it. \
                                 Is host-agent running, and is this its socket?"
                            );
                        }
                        self.backlog.offered();
                        at = Instant::now() + pause;
                        pause = (pause * 2).min(BACKOFF[1]);
                        if given_up.is_some_and(|deadline| Instant::now() > deadline) {
                            return Ok(None);
                        }
                    }
                },
                read = self.felix.read(&mut self.backlog), if self.felix.open(&self.backlog) => {
                    read?;
                    if self.felix.ended.is_some() {
                        given_up = Some(Instant::now() + FAREWELL);
                        at = Instant::now();
                    }
                }
            }
        }
    }
}

/// What comes from Felix.
struct Felix<R> {
    source: R,
    chunk: Vec<u8>,
    decoder: Decoder,
    ended: Option<Result<(), FrameError>>,
}

impl<R: AsyncRead + Unpin> Felix<R> {
    /// Whether to read: Felix is there and the backlog has room.
    fn open(&self, backlog: &Backlog) -> bool {
        self.ended.is_none() && backlog.has_room()
    }

    /// Reads once. Cancelling loses nothing.
    async fn read(&mut self, backlog: &mut Backlog) -> Result<(), RelayError> {
        let length = self
            .source
            .read(&mut self.chunk)
            .await
            .map_err(RelayError::Read)?;
        if length == 0 {
            self.ended = Some(self.decoder.finish());
            return Ok(());
        }
        self.decoder.push(&self.chunk[..length]);
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => backlog.push(frame.body),
                Ok(None) => return Ok(()),
                Err(error) => {
                    // What came before is whole and still goes to host-agent.
                    self.ended = Some(Err(error));
                    return Ok(());
                }
            }
        }
    }

    fn outcome(&self) -> Result<(), RelayError> {
        match &self.ended {
            Some(Err(error)) => Err(error.clone().into()),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn farewell(&self) -> String {
        match &self.ended {
            Some(Err(error)) => error.to_string(),
            Some(Ok(())) | None => "Felix closed its pipe".to_owned(),
        }
    }
}

/// Runs a step that must not take longer than the farewell.
async fn within_farewell<F: Future>(step: F) -> Option<F::Output> {
    timeout(FAREWELL, step).await.ok()
}
