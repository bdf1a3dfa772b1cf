//! Pods, the network beyond the node, and the packets between them.
//!
//! *In:* a [`Topology`], what hangs on which port. *Out:* for each probe an [`Outcome`], what the
//! packets did. Two labs give the same answers: [`namespaces`] with kernel sockets over veth pairs
//! (root), [`memory`] with frames over the switch's packet socket (anybody).

pub(crate) mod memory;
pub(crate) mod namespaces;
mod topology;

pub(crate) use topology::{GATEWAY_MAC, Place, Pod, Topology, Uplink};

use policy_model::Flow;
use thiserror::Error;
use tokio::sync::oneshot;

use namespaces::Drops;

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

/// Either lab.
#[derive(Debug)]
pub(crate) enum Lab {
    /// Network namespaces and kernel sockets.
    Namespaces(namespaces::Lab),
    /// Frames over the switch's packet socket.
    Memory(memory::Lab),
}

/// Packets that flowed for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Traffic {
    /// Packets of allowed flows.
    pub(crate) allowed_sent: u64,
    /// Of those, packets that did not come out.
    pub(crate) allowed_lost: u64,
    /// Of those sent, TCP.
    pub(crate) allowed_tcp: u64,
    /// Packets of denied flows.
    pub(crate) denied_sent: u64,
    /// Of those, packets that came out.
    pub(crate) denied_leaked: u64,
    /// Of those sent, TCP.
    pub(crate) denied_tcp: u64,
}

/// Between two packets of the same kind in [`Lab::traffic`].
const PACE: std::time::Duration = std::time::Duration::from_millis(1);

impl Lab {
    /// For people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Namespaces(_) => "namespaces",
            Self::Memory(_) => "memory",
        }
    }

    /// Asks for the gateways' MACs at each place; how many answers came.
    pub(crate) async fn ask_gateways(&mut self, places: &[Place]) -> Result<usize, LabError> {
        match self {
            Self::Namespaces(lab) => lab.ask_gateways(places).await,
            Self::Memory(lab) => lab.ask_gateways(places).await,
        }
    }

    /// Takes the switch as it is now, which may have been started anew: its counts are the zero of
    /// what follows.
    pub(crate) async fn calibrate(&mut self, drops: &mut impl Drops) -> Result<(), LabError> {
        match self {
            Self::Namespaces(lab) => lab.calibrate(drops).await,
            Self::Memory(lab) => lab.reconnect().await,
        }
    }

    /// Sends the first packet of each probe; outcomes in the order of the probes.
    pub(crate) async fn run(
        &mut self,
        probes: &[Probe],
        drops: &mut impl Drops,
    ) -> Result<Vec<Outcome>, LabError> {
        match self {
            Self::Namespaces(lab) => lab.run(probes, drops).await,
            Self::Memory(lab) => lab.run(probes).await,
        }
    }

    /// Keeps packets flowing on allowed and on denied connections, UDP and TCP, in turn, until
    /// `stop`. The other ends answer, and their packets count too.
    pub(crate) async fn traffic(
        &mut self,
        allowed: &[Probe],
        denied: &[Probe],
        stop: oneshot::Receiver<()>,
        drops: &mut impl Drops,
    ) -> Result<Traffic, LabError> {
        match self {
            Self::Namespaces(lab) => lab.traffic(allowed, denied, stop, drops).await,
            Self::Memory(lab) => lab.traffic(allowed, denied, stop).await,
        }
    }
}
