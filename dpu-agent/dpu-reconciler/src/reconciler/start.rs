//! Changes begin: what has to be written, and whether there is room for it.

use std::time::Duration;

use table_model::{Generation, TableDelta, TableSnapshot};

use super::{Committed, Reconciler};
use crate::epoch;
use crate::plan::{self, Steps};
use crate::transaction::{Origin, Request, Transaction};
use crate::{Desync, Report, Session};

impl Reconciler {
    pub(super) fn start(&mut self, request: Request) {
        let Request { origin, asked } = request;
        match origin {
            Origin::Snapshot {
                session,
                generation,
                rows,
            } => self.start_snapshot(session, generation, rows, asked),
            Origin::Delta { session, delta } => self.start_delta(session, delta, asked),
            Origin::Flush => self.start_flush(asked),
            Origin::Restore | Origin::Drift => self.repair = Some(origin),
        }
    }

    pub(super) fn start_snapshot(
        &mut self,
        session: Session,
        generation: Generation,
        mut rows: TableSnapshot,
        asked: Duration,
    ) {
        // What a predecessor left is what is enforced, until this snapshot is in force as a whole.
        let adopted = self.committed.is_none();
        if adopted {
            self.committed = Some(Committed {
                owner: None,
                rows: self.observed.clone(),
            });
        }
        let host = self.shift_snapshot(&mut rows);
        let planned = plan::subtract(&self.schema, &rows, &self.observed);
        // A snapshot that has to be begun again begins from what the host gave.
        host.map(|row| rows.put(row));
        let origin = Origin::Snapshot {
            session,
            generation,
            rows,
        };
        match planned {
            Ok((steps, _)) => self.begin(Request { origin, asked }, steps),
            Err(error) => self.refuse(&origin, error.into()),
        }
    }

    pub(super) fn start_delta(&mut self, session: Session, delta: TableDelta, asked: Duration) {
        let held = self.committed.as_ref();
        let misfit = match held.map(|held| (&held.rows, &held.owner)) {
            Some((rows, Some((owner, have)))) if *owner == session && *have == delta.base => {
                plan::fits(&self.schema, rows, &delta).err()
            }
            _ => Some(format!("Generation {} is not in force", delta.base.0)),
        };
        if let Some(text) = misfit {
            // The deltas behind it build on it.
            self.queue.retain(|request| {
                !matches!(&request.origin, Origin::Delta { session: s, .. } if *s == session)
            });
            let generation = self.latest().map_or(delta.base, |(_, held)| held);
            self.reports.push_back(Report::Resync {
                session,
                reason: Desync::Misfit(text),
                generation,
            });
            return;
        }
        let mut steps = plan::steps(delta.phases.clone());
        self.shift_steps(&mut steps);
        self.begin(
            Request {
                origin: Origin::Delta { session, delta },
                asked,
            },
            steps,
        );
    }

    pub(super) fn start_flush(&mut self, asked: Duration) {
        let flushed = self.settings.epoch.and_then(|field| {
            let mut call = self.enforced()?.get(&field.key())?.clone();
            let epoch = field.read(&call)?;
            field.write(&mut call, epoch::next(epoch));
            Some(plan::Step {
                key: field.key(),
                want: Some(call),
            })
        });
        let Some(step) = flushed else {
            let reason = "No connection epoch is in force yet".to_owned();
            self.reports.push_back(Report::FlushRefused { reason });
            return;
        };
        let origin = Origin::Flush;
        self.begin(Request { origin, asked }, vec![vec![step]]);
    }

    pub(super) fn begin(&mut self, request: Request, steps: Steps) {
        match plan::check_room(&self.schema, &self.limits, &self.observed, &steps) {
            Ok(()) => self.active = Some(Transaction::new(request, steps)),
            Err(reason) => self.refuse(&request.origin, reason),
        }
    }

    pub(super) fn start_repair(&mut self, origin: Origin, makes_room: bool) {
        let Some(held) = &self.committed else {
            return;
        };
        match plan::subtract(&self.schema, &held.rows, &self.observed) {
            Ok((steps, drift)) => {
                let steps = if makes_room {
                    plan::make_room_first(steps)
                } else {
                    steps
                };
                let asked = self.connected.unwrap_or(self.now);
                let mut active = Transaction::new(Request { origin, asked }, steps);
                active.drift = drift;
                active.makes_room = makes_room;
                self.active = Some(active);
            }
            Err(error) => self.repair_failed(error.into()),
        }
    }
}
