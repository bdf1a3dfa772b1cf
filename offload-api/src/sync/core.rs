//! The state machine. Time, sockets and tasks are the driver's.
//!
//! The core holds the state that the host wants and knows which generation the DPU last said it
//! enforces. What lies between is kept as the phases that were committed while those are few, and
//! always as a subtraction ([`Undo`]), which never outgrows the tables. So nothing queues: a DPU
//! that is slow, away or refusing gets, when it is ready, one change from what it has to what is
//! wanted by then.

use std::sync::Arc;

use table_model::{
    Generation, Phase, Schema, SchemaError, TableDelta, TableSnapshot, diff, sequence,
};

use super::undo::Undo;
use crate::chunk::{delta_chunks, snapshot_chunks};
use crate::types::{Ack, DpuStatus, FromDpu, Hello, Nack, NackReason, Resync, ToDpu};

/// How much may wait before it is replaced by a subtraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Commits.
    pub deltas: usize,
    /// Updates in them.
    pub updates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deltas: 16,
            updates: 100_000,
        }
    }
}

/// The connection as the core sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Link {
    /// No stream.
    #[default]
    Down,
    /// `hello` was sent, no answer yet.
    Greeting,
    /// Changes may be sent.
    Up,
}

/// What the driver is to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The DPU answered `hello`.
    Linked,
    /// A change is in force.
    Acknowledged(Ack),
    /// A change was refused; the core waits for a commit or for [`SyncCore::retry`].
    Refused(Nack),
    /// News of the reconciler.
    Status(DpuStatus),
    /// The DPU wants a whole state.
    Resync(Resync),
    /// The two sides disagree: drop the stream and open another.
    Reconnect(String),
}

/// What was sent and not answered.
#[derive(Clone, Debug)]
enum InFlight {
    Snapshot(Generation),
    /// With what the rows were at the base.
    Delta(Generation, Undo),
}

impl InFlight {
    fn generation(&self) -> Generation {
        match self {
            Self::Snapshot(generation) | Self::Delta(generation, _) => *generation,
        }
    }
}

/// The client's side of the sync stream.
#[derive(Clone, Debug)]
pub struct SyncCore {
    schema: Arc<Schema>,
    session: String,
    limits: Limits,
    link: Link,
    /// What is wanted, and its generation.
    desired: TableSnapshot,
    generation: Generation,
    /// Something was committed: before, nothing is sent.
    opened: bool,
    /// What the DPU is known to enforce of this session; none: it needs a whole state.
    base: Option<Generation>,
    in_flight: Option<InFlight>,
    /// Changes since what is in flight, or since the base if nothing is.
    waiting: Undo,
    /// The same as committed; none when there were too many.
    phases: Option<Vec<Phase>>,
    commits: usize,
    /// The DPU refused: wait before the same is tried again.
    held: bool,
    acknowledged: Generation,
}

impl SyncCore {
    /// A core with nothing wanted yet. Equal sessions promise that generations continue.
    #[must_use]
    pub fn new(schema: Arc<Schema>, session: String, limits: Limits) -> Self {
        Self {
            schema,
            session,
            limits,
            link: Link::Down,
            desired: TableSnapshot::new(),
            generation: Generation(0),
            opened: false,
            base: None,
            in_flight: None,
            waiting: Undo::default(),
            phases: None,
            commits: 0,
            held: false,
            acknowledged: Generation(0),
        }
    }

    /// The generation that is wanted.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The generation that was acknowledged last.
    #[must_use]
    pub fn acknowledged(&self) -> Generation {
        self.acknowledged
    }

    /// What is wanted.
    #[must_use]
    pub fn desired(&self) -> &TableSnapshot {
        &self.desired
    }

    /// The connection.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link
    }

    /// Whether a change was sent and not answered.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Rows that differ from what was sent last.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a change to what is wanted, and gives the generation that has it. Without updates
    /// that is the one before; the first commit opens the core even so.
    ///
    /// # Errors
    /// A row of a table that the schema does not have; nothing changed then.
    pub fn commit(&mut self, phases: Vec<Phase>) -> Result<Generation, SchemaError> {
        for update in phases.iter().flat_map(|phase| &phase.updates) {
            self.schema.table(update.key().table)?;
        }
        let count: usize = phases.iter().map(|phase| phase.updates.len()).sum();
        if self.opened && count == 0 {
            return Ok(self.generation);
        }
        self.opened = true;
        self.held = false;
        self.generation = self.generation.next();
        for update in phases.iter().flat_map(|phase| &phase.updates) {
            self.waiting.apply(&mut self.desired, update);
        }
        if let Some(waiting) = &mut self.phases {
            waiting.extend(phases);
            self.commits += 1;
            let updates: usize = waiting.iter().map(|phase| phase.updates.len()).sum();
            if self.commits > self.limits.deltas || updates > self.limits.updates {
                self.phases = None;
            }
        }
        Ok(self.generation)
    }

    /// Wants a whole state, whatever was wanted before, and gives its generation.
    ///
    /// # Errors
    /// As [`SyncCore::commit`].
    pub fn replace(&mut self, state: &TableSnapshot) -> Result<Generation, SchemaError> {
        let phases = diff(&self.schema, state, &self.desired)?;
        self.commit(phases)
    }

    /// A stream was opened: the message that goes first.
    pub fn connected(&mut self) -> ToDpu {
        self.link = Link::Greeting;
        ToDpu::Hello(Hello {
            session: self.session.clone(),
            schema_fingerprint: self.schema.fingerprint,
            generation: self.generation,
        })
    }

    /// The stream is gone. What was in flight may or may not have arrived; the next welcome tells.
    pub fn disconnected(&mut self) {
        self.link = Link::Down;
    }

    /// Time has passed since a refusal: the same may be tried again.
    pub fn retry(&mut self) {
        self.held = false;
    }

    /// The messages of the next change, if one is to be sent now.
    pub fn poll(&mut self) -> Option<Vec<ToDpu>> {
        let idle = self.link == Link::Up && self.in_flight.is_none();
        if !idle || !self.opened || self.held {
            return None;
        }
        let Some(base) = self.base else {
            let rows = self.desired.iter().map(|(key, action)| table_model::Row {
                key: key.clone(),
                action: action.clone(),
            });
            let chunks = snapshot_chunks(self.generation, rows)
                .map(ToDpu::Snapshot)
                .collect();
            self.in_flight = Some(InFlight::Snapshot(self.generation));
            self.start_waiting();
            return Some(chunks);
        };
        if base == self.generation {
            return None;
        }
        let phases = match self.phases.take() {
            Some(phases) => phases,
            // Tables were checked by `commit`.
            None => sequence(&self.schema, self.waiting.updates(&self.desired)).unwrap_or_default(),
        };
        let undo = std::mem::take(&mut self.waiting);
        self.in_flight = Some(InFlight::Delta(self.generation, undo));
        self.start_waiting();
        let delta = TableDelta {
            base,
            generation: self.generation,
            phases,
        };
        Some(delta_chunks(delta).into_iter().map(ToDpu::Delta).collect())
    }

    /// Takes a message of the DPU.
    pub fn receive(&mut self, message: FromDpu) -> Vec<Event> {
        match message {
            FromDpu::Welcome(generation) => self.welcome(generation),
            FromDpu::Ack(ack) => self.ack(ack),
            FromDpu::Nack(nack) => self.nack(nack),
            FromDpu::Resync(resync) => {
                self.link = Link::Up;
                self.need_whole();
                if resync.generation >= self.generation {
                    self.generation = resync.generation.next();
                }
                vec![Event::Resync(resync), Event::Linked]
            }
            FromDpu::Status(status) => vec![Event::Status(status)],
        }
    }

    fn welcome(&mut self, held: Generation) -> Vec<Event> {
        if self.link != Link::Greeting {
            return vec![Event::Reconnect("A second welcome arrived".to_owned())];
        }
        self.link = Link::Up;
        let arrived = self
            .in_flight
            .as_ref()
            .is_some_and(|sent| sent.generation() == held);
        let mut events = vec![Event::Linked];
        if arrived {
            events.extend(self.ack(Ack {
                generation: held,
                ..Ack::default()
            }));
        } else if self.base == Some(held) {
            self.take_back();
        } else {
            self.need_whole();
            if held >= self.generation {
                self.generation = held.next();
            }
        }
        events
    }

    fn ack(&mut self, ack: Ack) -> Vec<Event> {
        match &self.in_flight {
            Some(sent) if sent.generation() == ack.generation => {}
            // Of a change that a resync has overtaken.
            _ => return Vec::new(),
        }
        self.in_flight = None;
        self.base = Some(ack.generation);
        self.acknowledged = self.acknowledged.max(ack.generation);
        vec![Event::Acknowledged(ack)]
    }

    fn nack(&mut self, nack: Nack) -> Vec<Event> {
        match &self.in_flight {
            Some(sent) if sent.generation() == nack.generation => {}
            _ => return Vec::new(),
        }
        match nack.reason {
            // The two sides disagree about what the DPU holds: ask it.
            NackReason::StaleGeneration | NackReason::WrongBase => {
                self.need_whole();
                vec![Event::Reconnect(nack.text)]
            }
            // A whole state can be in order where a change was not.
            NackReason::Invalid => {
                self.need_whole();
                self.held = true;
                vec![Event::Refused(nack)]
            }
            NackReason::TableFull { .. } | NackReason::Target | NackReason::Schema => {
                self.take_back();
                self.held = true;
                vec![Event::Refused(nack)]
            }
        }
    }

    /// What was in flight did not get through: it waits again, as a subtraction.
    fn take_back(&mut self) {
        if let Some(InFlight::Delta(_, sent)) = self.in_flight.take() {
            self.waiting.precede(sent, &self.desired);
            self.phases = None;
        }
    }

    fn need_whole(&mut self) {
        self.in_flight = None;
        self.base = None;
        self.held = false;
        self.waiting = Undo::default();
        self.phases = None;
    }

    fn start_waiting(&mut self) {
        self.waiting = Undo::default();
        self.phases = Some(Vec::new());
        self.commits = 0;
    }
}

#[cfg(test)]
mod tests;
