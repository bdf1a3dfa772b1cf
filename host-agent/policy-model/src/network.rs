//! Routes, tunnels, pools and services: stored, and read by later stages of the pipeline.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// `RouteUpdate.types`: a bit mask, whatever its declared type says. Unknown bits are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RouteTypes(pub u32);

impl RouteTypes {
    /// A workload on another node.
    pub const REMOTE_WORKLOAD: u32 = 1;
    /// Another node.
    pub const REMOTE_HOST: u32 = 2;
    /// A workload on this node.
    pub const LOCAL_WORKLOAD: u32 = 4;
    /// This node.
    pub const LOCAL_HOST: u32 = 8;
    /// Tunnel address of another node.
    pub const REMOTE_TUNNEL: u32 = 16;
    /// Tunnel address of this node.
    pub const LOCAL_TUNNEL: u32 = 32;

    /// Whether all bits of `mask` are set.
    #[must_use]
    pub const fn has(self, mask: u32) -> bool {
        self.0 & mask == mask
    }
}

/// `RouteUpdate`; keyed by destination.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Route {
    /// Kinds.
    pub types: RouteTypes,
    /// `ip_pool_type` by its protobuf number: 0 none, 1 no encapsulation, 2 VXLAN, 3 IP-in-IP.
    pub pool_type: i32,
    /// Node that has the destination.
    pub node: String,
    /// Underlay address of that node.
    pub node_ip: Option<IpAddr>,
    /// No encapsulation needed to that node.
    pub same_subnet: bool,
    /// Masquerade what leaves all pools.
    pub nat_outgoing: bool,
    /// A live local endpoint has this address.
    pub local_workload: bool,
    /// The address comes from another node's block.
    pub borrowed: bool,
    /// Tunnels that this address is an end of: IP-in-IP, VXLAN, WireGuard.
    pub tunnels: [bool; 3],
}

/// `VXLANTunnelEndpointUpdate`; keyed by node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Vtep {
    /// IPv4 tunnel device MAC.
    pub mac: Option<[u8; 6]>,
    /// IPv4 tunnel address.
    pub addr: Option<IpAddr>,
    /// IPv4 underlay address.
    pub underlay: Option<IpAddr>,
    /// IPv6 tunnel device MAC.
    pub mac_v6: Option<[u8; 6]>,
    /// IPv6 tunnel address.
    pub addr_v6: Option<IpAddr>,
    /// IPv6 underlay address.
    pub underlay_v6: Option<IpAddr>,
}

/// `HostMetadataUpdate`; keyed by host name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HostMetadata {
    /// Address with the length of its subnet; Felix before 3.33 sends the bare address (/32).
    pub v4: Option<IpNet>,
    /// IPv6 address.
    pub v6: Option<IpNet>,
    /// AS number as text.
    pub as_number: String,
    /// Labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// `IPAMPool`; keyed by Felix's id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IpPool {
    /// The pool.
    pub cidr: IpNet,
    /// Masquerade.
    pub masquerade: bool,
    /// `""`, `always` or `cross-subnet`.
    pub ipip: String,
    /// `""`, `always` or `cross-subnet`.
    pub vxlan: String,
    /// Workload, Tunnel, LoadBalancer.
    pub uses: Vec<String>,
}

/// `Encapsulation`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Encapsulation {
    /// IP-in-IP in use.
    pub ipip: bool,
    /// VXLAN in use.
    pub vxlan: bool,
    /// VXLAN over IPv6 in use.
    pub vxlan_v6: bool,
    /// Unencapsulated cluster routes are Felix's to program.
    pub no_encap: bool,
}

/// Namespace and name of a service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ServiceId {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

/// `ServicePort`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ServicePort {
    /// Protocol as text.
    pub protocol: String,
    /// Port.
    pub port: u32,
    /// Node port or 0.
    pub node_port: u32,
}

/// `ServiceUpdate`. It has no backends: those need the Kubernetes API.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Service {
    /// Kubernetes service type.
    pub kind: String,
    /// Cluster IPs; `None` for a headless one is left out.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.loadBalancerIP`.
    pub load_balancer_ip: Option<IpAddr>,
    /// External IPs.
    pub external_ips: Vec<IpAddr>,
    /// Ingress addresses from the status.
    pub ingress_ips: Vec<IpAddr>,
    /// Ports.
    pub ports: Vec<ServicePort>,
}
