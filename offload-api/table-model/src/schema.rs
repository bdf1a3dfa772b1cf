//! The shape of tables, as the pipeline's p4info gives it, and the packing of rows.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use thiserror::Error;

use crate::{ActionCall, FieldValue, RowKey};

/// P4Runtime id of a table (`Preamble.id`, prefix 0x02).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TableId(pub u32);

/// P4Runtime id of an action (`Preamble.id`, prefix 0x01).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ActionId(pub u32);

/// How a field matches. The pipeline keeps to these two kinds on purpose: constant work a packet,
/// no priorities, and every target has them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum MatchKind {
    /// Equality.
    Exact,
    /// Longest prefix.
    Lpm,
}

/// Who refers to whom, and so the order of writes: a row of a higher rank may lead packets to rows
/// of a lower one, never the other way round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Rank {
    /// Rows reached only through ids that label and pointer rows hand out.
    Body,
    /// Rows that give an address its label.
    Label,
    /// Rows that a packet's own port and addresses select.
    Pointer,
}

/// A match field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldSchema {
    /// p4info match field id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Width in bits, 1 to 128.
    pub bits: u8,
    /// Kind.
    pub kind: MatchKind,
}

/// Ids of the parameters that stand for the configuration of an entry's own meter, in order: rate and
/// burst, peak rate and peak burst, in the meter's units (a second). They belong to every action of a
/// metered table and come after the action's own; no p4info gives a parameter such an id.
pub const METER_PARAMS: [u32; 4] = [0xffff_fff0, 0xffff_fff1, 0xffff_fff2, 0xffff_fff3];

/// An action parameter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ParamSchema {
    /// p4info parameter id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Width in bits, 1 to 128.
    pub bits: u8,
}

/// An action that a table allows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActionSchema {
    /// p4info id.
    pub id: ActionId,
    /// Name without its control block.
    pub name: String,
    /// Parameters in order.
    pub params: Vec<ParamSchema>,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableSchema {
    /// p4info id.
    pub id: TableId,
    /// Name without its control block.
    pub name: String,
    /// Entries that the target promises to hold.
    pub size: u64,
    /// Write order.
    pub rank: Rank,
    /// Match fields in order; none for a table that has only a default entry.
    pub fields: Vec<FieldSchema>,
    /// Actions that entries may use.
    pub actions: Vec<ActionSchema>,
    /// Whether each entry has a counter of packets and bytes.
    pub counted: bool,
}

/// All tables of a pipeline.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Schema {
    /// Hash of the p4info that this came from; both agents must agree on it.
    pub fingerprint: u64,
    /// Sorted by id.
    pub tables: Vec<TableSchema>,
}

/// Why bytes do not fit a schema.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SchemaError {
    /// No such table.
    #[error("Table {0:#010x} is not in the schema")]
    UnknownTable(u32),
    /// The table does not allow this action.
    #[error("Table {table} has no action {action:#010x}")]
    UnknownAction {
        /// Table name.
        table: String,
        /// Action id.
        action: u32,
    },
    /// Wrong number of match fields or parameters.
    #[error("{what} takes {want} values, {given} given")]
    Count {
        /// Table or action name.
        what: String,
        /// Expected number.
        want: usize,
        /// Given number.
        given: usize,
    },
    /// A value wider than its field.
    #[error("{value:#x} does not fit {bits} bits of {what}")]
    TooWide {
        /// Field or parameter name.
        what: String,
        /// Width.
        bits: u8,
        /// Value.
        value: u128,
    },
    /// Exact given where LPM is wanted or the other way round.
    #[error("Field {0} is of the other match kind")]
    Kind(String),
    /// A prefix with bits set behind its length, or longer than its field.
    #[error("Prefix of field {0} is not canonical")]
    Prefix(String),
    /// Packed bytes of the wrong length.
    #[error("{what} takes {want} packed bytes, {given} given")]
    Length {
        /// Table or action name.
        what: String,
        /// Expected length.
        want: usize,
        /// Given length.
        given: usize,
    },
}

const fn width_bytes(bits: u8) -> usize {
    (bits as usize).div_ceil(8)
}

const fn fits(value: u128, bits: u8) -> bool {
    bits >= 128 || value >> bits == 0
}

fn push(out: &mut SmallVec<[u8; 24]>, value: u128, bits: u8) {
    out.extend_from_slice(&value.to_be_bytes()[16 - width_bytes(bits)..]);
}

fn pull(bytes: &[u8]) -> u128 {
    bytes
        .iter()
        .fold(0, |acc, byte| acc << 8 | u128::from(*byte))
}

impl FieldSchema {
    /// Packed length in bytes, prefix length included.
    #[must_use]
    pub const fn packed_len(&self) -> usize {
        width_bytes(self.bits)
            + match self.kind {
                MatchKind::Exact => 0,
                MatchKind::Lpm => 1,
            }
    }

    fn check(&self, value: FieldValue) -> Result<(u128, Option<u8>), SchemaError> {
        let (value, prefix_len) = match (self.kind, value) {
            (MatchKind::Exact, FieldValue::Exact(value)) => (value, None),
            (MatchKind::Lpm, FieldValue::Lpm { value, prefix_len }) => (value, Some(prefix_len)),
            _ => return Err(SchemaError::Kind(self.name.clone())),
        };
        if !fits(value, self.bits) {
            return Err(SchemaError::TooWide {
                what: self.name.clone(),
                bits: self.bits,
                value,
            });
        }
        if let Some(len) = prefix_len {
            let spare = u32::from(self.bits).checked_sub(u32::from(len));
            match spare {
                Some(128) if value == 0 => {}
                Some(spare) if spare < 128 && value & ((1_u128 << spare) - 1) == 0 => {}
                _ => return Err(SchemaError::Prefix(self.name.clone())),
            }
        }
        Ok((value, prefix_len))
    }
}

impl TableSchema {
    /// Packs match fields into a key.
    ///
    /// # Errors
    /// Wrong number, kind or width of values; a prefix with bits behind its length.
    pub fn key(&self, fields: &[FieldValue]) -> Result<RowKey, SchemaError> {
        if fields.len() != self.fields.len() {
            return Err(SchemaError::Count {
                what: self.name.clone(),
                want: self.fields.len(),
                given: fields.len(),
            });
        }
        let mut bytes = SmallVec::new();
        for (schema, field) in self.fields.iter().zip(fields) {
            let (value, prefix_len) = schema.check(*field)?;
            push(&mut bytes, value, schema.bits);
            bytes.extend(prefix_len);
        }
        Ok(RowKey {
            table: self.id,
            bytes,
        })
    }

    /// Unpacks a key of this table.
    ///
    /// # Errors
    /// Bytes of the wrong length, a value too wide or a prefix that is not canonical.
    pub fn fields(&self, key: &RowKey) -> Result<Vec<FieldValue>, SchemaError> {
        let want = self.fields.iter().map(FieldSchema::packed_len).sum();
        if key.bytes.len() != want {
            return Err(SchemaError::Length {
                what: self.name.clone(),
                want,
                given: key.bytes.len(),
            });
        }
        let mut rest = key.bytes.as_slice();
        let mut out = Vec::with_capacity(self.fields.len());
        for schema in &self.fields {
            let (head, tail) = rest.split_at(schema.packed_len());
            let (value, len) = head.split_at(width_bytes(schema.bits));
            let field = match (schema.kind, len.first()) {
                (MatchKind::Lpm, Some(&prefix_len)) => FieldValue::Lpm {
                    value: pull(value),
                    prefix_len,
                },
                _ => FieldValue::Exact(pull(value)),
            };
            schema.check(field)?;
            out.push(field);
            rest = tail;
        }
        Ok(out)
    }

    /// The schema of one of this table's actions.
    ///
    /// # Errors
    /// The table has no such action.
    pub fn action(&self, id: ActionId) -> Result<&ActionSchema, SchemaError> {
        self.actions
            .iter()
            .find(|action| action.id == id)
            .ok_or_else(|| SchemaError::UnknownAction {
                table: self.name.clone(),
                action: id.0,
            })
    }
}

impl ActionSchema {
    /// Whether entries with this action configure a meter of their own ([`METER_PARAMS`]).
    #[must_use]
    pub fn is_metered(&self) -> bool {
        let last = self.params.last();
        last.is_some_and(|param| METER_PARAMS.contains(&param.id))
    }

    /// Packs parameters.
    ///
    /// # Errors
    /// Wrong number or width of values.
    pub fn call(&self, params: &[u128]) -> Result<ActionCall, SchemaError> {
        if params.len() != self.params.len() {
            return Err(SchemaError::Count {
                what: self.name.clone(),
                want: self.params.len(),
                given: params.len(),
            });
        }
        let mut bytes = SmallVec::new();
        for (schema, value) in self.params.iter().zip(params) {
            if !fits(*value, schema.bits) {
                return Err(SchemaError::TooWide {
                    what: schema.name.clone(),
                    bits: schema.bits,
                    value: *value,
                });
            }
            push(&mut bytes, *value, schema.bits);
        }
        Ok(ActionCall {
            action: self.id,
            params: bytes,
        })
    }

    /// Unpacks parameters.
    ///
    /// # Errors
    /// Bytes of the wrong length or a value too wide.
    pub fn params(&self, call: &ActionCall) -> Result<Vec<u128>, SchemaError> {
        let want = self
            .params
            .iter()
            .map(|param| width_bytes(param.bits))
            .sum();
        if call.params.len() != want {
            return Err(SchemaError::Length {
                what: self.name.clone(),
                want,
                given: call.params.len(),
            });
        }
        let mut rest = call.params.as_slice();
        let mut out = Vec::with_capacity(self.params.len());
        for schema in &self.params {
            let (head, tail) = rest.split_at(width_bytes(schema.bits));
            let value = pull(head);
            if !fits(value, schema.bits) {
                return Err(SchemaError::TooWide {
                    what: schema.name.clone(),
                    bits: schema.bits,
                    value,
                });
            }
            out.push(value);
            rest = tail;
        }
        Ok(out)
    }
}

impl Schema {
    /// A table by id.
    ///
    /// # Errors
    /// The schema has no such table.
    pub fn table(&self, id: TableId) -> Result<&TableSchema, SchemaError> {
        self.tables
            .binary_search_by_key(&id, |table| table.id)
            .map(|index| &self.tables[index])
            .map_err(|_| SchemaError::UnknownTable(id.0))
    }

    /// A table by name.
    #[must_use]
    pub fn table_named(&self, name: &str) -> Option<&TableSchema> {
        self.tables.iter().find(|table| table.name == name)
    }
}
