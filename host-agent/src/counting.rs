//! Asks the DPU agent what rows have counted, at a slow rate and when somebody wants to know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use offload_api::client::{CallError, DpuClient};
use offload_api::sync::SyncState;
use offload_api::types::{EntryCounter, PageRequest};
use p4_tables::schema;
use table_model::RowKey;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, warn};

use crate::counts::{Counts, Keeper};
use crate::metrics::Metrics;

/// Counters in one answer of the DPU agent.
const PAGE: i32 = 10_000;
/// Rows that are read at most: beyond that a read would take longer than anybody waits.
const MOST_ROWS: usize = 2_000_000;
/// Shortest time between two looks at what deleted rows had counted.
const PAUSE: Duration = Duration::from_millis(250);

/// The books, shared by the owner of the compiler and the task that asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedCounts(Arc<Mutex<Counts>>);

impl SharedCounts {
    pub(crate) fn new(counts: Counts) -> Self {
        Self(Arc::new(Mutex::new(counts)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counts are numbers, whoever panicked with them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who wants counts as they are at a moment or later, and is told when they are there.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) since: Instant,
    pub(crate) granted: oneshot::Sender<()>,
}

/// The task.
pub(crate) struct Counting {
    pub(crate) counts: SharedCounts,
    pub(crate) keeper: Keeper,
    pub(crate) client: watch::Receiver<Option<DpuClient>>,
    pub(crate) sync: watch::Receiver<SyncState>,
    pub(crate) wishes: mpsc::Receiver<Wish>,
    /// Time between two reads; none reads only when asked.
    pub(crate) every: Option<Duration>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Counting {
    /// Runs until nobody can have wishes any more.
    pub(crate) async fn run(mut self) {
        let mut tick = interval(self.every.unwrap_or(Duration::from_secs(3600)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut collect = interval(PAUSE);
        collect.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut collected = 0;
        // When the last read that succeeded began: it grants the wishes made before.
        let mut read: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    if self.every.is_some() {
                        read = self.refresh().await.or(read);
                    }
                }
                _ = collect.tick() => {
                    // What a change has dropped is fetched soon after it is in force.
                    let acknowledged = self.sync.borrow().acknowledged.0;
                    if acknowledged > collected && self.counts.lock().anything_leaves() {
                        collected = acknowledged;
                        self.fetch_departed().await;
                    }
                }
                wish = self.wishes.recv() => {
                    let Some(wish) = wish else { return };
                    if read.is_none_or(|began| began < wish.since) {
                        read = self.refresh().await.or(read);
                    }
                    // Who asked may have gone.
                    let _ = wish.granted.send(());
                }
            }
        }
    }

    fn client(&self) -> Option<DpuClient> {
        self.client.borrow().clone()
    }

    async fn fetch_departed(&self) {
        let Some(dpu) = self.client() else { return };
        let acknowledged = self.sync.borrow().acknowledged;
        match self.departed(&dpu).await {
            Ok(_) => self.counts.lock().settled(acknowledged),
            Err(error) => {
                debug!(%error, "what deleted rows had counted waits at the DPU agent");
            }
        }
    }

    /// Reads everything and writes it down; when the read began, if it was one.
    async fn refresh(&self) -> Option<Instant> {
        let began = Instant::now();
        let dpu = self.client()?;
        if let Err(error) = self.read(&dpu).await {
            debug!(%error, "counters cannot be read now");
            return None;
        }
        self.save().await;
        let counts = self.counts.lock();
        self.metrics.count(&counts.totals(), counts.lost());
        Some(began)
    }

    /// What deleted rows had counted is written down before the DPU agent may forget it.
    async fn departed(&self, dpu: &DpuClient) -> Result<Vec<RowKey>, CallError> {
        let mut keys = Vec::new();
        loop {
            let (ledger, taken) = self.counts.lock().ledger();
            let departed = dpu.departed(&ledger, taken).await?;
            let more = !departed.counters.is_empty();
            keys.extend(self.counts.lock().departed(&departed));
            if !more {
                return Ok(keys);
            }
            if !self.save().await {
                return Ok(keys);
            }
        }
    }

    async fn read(&self, dpu: &DpuClient) -> Result<(), CallError> {
        let acknowledged = self.sync.borrow().acknowledged;
        self.departed(dpu).await?;
        let mut counters: Vec<EntryCounter> = Vec::new();
        for table in schema().tables.iter().filter(|table| table.counted) {
            let mut token = String::new();
            loop {
                let page = PageRequest { size: PAGE, token };
                let got = dpu.counters(&table.name, page).await?;
                // A row that counted nothing says nothing.
                counters.extend(got.items.into_iter().filter(|counter| counter.packets > 0));
                match got.next {
                    Some(next) if counters.len() < MOST_ROWS => token = next,
                    _ => break,
                }
            }
        }
        let departed = self.departed(dpu).await?;
        self.counts.lock().read(&counters, &departed, acknowledged);
        Ok(())
    }

    /// Whether it could be written.
    async fn save(&self) -> bool {
        let text = Keeper::text(&self.counts.lock());
        let keeper = self.keeper.clone();
        match tokio::task::spawn_blocking(move || keeper.save(&text)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                warn!(
                    error = offload_api::error_chain(&error),
                    "counts are not kept"
                );
                false
            }
            Err(error) => {
                warn!(%error, "counts are not kept");
                false
            }
        }
    }
}
