//! The host to DPU API: protos, typed edge, mutual TLS, and the command line client.
//!
//! *In:* rows and deltas of [`table_model`] from the host. *Out:* the same on the DPU, numbered by
//! generation, acknowledged and resumable. The protos are under `proto/`, package
//! `margay.offload.v1alpha1`; [`edge`] turns their messages into the values of [`types`] and
//! [`table_model`] and back.

pub mod chunk;
pub mod client;
pub mod edge;
pub mod host;
pub mod identity;
mod page;
pub mod pki;
pub mod proto;
pub mod server;
pub mod sync;
pub mod tls;
pub mod types;

/// An error with its causes, for logs and people.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Transparent errors say what their cause says.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
