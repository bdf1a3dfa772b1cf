//! Casts that look at the whole number, and division.

use super::arith::{narrow, width_operand};
use super::{Builder, Built, Fault, Need, Shape, Val, limbs_for};
use crate::expr::Expr;
use crate::ir::Op;
use crate::value::Value;

impl Builder<'_> {
    pub(super) fn sign_extend(&mut self, value: Val, bits: usize) -> Built<Val> {
        let limbs = limbs_for(bits);
        let d = self.temporary(limbs)?;
        if limbs == 1 {
            self.emit(Op::SignExtend {
                d,
                a: value.slot,
                bits: narrow(bits),
            });
        } else {
            self.emit(Op::SignExtendN {
                d,
                a: value.slot,
                bits: narrow(bits),
                n: narrow(limbs),
            });
        }
        Ok(Val {
            slot: d,
            limbs,
            shape: Shape::Signed(bits),
        })
    }

    pub(super) fn divide(&mut self, quotient: bool, left: &Expr, right: &Expr) -> Built<Val> {
        let a = self.expr(left, Need::Exact)?;
        let b = self.expr(right, Need::Exact)?;
        let (Some(x), Some(y)) = (a.unsigned(), b.unsigned()) else {
            return Err(Fault::Unsupported(
                "a division of signed numbers".to_owned(),
            ));
        };
        let limbs = a.limbs.max(b.limbs);
        let shape = Shape::Unsigned(if quotient { x } else { x.min(y) });
        self.apply(a, b, limbs, shape, |d, a, b, n| {
            if quotient {
                Op::DivN { d, a, b, n }
            } else {
                Op::RemN { d, a, b, n }
            }
        })
    }

    pub(super) fn saturating(&mut self, signed: bool, left: &Expr, right: &Expr) -> Built<Val> {
        let bits = width_operand(right)?;
        let value = self.expr(left, Need::Exact)?;
        let (low, high, shape) = if signed {
            let low = Expr::Number {
                negative: true,
                magnitude: power(bits - 1),
            };
            let high = Expr::Number {
                negative: false,
                magnitude: Value::ones(bits - 1),
            };
            (low, high, Shape::Signed(bits))
        } else {
            let low = Expr::Number {
                negative: false,
                magnitude: Value::zero(),
            };
            let high = Expr::Number {
                negative: false,
                magnitude: Value::ones(bits),
            };
            (low, high, Shape::Unsigned(bits))
        };
        let low = self.expr(&low, Need::Exact)?;
        let high = self.expr(&high, Need::Exact)?;
        let wide = value
            .signed_bits()
            .max(low.signed_bits())
            .max(high.signed_bits());
        let limbs = limbs_for(wide);
        let x = self.widen(value, limbs)?;
        let low = self.widen(low, limbs)?;
        let high = self.widen(high, limbs)?;
        let (under, over) = (self.temporary(1)?, self.temporary(1)?);
        let (t, d) = (self.temporary(limbs)?, self.temporary(limbs)?);
        let n = narrow(limbs);
        if limbs == 1 {
            self.emit(Op::SignedLt {
                d: under,
                a: x,
                b: low,
            });
            self.emit(Op::SignedLt {
                d: over,
                a: high,
                b: x,
            });
            self.emit(Op::Select {
                d: t,
                c: under,
                a: low,
                b: x,
            });
            self.emit(Op::Select {
                d,
                c: over,
                a: high,
                b: t,
            });
        } else {
            self.emit(Op::SignedLtN {
                d: under,
                a: x,
                b: low,
                n,
            });
            self.emit(Op::SignedLtN {
                d: over,
                a: high,
                b: x,
                n,
            });
            self.emit(Op::SelectN {
                d: t,
                c: under,
                a: low,
                b: x,
                n,
            });
            self.emit(Op::SelectN {
                d,
                c: over,
                a: high,
                b: t,
                n,
            });
        }
        Ok(Val {
            slot: d,
            limbs,
            shape,
        })
    }
}

fn power(exponent: usize) -> Value {
    let mut limbs = vec![0u64; exponent / 64 + 1];
    limbs[exponent / 64] = 1 << (exponent % 64);
    Value::from_limbs(&limbs)
}
