//! Names and numbers of scripts.

use crate::entry::KeyPart;
use crate::expr;
use crate::program::{KeyField, MatchKind};
use crate::value::Value;

/// A full name that equals `name`, or the only one that ends with it.
pub(super) fn unique<'a>(
    names: impl Iterator<Item = &'a String>,
    name: &str,
) -> Result<String, String> {
    let suffix = format!(".{name}");
    let mut found = Vec::new();
    for full in names {
        if full == name {
            return Ok(full.clone());
        }
        if full.ends_with(&suffix) && !found.contains(full) {
            found.push(full.clone());
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(format!("nothing is called {name}")),
        many => Err(format!("{name} may be any of {}", many.join(", "))),
    }
}

/// The position of a key field by any of the names that scripts use for it.
pub(super) fn field(fields: &[KeyField], name: &str) -> Option<usize> {
    // `stack$0.f` stands for `stack[0].f`.
    let indexed = bracketed(name);
    let name = indexed.as_str();
    let position = |test: &dyn Fn(&str) -> bool| fields.iter().position(|one| test(&one.name));
    position(&|full| full == name)
        .or_else(|| position(&|full| full == format!("{name}$")))
        .or_else(|| position(&|full| full == format!("{name}.$valid$")))
        .or_else(|| {
            let header = name.strip_suffix(".valid")?;
            position(&|full| full == format!("{header}.$valid$"))
        })
        .or_else(|| position(&|full| full.ends_with(&format!(".{name}"))))
        .or_else(|| {
            (name == "valid")
                .then(|| position(&|full| full.ends_with("$valid$")))
                .flatten()
        })
}

pub(super) fn bracketed(name: &str) -> String {
    let Some((stack, rest)) = name.split_once('$') else {
        return name.to_owned();
    };
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    if digits == 0 {
        return name.to_owned();
    }
    format!("{stack}[{}]{}", &rest[..digits], &rest[digits..])
}

/// What a field matches that a script does not mention.
pub(super) fn anything(field: &KeyField) -> KeyPart {
    match field.kind {
        MatchKind::Exact => KeyPart::Exact(Value::zero()),
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
        MatchKind::Optional => KeyPart::Optional(None),
    }
}

pub(super) fn part(field: &KeyField, text: &str) -> Result<KeyPart, String> {
    let ones = || Value::ones(field.bits);
    match field.kind {
        MatchKind::Exact => number(text).map(KeyPart::Exact),
        MatchKind::Optional => number(text).map(|value| KeyPart::Optional(Some(value))),
        MatchKind::Ternary => {
            let (value, mask) = match text.split_once("&&&") {
                Some((value, mask)) => (number(value)?, number(mask)?),
                None => {
                    let (value, mask) = wildcard(text)?;
                    (value, mask.unwrap_or_else(ones))
                }
            };
            let mask = mask.and(&ones());
            Ok(KeyPart::Ternary {
                value: value.and(&mask),
                mask,
            })
        }
        MatchKind::Lpm => {
            let (value, prefix_len) = match text.split_once('/') {
                Some((value, len)) => {
                    let len = len.parse().map_err(|_| format!("{len} is not a length"))?;
                    (number(value)?, len)
                }
                None => {
                    let (value, mask) = wildcard(text)?;
                    let mask = mask.unwrap_or_else(ones);
                    let ones: u32 = mask.limbs().iter().map(|limb| limb.count_ones()).sum();
                    (value, u16::try_from(ones).unwrap_or(u16::MAX))
                }
            };
            let mask = Value::prefix_mask(field.bits, usize::from(prefix_len));
            Ok(KeyPart::Lpm {
                value: value.and(&mask),
                prefix_len,
            })
        }
        MatchKind::Range => {
            let (low, high) = text.split_once("..").unwrap_or((text, text));
            Ok(KeyPart::Range {
                low: number(low)?,
                high: number(high)?,
            })
        }
    }
}

/// A number whose digits may be `*`; the mask is absent if none is, so that the field's width
/// makes it.
pub(super) fn wildcard(text: &str) -> Result<(Value, Option<Value>), String> {
    if !text.contains('*') {
        return Ok((number(text)?, None));
    }
    let (prefix, digits, full) = match text.get(..2) {
        Some("0x" | "0X") => ("0x", &text[2..], 'f'),
        Some("0b" | "0B") => ("0b", &text[2..], '1'),
        _ => {
            return Err(format!(
                "{text} has * but is neither hexadecimal nor binary"
            ));
        }
    };
    let value = digits.replace('*', "0");
    let mask: String = digits
        .chars()
        .map(|c| if c == '*' { '0' } else { full })
        .collect();
    Ok((
        number(&format!("{prefix}{value}"))?,
        Some(number(&format!("{prefix}{mask}"))?),
    ))
}

/// A number of any width in decimal, hexadecimal or binary.
pub(super) fn number(text: &str) -> Result<Value, String> {
    let wrong = || format!("{text} is not a number");
    match text.get(..2) {
        Some("0x" | "0X") => expr::hex(&text[2..]).ok_or_else(wrong),
        Some("0b" | "0B") => {
            let digits = &text[2..];
            if digits.is_empty() || digits.chars().any(|c| c != '0' && c != '1') {
                return Err(wrong());
            }
            let padded = format!(
                "{}{digits}",
                "0".repeat(digits.len().next_multiple_of(4) - digits.len())
            );
            let nibbles = padded.as_bytes().chunks(4).map(|four| {
                let text = std::str::from_utf8(four).unwrap_or("0");
                u8::from_str_radix(text, 2).unwrap_or(0)
            });
            let hex: String = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            expr::hex(&hex).ok_or_else(wrong)
        }
        _ => text.parse::<u128>().map(Value::from).map_err(|_| wrong()),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
