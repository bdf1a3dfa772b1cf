//! Pages of entries and counters.

use std::time::Duration;

use dpu_backend::{Backend, DeviceError};
use offload_api::server::Refused;
use offload_api::types::{EntryCounter, EntryView};
use table_model::{Row, RowKey, TableId, Update};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::Driver;
use crate::Device;

/// How long the device may take for an answer that somebody waits for.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);
/// How long the device may take for the counters of entries that are about to go.
const LEAVING: Duration = Duration::from_secs(2);
/// How long the pages of one listing come from the same read.
const FRESH: Duration = Duration::from_secs(30);

/// What was read for the first page of a listing, for the pages that follow it.
#[derive(Debug, Default)]
pub(super) struct Listings {
    entries: Option<Listing<Row>>,
    counters: Option<Listing<EntryCounter>>,
}

#[derive(Debug)]
struct Listing<T> {
    table: TableId,
    view: EntryView,
    taken: Instant,
    items: Vec<T>,
}

impl<T: Clone> Listing<T> {
    /// The page behind `after`; none if it must be read anew.
    fn page(
        &self,
        (table, view): (TableId, EntryView),
        after: Option<&RowKey>,
        limit: usize,
        key: impl Fn(&T) -> &RowKey,
    ) -> Option<Vec<T>> {
        let after = after?;
        let same = self.table == table && self.view == view && self.taken.elapsed() < FRESH;
        same.then(|| cut(&self.items, Some(after), limit, key))
    }
}

fn cut<T: Clone>(
    items: &[T],
    after: Option<&RowKey>,
    limit: usize,
    key: impl Fn(&T) -> &RowKey,
) -> Vec<T> {
    let start = after.map_or(0, |after| items.partition_point(|item| key(item) <= after));
    items[start..].iter().take(limit).cloned().collect()
}

/// What the device said, as an answer to a question.
pub(super) fn settled<T>(result: Result<Result<T, DeviceError>, Elapsed>) -> Result<T, Refused> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Refused::Unavailable(error.to_string())),
        Err(_) => Err(Refused::Unavailable(format!(
            "The device did not answer within {DEADLINE:?}"
        ))),
    }
}

impl Driver {
    pub(super) async fn entries(
        &mut self,
        device: Option<&mut Device>,
        table: TableId,
        view: EntryView,
        after: Option<RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, Refused> {
        let held = self.state.listings.entries.as_ref();
        let page = held.and_then(|l| l.page((table, view), after.as_ref(), limit, |row| &row.key));
        if let Some(page) = page {
            return Ok(page);
        }
        let mut items = match view {
            EntryView::Desired => self
                .reconciler
                .enforced()
                .map(|rows| rows.table(table))
                .unwrap_or_default(),
            EntryView::Observed => {
                let device = device.ok_or_else(|| self.away())?;
                let mut rows = Vec::new();
                let mut sink = |piece| rows.extend::<Vec<Row>>(piece);
                settled(timeout(DEADLINE, device.read(table, &mut sink)).await)?;
                rows
            }
        };
        items.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let page = cut(&items, after.as_ref(), limit, |row| &row.key);
        self.state.listings.entries = Some(Listing {
            table,
            view,
            taken: Instant::now(),
            items,
        });
        Ok(page)
    }

    /// What the counted entries among these deletions have counted so far. A device that does not
    /// say so in time is not waited for: enforcement comes first.
    pub(super) async fn leaving(
        &mut self,
        device: &mut Device,
        updates: &[Update],
    ) -> Vec<EntryCounter> {
        let counted = |key: &RowKey| self.schema.table(key.table).is_ok_and(|t| t.counted);
        let keys: Vec<RowKey> = updates
            .iter()
            .filter_map(|update| match update {
                Update::Delete(key) if counted(key) => Some(key.clone()),
                _ => None,
            })
            .collect();
        if keys.is_empty() {
            return Vec::new();
        }
        match timeout(LEAVING, self.counters_of(device, &keys)).await {
            Ok(Ok(counters)) => counters,
            Ok(Err(error)) => {
                warn!(%error, entries = keys.len(), "counts of deleted entries are lost");
                self.state.departed.lose(keys.len());
                Vec::new()
            }
            Err(_) => {
                warn!(entries = keys.len(), "counts of deleted entries are lost");
                self.state.departed.lose(keys.len());
                Vec::new()
            }
        }
    }

    /// The counters of a few entries; those that nobody knows of are left out.
    pub(super) async fn counters_of(
        &self,
        device: &mut Device,
        keys: &[RowKey],
    ) -> Result<Vec<EntryCounter>, Refused> {
        for key in keys {
            if !self
                .schema
                .table(key.table)
                .is_ok_and(|table| table.counted)
            {
                let text = format!("The entries of table {:#010x} are not counted", key.table.0);
                return Err(Refused::NotFound(text));
            }
        }
        let observed = self.reconciler.observed();
        let there: Vec<RowKey> = keys
            .iter()
            .filter(|key| observed.get(key).is_some())
            .cloned()
            .collect();
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let mut counters = Vec::with_capacity(there.len());
        let mut sink = |piece| counters.extend::<Vec<dpu_backend::EntryCounter>>(piece);
        settled(timeout(DEADLINE, device.counters_of(&there, &mut sink)).await)?;
        Ok(counters
            .into_iter()
            .filter_map(|counter| self.counted(counter))
            .collect())
    }

    /// A counter with the entry's action; none for an entry that nobody knows of, which is drift
    /// and not a counter to show.
    fn counted(&self, counter: dpu_backend::EntryCounter) -> Option<EntryCounter> {
        let action = self.reconciler.observed().get(&counter.key)?.clone();
        Some(EntryCounter {
            row: Row {
                key: counter.key,
                action,
            },
            packets: counter.value.packets,
            bytes: counter.value.bytes,
        })
    }

    pub(super) async fn counters(
        &mut self,
        device: Option<&mut Device>,
        table: TableId,
        after: Option<RowKey>,
        limit: usize,
    ) -> Result<Vec<EntryCounter>, Refused> {
        let view = EntryView::Observed;
        let held = self.state.listings.counters.as_ref();
        let page =
            held.and_then(|l| l.page((table, view), after.as_ref(), limit, |item| &item.row.key));
        if let Some(page) = page {
            return Ok(page);
        }
        let device = device.ok_or_else(|| self.away())?;
        if !self.reconciler.status().read_back {
            // Which entries there are is not known: a part of them would look like all.
            return Err(Refused::Unavailable(
                "The device is being read back".to_owned(),
            ));
        }
        let mut counters = Vec::new();
        let mut sink = |piece| counters.extend::<Vec<dpu_backend::EntryCounter>>(piece);
        settled(timeout(DEADLINE, device.counters(table, &mut sink)).await)?;
        let mut items: Vec<EntryCounter> = counters
            .into_iter()
            .filter_map(|counter| self.counted(counter))
            .collect();
        items.sort_unstable_by(|a, b| a.row.key.cmp(&b.row.key));
        let page = cut(&items, after.as_ref(), limit, |item| &item.row.key);
        self.state.listings.counters = Some(Listing {
            table,
            view,
            taken: Instant::now(),
            items,
        });
        Ok(page)
    }
}
