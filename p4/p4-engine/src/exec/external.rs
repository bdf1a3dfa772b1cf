//! Primitives that touch state outside of the packet or decide where it goes.

use super::headers::{varbit_at, varbit_bits};
use super::{Flow, Pass, Run};
use smallvec::SmallVec;

use crate::bits::{self, Writer};
use crate::hash;
use crate::ir::{CalculationCode, CalculationInput, MAX_WORDS, Op, Slot};
use crate::program::Program;
use crate::trace::{DropReason, TraceEvent};
use crate::value::Value;
use crate::wide::Registers;
use crate::wire::HeaderWire;

impl<R: Registers + ?Sized> Run<'_, R> {
    pub(crate) fn external<const TRACED: bool>(&mut self, pass: &mut Pass<'_>, op: Op) -> Flow {
        let file = &mut *self.file;
        match op {
            Op::Count { counter, i } => {
                let index = file[usize::from(i)];
                let cells = &mut self.state.counters[usize::from(counter)];
                if let Some(cell) = usize::try_from(index).ok().and_then(|at| cells.get_mut(at)) {
                    cell.add(pass.ingress_length);
                }
                if TRACED {
                    let counter = self.program.counters()[usize::from(counter)].name.clone();
                    self.event(|| TraceEvent::Count { counter, index });
                }
            }
            Op::RegisterRead { d, register, i } => {
                let index = file[usize::from(i)];
                let array = &self.state.registers[usize::from(register)];
                if let Some(cell) = array.cell(index) {
                    let from = &array.cells[cell * array.limbs..(cell + 1) * array.limbs];
                    for (limb, slot) in from.iter().zip(d..) {
                        file[usize::from(slot)] = *limb;
                    }
                    if TRACED {
                        let value = format!("{}", Value::from_limbs(from));
                        let register = self.program.registers()[usize::from(register)].name.clone();
                        self.event(|| TraceEvent::RegisterRead {
                            register,
                            index,
                            value,
                        });
                    }
                }
            }
            Op::RegisterWrite { register, i, a } => {
                let index = file[usize::from(i)];
                let array = &mut self.state.registers[usize::from(register)];
                if let Some(cell) = array.cell(index) {
                    let to = &mut array.cells[cell * array.limbs..(cell + 1) * array.limbs];
                    for (limb, slot) in to.iter_mut().zip(a..) {
                        *limb = file[usize::from(slot)];
                    }
                    if TRACED {
                        let value = format!("{}", Value::from_limbs(to));
                        let register = self.program.registers()[usize::from(register)].name.clone();
                        self.event(|| TraceEvent::RegisterWrite {
                            register,
                            index,
                            value,
                        });
                    }
                }
            }
            Op::Meter { d, meter, i } => {
                let index = file[usize::from(i)];
                let bytes = self.program.meters()[usize::from(meter)].bytes;
                let cells = &mut self.state.meters[usize::from(meter)];
                if let Some(cell) = usize::try_from(index).ok().and_then(|at| cells.get_mut(at)) {
                    let need = if bytes { pass.ingress_length } else { 1 };
                    file[usize::from(d)] = cell.run(pass.now_us, need).number();
                }
            }
            Op::Calculate { d, x } => {
                let code = &self.code.calculations[usize::from(x)];
                let scratch = &mut *self.scratch;
                let sum = calculate(code, file, self.program, pass, scratch);
                file[usize::from(d)] = sum;
            }
            Op::Hash { d, base, x, size } => {
                let code = &self.code.calculations[usize::from(x)];
                let scratch = &mut *self.scratch;
                let sum = calculate(code, file, self.program, pass, scratch);
                let size = file[usize::from(size)].max(1);
                file[usize::from(d)] = (sum % size).wrapping_add(file[usize::from(base)]);
            }
            Op::Random { d, low, high } => {
                let (low, high) = (file[usize::from(low)], file[usize::from(high)]);
                if low <= high {
                    file[usize::from(d)] = self.state.between(low, high);
                }
            }
            Op::Digest { list } => pass.digest = Some(list),
            Op::Clone { session, list } => {
                // bmv2 keeps 15 bits of the session.
                let session = file[usize::from(session)] & 0x7fff;
                pass.clone = u16::try_from(session).ok().map(|session| (session, list));
            }
            Op::Resubmit { list } => pass.resubmit = Some(list),
            Op::Recirculate { list } => pass.recirculate = Some(list),
            Op::Truncate { a } => {
                let length = usize::try_from(file[usize::from(a)]).unwrap_or(usize::MAX);
                pass.truncate = Some(length);
            }
            Op::MarkToDrop { x } => {
                let drop = self.code.drops[usize::from(x)];
                let standard = self.program.standard.as_ref();
                let mask = standard.map_or(u64::MAX, |standard| standard.egress_spec.mask);
                file[usize::from(drop.egress_spec)] = pass.drop_port & mask;
                if let Some(group) = drop.mcast_grp {
                    file[usize::from(group)] = 0;
                }
            }
            Op::Log { x } if TRACED => {
                self.log(x);
            }
            Op::Assert { c, x } if file[usize::from(c)] == 0 => {
                pass.failed = Some((DropReason::Assertion, Some(x)));
                return Flow::Stop;
            }
            _ => {}
        }
        Flow::Next
    }

    /// Fills the braces of the format with the arguments, in decimal as bmv2 prints them.
    fn log(&mut self, x: u16) {
        let log = &self.code.logs[usize::from(x)];
        let mut args = log.args.iter();
        let mut text = String::with_capacity(log.format.len());
        let mut rest = log.format.as_str();
        while let Some((before, after)) = rest.split_once("{}") {
            text.push_str(before);
            match args.next() {
                Some((slot, limbs)) => {
                    let at = usize::from(*slot);
                    let value = number(&*self.file, at, *limbs);
                    match value.as_u128() {
                        Some(number) => text.push_str(&number.to_string()),
                        None => text.push_str(&value.to_string()),
                    }
                }
                None => text.push_str("{}"),
            }
            rest = after;
        }
        text.push_str(rest);
        self.event(|| TraceEvent::Log { text });
    }
}

/// The result of a hash or checksum over the current fields.
pub(crate) fn calculate<R: Registers + ?Sized>(
    code: &CalculationCode,
    file: &R,
    program: &Program,
    pass: &Pass<'_>,
    scratch: &mut Vec<u8>,
) -> u64 {
    if let Some(sum) = &code.sum
        && sum
            .guards
            .iter()
            .all(|guard| file[usize::from(*guard)] != 0)
    {
        let terms = sum
            .terms
            .iter()
            .map(|(slot, by, _)| hash::term_of(file[usize::from(*slot)], *by));
        return u64::from(hash::fold16(terms.fold(sum.constant, u64::wrapping_add)));
    }
    if let Some(words) = &code.words
        && words
            .guards
            .iter()
            .all(|guard| file[usize::from(*guard)] != 0)
    {
        let mut limbs = [0u64; MAX_WORDS];
        let limbs = &mut limbs[..words.constants.len()];
        limbs.copy_from_slice(&words.constants);
        for part in &words.parts {
            let value = file[usize::from(part.src)];
            limbs[usize::from(part.limb)] |= if part.shift >= 0 {
                value << part.shift
            } else {
                value >> -part.shift
            };
        }
        return code.algorithm.of_words(limbs, words.bytes);
    }
    scratch.clear();
    let mut writer = Writer::new(scratch);
    for input in &code.inputs {
        match input {
            CalculationInput::Field {
                src,
                bits,
                varbit,
                guard,
            } => {
                if file[usize::from(*guard)] == 0 {
                    continue;
                }
                if *varbit {
                    writer.copy(pass.data, varbit_at(file, *src), varbit_bits(file, *src));
                } else {
                    field(&mut writer, file, *src, *bits);
                }
            }
            CalculationInput::Constant { value, bits } => {
                let mut bits = usize::from(*bits);
                while bits > 0 {
                    let top = (bits - 1) / 64;
                    let width = bits - top * 64;
                    writer.push(value.limb(top), width);
                    bits -= width;
                }
            }
            CalculationInput::Header(header) => {
                emit(
                    &mut writer,
                    file,
                    &program.wires[usize::from(*header)],
                    pass.data,
                );
            }
        }
    }
    writer.finish();
    if code.payload {
        scratch.extend_from_slice(&pass.data[pass.cursor..]);
    }
    code.algorithm.compute(scratch)
}

/// The number that lies in consecutive slots.
fn number<R: Registers + ?Sized>(file: &R, at: usize, limbs: u16) -> Value {
    let limbs: SmallVec<[u64; 4]> = (at..at + usize::from(limbs)).map(|at| file[at]).collect();
    Value::from_limbs(&limbs)
}

/// Appends a field, most significant limb first.
fn field<R: Registers + ?Sized>(writer: &mut Writer<'_>, file: &R, src: Slot, bits: u16) {
    let top = bits.div_ceil(64).saturating_sub(1);
    for limb in (0..=top).rev() {
        let width = (bits - limb * 64).min(64);
        writer.push(
            file[usize::from(src.wrapping_add(limb))],
            usize::from(width),
        );
    }
}

/// Appends the valid ones of these headers in order, then what the parser left.
pub(crate) fn deparse<R: Registers + ?Sized>(
    file: &R,
    program: &Program,
    headers: &[u16],
    data: &[u8],
    cursor: usize,
    frame: &mut Vec<u8>,
) {
    let wire = |header: &u16| &program.wires[usize::from(*header)];
    let rest = data.get(cursor..).unwrap_or_default();
    // Where the headers lie as they did when they came, one after the other up to the rest, all
    // of it is one copy.
    let mut start = usize::MAX;
    let mut end = usize::MAX;
    let together = headers.iter().map(wire).all(|wire| {
        if file[usize::from(wire.valid)] == 0 {
            return true;
        }
        let Some((origin, _)) = &wire.origin else {
            return false;
        };
        let Ok(at) = usize::try_from(file[usize::from(*origin)].wrapping_sub(1)) else {
            return false;
        };
        if start == usize::MAX {
            start = at;
        } else if at != end {
            return false;
        }
        end = at.saturating_add(wire.fixed_bits as usize / 8);
        at != usize::MAX
    });
    if together
        && end == cursor
        && let Some(bytes) = data.get(start..)
    {
        let base = frame.len();
        frame.extend_from_slice(bytes);
        let mut at = base * 8;
        for wire in headers.iter().map(wire) {
            if file[usize::from(wire.valid)] == 0 {
                continue;
            }
            for part in wire.origin.iter().flat_map(|(_, patches)| patches) {
                let value = file[usize::from(part.slot)];
                bits::write(frame, at + part.at as usize, usize::from(part.bits), value);
            }
            at += wire.fixed_bits as usize;
        }
        return;
    }
    let mut writer = Writer::new(frame);
    for header in headers {
        emit(&mut writer, file, wire(header), data);
    }
    writer.finish();
    frame.extend_from_slice(rest);
}

/// Appends a header, if it is valid.
#[inline]
pub(crate) fn emit<R: Registers + ?Sized>(
    writer: &mut Writer<'_>,
    file: &R,
    wire: &HeaderWire,
    data: &[u8],
) {
    if file[usize::from(wire.valid)] == 0 {
        return;
    }
    if let Some((origin, patches)) = &wire.origin
        && let Some(start) = file[usize::from(*origin)].checked_sub(1)
        && let Ok(start) = usize::try_from(start)
    {
        let bytes = wire.fixed_bits as usize / 8;
        writer.copy_and_patch(data.get(start..start + bytes).unwrap_or_default(), |copy| {
            for part in patches {
                let value = file[usize::from(part.slot)];
                bits::write(copy, part.at as usize, usize::from(part.bits), value);
            }
        });
        return;
    }
    let Some((before, slot)) = wire.varbit else {
        for part in &wire.parts {
            writer.push(file[usize::from(part.slot)], usize::from(part.bits));
        }
        return;
    };
    for (at, part) in wire.parts.iter().enumerate() {
        if at == before {
            writer.copy(data, varbit_at(file, slot), varbit_bits(file, slot));
        }
        writer.push(file[usize::from(part.slot)], usize::from(part.bits));
    }
    if before == wire.parts.len() {
        writer.copy(data, varbit_at(file, slot), varbit_bits(file, slot));
    }
}
