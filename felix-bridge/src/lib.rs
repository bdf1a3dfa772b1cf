//! Calico's door: updates from Felix, the in-sync gate, status back, and the relay that Felix starts.
//!
//! *In:* the frames that Felix writes to a dataplane driver. *Out:* [`policy_model::Update`]s for
//! the model, [`Problem`]s for people, and status messages for Felix. The generated messages stop
//! at the modules that convert them and appear in no signature here.

#![forbid(unsafe_code)]

mod config;
mod convert;
mod dialect;
mod journal;
pub mod ledger;
mod link;
mod mirror;
mod reader;
pub mod relay;
pub mod server;
mod session;
mod status;

pub use config::{DEFAULTS, EndpointToHost, FelixConfig};
pub use convert::{Converted, Converter, Effect, Problem};
pub use dialect::{Dialect, Evidence};
pub use journal::{Journal, JournalError, Recovered, Role};
pub use link::{DEFAULT_SOCKET, LinkError, SessionId, Unit, VERSION as LINK_VERSION};
pub use mirror::Mirror;
pub use reader::{FrameReader, ReadError};
pub use session::{Counts, Played, Received, Session, SessionError};
pub use status::{EndpointStatus, StatusBoard};
