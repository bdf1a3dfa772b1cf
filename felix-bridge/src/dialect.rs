//! Which release of Felix is speaking.
//!
//! The stream has no version field: `CalicoVersion` is the cluster's, which differs from this
//! Felix's during an upgrade. Decoding does not depend on the release; what the messages look like
//! narrows it down, for people.

use std::fmt;

use felix_proto::PolicyRef;
use felix_proto::felix::{self, to_dataplane::Payload};

/// A release whose dialect this program knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dialect {
    /// Route types became a mask; `WorkloadEndpoint` field 14 is an enum.
    V3_30,
    /// That field is a message; DSCP; allowed uses of pools.
    V3_31,
    /// Policies are known by kind, namespace and name.
    V3_32,
    /// Nodes come in one message.
    V3_33,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3_30 => "3.30",
            Self::V3_31 => "3.31",
            Self::V3_32 => "3.32",
            Self::V3_33 => "3.33",
        })
    }
}

/// What the stream has shown so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// `CalicoVersion` of the configuration, empty if it names none.
    pub cluster_version: String,
    /// Not older than this.
    pub at_least: Dialect,
    /// Not newer than this.
    pub at_most: Dialect,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            cluster_version: String::new(),
            at_least: Dialect::V3_30,
            at_most: Dialect::V3_33,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at_least < self.at_most {
            write!(f, "{} to {}", self.at_least, self.at_most)
        } else {
            self.at_least.fmt(f)
        }
    }
}

impl Evidence {
    /// Looks at one message.
    pub(crate) fn see(&mut self, payload: &Payload) {
        match payload {
            Payload::ConfigUpdate(update) => {
                if let Some(version) = update.config.get("CalicoVersion") {
                    self.cluster_version.clone_from(version);
                }
            }
            Payload::ActivePolicyUpdate(update) => {
                if let Some(id) = &update.id {
                    self.identity(id);
                }
            }
            Payload::WorkloadEndpointUpdate(update) => {
                if let Some(endpoint) = &update.endpoint {
                    self.endpoint(endpoint);
                }
            }
            Payload::HostMetadataUpdate(update) if !update.labels.is_empty() => {
                self.newer(Dialect::V3_33);
            }
            Payload::HostMetadataV6Update(_)
            | Payload::HostMetadataV6Remove(_)
            | Payload::HostMetadataV4v6Update(_)
            | Payload::HostMetadataV4v6Remove(_) => self.older(Dialect::V3_32),
            _ => {}
        }
    }

    fn endpoint(&mut self, endpoint: &felix::WorkloadEndpoint) {
        if endpoint.workload_type != 0 {
            self.older(Dialect::V3_30);
        }
        if endpoint.skip_redir.is_some() || !endpoint.qos_policies.is_empty() {
            self.newer(Dialect::V3_31);
        }
        let first = endpoint.tiers.iter().find_map(|tier| {
            tier.ingress_policies
                .first()
                .or(tier.egress_policies.first())
        });
        match first.map(|entry| PolicyRef::try_from(&entry[..])) {
            Some(Ok(PolicyRef::Text(_))) => self.older(Dialect::V3_31),
            Some(Ok(PolicyRef::Id(_))) => self.newer(Dialect::V3_32),
            Some(Err(_)) | None => {}
        }
    }

    fn identity(&mut self, id: &felix::PolicyId) {
        if id.kind.is_empty() {
            self.older(Dialect::V3_31);
        } else {
            self.newer(Dialect::V3_32);
        }
    }

    fn older(&mut self, bound: Dialect) {
        self.at_most = self.at_most.min(bound);
    }

    fn newer(&mut self, bound: Dialect) {
        self.at_least = self.at_least.max(bound);
    }
}
