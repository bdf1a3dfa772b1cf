//! What entries had counted when they were deleted.
//!
//! A device forgets an entry's counter with the entry. The driver reads the counters of counted
//! entries right before it deletes them and keeps them here until the host has collected them. In a
//! host's change nothing leads to such entries any more when they are deleted, so no packet is missed.

use std::collections::{HashMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use offload_api::types::{Departed, EntryCounter};
use table_model::{Outcome, RowKey, Update, WriteReport};

/// Entries that wait for a host; the oldest go first if nobody collects them.
const MOST: usize = 200_000;

/// Counters of deleted entries, numbered from 1.
#[derive(Debug)]
pub(crate) struct Ledger {
    name: String,
    waiting: VecDeque<EntryCounter>,
    /// Number of the first one that waits.
    first: u64,
    lost: u64,
}

impl Default for Ledger {
    /// An empty one with a name that no run of the agent had before.
    fn default() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            name: format!("{:x}-{:x}", now.as_nanos(), std::process::id()),
            waiting: VecDeque::new(),
            first: 1,
            lost: 0,
        }
    }
}

impl Ledger {
    /// Keeps what was read of entries that the device has deleted since; entries whose end is not
    /// certain are still there or are missed by whoever counts.
    pub(crate) fn settle(
        &mut self,
        read: Vec<EntryCounter>,
        updates: &[Update],
        report: &WriteReport,
    ) {
        if read.is_empty() {
            return;
        }
        let mut read: HashMap<RowKey, EntryCounter> = read
            .into_iter()
            .map(|counter| (counter.row.key.clone(), counter))
            .collect();
        for (update, outcome) in updates.iter().zip(&report.outcomes) {
            if let (Update::Delete(key), Outcome::Ok) = (update, outcome)
                && let Some(counter) = read.remove(key)
                && counter.packets > 0
            {
                self.waiting.push_back(counter);
            }
        }
        while self.waiting.len() > MOST {
            self.waiting.pop_front();
            self.first += 1;
            self.lost += 1;
        }
    }

    /// Entries that went without their counters having been read.
    pub(crate) fn lose(&mut self, entries: usize) {
        self.lost = self.lost.saturating_add(entries as u64);
    }

    /// Forgets what was taken and gives what waits, `limit` at most.
    pub(crate) fn collect(&mut self, ledger: &str, taken: u64, limit: usize) -> Departed {
        if ledger == self.name {
            while self.first <= taken && self.waiting.pop_front().is_some() {
                self.first += 1;
            }
        }
        let counters: Vec<EntryCounter> = self.waiting.iter().take(limit).cloned().collect();
        Departed {
            ledger: self.name.clone(),
            last: self.first - 1 + counters.len() as u64,
            counters,
            lost: self.lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use table_model::{ActionCall, ActionId, Row, TableId};

    fn key(number: u8) -> RowKey {
        RowKey {
            table: TableId(1),
            bytes: [number].as_slice().into(),
        }
    }

    fn counter(number: u8, packets: u64) -> EntryCounter {
        EntryCounter {
            row: Row {
                key: key(number),
                action: ActionCall {
                    action: ActionId(1),
                    params: [].as_slice().into(),
                },
            },
            packets,
            bytes: packets * 100,
        }
    }

    fn deleted(ledger: &mut Ledger, entries: &[(u8, u64, Outcome)]) {
        let read = entries
            .iter()
            .map(|(key, packets, _)| counter(*key, *packets));
        let updates: Vec<Update> = entries.iter().map(|e| Update::Delete(key(e.0))).collect();
        let outcomes = entries.iter().map(|entry| entry.2.clone()).collect();
        ledger.settle(read.collect(), &updates, &WriteReport { outcomes });
    }

    #[test]
    fn what_was_not_taken_is_given_again() {
        let mut ledger = Ledger::default();
        deleted(&mut ledger, &[(1, 5, Outcome::Ok), (2, 6, Outcome::Ok)]);
        let first = ledger.collect("", 0, 10);
        assert_eq!(first.last, 2);
        assert_eq!(ledger.collect("", 0, 10), first);
        deleted(&mut ledger, &[(3, 7, Outcome::Ok)]);
        let rest = ledger.collect(&first.ledger, first.last, 10);
        assert_eq!((rest.counters, rest.last), (vec![counter(3, 7)], 3));
        let none = ledger.collect(&first.ledger, 3, 10);
        assert_eq!((none.counters, none.last), (vec![], 3));
    }

    #[test]
    fn a_number_of_another_ledger_forgets_nothing() {
        let mut ledger = Ledger::default();
        deleted(&mut ledger, &[(1, 5, Outcome::Ok)]);
        assert_eq!(ledger.collect("another", 900, 10).counters.len(), 1);
    }

    #[test]
    fn entries_that_stayed_or_counted_nothing_are_left_out() {
        let mut ledger = Ledger::default();
        let failed = Outcome::Failed("no".into());
        deleted(
            &mut ledger,
            &[(1, 5, failed), (2, 0, Outcome::Ok), (3, 1, Outcome::Ok)],
        );
        assert_eq!(ledger.collect("", 0, 10).counters, vec![counter(3, 1)]);
    }

    #[test]
    fn pages_follow_each_other() {
        let mut ledger = Ledger::default();
        deleted(&mut ledger, &[(1, 5, Outcome::Ok), (2, 6, Outcome::Ok)]);
        let first = ledger.collect("", 0, 1);
        assert_eq!((first.counters.len(), first.last), (1, 1));
        let second = ledger.collect(&first.ledger, first.last, 1);
        assert_eq!((second.counters, second.last), (vec![counter(2, 6)], 2));
    }
}
