//! One driver process's stream, from the first frame on: sans-IO.

use bytes::Bytes;
use felix_proto::{DecodeError, Frame, FrameError, Message};
use policy_model::Update;
use thiserror::Error;

use crate::convert::{Converter, Problem};
use crate::dialect::Evidence;
use crate::mirror::Mirror;

/// Why a session cannot go on. What it said so far stays enforced; the next session, with its whole
/// snapshot, takes over from there.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum SessionError {
    /// The stream cannot be cut into frames.
    #[error("The stream from Felix is broken; restart Felix to get a new snapshot")]
    Frame(#[from] FrameError),
    /// A frame is no message. Going on without it could leave out a policy that denies.
    #[error("A frame from Felix cannot be read; restart Felix to get a new snapshot")]
    Decode(#[from] DecodeError),
    /// The sequence has a gap, or begins again.
    #[error(
        "Frame {index} of the stream from Felix has sequence number {found}, expected {expected}: \
         messages are missing or come twice. Restart Felix to get a new snapshot"
    )]
    Sequence {
        /// Place of the frame in the stream.
        index: u64,
        /// What it should be.
        expected: u64,
        /// What it is.
        found: u64,
    },
}

/// What one frame said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Received {
    /// Its sequence number.
    pub sequence: u64,
    /// The update; none if it said nothing that the model takes.
    pub update: Option<Update>,
    /// What could not be understood or is not enforced.
    pub problems: Vec<Problem>,
}

/// Counts of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Frames.
    pub frames: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Updates.
    pub updates: u64,
    /// Messages of a type that is not known.
    pub unknown_messages: u64,
    /// Fields that are not known, messages of unknown types included.
    pub unknown_fields: u64,
    /// Problems of any kind.
    pub problems: u64,
}

/// The state of one session: frames in, updates out.
#[derive(Clone, Debug, Default)]
pub struct Session {
    converter: Converter,
    mirror: Mirror,
    next: u64,
    counts: Counts,
}

/// A state played from its mirror.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Played {
    /// The updates, `InSync` last if the snapshot was complete.
    pub updates: Vec<Update>,
    /// What of the state could not be understood or is not enforced.
    pub problems: Vec<Problem>,
}

impl Session {
    /// At the start of a stream: sequence number 0 comes next.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// See [`SessionError`]; the session is as it was before and must not be continued.
    pub fn frame(&mut self, frame: &Frame) -> Result<Received, SessionError> {
        let message = felix_proto::decode(frame)?;
        self.check(frame.index, &message)?;
        Ok(self.take(message, &frame.body))
    }

    /// As [`Session::resume`], from the messages of a mirror.
    pub(crate) fn restore(
        bodies: impl IntoIterator<Item = Bytes>,
        next: u64,
    ) -> Result<Self, SessionError> {
        let mut session = Self::new();
        for (body, index) in bodies.into_iter().zip(0..) {
            let frame = Frame {
                index,
                offset: 0,
                body,
            };
            let message = felix_proto::decode(&frame)?;
            session.take(message, &frame.body);
        }
        session.next = next;
        session.counts = Counts::default();
        Ok(session)
    }

    /// Goes on where a session left off whose mirror was kept: sequence number `next` comes next.
    ///
    /// # Errors
    /// [`SessionError::Decode`] if the mirror holds what is no message.
    pub fn resume(mirror: &Mirror, next: u64) -> Result<(Self, Played), SessionError> {
        let mut session = Self::new();
        let mut played = Played::default();
        for frame in mirror.frames() {
            let message = felix_proto::decode(&frame)?;
            let received = session.take(message, &frame.body);
            played.updates.extend(received.update);
            played.problems.extend(received.problems);
        }
        session.next = next;
        session.counts = Counts::default();
        Ok((session, played))
    }

    /// The session's state as it would be played to a model that knows nothing.
    ///
    /// # Errors
    /// As [`Session::resume`].
    pub fn play(&self) -> Result<Played, SessionError> {
        Self::resume(&self.mirror, self.next).map(|(_, played)| played)
    }

    /// The state in the fewest messages.
    #[must_use]
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    fn check(&self, index: u64, message: &Message) -> Result<(), SessionError> {
        if message.sequence == self.next {
            return Ok(());
        }
        Err(SessionError::Sequence {
            index,
            expected: self.next,
            found: message.sequence,
        })
    }

    fn take(&mut self, message: Message, body: &Bytes) -> Received {
        let sequence = message.sequence;
        self.next = sequence.saturating_add(1);
        self.counts.frames += 1;
        self.counts.bytes += body.len() as u64;
        self.counts.unknown_messages += u64::from(message.payload.is_none());
        self.counts.unknown_fields += message.unknown.len() as u64;
        self.mirror.take(&message, body);
        let converted = self.converter.convert(message);
        self.counts.updates += u64::from(converted.update.is_some());
        self.counts.problems += converted.problems.len() as u64;
        Received {
            sequence,
            update: converted.update,
            problems: converted.problems,
        }
    }

    /// The sequence number that comes next.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Whether the snapshot is complete: before, nothing of this session may be enforced.
    #[must_use]
    pub fn in_sync(&self) -> bool {
        self.mirror.in_sync()
    }

    /// What the stream has shown of its release.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        self.converter.evidence()
    }

    /// Counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
