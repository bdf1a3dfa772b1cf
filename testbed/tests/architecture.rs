//! The import rules and the shape of the rooms, held by machine.
//!
//! *In:* `cargo metadata` and the files of the checkout. *Out:* one failing test for each broken
//! rule, naming who breaks it.

#[path = "architecture/documents.rs"]
mod documents;
#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/sources.rs"]
mod sources;
#[path = "architecture/workspace.rs"]
mod workspace;
