//! Hash and checksum algorithms of v1model, as bmv2 computes them (src/bm_sim/calculations.cpp).

/// An algorithm by its bmv2 name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc8,
    Crc16,
    CrcCcitt,
    Crc32,
    Crc64,
    Csum16,
    Xor16,
    Xor32,
    Identity,
}

impl Algorithm {
    /// The custom CRCs have the parameters that bmv2 gives them at start.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "crc8_custom" => Self::Crc8,
            "crc16" | "crc16_custom" => Self::Crc16,
            "crcCCITT" => Self::CrcCcitt,
            "crc32" | "crc32_custom" => Self::Crc32,
            "crc64_custom" => Self::Crc64,
            "csum16" | "cksum16" => Self::Csum16,
            "xor16" => Self::Xor16,
            "xor32" => Self::Xor32,
            "identity" => Self::Identity,
            _ => return None,
        })
    }

    /// True if [`Algorithm::of_words`] knows it.
    pub(crate) fn takes_words(self) -> bool {
        matches!(self, Self::Crc16 | Self::Crc32)
    }

    /// As [`Algorithm::compute`] over the last `bytes` bytes of limbs, the first limb the last.
    #[inline]
    pub(crate) fn of_words(self, limbs: &[u64], bytes: usize) -> u64 {
        let pad = limbs.len() * 8 - bytes;
        match self {
            // Zeros in front leave a start of zero as it is.
            Self::Crc16 => {
                let crc = limbs
                    .iter()
                    .rev()
                    .fold(0, |crc, limb| crc16_word(crc, limb.to_be_bytes()));
                u64::from(crc)
            }
            _ => {
                let start = BEFORE_ZEROS[pad % BEFORE_ZEROS.len()];
                let crc = limbs
                    .iter()
                    .rev()
                    .fold(start, |crc, limb| crc32_word(crc, limb.to_be_bytes()));
                u64::from(!crc)
            }
        }
    }

    pub(crate) fn compute(self, bytes: &[u8]) -> u64 {
        match self {
            Self::Crc8 => u64::from(crc8(bytes)),
            Self::Crc16 => u64::from(crc16(bytes)),
            Self::CrcCcitt => u64::from(crc_ccitt(bytes)),
            Self::Crc32 => u64::from(crc32(bytes)),
            Self::Crc64 => crc64(bytes),
            Self::Csum16 => u64::from(csum16(bytes)),
            Self::Xor16 => xor(bytes, 2),
            Self::Xor32 => xor(bytes, 4),
            Self::Identity => bytes
                .iter()
                .take(8)
                .fold(0, |sum, &byte| (sum << 8) | u64::from(byte)),
        }
    }
}

/// One limb's part of a sum of 16-bit words: `limb << shift`, folded once.
#[inline]
pub(crate) fn term_of(limb: u64, shift: u8) -> u64 {
    let [low, high] = [limb & 0xffff_ffff, limb >> 32];
    (low << shift) + (high << shift)
}

/// Folds a sum of 16-bit words, carries above, and inverts it.
#[inline]
pub(crate) fn fold16(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !low16((sum & 0xffff) + (sum >> 16))
}

/// The internet checksum (RFC 1071) over big-endian 16-bit words; an odd last byte is a high byte.
pub(crate) fn csum16(bytes: &[u8]) -> u16 {
    let mut sum = 0u64;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        sum += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut tail = [0u8; 4];
    let rest = words.remainder();
    tail[..rest.len()].copy_from_slice(rest);
    sum += u64::from(u32::from_be_bytes(tail));
    fold16(sum)
}

fn low16(number: u64) -> u16 {
    let [.., high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn xor(bytes: &[u8], width: usize) -> u64 {
    bytes
        .chunks(width)
        .map(|chunk| {
            let number = chunk
                .iter()
                .fold(0u64, |sum, &byte| (sum << 8) | u64::from(byte));
            number << (8 * (width - chunk.len()))
        })
        .fold(0, |sum, number| sum ^ number)
}

/// Polynomial 0x07, nothing reflected, no final xor.
fn crc8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |crc, byte| CRC8[usize::from(crc ^ byte)])
}

/// Polynomial 0x8005 reflected, start 0 (CRC-16/ARC).
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        if let Ok(word) = <[u8; 8]>::try_from(word) {
            crc = crc16_word(crc, word);
        }
    }
    for byte in words.remainder() {
        let [low, high] = crc.to_le_bytes();
        crc = CRC16[0][usize::from(low ^ byte)] ^ u16::from(high);
    }
    crc
}

#[inline]
fn crc16_word(crc: u16, word: [u8; 8]) -> u16 {
    let [low, high] = crc.to_le_bytes();
    CRC16[7][usize::from(word[0] ^ low)]
        ^ CRC16[6][usize::from(word[1] ^ high)]
        ^ CRC16[5][usize::from(word[2])]
        ^ CRC16[4][usize::from(word[3])]
        ^ CRC16[3][usize::from(word[4])]
        ^ CRC16[2][usize::from(word[5])]
        ^ CRC16[1][usize::from(word[6])]
        ^ CRC16[0][usize::from(word[7])]
}

#[inline]
fn crc32_word(crc: u32, word: [u8; 8]) -> u32 {
    let [a, b, c, d] = crc.to_le_bytes();
    CRC32[7][usize::from(word[0] ^ a)]
        ^ CRC32[6][usize::from(word[1] ^ b)]
        ^ CRC32[5][usize::from(word[2] ^ c)]
        ^ CRC32[4][usize::from(word[3] ^ d)]
        ^ CRC32[3][usize::from(word[4])]
        ^ CRC32[2][usize::from(word[5])]
        ^ CRC32[1][usize::from(word[6])]
        ^ CRC32[0][usize::from(word[7])]
}

/// The register of CRC-32 from which so many zero bytes lead to its start.
static BEFORE_ZEROS: [u32; 8] = {
    let mut starts = [u32::MAX; 8];
    let mut zeros = 1;
    while zeros < 8 {
        let mut crc = starts[zeros - 1];
        let mut bit = 0;
        while bit < 8 {
            // The step of one bit backwards; the polynomial has its top bit set.
            crc = if crc & 0x8000_0000 == 0 {
                crc << 1
            } else {
                ((crc ^ 0xedb8_8320) << 1) | 1
            };
            bit += 1;
        }
        starts[zeros] = crc;
        zeros += 1;
    }
    starts
};

/// Polynomial 0x1021, start 0xffff, nothing reflected (CRC-16/CCITT-FALSE).
fn crc_ccitt(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc: u16, &byte| {
        let [high, low] = crc.to_be_bytes();
        CCITT[usize::from(high ^ byte)] ^ (u16::from(low) << 8)
    })
}

/// Polynomial 0x04c11db7 reflected, start and final xor all ones (CRC-32).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        if let Ok(word) = <[u8; 8]>::try_from(word) {
            crc = crc32_word(crc, word);
        }
    }
    for &byte in words.remainder() {
        crc = CRC32[0][usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8);
    }
    !crc
}

/// Polynomial 0x1b reflected, start 0, no final xor.
fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0u64, |crc, &byte| {
        CRC64[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8)
    })
}

static CRC8: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut at = 0usize;
    let mut start = 0u8;
    while at < 256 {
        let mut crc = start;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x80 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x07
            };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
        start = start.wrapping_add(1);
    }
    table
};

static CCITT: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut at = 0usize;
    let mut start = 0u16;
    while at < 256 {
        let mut crc = start << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
        start += 1;
    }
    table
};

/// Tables for eight bytes at a time: `CRC16[k][b]` is byte `b` followed by `k` zero bytes.
static CRC16: [[u16; 256]; 8] = {
    let mut tables = [[0u16; 256]; 8];
    let mut at = 0usize;
    let mut start = 0u16;
    while at < 256 {
        let mut crc = start;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 {
                crc >> 1
            } else {
                (crc >> 1) ^ 0xa001
            };
            bit += 1;
        }
        tables[0][at] = crc;
        at += 1;
        start += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut at = 0usize;
        while at < 256 {
            let before = tables[k - 1][at];
            tables[k][at] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            at += 1;
        }
        k += 1;
    }
    tables
};

/// As [`CRC16`].
static CRC32: [[u32; 256]; 8] = {
    let mut tables = [[0u32; 256]; 8];
    let mut at = 0usize;
    let mut start = 0u32;
    while at < 256 {
        let mut crc = start;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 {
                crc >> 1
            } else {
                (crc >> 1) ^ 0xedb8_8320
            };
            bit += 1;
        }
        tables[0][at] = crc;
        at += 1;
        start += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut at = 0usize;
        while at < 256 {
            let before = tables[k - 1][at];
            tables[k][at] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            at += 1;
        }
        k += 1;
    }
    tables
};

static CRC64: [u64; 256] = {
    let mut table = [0u64; 256];
    let mut at = 0usize;
    let mut start = 0u64;
    while at < 256 {
        let mut crc = start;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 {
                crc >> 1
            } else {
                (crc >> 1) ^ 0xd800_0000_0000_0000
            };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
        start += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::Algorithm;

    /// The check strings and values are those of the published catalogue of CRC parameters.
    #[test]
    fn crcs_give_the_catalogue_check_values() {
        let check = b"123456789";
        assert_eq!(Algorithm::Crc8.compute(check), 0xf4);
        assert_eq!(Algorithm::Crc16.compute(check), 0xbb3d);
        assert_eq!(Algorithm::CrcCcitt.compute(check), 0x29b1);
        assert_eq!(Algorithm::Crc32.compute(check), 0xcbf4_3926);
    }

    #[test]
    fn limbs_give_what_their_bytes_give() {
        let bytes: Vec<u8> = (0u8..64).map(|byte| byte.wrapping_mul(73) ^ 0x5a).collect();
        for len in 1..=64usize {
            let mut padded = vec![0; len.next_multiple_of(8) - len];
            padded.extend(&bytes[..len]);
            let limbs: Vec<u64> = padded
                .chunks(8)
                .rev()
                .map(|chunk| u64::from_be_bytes(chunk.try_into().unwrap_or_default()))
                .collect();
            for algorithm in [Algorithm::Crc16, Algorithm::Crc32] {
                let want = algorithm.compute(&bytes[..len]);
                assert_eq!(algorithm.of_words(&limbs, len), want, "{len} bytes");
            }
        }
    }

    /// The table-driven forms against the definition, a bit at a time.
    #[test]
    fn long_inputs_equal_the_bitwise_definition() {
        let bytes: Vec<u8> = (0u8..=255).map(|byte| byte.wrapping_mul(37)).collect();
        for len in [0, 1, 7, 8, 9, 37, 64, 255] {
            let (mut a, mut b) = (0u16, u32::MAX);
            for byte in &bytes[..len] {
                a ^= u16::from(*byte);
                b ^= u32::from(*byte);
                for _ in 0..8 {
                    a = if a & 1 == 1 {
                        (a >> 1) ^ 0xa001
                    } else {
                        a >> 1
                    };
                    b = if b & 1 == 1 {
                        (b >> 1) ^ 0xedb8_8320
                    } else {
                        b >> 1
                    };
                }
            }
            assert_eq!(Algorithm::Crc16.compute(&bytes[..len]), u64::from(a));
            assert_eq!(Algorithm::Crc32.compute(&bytes[..len]), u64::from(!b));
        }
    }

    /// The example of RFC 1071, section 3.
    #[test]
    fn internet_checksum_of_the_rfc() {
        let words = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Algorithm::Csum16.compute(&words), 0x220d);
        assert_eq!(Algorithm::Csum16.compute(&[0xab]), 0x54ff);
        assert_eq!(Algorithm::Csum16.compute(&[]), 0xffff);
    }

    #[test]
    fn xor_and_identity_pad_and_cut_as_bmv2() {
        assert_eq!(
            Algorithm::Xor16.compute(&[0x12, 0x34, 0x56]),
            0x1234 ^ 0x5600
        );
        assert_eq!(
            Algorithm::Xor32.compute(&[1, 2, 3, 4, 5]),
            0x0102_0304 ^ 0x0500_0000
        );
        assert_eq!(Algorithm::Identity.compute(&[1, 2, 3]), 0x010203);
        assert_eq!(Algorithm::Identity.compute(&[1; 9]), 0x0101_0101_0101_0101);
    }
}
