//! `testbed replay` as a user runs it: recorded streams, Calico's verdicts, flows of our own making,
//! and inputs that are broken.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test target: a failure is a panic"
)]

#[path = "replay/broken_input.rs"]
mod broken_input;
#[path = "replay/points.rs"]
mod points;
#[path = "replay/recordings.rs"]
mod recordings;
#[path = "replay/run.rs"]
mod run;
