//! Configuration that changes verdicts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::FailsafePort;

/// `ConfigUpdate.config` as it came: only values that somebody set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// Canonical parameter names to values, spelled as the user spelled them.
    pub values: BTreeMap<String, String>,
}

/// Felix's defaults stand in where nobody set a value, as `ConfigUpdate` leaves those out.
impl Config {
    /// `VXLANPort`; a value that is no port counts as the default.
    #[must_use]
    pub fn vxlan_port(&self) -> u16 {
        self.value("VXLANPort")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(4789)
    }

    /// `AllowVXLANPacketsFromWorkloads`.
    #[must_use]
    pub fn allow_vxlan_from_workloads(&self) -> bool {
        self.flag("AllowVXLANPacketsFromWorkloads")
    }

    /// `AllowIPIPPacketsFromWorkloads`.
    #[must_use]
    pub fn allow_ipip_from_workloads(&self) -> bool {
        self.flag("AllowIPIPPacketsFromWorkloads")
    }

    /// `DefaultEndpointToHostAction` as it is spelled; compare without case.
    #[must_use]
    pub fn endpoint_to_host_action(&self) -> &str {
        self.value("DefaultEndpointToHostAction").unwrap_or("DROP")
    }

    /// `DefaultEndpointToHostAction` is `Accept` or `Return`; another word drops.
    #[must_use]
    pub fn endpoint_reaches_host(&self) -> bool {
        let word = self.endpoint_to_host_action().trim();
        word.eq_ignore_ascii_case("accept") || word.eq_ignore_ascii_case("return")
    }

    /// `FailsafeInboundHostPorts`.
    ///
    /// # Errors
    /// The first entry that is not `protocol:port` or `protocol:cidr:port`.
    pub fn failsafe_inbound(&self) -> Result<Vec<FailsafePort>, String> {
        let text = self.value("FailsafeInboundHostPorts");
        FailsafePort::list(text.unwrap_or(FailsafePort::INBOUND))
    }

    /// `FailsafeOutboundHostPorts`.
    ///
    /// # Errors
    /// As for the inbound ones.
    pub fn failsafe_outbound(&self) -> Result<Vec<FailsafePort>, String> {
        let text = self.value("FailsafeOutboundHostPorts");
        FailsafePort::list(text.unwrap_or(FailsafePort::OUTBOUND))
    }

    /// A word that does not plainly say yes is a no: these flags open something.
    fn flag(&self, name: &str) -> bool {
        self.value(name).is_some_and(|text| {
            ["true", "1", "yes", "y", "t"]
                .iter()
                .any(|yes| text.trim().eq_ignore_ascii_case(yes))
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// What to do with a rule that carries an HTTP match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpHandling {
    /// Refuse the policy, report it, and deny (the default).
    #[default]
    Refuse,
    /// Enforce the rule's L3/L4 part, as Felix's kernel dataplanes do.
    L4,
}

/// The node as the dataplane meets it: which host endpoint covers the uplink, and whether packets
/// reach the node itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Node {
    /// Name of the uplink's interface, empty without one.
    pub uplink: String,
    /// The node's own addresses, besides those in its `HostMetadata`.
    pub addresses: Vec<IpAddr>,
    /// The pipeline has a port for the node itself.
    pub host_port: bool,
}

impl Node {
    /// A node that nothing is known of.
    pub const UNKNOWN: Self = Self {
        uplink: String::new(),
        addresses: Vec::new(),
        host_port: false,
    };
}

/// Everything outside policy that decides a packet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Semantics {
    /// HTTP matches.
    pub http: HttpHandling,
    /// Judge by workload policy alone: tunnel packets from workloads are not dropped, host endpoint
    /// lists close nothing, packets to the node itself are not dropped.
    pub policy_only: bool,
    /// The node. The compiler takes it from its site.
    pub node: Node,
    /// Limit what endpoints send and receive. Off where a verdict must not depend on how many packets
    /// came before.
    pub limits: bool,
}

impl Default for Semantics {
    fn default() -> Self {
        Self {
            http: HttpHandling::Refuse,
            policy_only: false,
            node: Node::UNKNOWN,
            limits: true,
        }
    }
}
