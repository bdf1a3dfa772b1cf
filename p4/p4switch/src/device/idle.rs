//! Idle timeouts (P4Runtime 9.1.7): when which entry is to be looked at next.
//!
//! An entry is looked at when it would have timed out if it had not been hit since the last look,
//! so the work goes with the number of entries that time out and not with packets or table sizes.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use p4_engine::{EntryHandle, TableIndex};

use super::Device;
use crate::operation::Idle;

/// Entries of one sweep; what is left comes in the next.
const SWEEP: usize = 1024;

type Row = (TableIndex, EntryHandle);

#[derive(Clone, Copy, Debug)]
struct Timer {
    timeout_us: u64,
    due_us: u64,
}

/// The timers of a device. Times are those of the engine, in microseconds.
#[derive(Debug, Default)]
pub(super) struct IdleTimers {
    timers: HashMap<Row, Timer>,
    /// May hold what is no longer so; [`IdleTimers::timers`] decides.
    queue: BinaryHeap<Reverse<(u64, TableIndex, EntryHandle)>>,
    now_us: u64,
}

impl IdleTimers {
    /// Begins to watch an entry, or ceases to with a timeout of 0.
    pub(super) fn watch(&mut self, table: TableIndex, handle: EntryHandle, timeout_ns: i64) {
        let timeout_ns = u64::try_from(timeout_ns).unwrap_or(0);
        if timeout_ns == 0 {
            if !self.timers.is_empty() {
                self.timers.remove(&(table, handle));
            }
            return;
        }
        let timeout_us = timeout_ns.div_ceil(1000);
        self.set(
            (table, handle),
            timeout_us,
            self.now_us.saturating_add(timeout_us),
        );
        // Entries that are written again and again leave their old places in the queue behind.
        if self.queue.len() > 2 * self.timers.len() + SWEEP {
            let timers = self.timers.iter();
            self.queue = timers
                .map(|((table, handle), timer)| Reverse((timer.due_us, *table, *handle)))
                .collect();
        }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Takes over the time of another device.
    pub(super) fn begin_at(&mut self, other: &Self) {
        self.now_us = other.now_us;
    }

    fn set(&mut self, row: Row, timeout_us: u64, due_us: u64) {
        self.timers.insert(row, Timer { timeout_us, due_us });
        self.queue.push(Reverse((due_us, row.0, row.1)));
    }

    /// The next entry whose time has come.
    fn pop(&mut self) -> Option<(Row, u64)> {
        while let Some(Reverse((due_us, table, handle))) = self.queue.peek().copied() {
            if due_us > self.now_us {
                return None;
            }
            self.queue.pop();
            let timer = self.timers.get(&(table, handle));
            if let Some(timer) = timer.filter(|timer| timer.due_us == due_us) {
                return Some(((table, handle), timer.timeout_us));
            }
        }
        None
    }
}

impl Device {
    /// Tells the device the time; operations that follow happen at it.
    pub(crate) fn set_now(&mut self, now_us: u64) {
        self.idle.now_us = now_us;
    }

    /// When [`Device::take_idle`] has something to look at, if ever.
    pub(crate) fn next_idle_us(&self) -> Option<u64> {
        self.idle.queue.peek().map(|Reverse((due_us, ..))| *due_us)
    }

    /// The entries whose time without a hit has run out since they were looked at last.
    pub(crate) fn take_idle(&mut self) -> Vec<Idle> {
        let mut found = Vec::new();
        for _ in 0..SWEEP {
            let Some((row, timeout_us)) = self.idle.pop() else {
                break;
            };
            let (table, handle) = row;
            let Some(entry) = self.engine.entry(table, handle) else {
                self.idle.timers.remove(&row);
                continue;
            };
            let now = self.idle.now_us;
            let since = self.idle_us(table, handle);
            if since < timeout_us {
                self.idle.set(row, timeout_us, now + (timeout_us - since));
                continue;
            }
            // Told once each time it has passed.
            self.idle
                .set(row, timeout_us, now.saturating_add(timeout_us));
            found.push(Idle {
                table,
                entry,
                extra: self.extras.get(&row).cloned().unwrap_or_default(),
            });
        }
        found
    }

    /// Microseconds since the last hit, or since the entry was written.
    pub(super) fn idle_us(&self, table: TableIndex, handle: EntryHandle) -> u64 {
        let hit = self.engine.entry_last_hit(table, handle).unwrap_or(0);
        self.idle.now_us.saturating_sub(hit)
    }
}
