//! One connection to host-agent.

use std::io;

use bytes::{BufMut, BytesMut};
use felix_proto::HEADER;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{FAREWELL, Relay, RelayError, within_farewell};
use crate::link::{Unit, VERSION};

/// Frames are encoded ahead up to this many bytes.
const AHEAD: usize = 256 << 10;

/// How a connection ended.
pub(super) enum End<W> {
    /// Felix is gone and host-agent has everything, or did not take it in time.
    Done,
    /// host-agent went away.
    Lost {
        /// It had taken up the session.
        useful: bool,
        /// The way to Felix.
        to: W,
    },
}

/// What the listening half ended with.
enum Heard {
    /// The connection is closed.
    Closed(String),
    /// The session is refused.
    Refused(String),
    /// Felix does not take what host-agent says.
    Felix(io::Error),
}

/// Serves until the connection or Felix ends.
pub(super) async fn serve<R, W>(
    relay: &mut Relay<R>,
    stream: UnixStream,
    to: W,
) -> Result<End<W>, RelayError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    relay.backlog.offered();
    let (source, mut sink) = stream.into_split();
    let mut out = BytesMut::new();
    Unit::Hello {
        version: VERSION,
        session: relay.id,
        oldest: relay.backlog.oldest(),
        newest: relay.backlog.newest(),
    }
    .encode(&mut out);
    let (told, mut said) = watch::channel(Said::default());
    // host-agent must never wait for us to listen while we wait for it, so listening is a task of
    // its own that only Felix can hold up.
    let mut listener: JoinHandle<(Heard, W)> = tokio::spawn(listen(source, to, told));
    let mut cursor = None;
    let mut farewell_at: Option<Instant> = None;
    let mut said_bye = false;
    loop {
        if let Some(next) = cursor {
            encode_ahead(relay, next, &mut cursor, &mut out);
            let done = relay.felix.ended.is_some() && cursor == Some(relay.backlog.newest());
            if done && !said_bye {
                said_bye = true;
                let reason = relay.felix.farewell();
                info!(reason, "The session is over");
                Unit::Bye { reason }.encode(&mut out);
            }
        }
        if relay.felix.ended.is_some() && farewell_at.is_none() {
            farewell_at = Some(Instant::now() + FAREWELL);
        }
        if said_bye && out.is_empty() {
            // Let host-agent close, so that nothing it has not read is thrown away.
            let closing = async {
                let shut = sink.shutdown().await;
                shut.is_ok() && (&mut listener).await.is_ok()
            };
            if within_farewell(closing).await.is_none() {
                warn!("host-agent does not close the connection");
                listener.abort();
            }
            return Ok(End::Done);
        }
        tokio::select! {
            heard = &mut listener => {
                // Its last words count, even if they were heard only now.
                let said = *said.borrow();
                take(relay, said, &mut cursor)?;
                return conclude(heard, cursor.is_some());
            }
            changed = said.changed(), if !said_bye => {
                if changed.is_ok() {
                    let said = *said.borrow_and_update();
                    take(relay, said, &mut cursor)?;
                }
            }
            read = relay.felix.read(&mut relay.backlog), if relay.felix.open(&relay.backlog) => {
                read?;
            }
            written = sink.write_buf(&mut out), if !out.is_empty() => {
                if written.is_err() {
                    // The listener knows more, for instance that the session was refused.
                    return conclude(listener.await, cursor.is_some());
                }
            }
            () = deadline(farewell_at) => {
                warn!("host-agent does not take Felix's last messages in time");
                listener.abort();
                return Ok(End::Done);
            }
        }
    }
}

async fn deadline(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn conclude<W>(
    heard: Result<(Heard, W), tokio::task::JoinError>,
    useful: bool,
) -> Result<End<W>, RelayError> {
    match heard {
        Ok((Heard::Closed(reason), to)) => {
            info!(
                reason,
                "host-agent went away; keeping Felix's messages for it"
            );
            Ok(End::Lost { useful, to })
        }
        Ok((Heard::Refused(reason), _)) => Err(RelayError::Refused { reason }),
        Ok((Heard::Felix(error), _)) => Err(RelayError::Write(error)),
        Err(error) => Err(RelayError::Write(io::Error::other(error))),
    }
}

/// What host-agent said last: where to go on, and what it keeps.
#[derive(Clone, Copy, Default)]
struct Said {
    resume: Option<u64>,
    acknowledged: u64,
}

fn take<R>(relay: &mut Relay<R>, said: Said, cursor: &mut Option<u64>) -> Result<(), RelayError> {
    if let (None, Some(next)) = (*cursor, said.resume) {
        let (oldest, newest) = (relay.backlog.oldest(), relay.backlog.newest());
        if next < oldest || next > newest {
            return Err(RelayError::Refused {
                reason: format!(
                    "it wants to go on at message {next}, the relay has {oldest} to {newest}"
                ),
            });
        }
        info!(next, "host-agent takes up the session");
        relay.backlog.release(next);
        *cursor = Some(next);
    }
    relay
        .backlog
        .release(said.acknowledged.min(cursor.unwrap_or(0)));
    Ok(())
}

fn encode_ahead<R>(relay: &Relay<R>, mut next: u64, cursor: &mut Option<u64>, out: &mut BytesMut) {
    while out.len() < AHEAD {
        let Some(body) = relay.backlog.frame(next) else {
            break;
        };
        Unit::Frame(body.clone()).encode(out);
        next += 1;
    }
    *cursor = Some(next);
}

/// Takes what host-agent says: its frames go to Felix, the rest to the serving half.
async fn listen<W: AsyncWrite + Unpin>(
    mut source: OwnedReadHalf,
    mut to: W,
    told: watch::Sender<Said>,
) -> (Heard, W) {
    let mut buffer = BytesMut::new();
    let heard = loop {
        match Unit::decode(&mut buffer) {
            Ok(Some(Unit::Resume { next })) => {
                told.send_modify(|said| said.resume = Some(next));
            }
            Ok(Some(Unit::Ack { next })) => {
                told.send_modify(|said| said.acknowledged = said.acknowledged.max(next));
            }
            Ok(Some(Unit::Refuse { reason })) => break Heard::Refused(reason),
            Ok(Some(Unit::Frame(body))) => {
                let mut frame = BytesMut::with_capacity(HEADER + body.len());
                frame.put_u64_le(body.len() as u64);
                frame.put_slice(&body);
                if let Err(error) = to.write_all(&frame).await {
                    break Heard::Felix(error);
                }
            }
            Ok(Some(Unit::Hello { .. } | Unit::Bye { .. })) => {
                break Heard::Closed("it speaks like a relay".to_owned());
            }
            Ok(None) => match source.read_buf(&mut buffer).await {
                Ok(0) => break Heard::Closed("it closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) => break Heard::Closed(error.to_string()),
            },
            Err(error) => break Heard::Closed(error.to_string()),
        }
    };
    (heard, to)
}
