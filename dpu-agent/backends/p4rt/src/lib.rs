//! Rows to a P4Runtime target and back.
//!
//! *In:* updates of rows, reads of tables. *Out:* P4Runtime writes in batches, rows that the target
//! holds, counters. [`P4rt`] implements [`dpu_backend::Backend`] for `p4switch`, bmv2
//! (`simple_switch_grpc`) and whoever else speaks P4Runtime; the pipeline that it puts in place is
//! [`Pipeline`]. Messages of the protocol stop at the `codec` module.
//!
//! It assumes the least of the server: updates that fail leave the others applied
//! (`CONTINUE_ON_ERROR` is the only atomicity that all servers have), `UNKNOWN` says nothing, a read
//! may come in one message or in many.

#![forbid(unsafe_code)]

mod codec;
mod connection;
mod pipeline;
mod read;
mod write;

pub use connection::{P4rt, Target};
pub use pipeline::{Pipeline, PipelineError};
