//! What relay and host-agent say to each other over the unix socket.
//!
//! A unit is one byte of kind, four bytes of length (little endian), and as many bytes of content.
//! The relay greets with its session, the agent answers where to go on, then frames flow in both
//! directions and the agent acknowledges what its journal holds.

use std::fmt;
use std::io::{self, Read};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Version of these units.
pub const VERSION: u16 = 1;

/// Where the two meet unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/margay/felix.sock";

/// Kind and length.
const UNIT_HEADER: usize = 5;
/// Longest reason.
const TEXT_LIMIT: usize = 4096;

/// One run of the relay, which is one run of Felix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// A new one, from the kernel's random source.
    ///
    /// # Errors
    /// If `/dev/urandom` cannot be read.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Relay to agent, first: who speaks, and from which sequence number on it still has frames.
    Hello {
        /// [`VERSION`].
        version: u16,
        /// The session.
        session: SessionId,
        /// Oldest frame that the relay still has.
        oldest: u64,
        /// The frame that Felix will send next.
        newest: u64,
    },
    /// Agent to relay, answer: go on with this sequence number.
    Resume {
        /// Sequence number.
        next: u64,
    },
    /// Agent to relay, answer or later: this session cannot go on; Felix has to start anew.
    Refuse {
        /// Why, for the log.
        reason: String,
    },
    /// The body of a frame: `ToDataplane` to the agent, `FromDataplane` to the relay.
    Frame(Bytes),
    /// Agent to relay: everything before this sequence number is kept.
    Ack {
        /// Sequence number.
        next: u64,
    },
    /// Relay to agent, last: no more will come.
    Bye {
        /// Why, for the log.
        reason: String,
    },
}

/// Why the other side cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LinkError {
    /// A kind that is not known.
    #[error("Unit of kind {0} is not known: relay and host-agent are of different releases")]
    Kind(u8),
    /// Longer than a unit of its kind may be.
    #[error("Unit of kind {kind} says that it holds {length} bytes, the limit is {limit}")]
    Oversized {
        /// Kind.
        kind: u8,
        /// What it says.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Content that does not fit the kind.
    #[error("Unit of kind {0} is malformed")]
    Content(u8),
}

impl Unit {
    /// Appends the unit.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Hello {
                version,
                session,
                oldest,
                newest,
            } => {
                header(1, 34, out);
                out.put_u16_le(*version);
                out.put_slice(&session.0);
                out.put_u64_le(*oldest);
                out.put_u64_le(*newest);
            }
            Self::Resume { next } => {
                header(2, 8, out);
                out.put_u64_le(*next);
            }
            Self::Refuse { reason } => text(3, reason, out),
            Self::Frame(body) => {
                header(4, body.len(), out);
                out.put_slice(body);
            }
            Self::Ack { next } => {
                header(5, 8, out);
                out.put_u64_le(*next);
            }
            Self::Bye { reason } => text(6, reason, out),
        }
    }

    /// Takes the next whole unit off a buffer, none if more bytes are needed.
    ///
    /// # Errors
    /// See [`LinkError`]; what follows cannot be read either.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Self>, LinkError> {
        let Some([kind, length @ ..]) = buffer.first_chunk::<UNIT_HEADER>().copied() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        let limit = match kind {
            1 => 34,
            2 | 5 => 8,
            3 | 6 => TEXT_LIMIT,
            4 => felix_proto::DEFAULT_LIMIT,
            _ => return Err(LinkError::Kind(kind)),
        };
        if length > limit {
            return Err(LinkError::Oversized {
                kind,
                length,
                limit,
            });
        }
        if buffer.len() - UNIT_HEADER < length {
            buffer.reserve(UNIT_HEADER + length - buffer.len());
            return Ok(None);
        }
        buffer.advance(UNIT_HEADER);
        let content = buffer.split_to(length).freeze();
        Self::content(kind, content)
            .map(Some)
            .ok_or(LinkError::Content(kind))
    }

    fn content(kind: u8, mut content: Bytes) -> Option<Self> {
        let unit = match kind {
            1 => {
                let version = content.try_get_u16_le().ok()?;
                let mut session = [0; 16];
                content.try_copy_to_slice(&mut session).ok()?;
                Self::Hello {
                    version,
                    session: SessionId(session),
                    oldest: content.try_get_u64_le().ok()?,
                    newest: content.try_get_u64_le().ok()?,
                }
            }
            2 => Self::Resume {
                next: content.try_get_u64_le().ok()?,
            },
            3 => Self::Refuse {
                reason: String::from_utf8(content.split_off(0).into()).ok()?,
            },
            4 => Self::Frame(content.split_off(0)),
            5 => Self::Ack {
                next: content.try_get_u64_le().ok()?,
            },
            6 => Self::Bye {
                reason: String::from_utf8(content.split_off(0).into()).ok()?,
            },
            _ => return None,
        };
        content.is_empty().then_some(unit)
    }
}

fn header(kind: u8, length: usize, out: &mut BytesMut) {
    out.reserve(UNIT_HEADER + length);
    out.put_u8(kind);
    // Frames are bounded far below this by whoever cut them.
    out.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
}

fn text(kind: u8, reason: &str, out: &mut BytesMut) {
    let mut end = reason.len().min(TEXT_LIMIT);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    header(kind, end, out);
    out.put_slice(&reason.as_bytes()[..end]);
}

#[cfg(test)]
mod tests;
