//! A device in memory, as strict as the strictest target.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use table_model::{
    ApplyError, Atomicity, Capability, Flip, Outcome, Row, RowKey, Schema, TableId, TableLimit,
    TableSnapshot, Update, WriteReport,
};

use crate::{Backend, CounterValue, DeviceError, EntryCounter, Sink};

/// Rows that a read hands over at once.
const READ_PIECE: usize = 1000;

/// The device: shared by the back end that writes it and by whoever watches or disturbs it.
#[derive(Clone, Debug)]
pub struct MemoryDevice {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    schema: Arc<Schema>,
    limits: HashMap<TableId, u64>,
    rows: TableSnapshot,
    counters: HashMap<RowKey, CounterValue>,
    drops: Vec<CounterValue>,
    journal: Vec<Update>,
    writes: u64,
    updates: u64,
    reads: u64,
    reachable: bool,
    /// Grows whenever the connection breaks.
    session: u64,
    waiting: Vec<Waker>,
}

impl MemoryDevice {
    /// An empty device with the schema's table sizes.
    #[must_use]
    pub fn new(schema: Arc<Schema>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                schema,
                limits: HashMap::new(),
                rows: TableSnapshot::new(),
                counters: HashMap::new(),
                drops: Vec::new(),
                journal: Vec::new(),
                writes: 0,
                updates: 0,
                reads: 0,
                reachable: true,
                session: 0,
                waiting: Vec::new(),
            })),
        }
    }

    /// A back end for this device.
    #[must_use]
    pub fn backend(&self) -> Memory {
        Memory {
            device: self.clone(),
            session: None,
        }
    }

    /// Makes a table smaller (or larger) than its schema says, and declares it so at the next
    /// connect.
    pub fn limit(&self, table: TableId, entries: u64) {
        self.lock().limits.insert(table, entries);
    }

    /// The rows that packets would meet now.
    #[must_use]
    pub fn rows(&self) -> TableSnapshot {
        self.lock().rows.clone()
    }

    /// Every update that was applied since the last call, in the order of its effect. Rows that
    /// [`MemoryDevice::disturb`] changed are not in it.
    #[must_use]
    pub fn take_journal(&self) -> Vec<Update> {
        std::mem::take(&mut self.lock().journal)
    }

    /// Updates asked for since the device was made, whatever became of them.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.lock().updates
    }

    /// Write calls since the device was made.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Table reads since the device was made.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Changes rows behind the writer's back, as drift does.
    pub fn disturb(&self, change: impl FnOnce(&mut TableSnapshot)) {
        change(&mut self.lock().rows);
    }

    /// Counts a packet on an entry.
    pub fn count(&self, key: &RowKey, bytes: u64) {
        let mut state = self.lock();
        let counter = state.counters.entry(key.clone()).or_default();
        counter.packets += 1;
        counter.bytes += bytes;
    }

    /// Sets the counters of dropped packets.
    pub fn set_drops(&self, drops: Vec<CounterValue>) {
        self.lock().drops = drops;
    }

    /// Loses every row and the connection, as a device that restarts does.
    pub fn restart(&self) {
        let mut state = self.lock();
        state.rows = TableSnapshot::new();
        state.counters.clear();
        state.hang_up();
    }

    /// Breaks the connection and keeps the rows.
    pub fn disconnect(&self) {
        self.lock().hang_up();
    }

    /// Whether connecting succeeds from now on; `false` also breaks the connection.
    pub fn reachable(&self, reachable: bool) {
        let mut state = self.lock();
        state.reachable = reachable;
        if !reachable {
            state.hang_up();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves rows that are still rows.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hang_up(&mut self) {
        self.session += 1;
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }

    fn limit(&self, table: TableId, size: u64) -> u64 {
        self.limits.get(&table).copied().unwrap_or(size)
    }

    fn apply(&mut self, update: &Update) -> Outcome {
        let schema = Arc::clone(&self.schema);
        let table = match schema.table(update.key().table) {
            Ok(table) => table,
            Err(error) => return Outcome::Refused(error.to_string().into()),
        };
        let valid = table
            .fields(update.key())
            .map(drop)
            .and_then(|()| match update {
                Update::Insert(row) | Update::Modify(row) => table
                    .action(row.action.action)?
                    .params(&row.action)
                    .map(drop),
                Update::Delete(_) => Ok(()),
            });
        if let Err(error) = valid {
            return Outcome::Refused(error.to_string().into());
        }
        // The one row of a table without match fields is its default entry: it is always there, so
        // both puts are the same and removing it means the initial one.
        if table.fields.is_empty() {
            match update {
                Update::Insert(row) | Update::Modify(row) => drop(self.rows.put(row.clone())),
                Update::Delete(key) => drop(self.rows.take(key)),
            }
            return Outcome::Ok;
        }
        let held = self.rows.table_len(table.id) as u64;
        if matches!(update, Update::Insert(row) if self.rows.get(&row.key).is_none())
            && held >= self.limit(table.id, table.size)
        {
            return Outcome::Full;
        }
        match self.rows.apply_update(update.clone()) {
            Ok(()) => {
                if matches!(update, Update::Delete(_)) {
                    self.counters.remove(update.key());
                }
                Outcome::Ok
            }
            Err(ApplyError::Exists(_)) => Outcome::Exists,
            Err(ApplyError::Missing(_)) => Outcome::Missing,
        }
    }
}

/// The back end of a [`MemoryDevice`].
#[derive(Debug)]
pub struct Memory {
    device: MemoryDevice,
    session: Option<u64>,
}

impl Memory {
    fn broken() -> DeviceError {
        DeviceError::Broken {
            target: "memory".to_owned(),
            text: "hung up".to_owned(),
        }
    }

    /// The device's state while the connection stands.
    fn open(&self) -> Result<MutexGuard<'_, State>, DeviceError> {
        let state = self.device.lock();
        if self.session == Some(state.session) {
            Ok(state)
        } else {
            Err(Self::broken())
        }
    }
}

impl Backend for Memory {
    async fn connect(&mut self) -> Result<Capability, DeviceError> {
        let state = self.device.lock();
        if !state.reachable {
            return Err(DeviceError::Unreachable {
                target: "memory".to_owned(),
                text: "switched off".to_owned(),
            });
        }
        self.session = Some(state.session);
        let mut limits: Vec<TableLimit> = state
            .limits
            .iter()
            .map(|(&table, &entries)| TableLimit { table, entries })
            .collect();
        limits.sort_unstable_by_key(|limit| limit.table);
        Ok(Capability {
            target: "memory".to_owned(),
            flip: Flip::Modify,
            atomicity: Atomicity::ContinueOnError,
            batch: 500,
            limits,
        })
    }

    async fn lost(&mut self) -> DeviceError {
        poll_fn(|context| {
            let mut state = self.device.lock();
            if self.session == Some(state.session) {
                state.waiting.push(context.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(Self::broken())
            }
        })
        .await
    }

    async fn write(&mut self, updates: &[Update]) -> WriteReport {
        let mut state = match self.open() {
            Ok(state) => state,
            Err(error) => {
                let lost = Outcome::Lost(error.to_string().into());
                return WriteReport::all(updates.len(), lost);
            }
        };
        state.writes += 1;
        state.updates += updates.len() as u64;
        let outcomes = updates
            .iter()
            .map(|update| {
                let outcome = state.apply(update);
                if outcome == Outcome::Ok {
                    state.journal.push(update.clone());
                }
                outcome
            })
            .collect();
        WriteReport { outcomes }
    }

    async fn read(&mut self, table: TableId, sink: &mut Sink<'_, Row>) -> Result<(), DeviceError> {
        let mut rows = {
            let mut state = self.open()?;
            state.reads += 1;
            state.rows.table(table)
        };
        while rows.len() > READ_PIECE {
            let rest = rows.split_off(READ_PIECE);
            sink(std::mem::replace(&mut rows, rest));
        }
        sink(rows);
        Ok(())
    }

    async fn counters(
        &mut self,
        table: TableId,
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        let state = self.open()?;
        let counted = state.schema.table(table).is_ok_and(|table| table.counted);
        if counted {
            let entries = state.rows.table(table).into_iter().map(|row| EntryCounter {
                value: state.counters.get(&row.key).copied().unwrap_or_default(),
                key: row.key,
            });
            sink(entries.collect());
        }
        Ok(())
    }

    async fn counters_of(
        &mut self,
        keys: &[RowKey],
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        let state = self.open()?;
        let there = keys.iter().filter(|key| state.rows.get(key).is_some());
        let counters = there.map(|key| EntryCounter {
            value: state.counters.get(key).copied().unwrap_or_default(),
            key: key.clone(),
        });
        sink(counters.collect());
        Ok(())
    }

    async fn drop_counters(&mut self) -> Result<Vec<CounterValue>, DeviceError> {
        Ok(self.open()?.drops.clone())
    }
}

#[cfg(test)]
mod tests;
