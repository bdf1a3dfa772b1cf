//! The host's side: takes what Felix says, compiles it to rows, and keeps the DPU up to date.
//!
//! *In:* events of [`felix_bridge::server`]. *Out:* phases to [`offload_api::sync::SyncClient`],
//! status to Felix, answers to `offloadctl`, metrics. One task owns the model and the compiler; all
//! others talk to it over bounded channels.

#![forbid(unsafe_code)]

mod agent;
mod answers;
pub mod config;
mod counting;
mod counts;
mod diff;
mod endpoints;
mod entries;
mod felix;
mod gate;
mod http;
mod inventory;
mod metrics;
mod policies;
mod reports;
mod run;
mod status;
mod verdict;

pub use config::{Config, ConfigError};
pub use run::{HostAgent, RunError, check, run};
