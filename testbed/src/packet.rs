//! First packets of connections, as a peer would send them.
//!
//! *In:* a [`Flow`] and what the wire needs besides. *Out:* an Ethernet frame with right lengths and
//! checksums: a TCP SYN, a UDP datagram, an SCTP INIT, an ICMP message, or a short payload behind
//! any other protocol number.

mod checksum;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy_model::{Flow, L4, Protocol};

use checksum::{crc32c, internet};

/// What a frame needs besides its flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// Source MAC.
    pub(crate) src: [u8; 6],
    /// Destination MAC.
    pub(crate) dst: [u8; 6],
    /// Tells ICMP echo requests of one pair of hosts apart.
    pub(crate) echo_id: u16,
}

const PAYLOAD: &[u8] = b"margay testbed";
const HOP_LIMIT: u8 = 64;

/// The frame that opens this flow.
pub(crate) fn first_packet(flow: &Flow, link: &Link) -> Vec<u8> {
    let body = body(flow, link.echo_id);
    let mut frame = Vec::with_capacity(14 + 40 + body.len());
    frame.extend_from_slice(&link.dst);
    frame.extend_from_slice(&link.src);
    match (flow.src, flow.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            frame.extend_from_slice(&[0x08, 0x00]);
            frame.extend_from_slice(&ipv4(src, dst, flow.protocol, body.len()));
        }
        (src, dst) => {
            frame.extend_from_slice(&[0x86, 0xdd]);
            let (src, dst) = (as_v6(src), as_v6(dst));
            frame.extend_from_slice(&ipv6(src, dst, flow.protocol, body.len()));
        }
    }
    frame.extend_from_slice(&body);
    frame
}

/// Router and neighbour discovery (RFC 4861): not a workload's traffic with another but with its
/// gateway, who answers before policy.
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=137;

/// Next headers that are no protocol in IPv6 (RFC 8200: hop-by-hop, routing, fragment, no next
/// header, destination options, and those that would have to carry a header of their own form).
const EXTENSIONS: [u8; 8] = [0, 43, 44, 51, 59, 60, 135, 139];

/// Whether there is a packet that opens this flow and is a matter of policy: between two different
/// unicast addresses that are heard beyond a link, no neighbour discovery, and with a protocol
/// number that the family takes for one.
pub(crate) fn can_be_sent(flow: &Flow) -> bool {
    let is_v6 = flow.src.is_ipv6();
    let discovery = matches!(flow.l4, L4::Icmp { kind, .. } if DISCOVERY.contains(&kind))
        && flow.protocol == Protocol::ICMPV6;
    flow.src != flow.dst
        && flow.dst.is_ipv6() == is_v6
        && is_unicast(flow.src)
        && is_unicast(flow.dst)
        && !discovery
        && !(is_v6 && EXTENSIONS.contains(&flow.protocol.0))
}

/// Whether packets with this address travel beyond a link at all.
pub(crate) fn is_unicast(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => {
            !v4.is_multicast() && !v4.is_broadcast() && !v4.is_loopback() && v4.octets()[0] != 0
        }
        IpAddr::V6(v6) => {
            !v6.is_multicast()
                && !v6.is_unicast_link_local()
                && !v6.is_loopback()
                && !v6.is_unspecified()
        }
    }
}

/// An ARP request of a host without an address of its own (RFC 5227: a probe).
pub(crate) fn arp_request(src: [u8; 6], asked: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&src);
    frame.extend_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&src);
    frame.extend_from_slice(&[0; 4 + 6]);
    frame.extend_from_slice(&asked.octets());
    frame.resize(60, 0);
    frame
}

fn as_v6(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// A length that fits the field, as every frame made here does.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

fn ipv4(src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol, body: usize) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length(20 + body));
    header[6] = 0x40; // do not fragment
    header[8] = HOP_LIMIT;
    header[9] = protocol.0;
    header[12..16].copy_from_slice(&src.octets());
    header[16..20].copy_from_slice(&dst.octets());
    let sum = internet(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, protocol: Protocol, body: usize) -> [u8; 40] {
    let mut header = [0; 40];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&length(body));
    header[6] = protocol.0;
    header[7] = HOP_LIMIT;
    header[8..24].copy_from_slice(&src.octets());
    header[24..40].copy_from_slice(&dst.octets());
    header
}

/// What the sums of the upper layers cover besides the message.
fn pseudo_header(flow: &Flow, body: usize) -> Vec<u8> {
    let mut pseudo = Vec::with_capacity(40);
    match (flow.src, flow.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            pseudo.extend_from_slice(&src.octets());
            pseudo.extend_from_slice(&dst.octets());
            pseudo.extend_from_slice(&[0, flow.protocol.0]);
            pseudo.extend_from_slice(&length(body));
        }
        (src, dst) => {
            pseudo.extend_from_slice(&as_v6(src).octets());
            pseudo.extend_from_slice(&as_v6(dst).octets());
            pseudo.extend_from_slice(&[0, 0]);
            pseudo.extend_from_slice(&length(body));
            pseudo.extend_from_slice(&[0, 0, 0, flow.protocol.0]);
        }
    }
    pseudo
}

fn body(flow: &Flow, echo_id: u16) -> Vec<u8> {
    match (flow.l4, flow.protocol) {
        (L4::Ports { src, dst }, Protocol::TCP) => tcp_syn(flow, src, dst),
        (L4::Ports { src, dst }, Protocol::UDP) => udp(flow, src, dst),
        (L4::Ports { src, dst }, Protocol::SCTP) => sctp_init(src, dst),
        (L4::Icmp { kind, code }, _) => icmp(flow, kind, code, echo_id),
        (L4::Ports { .. } | L4::Other, _) => PAYLOAD.to_vec(),
    }
}

fn tcp_syn(flow: &Flow, src: u16, dst: u16) -> Vec<u8> {
    let mut tcp = vec![0; 20];
    tcp[0..2].copy_from_slice(&src.to_be_bytes());
    tcp[2..4].copy_from_slice(&dst.to_be_bytes());
    tcp[4..8].copy_from_slice(&[0, 0, 0, 1]);
    tcp[12] = 5 << 4;
    tcp[13] = 0x02; // SYN
    tcp[14..16].copy_from_slice(&64_240_u16.to_be_bytes());
    let sum = internet(&[&pseudo_header(flow, tcp.len()), &tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    tcp
}

fn udp(flow: &Flow, src: u16, dst: u16) -> Vec<u8> {
    let mut udp = vec![0; 8];
    udp.extend_from_slice(PAYLOAD);
    udp[0..2].copy_from_slice(&src.to_be_bytes());
    udp[2..4].copy_from_slice(&dst.to_be_bytes());
    let total = length(udp.len());
    udp[4..6].copy_from_slice(&total);
    let sum = internet(&[&pseudo_header(flow, udp.len()), &udp]);
    // Zero would say that there is no checksum (RFC 768).
    let sum = if sum == 0 { u16::MAX } else { sum };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    udp
}

/// Common header and one INIT chunk without parameters (RFC 9260, 3.3.2).
fn sctp_init(src: u16, dst: u16) -> Vec<u8> {
    let mut sctp = vec![0; 12 + 20];
    sctp[0..2].copy_from_slice(&src.to_be_bytes());
    sctp[2..4].copy_from_slice(&dst.to_be_bytes());
    sctp[12] = 1; // INIT
    sctp[14..16].copy_from_slice(&20_u16.to_be_bytes());
    sctp[16..20].copy_from_slice(&[0, 0, 0, 1]); // initiate tag
    sctp[20..24].copy_from_slice(&65_536_u32.to_be_bytes()); // receiver window
    sctp[24..26].copy_from_slice(&1_u16.to_be_bytes()); // outbound streams
    sctp[26..28].copy_from_slice(&1_u16.to_be_bytes()); // inbound streams
    sctp[28..32].copy_from_slice(&[0, 0, 0, 1]); // initial sequence number
    let sum = crc32c(&sctp);
    sctp[8..12].copy_from_slice(&sum.to_le_bytes());
    sctp
}

fn icmp(flow: &Flow, kind: u8, code: u8, echo_id: u16) -> Vec<u8> {
    let mut icmp = vec![0; 8];
    icmp.extend_from_slice(PAYLOAD);
    icmp[0] = kind;
    icmp[1] = code;
    icmp[4..6].copy_from_slice(&echo_id.to_be_bytes());
    icmp[6..8].copy_from_slice(&[0, 1]);
    let sum = if flow.protocol == Protocol::ICMPV6 {
        internet(&[&pseudo_header(flow, icmp.len()), &icmp])
    } else {
        internet(&[&icmp])
    };
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    icmp
}

#[cfg(test)]
mod tests;
