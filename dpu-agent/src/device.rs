//! The devices that can be chosen at run time.

use std::sync::Arc;

use backend_p4rt::{P4rt, Pipeline, PipelineError};
use dpu_backend::{
    Backend, CounterValue, DeviceError, EntryCounter, Faulty, Memory, MemoryDevice, PortState, Sink,
};
use table_model::{Capability, Row, RowKey, TableId, Update, WriteReport};

use crate::config::{self, Config};

/// A device, of one kind or another.
#[derive(Debug)]
pub enum Device {
    /// A P4Runtime target.
    P4rt(P4rt),
    /// Memory and nothing else.
    Memory(Memory),
    /// Memory that fails on purpose.
    Faulty(Box<Faulty<Memory>>),
}

impl Device {
    /// The device that a configuration asks for.
    ///
    /// # Errors
    /// The pipeline that was built in is unusable.
    pub fn new(config: &Config) -> Result<Self, PipelineError> {
        let target = &config.target;
        Ok(match target.backend {
            config::Backend::P4rt => Self::P4rt(P4rt::new(
                backend_p4rt::Target {
                    address: target.address.clone(),
                    device_id: target.device_id,
                    batch: target.batch,
                    in_flight: target.in_flight,
                    deadline: std::time::Duration::from_secs(target.deadline_seconds),
                },
                Arc::new(Pipeline::built_in()?),
            )),
            config::Backend::Memory => {
                let schema = Arc::new(p4_tables::schema().clone());
                Self::Memory(MemoryDevice::new(schema).backend())
            }
        })
    }
}

macro_rules! each {
    ($device:expr, $inner:ident => $call:expr) => {
        match $device {
            Device::P4rt($inner) => $call,
            Device::Memory($inner) => $call,
            Device::Faulty($inner) => $call,
        }
    };
}

impl Backend for Device {
    async fn connect(&mut self) -> Result<Capability, DeviceError> {
        each!(self, device => device.connect().await)
    }

    async fn lost(&mut self) -> DeviceError {
        each!(self, device => device.lost().await)
    }

    async fn write(&mut self, updates: &[Update]) -> WriteReport {
        each!(self, device => device.write(updates).await)
    }

    async fn read(&mut self, table: TableId, sink: &mut Sink<'_, Row>) -> Result<(), DeviceError> {
        each!(self, device => device.read(table, sink).await)
    }

    async fn counters(
        &mut self,
        table: TableId,
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        each!(self, device => device.counters(table, sink).await)
    }

    async fn counters_of(
        &mut self,
        keys: &[RowKey],
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        each!(self, device => device.counters_of(keys, sink).await)
    }

    async fn drop_counters(&mut self) -> Result<Vec<CounterValue>, DeviceError> {
        each!(self, device => device.drop_counters().await)
    }

    async fn ports(&mut self) -> Result<Vec<PortState>, DeviceError> {
        each!(self, device => device.ports().await)
    }
}
