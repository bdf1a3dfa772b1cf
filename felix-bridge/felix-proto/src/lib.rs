//! Felix's external dataplane protocol: frames and messages.
//!
//! *In:* the bytes of a pipe, in any pieces. *Out:* [`Frame`]s, and [`Message`]s decoded from them;
//! and the way back for what a driver tells Felix. Knows nothing of policy: what a message means is
//! the business of `felix-bridge`, which alone may name the generated types.
//!
//! The messages under `proto/` are the superset of what Felix 3.30 to 3.33 write; the few numbers
//! that changed their type between releases are told apart here ([`PolicyRef`], [`decode`]).

#![forbid(unsafe_code)]

mod frame;
mod message;
mod policy_ref;
mod wire;

/// The messages, generated from `proto/`.
#[expect(
    missing_docs,
    clippy::large_enum_variant,
    reason = "generated code; the comments are in the .proto files"
)]
pub mod felix {
    include!("gen/felix.rs");
}

pub use frame::{DEFAULT_LIMIT, Decoder, Frame, FrameError, HEADER, encode};
pub use message::{DecodeError, Message, decode, decode_from};
pub use policy_ref::{PolicyRef, PolicyRefError};
pub use wire::{Field, FieldPath, Message as MessageFields, UnknownField, messages};
