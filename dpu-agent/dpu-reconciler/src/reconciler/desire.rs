//! What hosts want, and whether it continues what is held.

use table_model::{Generation, TableDelta, TableSnapshot};

use super::Reconciler;
use crate::transaction::{Origin, Request, Transaction};
use crate::{Desync, Refusal, Report, Session};

impl Reconciler {
    /// The newest generation taken in, in force or not.
    pub(super) fn latest(&self) -> Option<(&Session, Generation)> {
        let waiting = self.queue.iter().rev().find_map(|r| r.origin.makes());
        let active = || {
            let active = self.active.as_ref()?;
            active
                .undoing
                .is_none()
                .then(|| active.request.origin.makes())?
        };
        let held = || {
            let (session, generation) = self.committed.as_ref()?.owner.as_ref()?;
            Some((session, *generation))
        };
        waiting.or_else(active).or_else(held)
    }

    pub(super) fn hello(&mut self, session: Session) {
        self.queue
            .retain(|request| request.origin.makes().is_none());
        self.greeting = Some(session);
    }

    /// Answers who has opened a stream, once what an older stream began is settled.
    pub(super) fn greet(&mut self) -> bool {
        let busy = |active: &Transaction| active.request.origin.makes().is_some();
        if self.active.as_ref().is_some_and(busy) {
            return false;
        }
        let Some(session) = self.greeting.take() else {
            return false;
        };
        let report = match self.latest() {
            Some((held, generation)) if *held == session => Report::Welcome {
                session,
                generation,
            },
            _ => self.desync(session, Generation::default()),
        };
        self.reports.push_back(report);
        true
    }

    pub(super) fn desync(&self, session: Session, base: Generation) -> Report {
        let (reason, generation) = match self.latest() {
            None => (Desync::NoState, Generation::default()),
            Some((held, generation)) if *held != session => {
                let held = held.clone();
                (Desync::OtherSession { held }, generation)
            }
            Some((_, held)) => (Desync::Base { base, held }, held),
        };
        Report::Resync {
            session,
            reason,
            generation,
        }
    }

    pub(super) fn snapshot(
        &mut self,
        session: Session,
        generation: Generation,
        rows: TableSnapshot,
    ) {
        if let Some((_, have)) = self.latest()
            && generation <= have
        {
            let reason = Refusal::Stale {
                given: generation,
                have,
            };
            self.reports.push_back(Report::Refused {
                session,
                generation,
                reason,
            });
            return;
        }
        // A complete state needs nothing of what was to come before it.
        for request in std::mem::take(&mut self.queue) {
            match request.origin {
                Origin::Flush => self.queue.push_back(request),
                origin => self.refuse(&origin, Refusal::Superseded),
            }
        }
        self.queue.push_back(Request {
            origin: Origin::Snapshot {
                session,
                generation,
                rows,
            },
            asked: self.now,
        });
    }

    pub(super) fn delta(&mut self, session: Session, delta: TableDelta) {
        match self.latest() {
            Some((held, have)) if *held == session && delta.generation <= have => {
                let reason = Refusal::Stale {
                    given: delta.generation,
                    have,
                };
                self.refuse(&Origin::Delta { session, delta }, reason);
            }
            Some((held, have)) if *held == session && delta.base == have => {
                self.queue.push_back(Request {
                    origin: Origin::Delta { session, delta },
                    asked: self.now,
                });
            }
            _ => {
                let report = self.desync(session, delta.base);
                self.reports.push_back(report);
            }
        }
    }
}
