//! `p4switch`: a P4Runtime server and packet ports round the engine.
//!
//! *In:* P4Runtime requests over gRPC, frames from network interfaces, from a unix socket or from
//! inside the process. *Out:* answers, and the frames that the program makes of them. The engine is
//! owned by one thread ([`dataplane`](self)); gRPC tasks check and translate requests and hand them
//! over a bounded channel, so that every batch falls between two packets.
//!
//! Who may call: `main.rs`, `testbed`, and tests of rooms that want a target in process:
//!
//! ```no_run
//! # fn main() -> Result<(), p4switch::StartError> {
//! let switch = p4switch::Switch::start(p4switch::Config::default())?;
//! let outputs = switch.inject(1, &[0; 60]);
//! assert!(outputs.is_empty(), "there is no program yet");
//! switch.shutdown();
//! # Ok(())
//! # }
//! ```

mod arbitration;
pub mod cli;
mod config;
mod control;
mod dataplane;
mod device;
mod failure;
mod interface;
mod observe;
pub mod offline;
mod operation;
mod pcap;
mod pipeline;
mod roles;
mod server;
mod service;
mod sessions;
mod switch;
mod trace;
mod translate;

pub use config::{Config, PortInterface, StartError, StartProgram, Tls};
pub use control::{PortFrame, Stopped};
pub use dataplane::Stats;
pub use interface::InterfaceError;
pub use observe::Observe;
pub use pcap::PcapError;
pub use pipeline::PipelineError;
pub use switch::{Handle, Switch};
pub use trace::TraceFormat;
