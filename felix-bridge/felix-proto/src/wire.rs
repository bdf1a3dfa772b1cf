//! The wire format below the generated types: fields that they do not have, and the one field whose
//! wire type changed.
//!
//! The generated decoder drops what it does not know. For policy that is not good enough: a rule
//! with a criterion of a newer release would match more than its author meant. So every body is
//! walked once by the table of known fields, and what is left over is reported with its path.

mod rewrite;

pub(crate) use rewrite::move_workload_type;

use std::fmt;

include!("gen/fields.rs");

/// A message and its fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Name as in the protocol.
    pub name: &'static str,
    /// Fields in the order of their numbers.
    pub fields: &'static [Field],
}

/// A field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Number.
    pub number: u32,
    /// Name as in the protocol.
    pub name: &'static str,
    /// More than one value.
    pub repeated: bool,
    /// The message that it holds, as an index into [`messages`].
    pub message: Option<usize>,
}

/// Every message of the protocol, both directions, by name.
#[must_use]
pub const fn messages() -> &'static [Message] {
    MESSAGES
}

/// The way to a field from the outermost message: names, and places in repeated fields.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FieldPath(pub Vec<(&'static str, Option<usize>)>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, index)) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(name)?;
            if let Some(index) = index {
                write!(f, "[{index}]")?;
            }
        }
        Ok(())
    }
}

/// A field that these messages do not have.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnknownField {
    /// The message that holds it, as a path from the outermost one; empty for that itself.
    pub path: FieldPath,
    /// Name of the message that holds it.
    pub message: &'static str,
    /// Its number.
    pub number: u32,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {} of {}", self.number, self.message)?;
        if !self.path.0.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        Ok(())
    }
}

/// Walks an encoded message and lists the fields that the table does not have. A body that is not
/// well formed is walked as far as it goes: refusing it is the decoder's part.
pub(crate) fn unknown_fields(root: &str, body: &[u8]) -> Vec<UnknownField> {
    let mut found = Vec::new();
    if let Ok(index) = MESSAGES.binary_search_by(|message| message.name.cmp(root)) {
        let mut path = FieldPath::default();
        walk(&MESSAGES[index], body, &mut path, &mut found);
    }
    found
}

fn walk(message: &Message, mut rest: &[u8], path: &mut FieldPath, found: &mut Vec<UnknownField>) {
    let mut places: Vec<(u32, usize)> = Vec::new();
    while let Some((number, value, after)) = next_field(rest) {
        rest = after;
        let Ok(at) = message
            .fields
            .binary_search_by(|field| field.number.cmp(&number))
        else {
            found.push(UnknownField {
                path: path.clone(),
                message: message.name,
                number,
            });
            continue;
        };
        let field = &message.fields[at];
        let (Some(inner), Value::Bytes(bytes)) = (field.message, value) else {
            continue;
        };
        let place = field.repeated.then(|| count(&mut places, number));
        path.0.push((field.name, place));
        walk(&MESSAGES[inner], bytes, path, found);
        path.0.pop();
    }
}

/// How many values of this field came before.
fn count(places: &mut Vec<(u32, usize)>, number: u32) -> usize {
    if let Some((_, place)) = places.iter_mut().find(|(other, _)| *other == number) {
        *place += 1;
        return *place;
    }
    places.push((number, 0));
    0
}

/// A field's value as far as the wire tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5.
    Fixed,
}

/// Takes one field off the front: its number, its value and what follows. None at the end and where
/// the bytes are not well formed.
pub(crate) fn next_field(bytes: &[u8]) -> Option<(u32, Value<'_>, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok()?;
    match tag & 7 {
        0 => {
            let (value, rest) = varint(rest)?;
            Some((number, Value::Varint(value), rest))
        }
        1 => Some((number, Value::Fixed, rest.get(8..)?)),
        2 => {
            let (length, rest) = varint(rest)?;
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((number, Value::Bytes(value), rest))
        }
        5 => Some((number, Value::Fixed, rest.get(4..)?)),
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests;
