//! Expressions into operations.
//!
//! bmv2 computes with unbounded integers and cuts on assignment. Here each value is asked for
//! either exactly or modulo 2^k; p4c masks whatever may grow, so nearly everything is asked for
//! modulo its own width and stays in one limb. Only what looks at the whole number (comparison,
//! shift right, saturation, division) asks exactly, with the width that the operands can reach.

use super::{Builder, Built, Fault, Need, Place, Shape, Val, limbs_for};
use crate::expr::Expr;
use crate::ir::{Op, Slot};
use crate::layout::MAX_BITS;
use crate::value::Value;

#[derive(Clone, Copy)]
pub(super) enum Bitwise {
    And,
    Or,
    Xor,
}

impl Builder<'_> {
    /// The value of an expression, at least as exact as needed.
    pub(crate) fn expr(&mut self, expr: &Expr, need: Need) -> Built<Val> {
        match expr {
            Expr::Number {
                negative,
                magnitude,
            } => self.number(*negative, magnitude, need),
            Expr::Field(header, field) => {
                let place = self.field(header, field)?;
                self.load(place, need)
            }
            Expr::StackField(..) | Expr::UnionStackField(..) | Expr::Member(..) => {
                let place = self.element_field(expr)?;
                self.load(place, need)
            }
            Expr::Local(at) => {
                let param = self.params.get(*at).copied();
                let (slot, bits) =
                    param.ok_or_else(|| Fault::Malformed(format!("parameter {at} is missing")))?;
                let bits = usize::from(bits);
                Ok(Val {
                    slot,
                    limbs: limbs_for(bits),
                    shape: Shape::Unsigned(bits),
                })
            }
            Expr::Register(name, index) => {
                let (register, bits) = self.register(name)?;
                let i = self.one_limb(index)?;
                let bits = usize::from(bits);
                let d = self.temporary(limbs_for(bits))?;
                self.emit(Op::RegisterRead { d, register, i });
                Ok(Val {
                    slot: d,
                    limbs: limbs_for(bits),
                    shape: Shape::Unsigned(bits),
                })
            }
            Expr::Unary(op, operand) => self.unary(op, operand, expr, need),
            Expr::Binary(op, left, right) => self.binary(op, left, right, expr, need),
            Expr::Ternary(cond, left, right) => self.ternary(cond, left, right, need),
            Expr::Bool(_) => self.truth(expr).map(bit),
            Expr::Header(_) | Expr::Stack(_) | Expr::Union(_) | Expr::UnionStack(_) => Err(
                Fault::Malformed("a header where a number is needed".to_owned()),
            ),
        }
    }

    pub(super) fn number(&mut self, negative: bool, magnitude: &Value, need: Need) -> Built<Val> {
        if !negative || magnitude.is_zero() {
            // Only the bits that are asked for.
            let cut = match need {
                Need::Low(bits) if magnitude.bit_len() > bits => magnitude.and(&Value::ones(bits)),
                _ => magnitude.clone(),
            };
            check_bits(cut.bit_len())?;
            let limbs = limbs_for(cut.bit_len());
            let slot = self.constant(&cut, limbs)?;
            return Ok(Val {
                slot,
                limbs,
                shape: Shape::Unsigned(cut.bit_len()),
            });
        }
        let bits = magnitude.bit_len() + 1;
        check_bits(bits)?;
        let limbs = match need {
            Need::Exact => limbs_for(bits),
            Need::Low(k) => limbs_for(k),
        };
        let mut carry = true;
        let negated = (0..limbs)
            .map(|at| {
                let (limb, over) = (!magnitude.limb(at)).overflowing_add(u64::from(carry));
                carry = over;
                limb
            })
            .collect();
        let slot = self.constant_limbs(negated)?;
        let shape = match need {
            Need::Exact => Shape::Signed(bits),
            Need::Low(k) => Shape::Low(k),
        };
        Ok(Val { slot, limbs, shape })
    }

    pub(super) fn load(&mut self, place: Place, need: Need) -> Built<Val> {
        let Place {
            slot,
            bits,
            limbs,
            signed,
        } = place;
        if !signed {
            return Ok(Val {
                slot,
                limbs,
                shape: Shape::Unsigned(bits),
            });
        }
        let raw = Val {
            slot,
            limbs,
            shape: Shape::Low(bits),
        };
        match need {
            Need::Low(k) if k <= bits => Ok(raw),
            Need::Low(_) | Need::Exact => self.sign_extend(raw, bits),
        }
    }

    /// The same value in `limbs` limbs; fewer limbs are a cut.
    pub(crate) fn widen(&mut self, value: Val, limbs: usize) -> Built<Slot> {
        if limbs <= value.limbs {
            return Ok(value.slot);
        }
        let d = self.temporary(limbs)?;
        match value.shape {
            Shape::Signed(_) => self.emit(Op::SignExtendN {
                d,
                a: value.slot,
                bits: narrow(value.limbs * 64),
                n: narrow(limbs),
            }),
            Shape::Unsigned(_) | Shape::Low(_) => self.emit(Op::ZeroExtendN {
                d,
                a: value.slot,
                from: narrow(value.limbs),
                n: narrow(limbs),
            }),
        }
        Ok(d)
    }

    pub(super) fn unary(
        &mut self,
        op: &str,
        operand: &Expr,
        whole: &Expr,
        need: Need,
    ) -> Built<Val> {
        match op {
            "~" => {
                let ones = Expr::Number {
                    negative: true,
                    magnitude: Value::from(1u64),
                };
                self.bitwise(Bitwise::Xor, operand, &ones, need)
            }
            "-" => {
                let zero = Expr::Number {
                    negative: false,
                    magnitude: Value::zero(),
                };
                self.sum(false, &zero, operand, need)
            }
            "b2d" => self.truth(operand).map(bit),
            "last_stack_index" => {
                let next = self.stack_next(operand)?;
                let d = self.temporary(1)?;
                let one = self.small(1)?;
                self.emit(Op::Sub { d, a: next, b: one });
                Ok(Val {
                    slot: d,
                    limbs: 1,
                    shape: Shape::Unsigned(64),
                })
            }
            "size_stack" => {
                let slot = self.stack_next(operand)?;
                Ok(Val {
                    slot,
                    limbs: 1,
                    shape: Shape::Unsigned(16),
                })
            }
            _ => self.truth(whole).map(bit),
        }
    }

    pub(super) fn binary(
        &mut self,
        op: &str,
        left: &Expr,
        right: &Expr,
        whole: &Expr,
        need: Need,
    ) -> Built<Val> {
        match op {
            "+" => self.sum(true, left, right, need),
            "-" => self.sum(false, left, right, need),
            "*" => self.product(left, right, need),
            "&" => self.and(left, right, need),
            "|" => match self.concatenation(whole, need)? {
                Some(value) => Ok(value),
                None => self.bitwise(Bitwise::Or, left, right, need),
            },
            "^" => self.bitwise(Bitwise::Xor, left, right, need),
            "<<" => self.shift_left(left, right, need),
            ">>" => self.shift_right(left, right, need),
            "/" | "%" => self.divide(op == "/", left, right),
            "two_comp_mod" => {
                let bits = width_operand(right)?;
                let value = self.expr(left, Need::Low(bits))?;
                let limbs = limbs_for(bits);
                let slot = self.widen(value, limbs)?;
                let cut = Val {
                    slot,
                    limbs,
                    shape: Shape::Low(bits),
                };
                match need {
                    Need::Low(k) if k <= bits => Ok(cut),
                    Need::Low(_) | Need::Exact => self.sign_extend(cut, bits),
                }
            }
            "usat_cast" | "sat_cast" => self.saturating(op == "sat_cast", left, right),
            _ => self.truth(whole).map(bit),
        }
    }

    pub(super) fn ternary(
        &mut self,
        cond: &Expr,
        left: &Expr,
        right: &Expr,
        need: Need,
    ) -> Built<Val> {
        let c = self.truth(cond)?;
        let a = self.expr(left, need)?;
        let b = self.expr(right, need)?;
        let (limbs, shape) = match need {
            Need::Low(k) => {
                let shape = match (a.unsigned(), b.unsigned()) {
                    (Some(x), Some(y)) if x.max(y) <= limbs_for(k) * 64 => {
                        Shape::Unsigned(x.max(y))
                    }
                    _ => Shape::Low(k),
                };
                (limbs_for(k), shape)
            }
            Need::Exact => {
                let shape = join(a, b);
                (limbs_for(shape_bits(shape)), shape)
            }
        };
        let a = self.widen(a, limbs)?;
        let b = self.widen(b, limbs)?;
        let d = self.temporary(limbs)?;
        if limbs == 1 {
            self.emit(Op::Select { d, c, a, b });
        } else {
            self.emit(Op::SelectN {
                d,
                c,
                a,
                b,
                n: narrow(limbs),
            });
        }
        Ok(Val {
            slot: d,
            limbs,
            shape,
        })
    }

    pub(super) fn sum(&mut self, add: bool, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
        let a = self.expr(left, need)?;
        let b = self.expr(right, need)?;
        let exact = match (add, a.unsigned(), b.unsigned()) {
            (true, Some(x), Some(y)) => Shape::Unsigned(x.max(y) + 1),
            _ => Shape::Signed(a.signed_bits().max(b.signed_bits()) + 1),
        };
        let (limbs, shape) = self.settle(a, b, exact, need)?;
        let make = if add {
            |d, a, b, n| {
                if n == 1 {
                    Op::Add { d, a, b }
                } else {
                    Op::AddN { d, a, b, n }
                }
            }
        } else {
            |d, a, b, n| {
                if n == 1 {
                    Op::Sub { d, a, b }
                } else {
                    Op::SubN { d, a, b, n }
                }
            }
        };
        self.apply(a, b, limbs, shape, make)
    }

    pub(super) fn product(&mut self, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
        let a = self.expr(left, need)?;
        let b = self.expr(right, need)?;
        let exact = match (a.unsigned(), b.unsigned()) {
            (Some(x), Some(y)) => Shape::Unsigned(x + y),
            _ => Shape::Signed(a.signed_bits() + b.signed_bits()),
        };
        let (limbs, shape) = self.settle(a, b, exact, need)?;
        self.apply(a, b, limbs, shape, |d, a, b, n| {
            if n == 1 {
                Op::Mul { d, a, b }
            } else {
                Op::MulN { d, a, b, n }
            }
        })
    }

    /// Limbs to compute in and what is then known of the result.
    pub(super) fn settle(&self, a: Val, b: Val, exact: Shape, need: Need) -> Built<(usize, Shape)> {
        match need {
            Need::Exact => {
                check_bits(shape_bits(exact))?;
                Ok((limbs_for(shape_bits(exact)), exact))
            }
            Need::Low(k) => {
                let limbs = limbs_for(k);
                let both_exact =
                    !matches!(a.shape, Shape::Low(_)) && !matches!(b.shape, Shape::Low(_));
                // Cut operands are still right modulo 2^(64 * limbs).
                let known = both_exact && shape_bits(exact) <= limbs * 64;
                Ok((limbs, if known { exact } else { Shape::Low(k) }))
            }
        }
    }

    pub(super) fn apply(
        &mut self,
        a: Val,
        b: Val,
        limbs: usize,
        shape: Shape,
        make: impl Fn(Slot, Slot, Slot, u16) -> Op,
    ) -> Built<Val> {
        let a = self.widen(a, limbs)?;
        let b = self.widen(b, limbs)?;
        let d = self.temporary(limbs)?;
        self.emit(make(d, a, b, narrow(limbs)));
        Ok(Val {
            slot: d,
            limbs,
            shape,
        })
    }

    pub(super) fn and(&mut self, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
        // The narrower unsigned side bounds what is needed of the other.
        let bound = match (self.static_bits(left), self.static_bits(right)) {
            (Some(x), Some(y)) => Some(x.min(y)),
            (x, y) => x.or(y),
        };
        let k = match (bound, need) {
            (Some(bits), Need::Exact) => bits,
            (Some(bits), Need::Low(k)) => bits.min(k),
            (None, Need::Low(k)) => k,
            (None, Need::Exact) => return self.bitwise(Bitwise::And, left, right, need),
        };
        if k == 0 {
            return self.number(false, &Value::zero(), Need::Exact);
        }
        let ones = Value::ones(k);
        let full = |mask: &Expr| matches!(mask, Expr::Number { negative: false, magnitude } if magnitude.and(&ones) == ones);
        if let Some(value) = if full(right) {
            self.slice(left, k)?
        } else {
            None
        } {
            return Ok(value);
        }
        let value = if full(right) {
            self.expr(left, Need::Low(k))?
        } else if full(left) {
            self.expr(right, Need::Low(k))?
        } else {
            self.bitwise(Bitwise::And, left, right, Need::Low(k))?
        };
        let caller_cuts = matches!(need, Need::Low(want) if want <= k);
        if caller_cuts || matches!(value.shape, Shape::Unsigned(bits) if bits <= k) {
            return Ok(value);
        }
        let limbs = limbs_for(k);
        let slot = self.constant(&ones, limbs)?;
        let mask = Val {
            slot,
            limbs,
            shape: Shape::Unsigned(k),
        };
        self.apply(value, mask, limbs, Shape::Unsigned(k), and_op)
    }

    pub(super) fn bitwise(
        &mut self,
        op: Bitwise,
        left: &Expr,
        right: &Expr,
        need: Need,
    ) -> Built<Val> {
        let a = self.expr(left, need)?;
        let b = self.expr(right, need)?;
        let exact = match (op, a.unsigned(), b.unsigned()) {
            (Bitwise::And, Some(x), Some(y)) => Shape::Unsigned(x.min(y)),
            (Bitwise::And, Some(x), None) | (Bitwise::And, None, Some(x)) => Shape::Unsigned(x),
            (_, Some(x), Some(y)) => Shape::Unsigned(x.max(y)),
            _ => Shape::Signed(a.signed_bits().max(b.signed_bits())),
        };
        let (limbs, shape) = match need {
            Need::Exact => {
                let bits = a.signed_bits().max(b.signed_bits()).max(shape_bits(exact));
                (limbs_for(bits), exact)
            }
            Need::Low(k) => {
                let limbs = limbs_for(k);
                let sound = a.sound_bits(limbs).min(b.sound_bits(limbs));
                let known = match exact {
                    Shape::Unsigned(bits) => bits <= sound,
                    Shape::Signed(bits) => {
                        bits <= limbs * 64
                            && !matches!(a.shape, Shape::Low(_))
                            && !matches!(b.shape, Shape::Low(_))
                    }
                    Shape::Low(_) => false,
                };
                (limbs, if known { exact } else { Shape::Low(k) })
            }
        };
        match op {
            Bitwise::And => self.apply(a, b, limbs, shape, and_op),
            Bitwise::Or => self.apply(a, b, limbs, shape, |d, a, b, n| {
                if n == 1 {
                    Op::Or { d, a, b }
                } else {
                    Op::OrN { d, a, b, n }
                }
            }),
            Bitwise::Xor => self.apply(a, b, limbs, shape, |d, a, b, n| {
                if n == 1 {
                    Op::Xor { d, a, b }
                } else {
                    Op::XorN { d, a, b, n }
                }
            }),
        }
    }
}

fn and_op(d: Slot, a: Slot, b: Slot, n: u16) -> Op {
    if n == 1 {
        Op::And { d, a, b }
    } else {
        Op::AndN { d, a, b, n }
    }
}

pub(super) fn bit(slot: Slot) -> Val {
    Val {
        slot,
        limbs: 1,
        shape: Shape::Unsigned(1),
    }
}

fn join(a: Val, b: Val) -> Shape {
    match (a.unsigned(), b.unsigned()) {
        (Some(x), Some(y)) => Shape::Unsigned(x.max(y)),
        _ => Shape::Signed(a.signed_bits().max(b.signed_bits())),
    }
}

pub(super) fn shape_bits(shape: Shape) -> usize {
    match shape {
        Shape::Unsigned(bits) | Shape::Signed(bits) | Shape::Low(bits) => bits,
    }
}

fn check_bits(bits: usize) -> Built<()> {
    if bits > MAX_BITS {
        Err(Fault::TooLarge("bits in a number", bits, MAX_BITS))
    } else {
        Ok(())
    }
}

/// Limb and bit counts are bounded by [`MAX_BITS`].
pub(super) fn narrow(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

pub(super) fn small_number(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Number {
            negative: false,
            magnitude,
        } => magnitude
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|by| *by <= MAX_BITS),
        _ => None,
    }
}

/// True if the mask has ones wherever a number of `bits` bits can have them.
pub(super) fn full_mask(mask: &Expr, bits: usize) -> bool {
    let ones = Value::ones(bits);
    matches!(mask, Expr::Number { negative: false, magnitude } if magnitude.and(&ones) == ones)
}

pub(super) fn width_operand(expr: &Expr) -> Built<usize> {
    match small_number(expr) {
        Some(bits) if bits >= 1 => Ok(bits),
        _ => Err(Fault::Malformed("a cast has no width".to_owned())),
    }
}
