//! IP sets.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Members, Protocol};

/// `IPSetUpdate.IPSetType`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum IpSetKind {
    /// Single addresses.
    Ip,
    /// Address, protocol and port.
    IpAndPort,
    /// CIDRs; single hosts arrive as /32 and /128.
    Net,
}

/// One member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Member {
    /// A CIDR; a member of an `Ip` set is a host net.
    Net(IpNet),
    /// An address with protocol and port.
    Port {
        /// Address.
        addr: IpAddr,
        /// Protocol.
        protocol: Protocol,
        /// Port.
        port: u16,
    },
}

/// A set. Overlapping CIDRs are legal; removal is by exact net.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IpSet {
    /// Kind.
    pub kind: IpSetKind,
    /// Members of both families.
    pub members: Members,
    /// Members that could not be understood, as they arrived: rules that refer to the set are
    /// refused until they are gone.
    pub invalid: BTreeSet<String>,
}

impl IpSetKind {
    /// Whether a member of this shape belongs into a set of this kind.
    #[must_use]
    pub fn admits(self, member: &Member) -> bool {
        match (self, member) {
            (Self::Ip, Member::Net(net)) => net.prefix_len() == net.max_prefix_len(),
            (Self::Net, Member::Net(_)) | (Self::IpAndPort, Member::Port { .. }) => true,
            (Self::Ip | Self::Net, Member::Port { .. }) | (Self::IpAndPort, Member::Net(_)) => {
                false
            }
        }
    }
}

impl fmt::Display for Member {
    /// As Felix spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => write!(f, "{net}"),
            Self::Port {
                addr,
                protocol,
                port,
            } => write!(f, "{addr},{protocol}:{port}"),
        }
    }
}
