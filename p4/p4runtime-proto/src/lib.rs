//! P4Runtime on the wire: messages, service stubs, byte strings and a client.
//!
//! *In:* typed calls of a controller (back end, testbed) or the bytes of a connection. *Out:* the
//! messages of packages [`p4::v1`], [`p4::config::v1`] and [`google::rpc`], compatible with
//! P4Runtime 1.0 to 1.5. Nothing here knows a program, a table or a policy; those who convert the
//! messages to types of their own do so in one module and let no message past it.

#![forbid(unsafe_code)]

pub mod bytestring;
pub mod client;
mod election;
mod update_error;

pub use client::Client;
pub use election::ElectionId;
pub use update_error::{UpdateError, decode_update_errors, encode_update_errors};

/// Version of the P4Runtime API that these messages are from.
pub const API_VERSION: &str = "1.5.0";

/// Generated code; regenerate with `BLESS=1 cargo test -p p4runtime-proto --test generated`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/, where the comments are"
)]
pub mod google {
    /// Package `google.rpc`.
    pub mod rpc {
        include!("gen/google.rpc.rs");
    }
}

/// Generated code; regenerate with `BLESS=1 cargo test -p p4runtime-proto --test generated`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    unused_lifetimes,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::missing_errors_doc,
    clippy::doc_markdown,
    clippy::allow_attributes_without_reason,
    clippy::semicolon_if_nothing_returned,
    clippy::uninlined_format_args,
    reason = "generated from proto/, where the comments are"
)]
pub mod p4 {
    /// Package `p4.v1`: the service and its entities.
    pub mod v1 {
        include!("gen/p4.v1.rs");
    }
    /// Packages `p4.config`.
    pub mod config {
        /// Package `p4.config.v1`: what a compiled program offers.
        pub mod v1 {
            include!("gen/p4.config.v1.rs");
        }
    }
}
