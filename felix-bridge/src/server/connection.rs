//! One relay.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::link::{SessionId, Unit, VERSION};

/// Read at once.
const CHUNK: usize = 256 << 10;
/// How long a relay may take to hear that it is refused.
const REFUSAL: Duration = Duration::from_secs(2);

/// A relay that has greeted.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) stream: UnixStream,
    /// What came behind the greeting.
    pub(super) behind: BytesMut,
    pub(super) session: SessionId,
    pub(super) oldest: u64,
    pub(super) newest: u64,
}

/// Waits for a relay's greeting. Whoever does not greet in time is dropped.
pub(super) async fn greet(
    mut stream: UnixStream,
    greeted: mpsc::Sender<Greeting>,
    patience: Duration,
) {
    let mut buffer = BytesMut::new();
    let hello = timeout(patience, async {
        loop {
            match Unit::decode(&mut buffer) {
                Ok(Some(unit)) => return Some(unit),
                Ok(None) => {
                    if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                        return None;
                    }
                }
                Err(error) => {
                    warn!(%error, "A relay cannot be understood");
                    return None;
                }
            }
        }
    })
    .await;
    match hello {
        Ok(Some(Unit::Hello {
            version: VERSION,
            session,
            oldest,
            newest,
        })) => {
            // If nobody receives, the server has ended.
            let _ended = greeted
                .send(Greeting {
                    stream,
                    behind: buffer,
                    session,
                    oldest,
                    newest,
                })
                .await;
        }
        Ok(Some(Unit::Hello { version, .. })) => {
            let reason = format!(
                "host-agent speaks version {VERSION}, the relay {version}: install both of one \
                 release"
            );
            warn!(reason, "A relay is refused");
            refuse(stream, reason);
        }
        Ok(Some(_) | None) | Err(_) => debug!("Somebody connected and did not greet"),
    }
}

/// Tells a relay that its session cannot go on.
pub(super) fn refuse(stream: UnixStream, reason: String) {
    let (source, sink) = stream.into_split();
    tell(source, sink, BytesMut::new(), reason);
}

fn tell(mut source: OwnedReadHalf, mut sink: OwnedWriteHalf, mut out: BytesMut, reason: String) {
    Unit::Refuse { reason }.encode(&mut out);
    tokio::spawn(async move {
        // Reads on until the relay closes: closing first would throw away what it has not read.
        let told = timeout(REFUSAL, async move {
            sink.write_all_buf(&mut out).await?;
            sink.shutdown().await?;
            let mut rest = vec![0; CHUNK];
            while source.read(&mut rest).await? > 0 {}
            Ok::<(), std::io::Error>(())
        });
        if told.await.is_err() {
            debug!("A refused relay did not close the connection");
        }
    });
}

/// A relay whose session is taken up.
#[derive(Debug)]
pub(super) struct Connection {
    session: SessionId,
    source: OwnedReadHalf,
    sink: OwnedWriteHalf,
    buffer: BytesMut,
    /// The buffer may hold whole units.
    unread: bool,
    out: BytesMut,
}

/// What a connection did.
#[derive(Debug)]
pub(super) enum Step {
    /// Something was written.
    Nothing,
    /// Frames came, or it ended, with the reason.
    Heard {
        frames: Vec<Bytes>,
        end: Option<String>,
    },
}

/// Reads or writes, whichever is possible first. Cancelling loses nothing.
pub(super) async fn step(connection: &mut Option<Connection>) -> Step {
    match connection {
        None => std::future::pending().await,
        Some(connection) => connection.step().await,
    }
}

impl Connection {
    pub(super) fn new(stream: UnixStream, behind: BytesMut, session: SessionId, next: u64) -> Self {
        let (source, sink) = stream.into_split();
        let mut connection = Self {
            session,
            source,
            sink,
            unread: !behind.is_empty(),
            buffer: behind,
            out: BytesMut::new(),
        };
        connection.say(&Unit::Resume { next });
        connection
    }

    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    /// Puts a unit behind what waits to be written.
    pub(super) fn say(&mut self, unit: &Unit) {
        unit.encode(&mut self.out);
    }

    /// Tells the relay that its session cannot go on.
    pub(super) fn refuse(self, reason: String) {
        tell(self.source, self.sink, self.out, reason);
    }

    async fn step(&mut self) -> Step {
        if std::mem::take(&mut self.unread) {
            return self.units();
        }
        self.buffer.reserve(CHUNK);
        tokio::select! {
            read = self.source.read_buf(&mut self.buffer) => match read {
                Ok(0) => end("it closed the connection".to_owned()),
                Ok(_) => self.units(),
                Err(error) => end(error.to_string()),
            },
            written = self.sink.write_buf(&mut self.out), if !self.out.is_empty() => match written {
                Ok(_) => Step::Nothing,
                Err(error) => end(error.to_string()),
            },
        }
    }

    fn units(&mut self) -> Step {
        let mut frames = Vec::new();
        let end = loop {
            match Unit::decode(&mut self.buffer) {
                Ok(Some(Unit::Frame(body))) => frames.push(body),
                Ok(Some(Unit::Bye { reason })) => break Some(reason),
                Ok(Some(unit)) => break Some(format!("it spoke out of turn: {unit:?}")),
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        Step::Heard { frames, end }
    }
}

fn end(reason: String) -> Step {
    Step::Heard {
        frames: Vec::new(),
        end: Some(reason),
    }
}
