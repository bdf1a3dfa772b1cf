//! Which slots of the register file the code reads and writes, so that what nobody reads is
//! neither extracted nor cleared, and what nobody writes leaves as it came.

use std::ops::Range;

use crate::ir::{CalculationInput, Code, Op, SelectPart, Slot};
use crate::layout::{Layout, SLOTS};
use crate::lower::Standard;
use crate::wire::HeaderWire;

/// A set of slots.
#[derive(Clone, Debug)]
pub(crate) struct Slots(Vec<bool>);

impl Default for Slots {
    fn default() -> Self {
        Self(vec![false; SLOTS])
    }
}

impl Slots {
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.0[usize::from(slot)]
    }

    pub(crate) fn add(&mut self, slot: Slot, limbs: u16) {
        for limb in 0..limbs {
            self.0[usize::from(slot.wrapping_add(limb))] = true;
        }
    }
}

/// What all of a program's code does with the slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) read: Slots,
    /// By anything but an extraction or a `setValid`.
    pub(crate) written: Slots,
    /// Headers that are copied as a whole, by index.
    pub(crate) copied: Vec<u16>,
}

impl Usage {
    /// `registers` has the limbs of a cell of each register array.
    pub(crate) fn of(
        layout: &Layout,
        standard: &Standard,
        registers: &[u16],
        codes: [&Code; 2],
    ) -> Self {
        let mut usage = Self::default();
        let own = [
            Some(standard.ingress_port),
            Some(standard.packet_length),
            Some(standard.egress_spec),
            Some(standard.egress_port),
            Some(standard.instance_type),
            standard.parser_error,
            standard.checksum_error,
            standard.ingress_global_timestamp,
            standard.egress_global_timestamp,
            standard.mcast_grp,
            standard.egress_rid,
            standard.enq_timestamp,
        ];
        for field in own.into_iter().flatten() {
            usage.read.add(field.slot, 1);
            usage.written.add(field.slot, 1);
        }
        for header in &layout.headers {
            usage.read.add(header.valid, 1);
            header
                .origin
                .into_iter()
                .for_each(|slot| usage.read.add(slot, 1));
        }
        for stack in &layout.stacks {
            usage.read.add(stack.next, 1);
        }
        for stack in &layout.union_stacks {
            usage.read.add(stack.next, 1);
        }
        for code in codes {
            for op in &code.ops {
                usage.op(layout, registers, code, op);
            }
            usage.lists(code);
        }
        usage
    }

    /// Slots of a packet that must be zero when it comes in: those that are read, and all of a
    /// header that is put together anew when it leaves.
    pub(crate) fn cleared(&self, layout: &Layout, wires: &[HeaderWire]) -> Vec<Range<Slot>> {
        let mut set = self.read.clone();
        for (header, wire) in layout.headers.iter().zip(wires) {
            if !header.metadata && wire.origin.is_none() {
                set.add(header.base, header.limbs);
            }
        }
        let end = Slot::try_from(layout.fields_end).unwrap_or(Slot::MAX);
        // In runs: together they are cleared at the speed of memory.
        let mut runs: Vec<Range<Slot>> = Vec::new();
        for slot in (0..end).filter(|slot| set.has(*slot)) {
            match runs.last_mut() {
                Some(run) if run.end == slot => run.end += 1,
                _ => runs.push(slot..slot + 1),
            }
        }
        runs
    }

    fn read(&mut self, slots: &[Slot]) {
        slots.iter().for_each(|slot| self.read.add(*slot, 1));
    }

    /// What stands beside the operations.
    fn lists(&mut self, code: &Code) {
        for table in &code.tables {
            for one in &table.moves {
                self.read(&[one.src, one.guard]);
            }
            if let Some((_, slot, _)) = table.meter {
                self.written.add(slot, 1);
            }
        }
        for select in &code.selects {
            for part in &select.parts {
                match *part {
                    SelectPart::Slot { src, bits } => self.read.add(src, bits.div_ceil(64)),
                    SelectPart::Last { access, next, bits } => {
                        self.read(&[next]);
                        for slot in &code.accesses[usize::from(access)] {
                            self.read.add(*slot, bits.div_ceil(64));
                        }
                    }
                    SelectPart::Lookahead { .. } => {}
                }
            }
        }
        for calculation in &code.calculations {
            for input in &calculation.inputs {
                match input {
                    CalculationInput::Field {
                        src, bits, guard, ..
                    } => {
                        self.read.add(*src, bits.div_ceil(64).max(1));
                        self.read(&[*guard]);
                    }
                    CalculationInput::Constant { .. } | CalculationInput::Header(_) => {}
                }
            }
        }
        for list in &code.field_lists {
            for (slot, limbs) in &list.fields {
                self.read.add(*slot, *limbs);
                // They are put back after a clone, a resubmit or a recirculation.
                self.written.add(*slot, *limbs);
            }
        }
        for drop in &code.drops {
            self.written.add(drop.egress_spec, 1);
            drop.mcast_grp
                .into_iter()
                .for_each(|slot| self.written.add(slot, 1));
        }
        for log in &code.logs {
            for (slot, limbs) in &log.args {
                self.read.add(*slot, *limbs);
            }
        }
        for pack in &code.packs {
            for part in pack {
                self.read(&[part.src]);
            }
        }
    }

    fn op(&mut self, layout: &Layout, registers: &[u16], code: &Code, op: &Op) {
        match *op {
            Op::Copy { d, a } | Op::SignExtend { d, a, .. } => self.dyadic(d, a, a, 1),
            Op::Add { d, a, b }
            | Op::Sub { d, a, b }
            | Op::Mul { d, a, b }
            | Op::And { d, a, b }
            | Op::Or { d, a, b }
            | Op::Xor { d, a, b }
            | Op::Shl { d, a, b }
            | Op::Shr { d, a, b }
            | Op::Sar { d, a, b }
            | Op::Eq { d, a, b }
            | Op::Ne { d, a, b }
            | Op::Lt { d, a, b }
            | Op::Le { d, a, b }
            | Op::SignedLt { d, a, b }
            | Op::SignedLe { d, a, b }
            | Op::VarbitEq { d, a, b } => self.dyadic(d, a, b, 1),
            Op::Select { d, c, a, b } => {
                self.read(&[c]);
                self.dyadic(d, a, b, 1);
            }
            Op::CopyN { d, a, n } | Op::NarrowN { d, a, n } => self.dyadic(d, a, a, n),
            Op::AddN { d, a, b, n }
            | Op::SubN { d, a, b, n }
            | Op::MulN { d, a, b, n }
            | Op::AndN { d, a, b, n }
            | Op::OrN { d, a, b, n }
            | Op::XorN { d, a, b, n }
            | Op::ShlN { d, a, b, n }
            | Op::ShrN { d, a, b, n }
            | Op::SarN { d, a, b, n }
            | Op::EqN { d, a, b, n }
            | Op::LtN { d, a, b, n }
            | Op::SignedLtN { d, a, b, n }
            | Op::DivN { d, a, b, n }
            | Op::RemN { d, a, b, n } => self.dyadic(d, a, b, n),
            Op::SelectN { d, c, a, b, n } => {
                self.read(&[c]);
                self.dyadic(d, a, b, n);
            }
            Op::ZeroExtendN { d, a, from, n } => {
                self.read.add(a, from);
                self.written.add(d, n);
            }
            Op::SignExtendN { d, a, n, .. } => self.dyadic(d, a, a, n),
            Op::Slice { d, a, .. } => {
                self.read.add(a, 2);
                self.written.add(d, 1);
            }
            Op::Pack { d, n, .. } => self.written.add(d, n),
            Op::LoadIndexed { d, x, i, n } => {
                self.read(&[i]);
                for slot in &code.accesses[usize::from(x)] {
                    self.read.add(*slot, n);
                }
                self.written.add(d, n);
            }
            Op::StoreIndexed { x, i, a, n } => {
                self.read(&[i]);
                self.read.add(a, n);
                for slot in &code.accesses[usize::from(x)] {
                    self.written.add(*slot, n);
                }
            }
            Op::JumpIfZero { a, .. } | Op::JumpIfNotZero { a, .. } => self.read(&[a]),
            Op::JumpIfEq { a, b, .. } | Op::JumpIfNe { a, b, .. } => self.read(&[a, b]),
            Op::CopyHeader { d, a } => self.copied.extend([d, a]),
            Op::HeaderEq { d, a, b } => {
                for header in [a, b] {
                    let header = layout.header(header);
                    self.read.add(header.base, header.limbs);
                }
                self.written.add(d, 1);
            }
            Op::Push { stack, .. } | Op::Pop { stack, .. } => {
                let headers = &layout.stacks[usize::from(stack)].headers;
                self.copied.extend(headers);
            }
            Op::ExtractVarbit { len, .. }
            | Op::ExtractVarbitNext { len, .. }
            | Op::ExtractVarbitUnionNext { len, .. } => self.read(&[len]),
            Op::Advance { a } | Op::Truncate { a } => self.read(&[a]),
            Op::Lookahead { d, bits, .. } => self.written.add(d, bits.div_ceil(64)),
            Op::Verify { c, e } => self.read(&[c, e]),
            Op::Count { i, .. } => self.read(&[i]),
            Op::RegisterRead { d, register, i } => {
                self.read(&[i]);
                self.written.add(d, registers[usize::from(register)]);
            }
            Op::RegisterWrite { register, i, a } => {
                self.read(&[i]);
                self.read.add(a, registers[usize::from(register)]);
            }
            Op::Meter { d, i, .. } => {
                self.read(&[i]);
                self.written.add(d, 1);
            }
            Op::Calculate { d, .. } => self.written.add(d, 1),
            Op::Hash { d, base, size, .. } => self.dyadic(d, base, size, 1),
            Op::Random { d, low, high } => self.dyadic(d, low, high, 1),
            Op::Clone { session, .. } => self.read(&[session]),
            Op::Assert { c, .. } => self.read(&[c]),
            Op::Jump { .. }
            | Op::Apply { .. }
            | Op::Return
            | Op::Exit
            | Op::End
            | Op::Note { .. }
            | Op::SetValid { .. }
            | Op::SetInvalid { .. }
            | Op::Extract { .. }
            | Op::ExtractNext { .. }
            | Op::ExtractUnionNext { .. }
            | Op::SelectState { .. }
            | Op::Digest { .. }
            | Op::Resubmit { .. }
            | Op::Recirculate { .. }
            | Op::MarkToDrop { .. }
            | Op::Log { .. } => {}
        }
    }

    fn dyadic(&mut self, d: Slot, a: Slot, b: Slot, n: u16) {
        self.read.add(a, n);
        self.read.add(b, n);
        self.written.add(d, n);
    }
}
