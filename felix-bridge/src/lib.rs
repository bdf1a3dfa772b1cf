//! Calico's door: updates from Felix, the in-sync gate, status back, and the relay that Felix starts.
//!
//! *In:* the frames that Felix writes to a dataplane driver. *Out:* [`policy_model::Update`]s for
//! the model, [`Problem`]s for people, and status messages for Felix. The generated messages stop
//! at the modules that convert them and appear in no signature here.

#![forbid(unsafe_code)]

mod convert;
mod dialect;
mod reader;
mod session;

pub use convert::{Converted, Converter, Effect, Problem};
pub use dialect::{Dialect, Evidence};
pub use reader::{FrameReader, ReadError};
pub use session::{Counts, Received, Session, SessionError};
