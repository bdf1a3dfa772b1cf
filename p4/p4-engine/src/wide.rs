//! Arithmetic on values of several limbs, in place in the register file.

use std::ops::IndexMut;

use crate::ir::Slot;
use crate::layout::SLOTS;

/// The register file. Any [`Slot`] is inside, so no access needs a check.
pub(crate) type File = [u64; SLOTS];

/// Registers by slot: a [`File`], or the column of one packet in a vector of packets.
pub(crate) trait Registers: IndexMut<usize, Output = u64> {}

impl<R: IndexMut<usize, Output = u64> + ?Sized> Registers for R {}

/// Slot `n` behind `slot`.
#[inline]
fn at(slot: Slot, n: u16) -> usize {
    usize::from(slot.wrapping_add(n))
}

pub(crate) fn copy<R: Registers + ?Sized>(file: &mut R, d: Slot, a: Slot, n: u16) {
    for i in 0..n {
        file[at(d, i)] = file[at(a, i)];
    }
}

pub(crate) fn add<R: Registers + ?Sized>(file: &mut R, d: Slot, a: Slot, b: Slot, n: u16) {
    let mut carry = false;
    for i in 0..n {
        let (sum, over) = file[at(a, i)].overflowing_add(file[at(b, i)]);
        let (sum, more) = sum.overflowing_add(u64::from(carry));
        file[at(d, i)] = sum;
        carry = over || more;
    }
}

pub(crate) fn sub<R: Registers + ?Sized>(file: &mut R, d: Slot, a: Slot, b: Slot, n: u16) {
    let mut borrow = false;
    for i in 0..n {
        let (left, under) = file[at(a, i)].overflowing_sub(file[at(b, i)]);
        let (left, more) = left.overflowing_sub(u64::from(borrow));
        file[at(d, i)] = left;
        borrow = under || more;
    }
}

/// `d` must not overlap `a` or `b`.
pub(crate) fn mul<R: Registers + ?Sized>(file: &mut R, d: Slot, a: Slot, b: Slot, n: u16) {
    for i in 0..n {
        file[at(d, i)] = 0;
    }
    for i in 0..n {
        let mut carry = 0u128;
        for j in 0..n - i {
            let product = u128::from(file[at(a, i)]) * u128::from(file[at(b, j)]);
            let sum = product + u128::from(file[at(d, i + j)]) + carry;
            file[at(d, i + j)] = low(sum);
            carry = sum >> 64;
        }
    }
}

pub(crate) fn bitwise<R: Registers + ?Sized>(
    file: &mut R,
    d: Slot,
    a: Slot,
    b: Slot,
    n: u16,
    op: impl Fn(u64, u64) -> u64,
) {
    for i in 0..n {
        file[at(d, i)] = op(file[at(a, i)], file[at(b, i)]);
    }
}

/// `d` must not overlap `a`.
pub(crate) fn shl<R: Registers + ?Sized>(file: &mut R, d: Slot, a: Slot, amount: u64, n: u16) {
    let (limbs, bits) = split(amount, n);
    for i in 0..n {
        let limb = |k: Option<u16>| k.map_or(0, |k| file[at(a, k)]);
        let high = limb(i.checked_sub(limbs));
        let low = limb(i.checked_sub(limbs.saturating_add(1)));
        file[at(d, i)] = if bits == 0 {
            high
        } else {
            (high << bits) | (low >> (64 - bits))
        };
    }
}

/// `d` must not overlap `a`. Zeros or copies of the sign come in at the top.
pub(crate) fn shr<R: Registers + ?Sized>(
    file: &mut R,
    d: Slot,
    a: Slot,
    amount: u64,
    n: u16,
    signed: bool,
) {
    let fill = if signed && n > 0 && file[at(a, n - 1)] >> 63 == 1 {
        u64::MAX
    } else {
        0
    };
    let (limbs, bits) = split(amount, n);
    for i in 0..n {
        let limb = |k: u16| if k < n { file[at(a, k)] } else { fill };
        let low = limb(i.saturating_add(limbs));
        let high = limb(i.saturating_add(limbs).saturating_add(1));
        file[at(d, i)] = if bits == 0 {
            low
        } else {
            (low >> bits) | (high << (64 - bits))
        };
    }
}

/// Whole limbs and bits of a shift; beyond the width everything is shifted out.
fn split(amount: u64, n: u16) -> (u16, u32) {
    match (u16::try_from(amount / 64), u32::try_from(amount % 64)) {
        (Ok(limbs), Ok(bits)) if limbs < n => (limbs, bits),
        _ => (n, 0),
    }
}

pub(crate) fn eq<R: Registers + ?Sized>(file: &R, a: Slot, b: Slot, n: u16) -> bool {
    (0..n).all(|i| file[at(a, i)] == file[at(b, i)])
}

pub(crate) fn lt<R: Registers + ?Sized>(file: &R, a: Slot, b: Slot, n: u16) -> bool {
    for i in (0..n).rev() {
        let (x, y) = (file[at(a, i)], file[at(b, i)]);
        if x != y {
            return x < y;
        }
    }
    false
}

pub(crate) fn signed_lt<R: Registers + ?Sized>(file: &R, a: Slot, b: Slot, n: u16) -> bool {
    let Some(top) = n.checked_sub(1) else {
        return false;
    };
    let (x, y) = (
        file[at(a, top)].cast_signed(),
        file[at(b, top)].cast_signed(),
    );
    if x == y { lt(file, a, b, top) } else { x < y }
}

pub(crate) fn zero_extend<R: Registers + ?Sized>(
    file: &mut R,
    d: Slot,
    a: Slot,
    from: u16,
    n: u16,
) {
    for i in 0..n {
        file[at(d, i)] = if i < from { file[at(a, i)] } else { 0 };
    }
}

pub(crate) fn sign_extend<R: Registers + ?Sized>(
    file: &mut R,
    d: Slot,
    a: Slot,
    bits: u16,
    n: u16,
) {
    let top = bits.div_ceil(64).saturating_sub(1);
    let mut fill = 0;
    for i in 0..n {
        file[at(d, i)] = if i < top {
            file[at(a, i)]
        } else if i == top {
            let limb = extend_limb(file[at(a, i)], bits - top * 64);
            fill = (limb.cast_signed() >> 63).cast_unsigned();
            limb
        } else {
            fill
        };
    }
}

/// Copies bit `bits - 1` of a limb into the bits above.
#[inline]
pub(crate) fn extend_limb(limb: u64, bits: u16) -> u64 {
    let unused = 64 - u32::from(bits.clamp(1, 64));
    ((limb << unused).cast_signed() >> unused).cast_unsigned()
}

/// Quotient or remainder, bit by bit; p4c emits this for constants at most. Division by zero
/// gives zero. `d` must not overlap `a` or `b`.
pub(crate) fn div_rem<R: Registers + ?Sized>(
    file: &mut R,
    d: Slot,
    a: Slot,
    b: Slot,
    n: u16,
    quotient: bool,
) {
    if n == 1 {
        let (x, y) = (file[at(a, 0)], file[at(b, 0)]);
        let result = if quotient {
            x.checked_div(y)
        } else {
            x.checked_rem(y)
        };
        file[at(d, 0)] = result.unwrap_or(0);
        return;
    }
    let count = usize::from(n);
    let dividend: Vec<u64> = (0..n).map(|i| file[at(a, i)]).collect();
    let divisor: Vec<u64> = (0..n).map(|i| file[at(b, i)]).collect();
    let mut result = vec![0u64; count];
    let mut rest = vec![0u64; count];
    if divisor.iter().any(|limb| *limb != 0) {
        for bit in (0..count * 64).rev() {
            let out = shift_in(&mut rest, (dividend[bit / 64] >> (bit % 64)) & 1);
            if out || rest.iter().rev().ge(divisor.iter().rev()) {
                let mut borrow = false;
                for (limb, cut) in rest.iter_mut().zip(&divisor) {
                    let (left, under) = limb.overflowing_sub(*cut);
                    let (left, more) = left.overflowing_sub(u64::from(borrow));
                    *limb = left;
                    borrow = under || more;
                }
                result[bit / 64] |= 1 << (bit % 64);
            }
        }
    }
    let from = if quotient { &result } else { &rest };
    for (i, limb) in (0..n).zip(from) {
        file[at(d, i)] = *limb;
    }
}

/// Shifts left by one, bringing in a bit; true if a bit went out at the top.
fn shift_in(limbs: &mut [u64], bit: u64) -> bool {
    let mut carry = bit;
    for limb in limbs {
        let out = *limb >> 63;
        *limb = (*limb << 1) | carry;
        carry = out;
    }
    carry == 1
}

/// The low half.
#[inline]
pub(crate) fn low(wide: u128) -> u64 {
    let [bytes @ .., _, _, _, _, _, _, _, _] = wide.to_le_bytes();
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests;
