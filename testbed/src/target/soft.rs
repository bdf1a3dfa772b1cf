//! The embedded P4 target: `p4switch` in this process, programmed over gRPC on loopback.

use std::sync::Arc;

use p4switch::{Config, Handle, Switch};
use table_model::{Capability, Phase, TableSnapshot};

use super::device::Device;
use super::{Batch, Target, TargetError};

/// The switch and its control connection.
pub(crate) struct Soft {
    device: Device,
    switch: Arc<Handle>,
}

impl Soft {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// It does not start or refuses the pipeline.
    pub(crate) fn start() -> Result<Self, TargetError> {
        let config = Config::default();
        let device_id = config.device_id;
        let switch = Switch::start(config)?;
        let runtime = Arc::new(super::runtime()?);
        let address = switch.grpc_addr().to_string();
        let device = Device::connect(runtime, &address, device_id, "p4switch")?;
        Ok(Self {
            device,
            switch: Arc::new(switch),
        })
    }

    /// For packets of other threads.
    pub(crate) fn switch(&self) -> Arc<Handle> {
        Arc::clone(&self.switch)
    }
}

impl Target for Soft {
    fn capability(&self) -> &Capability {
        self.device.capability()
    }

    fn apply(&mut self, phases: &[Phase]) -> Result<(), TargetError> {
        self.device.apply(phases)
    }

    fn send(&mut self, batch: &Batch) -> Result<Vec<Option<u16>>, TargetError> {
        let frames = batch
            .probes
            .iter()
            .map(|p| (p.port, p.frame.clone()))
            .collect();
        let outputs = self.switch.inject_batch(frames);
        if outputs.len() != batch.probes.len() {
            return Err(TargetError::Stopped);
        }
        Ok(outputs
            .iter()
            .map(|outputs| outputs.first().map(|(port, _)| *port))
            .collect())
    }

    fn read(&mut self) -> Result<TableSnapshot, TargetError> {
        self.device.read()
    }
}
