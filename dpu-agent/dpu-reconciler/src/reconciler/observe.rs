//! The device: connections that come and go, tables read back, drift.

use table_model::{Capability, Row, TableId, TableSnapshot};

use super::{DriftPass, Pending, Purpose, Reconciler};
use crate::Output;
use crate::transaction::{Origin, Request};

impl Reconciler {
    pub(super) fn connected(&mut self, capability: &Capability) {
        self.interrupt();
        self.connected = Some(self.now);
        self.limits = self
            .schema
            .tables
            .iter()
            .map(|table| (table.id, capability.entries(table)))
            .collect();
        self.observed = TableSnapshot::new();
        self.unread = self.schema.tables.iter().map(|table| table.id).collect();
        self.first_read = true;
        self.drift_pass = None;
        self.drift_due = self.now + self.settings.drift_every;
        self.read_failures = 0;
        self.paused_until = self.now;
        self.repair = self.committed.is_some().then_some(Origin::Restore);
    }

    pub(super) fn lost(&mut self) {
        self.interrupt();
        self.connected = None;
    }

    /// Forgets what was under way. A change goes back to the head of the queue, to be made again
    /// from the start once the state that it started from is restored.
    pub(super) fn interrupt(&mut self) {
        self.pending = None;
        self.uncertain.clear();
        self.diverged = false;
        let Some(active) = self.active.take() else {
            return;
        };
        self.repair = Some(Origin::Restore);
        match (active.undoing, active.request.origin) {
            (Some(reason), origin) => self.refuse(&origin, reason),
            (None, Origin::Restore | Origin::Drift) => {}
            // Its host has opened another stream since, and will give it again.
            (None, origin) if self.greeting.is_some() && origin.makes().is_some() => {}
            (None, origin) => self.queue.push_front(Request {
                origin,
                asked: active.request.asked,
            }),
        }
    }

    pub(super) fn read(&mut self, table: TableId, purpose: Purpose) -> Output {
        self.tally.reads += 1;
        self.pending = Some(Pending::Read {
            table,
            purpose,
            rows: TableSnapshot::new(),
        });
        Output::Read(table)
    }

    pub(super) fn rows(&mut self, piece: Vec<Row>) {
        if let Some(Pending::Read { table, rows, .. }) = &mut self.pending {
            for row in piece {
                if row.key.table == *table {
                    rows.put(row);
                }
            }
        }
    }

    pub(super) fn read_end(&mut self, read: bool) {
        let Some(Pending::Read {
            table,
            purpose,
            mut rows,
        }) = self.pending.take()
        else {
            return;
        };
        if !read {
            self.read_failures = self.read_failures.saturating_add(1);
            self.pause(self.read_failures);
            return;
        }
        self.read_failures = 0;
        let before = self.observed.replace_table(table, &mut rows);
        match purpose {
            Purpose::Drift => {
                let same = before.table_len(table) == self.observed.table_len(table)
                    && before
                        .iter()
                        .all(|(key, action)| self.observed.get(key) == Some(action));
                if let Some(pass) = &mut self.drift_pass {
                    pass.left.retain(|left| *left != table);
                    pass.found |= !same;
                }
            }
            Purpose::Need => {
                if !self.first_read {
                    let uncertain = &self.uncertain;
                    let strange = |here: &TableSnapshot, there: &TableSnapshot| {
                        here.table_iter(table).any(|(key, action)| {
                            there.get(key) != Some(action) && !uncertain.contains(key)
                        })
                    };
                    self.diverged |=
                        strange(&before, &self.observed) || strange(&self.observed, &before);
                }
                self.unread.remove(&table);
                if self.unread.is_empty() {
                    self.all_read();
                }
            }
        }
    }

    pub(super) fn all_read(&mut self) {
        self.first_read = false;
        self.uncertain.clear();
        if std::mem::take(&mut self.diverged) {
            // More is different than the answers told: the device did not stay the one that the
            // change under way began with.
            self.interrupt();
            self.repair = self.committed.is_some().then_some(Origin::Restore);
        }
    }

    pub(super) fn next_drift_table(&mut self) -> Option<TableId> {
        if self.committed.is_none() || self.now < self.drift_due {
            return None;
        }
        let pass = self.drift_pass.get_or_insert_with(|| DriftPass {
            left: self.schema.tables.iter().map(|table| table.id).collect(),
            found: false,
        });
        if let Some(table) = pass.left.last() {
            return Some(*table);
        }
        if pass.found || self.tally.fault.is_some() {
            self.repair = Some(Origin::Drift);
        }
        self.drift_pass = None;
        self.drift_due = self.now + self.settings.drift_every;
        self.tally.drift_checks += 1;
        None
    }
}
