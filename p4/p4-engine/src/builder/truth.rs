//! Conditions: as values and as branches.

use super::arith::narrow;
use super::{Builder, Built, Fault, Need, Shape, Val, limbs_for};
use crate::expr::Expr;
use crate::ir::{Op, Pc, Slot};
use crate::value::Value;

impl Builder<'_> {
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

    pub(super) fn compare(&mut self, op: &str, a: Val, b: Val) -> Built<Slot> {
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
