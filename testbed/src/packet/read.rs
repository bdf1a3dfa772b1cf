//! From bytes to what a test asks of them, and the other end's answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy_model::Protocol;

use super::build::{Link, ipv4, ipv6, never_zero, sctp_checksum};
use super::{ECHO_V4, ECHO_V6, Mark, checksum};

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// A unicast IP packet.
    Packet(Mark),
    /// The answer to a question for a MAC address.
    NeighbourAnswer {
        /// Whose.
        addr: IpAddr,
        /// The MAC.
        mac: [u8; 6],
    },
    /// Anything else: neighbour discovery, multicast, other protocols.
    Other,
}

/// Reads a frame. IP options and extension headers are not followed: nobody in the lab sends any.
pub(crate) fn read(frame: &[u8]) -> Seen {
    parse(frame).unwrap_or(Seen::Other)
}

fn parse(frame: &[u8]) -> Option<Seen> {
    let body = frame.get(14..)?;
    match frame.get(12..14)? {
        [0x08, 0x00] => {
            let src = IpAddr::from(octets::<4>(body, 12)?);
            let dst = Ipv4Addr::from(octets::<4>(body, 16)?);
            if dst.is_multicast() || dst.is_broadcast() {
                return Some(Seen::Other);
            }
            let protocol = *body.get(9)?;
            Some(Seen::Packet(mark(
                src,
                dst.into(),
                protocol,
                body.get(20..)?,
            )))
        }
        [0x86, 0xdd] => {
            let src = Ipv6Addr::from(octets::<16>(body, 8)?);
            let dst = Ipv6Addr::from(octets::<16>(body, 24)?);
            let protocol = *body.get(6)?;
            let l4 = body.get(40..)?;
            let kind = l4.first().copied().unwrap_or(0);
            if protocol == Protocol::ICMPV6.0 && kind == 136 {
                return Some(Seen::NeighbourAnswer {
                    addr: octets::<16>(l4, 8)?.into(),
                    mac: octets::<6>(l4, 26)?,
                });
            }
            let question = protocol == Protocol::ICMPV6.0 && kind == 135;
            if dst.is_multicast() || dst.is_unicast_link_local() || question {
                return Some(Seen::Other);
            }
            Some(Seen::Packet(mark(src.into(), dst.into(), protocol, l4)))
        }
        [0x08, 0x06] if body.get(6..8)? == [0, 2] => Some(Seen::NeighbourAnswer {
            addr: octets::<4>(body, 14)?.into(),
            mac: octets::<6>(body, 8)?,
        }),
        _ => None,
    }
}

fn mark(src: IpAddr, dst: IpAddr, protocol: u8, l4: &[u8]) -> Mark {
    let word = |at: usize| octets::<2>(l4, at).map_or(0, u16::from_be_bytes);
    let (left, right) = match Protocol(protocol) {
        known if known.has_ports() => (u32::from(word(0)), word(2)),
        Protocol::ICMP | Protocol::ICMPV6 => (u32::from(word(4)), word(0)),
        _ => (octets::<4>(l4, 0).map_or(0, u32::from_be_bytes), 0),
    };
    Mark {
        src,
        dst,
        protocol,
        left,
        right,
    }
}

fn octets<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// What the other end says to a first packet: SYN-ACK, the same datagram, INIT ACK, echo reply.
/// `link` is the answer's.
pub(crate) fn answer(frame: &[u8], link: Link) -> Option<Vec<u8>> {
    let Seen::Packet(asked) = read(frame) else {
        return None;
    };
    asked.answer()?;
    let v4 = frame[12..14] == [0x08, 0x00];
    let mut l4 = frame.get(if v4 { 34 } else { 54 }..)?.to_vec();
    match Protocol(asked.protocol) {
        Protocol::TCP => {
            swap_ports(&mut l4);
            let acknowledged = octets::<4>(&l4, 4).map_or(0, u32::from_be_bytes);
            l4[8..12].copy_from_slice(&acknowledged.wrapping_add(1).to_be_bytes());
            l4[13] = 0x12;
            fix(&mut l4, 16, asked);
        }
        Protocol::UDP => {
            swap_ports(&mut l4);
            fix(&mut l4, 6, asked);
            l4 = never_zero(l4);
        }
        Protocol::SCTP => l4 = init_ack(&l4)?,
        Protocol::ICMP if asked.right == ECHO_V4 => {
            l4[0] = 0;
            l4[2..4].fill(0);
            let sum = checksum::internet([&l4[..]]);
            l4[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        Protocol::ICMPV6 if asked.right == ECHO_V6 => {
            l4[0] = 129;
            fix(&mut l4, 2, asked);
        }
        _ => return None,
    }
    match (asked.dst, asked.src) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => Some(ipv4(link, src, dst, asked.protocol, &l4)),
        (IpAddr::V6(src), IpAddr::V6(dst)) => Some(ipv6(link, src, dst, asked.protocol, 64, &l4)),
        _ => None,
    }
}

/// What an SCTP endpoint says to an INIT (RFC 9260, 3.3.3), as far as the common header and the
/// chunk type go.
pub(crate) fn init_ack(init: &[u8]) -> Option<Vec<u8>> {
    if init.len() < 32 || init[12] != 1 {
        return None;
    }
    let mut l4 = init.to_vec();
    swap_ports(&mut l4);
    l4.copy_within(16..20, 4);
    l4[12] = 2;
    sctp_checksum(&mut l4);
    Some(l4)
}

fn swap_ports(l4: &mut [u8]) {
    let (src, dst) = l4.split_at_mut(2);
    src.swap_with_slice(&mut dst[..2]);
}

fn fix(l4: &mut [u8], at: usize, asked: Mark) {
    l4[at..at + 2].fill(0);
    let sum = checksum::transport(asked.dst, asked.src, asked.protocol, l4);
    l4[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use policy_model::{Flow, L4};

    use super::super::frame;
    use super::*;

    const LINK: Link = Link {
        dst: [2, 0, 0, 0, 0, 1],
        src: [2, 0, 0, 0, 0, 2],
    };

    fn flows() -> Vec<Flow> {
        let ports = L4::Ports {
            src: 40_000,
            dst: 80,
        };
        let kinds = [
            (Protocol::TCP, ports, 8),
            (Protocol::UDP, ports, 8),
            (Protocol::SCTP, ports, 8),
            (Protocol(47), L4::Other, 8),
            (Protocol::ICMP, L4::Icmp { kind: 8, code: 0 }, 4),
            (Protocol::ICMPV6, L4::Icmp { kind: 128, code: 0 }, 6),
        ];
        let addresses = [
            ("10.0.0.1", "10.0.0.2", 4),
            ("2001:db8::1", "2001:db8::2", 6),
        ];
        let mut flows = Vec::new();
        for (src, dst, family) in addresses {
            for (protocol, l4, only) in kinds {
                if only == 8 || only == family {
                    flows.push(Flow {
                        src: src.parse().unwrap(),
                        dst: dst.parse().unwrap(),
                        protocol,
                        l4,
                    });
                }
            }
        }
        flows
    }

    #[test]
    fn a_frame_reads_back_as_its_mark() {
        for flow in flows() {
            let expected = Mark::of(&flow, 0x1234);
            assert_eq!(read(&frame(&flow, 0x1234, LINK)), Seen::Packet(expected));
        }
    }

    #[test]
    fn an_answer_carries_the_mark_that_the_asker_waits_for() {
        for flow in flows() {
            let asked = Mark::of(&flow, 0x1234);
            let got = answer(&frame(&flow, 0x1234, LINK), LINK).map(|frame| read(&frame));
            assert_eq!(got, asked.answer().map(Seen::Packet), "{flow:?}");
        }
    }

    #[test]
    fn transport_checksums_sum_to_zero() {
        for flow in flows() {
            let at = match flow.protocol {
                Protocol::TCP | Protocol::UDP | Protocol::ICMPV6 => &flow,
                _ => continue,
            };
            let message = super::super::payload(at, 7);
            assert_eq!(
                checksum::transport(flow.src, flow.dst, flow.protocol.0, &message),
                0
            );
        }
    }

    #[test]
    fn a_cut_frame_is_nothing_and_no_panic() {
        for flow in flows() {
            let whole = frame(&flow, 1, LINK);
            for end in 0..34 {
                assert!(!matches!(read(&whole[..end]), Seen::NeighbourAnswer { .. }));
                let _ = answer(&whole[..end], LINK);
            }
        }
    }
}
