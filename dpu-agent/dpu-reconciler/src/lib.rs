//! Desired minus observed, as a state machine without sockets or clocks.
//!
//! *In:* what a host wants (a complete snapshot, or a delta in phases), what a device answers (rows
//! read back, outcomes of writes), connections that come and go, and time. *Out:* the next thing to
//! do to the device, one at a time, and reports for whoever asked. The driver in `dpu-agent` owns one
//! [`Reconciler`], carries its [`Output`]s out and feeds the answers back; tests do the same without
//! any device.
//!
//! What it keeps to:
//! - *Level-triggered.* Every step compares what a row should be with what it was last seen to be. A
//!   row that is right is not written; a row that someone else put there is adopted.
//! - *Read before write.* Nothing is written until every table was read over this connection, and a
//!   table with an uncertain answer is read again before the next write.
//! - *No delete without a complete desired state.* A snapshot is complete or it does not exist.
//! - *Make before break.* A delta's phases keep their order and boundaries; a subtraction is sequenced
//!   by rank; a rollback walks the phases backwards.
//! - *All or nothing.* A change that the device cannot take in full is undone, and what was enforced
//!   before stays enforced.

#![forbid(unsafe_code)]

mod epoch;
mod message;
mod plan;
mod reconciler;
mod status;
mod transaction;

pub use epoch::EpochField;
pub use message::{Desync, Input, Output, Refusal, Report, Session};
pub use reconciler::{Reconciler, Settings};
pub use status::{Drift, Status};
