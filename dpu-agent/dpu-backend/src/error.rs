//! Why a device cannot be used.

use thiserror::Error;

/// What to do about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Connect again after a pause.
    Backoff,
    /// The same will happen again; someone has to change something first. Trying again now and then
    /// does no harm.
    Never,
}

/// Why a device cannot be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// No connection.
    #[error("Device {target} cannot be reached: {text}")]
    Unreachable {
        /// The device's address.
        target: String,
        /// The transport's words.
        text: String,
    },
    /// There was a connection, and it broke.
    #[error("Connection to device {target} broke: {text}")]
    Broken {
        /// The device's address.
        target: String,
        /// The transport's words.
        text: String,
    },
    /// Another writer is the device's primary.
    #[error(
        "Device {target} prefers another controller (election id {theirs:#x}, ours {ours:#x}); stop that one, or start this one later"
    )]
    NotPrimary {
        /// The device's address.
        target: String,
        /// Our election id.
        ours: u128,
        /// The winner's election id, 0 if the device does not say.
        theirs: u128,
    },
    /// The device does not take the pipeline.
    #[error("Device {target} refuses the pipeline: {text}")]
    Pipeline {
        /// The device's address.
        target: String,
        /// The device's words.
        text: String,
    },
    /// The device answered with something that no row or counter of this pipeline can be.
    #[error("Device {target} answered what the pipeline does not have: {text}")]
    Answer {
        /// The device's address.
        target: String,
        /// What is wrong.
        text: String,
    },
    /// The device refuses or fails a read.
    #[error("Device {target} does not answer a read: {text}")]
    Read {
        /// The device's address.
        target: String,
        /// The device's words.
        text: String,
    },
    /// A fault that a test asked for.
    #[error("Injected fault: {0}")]
    Injected(&'static str),
}

impl DeviceError {
    /// What to do about it.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::NotPrimary { .. }
            | Self::Read { .. }
            | Self::Injected(_) => Retry::Backoff,
            Self::Pipeline { .. } | Self::Answer { .. } => Retry::Never,
        }
    }
}
