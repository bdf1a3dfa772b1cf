//! Keys of entries, packed as the code packs the keys of packets.

use smallvec::SmallVec;

use crate::entry::KeyPart;
use crate::error::ControlError;
use crate::ir::KeyPlace;
use crate::program::{KeyField, KeyLayout, MatchKind, TableInfo};
use crate::value::Value;

/// Limbs of a packed key.
pub(crate) type Limbs = SmallVec<[u64; 4]>;

/// A bound on a field that cannot be a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeCheck {
    /// First limb of the field in the packed key.
    pub(crate) limb: usize,
    pub(crate) low: SmallVec<[u64; 1]>,
    pub(crate) high: SmallVec<[u64; 1]>,
}

impl RangeCheck {
    /// True if the packed key lies between the bounds.
    pub(crate) fn holds(&self, key: &[u64]) -> bool {
        let field = &key[self.limb..self.limb + self.low.len()];
        field.iter().rev().ge(self.low.iter().rev())
            && field.iter().rev().le(self.high.iter().rev())
    }
}

/// A packed match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) value: Limbs,
    pub(crate) mask: Limbs,
    /// Bits of the LPM field's prefix, 0 without such a field.
    pub(crate) prefix_len: u16,
    pub(crate) ranges: Vec<RangeCheck>,
}

/// Checks a key against the table's fields and packs it.
pub(crate) fn pack(
    info: &TableInfo,
    layout: &KeyLayout,
    key: &[KeyPart],
) -> Result<Packed, ControlError> {
    if key.len() != info.fields.len() {
        return Err(ControlError::Invalid {
            what: format!(
                "Table {} has {} key fields, the entry has {}",
                info.name,
                info.fields.len(),
                key.len()
            ),
        });
    }
    let mut packed = Packed {
        value: SmallVec::from_elem(0, layout.limbs),
        mask: SmallVec::from_elem(0, layout.limbs),
        prefix_len: 0,
        ranges: Vec::new(),
    };
    for ((part, field), place) in key.iter().zip(&info.fields).zip(&layout.places) {
        let (value, mask) = match field_match(part, field)? {
            Match::Masked(value, mask) => (value, mask),
            Match::Range(low, high) => {
                let limbs = field.bits.div_ceil(64);
                packed.ranges.push(RangeCheck {
                    limb: place.bit as usize / 64,
                    low: (0..limbs).map(|at| low.limb(at)).collect(),
                    high: (0..limbs).map(|at| high.limb(at)).collect(),
                });
                continue;
            }
        };
        if let KeyPart::Lpm { prefix_len, .. } = part {
            packed.prefix_len = *prefix_len;
        }
        deposit(&mut packed.value, &value, *place);
        deposit(&mut packed.mask, &mask, *place);
    }
    Ok(packed)
}

/// The parts of a packed key again.
pub(crate) fn unpack(
    info: &TableInfo,
    layout: &KeyLayout,
    value: &[u64],
    mask: &[u64],
    ranges: &[RangeCheck],
) -> Vec<KeyPart> {
    let part = |(field, place): (&KeyField, &KeyPlace)| {
        let (own, under) = (extract(value, *place), extract(mask, *place));
        match field.kind {
            MatchKind::Exact => KeyPart::Exact(own),
            MatchKind::Lpm => {
                let ones: u32 = under.limbs().iter().map(|limb| limb.count_ones()).sum();
                KeyPart::Lpm {
                    value: own,
                    prefix_len: u16::try_from(ones).unwrap_or(u16::MAX),
                }
            }
            MatchKind::Ternary => KeyPart::Ternary {
                value: own,
                mask: under,
            },
            MatchKind::Optional => {
                KeyPart::Optional(if under.is_zero() { None } else { Some(own) })
            }
            MatchKind::Range => {
                let check = ranges
                    .iter()
                    .find(|check| check.limb == place.bit as usize / 64);
                match check {
                    Some(check) => KeyPart::Range {
                        low: Value::from_limbs(&check.low),
                        high: Value::from_limbs(&check.high),
                    },
                    None => KeyPart::Range {
                        low: Value::zero(),
                        high: Value::ones(field.bits),
                    },
                }
            }
        }
    };
    info.fields.iter().zip(&layout.places).map(part).collect()
}

enum Match {
    Masked(Value, Value),
    Range(Value, Value),
}

fn field_match(part: &KeyPart, field: &KeyField) -> Result<Match, ControlError> {
    let invalid = |problem: &str| ControlError::Invalid {
        what: format!("Field {}: {problem}", field.name),
    };
    let fits = |value: &Value| {
        if value.bit_len() > field.bits {
            return Err(ControlError::TooWide {
                what: format!("Field {}", field.name),
                bits: field.bits,
                have: value.bit_len(),
            });
        }
        Ok(())
    };
    let ones = || Value::ones(field.bits);
    match (part, field.kind) {
        (KeyPart::Exact(value), MatchKind::Exact) => {
            fits(value)?;
            Ok(Match::Masked(value.clone(), ones()))
        }
        (KeyPart::Lpm { value, prefix_len }, MatchKind::Lpm) => {
            fits(value)?;
            if usize::from(*prefix_len) > field.bits {
                return Err(invalid("the prefix is longer than the field"));
            }
            let mask = Value::prefix_mask(field.bits, usize::from(*prefix_len));
            if value.and(&mask) != *value {
                return Err(invalid("bits below the prefix are set"));
            }
            Ok(Match::Masked(value.clone(), mask))
        }
        (KeyPart::Ternary { value, mask }, MatchKind::Ternary | MatchKind::Optional) => {
            fits(value)?;
            fits(mask)?;
            if value.and(mask) != *value {
                return Err(invalid("bits outside of the mask are set"));
            }
            if field.kind == MatchKind::Optional && !mask.is_zero() && *mask != ones() {
                return Err(invalid(
                    "an optional field takes all of the value or nothing",
                ));
            }
            Ok(Match::Masked(value.clone(), mask.clone()))
        }
        (KeyPart::Optional(value), MatchKind::Ternary | MatchKind::Optional) => match value {
            None => Ok(Match::Masked(Value::zero(), Value::zero())),
            Some(value) => {
                fits(value)?;
                Ok(Match::Masked(value.clone(), ones()))
            }
        },
        (KeyPart::Range { low, high }, MatchKind::Range) => {
            fits(low)?;
            fits(high)?;
            if low > high {
                return Err(invalid("the lower bound is above the upper"));
            }
            Ok(Match::Range(low.clone(), high.clone()))
        }
        (_, kind) => Err(invalid(&format!("it matches as {kind:?}"))),
    }
}

/// Writes a field's value into its place.
fn deposit(limbs: &mut [u64], value: &Value, place: KeyPlace) {
    let count = (place.bits as usize).div_ceil(64);
    for at in 0..count {
        let limb = value.limb(at);
        let bit = place.bit as usize + at * 64;
        limbs[bit / 64] |= limb << (bit % 64);
        if !bit.is_multiple_of(64) && bit / 64 + 1 < limbs.len() {
            limbs[bit / 64 + 1] |= limb >> (64 - bit % 64);
        }
    }
}

/// Reads a field's value from its place.
pub(crate) fn extract(limbs: &[u64], place: KeyPlace) -> Value {
    let count = (place.bits as usize).div_ceil(64);
    let own: SmallVec<[u64; 4]> = (0..count)
        .map(|at| {
            let bit = place.bit as usize + at * 64;
            let low = limbs[bit / 64] >> (bit % 64);
            let high = match bit % 64 {
                0 => 0,
                shift => limbs
                    .get(bit / 64 + 1)
                    .map_or(0, |limb| limb << (64 - shift)),
            };
            low | high
        })
        .collect();
    Value::from_limbs(&own).and(&Value::ones(place.bits as usize))
}
