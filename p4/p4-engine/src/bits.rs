//! Bits of packets: reading at any offset, writing one after the other.

/// Reads `bits` (at most 64) bits at bit offset `at`; the caller has checked that they are there.
#[inline]
pub(crate) fn read(data: &[u8], at: usize, bits: usize) -> u64 {
    let (byte, skip) = (at / 8, at % 8);
    if bits == 0 {
        return 0;
    }
    if skip + bits <= 64
        && let Some(window) = data.get(byte..byte + 8)
        && let Ok(window) = <[u8; 8]>::try_from(window)
    {
        return (u64::from_be_bytes(window) << skip) >> (64 - bits);
    }
    let last = (at + bits).div_ceil(8).min(data.len());
    let bytes = data.get(byte..last).unwrap_or_default();
    let wide = bytes
        .iter()
        .fold(0u128, |sum, byte| (sum << 8) | u128::from(*byte));
    let spare = (bytes.len() * 8).saturating_sub(skip + bits);
    let mask = u64::MAX >> (64 - bits);
    crate::wide::low(wide >> spare) & mask
}

/// Writes the low `bits` (1 to 64) bits of a value at bit offset `at`; beyond the end nothing.
#[inline]
pub(crate) fn write(data: &mut [u8], at: usize, bits: usize, value: u64) {
    let (byte, skip) = (at / 8, at % 8);
    if skip == 0 && bits.is_multiple_of(8) {
        let from = value.to_be_bytes();
        let bytes = bits / 8;
        if let Some(to) = data.get_mut(byte..byte + bytes) {
            to.copy_from_slice(&from[8 - bytes..]);
        }
        return;
    }
    let total = skip + bits;
    let bytes = total.div_ceil(8);
    let below = bytes * 8 - total;
    let mask = u128::from(u64::MAX >> (64 - bits)) << below;
    let [mask, value] = [mask, (u128::from(value) << below) & mask].map(u128::to_be_bytes);
    let (mask, value) = (&mask[16 - bytes..], &value[16 - bytes..]);
    let room = data.get_mut(byte..byte + bytes).unwrap_or_default();
    for ((to, mask), value) in room.iter_mut().zip(mask).zip(value) {
        *to = (*to & !mask) | value;
    }
}

/// Appends bits to bytes, most significant first.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The low `held` bits are not written yet.
    waiting: u64,
    held: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            waiting: 0,
            held: 0,
        }
    }

    /// Appends the low `bits` (1 to 64) bits of a value that has none above.
    #[inline]
    pub(crate) fn push(&mut self, value: u64, bits: usize) {
        let total = self.held + bits;
        if total < 64 {
            self.waiting = (self.waiting << bits) | value;
            self.held = total;
            return;
        }
        let rest = total - 64;
        let high = if bits == 64 && self.held == 0 {
            0
        } else {
            self.waiting << (64 - self.held)
        };
        self.out
            .extend_from_slice(&(high | (value >> rest)).to_be_bytes());
        self.waiting = value;
        self.held = rest;
    }

    /// Appends bits of a packet.
    pub(crate) fn copy(&mut self, data: &[u8], at: usize, bits: usize) {
        if self.held == 0 && at.is_multiple_of(8) && bits.is_multiple_of(8) {
            let bytes = data.get(at / 8..(at + bits) / 8);
            self.out.extend_from_slice(bytes.unwrap_or_default());
            return;
        }
        let mut done = 0;
        while done < bits {
            let step = (bits - done).min(56);
            self.push(read(data, at + done, step), step);
            done += step;
        }
    }

    /// Appends whole bytes and lets them be changed where they lie then.
    #[inline]
    pub(crate) fn copy_and_patch(&mut self, bytes: &[u8], patch: impl FnOnce(&mut [u8])) {
        if self.held.is_multiple_of(8) {
            self.finish();
            let at = self.out.len();
            self.out.extend_from_slice(bytes);
            patch(&mut self.out[at..]);
            return;
        }
        let mut copy = bytes.to_vec();
        patch(&mut copy);
        for byte in copy {
            self.push(u64::from(byte), 8);
        }
    }

    /// Writes what waits, with zero bits up to a whole byte.
    pub(crate) fn finish(&mut self) {
        if self.held > 0 {
            let bytes = (self.waiting << (64 - self.held)).to_be_bytes();
            self.out.extend_from_slice(&bytes[..self.held.div_ceil(8)]);
            self.held = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Writer, read, write};
    use proptest::prelude::*;

    #[test]
    fn reads_across_bytes_and_at_the_end() {
        let data = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x11];
        assert_eq!(read(&data, 4, 8), 0x23);
        assert_eq!(read(&data, 4, 64), 0x2345_6789_abcd_ef01);
        assert_eq!(read(&data, 64, 8), 0x11);
        assert_eq!(read(&data, 71, 1), 1);
        assert_eq!(read(&data, 0, 0), 0);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(fields in prop::collection::vec((any::<u64>(), 1usize..=64), 0..40)) {
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out);
            let fields: Vec<(u64, usize)> =
                fields.into_iter().map(|(value, bits)| (value & (u64::MAX >> (64 - bits)), bits)).collect();
            for (value, bits) in &fields {
                writer.push(*value, *bits);
            }
            writer.finish();
            let mut at = 0;
            for (value, bits) in fields {
                prop_assert_eq!(read(&out, at, bits), value);
                at += bits;
            }
            prop_assert_eq!(out.len(), at.div_ceil(8));
        }

        #[test]
        fn what_is_written_over_is_read(at in 0usize..70, bits in 1usize..=64, value in any::<u64>(), fill in any::<u8>()) {
            let value = value & (u64::MAX >> (64 - bits));
            let mut data = [fill; 20];
            let before = data;
            write(&mut data, at, bits, value);
            prop_assert_eq!(read(&data, at, bits), value);
            for i in (0..at).chain(at + bits..data.len() * 8) {
                prop_assert_eq!(read(&data, i, 1), read(&before, i, 1));
            }
        }

        #[test]
        fn copies_equal_bit_by_bit(data in prop::collection::vec(any::<u8>(), 1..40), lead in 0usize..8, at in 0usize..64, bits in 0usize..256) {
            let total = data.len() * 8;
            let at = at.min(total);
            let bits = bits.min(total - at);
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out);
            if lead > 0 { writer.push(0, lead); }
            writer.copy(&data, at, bits);
            writer.finish();
            for i in 0..bits {
                prop_assert_eq!(read(&out, lead + i, 1), read(&data, at + i, 1));
            }
        }
    }
}
