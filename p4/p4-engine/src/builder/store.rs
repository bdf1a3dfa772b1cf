//! Storing computed values: cut to a width, and without a copy where the last operation can do it.

use super::arith::narrow;
use super::{Builder, Built, Need, Place, Shape, Val, limbs_for};
use crate::expr::Expr;
use crate::ir::{Op, Slot};

impl Builder<'_> {
    /// Assigns to a place, cut to its width.
    pub(crate) fn assign(&mut self, to: Place, from: &Expr) -> Built<()> {
        let start = self.code.ops.len();
        let value = self.expr(from, Need::Low(to.bits))?;
        self.store(to, value, start)
    }

    /// Stores a value, cut to the width of the place. Operations from `start` on may be retargeted.
    pub(crate) fn store(&mut self, to: Place, value: Val, start: usize) -> Built<()> {
        let fits = matches!(value.shape, Shape::Unsigned(bits) if bits <= to.bits);
        let source = self.widen(value, to.limbs)?;
        let top = to.bits % 64;
        let mask = if fits || top == 0 {
            None
        } else {
            Some(self.small((1 << top) - 1)?)
        };
        if to.limbs == 1 {
            match mask {
                Some(mask) => self.emit(Op::And {
                    d: to.slot,
                    a: source,
                    b: mask,
                }),
                None if source == to.slot || self.retarget(source, to.slot, start) => {}
                None => self.emit(Op::Copy {
                    d: to.slot,
                    a: source,
                }),
            }
            return Ok(());
        }
        if source != to.slot && !self.retarget_pack(source, to, start) {
            self.emit(Op::CopyN {
                d: to.slot,
                a: source,
                n: narrow(to.limbs),
            });
        }
        if let Some(mask) = mask {
            let last = to.slot + narrow(to.limbs - 1);
            self.emit(Op::And {
                d: last,
                a: last,
                b: mask,
            });
        }
        Ok(())
    }

    /// Computes a value into slots that nothing else writes: `bits` wide, zero above.
    pub(crate) fn materialize(&mut self, from: &Expr, bits: usize) -> Built<Slot> {
        let start = self.code.ops.len();
        let value = self.expr(from, Need::Low(bits))?;
        if matches!(value.shape, Shape::Unsigned(have) if have <= bits) {
            return self.widen(value, limbs_for(bits));
        }
        let limbs = limbs_for(bits);
        let slot = self.temporary(limbs)?;
        self.store(
            Place {
                slot,
                bits,
                limbs,
                signed: false,
            },
            value,
            start,
        )?;
        Ok(slot)
    }

    /// One limb for an index, amount or id: larger numbers become all ones.
    pub(crate) fn one_limb(&mut self, from: &Expr) -> Built<Slot> {
        let value = self.expr(from, Need::Exact)?;
        self.saturate(value)
    }

    pub(super) fn saturate(&mut self, value: Val) -> Built<Slot> {
        if value.limbs == 1 {
            return Ok(value.slot);
        }
        let d = self.temporary(1)?;
        self.emit(Op::NarrowN {
            d,
            a: value.slot,
            n: narrow(value.limbs),
        });
        Ok(d)
    }

    /// Lets the operation that wrote temporary `from` write `to` instead, if it was the last.
    pub(super) fn retarget(&mut self, from: Slot, to: Slot, start: usize) -> bool {
        let temporaries = self.layout.temporaries..self.layout.constants;
        if !temporaries.contains(&usize::from(from)) || self.code.ops.len() <= start {
            return false;
        }
        let Some(last) = self.code.ops.last_mut() else {
            return false;
        };
        match last {
            Op::Copy { d, .. }
            | Op::Add { d, .. }
            | Op::Sub { d, .. }
            | Op::Mul { d, .. }
            | Op::And { d, .. }
            | Op::Or { d, .. }
            | Op::Xor { d, .. }
            | Op::Shl { d, .. }
            | Op::Shr { d, .. }
            | Op::Sar { d, .. }
            | Op::Eq { d, .. }
            | Op::Ne { d, .. }
            | Op::Lt { d, .. }
            | Op::Le { d, .. }
            | Op::SignedLt { d, .. }
            | Op::SignedLe { d, .. }
            | Op::Select { d, .. }
            | Op::Slice { d, .. }
                if *d == from =>
            {
                *d = to;
                true
            }
            _ => false,
        }
    }

    /// Lets a concatenation that ended in a temporary end in its place, if it reads nothing there.
    pub(super) fn retarget_pack(&mut self, from: Slot, to: Place, start: usize) -> bool {
        if self.code.ops.len() <= start {
            return false;
        }
        let place = to.slot..to.slot + narrow(to.limbs);
        let Some(Op::Pack { d, x, n }) = self.code.ops.last_mut() else {
            return false;
        };
        let parts = &self.code.packs[usize::from(*x)];
        let apart = parts.iter().all(|part| !place.contains(&part.src));
        if *d == from && usize::from(*n) == to.limbs && apart {
            *d = to.slot;
            return true;
        }
        false
    }
}
