//! Rows to P4Runtime's table entries and back (P4Runtime 9.1).

use bytes::Bytes;
use p4runtime_proto::bytestring;
use p4runtime_proto::p4::config::v1::TableActionCall;
use p4runtime_proto::p4::v1::field_match::{Exact, FieldMatchType, Lpm};
use p4runtime_proto::p4::v1::{
    Action, CounterData, Entity, FieldMatch, MeterConfig, TableAction, TableEntry,
    Update as WireUpdate, action, entity::Entity as Kind, table_action, update,
};
use table_model::{
    ActionCall, ActionId, FieldValue, METER_PARAMS, MatchKind, Row, RowKey, Schema, SchemaError,
    TableId, TableSchema, Update,
};
use thiserror::Error;

/// Why a table entry is no row.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum CodecError {
    /// Ids, widths or prefixes that the schema does not have.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A match that is missing or of another kind than the schema's.
    #[error("Table {table}: field {field} is missing or of another match kind")]
    Field {
        /// Table name.
        table: String,
        /// Field name.
        field: String,
    },
    /// A parameter that is missing.
    #[error("Table {table}: parameter {param} is missing")]
    Param {
        /// Table name.
        table: String,
        /// Parameter name.
        param: String,
    },
    /// No plain action: a group, a member, or none.
    #[error("Table {0}: the entry has no plain action")]
    Action(String),
}

/// An update for the wire.
///
/// The row of a table without match fields is the default entry, which can only be modified; taking
/// the action away brings the initial one back (P4Runtime 9.1.3).
pub(crate) fn encode(schema: &Schema, update: &Update) -> Result<WireUpdate, SchemaError> {
    let key = update.key();
    let table = schema.table(key.table)?;
    let action = match update {
        Update::Insert(row) | Update::Modify(row) => Some(encode_action(table, &row.action)?),
        Update::Delete(_) => None,
    };
    let default = table.fields.is_empty();
    let kind = match update {
        _ if default => update::Type::Modify,
        Update::Insert(_) => update::Type::Insert,
        Update::Modify(_) => update::Type::Modify,
        Update::Delete(_) => update::Type::Delete,
    };
    let entry = TableEntry {
        table_id: key.table.0,
        r#match: encode_match(table, key)?,
        meter_config: match update {
            Update::Insert(row) | Update::Modify(row) => encode_meter(table, &row.action)?,
            Update::Delete(_) => None,
        },
        action,
        is_default_action: default,
        ..TableEntry::default()
    };
    Ok(WireUpdate {
        r#type: kind.into(),
        entity: Some(Entity {
            entity: Some(Kind::TableEntry(entry)),
        }),
    })
}

/// A question for the counter of one entry.
pub(crate) fn encode_counter(schema: &Schema, key: &RowKey) -> Result<TableEntry, SchemaError> {
    Ok(TableEntry {
        table_id: key.table.0,
        r#match: encode_match(schema.table(key.table)?, key)?,
        counter_data: Some(CounterData::default()),
        ..TableEntry::default()
    })
}

fn encode_match(table: &TableSchema, key: &RowKey) -> Result<Vec<FieldMatch>, SchemaError> {
    let want: usize = table.fields.iter().map(|field| field.packed_len()).sum();
    if key.bytes.len() != want {
        return Err(SchemaError::Length {
            what: table.name.clone(),
            want,
            given: key.bytes.len(),
        });
    }
    // All fields share one buffer.
    let bytes = Bytes::copy_from_slice(&key.bytes);
    let mut at = 0;
    let mut out = Vec::with_capacity(table.fields.len());
    for field in &table.fields {
        let width = usize::from(field.bits).div_ceil(8);
        let value = canonical(&bytes, at, width);
        let kind = match field.kind {
            MatchKind::Exact => Some(FieldMatchType::Exact(Exact { value })),
            MatchKind::Lpm => {
                let prefix_len = i32::from(bytes[at + width]);
                // A prefix of length 0 matches all and must be left out (P4Runtime 9.1.1).
                (prefix_len > 0).then_some(FieldMatchType::Lpm(Lpm { value, prefix_len }))
            }
        };
        at += field.packed_len();
        if kind.is_some() {
            out.push(FieldMatch {
                field_id: field.id,
                field_match_type: kind,
            });
        }
    }
    Ok(out)
}

fn encode_action(table: &TableSchema, call: &ActionCall) -> Result<TableAction, SchemaError> {
    let schema = table.action(call.action)?;
    // Checks lengths and widths.
    schema.params(call)?;
    let bytes = Bytes::copy_from_slice(&call.params);
    let mut at = 0;
    let params = schema
        .params
        .iter()
        .filter(|param| !METER_PARAMS.contains(&param.id))
        .map(|param| {
            let width = usize::from(param.bits).div_ceil(8);
            let value = canonical(&bytes, at, width);
            at += width;
            action::Param {
                param_id: param.id,
                value,
            }
        })
        .collect();
    Ok(TableAction {
        r#type: Some(table_action::Type::Action(Action {
            action_id: call.action.0,
            params,
        })),
    })
}

/// The configuration of the entry's own meter (P4Runtime 9.1.6), none if the table has no meters.
fn encode_meter(
    table: &TableSchema,
    call: &ActionCall,
) -> Result<Option<MeterConfig>, SchemaError> {
    let schema = table.action(call.action)?;
    if !schema.is_metered() {
        return Ok(None);
    }
    let params = schema.params(call)?;
    let of = |id: u32| {
        let mut all = schema.params.iter().zip(&params);
        let value = all
            .find(|(param, _)| param.id == id)
            .map(|(_, value)| *value);
        // 63 bits wide.
        value.map_or(0, |value| i64::try_from(value).unwrap_or(i64::MAX))
    };
    let [cir, cburst, pir, pburst] = METER_PARAMS.map(of);
    Ok(Some(MeterConfig {
        cir,
        cburst,
        pir,
        pburst,
        ..MeterConfig::default()
    }))
}

/// What a parameter of the schema is in an entry's meter, none for the action's own parameters.
fn meter_param(id: u32, config: Option<&MeterConfig>) -> Option<u128> {
    let place = METER_PARAMS.iter().position(|param| *param == id)?;
    let values = config.map_or([0; 4], |config| {
        [config.cir, config.cburst, config.pir, config.pburst]
    });
    // Rates are signed on the wire; nobody can have written one below zero.
    Some(u128::try_from(values[place]).unwrap_or(0))
}

fn canonical(bytes: &Bytes, at: usize, width: usize) -> Bytes {
    let short = bytestring::canonical(&bytes[at..at + width]).len();
    bytes.slice(at + width - short..at + width)
}

/// The row of a table entry; none for a default entry without an action.
pub(crate) fn decode(schema: &Schema, entry: &TableEntry) -> Result<Option<Row>, CodecError> {
    let table = schema.table(TableId(entry.table_id))?;
    if entry.is_default_action && entry.action.is_none() {
        return Ok(None);
    }
    Ok(Some(Row {
        key: decode_key(table, entry)?,
        action: decode_action(table, entry)?,
    }))
}

/// The key of a table entry, whatever it does.
pub(crate) fn decode_key(table: &TableSchema, entry: &TableEntry) -> Result<RowKey, CodecError> {
    let mut fields = Vec::with_capacity(table.fields.len());
    for field in &table.fields {
        let missing = || CodecError::Field {
            table: table.name.clone(),
            field: field.name.clone(),
        };
        let there = entry.r#match.iter().find(|m| m.field_id == field.id);
        let kind = there.and_then(|there| there.field_match_type.as_ref());
        fields.push(match (field.kind, kind) {
            (MatchKind::Exact, Some(FieldMatchType::Exact(exact))) => {
                FieldValue::Exact(number(&exact.value, &field.name, field.bits)?)
            }
            (MatchKind::Lpm, Some(FieldMatchType::Lpm(lpm))) => FieldValue::Lpm {
                value: number(&lpm.value, &field.name, field.bits)?,
                prefix_len: u8::try_from(lpm.prefix_len).map_err(|_| missing())?,
            },
            (MatchKind::Lpm, None) => FieldValue::Lpm {
                value: 0,
                prefix_len: 0,
            },
            _ => return Err(missing()),
        });
    }
    Ok(table.key(&fields)?)
}

fn decode_action(table: &TableSchema, entry: &TableEntry) -> Result<ActionCall, CodecError> {
    let action = entry.action.as_ref();
    let Some(table_action::Type::Action(action)) = action.and_then(|a| a.r#type.as_ref()) else {
        return Err(CodecError::Action(table.name.clone()));
    };
    let schema = table.action(ActionId(action.action_id))?;
    let mut params = Vec::with_capacity(schema.params.len());
    for param in &schema.params {
        if let Some(value) = meter_param(param.id, entry.meter_config.as_ref()) {
            params.push(value);
            continue;
        }
        let there = action.params.iter().find(|p| p.param_id == param.id);
        let value = there.ok_or_else(|| CodecError::Param {
            table: table.name.clone(),
            param: param.name.clone(),
        })?;
        params.push(number(&value.value, &param.name, param.bits)?);
    }
    Ok(schema.call(&params)?)
}

/// A default entry as the p4info has it; none if it is no row of the schema.
pub(crate) fn initial(table: &TableSchema, call: &TableActionCall) -> Option<ActionCall> {
    let schema = table.action(ActionId(call.action_id)).ok()?;
    let params: Option<Vec<u128>> = schema
        .params
        .iter()
        .map(|param| {
            let there = call.arguments.iter().find(|a| a.param_id == param.id)?;
            number(&there.value, &param.name, param.bits).ok()
        })
        .collect();
    schema.call(&params?).ok()
}

/// Counts are signed on the wire; what is below zero was never counted.
pub(crate) fn decode_counter(data: &CounterData) -> dpu_backend::CounterValue {
    dpu_backend::CounterValue {
        packets: u64::try_from(data.packet_count).unwrap_or(0),
        bytes: u64::try_from(data.byte_count).unwrap_or(0),
    }
}

/// A number of at most `bits`. bmv2 stores what it is given, empty strings included; those are zero.
fn number(bytes: &[u8], what: &str, bits: u8) -> Result<u128, SchemaError> {
    if bytes.is_empty() {
        return Ok(0);
    }
    bytestring::decode(bytes, usize::from(bits)).map_err(|_| SchemaError::TooWide {
        what: what.to_owned(),
        bits,
        value: bytes
            .iter()
            .rev()
            .take(16)
            .rev()
            .fold(0, |value, byte| value << 8 | u128::from(*byte)),
    })
}

#[cfg(test)]
mod tests;
