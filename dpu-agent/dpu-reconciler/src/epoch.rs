//! The one parameter that the device side owns: the connection epoch.
//!
//! The pipeline honours a remembered connection only if it carries the current epoch, so raising the
//! epoch forgets all of them. The host sends a row with an epoch of its own; forgetting on request
//! must survive the next snapshot of that host, and an agent that starts over must not bring an old
//! epoch back, or forgotten connections would live again. So a shift stands between the two: what is
//! in force is the host's epoch plus the shift, and a fresh agent takes its first shift from the row
//! that it reads back.

use table_model::{ActionCall, ActionId, RowKey, TableId};

/// Where the epoch stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochField {
    /// Table without match fields.
    pub table: TableId,
    /// Its action.
    pub action: ActionId,
    /// Where the 16-bit parameter starts in the packed parameters, in bytes.
    pub offset: usize,
}

impl EpochField {
    /// The key of the row.
    pub(crate) fn key(&self) -> RowKey {
        RowKey {
            table: self.table,
            bytes: smallvec::SmallVec::new(),
        }
    }

    pub(crate) fn read(&self, call: &ActionCall) -> Option<u16> {
        if call.action != self.action {
            return None;
        }
        let bytes = call.params.get(self.offset..self.offset + 2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    pub(crate) fn write(&self, call: &mut ActionCall, epoch: u16) {
        if call.action != self.action {
            return;
        }
        if let Some(bytes) = call.params.get_mut(self.offset..self.offset + 2) {
            bytes.copy_from_slice(&epoch.to_be_bytes());
        }
    }
}

/// The epoch that follows. Zero is left out: it is what an empty register holds.
pub(crate) const fn next(epoch: u16) -> u16 {
    match epoch.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}
