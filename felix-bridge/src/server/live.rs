//! A session with its journal.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use felix_proto::{Frame, HEADER};
use policy_model::Update;

use crate::convert::Problem;
use crate::journal::{Journal, JournalError, Role};
use crate::link::SessionId;
use crate::mirror::Mirror;
use crate::session::{Counts, Played, Session, SessionError};

/// Frames between two attempts to write a journal that could not be written.
const RETRY: u64 = 4096;

/// A session.
#[derive(Debug)]
pub(super) struct Live {
    id: SessionId,
    session: Session,
    directory: PathBuf,
    journal: Option<Journal>,
    retry_at: u64,
    offset: u64,
}

/// What a batch of frames came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The snapshot became complete: the whole state, and the sequence number that comes next.
    pub(super) snapshot: Option<(Played, u64)>,
    /// Changes after it.
    pub(super) updates: Vec<Update>,
    /// Problems of the changes.
    pub(super) problems: Vec<Problem>,
    /// The session cannot go on.
    pub(super) failed: Option<String>,
    /// The journal cannot be kept.
    pub(super) journal: Option<JournalError>,
    /// Counts of this batch.
    pub(super) counts: Counts,
}

impl Live {
    /// A new session. It works without a journal, too.
    pub(super) fn begin(directory: &Path, id: SessionId) -> (Self, Option<JournalError>) {
        let journal = Journal::create(directory, Role::Pending, id, &Mirror::new(), 0);
        let (journal, error) = match journal {
            Ok(journal) => (Some(journal), None),
            Err(error) => (None, Some(error)),
        };
        let live = Self {
            id,
            session: Session::new(),
            directory: directory.to_owned(),
            journal,
            retry_at: RETRY,
            offset: 0,
        };
        (live, error)
    }

    /// A session of the run before.
    pub(super) fn recover(directory: &Path, role: Role) -> Result<Option<Self>, JournalError> {
        let Some((journal, recovered)) = Journal::recover(directory, role)? else {
            return Ok(None);
        };
        let mut journal = journal;
        if role == Role::Pending && recovered.session.in_sync() {
            journal.promote()?;
        }
        Ok(Some(Self {
            id: recovered.id,
            session: recovered.session,
            directory: directory.to_owned(),
            journal: Some(journal),
            retry_at: 0,
            offset: 0,
        }))
    }

    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Takes frames: everything up to the first that cannot be taken.
    pub(super) fn take(&mut self, bodies: &[Bytes]) -> Outcome {
        let mut outcome = Outcome::default();
        let before = self.session.counts();
        let pending = !self.session.in_sync();
        let mut taken = 0;
        for body in bodies {
            if let Err(error) = self.one(body, &mut outcome) {
                outcome.failed = Some(chain(&error));
                break;
            }
            taken += 1;
        }
        let promote = pending && self.session.in_sync();
        outcome.journal = self.keep(&bodies[..taken], promote).err();
        outcome.counts = difference(self.session.counts(), before);
        outcome
    }

    fn one(&mut self, body: &Bytes, outcome: &mut Outcome) -> Result<(), SessionError> {
        let frame = Frame {
            index: self.session.next_sequence(),
            offset: self.offset,
            body: body.clone(),
        };
        let pending = !self.session.in_sync();
        let received = self.session.frame(&frame)?;
        self.offset += (HEADER + body.len()) as u64;
        if !pending {
            outcome.updates.extend(received.update);
            outcome.problems.extend(received.problems);
        } else if self.session.in_sync() {
            outcome.snapshot = Some((self.session.play()?, self.session.next_sequence()));
        }
        Ok(())
    }

    /// Writes to the journal; begins it anew when it is bloated or was lost.
    fn keep(&mut self, bodies: &[Bytes], promote: bool) -> Result<(), JournalError> {
        let next = self.session.next_sequence();
        if let Some(mut journal) = self.journal.take() {
            self.retry_at = next + RETRY;
            journal.append(bodies)?;
            if promote {
                journal.promote()?;
            }
            if !journal.is_bloated(self.session.mirror()) {
                self.journal = Some(journal);
                return Ok(());
            }
        } else if next < self.retry_at && !promote {
            return Ok(());
        }
        self.retry_at = next + RETRY;
        let role = if self.session.in_sync() {
            Role::Current
        } else {
            Role::Pending
        };
        self.journal = Some(Journal::create(
            &self.directory,
            role,
            self.id,
            self.session.mirror(),
            next,
        )?);
        Ok(())
    }
}

fn difference(now: Counts, before: Counts) -> Counts {
    Counts {
        frames: now.frames - before.frames,
        bytes: now.bytes - before.bytes,
        updates: now.updates - before.updates,
        unknown_messages: now.unknown_messages - before.unknown_messages,
        unknown_fields: now.unknown_fields - before.unknown_fields,
        problems: now.problems - before.problems,
    }
}

fn chain(error: &SessionError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
