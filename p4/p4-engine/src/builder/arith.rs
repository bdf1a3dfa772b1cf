//! Expressions into operations.
//!
//! bmv2 computes with unbounded integers and cuts on assignment. Here each value is asked for
//! either exactly or modulo 2^k; p4c masks whatever may grow, so nearly everything is asked for
//! modulo its own width and stays in one limb. Only what looks at the whole number (comparison,
//! shift right, saturation, division) asks exactly, with the width that the operands can reach.

use super::reference::small_index;
use super::{Builder, Built, Fault, Need, Shape, Val, limbs_for};
use crate::expr::Expr;
use crate::ir::{Deposit, Op, Pc, Slot};
use crate::layout::MAX_BITS;
use crate::value::Value;

/// Where a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: Slot,
    pub(crate) bits: usize,
    pub(crate) limbs: usize,
    pub(crate) signed: bool,
}

#[derive(Clone, Copy)]
enum Bitwise {
    And,
    Or,
    Xor,
}

impl Val {
    /// Bits as a two's complement number; only for exact values.
    fn signed_bits(self) -> usize {
        match self.shape {
            Shape::Unsigned(bits) => bits + 1,
            Shape::Signed(bits) | Shape::Low(bits) => bits,
        }
    }

    /// Bits that are right.
    fn sound_bits(self, limbs: usize) -> usize {
        match self.shape {
            Shape::Low(bits) => bits,
            Shape::Unsigned(_) | Shape::Signed(_) => limbs * 64,
        }
    }

    fn unsigned(self) -> Option<usize> {
        match self.shape {
            Shape::Unsigned(bits) => Some(bits),
            Shape::Signed(_) | Shape::Low(_) => None,
        }
    }
}

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

    fn saturate(&mut self, value: Val) -> Built<Slot> {
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

    fn number(&mut self, negative: bool, magnitude: &Value, need: Need) -> Built<Val> {
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

    fn load(&mut self, place: Place, need: Need) -> Built<Val> {
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

    fn sign_extend(&mut self, value: Val, bits: usize) -> Built<Val> {
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

    fn unary(&mut self, op: &str, operand: &Expr, whole: &Expr, need: Need) -> Built<Val> {
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

    fn binary(
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

    fn ternary(&mut self, cond: &Expr, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
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

    fn sum(&mut self, add: bool, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
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

    fn product(&mut self, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
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
    fn settle(&self, a: Val, b: Val, exact: Shape, need: Need) -> Built<(usize, Shape)> {
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

    fn apply(
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

    fn and(&mut self, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
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

    fn bitwise(&mut self, op: Bitwise, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
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

    /// A wide `a << x | b << y | …` of unsigned parts, put together in one operation.
    fn concatenation(&mut self, whole: &Expr, need: Need) -> Built<Option<Val>> {
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
    fn leaves<'e>(
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
    fn slice(&mut self, shifted: &Expr, bits: usize) -> Built<Option<Val>> {
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

    fn shift_left(&mut self, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
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

    fn shift_right(&mut self, left: &Expr, right: &Expr, need: Need) -> Built<Val> {
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

    fn divide(&mut self, quotient: bool, left: &Expr, right: &Expr) -> Built<Val> {
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

    fn saturating(&mut self, signed: bool, left: &Expr, right: &Expr) -> Built<Val> {
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

    /// A truth value as one limb, 0 or 1.
    pub(crate) fn truth(&mut self, expr: &Expr) -> Built<Slot> {
        match expr {
            Expr::Bool(value) => self.small(u64::from(*value)),
            Expr::Unary(op, operand) => match op.as_str() {
                "not" => {
                    let a = self.truth(operand)?;
                    let (d, b) = (self.temporary(1)?, self.small(1)?);
                    self.emit(Op::Xor { d, a, b });
                    Ok(d)
                }
                "d2b" => {
                    let value = self.expr(operand, Need::Exact)?;
                    if value.shape == Shape::Unsigned(1) {
                        return Ok(value.slot);
                    }
                    let zero = self.constant(&Value::zero(), value.limbs)?;
                    let zero = Val {
                        slot: zero,
                        ..value
                    };
                    self.compare("!=", value, zero)
                }
                "valid" => self.header_valid(operand),
                "valid_union" => self.union_valid(operand),
                other => Err(Fault::Unsupported(format!("operation \"{other}\""))),
            },
            Expr::Binary(op, left, right) => match op.as_str() {
                "and" | "or" => {
                    let a = self.truth(left)?;
                    let b = self.truth(right)?;
                    let d = self.temporary(1)?;
                    self.emit(if op == "and" {
                        Op::And { d, a, b }
                    } else {
                        Op::Or { d, a, b }
                    });
                    Ok(d)
                }
                "==" | "!=" if is_truth(left) || is_truth(right) => {
                    let a = self.truth(left)?;
                    let b = self.truth(right)?;
                    let d = self.temporary(1)?;
                    self.emit(if op == "==" {
                        Op::Eq { d, a, b }
                    } else {
                        Op::Ne { d, a, b }
                    });
                    Ok(d)
                }
                "==" | "!=" if self.is_header(left) && self.is_header(right) => {
                    self.header_equal(op == "!=", left, right)
                }
                "==" | "!=" if self.is_varbit(left) && self.is_varbit(right) => {
                    self.varbit_equal(op == "!=", left, right)
                }
                "==" | "!=" | "<" | "<=" | ">" | ">=" => {
                    let a = self.expr(left, Need::Exact)?;
                    let b = self.expr(right, Need::Exact)?;
                    self.compare(op, a, b)
                }
                other => Err(Fault::Unsupported(format!("operation \"{other}\""))),
            },
            Expr::Ternary(cond, left, right) => {
                let c = self.truth(cond)?;
                let a = self.truth(left)?;
                let b = self.truth(right)?;
                let d = self.temporary(1)?;
                self.emit(Op::Select { d, c, a, b });
                Ok(d)
            }
            // p4c leaves a one-bit validity where a truth value is meant.
            Expr::Field(..) => {
                let value = self.expr(expr, Need::Exact)?;
                match value.shape {
                    Shape::Unsigned(1) => Ok(value.slot),
                    _ => Err(Fault::Malformed(
                        "a number where a truth value is needed".to_owned(),
                    )),
                }
            }
            _ => Err(Fault::Malformed(
                "a number where a truth value is needed".to_owned(),
            )),
        }
    }

    fn compare(&mut self, op: &str, a: Val, b: Val) -> Built<Slot> {
        let unsigned = a.unsigned().is_some() && b.unsigned().is_some();
        let limbs = if unsigned {
            a.limbs.max(b.limbs)
        } else {
            limbs_for(a.signed_bits().max(b.signed_bits()))
        };
        let a = self.widen(a, limbs)?;
        let b = self.widen(b, limbs)?;
        let d = self.temporary(1)?;
        let (a, b, or_equal) = match op {
            ">" => (b, a, false),
            ">=" => (b, a, true),
            "<=" => (a, b, true),
            _ => (a, b, false),
        };
        let equality = matches!(op, "==" | "!=");
        let n = narrow(limbs);
        if limbs == 1 {
            self.emit(match (op, unsigned, or_equal) {
                ("==", ..) => Op::Eq { d, a, b },
                ("!=", ..) => Op::Ne { d, a, b },
                (_, true, true) => Op::Le { d, a, b },
                (_, true, false) => Op::Lt { d, a, b },
                (_, false, true) => Op::SignedLe { d, a, b },
                (_, false, false) => Op::SignedLt { d, a, b },
            });
            return Ok(d);
        }
        // a <= b is !(b < a).
        let (x, y) = if or_equal { (b, a) } else { (a, b) };
        self.emit(match (equality, unsigned) {
            (true, _) => Op::EqN { d, a: x, b: y, n },
            (false, true) => Op::LtN { d, a: x, b: y, n },
            (false, false) => Op::SignedLtN { d, a: x, b: y, n },
        });
        if or_equal || op == "!=" {
            let one = self.small(1)?;
            self.emit(Op::Xor { d, a: d, b: one });
        }
        Ok(d)
    }

    /// Goes to `no` if the condition does not hold, else on.
    pub(crate) fn branch(&mut self, expr: &Expr, no: Pc) -> Built<()> {
        match expr {
            Expr::Binary(op, left, right) if op == "and" => {
                self.branch(left, no)?;
                self.branch(right, no)
            }
            Expr::Binary(op, left, right) if op == "or" => {
                let (second, yes) = (self.label(), self.label());
                self.branch(left, second)?;
                self.emit(Op::Jump { to: yes });
                self.bind(second);
                self.branch(right, no)?;
                self.bind(yes);
                Ok(())
            }
            Expr::Unary(op, operand) if op == "not" => {
                let a = self.truth(operand)?;
                self.emit(Op::JumpIfNotZero { a, to: no });
                Ok(())
            }
            _ => {
                let start = self.code.ops.len();
                let a = self.truth(expr)?;
                let last = self.code.ops.last().copied();
                match last {
                    Some(Op::Eq { d, a: x, b: y }) if d == a && self.code.ops.len() > start => {
                        self.code.ops.pop();
                        self.emit(Op::JumpIfNe { a: x, b: y, to: no });
                    }
                    Some(Op::Ne { d, a: x, b: y }) if d == a && self.code.ops.len() > start => {
                        self.code.ops.pop();
                        self.emit(Op::JumpIfEq { a: x, b: y, to: no });
                    }
                    _ => self.emit(Op::JumpIfZero { a, to: no }),
                }
                Ok(())
            }
        }
    }

    /// Width of an operand that is unsigned by its nature.
    fn static_bits(&self, expr: &Expr) -> Option<usize> {
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

    /// Lets a concatenation that ended in a temporary end in its place, if it reads nothing there.
    fn retarget_pack(&mut self, from: Slot, to: Place, start: usize) -> bool {
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

    /// Lets the operation that wrote temporary `from` write `to` instead, if it was the last.
    fn retarget(&mut self, from: Slot, to: Slot, start: usize) -> bool {
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
}

fn and_op(d: Slot, a: Slot, b: Slot, n: u16) -> Op {
    if n == 1 {
        Op::And { d, a, b }
    } else {
        Op::AndN { d, a, b, n }
    }
}

fn bit(slot: Slot) -> Val {
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

fn shape_bits(shape: Shape) -> usize {
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

fn small_number(expr: &Expr) -> Option<usize> {
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
fn full_mask(mask: &Expr, bits: usize) -> bool {
    let ones = Value::ones(bits);
    matches!(mask, Expr::Number { negative: false, magnitude } if magnitude.and(&ones) == ones)
}

fn width_operand(expr: &Expr) -> Built<usize> {
    match small_number(expr) {
        Some(bits) if bits >= 1 => Ok(bits),
        _ => Err(Fault::Malformed("a cast has no width".to_owned())),
    }
}

fn power(exponent: usize) -> Value {
    let mut limbs = vec![0u64; exponent / 64 + 1];
    limbs[exponent / 64] = 1 << (exponent % 64);
    Value::from_limbs(&limbs)
}

/// True if the expression is a truth value by its operation.
fn is_truth(expr: &Expr) -> bool {
    match expr {
        Expr::Bool(_) => true,
        Expr::Unary(op, _) => matches!(op.as_str(), "not" | "d2b" | "valid" | "valid_union"),
        Expr::Binary(op, ..) => {
            matches!(
                op.as_str(),
                "and" | "or" | "==" | "!=" | "<" | "<=" | ">" | ">="
            )
        }
        Expr::Ternary(_, left, right) => is_truth(left) || is_truth(right),
        _ => false,
    }
}
