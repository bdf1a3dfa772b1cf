//! Plain table entries straight from the wire.
//!
//! Nearly all updates are one entry of a table with its own action and nothing beside it. Those are
//! read in one pass over the bytes and packed on the way, with no message and nothing allocated. What
//! is anything else, or would be refused, gives `None` and goes the long way, which knows all of
//! the protocol and says what is wrong.

use p4_engine::{MatchKind, Matches, Prepared, Program};
use prost::encoding::{WireType, decode_key, decode_varint};

use crate::{
    operation::{Operation, Way},
    pipeline::{Field, Form, Pipeline, Scope, Table},
};

/// Most parameters of an action that are taken here.
const PARAMS: usize = 8;

/// An update of a plain entry; `None` if it is something else.
pub(crate) fn plain(pipeline: &Pipeline, update: &[u8]) -> Option<Operation> {
    let mut message = Message(update);
    // Encoders write fields in order, each once; any other order is unusual enough.
    let way = match message.number(1)? {
        1 => Way::Insert,
        2 => Way::Modify,
        3 => Way::Delete,
        _ => return None,
    };
    let mut entity = message.last(2)?;
    let entry = entity.last(2)?;
    let entry = self::entry(pipeline, way, entry)?;
    Some(Operation::Plain { way, entry })
}

fn entry(pipeline: &Pipeline, way: Way, mut message: Message<'_>) -> Option<Prepared> {
    let program = &*pipeline.program;
    let table = pipeline.table(u32::try_from(message.number(1)?).ok()?)?;
    if table.is_const {
        return None;
    }
    let matches = message;
    while message.message(2)?.is_some() {}
    let action = message.message(3)?;
    let priority = if message.is_over() {
        0
    } else {
        i32::try_from(message.number(4)?).ok()?
    };
    if !message.is_over() {
        return None;
    }
    let mut entry = Prepared::new(program, table.index, priority)?;
    fields(program, table, matches, &mut entry)?;
    match (way, action) {
        (Way::Insert | Way::Modify, Some(mut given)) => {
            self::action(program, table, given.last(1)?, &mut entry)?;
        }
        (Way::Delete, None) => {}
        _ => return None,
    }
    Some(entry)
}

/// The match fields.
fn fields(
    program: &Program,
    table: &Table,
    mut message: Message<'_>,
    entry: &mut Prepared,
) -> Option<()> {
    let mut seen = 0_u64;
    let mut next = 0;
    while let Some(mut field) = message.message(2)? {
        let id = u32::try_from(field.number(1)?).ok()?;
        // In the table's order as a rule.
        let ids = &table.fields;
        let at = if ids.get(next).is_some_and(|field| field.id == id) {
            next
        } else {
            ids.iter().position(|field| field.id == id)?
        };
        next = at + 1;
        let own = bit(at)?;
        if seen & own != 0 {
            return None;
        }
        seen |= own;
        let known = &table.fields[at];
        if program.table_info(table.index).fields.get(at)?.bits != known.bits {
            return None;
        }
        entry.with(program, at, matches(known, field)?)?;
    }
    let given = |(at, field): (usize, &Field)| {
        field.kind != MatchKind::Exact || bit(at).is_some_and(|bit| seen & bit != 0)
    };
    table.fields.iter().enumerate().all(given).then_some(())
}

fn bit(at: usize) -> Option<u64> {
    1_u64.checked_shl(u32::try_from(at).ok()?)
}

/// What one field matches.
fn matches(field: &Field, mut message: Message<'_>) -> Option<Matches> {
    if !matches!(field.form, Form::Number) {
        return None;
    }
    match field.kind {
        MatchKind::Exact => {
            let value = message.last(2)?.last_value(1, field.bits)?;
            Some(Matches::Equal(value))
        }
        MatchKind::Optional => {
            let value = message.last(7)?.last_value(1, field.bits)?;
            Some(Matches::Equal(value))
        }
        MatchKind::Ternary => {
            let mut ternary = message.last(3)?;
            let value = ternary.value(1, field.bits)?;
            let mask = ternary.last_value(2, field.bits)?;
            (mask != 0).then_some(Matches::Masked { value, mask })
        }
        MatchKind::Lpm => {
            let mut lpm = message.last(4)?;
            let value = lpm.value(1, field.bits)?;
            let len = usize::try_from(lpm.number(2)?).ok()?;
            (len != 0 && lpm.is_over()).then_some(Matches::Prefix { value, len })
        }
        MatchKind::Range => {
            let mut range = message.last(6)?;
            let low = range.value(1, field.bits)?;
            let high = range.last_value(2, field.bits)?;
            let all = high == u128::MAX >> (128 - field.bits.clamp(1, 128));
            (low != 0 || !all).then_some(Matches::Between { low, high })
        }
    }
}

/// The action and its parameters.
fn action(
    program: &Program,
    table: &Table,
    mut message: Message<'_>,
    entry: &mut Prepared,
) -> Option<()> {
    let action = table.action(u32::try_from(message.number(1)?).ok()?)?;
    if action.scope == Scope::Default || action.params.len() > PARAMS {
        return None;
    }
    let mut args = [0_u128; PARAMS];
    for (param, arg) in action.params.iter().zip(&mut args) {
        let mut given = message.message(4)??;
        // In the action's order; any other is unusual enough.
        if given.number(2)? != u64::from(param.id) || !matches!(param.form, Form::Number) {
            return None;
        }
        *arg = given.last_value(3, param.bits)?;
    }
    if !message.is_over() {
        return None;
    }
    let args = args.get(..action.params.len())?;
    entry.does(program, action.index, args.iter().copied())
}

/// What is left of a message.
#[derive(Clone, Copy)]
struct Message<'m>(&'m [u8]);

impl<'m> Message<'m> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of the next field, if it is this one; nothing is taken if not.
    #[inline]
    fn is_next(&mut self, tag: u32, wire: WireType) -> Option<bool> {
        // Numbers below 16 take one byte.
        if let Some((key, rest)) = self.0.split_first()
            && *key < 0x80
        {
            let own = u32::from(*key) == (tag << 3) | wire as u32;
            if own {
                self.0 = rest;
            }
            return Some(own);
        }
        if self.0.is_empty() {
            return Some(false);
        }
        let mut rest = self.0;
        let own = decode_key(&mut rest).ok()? == (tag, wire);
        if own {
            self.0 = rest;
        }
        Some(own)
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        if let Some((byte, rest)) = self.0.split_first()
            && *byte < 0x80
        {
            self.0 = rest;
            return Some((*byte).into());
        }
        decode_varint(&mut self.0).ok()
    }

    /// The number of this field, which must come next.
    #[inline]
    fn number(&mut self, tag: u32) -> Option<u64> {
        if !self.is_next(tag, WireType::Varint)? {
            return None;
        }
        self.varint()
    }

    /// The bytes of this field, if it comes next; nothing outside if they are cut short.
    #[inline]
    #[expect(clippy::option_option, reason = "not there, or not readable")]
    fn bytes(&mut self, tag: u32) -> Option<Option<&'m [u8]>> {
        if !self.is_next(tag, WireType::LengthDelimited)? {
            return Some(None);
        }
        let length = usize::try_from(self.varint()?).ok()?;
        let (own, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Some(own))
    }

    #[inline]
    #[expect(clippy::option_option, reason = "not there, or not readable")]
    fn message(&mut self, tag: u32) -> Option<Option<Message<'m>>> {
        Some(self.bytes(tag)?.map(Message))
    }

    /// The message in this field, which must be all that is left.
    #[inline]
    fn last(&mut self, tag: u32) -> Option<Message<'m>> {
        let own = self.message(tag)??;
        self.is_over().then_some(own)
    }

    /// The value in this field: a byte string of at most so many bits, and of 16 bytes.
    #[inline]
    fn value(&mut self, tag: u32, bits: usize) -> Option<u128> {
        let bytes = self.bytes(tag)??;
        if bytes.is_empty() || bytes.len() > 16 {
            return None;
        }
        let number = if bytes.len() <= 8 {
            let number = bytes
                .iter()
                .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
            u128::from(number)
        } else {
            bytes
                .iter()
                .fold(0_u128, |number, byte| (number << 8) | u128::from(*byte))
        };
        let needs = (u128::BITS - number.leading_zeros()) as usize;
        (needs <= bits).then_some(number)
    }

    #[inline]
    fn last_value(&mut self, tag: u32, bits: usize) -> Option<u128> {
        let value = self.value(tag, bits)?;
        self.is_over().then_some(value)
    }
}

#[cfg(test)]
mod tests;
