//! Identities, as Felix spells them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// `IPSetUpdate.id`, for example `s:eu56AKRS-…`.
    IpSetId
}
name_type! {
    /// `ProfileID.name`, for example `kns.default`.
    ProfileId
}
name_type! {
    /// `HostEndpointID.endpoint_id`.
    HostEndpointId
}
name_type! {
    /// `Rule.rule_id`: 16 characters, a hash chained over the policy's earlier rules.
    RuleId
}

/// `WorkloadEndpointID`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct WorkloadId {
    /// `orchestrator_id`, for example `k8s`.
    pub orchestrator: Arc<str>,
    /// `workload_id`, for example `namespace/pod`.
    pub workload: Arc<str>,
    /// `endpoint_id`, for example `eth0`.
    pub endpoint: Arc<str>,
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.orchestrator, self.workload, self.endpoint
        )
    }
}

/// What a policy was written as. Only the kind tells a staged policy from an enforced one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PolicyKind {
    /// Calico `NetworkPolicy`.
    NetworkPolicy,
    /// Calico `GlobalNetworkPolicy`.
    GlobalNetworkPolicy,
    /// Kubernetes `NetworkPolicy` in its native kind.
    KubernetesNetworkPolicy,
    /// Kubernetes `ClusterNetworkPolicy`.
    KubernetesClusterNetworkPolicy,
    /// Any of the three staged kinds: delivered, shown, never enforced.
    Staged(Arc<str>),
    /// Felix 3.31 and older send no kind.
    Unstated,
    /// A kind that this release does not know: refused.
    Unknown(Arc<str>),
}

/// `PolicyID`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PolicyId {
    /// Kind.
    pub kind: PolicyKind,
    /// Namespace, empty for global policies.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl PolicyId {
    /// Whether the policy must not be enforced because it is staged.
    #[must_use]
    pub fn is_staged(&self) -> bool {
        matches!(self.kind, PolicyKind::Staged(_))
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}
