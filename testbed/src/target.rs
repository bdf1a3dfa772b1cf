//! What packets are sent through.

mod bmv2;
mod device;
mod ports;
mod rows;
mod soft;

use std::time::Duration;

use policy_model::Flow;
use table_model::{Capability, Phase, TableSnapshot};
use thiserror::Error;

pub(crate) use bmv2::{Bmv2, EGRESS_THREADS, RawBmv2};
pub(crate) use ports::{Attachment, Ports};
pub(crate) use rows::Rows;
pub(crate) use soft::Soft;

/// `--target`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum TargetKind {
    /// The embedded P4 target, in this process, programmed over P4Runtime.
    Soft,
    /// `simple_switch_grpc` of the behavioral model, started for this run.
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

/// Packets that may be under way together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Batch {
    /// The packets in question.
    pub(crate) probes: Vec<Probe>,
    /// Packets that are always answered at the port where they enter, one for each egress thread
    /// of bmv2 that a probe may leave through. For targets that do not tell what they drop.
    pub(crate) sentinels: Vec<(u16, Vec<u8>)>,
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
    fn send(&mut self, batch: &Batch) -> Result<Vec<Option<u16>>, TargetError>;

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
    /// The embedded switch.
    #[error("The embedded target does not start")]
    Start(#[from] p4switch::StartError),
    /// The pipeline.
    #[error("The compiled pipeline cannot be used")]
    Pipeline(#[from] backend_p4rt::PipelineError),
    /// The device's control connection.
    #[error("The target cannot be programmed")]
    Device(#[from] dpu_backend::DeviceError),
    /// A row was refused.
    #[error("The target did not take a row: {update}: {outcome}")]
    NotTaken {
        /// What was to be done.
        update: String,
        /// What the device said.
        outcome: String,
    },
    /// It is gone.
    #[error("The target has stopped")]
    Stopped,
    /// It ended by itself.
    #[error("The target ended with {status} when it should have listened")]
    Ended {
        /// Its exit status.
        status: String,
    },
    /// No answer.
    #[error("The target did not answer within {deadline:?}")]
    Silent {
        /// How long it had.
        deadline: Duration,
    },
    /// No such program.
    #[error(
        "{program} cannot be run. Install the behavioral model (bmv2) with gRPC, or name the \
         program with --bmv2"
    )]
    NotInstalled {
        /// What was run.
        program: String,
        /// Why it was not.
        source: std::io::Error,
    },
    /// The packet stream cannot be opened.
    #[error("The packet stream of the target cannot be opened")]
    Connect(#[from] tonic::transport::Error),
    /// The packet stream broke.
    #[error("The packet stream of the target broke")]
    Stream(#[from] tonic::Status),
    /// The operating system gave no thread, process or socket.
    #[error("The operating system gave no thread, process or socket")]
    System(#[from] std::io::Error),
}

/// For control connections: calls wait for their answers, a thread of its own keeps them alive.
fn runtime() -> Result<tokio::runtime::Runtime, TargetError> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}
