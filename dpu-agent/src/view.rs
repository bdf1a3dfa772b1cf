//! What the driver publishes for everyone to see.

use dpu_reconciler::Status;
use offload_api::types::{DeviceState, DpuStatus, TableUsage};
use table_model::{Capability, Generation};

/// The agent's state at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct View {
    /// The reconciler.
    pub status: Status,
    /// What the device can do, from the last time that it was reached.
    pub capability: Option<Capability>,
    /// Why the device is not reached, in one sentence; empty if it is.
    pub detail: String,
    /// Tables and how full they are.
    pub tables: Vec<TableUsage>,
    /// Times that the device was reached.
    pub connects: u64,
    /// The generation that the device was last seen to hold exactly.
    pub observed: Generation,
    /// The host agent whose stream is open, by its identity.
    pub host: Option<String>,
}

impl View {
    /// Whether the agent does its work: the device is reached and read back and, once a host has given
    /// a desired state, one is enforced.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.not_ready().is_none()
    }

    /// Why the agent is not ready.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        let status = &self.status;
        if !status.connected {
            return Some(if self.detail.is_empty() {
                "The device is not reached yet".to_owned()
            } else {
                self.detail.clone()
            });
        }
        if !status.read_back {
            return Some("The device is being read back".to_owned());
        }
        if let Some(fault) = &status.fault {
            return Some(format!("The desired state cannot be brought back: {fault}"));
        }
        if status.repairing {
            return Some("Rows are being brought back".to_owned());
        }
        if status.desired.is_some() && status.enforced.is_none() {
            return Some("The first desired state is being written".to_owned());
        }
        None
    }

    pub(crate) fn state(&self) -> DeviceState {
        match (self.status.connected, self.status.read_back) {
            (false, _) => DeviceState::Connecting,
            (true, false) => DeviceState::Reading,
            (true, true) => DeviceState::Ready,
        }
    }

    pub(crate) fn to_host(&self) -> DpuStatus {
        let status = &self.status;
        DpuStatus {
            observed: self.observed,
            drift_repaired: status.drift.total(),
            state: self.state(),
            state_detail: self.not_ready().unwrap_or_default(),
        }
    }
}
