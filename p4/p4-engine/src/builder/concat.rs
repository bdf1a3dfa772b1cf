//! Values put together from parts and parts taken out of values, which p4c writes as shifts, ors
//! and masks.

use super::arith::{full_mask, narrow, small_number};
use super::reference::small_index;
use super::{Builder, Built, Need, Shape, Val, limbs_for};
use crate::expr::Expr;
use crate::ir::{Deposit, Op};
use crate::layout::MAX_BITS;

impl Builder<'_> {
    /// A wide `a << x | b << y | …` of unsigned parts, put together in one operation.
    pub(super) fn concatenation(&mut self, whole: &Expr, need: Need) -> Built<Option<Val>> {
        let mut leaves = Vec::new();
        if !self.leaves(whole, 0, &mut leaves) {
            return Ok(None);
        }
        let bits = leaves
            .iter()
            .map(|(_, at, bits)| at + bits)
            .max()
            .unwrap_or(0);
        let bits = match need {
            Need::Exact => bits,
            // Parts above are cut by whoever asked for so few bits.
            Need::Low(k) if k < bits => return Ok(None),
            Need::Low(_) => bits,
        };
        if bits <= 64 || bits > MAX_BITS {
            return Ok(None);
        }
        let limbs = limbs_for(bits);
        let mut deposits = Vec::new();
        for (leaf, at, bits) in leaves {
            let value = self.expr(leaf, Need::Exact)?;
            for limb in 0..limbs_for(bits).min(value.limbs) {
                let bit = at + limb * 64;
                let width = (bits - limb * 64).min(64);
                let src = value.slot + narrow(limb);
                let shift = i8::try_from(bit % 64).unwrap_or(0);
                deposits.push(Deposit {
                    src,
                    limb: narrow(bit / 64),
                    shift,
                });
                if bit % 64 + width > 64 {
                    deposits.push(Deposit {
                        src,
                        limb: narrow(bit / 64 + 1),
                        shift: shift - 64,
                    });
                }
            }
        }
        let x = small_index(self.code.packs.len(), "concatenations")?;
        self.code.packs.push(deposits.into());
        let d = self.temporary(limbs)?;
        self.emit(Op::Pack {
            d,
            x,
            n: narrow(limbs),
        });
        Ok(Some(Val {
            slot: d,
            limbs,
            shape: Shape::Unsigned(bits),
        }))
    }

    /// Collects the parts of a concatenation with their bit offsets and widths.
    pub(super) fn leaves<'e>(
        &self,
        expr: &'e Expr,
        at: usize,
        out: &mut Vec<(&'e Expr, usize, usize)>,
    ) -> bool {
        if at > MAX_BITS {
            return false;
        }
        match expr {
            Expr::Number {
                negative: false,
                magnitude,
            } if magnitude.is_zero() => true,
            Expr::Binary(op, left, right) if op == "|" => {
                self.leaves(left, at, out) && self.leaves(right, at, out)
            }
            Expr::Binary(op, left, right) if op == "<<" => match small_number(right) {
                Some(by) => self.leaves(left, at + by, out),
                None => false,
            },
            // A mask that cuts nothing is what p4c writes for a cast.
            Expr::Binary(op, left, right)
                if op == "&"
                    && self
                        .static_bits(left)
                        .is_some_and(|bits| full_mask(right, bits)) =>
            {
                self.leaves(left, at, out)
            }
            _ => match self.static_bits(expr) {
                Some(bits) => {
                    if bits > 0 {
                        out.push((expr, at, bits));
                    }
                    true
                }
                None => false,
            },
        }
    }

    /// `(a >> x) & mask` of a wide field: its bits are fetched, the rest is not touched.
    pub(super) fn slice(&mut self, shifted: &Expr, bits: usize) -> Built<Option<Val>> {
        let Expr::Binary(op, from, by) = shifted else {
            return Ok(None);
        };
        let (Some(by), true) = (small_number(by), op == ">>") else {
            return Ok(None);
        };
        let Expr::Field(header, field) = &**from else {
            return Ok(None);
        };
        let place = self.field(header, field)?;
        if place.signed || place.limbs == 1 || by + bits > place.bits {
            return Ok(None);
        }
        let limbs = limbs_for(bits);
        let d = self.temporary(limbs)?;
        for limb in 0..limbs {
            let at = by + limb * 64;
            let width = (bits - limb * 64).min(64);
            let shift = u8::try_from(at % 64).unwrap_or(0);
            self.emit(Op::Slice {
                d: d + narrow(limb),
                a: place.slot + narrow(at / 64),
                shift,
                bits: u8::try_from(width).unwrap_or(64),
            });
        }
        Ok(Some(Val {
            slot: d,
            limbs,
            shape: Shape::Unsigned(bits),
        }))
    }

    /// Width of an operand that is unsigned by its nature.
    pub(super) fn static_bits(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Number {
                negative: false,
                magnitude,
            } => Some(magnitude.bit_len()),
            Expr::Field(header, field) => {
                let place = self.field(header, field).ok()?;
                (!place.signed).then_some(place.bits)
            }
            Expr::Local(at) => self.params.get(*at).map(|(_, bits)| usize::from(*bits)),
            Expr::Binary(op, left, right) if op == "&" => {
                match (self.static_bits(left), self.static_bits(right)) {
                    (Some(x), Some(y)) => Some(x.min(y)),
                    (x, y) => x.or(y),
                }
            }
            Expr::Binary(op, left, right) if op == "|" || op == "^" => {
                Some(self.static_bits(left)?.max(self.static_bits(right)?))
            }
            Expr::Binary(op, left, right) if op == "<<" => {
                let bits = self.static_bits(left)? + small_number(right)?;
                (bits <= MAX_BITS).then_some(bits)
            }
            Expr::Unary(op, _) if op == "b2d" => Some(1),
            _ => None,
        }
    }
}
