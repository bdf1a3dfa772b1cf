//! Generated messages and stubs of package `margay.offload.v1alpha1`.
//!
//! Only [`crate::edge`] and the services that speak the wire use these; every other signature has
//! types of [`table_model`] and [`crate::types`].

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::cast_lossless,
    clippy::missing_errors_doc,
    clippy::semicolon_if_nothing_returned,
    reason = "generated code follows its generator's style"
)]

include!("gen/margay.offload.v1alpha1.rs");
