//! Shifts.

use super::arith::{narrow, shape_bits, small_number};
use super::{Builder, Built, Fault, Need, Shape, Val, limbs_for};
use crate::expr::Expr;
use crate::ir::Op;
use crate::layout::MAX_BITS;

impl Builder<'_> {
    pub(super) fn shift_left(&mut self, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
        let a = self.expr(left, need)?;
        let constant = small_number(right);
        let grown = match constant {
            Some(by) => shape_bits(a.shape) + by,
            None => {
                let amount = self.static_bits(right).unwrap_or(usize::MAX).min(32);
                shape_bits(a.shape) + (1usize << amount) - 1
            }
        };
        let exact = match a.shape {
            Shape::Unsigned(_) => Shape::Unsigned(grown),
            Shape::Signed(_) | Shape::Low(_) => Shape::Signed(grown),
        };
        let (limbs, shape) = match need {
            Need::Exact if grown > MAX_BITS => {
                return Err(Fault::Unsupported(
                    "a left shift whose result may exceed 16384 bits".to_owned(),
                ));
            }
            Need::Exact => (limbs_for(grown), exact),
            Need::Low(k) => {
                let limbs = limbs_for(k);
                let known = grown <= limbs * 64 && !matches!(a.shape, Shape::Low(_));
                (limbs, if known { exact } else { Shape::Low(k) })
            }
        };
        let amount = self.one_limb(right)?;
        let a = self.widen(a, limbs)?;
        let d = self.temporary(limbs)?;
        self.emit(if limbs == 1 {
            Op::Shl { d, a, b: amount }
        } else {
            Op::ShlN {
                d,
                a,
                b: amount,
                n: narrow(limbs),
            }
        });
        Ok(Val {
            slot: d,
            limbs,
            shape,
        })
    }

    pub(super) fn shift_right(&mut self, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
        let constant = small_number(right);
        let a = match (need, constant) {
            (Need::Low(k), Some(by)) if k + by <= MAX_BITS => self.expr(left, Need::Low(k + by))?,
            _ => self.expr(left, Need::Exact)?,
        };
        let by = constant.unwrap_or(0);
        let shape = match a.shape {
            Shape::Unsigned(bits) => Shape::Unsigned(bits.saturating_sub(by)),
            Shape::Signed(bits) => Shape::Signed(bits.saturating_sub(by).max(1)),
            Shape::Low(bits) => Shape::Low(bits.saturating_sub(by)),
        };
        let amount = self.one_limb(right)?;
        let limbs = a.limbs;
        let d = self.temporary(limbs)?;
        let signed = matches!(a.shape, Shape::Signed(_));
        let (a, b, n) = (a.slot, amount, narrow(limbs));
        self.emit(match (limbs, signed) {
            (1, false) => Op::Shr { d, a, b },
            (1, true) => Op::Sar { d, a, b },
            (_, false) => Op::ShrN { d, a, b, n },
            (_, true) => Op::SarN { d, a, b, n },
        });
        Ok(Val {
            slot: d,
            limbs,
            shape,
        })
    }
}
