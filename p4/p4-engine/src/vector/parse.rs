//! Parsing of a vector: a field of all packets, then the next field.

use super::run::Lanes;
use super::{LANES, Mask, get, lanes_of, put, row_of};
use crate::bits;
use crate::ir::{SelectCase, SelectPart};
use crate::wire::Part;

/// Words of the longest header that is taken apart by words.
const WORDS: usize = 8;

impl Lanes<'_, '_> {
    /// Extracts a header; the lanes whose packet is too short.
    #[inline(never)]
    pub(super) fn extract(&mut self, h: u16) -> Mask {
        let program = self.program;
        let wire = &program.wires[usize::from(h)];
        let bytes = wire.fixed_bits as usize / 8;
        let mut heads: [&[u8]; LANES] = [&[]; LANES];
        let mut failed = 0;
        for lane in self.group.lanes() {
            let pass = &mut self.passes[usize::from(*lane) % LANES];
            let head = pass.data.get(pass.cursor..).unwrap_or_default();
            if head.len() < bytes {
                pass.parser_error = Some(program.error_codes.packet_too_short);
                failed |= 1 << lane;
                continue;
            }
            heads[usize::from(*lane) % LANES] = head;
            if let Some((origin, _)) = &wire.origin {
                let at = pass.cursor as u64 + 1;
                put(&mut self.sheet[usize::from(*origin)], *lane, at);
            }
            put(&mut self.sheet[usize::from(wire.valid)], *lane, 1);
            pass.cursor += bytes;
        }
        if failed != 0 && failed == self.group.mask {
            return failed;
        }
        let mut lanes = [0u8; LANES];
        let mut count = 0;
        for lane in lanes_of(self.group.mask & !failed) {
            lanes[count] = lane;
            count += 1;
        }
        let lanes = &lanes[..count];
        for rival in &wire.rivals {
            for lane in lanes {
                put(&mut self.sheet[usize::from(*rival)], *lane, 0);
            }
        }
        if bytes <= WORDS * 8 {
            self.take_words(&wire.wanted, bytes, &heads, lanes);
        } else {
            for part in &wire.wanted {
                let row = &mut self.sheet[usize::from(part.slot)];
                for lane in lanes {
                    let head = heads[usize::from(*lane) % LANES];
                    put(row, *lane, read(head, part));
                }
            }
        }
        failed
    }

    /// Takes fields out of headers of at most `WORDS` words: all words first, then one field after
    /// the other out of them.
    fn take_words(&mut self, parts: &[Part], bytes: usize, heads: &[&[u8]; LANES], lanes: &[u8]) {
        let mut words = [[0u64; LANES]; WORDS + 1];
        for (at, row) in (0..bytes).step_by(8).zip(&mut words) {
            for lane in lanes {
                let head = heads[usize::from(*lane) % LANES];
                put(row, *lane, word(head, at));
            }
        }
        let everywhere = self.group.everywhere() && lanes.len() == self.group.lanes().len();
        for part in parts {
            let (at, bits) = (part.at as usize, u32::from(part.bits));
            let (first, skip) = (&words[at / 64], part.at % 64);
            let row = &mut self.sheet[usize::from(part.slot)];
            let cut = 64 - bits;
            if skip + bits <= 64 {
                let field = |word: u64| word.wrapping_shl(skip).wrapping_shr(cut);
                if everywhere {
                    *row = first.map(field);
                } else {
                    for lane in lanes {
                        put(row, *lane, field(get(first, *lane)));
                    }
                }
            } else {
                let (second, back) = (&words[at / 64 + 1], 64 - skip);
                for lane in lanes {
                    let high = get(first, *lane).wrapping_shl(skip);
                    let low = get(second, *lane).wrapping_shr(back);
                    put(row, *lane, (high | low).wrapping_shr(cut));
                }
            }
        }
    }

    /// Each lane of the group goes on where its key says.
    #[inline(never)]
    pub(super) fn select(&mut self, x: u16) {
        let select = &self.code.selects[usize::from(x)];
        let plain = select.limbs == 1
            && select
                .parts
                .iter()
                .all(|part| matches!(part, SelectPart::Slot { .. }))
            && select
                .cases
                .iter()
                .all(|case| matches!(case, SelectCase::Masked { .. }));
        let mut rest = self.group.mask;
        if !plain {
            for lane in lanes_of(rest) {
                let to = self.alone(lane, |run, pass| run.select(pass, select));
                self.push(to, 1 << lane);
            }
            return;
        }
        let mut key = row_of(0);
        for part in &select.parts {
            let SelectPart::Slot { src, bits } = part else {
                continue;
            };
            let padded = u32::from(*bits).next_multiple_of(8);
            let row = &self.sheet[usize::from(*src)];
            for (key, limb) in key.iter_mut().zip(row) {
                *key = key.checked_shl(padded).unwrap_or(0) | limb;
            }
        }
        for case in &select.cases {
            let SelectCase::Masked { value, mask, to } = case else {
                continue;
            };
            let (value, mask) = (value[0], mask[0]);
            let taken = lanes_of(rest)
                .filter(|lane| get(&key, *lane) & mask == value)
                .fold(0, |taken: Mask, lane| taken | 1 << lane);
            self.push(*to, taken);
            rest &= !taken;
            if rest == 0 {
                return;
            }
        }
        self.push(select.default, rest);
    }
}

/// Eight bytes of a packet as a number, zeros beyond its end.
#[inline]
fn word(head: &[u8], at: usize) -> u64 {
    if let Some(window) = head.get(at..at + 8)
        && let Ok(window) = <[u8; 8]>::try_from(window)
    {
        return u64::from_be_bytes(window);
    }
    let mut window = [0; 8];
    let rest = head.get(at..).unwrap_or_default();
    for (to, from) in window.iter_mut().zip(rest) {
        *to = *from;
    }
    u64::from_be_bytes(window)
}

/// A part of a header that lies at the start of these bytes.
#[inline]
fn read(head: &[u8], part: &Part) -> u64 {
    let (at, bits) = (part.at as usize, usize::from(part.bits));
    let (byte, skip) = (at / 8, at % 8);
    if skip + bits <= 64
        && let Some(window) = head.get(byte..byte + 8)
        && let Ok(window) = <[u8; 8]>::try_from(window)
    {
        return (u64::from_be_bytes(window) << skip) >> (64 - bits);
    }
    bits::read(head, at, bits)
}
