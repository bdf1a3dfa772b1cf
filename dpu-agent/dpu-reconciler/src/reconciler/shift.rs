//! The epoch in force: the host's plus a shift (see [`crate::epoch`]).

use table_model::{Row, TableSnapshot};

use super::Reconciler;
use crate::Report;
use crate::epoch;
use crate::plan::Steps;

impl Reconciler {
    pub(super) fn epoch(&self) -> Option<u16> {
        let field = self.settings.epoch?;
        field.read(self.enforced()?.get(&field.key())?)
    }

    /// Puts the shift on a snapshot's settings row, and gives back the host's own. The first time,
    /// the shift is what takes the host's epoch to the one found on the device.
    pub(super) fn shift_snapshot(&mut self, rows: &mut TableSnapshot) -> Option<Row> {
        let field = self.settings.epoch?;
        let key = field.key();
        let host = rows.get(&key)?.clone();
        let wanted = field.read(&host)?;
        let found = self.observed.get(&key).and_then(|call| field.read(call));
        let shift = *self
            .shift
            .get_or_insert(found.map_or(0, |found| found.wrapping_sub(wanted)));
        let mut action = host.clone();
        field.write(&mut action, wanted.wrapping_add(shift));
        rows.put(Row {
            key: key.clone(),
            action,
        });
        Some(Row { key, action: host })
    }

    pub(super) fn shift_steps(&self, steps: &mut Steps) {
        let (Some(field), Some(shift)) = (self.settings.epoch, self.shift) else {
            return;
        };
        let calls = steps
            .iter_mut()
            .flatten()
            .filter(|step| step.key.table == field.table)
            .filter_map(|step| step.want.as_mut());
        for call in calls {
            if let Some(epoch) = field.read(call) {
                field.write(call, epoch.wrapping_add(shift));
            }
        }
    }

    pub(super) fn commit_flush(&mut self) {
        let Some(field) = self.settings.epoch else {
            return;
        };
        let Some(held) = &mut self.committed else {
            return;
        };
        let Some(mut action) = held.rows.take(&field.key()) else {
            return;
        };
        let before = field.read(&action).unwrap_or_default();
        let epoch = epoch::next(before);
        field.write(&mut action, epoch);
        let key = field.key();
        held.rows.put(Row { key, action });
        let shift = self.shift.unwrap_or_default();
        self.shift = Some(shift.wrapping_add(epoch.wrapping_sub(before)));
        self.reports.push_back(Report::Flushed { epoch });
    }
}
