//! Streams that real Felixes wrote, through the converter, the journal, the relay and the server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as expected"
)]

mod dialects;
mod equivalence;
mod process;
mod recording;
mod restart;
mod server;
mod state;
