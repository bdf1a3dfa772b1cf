//! The input vocabulary: one variant for each thing that a control plane can say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    Config, Encapsulation, HostEndpoint, HostEndpointId, HostMetadata, IpPool, IpSetId, IpSetKind,
    Member, Policy, PolicyId, Profile, ProfileId, Route, Service, ServiceId, Vtep,
    WorkloadEndpoint, WorkloadId,
};

/// One change. Removal is a variant of its own, never an empty value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Update {
    /// The snapshot is complete; sent once a session.
    InSync,
    /// Configuration, whole.
    Config(Config),
    /// A set with all its members; replaces one of the same id.
    IpSet {
        /// Id.
        id: IpSetId,
        /// Kind.
        kind: IpSetKind,
        /// All members.
        members: Vec<Member>,
        /// Members that could not be understood.
        invalid: Vec<String>,
    },
    /// Members of a known set that come and go. Additions are applied first.
    IpSetDelta {
        /// Id.
        id: IpSetId,
        /// New members.
        added: Vec<Member>,
        /// Old members.
        removed: Vec<Member>,
        /// New members that could not be understood.
        invalid_added: Vec<String>,
        /// The same that go.
        invalid_removed: Vec<String>,
    },
    /// A set that nothing uses any more.
    IpSetRemove(IpSetId),
    /// A policy, whole.
    Policy(PolicyId, Policy),
    /// A policy goes.
    PolicyRemove(PolicyId),
    /// A profile, whole.
    Profile(ProfileId, Profile),
    /// A profile goes.
    ProfileRemove(ProfileId),
    /// A local workload endpoint, whole.
    Workload(WorkloadId, WorkloadEndpoint),
    /// A workload endpoint goes.
    WorkloadRemove(WorkloadId),
    /// A local host endpoint, whole.
    HostEndpoint(HostEndpointId, HostEndpoint),
    /// A host endpoint goes.
    HostEndpointRemove(HostEndpointId),
    /// A node.
    HostMetadata(String, HostMetadata),
    /// A node goes.
    HostMetadataRemove(String),
    /// An IP pool.
    IpPool(String, IpPool),
    /// An IP pool goes.
    IpPoolRemove(String),
    /// A service account (namespace, name) with its labels.
    ServiceAccount((Arc<str>, Arc<str>), BTreeMap<String, String>),
    /// A service account goes.
    ServiceAccountRemove((Arc<str>, Arc<str>)),
    /// A namespace with its labels.
    Namespace(Arc<str>, BTreeMap<String, String>),
    /// A namespace goes.
    NamespaceRemove(Arc<str>),
    /// A route.
    Route(IpNet, Route),
    /// A route goes.
    RouteRemove(IpNet),
    /// A VXLAN tunnel endpoint of a node.
    Vtep(String, Vtep),
    /// A tunnel endpoint goes.
    VtepRemove(String),
    /// WireGuard key and interface address of a node; the flag says IPv6.
    Wireguard {
        /// Node.
        node: String,
        /// The IPv6 one.
        v6: bool,
        /// Public key, base64.
        key: String,
        /// Interface address.
        addr: Option<IpAddr>,
    },
    /// A WireGuard peer goes.
    WireguardRemove {
        /// Node.
        node: String,
        /// The IPv6 one.
        v6: bool,
    },
    /// BGP configuration, by field name; empty when the resource goes.
    BgpConfig(BTreeMap<String, Vec<String>>),
    /// Encapsulations in use.
    Encapsulation(Encapsulation),
    /// A service.
    Service(ServiceId, Service),
    /// A service goes.
    ServiceRemove(ServiceId),
}
