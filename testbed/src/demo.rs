//! `testbed demo`: the main job with no hardware.

mod flows;
mod plan;
mod stream;

use std::process::ExitCode;

use thiserror::Error;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> ExitCode {
    ExitCode::FAILURE
}

/// Why the demo ended early.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    /// The stream cannot be cut into frames.
    #[error("Stream {name} is not whole. Copy or record it again")]
    Frames {
        /// Which.
        name: String,
        /// Where and why.
        source: felix_bridge::ReadError,
    },
    /// The stream's file.
    #[error(transparent)]
    Input(#[from] crate::replay::input::InputError),
    /// The stream says what no stream says.
    #[error("Stream {name} cannot be used")]
    Session {
        /// Which.
        name: String,
        /// Where and why.
        source: felix_bridge::SessionError,
    },
    /// The stream contradicts itself.
    #[error("Frame {frame} of stream {name} does not fit what came before")]
    Model {
        /// Which.
        name: String,
        /// From 0.
        frame: usize,
        /// Why.
        source: policy_model::ModelError,
    },
    /// The stream ends before its snapshot is complete.
    #[error(
        "Stream {name} ends after {frames} frames without an in-sync message, so nothing of it may \
         be enforced. Record it for longer"
    )]
    NotInSync {
        /// Which.
        name: String,
        /// How many it has.
        frames: usize,
    },
    /// More pods than the switch has ports.
    #[error("The stream names {count} pods; the switch has 509 ports for them")]
    TooManyPods {
        /// How many.
        count: usize,
    },
}
