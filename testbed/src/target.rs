//! What packets are sent through.

mod ports;
mod rows;

use policy_model::Flow;
use table_model::{Capability, Phase, TableSnapshot};
use thiserror::Error;

pub(crate) use ports::{Attachment, Ports};
pub(crate) use rows::Rows;

/// `--target`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum TargetKind {
    /// The embedded P4 target, in this process, programmed over P4Runtime.
    Soft,
    /// A running `simple_switch_grpc`.
    Bmv2,
    /// No device: the compiled rows, followed table by table. Tells a fault of the compiler from
    /// one of the device.
    Rows,
    /// Nothing at all: the reference evaluator alone.
    None,
}

/// A packet to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Probe {
    /// The flow that it opens.
    pub(crate) flow: Flow,
    /// Port that it enters by.
    pub(crate) port: u16,
    /// The packet, from its Ethernet header on.
    pub(crate) frame: Vec<u8>,
}

/// A device that takes rows and packets.
pub(crate) trait Target {
    /// What it can do.
    fn capability(&self) -> &Capability;

    /// Writes phases in order, with a boundary between them.
    ///
    /// # Errors
    /// A row was not taken, or the device is lost.
    fn apply(&mut self, phases: &[Phase]) -> Result<(), TargetError>;

    /// Sends packets and says for each, in order, by which port it came out; none for one that was
    /// dropped.
    ///
    /// # Errors
    /// The device is lost.
    fn send(&mut self, probes: &[Probe]) -> Result<Vec<Option<u16>>, TargetError>;

    /// All rows, read back from the device.
    ///
    /// # Errors
    /// The device is lost.
    fn read(&mut self) -> Result<TableSnapshot, TargetError>;
}

/// Why a target failed.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    /// Rows do not follow from those before: the compiler's books are wrong.
    #[error("A row does not fit those that are there")]
    Apply(#[from] table_model::ApplyError),
}
