//! The Internet checksum (RFC 1071) and CRC-32C (RFC 9260, appendix A).

use std::net::IpAddr;

/// Ones' complement sum of 16-bit words, inverted.
pub(crate) fn internet<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The checksum of a layer 4 message with the pseudo-header of its family.
pub(crate) fn transport(src: IpAddr, dst: IpAddr, protocol: u8, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let tail = [0, 0, 0, protocol];
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => internet([
            &src.octets()[..],
            &dst.octets()[..],
            &tail[2..],
            &length[2..],
            message,
        ]),
        (src, dst) => internet([&v6(src)[..], &v6(dst)[..], &length[..], &tail[..], message]),
    }
}

fn v6(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().octets(),
        IpAddr::V6(addr) => addr.octets(),
    }
}

/// CRC-32C, bit by bit: a few packets a run.
pub(crate) fn crc32c(message: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in message {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_of_the_nine_digits_is_the_published_check_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_message_with_its_checksum_sums_to_zero() {
        let message = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61];
        let sum = internet([&message[..]]);
        assert_eq!(internet([&message[..], &sum.to_be_bytes()[..]]), 0);
    }

    #[test]
    fn an_odd_last_byte_counts_as_a_high_one() {
        assert_eq!(
            internet([&[1u8, 2, 3][..]]),
            internet([&[1u8, 2, 3, 0][..]])
        );
    }
}
