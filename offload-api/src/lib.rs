//! The host to DPU API: protos, typed edge, mutual TLS, and the command line client.
//!
//! *In:* rows and deltas of [`table_model`] from the host. *Out:* the same on the DPU, numbered by
//! generation, acknowledged and resumable. The protos are under `proto/`, package
//! `margay.offload.v1alpha1`; [`edge`] turns their messages into the values of [`types`] and
//! [`table_model`] and back.

pub mod chunk;
pub mod edge;
pub mod identity;
mod page;
pub mod pki;
pub mod proto;
pub mod server;
pub mod tls;
pub mod types;
