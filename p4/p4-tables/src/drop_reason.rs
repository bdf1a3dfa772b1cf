//! Generated from p4/programs/reasons.p4 by `BLESS=1 cargo test -p p4-tables`.

/// Why a packet was dropped: the index into the pipeline's `drop_reason` counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum DropReason {
    /// Not dropped.
    None = 0,
    /// The frame is cut short, its IPv4 header checksum is wrong, or a header contradicts itself.
    Malformed = 1,
    /// The port has no row in endpoint_port.
    UnknownPort = 2,
    /// Neither IP nor ARP.
    NotIp = 3,
    /// An 802.1Q tag with a VLAN id: no network of that id here.
    Vlan = 4,
    /// The source address is not one of the endpoint's.
    SpoofedAddress = 5,
    /// The source MAC is not the endpoint's.
    SpoofedMac = 6,
    /// An ARP or neighbour message that the gateway does not answer.
    Neighbour = 7,
    /// Multicast, broadcast or link-local destination: not routed.
    NotRoutable = 8,
    /// From the uplink to an address that is not a local endpoint.
    NotLocal = 9,
    /// No route.
    NoRoute = 10,
    /// For the node's own address.
    ToHost = 11,
    /// TTL or hop limit is used up.
    Ttl = 12,
    /// A fragment that has no layer 4 header to judge.
    Fragment = 13,
    /// VXLAN or IP-in-IP from a workload.
    Tunnel = 14,
    /// Egress policy of the source endpoint.
    EgressPolicy = 15,
    /// Ingress policy of the destination endpoint.
    IngressPolicy = 16,
    /// The source endpoint is closed: its policy cannot be enforced exactly, or it is down.
    EgressClosed = 17,
    /// The destination endpoint is closed.
    IngressClosed = 18,
    /// The class has no verdict for the packet: a programming error, denied.
    NoVerdict = 19,
    /// A host endpoint's policy for what comes in through it: pre-DNAT, forwarded or for the node.
    HostEndpointIngress = 20,
    /// IPv6 extension headers that the parser does not follow.
    ExtensionHeaders = 21,
    /// A host endpoint's policy for what leaves through it: forwarded or the node's own.
    HostEndpointEgress = 22,
    /// A host endpoint's untracked policy.
    HostEndpointUntracked = 23,
    /// More than the source endpoint may send.
    EgressLimit = 24,
    /// More than the destination endpoint may get.
    IngressLimit = 25,
    /// Not a drop: an allowed connection that found no free slot. Its replies are judged by policy.
    ConnectionTableFull = 62,
    /// Not a drop: an ARP or neighbour question that was answered.
    NeighbourAnswered = 63,
}

impl DropReason {
    /// The reason with this number.
    #[must_use]
    pub const fn from_index(index: u8) -> Option<Self> {
        match index {
            0 => Some(Self::None),
            1 => Some(Self::Malformed),
            2 => Some(Self::UnknownPort),
            3 => Some(Self::NotIp),
            4 => Some(Self::Vlan),
            5 => Some(Self::SpoofedAddress),
            6 => Some(Self::SpoofedMac),
            7 => Some(Self::Neighbour),
            8 => Some(Self::NotRoutable),
            9 => Some(Self::NotLocal),
            10 => Some(Self::NoRoute),
            11 => Some(Self::ToHost),
            12 => Some(Self::Ttl),
            13 => Some(Self::Fragment),
            14 => Some(Self::Tunnel),
            15 => Some(Self::EgressPolicy),
            16 => Some(Self::IngressPolicy),
            17 => Some(Self::EgressClosed),
            18 => Some(Self::IngressClosed),
            19 => Some(Self::NoVerdict),
            20 => Some(Self::HostEndpointIngress),
            21 => Some(Self::ExtensionHeaders),
            22 => Some(Self::HostEndpointEgress),
            23 => Some(Self::HostEndpointUntracked),
            24 => Some(Self::EgressLimit),
            25 => Some(Self::IngressLimit),
            62 => Some(Self::ConnectionTableFull),
            63 => Some(Self::NeighbourAnswered),
            _ => None,
        }
    }

    /// The name in metrics and for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Malformed => "malformed",
            Self::UnknownPort => "unknown_port",
            Self::NotIp => "not_ip",
            Self::Vlan => "vlan",
            Self::SpoofedAddress => "spoofed_address",
            Self::SpoofedMac => "spoofed_mac",
            Self::Neighbour => "neighbour",
            Self::NotRoutable => "not_routable",
            Self::NotLocal => "not_local",
            Self::NoRoute => "no_route",
            Self::ToHost => "to_host",
            Self::Ttl => "ttl",
            Self::Fragment => "fragment",
            Self::Tunnel => "tunnel",
            Self::EgressPolicy => "egress_policy",
            Self::IngressPolicy => "ingress_policy",
            Self::EgressClosed => "egress_closed",
            Self::IngressClosed => "ingress_closed",
            Self::NoVerdict => "no_verdict",
            Self::HostEndpointIngress => "host_endpoint_ingress",
            Self::ExtensionHeaders => "extension_headers",
            Self::HostEndpointEgress => "host_endpoint_egress",
            Self::HostEndpointUntracked => "host_endpoint_untracked",
            Self::EgressLimit => "egress_limit",
            Self::IngressLimit => "ingress_limit",
            Self::ConnectionTableFull => "connection_table_full",
            Self::NeighbourAnswered => "neighbour_answered",
        }
    }
}
