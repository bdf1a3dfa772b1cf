//! What a device must offer, with an in-memory and a fault-injecting back end.
//!
//! *In:* updates of rows, one phase at a time. *Out:* what became of each, rows read back, counters.
//! A back end knows rows and its device; it knows no policy, no generation and no plan. Who drives it
//! (one task of `dpu-agent`) makes one call at a time, and takes the state that it reads back for the
//! truth.
//!
//! [`Memory`] and [`Faulty`] are always built: tests of every room that stands above a device use
//! them.

#![forbid(unsafe_code)]

mod backend;
mod error;
mod faulty;
mod memory;
#[cfg(test)]
mod testing;

pub use backend::{Backend, CounterValue, EntryCounter, PortState, Sink};
pub use error::{DeviceError, Retry};
pub use faulty::{Faults, Faulty};
pub use memory::{Memory, MemoryDevice};
pub use table_model::{Outcome, WriteReport};
