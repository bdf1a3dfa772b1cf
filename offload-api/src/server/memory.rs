//! A DPU in memory: no packets, all the rules of the API. For tests and for trying a host agent.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use table_model::{
    Atomicity, Capability, Flip, Generation, Row, RowKey, Schema, TableId, TableSchema,
    TableSnapshot,
};
use tokio::sync::watch;

use super::{Dpu, Incoming, Ledger, Refused, SyncStream};
use crate::types::{
    Ack, Departed, DeviceCapability, DeviceInfo, DevicePort, DeviceState, DpuStatus, DropCounter,
    EntryCounter, EntryView, FromDpu, Nack, NackReason, TableUsage,
};

/// What happened to a [`MemoryDpu`], for assertions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Generation held.
    pub generation: Generation,
    /// Acknowledgements given, in order.
    pub acks: Vec<Ack>,
    /// Refusals given.
    pub nacks: u64,
    /// Sync streams opened.
    pub streams: u64,
    /// Whole states taken.
    pub snapshots: u64,
}

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    ports: Vec<DevicePort>,
    limits: BTreeMap<TableId, u64>,
    delay: Duration,
    epoch: u32,
    stream: u64,
    /// Packets and bytes by entry.
    counts: BTreeMap<RowKey, (u64, u64)>,
    /// What deleted entries had counted, numbered from 1.
    departed: Vec<(u64, EntryCounter)>,
    departures: u64,
}

/// This DPU has one ledger for its whole life.
const LEDGER: &str = "memory";

/// A DPU in memory.
#[derive(Debug)]
pub struct MemoryDpu {
    schema: Schema,
    inner: Mutex<Inner>,
    seen: watch::Sender<Seen>,
    cut: watch::Sender<u64>,
}

impl MemoryDpu {
    /// An empty one.
    #[must_use]
    pub fn new(schema: Schema, ports: Vec<DevicePort>) -> Self {
        Self {
            schema,
            inner: Mutex::new(Inner {
                ledger: Ledger::default(),
                ports,
                limits: BTreeMap::new(),
                delay: Duration::ZERO,
                epoch: 0,
                stream: 0,
                counts: BTreeMap::new(),
                departed: Vec::new(),
                departures: 0,
            }),
            seen: watch::Sender::default(),
            cut: watch::Sender::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows what happens.
    #[must_use]
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// What is held.
    #[must_use]
    pub fn state(&self) -> TableSnapshot {
        self.inner().ledger.state().clone()
    }

    /// Puts other ports in.
    pub fn set_ports(&self, ports: Vec<DevicePort>) {
        self.inner().ports = ports;
    }

    /// Gives a table less room, or with none what the schema says.
    pub fn limit(&self, table: TableId, entries: Option<u64>) {
        let mut inner = self.inner();
        match entries {
            Some(entries) => inner.limits.insert(table, entries),
            None => inner.limits.remove(&table),
        };
    }

    /// Takes this long for each change.
    pub fn delay(&self, delay: Duration) {
        self.inner().delay = delay;
    }

    /// Counts packets on an entry.
    pub fn count(&self, key: &RowKey, packets: u64, bytes: u64) {
        let mut inner = self.inner();
        let counted = inner.counts.entry(key.clone()).or_default();
        counted.0 += packets;
        counted.1 += bytes;
    }

    /// Sets all counters back, as a target does that was restarted.
    pub fn forget_counts(&self) {
        self.inner().counts.clear();
    }

    /// Cuts all streams.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts all streams and forgets the session; the state stays.
    pub fn restart(&self) {
        self.inner().ledger.forget();
        self.cut();
    }

    fn table(&self, name: &str) -> Result<&TableSchema, Refused> {
        let by_id = || self.schema.table(TableId(name.parse().ok()?)).ok();
        self.schema
            .table_named(name)
            .or_else(by_id)
            .ok_or_else(|| Refused::NotFound(format!("No table {name:?}")))
    }

    fn overfull(&self, inner: &Inner, state: &TableSnapshot) -> Option<NackReason> {
        let mut rows: BTreeMap<TableId, u64> = BTreeMap::new();
        for (key, _) in state.iter() {
            *rows.entry(key.table).or_default() += 1;
        }
        rows.into_iter().find_map(|(table, need)| {
            let size = self.schema.table(table).ok()?.size;
            let free = inner.limits.get(&table).copied().unwrap_or(size);
            (need > free).then_some(NackReason::TableFull { table, need, free })
        })
    }

    async fn answer(&self, incoming: Incoming) -> FromDpu {
        let change = match incoming {
            Incoming::Hello(hello) => return self.inner().ledger.hello(hello),
            Incoming::Change(change) => change,
        };
        let delay = self.inner().delay;
        tokio::time::sleep(delay).await;
        let mut inner = self.inner();
        let whole = matches!(change, crate::chunk::Change::Snapshot(..));
        let checked = inner.ledger.check(change).and_then(|(generation, state)| {
            match self.overfull(&inner, &state) {
                None => Ok((generation, state)),
                Some(reason) => Err(Nack {
                    generation,
                    reason,
                    text: "A table has not the room".to_owned(),
                }),
            }
        });
        match checked {
            Err(nack) => {
                self.seen.send_modify(|seen| seen.nacks += 1);
                FromDpu::Nack(nack)
            }
            Ok((generation, state)) => {
                inner.depart(&state);
                let answer = inner.ledger.hold(generation, state);
                self.seen.send_modify(|seen| {
                    seen.generation = generation;
                    seen.snapshots += u64::from(whole);
                    if let FromDpu::Ack(ack) = &answer {
                        seen.acks.push(*ack);
                    }
                });
                answer
            }
        }
    }
}

impl Inner {
    /// Keeps what entries that are not in the next state have counted.
    fn depart(&mut self, next: &TableSnapshot) {
        let gone: Vec<RowKey> = self
            .counts
            .keys()
            .filter(|key| next.get(key).is_none())
            .cloned()
            .collect();
        for key in gone {
            let counted = self.counts.remove(&key);
            let action = self.ledger.state().get(&key).cloned();
            if let (Some((packets, bytes)), Some(action)) = (counted, action) {
                self.departures += 1;
                let row = Row { key, action };
                let counter = EntryCounter {
                    row,
                    packets,
                    bytes,
                };
                self.departed.push((self.departures, counter));
            }
        }
    }
}

impl Dpu for MemoryDpu {
    async fn device(&self) -> Result<DeviceInfo, Refused> {
        Ok(DeviceInfo {
            name: "memory".to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            target: "memory".to_owned(),
            schema_fingerprint: self.schema.fingerprint,
            state: DeviceState::Ready,
            state_detail: String::new(),
        })
    }

    async fn capability(&self) -> Result<DeviceCapability, Refused> {
        Ok(DeviceCapability {
            capability: Capability {
                target: "memory".to_owned(),
                flip: Flip::Modify,
                atomicity: Atomicity::Dataplane,
                batch: 1000,
                limits: Vec::new(),
            },
            schema_fingerprint: self.schema.fingerprint,
        })
    }

    async fn ports(&self) -> Result<Vec<DevicePort>, Refused> {
        Ok(self.inner().ports.clone())
    }

    async fn tables(&self) -> Result<Vec<TableUsage>, Refused> {
        let inner = self.inner();
        let usage = |table: &TableSchema| {
            let rows = inner.ledger.state().table(table.id).len();
            let rows = u64::try_from(rows).unwrap_or(u64::MAX);
            TableUsage {
                name: table.name.clone(),
                id: table.id.0,
                size: table.size,
                desired: rows,
                observed: rows,
            }
        };
        Ok(self.schema.tables.iter().map(usage).collect())
    }

    async fn entries(
        &self,
        table: String,
        _view: EntryView,
        after: Option<RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, Refused> {
        let table = self.table(&table)?.id;
        let mut rows = self.inner().ledger.state().table(table);
        rows.retain(|row| after.as_ref().is_none_or(|after| row.key > *after));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn counters(
        &self,
        table: String,
        after: Option<RowKey>,
        limit: usize,
    ) -> Result<Vec<EntryCounter>, Refused> {
        let rows = self
            .entries(table, EntryView::Observed, after, limit)
            .await?;
        let keys = rows.into_iter().map(|row| row.key).collect();
        self.counters_of(keys).await
    }

    async fn counters_of(&self, keys: Vec<RowKey>) -> Result<Vec<EntryCounter>, Refused> {
        let inner = self.inner();
        let state = inner.ledger.state();
        let counter = |key: RowKey| {
            let action = state.get(&key)?.clone();
            let (packets, bytes) = inner.counts.get(&key).copied().unwrap_or_default();
            Some(EntryCounter {
                row: Row { key, action },
                packets,
                bytes,
            })
        };
        Ok(keys.into_iter().filter_map(counter).collect())
    }

    async fn departed(
        &self,
        ledger: String,
        taken: u64,
        limit: usize,
    ) -> Result<Departed, Refused> {
        let mut inner = self.inner();
        let taken = if ledger == LEDGER { taken } else { 0 };
        inner.departed.retain(|(number, _)| *number > taken);
        let some = inner.departed.iter().take(limit);
        let last = some
            .clone()
            .next_back()
            .map_or(taken, |(number, _)| *number);
        Ok(Departed {
            ledger: LEDGER.to_owned(),
            counters: some.map(|(_, counter)| counter.clone()).collect(),
            last,
            lost: 0,
        })
    }

    async fn drop_counters(&self) -> Result<Vec<DropCounter>, Refused> {
        Ok(Vec::new())
    }

    async fn flush_connections(&self) -> Result<u32, Refused> {
        let mut inner = self.inner();
        inner.epoch += 1;
        Ok(inner.epoch)
    }

    async fn sync(&self, mut stream: SyncStream) {
        let mut cut = self.cut.subscribe();
        let mine = {
            let mut inner = self.inner();
            inner.stream += 1;
            inner.stream
        };
        self.seen.send_modify(|seen| seen.streams += 1);
        loop {
            let incoming = tokio::select! {
                incoming = stream.next() => incoming,
                _ = cut.changed() => return,
            };
            let Ok(incoming) = incoming else { return };
            if self.inner().stream != mine {
                return; // A newer stream has taken over.
            }
            let answer = self.answer(incoming).await;
            let observed = self.inner().ledger.generation();
            let status = FromDpu::Status(DpuStatus {
                observed,
                drift_repaired: 0,
                state: DeviceState::Ready,
                state_detail: String::new(),
            });
            if !stream.send(answer).await || !stream.send(status).await {
                return;
            }
        }
    }
}
