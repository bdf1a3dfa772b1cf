//! Frames against what the standards say of them.

use super::checksum::{crc32c, internet, transport};
use super::*;

const LINK: Link = Link {
    src: [2, 0, 0, 0, 0, 1],
    dst: [0xee; 6],
};
const TAG: u32 = 0x1234;

fn flow(src: &str, dst: &str, protocol: Protocol, l4: L4) -> Flow {
    Flow {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        protocol,
        l4,
    }
}

#[test]
fn sums_of_published_examples() {
    // RFC 1071, section 3: the example's sum is ddf2.
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(internet([&bytes[..]]), !0xddf2);
    // RFC 3720, B.4: 32 bytes of zeros give aa 36 91 8a on the wire.
    assert_eq!(crc32c(&[0; 32]).to_le_bytes(), [0xaa, 0x36, 0x91, 0x8a]);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

/// A right message sums up to nothing when its own sum is taken in.
fn check_upper(flow: &Flow, body: &[u8]) {
    let sum = transport(flow.src, flow.dst, flow.protocol.0, body);
    assert_eq!(sum, 0, "{flow:?}");
}

#[test]
fn ipv4_frames_have_right_lengths_and_sums() {
    let ports = L4::Ports {
        src: 40_000,
        dst: 443,
    };
    for protocol in [Protocol::TCP, Protocol::UDP] {
        let flow = flow("10.0.0.1", "10.0.0.2", protocol, ports);
        let frame = frame(&flow, TAG, LINK);
        assert_eq!(&frame[..6], &LINK.dst);
        assert_eq!(&frame[6..12], &LINK.src);
        assert_eq!(frame[12..14], [8, 0]);
        let ip = &frame[14..];
        assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
        assert_eq!(internet([&ip[..20]]), 0);
        assert_eq!(ip[9], protocol.0);
        assert_eq!(ip[12..20], [10, 0, 0, 1, 10, 0, 0, 2]);
        assert_eq!(ip[20..24], [0x9c, 0x40, 0x01, 0xbb]);
        check_upper(&flow, &ip[20..]);
    }
}

#[test]
fn ipv6_frames_have_right_lengths_and_sums() {
    let cases = [
        (Protocol::TCP, L4::Ports { src: 1, dst: 2 }),
        (Protocol::UDP, L4::Ports { src: 1, dst: 2 }),
        (Protocol::ICMPV6, L4::Icmp { kind: 128, code: 0 }),
    ];
    for (protocol, l4) in cases {
        let flow = flow("fd00::1", "fd00::2", protocol, l4);
        let frame = frame(&flow, TAG, LINK);
        assert_eq!(frame[12..14], [0x86, 0xdd]);
        let ip = &frame[14..];
        assert_eq!(
            usize::from(u16::from_be_bytes([ip[4], ip[5]])),
            ip.len() - 40
        );
        assert_eq!(ip[6], protocol.0);
        check_upper(&flow, &ip[40..]);
    }
}

#[test]
fn sctp_init_carries_its_crc() {
    let l4 = L4::Ports { src: 7, dst: 9 };
    let flow = flow("10.0.0.1", "10.0.0.2", Protocol::SCTP, l4);
    let frame = frame(&flow, TAG, LINK);
    let mut sctp = frame[34..].to_vec();
    let sum: [u8; 4] = sctp[8..12].try_into().unwrap();
    sctp[8..12].fill(0);
    assert_eq!(crc32c(&sctp).to_le_bytes(), sum);
    assert_eq!(sctp[12], 1, "INIT");
}

#[test]
fn icmp_has_type_code_and_id() {
    let l4 = L4::Icmp { kind: 8, code: 0 };
    let flow = flow("10.0.0.1", "10.0.0.2", Protocol::ICMP, l4);
    let frame = frame(&flow, TAG, LINK);
    let icmp = &frame[34..];
    assert_eq!(icmp[..2], [8, 0]);
    assert_eq!(icmp[4..6], [0x12, 0x34]);
    assert_eq!(internet([icmp]), 0);
}

#[test]
fn other_protocols_carry_a_payload() {
    let flow = flow("10.0.0.1", "10.0.0.2", Protocol(47), L4::Other);
    let frame = frame(&flow, TAG, LINK);
    assert_eq!(frame[23], 47);
    assert_eq!(frame[34..38], TAG.to_be_bytes());
}

#[test]
fn a_udp_sum_of_zero_is_written_as_ones() {
    for port in 0..=u16::MAX {
        let l4 = L4::Ports { src: port, dst: 53 };
        let flow = flow("10.0.0.1", "10.0.0.2", Protocol::UDP, l4);
        let frame = frame(&flow, TAG, LINK);
        assert_ne!(frame[40..42], [0, 0], "port {port}");
    }
}
