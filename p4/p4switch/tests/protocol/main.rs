//! The server over loopback, with the client of `p4runtime-proto`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod arbitration;
mod model;
mod packets;
mod pipelines;
mod reads;
mod replication;
mod support;
mod writes;
