//! Frames: built from a flow, and read back.
//!
//! Every probe carries a mark by which it is told from all other traffic: its port pair, its ICMP
//! identifier, or its first four payload bytes, by protocol.

mod build;
mod checksum;
mod read;
mod sendable;

pub(crate) use build::{Link, arp_request, frame, neighbour_solicitation, payload};
pub(crate) use read::{Seen, answer, init_ack, read};
pub(crate) use sendable::{can_be_sent, is_unicast};

use std::net::IpAddr;

use policy_model::{Flow, L4, Protocol};

/// What tells the packets of one probe from all others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Mark {
    /// Source address.
    pub(crate) src: IpAddr,
    /// Destination address.
    pub(crate) dst: IpAddr,
    /// Protocol number.
    pub(crate) protocol: u8,
    /// Source port, ICMP identifier, or the payload's first four bytes.
    pub(crate) left: u32,
    /// Destination port, or ICMP type and code.
    pub(crate) right: u16,
}

impl Mark {
    /// The mark of a flow's first packet; `tag` is the probe's own number.
    pub(crate) fn of(flow: &Flow, tag: u32) -> Self {
        let (left, right) = match flow.l4 {
            L4::Ports { src, dst } => (u32::from(src), dst),
            L4::Icmp { kind, code } => (tag & 0xffff, u16::from_be_bytes([kind, code])),
            L4::Other => (tag, 0),
        };
        Self {
            src: flow.src,
            dst: flow.dst,
            protocol: flow.protocol.0,
            left,
            right,
        }
    }

    /// The mark of what the other end answers, for protocols in which it does.
    pub(crate) fn answer(self) -> Option<Self> {
        let (left, right) = match Protocol(self.protocol) {
            protocol if protocol.has_ports() => {
                (u32::from(self.right), u16::try_from(self.left).ok()?)
            }
            Protocol::ICMP if self.right == ECHO_V4 => (self.left, 0),
            Protocol::ICMPV6 if self.right == ECHO_V6 => (self.left, ECHO_REPLY_V6),
            _ => return None,
        };
        Some(Self {
            src: self.dst,
            dst: self.src,
            protocol: self.protocol,
            left,
            right,
        })
    }
}

/// Echo request, type and code as one number.
const ECHO_V4: u16 = 8 << 8;
const ECHO_V6: u16 = 128 << 8;
const ECHO_REPLY_V6: u16 = 129 << 8;

#[cfg(test)]
mod tests;
