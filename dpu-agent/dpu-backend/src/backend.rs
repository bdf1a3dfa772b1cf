//! The trait.

use std::future::Future;

use table_model::{Capability, Row, RowKey, TableId, Update, WriteReport};

use crate::DeviceError;

/// Takes items as they come from the device, in pieces of any size.
pub type Sink<'a, T> = dyn FnMut(Vec<T>) + Send + 'a;

/// Packets and bytes since the counter was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CounterValue {
    /// Packets.
    pub packets: u64,
    /// Bytes, as the device counts them (v1model: the whole frame).
    pub bytes: u64,
}

/// The counter of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryCounter {
    /// The entry.
    pub key: RowKey,
    /// Its packets and bytes.
    pub value: CounterValue,
}

/// A port as the device itself sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortState {
    /// The number that the pipeline knows it by.
    pub number: u16,
    /// Whether it carries packets.
    pub up: bool,
}

/// A device whose tables can be written and read.
///
/// Calls may be dropped while they wait (all are cancel safe for the caller), but a write that was
/// dropped has an unknown outcome, like one that ends in [`table_model::Outcome::Lost`].
///
/// There is no call that forgets connections: the pipeline's settings row carries the epoch, so that
/// forgetting is a row write like any other, on every device, and read back like any other.
pub trait Backend: Send {
    /// Reaches the device, becomes its only writer and puts the pipeline in place if another one is
    /// there. Entries that the device holds stay, unless the pipeline had to be replaced.
    ///
    /// # Errors
    /// The device cannot be reached, another writer is preferred, or the pipeline is refused.
    fn connect(&mut self) -> impl Future<Output = Result<Capability, DeviceError>> + Send;

    /// Waits until the device is lost: the connection broke or another writer took over. At once
    /// when it is not connected.
    fn lost(&mut self) -> impl Future<Output = DeviceError> + Send;

    /// Applies updates that may reach the packets in any order among themselves; all that can be
    /// applied are in force when it returns. Outcomes are in the order of `updates`, one for each.
    fn write(&mut self, updates: &[Update]) -> impl Future<Output = WriteReport> + Send;

    /// Reads every entry of a table. The row of a table without match fields is its default entry,
    /// and is given as soon as it differs from the pipeline's initial one.
    ///
    /// # Errors
    /// The device is lost, or answers with what is no row of this schema. Rows that went into the
    /// sink before are then to be thrown away.
    fn read(
        &mut self,
        table: TableId,
        sink: &mut Sink<'_, Row>,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// Reads the counters of a table's entries. Tables that are not counted give none.
    ///
    /// # Errors
    /// As [`Backend::read`].
    fn counters(
        &mut self,
        table: TableId,
        sink: &mut Sink<'_, EntryCounter>,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// Reads the counters of these entries, which are of counted tables. Entries that are not there
    /// give none.
    ///
    /// # Errors
    /// As [`Backend::read`].
    fn counters_of(
        &mut self,
        keys: &[RowKey],
        sink: &mut Sink<'_, EntryCounter>,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// Reads the counters of dropped packets; the index is the pipeline's reason code.
    ///
    /// # Errors
    /// The device is lost or does not count drops.
    fn drop_counters(
        &mut self,
    ) -> impl Future<Output = Result<Vec<CounterValue>, DeviceError>> + Send;

    /// The ports that the device knows of; none where the device does not tell (P4Runtime has no
    /// message for ports).
    ///
    /// # Errors
    /// The device is lost.
    fn ports(&mut self) -> impl Future<Output = Result<Vec<PortState>, DeviceError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }
}
