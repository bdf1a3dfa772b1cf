//! From a flow to bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy_model::{Flow, L4, Protocol};

use super::checksum;

/// Ethernet addresses of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// To.
    pub(crate) dst: [u8; 6],
    /// From.
    pub(crate) src: [u8; 6],
}

const HOPS: u8 = 64;
const SYN: u8 = 0x02;

/// The first packet of a flow; `tag` is the probe's own number.
pub(crate) fn frame(flow: &Flow, tag: u32, link: Link) -> Vec<u8> {
    let payload = payload(flow, tag);
    match (flow.src, flow.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4(link, src, dst, flow.protocol.0, &payload),
        (src, dst) => ipv6(link, v6(src), v6(dst), flow.protocol.0, HOPS, &payload),
    }
}

/// What follows the IP header of a flow's first packet, checksums included.
pub(crate) fn payload(flow: &Flow, tag: u32) -> Vec<u8> {
    let mark = tag.to_be_bytes();
    let sum = |at: usize, mut message: Vec<u8>| {
        let sum = checksum::transport(flow.src, flow.dst, flow.protocol.0, &message);
        message[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        message
    };
    match (flow.protocol, flow.l4) {
        (Protocol::TCP, L4::Ports { src, dst }) => sum(16, tcp(src, dst, tag, 0, SYN)),
        (Protocol::SCTP, L4::Ports { src, dst }) => sctp_init(src, dst, tag),
        (protocol, L4::Ports { src, dst }) => {
            let mut message = Vec::with_capacity(12);
            message.extend(src.to_be_bytes());
            message.extend(dst.to_be_bytes());
            message.extend(12u16.to_be_bytes());
            message.extend([0, 0]);
            message.extend(mark);
            if protocol == Protocol::UDP {
                never_zero(sum(6, message))
            } else {
                message
            }
        }
        (protocol, L4::Icmp { kind, code }) => {
            let mut message = vec![kind, code, 0, 0, mark[2], mark[3], 0, 1];
            message.extend(b"margay..");
            if protocol == Protocol::ICMPV6 {
                sum(2, message)
            } else {
                let sum = checksum::internet([&message[..]]);
                message[2..4].copy_from_slice(&sum.to_be_bytes());
                message
            }
        }
        (_, L4::Other) => {
            let mut message = mark.to_vec();
            message.extend([0; 12]);
            message
        }
    }
}

/// A UDP sum of zero would say that there is none (RFC 768).
pub(super) fn never_zero(mut datagram: Vec<u8>) -> Vec<u8> {
    if datagram[6..8] == [0, 0] {
        datagram[6..8].fill(0xff);
    }
    datagram
}

fn tcp(src: u16, dst: u16, sequence: u32, acknowledgement: u32, flags: u8) -> Vec<u8> {
    let mut message = Vec::with_capacity(20);
    message.extend(src.to_be_bytes());
    message.extend(dst.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(acknowledgement.to_be_bytes());
    message.extend([5 << 4, flags]);
    message.extend(0xffffu16.to_be_bytes());
    message.extend([0; 4]);
    message
}

/// RFC 9260, 3.3.2: the tag of the common header is zero in an INIT.
fn sctp_init(src: u16, dst: u16, tag: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    message.extend(src.to_be_bytes());
    message.extend(dst.to_be_bytes());
    message.extend([0; 8]);
    message.extend([1, 0, 0, 20]);
    message.extend((tag | 1).to_be_bytes());
    message.extend(0xffffu32.to_be_bytes());
    message.extend([0, 1, 0, 1]);
    message.extend(tag.to_be_bytes());
    sctp_checksum(&mut message);
    message
}

/// The checksum goes out in the byte order of RFC 9260, appendix A: low byte first.
pub(super) fn sctp_checksum(message: &mut [u8]) {
    message[8..12].fill(0);
    let sum = checksum::crc32c(message);
    message[8..12].copy_from_slice(&sum.to_le_bytes());
}

pub(super) fn ipv4(link: Link, src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, l4: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(length(20 + l4.len()).to_be_bytes());
    header.extend([0, 0, 0x40, 0, HOPS, protocol, 0, 0]);
    header.extend(src.octets());
    header.extend(dst.octets());
    let sum = checksum::internet([&header[..]]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(link, 0x0800, &[&header, l4])
}

pub(super) fn ipv6(
    link: Link,
    src: Ipv6Addr,
    dst: Ipv6Addr,
    protocol: u8,
    hops: u8,
    l4: &[u8],
) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length(l4.len()).to_be_bytes());
    header.extend([protocol, hops]);
    header.extend(src.octets());
    header.extend(dst.octets());
    ethernet(link, 0x86dd, &[&header, l4])
}

/// A question for the MAC of `target` (RFC 826); of a host without an address of its own if `src` is
/// unspecified (RFC 5227: a probe).
pub(crate) fn arp_request(src_mac: [u8; 6], src: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
    body.extend(src_mac);
    body.extend(src.octets());
    body.extend([0; 6]);
    body.extend(target.octets());
    let link = Link {
        dst: [0xff; 6],
        src: src_mac,
    };
    ethernet(link, 0x0806, &[&body])
}

/// A question for the MAC of `target` (RFC 4861, 4.3), to its solicited-node address.
pub(crate) fn neighbour_solicitation(src_mac: [u8; 6], src: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let last = target.octets();
    let group = Ipv6Addr::from([
        0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, last[13], last[14], last[15],
    ]);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(last);
    message.extend([1, 1]);
    message.extend(src_mac);
    let sum = checksum::transport(src.into(), group.into(), Protocol::ICMPV6.0, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let link = Link {
        dst: [0x33, 0x33, 0xff, last[13], last[14], last[15]],
        src: src_mac,
    };
    ipv6(link, src, group, Protocol::ICMPV6.0, 255, &message)
}

fn ethernet(link: Link, kind: u16, parts: &[&[u8]]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend(link.dst);
    frame.extend(link.src);
    frame.extend(kind.to_be_bytes());
    for part in parts {
        frame.extend(*part);
    }
    frame
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

fn v6(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    }
}
