//! One change under way: steps done, steps to do, and the way back.

use std::collections::HashSet;
use std::time::Duration;

use table_model::{Generation, TableDelta, TableId, TableSnapshot, Update};

use crate::plan::{Step, Steps};
use crate::{Drift, Refusal, Session};

/// Who wants a change, and what.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A host's complete desired state, as it came.
    Snapshot {
        session: Session,
        generation: Generation,
        rows: TableSnapshot,
    },
    /// A host's change, as it came.
    Delta { session: Session, delta: TableDelta },
    /// Someone wants all connections forgotten.
    Flush,
    /// The device lost rows, or an answer was uncertain in an unforeseen way.
    Restore,
    /// The slow timer found rows other than they should be.
    Drift,
}

impl Origin {
    /// The generation that this makes, if it is a host's.
    pub(crate) fn makes(&self) -> Option<(&Session, Generation)> {
        match self {
            Self::Snapshot {
                session,
                generation,
                ..
            } => Some((session, *generation)),
            Self::Delta { session, delta } => Some((session, delta.generation)),
            Self::Flush | Self::Restore | Self::Drift => None,
        }
    }
}

/// A change that waits.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) origin: Origin,
    /// When it was asked for.
    pub(crate) asked: Duration,
}

/// A change under way.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) request: Request,
    pub(crate) drift: Drift,
    /// Updates that the device took.
    pub(crate) written: u64,
    /// Those of them that put a row.
    pub(crate) put: u64,
    /// Why this is being undone, if it is.
    pub(crate) undoing: Option<Refusal>,
    /// Writes in a row of which the device took nothing.
    pub(crate) fruitless: u32,
    /// Rows nobody asked for go before others come.
    pub(crate) makes_room: bool,
    steps: Steps,
    phase: usize,
    /// Steps of the phase that are in force.
    done: usize,
    /// Steps of the phase that are in force or in the write under way.
    sent: usize,
    /// What the rows were before, phase by phase.
    undo: Steps,
}

impl Transaction {
    pub(crate) fn new(request: Request, steps: Steps) -> Self {
        Self {
            request,
            drift: Drift::default(),
            written: 0,
            put: 0,
            undoing: None,
            fruitless: 0,
            makes_room: false,
            steps,
            phase: 0,
            done: 0,
            sent: 0,
            undo: Vec::new(),
        }
    }

    /// The next updates, all of one phase, at most `max`; none when all steps are in force.
    pub(crate) fn chunk(&mut self, observed: &TableSnapshot, max: usize) -> Vec<Update> {
        while let Some(steps) = self.steps.get(self.phase) {
            let mut updates = Vec::new();
            let mut sent = self.done;
            for step in &steps[self.done..] {
                if updates.len() == max {
                    break;
                }
                sent += 1;
                let there = observed.get(&step.key);
                if let Some(update) = step.update(there) {
                    updates.push(update);
                    if self.undoing.is_none() {
                        self.undo.resize_with(self.phase + 1, Vec::new);
                        self.undo[self.phase].push(Step {
                            key: step.key.clone(),
                            want: there.cloned(),
                        });
                    }
                }
            }
            if !updates.is_empty() {
                self.sent = sent;
                return updates;
            }
            self.phase += 1;
            self.done = 0;
        }
        Vec::new()
    }

    /// The chunk under way is in force as a whole.
    pub(crate) fn settle(&mut self) {
        self.done = self.sent;
        self.fruitless = 0;
    }

    /// Turns round: what was changed is put back, last phase first.
    pub(crate) fn undo(&mut self, reason: Refusal) {
        let mut undo = std::mem::take(&mut self.undo);
        undo.reverse();
        for phase in &mut undo {
            // A step that was sent again noted its row again; what was there first counts.
            let mut seen = HashSet::new();
            phase.retain(|step| seen.insert(step.key.clone()));
        }
        self.steps = undo;
        self.phase = 0;
        self.done = 0;
        self.fruitless = 0;
        self.undoing = Some(reason);
    }

    /// Rows that this change adds to a table, and how many of them are there already.
    pub(crate) fn inserts(&self, table: TableId, observed: &TableSnapshot) -> (u64, u64) {
        let mut there = HashSet::new();
        for step in self.undo.iter().flatten() {
            let inserted = step.want.is_none() && step.key.table == table;
            if inserted && observed.get(&step.key).is_some() {
                there.insert(&step.key);
            }
        }
        let to_come = self.steps[self.phase.min(self.steps.len())..]
            .iter()
            .flatten()
            .filter(|step| step.key.table == table && step.want.is_some())
            .filter(|step| observed.get(&step.key).is_none());
        let there = there.len() as u64;
        (there + to_come.count() as u64, there)
    }
}
