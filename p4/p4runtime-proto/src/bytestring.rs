//! Byte strings: how P4Runtime writes unsigned numbers of any width (P4Runtime 8.4).
//!
//! A number is big-endian. The canonical form has no leading zero byte, and zero is one zero byte.
//! Servers must take longer forms as long as the value fits the width; an empty string is no
//! number.

use bytes::Bytes;
use thiserror::Error;

/// Why bytes are no number of the wanted width.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ByteStringError {
    /// No bytes at all.
    #[error("The byte string is empty; zero is written as one zero byte")]
    Empty,
    /// A set bit lies outside the width.
    #[error("The value needs {needs} bits and the field has {bits}")]
    TooWide {
        /// Bits of the value.
        needs: usize,
        /// Bits of the field.
        bits: usize,
    },
}

/// The canonical part of a byte string: no leading zero byte, at least one byte if there was one.
#[must_use]
pub fn canonical(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros.min(bytes.len().saturating_sub(1))..]
}

/// Whether a byte string is in canonical form.
#[must_use]
pub fn is_canonical(bytes: &[u8]) -> bool {
    match bytes {
        [] => false,
        [_] => true,
        [first, ..] => *first != 0,
    }
}

/// Writes a number in canonical form.
#[must_use]
pub fn encode(value: u128) -> Bytes {
    Bytes::copy_from_slice(canonical(&value.to_be_bytes()))
}

/// Number of bits that the value needs; zero needs none.
#[must_use]
pub fn bit_length(bytes: &[u8]) -> usize {
    match canonical(bytes) {
        [] => 0,
        [first, rest @ ..] => rest.len() * 8 + (8 - first.leading_zeros() as usize),
    }
}

/// The canonical part of a byte string that must fit `bits`.
///
/// # Errors
/// If there are no bytes, or if the value is wider than `bits`.
pub fn parse(bytes: &[u8], bits: usize) -> Result<&[u8], ByteStringError> {
    if bytes.is_empty() {
        return Err(ByteStringError::Empty);
    }
    let value = canonical(bytes);
    let needs = bit_length(value);
    if needs > bits {
        return Err(ByteStringError::TooWide { needs, bits });
    }
    Ok(value)
}

/// Reads a number of at most `bits` (128 at most).
///
/// # Errors
/// As [`parse`].
pub fn decode(bytes: &[u8], bits: usize) -> Result<u128, ByteStringError> {
    let value = parse(bytes, bits.min(128))?;
    Ok(value
        .iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

/// Appends the value to `out` in exactly the bytes that `bits` need.
///
/// # Errors
/// As [`parse`]; `out` is then as it was.
pub fn extend_padded(out: &mut Vec<u8>, bytes: &[u8], bits: usize) -> Result<(), ByteStringError> {
    let value = parse(bytes, bits)?;
    let width = bits.div_ceil(8);
    // A field of no bits holds only zero, which is then no byte at all.
    let value = &value[value.len().saturating_sub(width)..];
    out.resize(out.len() + width - value.len(), 0);
    out.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn canonical_form() {
        for (given, want) in [
            (&[][..], &[][..]),
            (&[0], &[0]),
            (&[0, 0], &[0]),
            (&[0, 7], &[7]),
            (&[1, 0], &[1, 0]),
        ] {
            assert_eq!(canonical(given), want);
        }
        assert!(!is_canonical(&[]));
        assert!(is_canonical(&[0]));
        assert!(!is_canonical(&[0, 7]));
    }

    #[test]
    fn width_is_judged_by_the_value() {
        assert_eq!(parse(&[0, 0, 0x01, 0xff], 9), Ok(&[0x01, 0xff][..]));
        assert_eq!(
            parse(&[0x02, 0x00], 9),
            Err(ByteStringError::TooWide { needs: 10, bits: 9 })
        );
        assert_eq!(parse(&[], 9), Err(ByteStringError::Empty));
    }

    proptest! {
        #[test]
        fn numbers_round_trip(value: u128, pad in 0_usize..4) {
            let canonical_bytes = encode(value);
            prop_assert!(is_canonical(&canonical_bytes));
            let mut padded = vec![0; pad];
            padded.extend_from_slice(&canonical_bytes);
            prop_assert_eq!(decode(&padded, 128), Ok(value));
            prop_assert_eq!(bit_length(&padded), 128 - value.leading_zeros() as usize);
        }

        #[test]
        fn padding_keeps_the_value(value: u64, extra in 0_usize..70) {
            let bits = 64 - value.leading_zeros() as usize + extra;
            let mut out = vec![0xaa];
            extend_padded(&mut out, &encode(value.into()), bits).expect("fits");
            prop_assert_eq!(out.len(), 1 + bits.div_ceil(8));
            prop_assert_eq!(out[0], 0xaa);
            if bits > 0 {
                prop_assert_eq!(decode(&out[1..], 256), Ok(u128::from(value)));
            }
        }
    }
}
