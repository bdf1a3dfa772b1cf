//! Configuration that changes verdicts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `ConfigUpdate.config` as it came: only values that somebody set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// Canonical parameter names to values, spelled as the user spelled them.
    pub values: BTreeMap<String, String>,
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

/// Everything outside policy that decides a packet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Semantics {
    /// HTTP matches.
    pub http: HttpHandling,
    /// Judge by workload policy alone: tunnel packets from workloads are not dropped, host endpoint
    /// lists close nothing, packets to the node itself are not dropped.
    pub policy_only: bool,
}

impl Default for Semantics {
    fn default() -> Self {
        Self {
            http: HttpHandling::Refuse,
            policy_only: false,
        }
    }
}
