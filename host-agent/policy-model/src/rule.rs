//! Rules, policies and profiles (Felix messages `Rule`, `Policy`, `Profile`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Direction, IpSetId, RuleId};

/// What a rule does when it matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Action {
    /// `allow`, and the empty string.
    Allow,
    /// `deny`.
    Deny,
    /// `next-tier` on the wire.
    Pass,
    /// `log`: evaluation goes on.
    Log,
}

/// Address family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// IP protocol number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// IP in IP.
    pub const IPIP: Self = Self(4);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite.
    pub const UDPLITE: Self = Self(136);

    /// Whether policy may look at ports of this protocol (Calico: TCP, UDP and SCTP only).
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP)
    }
}

impl fmt::Display for Protocol {
    /// Calico's lower-case name, or the number where it has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("icmp"),
            Self::TCP => f.write_str("tcp"),
            Self::UDP => f.write_str("udp"),
            Self::ICMPV6 => f.write_str("icmpv6"),
            Self::SCTP => f.write_str("sctp"),
            Self::UDPLITE => f.write_str("udplite"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PortRange {
    /// Lowest.
    pub first: u16,
    /// Highest, not below `first`.
    pub last: u16,
}

/// An ICMP or ICMPv6 criterion: type alone, or type and code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Icmp {
    /// Type; zero is a valid type.
    pub kind: u8,
    /// Code, or any.
    pub code: Option<u8>,
}

/// `HTTPMatch`: arrives, and no L3/L4 device can judge it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct HttpMatch {
    /// Methods.
    pub methods: Vec<String>,
    /// Paths, exact ones as they are, prefixes with a star behind.
    pub paths: Vec<String>,
}

/// What a rule asks of one end of the flow. An empty list asks nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Side {
    /// The address is in one of these nets.
    pub nets: Vec<IpNet>,
    /// The address is in none of these.
    pub not_nets: Vec<IpNet>,
    /// The port is in one of these, or (address, protocol, port) is in a set of `named_ports`.
    pub ports: Vec<PortRange>,
    /// The port is in none of these.
    pub not_ports: Vec<PortRange>,
    /// Sets of (address, protocol, port), alternatives to `ports`.
    pub named_ports: Vec<IpSetId>,
    /// (address, protocol, port) is in none of these sets.
    pub not_named_ports: Vec<IpSetId>,
    /// The address is in all of these sets.
    pub sets: Vec<IpSetId>,
    /// The address is in none of these sets.
    pub not_sets: Vec<IpSetId>,
    /// (address, protocol, port) is in all of these sets (`dst_ip_port_set_ids`).
    pub ip_port_sets: Vec<IpSetId>,
}

/// What the user wrote, for people; never evaluated.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RuleNotes {
    /// Original selectors, services and service-account matches by field name.
    pub written: BTreeMap<String, String>,
    /// `RuleMetadata.annotations`.
    pub annotations: BTreeMap<String, String>,
}

/// A rule: all its criteria must hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// What follows from a match.
    pub action: Action,
    /// Only this family.
    pub family: Option<Family>,
    /// Only this protocol.
    pub protocol: Option<Protocol>,
    /// Any protocol but this.
    pub not_protocol: Option<Protocol>,
    /// ICMP criterion.
    pub icmp: Option<Icmp>,
    /// Not this ICMP type, or not this type with this code.
    pub not_icmp: Option<Icmp>,
    /// Source.
    pub src: Side,
    /// Destination.
    pub dst: Side,
    /// Layer 7 criterion.
    pub http: Option<HttpMatch>,
    /// Felix's id.
    pub id: RuleId,
    /// For people.
    pub notes: Arc<RuleNotes>,
}

/// A rule that could not be understood. It denies and reports: the direction of the policy that
/// holds it is refused as a whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct InvalidRule {
    /// Inbound rules are `Ingress`, outbound ones `Egress`.
    pub direction: Direction,
    /// Place in the list, from 0.
    pub index: usize,
    /// Felix's id, empty if it had none.
    pub id: RuleId,
    /// What is wrong, naming the field and the value.
    pub reason: String,
}

/// `Policy`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Tier, empty with Felix 3.31 and older.
    pub tier: Arc<str>,
    /// Rules for traffic towards the endpoint.
    pub inbound: Vec<Rule>,
    /// Rules for traffic from the endpoint.
    pub outbound: Vec<Rule>,
    /// Do-not-track.
    pub untracked: bool,
    /// Pre-DNAT.
    pub pre_dnat: bool,
    /// The policy's selector as written.
    pub selector: String,
    /// Performance hints as written.
    pub hints: Vec<String>,
    /// Rules that are not in the lists above because they could not be understood.
    pub invalid: Vec<InvalidRule>,
}

/// `Profile`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Rules for traffic towards the endpoint.
    pub inbound: Vec<Rule>,
    /// Rules for traffic from the endpoint.
    pub outbound: Vec<Rule>,
    /// Rules that could not be understood.
    pub invalid: Vec<InvalidRule>,
}

impl Policy {
    /// Rules of one direction.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::Ingress => &self.inbound,
            Direction::Egress => &self.outbound,
        }
    }
}

impl Profile {
    /// Rules of one direction.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::Ingress => &self.inbound,
            Direction::Egress => &self.outbound,
        }
    }
}
