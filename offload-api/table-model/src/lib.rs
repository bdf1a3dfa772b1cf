//! Rows, keys, deltas and capability records: what crosses from the host to the DPU.
//!
//! *In:* rows that `policy-compiler` made against a [`Schema`] (which `p4-tables` generates from the
//! pipeline's p4info). *Out:* a [`TableDelta`] in phases, or a [`TableSnapshot`] to subtract from.
//! Nothing here knows a policy, a device or a wire format, and nothing here does I/O.
//!
//! A row is packed: key and parameters are the schema's fields one after another, each in as many
//! big-endian bytes as its width needs. Packed rows are small, hash fast and compare byte for byte;
//! a [`TableSchema`] turns them back into named values for people and for devices.

#![forbid(unsafe_code)]

mod capability;
mod delta;
mod outcome;
mod row;
mod schema;
mod sequence;
mod snapshot;

pub use capability::{Atomicity, Capability, Flip, TableLimit};
pub use delta::{Generation, Phase, TableDelta, Update};
pub use outcome::{Outcome, WriteReport};
pub use row::{ActionCall, FieldValue, Row, RowKey};
pub use schema::{
    ActionId, ActionSchema, FieldSchema, METER_PARAMS, MatchKind, ParamSchema, Rank, Schema,
    SchemaError, TableId, TableSchema,
};
pub use sequence::{diff, sequence};
pub use snapshot::{ApplyError, TableSnapshot};
