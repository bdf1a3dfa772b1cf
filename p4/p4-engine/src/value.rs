//! Unsigned integers of any width, as table keys, action parameters and register cells carry them.

use smallvec::SmallVec;
use std::fmt;

/// An unsigned integer of any width; the width belongs to the place that holds it.
///
/// Stored as little-endian 64-bit limbs without leading zero limbs, so equal numbers compare
/// equal whatever the byte string they came from (P4Runtime clause 8.4, canonical byte strings).
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Value {
    limbs: SmallVec<[u64; 2]>,
}

impl Value {
    /// The number zero.
    #[must_use]
    pub fn zero() -> Self {
        Self::default()
    }

    /// Reads a big-endian byte string of any length; leading zero bytes do not matter.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8]) -> Self {
        let mut limbs = SmallVec::new();
        for chunk in bytes.rchunks(8) {
            limbs.push(
                chunk
                    .iter()
                    .fold(0u64, |limb, &byte| (limb << 8) | u64::from(byte)),
            );
        }
        Self::from_limb_vec(limbs)
    }

    /// Takes little-endian 64-bit limbs.
    #[must_use]
    pub fn from_limbs(limbs: &[u64]) -> Self {
        Self::from_limb_vec(SmallVec::from_slice(limbs))
    }

    /// An all-ones mask of `bits` bits.
    #[must_use]
    pub fn ones(bits: usize) -> Self {
        let mut limbs: SmallVec<[u64; 2]> = SmallVec::from_elem(u64::MAX, bits.div_ceil(64));
        if let (Some(top), rest @ 1..) = (limbs.last_mut(), bits % 64) {
            *top = (1 << rest) - 1;
        }
        Self::from_limb_vec(limbs)
    }

    /// The mask of an LPM prefix: `prefix_len` ones at the top of `bits` bits.
    #[must_use]
    pub fn prefix_mask(bits: usize, prefix_len: usize) -> Self {
        let mut mask = Self::ones(bits);
        let low = Self::ones(bits.saturating_sub(prefix_len));
        for (limb, cut) in mask.limbs.iter_mut().zip(&low.limbs) {
            *limb &= !cut;
        }
        mask.trim();
        mask
    }

    /// The little-endian limbs, without leading zero limbs (zero has none).
    #[must_use]
    pub fn limbs(&self) -> &[u64] {
        &self.limbs
    }

    /// Limb `index` counted from the least significant, zero beyond the number.
    #[must_use]
    pub fn limb(&self, index: usize) -> u64 {
        self.limbs.get(index).copied().unwrap_or(0)
    }

    /// The number if it fits 64 bits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        (self.limbs.len() <= 1).then(|| self.limb(0))
    }

    /// The number if it fits 128 bits.
    #[must_use]
    pub fn as_u128(&self) -> Option<u128> {
        (self.limbs.len() <= 2).then(|| u128::from(self.limb(0)) | (u128::from(self.limb(1)) << 64))
    }

    /// How many bits the number needs; zero needs none.
    #[must_use]
    pub fn bit_len(&self) -> usize {
        match self.limbs.last() {
            Some(top) => self.limbs.len() * 64 - top.leading_zeros() as usize,
            None => 0,
        }
    }

    /// True for the number zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// Big-endian bytes, zero-padded to `bits` bits rounded up to bytes. Bits above are cut.
    #[must_use]
    pub fn to_be_bytes(&self, bits: usize) -> Vec<u8> {
        (0..bits.div_ceil(8))
            .rev()
            .map(|at| self.byte(at))
            .collect()
    }

    /// The canonical byte string of P4Runtime clause 8.4: as short as possible, at least one byte.
    #[must_use]
    pub fn to_canonical_bytes(&self) -> Vec<u8> {
        self.to_be_bytes(self.bit_len().max(1))
    }

    /// `self & other`.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::from_limb_vec(
            self.limbs
                .iter()
                .zip(&other.limbs)
                .map(|(a, b)| a & b)
                .collect(),
        )
    }

    fn byte(&self, at: usize) -> u8 {
        self.limb(at / 8).to_le_bytes()[at % 8]
    }

    fn from_limb_vec(limbs: SmallVec<[u64; 2]>) -> Self {
        let mut value = Self { limbs };
        value.trim();
        value
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::from_limbs(&[number])
    }
}

impl From<u128> for Value {
    fn from(number: u128) -> Self {
        Self::from_be_bytes(&number.to_be_bytes())
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.limbs
            .len()
            .cmp(&other.limbs.len())
            .then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::LowerHex for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(top) = self.limbs.last() else {
            return f.write_str("0");
        };
        write!(f, "{top:x}")?;
        self.limbs
            .iter()
            .rev()
            .skip(1)
            .try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{self:x}")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{self:x}")
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn canonical_bytes_drop_leading_zeros_and_keep_one_byte() {
        assert_eq!(
            Value::from_be_bytes(&[0, 0, 0x12, 0x34]).to_canonical_bytes(),
            [0x12, 0x34]
        );
        assert_eq!(Value::zero().to_canonical_bytes(), [0]);
        assert_eq!(Value::from_be_bytes(&[]), Value::from_be_bytes(&[0, 0]));
    }

    #[test]
    fn padded_bytes_keep_the_width_of_the_field() {
        assert_eq!(Value::from(0x1ffu64).to_be_bytes(9), [1, 0xff]);
        assert_eq!(Value::from(1u64).to_be_bytes(48), [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn prefix_masks_cover_the_top_bits() {
        assert_eq!(Value::prefix_mask(32, 24), Value::from(0xffff_ff00u64));
        assert_eq!(Value::prefix_mask(32, 0), Value::zero());
        assert_eq!(Value::prefix_mask(128, 128), Value::from(u128::MAX));
        assert_eq!(Value::prefix_mask(9, 1), Value::from(0x100u64));
    }

    #[test]
    fn wide_numbers_compare_and_print() {
        let wide = Value::from_be_bytes(&[1; 33]);
        assert!(wide > Value::from(u128::MAX));
        assert_eq!(wide.bit_len(), 257);
        assert_eq!(
            format!("{:x}", Value::from(1u128 << 64)),
            "10000000000000000"
        );
    }
}
