//! Match fields (P4Runtime 9.1.1).

use p4_engine::{KeyPart, MatchKind, Value};
use p4runtime_proto::p4::v1::{FieldMatch, field_match::FieldMatchType};

use super::written;
use crate::{
    failure::Failure,
    operation::Key,
    pipeline::{Field, Table},
};

/// The key of an entry, with priority.
///
/// `allocate` lets names that are new have a number.
pub(super) fn key(
    table: &Table,
    given: &[FieldMatch],
    priority: i32,
    allocate: bool,
) -> Result<Key, Failure> {
    if table.needs_priority && priority <= 0 {
        return Err(Failure::invalid(format!(
            "Entries of table {} need a priority above 0, {priority} given",
            table.name
        )));
    }
    if !table.needs_priority && priority != 0 {
        return Err(Failure::invalid(format!(
            "Entries of table {} take no priority, {priority} given",
            table.name
        )));
    }
    Ok(Key {
        parts: parts(table, given, allocate)?,
        priority,
    })
}

/// The match fields in the engine's order, absent ones as don't care.
pub(super) fn parts(
    table: &Table,
    given: &[FieldMatch],
    allocate: bool,
) -> Result<Vec<KeyPart>, Failure> {
    if table.fields.is_empty() {
        return Err(Failure::invalid(format!(
            "Table {} has no key, so it has a default entry and no others",
            table.name
        )));
    }
    let mut seen = 0;
    let parts = table
        .fields
        .iter()
        .map(|field| {
            let mut own = given.iter().filter(|given| given.field_id == field.id);
            let first = own.next();
            if own.next().is_some() {
                return Err(Failure::invalid(format!(
                    "Field {} of table {} is given twice",
                    field.name, table.name
                )));
            }
            match first {
                Some(given) => {
                    seen += 1;
                    part(&table.name, field, given, allocate)
                }
                None => absent(table, field),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    if seen != given.len() {
        let stray = given
            .iter()
            .find(|given| table.fields.iter().all(|field| field.id != given.field_id));
        return Err(Failure::invalid(format!(
            "Table {} has no match field with id {}",
            table.name,
            stray.map_or(0, |stray| stray.field_id)
        )));
    }
    Ok(parts)
}

fn absent(table: &Table, field: &Field) -> Result<KeyPart, Failure> {
    Ok(match field.kind {
        MatchKind::Exact => {
            return Err(Failure::invalid(format!(
                "Exact field {} of table {} is missing",
                field.name, table.name
            )));
        }
        MatchKind::Lpm => KeyPart::Lpm {
            value: Value::zero(),
            prefix_len: 0,
        },
        MatchKind::Ternary => KeyPart::Ternary {
            value: Value::zero(),
            mask: Value::zero(),
        },
        MatchKind::Range => KeyPart::Range {
            low: Value::zero(),
            high: Value::ones(field.bits),
        },
        MatchKind::Optional => optional(field, None),
    })
}

/// One field of the object that is called `table`.
pub(super) fn part(
    table: &str,
    field: &Field,
    given: &FieldMatch,
    allocate: bool,
) -> Result<KeyPart, Failure> {
    let bits = field.bits;
    let value = |bytes: &[u8], part: &str| {
        written(bytes, bits, &field.form, allocate, || {
            format!("{part} of field {} of {table}", field.name)
        })
    };
    let refuse =
        |problem: &str| Failure::invalid(format!("Field {} of {table}: {problem}", field.name));
    match (field.kind, &given.field_match_type) {
        (MatchKind::Exact, Some(FieldMatchType::Exact(exact))) => {
            Ok(KeyPart::Exact(value(&exact.value, "Value")?))
        }
        (MatchKind::Optional, Some(FieldMatchType::Optional(optional))) => Ok(self::optional(
            field,
            Some(value(&optional.value, "Value")?),
        )),
        (MatchKind::Lpm, Some(FieldMatchType::Lpm(lpm))) => {
            let prefix = value(&lpm.value, "Value")?;
            let len = usize::try_from(lpm.prefix_len)
                .ok()
                .filter(|len| *len <= bits)
                .ok_or_else(|| refuse("the prefix length is outside of the field"))?;
            if len == 0 {
                return Err(refuse("a prefix of length 0 must be left out of the match"));
            }
            if trailing_zeros(&prefix).is_some_and(|zeros| zeros < bits - len) {
                return Err(refuse("the value has bits set behind the prefix"));
            }
            let prefix_len = u16::try_from(len).map_err(|_| refuse("the field is too wide"))?;
            Ok(KeyPart::Lpm {
                value: prefix,
                prefix_len,
            })
        }
        (MatchKind::Ternary, Some(FieldMatchType::Ternary(ternary))) => {
            let masked = value(&ternary.value, "Value")?;
            let mask = value(&ternary.mask, "Mask")?;
            if mask.is_zero() {
                return Err(refuse("a mask of zero must be left out of the match"));
            }
            if masked.and(&mask) != masked {
                return Err(refuse("the value has bits set outside of the mask"));
            }
            Ok(KeyPart::Ternary {
                value: masked,
                mask,
            })
        }
        (MatchKind::Range, Some(FieldMatchType::Range(range))) => {
            let low = value(&range.low, "Low bound")?;
            let high = value(&range.high, "High bound")?;
            if low > high {
                return Err(refuse("the low bound is above the high one"));
            }
            if low.is_zero() && high == Value::ones(bits) {
                return Err(refuse(
                    "a range of all values must be left out of the match",
                ));
            }
            Ok(KeyPart::Range { low, high })
        }
        (kind, _) => Err(refuse(&format!("a match of kind {kind:?} is wanted"))),
    }
}

/// An optional value, in the form that the program has for it.
fn optional(field: &Field, value: Option<Value>) -> KeyPart {
    if field.engine_kind != MatchKind::Ternary {
        return KeyPart::Optional(value);
    }
    match value {
        Some(value) => KeyPart::Ternary {
            value,
            mask: Value::ones(field.bits),
        },
        None => KeyPart::Ternary {
            value: Value::zero(),
            mask: Value::zero(),
        },
    }
}

/// `None` for zero.
fn trailing_zeros(value: &Value) -> Option<usize> {
    let limbs = value.limbs();
    let at = limbs.iter().position(|limb| *limb != 0)?;
    Some(at * 64 + limbs[at].trailing_zeros() as usize)
}
