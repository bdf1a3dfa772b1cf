//! The server over loopback, with the client of `p4runtime-proto`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod arbitration;
mod digests;
mod entities;
mod idle;
mod meters;
mod model;
mod names;
mod packets;
mod pipelines;
mod reads;
mod replication;
mod role_configs;
mod selectors;
mod support;
mod writes;
