//! The loop over operations, each for a group of lanes.

use super::kernels::Group;
use super::{Column, Journal, LANES, Mask, Row, Sheet, Vector, get, lanes_of, put};
use crate::exec::{Flow, Pass, Run, compute};
use crate::ir::{Code, Op, Pc, Slot};
use crate::lower::MAX_KEY_LIMBS;
use crate::program::Program;
use crate::state::State;
use crate::trace::Trace;
use crate::vector::journal::Event;

/// Some packets on their way through one program.
pub(crate) struct Lanes<'v, 'p> {
    pub(crate) program: &'v Program,
    pub(super) code: &'v Code,
    pub(super) state: &'v mut State,
    pub(crate) sheet: &'v mut Sheet,
    pub(crate) passes: [Pass<'p>; LANES],
    pub(super) waiting: &'v mut Vec<(Pc, Mask)>,
    pub(super) back: &'v mut [Pc; LANES],
    pub(super) journal: &'v mut Journal,
    pub(super) keys: &'v mut [Row],
    pub(super) scratch: &'v mut Vec<u8>,
    key: &'v mut [u64; MAX_KEY_LIMBS],
    trace: Trace,
    pub(super) group: Group,
    /// Lanes whose registers nobody needs any more.
    pub(crate) dead: Mask,
    /// Lanes that must run on their own.
    pub(crate) bailed: Mask,
    /// Steps before all lanes must run on their own, since one may be endless.
    pub(crate) steps: u32,
}

impl<'v, 'p> Lanes<'v, 'p> {
    pub(crate) fn new(
        program: &'v Program,
        state: &'v mut State,
        vector: &'v mut Vector,
        machine: &'v mut crate::exec::Machine,
        passes: [Pass<'p>; LANES],
        dead: Mask,
    ) -> Self {
        Self {
            program,
            code: &program.fast,
            state,
            sheet: &mut vector.sheet,
            passes,
            waiting: &mut vector.waiting,
            back: &mut vector.back,
            journal: &mut vector.journal,
            keys: &mut vector.keys,
            scratch: &mut machine.scratch,
            key: &mut machine.key,
            trace: Trace::default(),
            group: Group::new(),
            dead,
            bailed: 0,
            steps: 0,
        }
    }

    pub(crate) fn get(&self, slot: Slot, lane: u8) -> u64 {
        get(&self.sheet[usize::from(slot)], lane)
    }

    pub(crate) fn put(&mut self, slot: Slot, lane: u8, limb: u64) {
        put(&mut self.sheet[usize::from(slot)], lane, limb);
    }

    pub(crate) fn column(&mut self, lane: u8) -> Column<'_> {
        Column {
            sheet: self.sheet,
            lane,
        }
    }

    /// These lanes go on elsewhere.
    pub(super) fn push(&mut self, pc: Pc, mask: Mask) {
        if mask == 0 {
            return;
        }
        // Sorted, the smallest place last.
        let found = self.waiting.iter().rposition(|(other, _)| *other >= pc);
        match found {
            Some(at) if self.waiting[at].0 == pc => self.waiting[at].1 |= mask,
            Some(at) => self.waiting.insert(at + 1, (pc, mask)),
            None => self.waiting.insert(0, (pc, mask)),
        }
    }

    /// The group that is furthest behind becomes the group; where it is.
    fn next(&mut self) -> Option<usize> {
        let (pc, mask) = self.waiting.pop()?;
        self.group.set(mask, self.dead);
        Some(pc as usize)
    }

    /// These lanes leave the group; false if none is left.
    pub(super) fn leave(&mut self, mask: Mask) -> bool {
        if mask != 0 {
            let left = self.group.mask & !mask;
            self.group.set(left, self.dead);
        }
        self.group.mask != 0
    }

    /// These lanes must run on their own.
    fn bail(&mut self, mask: Mask) -> bool {
        self.bailed |= mask;
        self.dead |= mask;
        self.leave(mask)
    }

    /// Takes a step; false if there is none left, and all lanes must run on their own.
    fn tick(&mut self) -> bool {
        if let Some(left) = self.steps.checked_sub(1) {
            self.steps = left;
            return true;
        }
        let waiting = self.waiting.drain(..).fold(0, |all, (_, mask)| all | mask);
        self.bailed |= self.group.mask | waiting;
        self.dead |= self.bailed;
        false
    }

    /// Takes a jump for some lanes; where the rest of the group goes on.
    #[inline]
    fn branch(&mut self, pc: usize, to: Pc, taken: Mask) -> Option<usize> {
        if taken == 0 {
            return Some(pc);
        }
        if (to as usize) < pc && !self.tick() {
            return None;
        }
        if taken == self.group.mask {
            return Some(to as usize);
        }
        self.push(to, taken);
        self.leave(taken);
        Some(pc)
    }

    /// Runs lanes from `start` to the end of the pipeline, parser or list.
    #[expect(clippy::too_many_lines, reason = "one arm an operation")]
    pub(crate) fn run(&mut self, start: Pc, lanes: Mask) {
        if lanes == 0 {
            return;
        }
        self.waiting.clear();
        self.group.set(lanes, self.dead);
        let mut pc = start as usize;
        loop {
            if let Some((next, mask)) = self.waiting.last().copied()
                && next as usize <= pc
            {
                self.waiting.pop();
                let mut mask = mask;
                if next as usize == pc {
                    mask |= self.group.mask;
                } else {
                    self.push(u32::try_from(pc).unwrap_or(Pc::MAX), self.group.mask);
                    pc = next as usize;
                }
                self.group.set(mask, self.dead);
            }
            macro_rules! leave_or_next {
                ($stays:expr) => {
                    if !$stays {
                        match self.next() {
                            Some(to) => pc = to,
                            None => return,
                        }
                    }
                };
            }
            macro_rules! branch {
                ($to:expr, $taken:expr) => {{
                    let taken = $taken;
                    match self.branch(pc, $to, taken) {
                        Some(to) => pc = to,
                        None => return,
                    }
                }};
            }
            let Some(op) = self.code.ops.get(pc) else {
                leave_or_next!(false);
                continue;
            };
            pc += 1;
            let (group, sheet) = (&self.group, &mut *self.sheet);
            match *op {
                Op::Copy { d, a } => group.map(sheet, d, a, |x| x),
                Op::Add { d, a, b } => group.zip(sheet, d, a, b, u64::wrapping_add),
                Op::Sub { d, a, b } => group.zip(sheet, d, a, b, u64::wrapping_sub),
                Op::Mul { d, a, b } => group.zip(sheet, d, a, b, u64::wrapping_mul),
                Op::And { d, a, b } => group.zip(sheet, d, a, b, |x, y| x & y),
                Op::Or { d, a, b } => group.zip(sheet, d, a, b, |x, y| x | y),
                Op::Xor { d, a, b } => group.zip(sheet, d, a, b, |x, y| x ^ y),
                Op::Shl { d, a, b } => group.zip(sheet, d, a, b, crate::exec::shl),
                Op::Shr { d, a, b } => group.zip(sheet, d, a, b, crate::exec::shr),
                Op::Sar { d, a, b } => group.zip(sheet, d, a, b, crate::exec::sar),
                Op::Eq { d, a, b } => group.zip(sheet, d, a, b, |x, y| u64::from(x == y)),
                Op::Ne { d, a, b } => group.zip(sheet, d, a, b, |x, y| u64::from(x != y)),
                Op::Lt { d, a, b } => group.zip(sheet, d, a, b, |x, y| u64::from(x < y)),
                Op::Le { d, a, b } => group.zip(sheet, d, a, b, |x, y| u64::from(x <= y)),
                Op::SignedLt { d, a, b } => {
                    group.zip(sheet, d, a, b, |x, y| {
                        u64::from(x.cast_signed() < y.cast_signed())
                    });
                }
                Op::SignedLe { d, a, b } => {
                    group.zip(sheet, d, a, b, |x, y| {
                        u64::from(x.cast_signed() <= y.cast_signed())
                    });
                }
                Op::Select { d, c, a, b } => {
                    group.zip3(sheet, d, [c, a, b], |c, x, y| if c == 0 { y } else { x });
                }
                Op::SignExtend { d, a, bits } => {
                    group.map(sheet, d, a, |x| crate::wide::extend_limb(x, bits));
                }
                Op::Slice { d, a, shift, bits } => {
                    let mask = u64::MAX >> (64 - u32::from(bits));
                    let low = u32::from(shift);
                    if low + u32::from(bits) > 64 {
                        let high = 64 - low;
                        group.zip(sheet, d, a, a.wrapping_add(1), |x, y| {
                            (x.wrapping_shr(low) | y.wrapping_shl(high)) & mask
                        });
                    } else {
                        group.map(sheet, d, a, |x| x.wrapping_shr(low) & mask);
                    }
                }
                Op::Pack { d, x, n } => {
                    for limb in 0..n {
                        group.fill(sheet, d.wrapping_add(limb), 0);
                    }
                    for part in &self.code.packs[usize::from(x)] {
                        let to = d.wrapping_add(part.limb);
                        let by = u32::from(part.shift.unsigned_abs());
                        if part.shift >= 0 {
                            group.fold(sheet, to, part.src, |x, y| x | y.wrapping_shl(by));
                        } else {
                            group.fold(sheet, to, part.src, |x, y| x | y.wrapping_shr(by));
                        }
                    }
                }
                Op::CopyN { d, a, n } => {
                    for limb in 0..n {
                        group.map(sheet, d.wrapping_add(limb), a.wrapping_add(limb), |x| x);
                    }
                }
                Op::AndN { d, a, b, n } => {
                    for limb in 0..n {
                        let [d, a, b] = [d, a, b].map(|slot| slot.wrapping_add(limb));
                        group.zip(sheet, d, a, b, |x, y| x & y);
                    }
                }
                Op::OrN { d, a, b, n } => {
                    for limb in 0..n {
                        let [d, a, b] = [d, a, b].map(|slot| slot.wrapping_add(limb));
                        group.zip(sheet, d, a, b, |x, y| x | y);
                    }
                }
                Op::ZeroExtendN { d, a, from, n } => {
                    for limb in 0..n {
                        let [d, a] = [d, a].map(|slot| slot.wrapping_add(limb));
                        if limb < from {
                            group.map(sheet, d, a, |x| x);
                        } else {
                            group.fill(sheet, d, 0);
                        }
                    }
                }
                Op::EqN { d, a, b, n }
                    if n > 0
                        && !(a..a.saturating_add(n)).contains(&d)
                        && !(b..b.saturating_add(n)).contains(&d) =>
                {
                    group.zip(sheet, d, a, b, |x, y| u64::from(x == y));
                    for limb in 1..n {
                        let [a, b] = [a, b].map(|slot| slot.wrapping_add(limb));
                        group.zip3(sheet, d, [d, a, b], |same, x, y| same & u64::from(x == y));
                    }
                }
                Op::LtN { d, a, b, n }
                    if n > 0
                        && !(a..a.saturating_add(n)).contains(&d)
                        && !(b..b.saturating_add(n)).contains(&d) =>
                {
                    group.zip(sheet, d, a, b, |x, y| u64::from(x < y));
                    for limb in 1..n {
                        let [a, b] = [a, b].map(|slot| slot.wrapping_add(limb));
                        group.zip3(sheet, d, [d, a, b], |less, x, y| {
                            u64::from(x < y) | (less & u64::from(x == y))
                        });
                    }
                }
                Op::Jump { to } => branch!(to, self.group.mask),
                Op::JumpIfZero { a, to } => {
                    branch!(to, group.holds(sheet, a, a, |x, _| x == 0));
                }
                Op::JumpIfNotZero { a, to } => {
                    branch!(to, group.holds(sheet, a, a, |x, _| x != 0));
                }
                Op::JumpIfEq { a, b, to } => {
                    branch!(to, group.holds(sheet, a, b, |x, y| x == y));
                }
                Op::JumpIfNe { a, b, to } => {
                    branch!(to, group.holds(sheet, a, b, |x, y| x != y));
                }
                Op::Apply { table } => {
                    if !self.tick() {
                        return;
                    }
                    match self.apply(table) {
                        Some(to) => pc = to,
                        None => leave_or_next!(false),
                    }
                }
                Op::Return => {
                    let back = *self.back;
                    match self.scatter(&back) {
                        Some(to) => pc = to,
                        None => leave_or_next!(false),
                    }
                }
                Op::Exit | Op::End => leave_or_next!(false),
                Op::Note { .. } | Op::Log { .. } => {}
                Op::SelectState { x } => {
                    if !self.tick() {
                        return;
                    }
                    self.select(x);
                    leave_or_next!(false);
                }
                Op::Extract { h } => {
                    let failed = self.extract(h);
                    leave_or_next!(self.leave(failed));
                }
                Op::Verify { c, e } => {
                    let failed = group.holds(sheet, c, c, |x, _| x == 0);
                    for lane in lanes_of(failed) {
                        let error = self.get(e, lane);
                        self.passes[usize::from(lane)].parser_error = Some(error);
                    }
                    leave_or_next!(self.leave(failed));
                }
                Op::ExtractNext { .. }
                | Op::ExtractUnionNext { .. }
                | Op::ExtractVarbit { .. }
                | Op::ExtractVarbitNext { .. }
                | Op::ExtractVarbitUnionNext { .. }
                | Op::Advance { .. }
                | Op::Lookahead { .. } => {
                    let mut failed = 0;
                    for lane in lanes_of(self.group.mask) {
                        let flow = self.alone(lane, |run, pass| run.parse::<false>(pass, *op));
                        if !matches!(flow, Flow::Next) {
                            failed |= 1 << lane;
                        }
                    }
                    leave_or_next!(self.leave(failed));
                }
                Op::SetInvalid { .. }
                | Op::SetValid { .. }
                | Op::CopyHeader { .. }
                | Op::HeaderEq { .. }
                | Op::VarbitEq { .. }
                | Op::Push { .. }
                | Op::Pop { .. } => {
                    for lane in lanes_of(self.group.mask) {
                        self.alone(lane, |run, pass| run.header(pass, *op));
                    }
                }
                Op::Count { counter, i } => {
                    let cells = self.state.counters[usize::from(counter)].len();
                    for lane in self.group.lanes() {
                        let index = get(&self.sheet[usize::from(i)], *lane);
                        if usize::try_from(index).is_ok_and(|index| index < cells)
                            && let Ok(cell) = u32::try_from(index)
                        {
                            self.journal.count(Event::Count, *lane, counter, cell);
                        }
                    }
                }
                Op::RegisterRead { d, register, i } => {
                    let before = pc
                        .checked_sub(2)
                        .and_then(|before| self.code.ops.get(before));
                    if !matches!(before, Some(Op::RegisterRead { .. })) {
                        self.touch_registers(pc - 1);
                    }
                    self.register_read(d, register, i);
                }
                Op::RegisterWrite { register, i, a } => self.register_write(register, i, a),
                Op::Calculate { d, x } => {
                    let code = &self.code.calculations[usize::from(x)];
                    let sums = self.calculate(code);
                    for lane in self.group.lanes() {
                        let sum = sums[usize::from(*lane) % LANES];
                        put(&mut self.sheet[usize::from(d)], *lane, sum);
                    }
                }
                Op::Hash { d, base, x, size } => {
                    let code = &self.code.calculations[usize::from(x)];
                    let sums = self.calculate(code);
                    for lane in self.group.lanes() {
                        let sum = sums[usize::from(*lane) % LANES];
                        let size = get(&self.sheet[usize::from(size)], *lane).max(1);
                        let base = get(&self.sheet[usize::from(base)], *lane);
                        let sum = if size.is_power_of_two() {
                            sum & (size - 1)
                        } else {
                            sum % size
                        };
                        put(
                            &mut self.sheet[usize::from(d)],
                            *lane,
                            sum.wrapping_add(base),
                        );
                    }
                }
                Op::Resubmit { list } => {
                    for lane in self.group.lanes() {
                        self.passes[usize::from(*lane) % LANES].resubmit = Some(list);
                    }
                }
                Op::Truncate { .. } | Op::MarkToDrop { .. } => {
                    for lane in lanes_of(self.group.mask) {
                        // Neither of them ends anything.
                        let _ = self.alone(lane, |run, pass| run.external::<false>(pass, *op));
                    }
                }
                Op::Assert { c, .. } => {
                    let failed = group.holds(sheet, c, c, |x, _| x == 0);
                    leave_or_next!(self.bail(failed));
                }
                Op::Meter { .. }
                | Op::Random { .. }
                | Op::Digest { .. }
                | Op::Clone { .. }
                | Op::Recirculate { .. } => {
                    let all = self.group.mask;
                    leave_or_next!(self.bail(all));
                }
                Op::AddN { .. }
                | Op::SubN { .. }
                | Op::MulN { .. }
                | Op::XorN { .. }
                | Op::ShlN { .. }
                | Op::ShrN { .. }
                | Op::SarN { .. }
                | Op::EqN { .. }
                | Op::LtN { .. }
                | Op::SignedLtN { .. }
                | Op::SelectN { .. }
                | Op::SignExtendN { .. }
                | Op::DivN { .. }
                | Op::RemN { .. }
                | Op::NarrowN { .. }
                | Op::LoadIndexed { .. }
                | Op::StoreIndexed { .. } => {
                    for lane in lanes_of(self.group.mask) {
                        let code = self.code;
                        compute::wide(&mut self.column(lane), code, *op);
                    }
                }
            }
        }
    }

    /// Fetches the cells that this operation and those right behind it read, for all lanes, before
    /// any of them is waited for.
    #[inline(never)]
    fn touch_registers(&self, pc: usize) {
        let mut touched = 0;
        let ops = self.code.ops.get(pc..).unwrap_or_default();
        for op in ops {
            let Op::RegisterRead { register, i, .. } = *op else {
                break;
            };
            let array = &self.state.registers[usize::from(register)];
            let row = &self.sheet[usize::from(i)];
            for lane in self.group.lanes() {
                let at = array.cell(get(row, *lane)).unwrap_or(0) * array.limbs;
                for at in [at, at + array.limbs.saturating_sub(1)] {
                    touched ^= array.cells.get(at).copied().unwrap_or(0);
                }
            }
        }
        std::hint::black_box(touched);
    }

    #[inline(never)]
    fn register_read(&mut self, d: Slot, register: u16, i: Slot) {
        let array = &self.state.registers[usize::from(register)];
        for lane in self.group.lanes() {
            let index = get(&self.sheet[usize::from(i)], *lane);
            let Some(cell) = array.cell(index) else {
                continue;
            };
            let Ok(place) = u32::try_from(cell) else {
                continue;
            };
            let at = cell * array.limbs;
            let own = self.journal.read(*lane, register, place, array.limbs);
            let from = own.unwrap_or_else(|| &array.cells[at..at + array.limbs]);
            for (limb, slot) in from.iter().zip(d..) {
                put(&mut self.sheet[usize::from(slot)], *lane, *limb);
            }
        }
    }

    #[inline(never)]
    fn register_write(&mut self, register: u16, i: Slot, a: Slot) {
        let array = &self.state.registers[usize::from(register)];
        for lane in self.group.lanes() {
            let index = get(&self.sheet[usize::from(i)], *lane);
            let Some(cell) = array.cell(index).and_then(|cell| u32::try_from(cell).ok()) else {
                continue;
            };
            let slots = (a..).take(array.limbs);
            let sheet = &*self.sheet;
            let value = slots.map(|slot| get(&sheet[usize::from(slot)], *lane));
            self.journal.write(*lane, register, cell, value);
        }
    }

    /// One lane as a run of its own, for what is rare.
    pub(super) fn alone<T>(
        &mut self,
        lane: u8,
        f: impl FnOnce(&mut Run<'_, Column<'_>>, &mut Pass<'p>) -> T,
    ) -> T {
        let mut run = Run {
            program: self.program,
            code: self.code,
            state: &mut *self.state,
            file: &mut Column {
                sheet: &mut *self.sheet,
                lane,
            },
            key: &mut *self.key,
            scratch: &mut *self.scratch,
            trace: &mut self.trace,
        };
        f(&mut run, &mut self.passes[usize::from(lane)])
    }
}
