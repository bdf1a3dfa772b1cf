//! What packets are sent through.

use table_model::Phase;
use thiserror::Error;

/// `--target`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum TargetKind {
    /// The embedded P4 target, in this process, programmed over P4Runtime.
    Soft,
    /// A running `simple_switch_grpc`.
    Bmv2,
    /// None: the reference evaluator alone.
    None,
}

/// A frame and the port that it enters or leaves by.
pub(crate) type PortFrame = (u16, Vec<u8>);

/// A device that takes rows and packets.
pub(crate) trait Target {
    /// Back end and device, for people.
    fn name(&self) -> String;

    /// Writes phases in order, with a boundary between them.
    ///
    /// # Errors
    /// A row was not taken, or the device is lost.
    fn apply(&mut self, phases: &[Phase]) -> Result<(), TargetError>;

    /// Sends frames and says what came out for each, in order; none for a frame that was dropped.
    ///
    /// # Errors
    /// The device is lost.
    fn send(&mut self, frames: Vec<PortFrame>) -> Result<Vec<Option<PortFrame>>, TargetError>;

    /// Entries in all tables, read back from the device.
    ///
    /// # Errors
    /// The device is lost.
    fn entries(&mut self) -> Result<u64, TargetError>;
}

/// Why a target failed.
#[derive(Debug, Error)]
pub(crate) enum TargetError {}
