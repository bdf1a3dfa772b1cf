//! Writes, reads and pipeline changes on the engine's thread.

use std::{
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use p4runtime_proto::UpdateError;
use tokio::sync::{OwnedRwLockReadGuard, oneshot};

use crate::{
    control::{Answered, Atomicity, Piece, Place, Read, Write},
    device::{Cursor, Device},
    failure::Failure,
    operation::Operation,
};

/// How long packets may wait for a slice of a batch or a read.
const SLICE: Duration = Duration::from_micros(200);
/// Updates between two looks at the clock.
const STRIDE: usize = 32;

/// What is under way and may be cut.
#[derive(Debug)]
pub(super) enum Job {
    Write(Batch),
    Read(Answers),
}

impl Job {
    /// Whether there is nothing to do before another piece comes.
    pub(super) fn waits(&self) -> bool {
        match self {
            Self::Write(batch) => batch.waits,
            Self::Read(_) => false,
        }
    }

    /// Works for one slice; gives itself back if there is more to do.
    pub(super) fn step(self, target: Option<&mut Device>) -> Option<Self> {
        match self {
            Self::Write(batch) => batch.step(target).map(Self::Write),
            Self::Read(answers) => answers.step(target.as_deref()).map(Self::Read),
        }
    }
}

/// A batch that is under way.
#[derive(Debug)]
pub(super) struct Batch {
    updates: std::vec::IntoIter<Result<Operation, Failure>>,
    /// Index of the next update in the whole batch.
    next: usize,
    more: Option<Receiver<Piece>>,
    /// The next piece was not there at the last look; who brings it wakes the loop.
    waits: bool,
    failed: Vec<UpdateError>,
    reply: oneshot::Sender<Result<Vec<UpdateError>, Failure>>,
    under_way: Option<OwnedRwLockReadGuard<()>>,
}

impl Batch {
    /// Begins a batch; an atomic one is done when this returns.
    pub(super) fn begin(write: Write, target: Option<&mut Device>) -> Option<Job> {
        let Write {
            generation,
            updates,
            more,
            atomicity,
            reply,
            under_way,
        } = write;
        let Some(device) = target.filter(|device| device.is_generation(generation)) else {
            let _ = reply.send(Err(changed()));
            return None;
        };
        match atomicity {
            Atomicity::AllOrNothing => {
                let failed = all_or_nothing(device, updates);
                drop(under_way);
                // A client that has gone gets no answer.
                let _ = reply.send(Ok(failed));
                None
            }
            Atomicity::ContinueOnError => Some(Job::Write(Self {
                updates: updates.into_iter(),
                next: 0,
                more,
                waits: false,
                failed: Vec::new(),
                reply,
                under_way,
            })),
        }
    }

    /// See [`Job::step`].
    fn step(mut self, target: Option<&mut Device>) -> Option<Self> {
        let Some(device) = target else {
            let _ = self.reply.send(Err(changed()));
            return None;
        };
        let begun = Instant::now();
        self.waits = false;
        loop {
            for update in self.updates.by_ref().take(STRIDE) {
                if let Err(failure) = update.and_then(|update| device.apply(update, None)) {
                    self.failed.push(failure.at(self.next));
                }
                self.next += 1;
            }
            if self.updates.len() == 0 {
                match self.more.as_ref().map(Receiver::try_recv) {
                    Some(Ok(piece)) => {
                        self.updates = piece.into_iter();
                        continue;
                    }
                    Some(Err(TryRecvError::Empty)) => {
                        self.waits = true;
                        return Some(self);
                    }
                    Some(Err(TryRecvError::Disconnected)) | None => {}
                }
                let Self {
                    failed,
                    reply,
                    under_way,
                    ..
                } = self;
                drop(under_way);
                let _ = reply.send(Ok(failed));
                return None;
            }
            if begun.elapsed() > SLICE {
                return Some(self);
            }
        }
    }
}

/// Applies all updates or none. On failure every update has an outcome: its own error, or ABORTED
/// for those that would have gone through.
fn all_or_nothing(device: &mut Device, updates: Piece) -> Vec<UpdateError> {
    let total = updates.len();
    let mut failed: Vec<_> = updates
        .iter()
        .enumerate()
        .filter_map(|(index, update)| update.as_ref().err().cloned().map(|error| error.at(index)))
        .collect();
    if failed.is_empty() {
        let mut undo = Vec::with_capacity(total);
        for (index, update) in updates.into_iter().enumerate() {
            let Err(failure) = update.and_then(|update| device.apply(update, Some(&mut undo)))
            else {
                continue;
            };
            failed.push(failure.at(index));
            if let Err(failure) = device.roll_back(undo) {
                tracing::error!(reason = failure.message, "A batch could not be taken back");
            }
            break;
        }
    }
    if failed.is_empty() {
        return failed;
    }
    let mut outcomes = Vec::with_capacity(total);
    let mut errors = failed.into_iter().peekable();
    for index in 0..total {
        outcomes.push(
            errors
                .next_if(|error| error.index == index)
                .unwrap_or_else(|| {
                    Failure::aborted("Not applied, because another update of the batch failed")
                        .at(index)
                }),
        );
    }
    outcomes
}

/// A read that is under way. No write comes between its slices, so it sees the entries of one moment;
/// counters, registers and hits go on with the packets.
#[derive(Debug)]
pub(super) struct Answers {
    read: Read,
    /// Position of the query that is answered.
    query: usize,
    cursor: Cursor,
}

impl Answers {
    /// Begins a read.
    pub(super) fn begin(read: Read, target: Option<&Device>) -> Option<Job> {
        if target.is_some_and(|device| device.is_generation(read.generation)) {
            return Some(Job::Read(Self {
                read,
                query: 0,
                cursor: Cursor::default(),
            }));
        }
        for (index, _) in &read.queries {
            // A client that has gone gets no answer.
            let _ = read.pieces.send(Answered::Failed(changed().at(*index)));
        }
        None
    }

    /// See [`Job::step`]; pieces go out as they are found.
    fn step(mut self, target: Option<&Device>) -> Option<Self> {
        let device = target?;
        let begun = Instant::now();
        while let Some((index, query)) = self.read.queries.get(self.query) {
            let mut wanted = true;
            let pieces = &self.read.pieces;
            let more = device.observe(query, &mut self.cursor, &mut |piece| {
                wanted = pieces.send(Answered::Piece(piece)).is_ok();
                wanted
            });
            if !wanted {
                return None;
            }
            let more = more.unwrap_or_else(|failure| {
                let _ = pieces.send(Answered::Failed(failure.at(*index)));
                false
            });
            if !more {
                self.query += 1;
                self.cursor = Cursor::default();
            }
            if begun.elapsed() > SLICE {
                return Some(self);
            }
        }
        None
    }
}

/// Puts a loaded program in its place; gives back what it replaced.
pub(super) fn install(
    running: &mut Option<Device>,
    saved: &mut Option<Device>,
    mut device: Device,
    place: Place,
) -> Result<Vec<Device>, Failure> {
    match place {
        Place::Save => Ok(saved.replace(device).into_iter().collect()),
        Place::Replace => {
            let before = running.replace(device);
            Ok(before.into_iter().chain(saved.take()).collect())
        }
        Place::Reconcile => {
            if let Some(before) = running {
                device.inherit(before)?;
            }
            let before = running.replace(device);
            Ok(before.into_iter().chain(saved.take()).collect())
        }
    }
}

/// Puts the saved program in place of the running one.
pub(super) fn commit(
    running: &mut Option<Device>,
    saved: &mut Option<Device>,
) -> Result<Vec<Device>, Failure> {
    let device = saved
        .take()
        .ok_or_else(|| Failure::not_found("There is no saved pipeline to commit"))?;
    Ok(running.replace(device).into_iter().collect())
}

fn changed() -> Failure {
    Failure::aborted("The pipeline was replaced while the request was on its way")
}

#[cfg(test)]
mod tests;
