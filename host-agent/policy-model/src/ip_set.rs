//! IP sets.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Protocol;

/// `IPSetUpdate.IPSetType`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
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
    pub members: BTreeSet<Member>,
    /// Members that could not be understood, as they arrived: rules that refer to the set are
    /// refused until they are gone.
    pub invalid: BTreeSet<String>,
}
