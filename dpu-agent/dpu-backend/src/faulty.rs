//! A back end that fails on purpose.

use std::sync::Arc;

use table_model::{Capability, Outcome, Row, RowKey, TableId, Update, WriteReport};

use crate::{Backend, CounterValue, DeviceError, EntryCounter, PortState, Sink};

/// What goes wrong, and how often. Probabilities are between 0 and 1, each drawn on its own.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Faults {
    /// An update is not applied and reported as failed.
    pub fail: f64,
    /// An update is applied and reported as failed.
    pub lose_answer: f64,
    /// A write breaks off: a part of its updates is applied, the rest not, and no answer comes.
    pub break_off: f64,
    /// A read breaks off after a part of its rows.
    pub read: f64,
    /// Connecting fails.
    pub connect: f64,
    /// After this many more updates the device crashes (see [`Faulty::on_crash`]), once.
    pub crash_after: Option<u64>,
    /// Updates of one write reach the device in another order than they were given.
    pub reorder: bool,
}

/// Wraps a back end and injects [`Faults`], the same ones for the same seed and the same calls.
pub struct Faulty<B> {
    inner: B,
    faults: Faults,
    dice: Dice,
    broken: bool,
    injected: u64,
    crash: Option<Box<dyn FnMut() + Send>>,
}

impl<B: std::fmt::Debug> std::fmt::Debug for Faulty<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faulty")
            .field("inner", &self.inner)
            .field("faults", &self.faults)
            .field("broken", &self.broken)
            .field("injected", &self.injected)
            .finish_non_exhaustive()
    }
}

impl<B> Faulty<B> {
    /// Wraps `inner`.
    pub fn new(inner: B, faults: Faults, seed: u64) -> Self {
        Self {
            inner,
            faults,
            dice: Dice(seed),
            broken: false,
            injected: 0,
            crash: None,
        }
    }

    /// What a crash does besides breaking the connection; empty the device, for instance.
    #[must_use]
    pub fn on_crash(mut self, crash: impl FnMut() + Send + 'static) -> Self {
        self.crash = Some(Box::new(crash));
        self
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Faults that were injected so far.
    pub fn injected(&self) -> u64 {
        self.injected
    }

    fn roll(&mut self, probability: f64) -> bool {
        let hit = self.dice.roll(probability);
        self.injected += u64::from(hit);
        hit
    }

    /// Whether the device crashes within the next `count` updates, and after how many.
    fn crash_within(&mut self, count: usize) -> Option<usize> {
        let left = self.faults.crash_after?;
        match usize::try_from(left) {
            Ok(left) if left < count => {
                self.faults.crash_after = None;
                self.injected += 1;
                Some(left)
            }
            _ => {
                self.faults.crash_after = Some(left.saturating_sub(count as u64));
                None
            }
        }
    }
}

impl<B: Backend> Faulty<B> {
    /// Applies the updates in the given order of indexes and puts outcomes back in their places.
    async fn pass(&mut self, updates: &[Update], order: &[usize], outcomes: &mut [Outcome]) {
        let batch: Vec<Update> = order.iter().map(|&i| updates[i].clone()).collect();
        let report = self.inner.write(&batch).await;
        for (&place, outcome) in order.iter().zip(report.outcomes) {
            outcomes[place] = outcome;
        }
    }
}

impl<B: Backend> Backend for Faulty<B> {
    async fn connect(&mut self) -> Result<Capability, DeviceError> {
        if self.roll(self.faults.connect) {
            return Err(DeviceError::Injected("connect"));
        }
        let capability = self.inner.connect().await?;
        self.broken = false;
        Ok(capability)
    }

    async fn lost(&mut self) -> DeviceError {
        if self.broken {
            return DeviceError::Injected("broken off");
        }
        self.inner.lost().await
    }

    async fn write(&mut self, updates: &[Update]) -> WriteReport {
        let lost = Outcome::Lost("Injected fault: broken off".into());
        let mut outcomes = vec![lost; updates.len()];
        if self.broken {
            return WriteReport { outcomes };
        }
        let mut order: Vec<usize> = (0..updates.len()).collect();
        if self.faults.reorder {
            self.dice.shuffle(&mut order);
        }
        if let Some(left) = self.crash_within(updates.len()) {
            self.pass(updates, &order[..left], &mut outcomes).await;
            self.broken = true;
            if let Some(crash) = &mut self.crash {
                crash();
            }
            return WriteReport::all(updates.len(), Outcome::Lost("Injected fault: crash".into()));
        }
        if self.roll(self.faults.break_off) {
            let left = self.dice.below(updates.len() + 1);
            self.pass(updates, &order[..left], &mut outcomes).await;
            self.broken = true;
            return WriteReport::all(
                updates.len(),
                Outcome::Lost("Injected fault: broken off".into()),
            );
        }
        let failed: Arc<str> = "Injected fault: failed".into();
        let mut sent = Vec::with_capacity(order.len());
        let mut silent = Vec::new();
        for place in order {
            if self.roll(self.faults.fail) {
                outcomes[place] = Outcome::Failed(Arc::clone(&failed));
            } else {
                if self.roll(self.faults.lose_answer) {
                    silent.push(place);
                }
                sent.push(place);
            }
        }
        self.pass(updates, &sent, &mut outcomes).await;
        for place in silent {
            outcomes[place] = Outcome::Failed("Injected fault: answer lost".into());
        }
        WriteReport { outcomes }
    }

    async fn read(&mut self, table: TableId, sink: &mut Sink<'_, Row>) -> Result<(), DeviceError> {
        if self.broken {
            return Err(DeviceError::Injected("broken off"));
        }
        if self.roll(self.faults.read) {
            let mut rows = Vec::new();
            self.inner
                .read(table, &mut |piece| rows.extend(piece))
                .await?;
            rows.truncate(self.dice.below(rows.len() + 1));
            sink(rows);
            return Err(DeviceError::Injected("read"));
        }
        self.inner.read(table, sink).await
    }

    async fn counters(
        &mut self,
        table: TableId,
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        if self.broken || self.roll(self.faults.read) {
            return Err(DeviceError::Injected("read"));
        }
        self.inner.counters(table, sink).await
    }

    async fn counters_of(
        &mut self,
        keys: &[RowKey],
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        if self.broken || self.roll(self.faults.read) {
            return Err(DeviceError::Injected("read"));
        }
        self.inner.counters_of(keys, sink).await
    }

    async fn drop_counters(&mut self) -> Result<Vec<CounterValue>, DeviceError> {
        if self.broken || self.roll(self.faults.read) {
            return Err(DeviceError::Injected("read"));
        }
        self.inner.drop_counters().await
    }

    async fn ports(&mut self) -> Result<Vec<PortState>, DeviceError> {
        self.inner.ports().await
    }
}

/// A small generator (splitmix64): the seed is the caller's, so that a failing run can be had again.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn roll(&mut self, probability: f64) -> bool {
        // 32 bits are plenty for a probability, and convert to f64 without loss.
        let draw = f64::from(u32::try_from(self.next() >> 32).unwrap_or(u32::MAX));
        draw < probability * f64::from(u32::MAX)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for i in (1..items.len()).rev() {
            let other = self.below(i + 1);
            items.swap(i, other);
        }
    }
}

#[cfg(test)]
mod tests;
