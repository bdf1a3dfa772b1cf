//! The server's rules for sessions and generations, without I/O.

use table_model::{Generation, TableSnapshot};

use crate::chunk::Change;
use crate::types::{Ack, FromDpu, Hello, Nack, NackReason, Resync, ResyncReason};

/// What a DPU holds of which session.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    session: Option<String>,
    /// What the next snapshot is to belong to.
    greeted: String,
    generation: Generation,
    state: TableSnapshot,
}

impl Ledger {
    /// The state that is held.
    #[must_use]
    pub fn state(&self) -> &TableSnapshot {
        &self.state
    }

    /// Its generation.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Forgets whose the state is, as an agent does that is started again: the state stays, the
    /// session is lost.
    pub fn forget(&mut self) {
        self.session = None;
    }

    /// Answers `hello`.
    pub fn hello(&mut self, hello: Hello) -> FromDpu {
        self.greeted = hello.session;
        if self.session.as_ref() == Some(&self.greeted) {
            FromDpu::Welcome(self.generation)
        } else {
            FromDpu::Resync(Resync {
                reason: ResyncReason::NewSession,
                generation: self.generation,
                text: "The session is not known here".to_owned(),
            })
        }
    }

    /// The state that a change leads to, if it may be taken.
    ///
    /// # Errors
    /// The refusal to send.
    pub fn check(&self, change: Change) -> Result<(Generation, TableSnapshot), Nack> {
        let generation = match &change {
            Change::Snapshot(generation, _) => *generation,
            Change::Delta(delta) => delta.generation,
        };
        let refuse = |reason, text: String| Nack {
            generation,
            reason,
            text,
        };
        let held = self.generation;
        if generation <= held {
            return Err(refuse(
                NackReason::StaleGeneration,
                format!(
                    "Generation {} is held already, {} is not newer",
                    held.0, generation.0
                ),
            ));
        }
        match change {
            Change::Snapshot(_, state) => Ok((generation, state)),
            Change::Delta(delta) => {
                if self.session.as_ref() != Some(&self.greeted) || delta.base != held {
                    return Err(refuse(
                        NackReason::WrongBase,
                        format!("Generation {} is held, not base {}", held.0, delta.base.0),
                    ));
                }
                let mut state = self.state.clone();
                state
                    .apply(delta)
                    .map_err(|error| refuse(NackReason::Invalid, error.to_string()))?;
                Ok((generation, state))
            }
        }
    }

    /// Holds a state that [`Ledger::check`] gave, and answers.
    pub fn hold(&mut self, generation: Generation, state: TableSnapshot) -> FromDpu {
        let same = |(key, action)| self.state.get(key) == Some(action);
        let unchanged = state.iter().filter(|row| same(*row)).count();
        let gone = self
            .state
            .iter()
            .filter(|(key, _)| state.get(key).is_none());
        let written = state.len() - unchanged + gone.count();
        self.session = Some(self.greeted.clone());
        self.generation = generation;
        self.state = state;
        FromDpu::Ack(Ack {
            generation,
            written: u64::try_from(written).unwrap_or(u64::MAX),
            unchanged: u64::try_from(unchanged).unwrap_or(u64::MAX),
            millis: 0,
        })
    }
}
