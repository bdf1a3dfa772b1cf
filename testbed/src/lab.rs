//! Pods, the network beyond the node, and the packets between them.
//!
//! *In:* a [`Topology`], what hangs on which port. *Out:* for each probe an [`Outcome`], what the
//! packets did. Two labs give the same answers: [`namespaces`] with kernel sockets over veth pairs
//! (root), [`memory`] with frames over the switch's packet socket (anybody).

pub(crate) mod memory;
pub(crate) mod namespaces;
pub(crate) mod packet;
mod topology;

pub(crate) use topology::{GATEWAY_MAC, Place, Pod, Topology, Uplink};

use policy_model::Flow;
use thiserror::Error;

/// One question to the packets.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// The first packet of a connection.
    pub(crate) flow: Flow,
    /// Where it starts.
    pub(crate) from: Place,
    /// Where it should end.
    pub(crate) to: Place,
    /// The probe's own number in this run.
    pub(crate) tag: u32,
}

/// What the packets of a probe did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// The first packet came out where the destination is.
    pub(crate) forwarded: bool,
    /// The other end's answer came back; none where no answer belongs to the protocol or nothing
    /// was forwarded.
    pub(crate) answered: Option<bool>,
}

/// Why a lab could not be built or could not answer.
#[derive(Debug, Error)]
pub(crate) enum LabError {
    /// The kernel refused.
    #[error("{step} in {place} failed")]
    Kernel {
        /// What was being done.
        step: &'static str,
        /// Which namespace.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// rtnetlink refused.
    #[error("{step} in {place} failed")]
    Netlink {
        /// What was being done.
        step: &'static str,
        /// Which namespace.
        place: String,
        /// Why.
        source: rtnetlink::Error,
    },
    /// The switch's packet socket broke.
    #[error("The packet socket of p4switch failed")]
    PacketSocket(#[source] std::io::Error),
    /// Nobody answered for the gateway's address.
    #[error("{place} got no answer to its question for the MAC of {gateway}")]
    NoGateway {
        /// Who asked.
        place: String,
        /// For what.
        gateway: std::net::IpAddr,
    },
    /// The kernel kept a packet back.
    #[error("The first packet of {mark} never left its namespace")]
    NotSent {
        /// Which.
        mark: String,
    },
    /// Packets are neither delivered nor counted as dropped.
    #[error(
        "{sent} packets were sent, {delivered} came out and {dropped} were counted as dropped: \
         the switch lost or invented some"
    )]
    Unaccounted {
        /// Frames that left a namespace.
        sent: u64,
        /// Frames that came out.
        delivered: u64,
        /// The switch's own count.
        dropped: u64,
    },
    /// The drop counters could not be read.
    #[error("The drop counters could not be read")]
    Counters(#[source] Box<dyn std::error::Error + Send + Sync>),
}
