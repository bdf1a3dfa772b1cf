//! A session's state in a file, so that host-agent restarts without a new snapshot from Felix.
//!
//! A journal is a compacted state (the mirror) followed by the frames that came after it. Frames are
//! appended as they come; when they outweigh the state, the file is written anew beside the old one
//! and renamed over it. Appends are not forced to disk: a killed process loses nothing that it wrote,
//! and a machine that goes down takes Felix along, whose next session brings a snapshot. A torn tail
//! is recognised by its checksum and cut off; the relay still has what was not acknowledged.
//!
//! Two files: `felix.journal` holds the session that is enforced, `felix.journal.next` one whose
//! snapshot is not complete yet. At its `InSync` it is renamed over the first.

mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use felix_proto::Frame;
use thiserror::Error;

use crate::link::SessionId;
use crate::mirror::Mirror;
use crate::session::{Played, Session, SessionError};

use record::Record;

/// The session that is enforced.
const CURRENT: &str = "felix.journal";
/// A session whose snapshot is not complete.
const PENDING: &str = "felix.journal.next";
/// Below this many appended bytes compaction is not worth its writes.
const COMPACT_FROM: usize = 4 << 20;

/// Why a journal cannot be kept.
#[derive(Debug, Error)]
#[error(
    "The journal {path} cannot be {what}: after a restart host-agent will need a new snapshot from \
     Felix. Make the directory writable and free some space"
)]
pub struct JournalError {
    /// File.
    pub path: PathBuf,
    /// What was tried.
    pub what: &'static str,
    /// Why not.
    pub source: io::Error,
}

/// Which of the two files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The session that is enforced.
    Current,
    /// A session whose snapshot is not complete.
    Pending,
}

impl Role {
    fn path(self, directory: &Path) -> PathBuf {
        directory.join(match self {
            Self::Current => CURRENT,
            Self::Pending => PENDING,
        })
    }
}

/// What a journal held.
#[derive(Debug)]
pub struct Recovered {
    /// The session.
    pub id: SessionId,
    /// Its state, ready for the frame that comes next.
    pub session: Session,
    /// The state as updates.
    pub played: Played,
    /// Bytes behind the last whole record, which were cut off.
    pub torn: u64,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    role: Role,
    id: SessionId,
    file: File,
    appended: usize,
}

impl Journal {
    /// Begins a journal with a session's present state, over whatever is there.
    ///
    /// # Errors
    /// See [`JournalError`]; what was there before is still there.
    pub fn create(
        directory: &Path,
        role: Role,
        id: SessionId,
        mirror: &Mirror,
        next: u64,
    ) -> Result<Self, JournalError> {
        let path = role.path(directory);
        let file = write_whole(&path, id, mirror, next).map_err(|source| JournalError {
            path,
            what: "written",
            source,
        })?;
        Ok(Self {
            directory: directory.to_owned(),
            role,
            id,
            file,
            appended: 0,
        })
    }

    /// Appends frames.
    ///
    /// # Errors
    /// See [`JournalError`]; begin a new journal before appending more.
    pub fn append(&mut self, bodies: &[Bytes]) -> Result<(), JournalError> {
        let mut out = Vec::with_capacity(bodies.iter().map(|body| body.len() + 16).sum());
        for body in bodies {
            record::write(Record::Frame(body), &mut out);
        }
        self.appended += out.len();
        self.file
            .write_all(&out)
            .map_err(|source| self.error("appended to", source))
    }

    /// Whether the appended frames outweigh the state, so that it is time to begin anew.
    #[must_use]
    pub fn is_bloated(&self, mirror: &Mirror) -> bool {
        self.appended > COMPACT_FROM.max(2 * mirror.bytes())
    }

    /// Makes the pending session the enforced one.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn promote(&mut self) -> Result<(), JournalError> {
        let (from, to) = (self.path(), Role::Current.path(&self.directory));
        fs::rename(from, to).map_err(|source| self.error("renamed", source))?;
        self.role = Role::Current;
        Ok(())
    }

    /// Deletes a journal, if it is there.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn discard(directory: &Path, role: Role) -> Result<(), JournalError> {
        let path = role.path(directory);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(JournalError {
                path,
                what: "deleted",
                source,
            }),
            _ => Ok(()),
        }
    }

    /// Reads a journal back; none if there is none or if it holds no whole state. A torn tail is cut
    /// off by beginning the file anew.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn recover(
        directory: &Path,
        role: Role,
    ) -> Result<Option<(Self, Recovered)>, JournalError> {
        let path = role.path(directory);
        let bytes = match fs::read(&path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(JournalError {
                    path,
                    what: "read",
                    source,
                });
            }
        };
        let Ok(Some((id, session, whole))) = replay(&bytes) else {
            return Ok(None);
        };
        let Ok(played) = session.play() else {
            return Ok(None);
        };
        let torn = bytes.len().saturating_sub(whole) as u64;
        let journal = if torn > 0 {
            Self::create(
                directory,
                role,
                id,
                session.mirror(),
                session.next_sequence(),
            )?
        } else {
            let file = OpenOptions::new().append(true).open(&path);
            Self {
                directory: directory.to_owned(),
                role,
                id,
                file: file.map_err(|source| JournalError {
                    path,
                    what: "opened",
                    source,
                })?,
                appended: whole,
            }
        };
        let recovered = Recovered {
            id,
            session,
            played,
            torn,
        };
        Ok(Some((journal, recovered)))
    }

    /// The session it is of.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    fn path(&self) -> PathBuf {
        self.role.path(&self.directory)
    }

    fn error(&self, what: &'static str, source: io::Error) -> JournalError {
        JournalError {
            path: self.path(),
            what,
            source,
        }
    }
}

/// Writes a whole file beside the old one, forces it to disk, and renames it over.
fn write_whole(path: &Path, id: SessionId, mirror: &Mirror, next: u64) -> io::Result<File> {
    let mut out = Vec::new();
    record::write(Record::Head { id, next }, &mut out);
    for body in mirror.bodies() {
        record::write(Record::State(&body), &mut out);
    }
    record::write(Record::Complete, &mut out);
    let fresh = path.with_extension("fresh");
    let mut file = File::create(&fresh)?;
    file.write_all(&out)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(file)
}

/// Plays a file as far as it is whole: session, its state, and how many bytes that was.
fn replay(bytes: &Bytes) -> Result<Option<(SessionId, Session, usize)>, SessionError> {
    let mut records = record::Reader::new(bytes);
    let Some(Record::Head { id, next }) = records.next() else {
        return Ok(None);
    };
    let mut state = Vec::new();
    loop {
        match records.next() {
            Some(Record::State(body)) => state.push(bytes.slice_ref(body)),
            Some(Record::Complete) => break,
            Some(Record::Head { .. } | Record::Frame(_)) | None => return Ok(None),
        }
    }
    let mut session = Session::restore(state, next)?;
    let mut whole = records.position();
    while let Some(Record::Frame(body)) = records.next() {
        let frame = Frame {
            index: session.next_sequence(),
            offset: whole as u64,
            body: bytes.slice_ref(body),
        };
        if session.frame(&frame).is_err() {
            break;
        }
        whole = records.position();
    }
    Ok(Some((id, session, whole)))
}

#[cfg(test)]
mod tests;
