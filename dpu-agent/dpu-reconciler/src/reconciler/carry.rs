//! Changes under way: writes, their outcomes, the end or the way back.

use std::sync::Arc;

use table_model::{Outcome, Row, TableDelta, TableId, Update, WriteReport};

use super::{Committed, Pending, Reconciler};
use crate::plan;
use crate::transaction::{Origin, Request, Transaction};
use crate::{Drift, Output, Refusal, Report, Session};

impl Reconciler {
    /// Writes the next chunk of the change under way, or ends it.
    pub(super) fn advance(&mut self) -> Option<Output> {
        let active = self.active.as_mut()?;
        let updates = active.chunk(&self.observed, self.settings.chunk);
        if updates.is_empty() {
            if let Some(done) = self.active.take() {
                self.finish(done);
            }
            return None;
        }
        self.tally.writes += 1;
        self.tally.updates += updates.len() as u64;
        let updates: Arc<[Update]> = updates.into();
        self.pending = Some(Pending::Write(Arc::clone(&updates)));
        Some(Output::Write(updates))
    }

    pub(super) fn written(&mut self, report: WriteReport) {
        let Some(Pending::Write(updates)) = self.pending.take() else {
            return;
        };
        let missing = Outcome::Lost("No answer".into());
        let outcomes = report
            .outcomes
            .into_iter()
            .chain(std::iter::repeat(missing));
        let mut lost = false;
        let mut refusal: Option<Refusal> = None;
        let mut doubt: Option<(TableId, String)> = None;
        let mut full: Option<TableId> = None;
        let (mut taken, mut put) = (0_u64, 0_u64);
        for (update, outcome) in updates.iter().zip(outcomes) {
            let table = update.key().table;
            let unsure = match outcome {
                Outcome::Ok => {
                    taken += 1;
                    match update {
                        Update::Insert(row) | Update::Modify(row) => {
                            put += 1;
                            self.observed.put(row.clone());
                        }
                        Update::Delete(key) => {
                            self.observed.take(key);
                        }
                    }
                    continue;
                }
                Outcome::Full => {
                    full.get_or_insert(table);
                    self.tally.failures += 1;
                    continue;
                }
                Outcome::Refused(text) => {
                    refusal.get_or_insert_with(|| self.device(table, &text));
                    self.tally.failures += 1;
                    continue;
                }
                Outcome::Lost(text) => {
                    lost = true;
                    text.to_string()
                }
                Outcome::Failed(text) => text.to_string(),
                Outcome::Exists => "it is there already".to_owned(),
                Outcome::Missing => "it is not there".to_owned(),
            };
            self.tally.failures += 1;
            self.uncertain.insert(update.key().clone());
            self.unread.insert(table);
            doubt.get_or_insert((table, unsure));
        }
        let Some(active) = &mut self.active else {
            return;
        };
        active.written += taken;
        active.put += put;
        if lost {
            self.lost();
            return;
        }
        if let Some(table) = full {
            // What the device says counts, whatever it promised before.
            let (need, free) = active.inserts(table, &self.observed);
            refusal = Some(plan::full(&self.schema, table, need, free, 0));
        }
        if refusal.is_none() && doubt.is_none() {
            active.settle();
            return;
        }
        // Refused rows do not become more welcome; failed ones may, for a while.
        active.fruitless = if taken > 0 { 1 } else { active.fruitless + 1 };
        let fruitless = active.fruitless;
        let given_up = (fruitless >= self.settings.attempts)
            .then_some(doubt)
            .flatten()
            .map(|(table, text)| self.device(table, &text));
        if let Some(reason) = refusal.or(given_up) {
            self.give_up(reason);
        } else if fruitless > 1 {
            self.pause(fruitless - 1);
        }
    }

    /// The change under way cannot be made.
    pub(super) fn give_up(&mut self, reason: Refusal) {
        let Some(mut active) = self.active.take() else {
            return;
        };
        match (&active.request.origin, active.undoing.take()) {
            (Origin::Restore | Origin::Drift, _) => {
                let full = matches!(reason, Refusal::Full { .. });
                if full && !active.makes_room {
                    self.start_repair(active.request.origin, true);
                } else {
                    self.repair_failed(reason);
                }
            }
            (origin, Some(first)) => {
                // The way back is barred as well: go back by subtraction, on the slow timer if need be.
                self.refuse(origin, first);
                self.repair_failed(reason);
            }
            (_, None) => {
                active.undo(reason);
                self.tally.rollbacks += 1;
                self.active = Some(active);
            }
        }
    }

    pub(super) fn repair_failed(&mut self, reason: Refusal) {
        self.tally.fault = Some(reason.clone());
        self.drift_due = self.drift_due.min(self.now + self.settings.drift_every);
        self.reports.push_back(Report::RepairFailed { reason });
    }

    pub(super) fn finish(&mut self, done: Transaction) {
        self.drift_turn = true;
        let Request { origin, asked } = done.request;
        if let Some(reason) = done.undoing {
            self.refuse(&origin, reason);
            return;
        }
        let took = self.now.saturating_sub(asked);
        match origin {
            Origin::Snapshot {
                session,
                generation,
                mut rows,
            } => {
                self.shift_snapshot(&mut rows);
                self.tally.fault = None;
                self.repair = None;
                let unchanged = (rows.len() as u64).saturating_sub(done.put);
                self.committed = Some(Committed {
                    owner: Some((session.clone(), generation)),
                    rows,
                });
                self.reports.push_back(Report::Enforced {
                    session,
                    generation,
                    written: done.written,
                    unchanged,
                    took,
                });
            }
            Origin::Delta { session, delta } => {
                let generation = delta.generation;
                let unchanged = (delta.len() as u64).saturating_sub(done.written);
                self.commit_delta(&session, delta);
                self.reports.push_back(Report::Enforced {
                    session,
                    generation,
                    written: done.written,
                    unchanged,
                    took,
                });
            }
            Origin::Flush => self.commit_flush(),
            Origin::Restore => {
                self.tally.fault = None;
                self.tally.restored += done.written;
                if done.written > 0 {
                    self.reports.push_back(Report::Restored {
                        written: done.written,
                        took,
                    });
                }
            }
            Origin::Drift => {
                self.tally.fault = None;
                self.tally.drift.add(done.drift);
                if done.drift != Drift::default() {
                    self.reports.push_back(Report::DriftRepaired(done.drift));
                }
            }
        }
    }

    pub(super) fn commit_delta(&mut self, session: &Session, delta: TableDelta) {
        let generation = delta.generation;
        let mut steps = plan::steps(delta.phases);
        self.shift_steps(&mut steps);
        if let Some(held) = &mut self.committed {
            for step in steps.into_iter().flatten() {
                match step.want {
                    Some(action) => drop(held.rows.put(Row {
                        key: step.key,
                        action,
                    })),
                    None => drop(held.rows.take(&step.key)),
                }
            }
            held.owner = Some((session.clone(), generation));
        }
    }

    pub(super) fn refuse(&mut self, origin: &Origin, reason: Refusal) {
        match origin {
            Origin::Flush => self.reports.push_back(Report::FlushRefused {
                reason: reason.to_string(),
            }),
            origin => {
                if let Some((session, generation)) = origin.makes() {
                    self.reports.push_back(Report::Refused {
                        session: session.clone(),
                        generation,
                        reason,
                    });
                }
            }
        }
    }

    pub(super) fn device(&self, table: TableId, text: &str) -> Refusal {
        Refusal::Device {
            table,
            name: plan::name(&self.schema, table),
            text: text.to_owned(),
        }
    }

    /// Waits before the next thing, the longer the more failures there were in a row.
    pub(super) fn pause(&mut self, failures: u32) {
        let pause = self
            .settings
            .pause
            .saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
        self.paused_until = self.now + pause.min(self.settings.pause_max);
    }
}
