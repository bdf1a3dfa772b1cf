//! Packed rows.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{ActionId, TableId};

/// The identity of a row: its table and its packed match fields, and nothing else.
///
/// A table without match fields has one key, the empty one; it stands for the table's default
/// entry (P4Runtime: `TableEntry.is_default_action`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RowKey {
    /// The table.
    pub table: TableId,
    /// Match fields in schema order, big-endian, whole bytes each; an LPM field is followed by one
    /// byte of prefix length in bits.
    pub bytes: SmallVec<[u8; 24]>,
}

/// What a row does: an action and its packed parameters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ActionCall {
    /// The action.
    pub action: ActionId,
    /// Parameters in schema order, big-endian, whole bytes each.
    pub params: SmallVec<[u8; 24]>,
}

/// A key with what it does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Identity.
    pub key: RowKey,
    /// Effect.
    pub action: ActionCall,
}

/// One match field, unpacked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FieldValue {
    /// The whole field must equal this value.
    Exact(u128),
    /// The field's first `prefix_len` bits must equal those of `value`.
    Lpm {
        /// Value, right aligned, bits behind the prefix zero.
        value: u128,
        /// Length in bits, 0 (matches all) to the field's width.
        prefix_len: u8,
    },
}
