//! Policy model to table rows: labels, groups, verdicts.
//!
//! *In:* a `policy_model::PolicyModel`, what changed in it, and the [`Site`]. *Out:* a [`Commit`]:
//! updates of rows in phases, so that every packet meets the policy of before or of after and never
//! a mixture. Pure: no clock, no randomness, no I/O, and the same rows for the same policy whatever
//! the history. The README of this room has the argument.

#![forbid(unsafe_code)]

mod atom;
mod chain;
mod class;
mod compiler;
mod endpoint;
mod error;
mod explain;
mod fingerprint;
mod fold;
#[cfg(any(test, feature = "generate"))]
pub mod generate;
mod host;
mod journal;
mod label;
mod limits;
mod nets;
mod partition;
mod plane;
mod ports;
mod program;
mod render;
mod rows;
mod rule_ref;
mod shared;
mod site;
mod site_rows;
mod slab;
mod walk;

#[cfg(test)]
mod tests;

pub use chain::LegOwner;
pub use compiler::{Commit, Compiler, TableUsage};
pub use endpoint::EndpointState;
pub use error::CompileError;
pub use explain::{ExplainedLeg, Explanation};
pub use render::row as render_row;
pub use rule_ref::{HostAction, RuleHolder, RuleRef};
pub use site::{HostPort, Port, Site, Uplink};
pub use walk::{LegWalk, Walk, Walker};
