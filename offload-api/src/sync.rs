//! The client of the sync stream: a state machine without I/O, and the task that drives it.

mod core;
mod driver;
mod undo;

pub use core::{Event, Limits, Link, SyncCore};
pub use driver::{SyncClient, SyncState, fresh_session};
