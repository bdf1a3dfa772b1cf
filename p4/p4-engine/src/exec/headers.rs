//! Parsing, and what happens to whole headers.

use super::{Flow, Pass, Run, tick};
use crate::bits;
use crate::ir::{Op, SelectCase, SelectCode, SelectPart, Slot};
use crate::trace::TraceEvent;
use crate::value::Value;
use crate::wide::Registers;
use crate::wire::HeaderWire;

impl<R: Registers + ?Sized> Run<'_, R> {
    pub(crate) fn parse<const TRACED: bool>(&mut self, pass: &mut Pass<'_>, op: Op) -> Flow {
        match op {
            Op::Extract { h } => self.extract::<TRACED>(pass, h),
            Op::ExtractNext { stack } => match self.next_header(pass, stack) {
                None => Flow::Stop,
                Some((h, next)) => self.extract_element::<TRACED>(pass, h, next, None),
            },
            Op::ExtractUnionNext { stack, member } => match self.next_member(pass, stack, member) {
                None => Flow::Stop,
                Some((h, next)) => self.extract_element::<TRACED>(pass, h, next, None),
            },
            Op::ExtractVarbit { h, len } => self.extract_varbit::<TRACED>(pass, h, len),
            Op::ExtractVarbitNext { stack, len } => match self.next_header(pass, stack) {
                None => Flow::Stop,
                Some((h, next)) => self.extract_element::<TRACED>(pass, h, next, Some(len)),
            },
            Op::ExtractVarbitUnionNext { stack, member, len } => {
                match self.next_member(pass, stack, member) {
                    None => Flow::Stop,
                    Some((h, next)) => self.extract_element::<TRACED>(pass, h, next, Some(len)),
                }
            }
            Op::Advance { a } => {
                let bits = self.file[usize::from(a)];
                if !bits.is_multiple_of(8) {
                    return self.fail(pass, self.program.error_codes.parser_invalid_argument);
                }
                let room = pass.data.len() - pass.cursor;
                match usize::try_from(bits / 8) {
                    Ok(bytes) if bytes <= room => {
                        pass.cursor += bytes;
                        Flow::Next
                    }
                    _ => self.fail(pass, self.program.error_codes.packet_too_short),
                }
            }
            Op::Lookahead { d, at, bits } => {
                let end = pass.cursor * 8 + usize::from(at) + usize::from(bits);
                if end > pass.data.len() * 8 {
                    return self.fail(pass, self.program.error_codes.packet_too_short);
                }
                let start = pass.cursor * 8 + usize::from(at);
                read_wide(&mut *self.file, d, pass.data, start, bits);
                Flow::Next
            }
            Op::Verify { c, e } => {
                if self.file[usize::from(c)] == 0 {
                    let code = self.file[usize::from(e)];
                    return self.fail(pass, code);
                }
                Flow::Next
            }
            Op::SelectState { x } => {
                if !tick(pass) {
                    return Flow::Stop;
                }
                let select = &self.code.selects[usize::from(x)];
                Flow::Goto(self.select(pass, select))
            }
            _ => Flow::Next,
        }
    }

    /// Ends the parser with an error; ingress runs nevertheless.
    fn fail(&self, pass: &mut Pass<'_>, code: u64) -> Flow {
        pass.parser_error = Some(code);
        Flow::Stop
    }

    #[inline]
    fn extract<const TRACED: bool>(&mut self, pass: &mut Pass<'_>, h: u16) -> Flow {
        let program = self.program;
        let wire = &program.wires[usize::from(h)];
        let bytes = wire.fixed_bits as usize / 8;
        if pass.data.len() - pass.cursor < bytes {
            return self.fail(pass, program.error_codes.packet_too_short);
        }
        let file = &mut *self.file;
        let start = pass.cursor * 8;
        for part in &wire.wanted {
            let value = bits::read(pass.data, start + part.at as usize, usize::from(part.bits));
            file[usize::from(part.slot)] = value;
        }
        if let Some((origin, _)) = &wire.origin {
            file[usize::from(*origin)] = pass.cursor as u64 + 1;
        }
        set_valid(file, wire);
        if TRACED {
            let offset = pass.cursor;
            let header = program.layout.header(h).name.clone();
            self.event(|| TraceEvent::Extracted { header, offset });
        }
        pass.cursor += bytes;
        Flow::Next
    }

    fn extract_varbit<const TRACED: bool>(
        &mut self,
        pass: &mut Pass<'_>,
        h: u16,
        len: Slot,
    ) -> Flow {
        let program = self.program;
        let wire = &program.wires[usize::from(h)];
        let length = self.file[usize::from(len)];
        if !length.is_multiple_of(8) {
            return self.fail(pass, program.error_codes.parser_invalid_argument);
        }
        let room = (pass.data.len() - pass.cursor) as u64;
        let bytes = u64::from(wire.fixed_bits / 8) + length / 8;
        if room < bytes {
            return self.fail(pass, program.error_codes.packet_too_short);
        }
        if wire.max_bytes != 0 && u64::from(wire.max_bytes) < bytes {
            return self.fail(pass, program.error_codes.header_too_short);
        }
        // Both are at most the packet's length now.
        let (bytes, length) = (usize::try_from(bytes), usize::try_from(length));
        let (Ok(bytes), Ok(length)) = (bytes, length) else {
            return Flow::Stop;
        };
        let file = &mut *self.file;
        let start = pass.cursor * 8;
        let (before, slot) = wire.varbit.unwrap_or((wire.parts.len(), wire.base));
        let mut varbit_at = start;
        for (at, part) in wire.parts.iter().enumerate() {
            let shift = if at < before { 0 } else { length };
            let from = start + part.at as usize + shift;
            file[usize::from(part.slot)] = bits::read(pass.data, from, usize::from(part.bits));
            if at < before {
                varbit_at = from + usize::from(part.bits);
            }
        }
        file[usize::from(slot)] = ((varbit_at as u64) << 32) | length as u64;
        set_valid(file, wire);
        if TRACED {
            let offset = pass.cursor;
            let header = program.layout.header(h).name.clone();
            self.event(|| TraceEvent::Extracted { header, offset });
        }
        pass.cursor += bytes;
        Flow::Next
    }

    fn extract_element<const TRACED: bool>(
        &mut self,
        pass: &mut Pass<'_>,
        h: u16,
        next: Slot,
        len: Option<Slot>,
    ) -> Flow {
        let flow = match len {
            None => self.extract::<TRACED>(pass, h),
            Some(len) => self.extract_varbit::<TRACED>(pass, h, len),
        };
        if matches!(flow, Flow::Next) {
            self.file[usize::from(next)] += 1;
        }
        flow
    }

    fn next_header(&self, pass: &mut Pass<'_>, stack: u16) -> Option<(u16, Slot)> {
        let layout = &self.program.layout.stacks[usize::from(stack)];
        let header = self.element(&layout.headers, layout.next).copied();
        if header.is_none() {
            pass.parser_error = Some(self.program.error_codes.stack_out_of_bounds);
        }
        header.map(|header| (header, layout.next))
    }

    fn next_member(&self, pass: &mut Pass<'_>, stack: u16, member: u16) -> Option<(u16, Slot)> {
        let layout = &self.program.layout.union_stacks[usize::from(stack)];
        let header = self.element(&layout.unions, layout.next).and_then(|union| {
            let headers = &self.program.layout.unions[usize::from(*union)].headers;
            headers.get(usize::from(member)).copied()
        });
        if header.is_none() {
            pass.parser_error = Some(self.program.error_codes.stack_out_of_bounds);
        }
        header.map(|header| (header, layout.next))
    }

    fn element<'b>(&self, list: &'b [u16], next: Slot) -> Option<&'b u16> {
        let index = usize::try_from(self.file[usize::from(next)]).ok()?;
        list.get(index)
    }

    pub(crate) fn select(&mut self, pass: &Pass<'_>, select: &SelectCode) -> crate::ir::Pc {
        if select.limbs == 1 {
            let mut key = 0u64;
            for part in &select.parts {
                let padded = u32::from(part.bits()).next_multiple_of(8);
                let value = self.part(pass, *part, 0);
                key = if padded == 64 {
                    value
                } else {
                    (key << padded) | value
                };
            }
            for case in &select.cases {
                match case {
                    SelectCase::Masked { value, mask, to } => {
                        if key & mask[0] == value[0] {
                            return *to;
                        }
                    }
                    SelectCase::ValueSet { set, mask, to } => {
                        if self.in_set(select, &[key], *set, mask.as_deref()) {
                            return *to;
                        }
                    }
                }
            }
            return select.default;
        }
        let mut key = [0u64; crate::lower::MAX_SELECT_BYTES / 8];
        let key = &mut key[..usize::from(select.limbs)];
        let mut bit = 0usize;
        for part in select.parts.iter().rev() {
            for limb in 0..part.bits().div_ceil(64) {
                deposit(
                    key,
                    self.part(pass, *part, limb),
                    bit + usize::from(limb) * 64,
                );
            }
            bit += usize::from(part.bits()).next_multiple_of(8);
        }
        for case in &select.cases {
            match case {
                SelectCase::Masked { value, mask, to } => {
                    let masked = key.iter().zip(mask).map(|(limb, mask)| limb & mask);
                    if masked.eq(value.iter().copied()) {
                        return *to;
                    }
                }
                SelectCase::ValueSet { set, mask, to } => {
                    if self.in_set(select, key, *set, mask.as_deref()) {
                        return *to;
                    }
                }
            }
        }
        select.default
    }

    /// Limb `limb` of a part of a select key, counted from the least significant.
    fn part(&self, pass: &Pass<'_>, part: SelectPart, limb: u16) -> u64 {
        let file = &*self.file;
        match part {
            SelectPart::Slot { src, .. } => file[usize::from(src.wrapping_add(limb))],
            SelectPart::Last { access, next, .. } => {
                let last = file[usize::from(next)].checked_sub(1);
                let last = last.and_then(|last| usize::try_from(last).ok());
                let slot = last.and_then(|last| self.code.accesses[usize::from(access)].get(last));
                slot.map_or(0, |slot| file[usize::from(slot.wrapping_add(limb))])
            }
            SelectPart::Lookahead { at, bits } => {
                let above = usize::from(limb) * 64;
                let take = (usize::from(bits) - above).min(64);
                let start = pass.cursor * 8 + usize::from(at) + usize::from(bits) - above - take;
                let there = (pass.data.len() * 8).saturating_sub(start);
                if there >= take {
                    bits::read(pass.data, start, take)
                } else if there == 0 {
                    0
                } else {
                    bits::read(pass.data, start, there) << (take - there)
                }
            }
        }
    }

    fn in_set(&self, select: &SelectCode, key: &[u64], set: u16, mask: Option<&[u64]>) -> bool {
        let members = &self.state.value_sets[usize::from(set)];
        members.iter().any(|member| {
            // Members have no padding between the parts, the key has.
            let mut padded = vec![0u64; key.len()];
            let (mut from, mut to) = (0usize, 0usize);
            for part in select.parts.iter().rev() {
                let bits = usize::from(part.bits());
                for limb in 0..bits.div_ceil(64) {
                    let take = (bits - limb * 64).min(64);
                    let own = value_bits(member, from + limb * 64, take);
                    deposit(&mut padded, own, to + limb * 64);
                }
                from += bits;
                to += bits.next_multiple_of(8);
            }
            let full = [u64::MAX];
            let mask = mask
                .unwrap_or(&full)
                .iter()
                .chain(std::iter::repeat(&u64::MAX));
            key.iter()
                .zip(&padded)
                .zip(mask)
                .all(|((key, own), mask)| key & mask == own & mask)
        })
    }

    pub(crate) fn header(&mut self, pass: &mut Pass<'_>, op: Op) {
        let program = self.program;
        let file = &mut *self.file;
        match op {
            Op::SetValid { h } => {
                let wire = &program.wires[usize::from(h)];
                if file[usize::from(wire.valid)] == 0 {
                    let base = usize::from(wire.base);
                    (base..base + usize::from(wire.limbs)).for_each(|slot| file[slot] = 0);
                    if let Some((origin, _)) = &wire.origin {
                        file[usize::from(*origin)] = 0;
                    }
                    set_valid(file, wire);
                    pass.length = pass.length.wrapping_add(u64::from(wire.fixed_bits / 8));
                }
            }
            Op::SetInvalid { h } => {
                let wire = &program.wires[usize::from(h)];
                if file[usize::from(wire.valid)] != 0 {
                    file[usize::from(wire.valid)] = 0;
                    let varbit = wire.varbit.map_or(0, |(_, slot)| varbit_bits(file, slot));
                    let bytes = (u64::from(wire.fixed_bits) + varbit as u64) / 8;
                    pass.length = pass.length.wrapping_sub(bytes);
                }
            }
            Op::CopyHeader { d, a } => copy_header(file, program, d, a),
            Op::HeaderEq { d, a, b } => {
                let (x, y) = (
                    &program.wires[usize::from(a)],
                    &program.wires[usize::from(b)],
                );
                let valid = file[usize::from(x.valid)] != 0 && file[usize::from(y.valid)] != 0;
                let (p, q) = (usize::from(x.base), usize::from(y.base));
                let limbs = usize::from(x.limbs);
                let skip = |wire: &HeaderWire| wire.varbit.map(|(_, slot)| usize::from(slot));
                let fields =
                    (0..limbs).all(|i| Some(p + i) == skip(x) || file[p + i] == file[q + i]);
                let varbits = match (x.varbit, y.varbit) {
                    (Some((_, x)), Some((_, y))) => same_bits(file, pass.data, x, y),
                    _ => true,
                };
                file[usize::from(d)] = u64::from(valid && fields && varbits);
            }
            Op::VarbitEq { d, a, b } => {
                file[usize::from(d)] = u64::from(same_bits(file, pass.data, a, b));
            }
            Op::Push { stack, count } => {
                let layout = &program.layout.stacks[usize::from(stack)];
                let (size, count) = (layout.headers.len(), usize::from(count));
                if count == 0 {
                    return;
                }
                let next = usize::try_from(file[usize::from(layout.next)]).unwrap_or(size);
                let next = size.min(next.saturating_add(count));
                file[usize::from(layout.next)] = next as u64;
                for to in (count..size).rev() {
                    copy_header(
                        file,
                        program,
                        layout.headers[to],
                        layout.headers[to - count],
                    );
                }
                for header in layout.headers.iter().take(count) {
                    file[usize::from(program.wires[usize::from(*header)].valid)] = 0;
                }
            }
            Op::Pop { stack, count } => {
                let layout = &program.layout.stacks[usize::from(stack)];
                let (size, count) = (layout.headers.len(), usize::from(count));
                if count == 0 {
                    return;
                }
                let next = file[usize::from(layout.next)].saturating_sub(count as u64);
                file[usize::from(layout.next)] = next;
                let kept = size.saturating_sub(count);
                for to in 0..kept {
                    copy_header(
                        file,
                        program,
                        layout.headers[to],
                        layout.headers[to + count],
                    );
                }
                for header in layout.headers.iter().skip(kept) {
                    file[usize::from(program.wires[usize::from(*header)].valid)] = 0;
                }
            }
            _ => {}
        }
    }
}

fn copy_header<R: Registers + ?Sized>(
    file: &mut R,
    program: &crate::program::Program,
    d: u16,
    a: u16,
) {
    let (to, from) = (
        &program.wires[usize::from(d)],
        &program.wires[usize::from(a)],
    );
    if file[usize::from(from.valid)] == 0 {
        file[usize::from(to.valid)] = 0;
        return;
    }
    crate::wide::copy(file, to.base, from.base, from.limbs);
    set_valid(file, to);
}

#[inline]
fn set_valid<R: Registers + ?Sized>(file: &mut R, wire: &HeaderWire) {
    file[usize::from(wire.valid)] = 1;
    for rival in &wire.rivals {
        file[usize::from(*rival)] = 0;
    }
}

/// Bits of a varbit field.
pub(crate) fn varbit_bits<R: Registers + ?Sized>(file: &R, slot: Slot) -> usize {
    (file[usize::from(slot)] & 0xffff_ffff) as usize
}

/// Bit offset of a varbit field in the packet.
pub(crate) fn varbit_at<R: Registers + ?Sized>(file: &R, slot: Slot) -> usize {
    (file[usize::from(slot)] >> 32) as usize
}

fn same_bits<R: Registers + ?Sized>(file: &R, data: &[u8], x: Slot, y: Slot) -> bool {
    let bits = varbit_bits(file, x);
    if bits != varbit_bits(file, y) {
        return false;
    }
    let (x, y) = (varbit_at(file, x), varbit_at(file, y));
    (0..bits).step_by(32).all(|at| {
        let take = (bits - at).min(32);
        bits::read(data, x + at, take) == bits::read(data, y + at, take)
    })
}

/// Reads a number of any width into consecutive slots.
fn read_wide<R: Registers + ?Sized>(file: &mut R, d: Slot, data: &[u8], start: usize, bits: u16) {
    let mut end = start + usize::from(bits);
    let mut slot = d;
    while end > start {
        let take = (end - start).min(64);
        file[usize::from(slot)] = bits::read(data, end - take, take);
        end -= take;
        slot = slot.wrapping_add(1);
    }
}

fn deposit(limbs: &mut [u64], value: u64, bit: usize) {
    if let Some(limb) = limbs.get_mut(bit / 64) {
        *limb |= value << (bit % 64);
    }
    if !bit.is_multiple_of(64)
        && let Some(limb) = limbs.get_mut(bit / 64 + 1)
    {
        *limb |= value >> (64 - bit % 64);
    }
}

/// `bits` bits of a number from bit `at` up.
fn value_bits(value: &Value, at: usize, bits: usize) -> u64 {
    let low = value.limb(at / 64) >> (at % 64);
    let high = match at % 64 {
        0 => 0,
        shift => value.limb(at / 64 + 1) << (64 - shift),
    };
    (low | high) & (u64::MAX >> (64 - bits.clamp(1, 64)))
}
