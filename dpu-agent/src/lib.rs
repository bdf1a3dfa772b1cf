//! Serves the offload API on the DPU and keeps the device's tables as the host wants them.
//!
//! *In:* snapshots and deltas of a host agent over the offload API, questions of people. *Out:* rows on
//! one device, acknowledgements, metrics. One task owns the [`dpu_reconciler::Reconciler`] and the
//! device (`driver`); everything else asks it over a bounded channel or looks at what it publishes.
//!
//! The agent may be stopped or killed at any time: the device goes on forwarding with what it holds,
//! and an agent that starts reads it back before it writes.

#![forbid(unsafe_code)]

mod agent;
pub mod config;
mod departed;
mod device;
mod driver;
mod http;
mod metrics;
mod service;
mod view;

pub use agent::{Agent, AgentError};
pub use config::{Config, ConfigError};
pub use device::Device;
pub use view::View;

/// Runs an agent until `stop` completes, then ends it in an orderly way: the device keeps forwarding
/// what it holds.
///
/// # Errors
/// A port cannot be listened on, certificates are unusable, or a part of the agent failed.
pub async fn run(config: Config, stop: impl Future<Output = ()> + Send) -> Result<(), AgentError> {
    let mut agent = Agent::start(config).await?;
    tokio::select! {
        () = stop => agent.stop().await,
        error = agent.failed() => Err(error),
    }
}
