//! Operations on several limbs and on elements found at run time.

use crate::ir::{Code, Deposit, Op, Slot};
use crate::wide::{self, Registers};

pub(crate) fn wide<R: Registers + ?Sized>(file: &mut R, code: &Code, op: Op) {
    match op {
        Op::CopyN { d, a, n } => wide::copy(file, d, a, n),
        Op::AddN { d, a, b, n } => wide::add(file, d, a, b, n),
        Op::SubN { d, a, b, n } => wide::sub(file, d, a, b, n),
        Op::MulN { d, a, b, n } => wide::mul(file, d, a, b, n),
        Op::AndN { d, a, b, n } => wide::bitwise(file, d, a, b, n, |x, y| x & y),
        Op::OrN { d, a, b, n } => wide::bitwise(file, d, a, b, n, |x, y| x | y),
        Op::XorN { d, a, b, n } => wide::bitwise(file, d, a, b, n, |x, y| x ^ y),
        Op::ShlN { d, a, b, n } => wide::shl(file, d, a, file[usize::from(b)], n),
        Op::ShrN { d, a, b, n } => wide::shr(file, d, a, file[usize::from(b)], n, false),
        Op::SarN { d, a, b, n } => wide::shr(file, d, a, file[usize::from(b)], n, true),
        Op::EqN { d, a, b, n } => file[usize::from(d)] = u64::from(wide::eq(file, a, b, n)),
        Op::LtN { d, a, b, n } => file[usize::from(d)] = u64::from(wide::lt(file, a, b, n)),
        Op::SignedLtN { d, a, b, n } => {
            file[usize::from(d)] = u64::from(wide::signed_lt(file, a, b, n));
        }
        Op::SelectN { d, c, a, b, n } => {
            let from = if file[usize::from(c)] == 0 { b } else { a };
            wide::copy(file, d, from, n);
        }
        Op::ZeroExtendN { d, a, from, n } => wide::zero_extend(file, d, a, from, n),
        Op::SignExtendN { d, a, bits, n } => wide::sign_extend(file, d, a, bits, n),
        Op::DivN { d, a, b, n } => wide::div_rem(file, d, a, b, n, true),
        Op::RemN { d, a, b, n } => wide::div_rem(file, d, a, b, n, false),
        Op::NarrowN { d, a, n } => {
            let above = (1..n).any(|i| file[usize::from(a.wrapping_add(i))] != 0);
            file[usize::from(d)] = if above {
                u64::MAX
            } else {
                file[usize::from(a)]
            };
        }
        Op::LoadIndexed { d, x, i, n } => {
            let from = element(file, code, x, i);
            for limb in 0..n {
                let value = from.map_or(0, |from| file[usize::from(from.wrapping_add(limb))]);
                file[usize::from(d.wrapping_add(limb))] = value;
            }
        }
        Op::StoreIndexed { x, i, a, n } => {
            if let Some(to) = element(file, code, x, i) {
                wide::copy(file, to, a, n);
            }
        }
        _ => {}
    }
}

/// The slot of element `i` of an access.
fn element<R: Registers + ?Sized>(file: &R, code: &Code, x: u16, i: u16) -> Option<u16> {
    let index = usize::try_from(file[usize::from(i)]).ok()?;
    code.accesses[usize::from(x)].get(index).copied()
}

/// Puts a value together; none of the sources lies in it.
pub(super) fn pack<R: Registers + ?Sized>(file: &mut R, parts: &[Deposit], d: Slot, n: u16) {
    for limb in 0..n {
        file[usize::from(d.wrapping_add(limb))] = 0;
    }
    for part in parts {
        let value = file[usize::from(part.src)];
        let value = if part.shift >= 0 {
            value << part.shift
        } else {
            value >> -part.shift
        };
        file[usize::from(d.wrapping_add(part.limb))] |= value;
    }
}
