//! Why a flow is allowed or denied, by the rows that it meets.

use policy_model::Flow;
use serde::{Deserialize, Serialize};
use table_model::Row;

use crate::chain::LegOwner;
use crate::compiler::Compiler;
use crate::render;
use crate::rule_ref::RuleRef;
use crate::site::Site;
use crate::walk::Walker;

/// One leg, explained.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExplainedLeg {
    /// Whose policy.
    pub owner: LegOwner,
    /// `ingress` or `egress`.
    pub direction: policy_model::Direction,
    /// Outcome.
    pub allow: bool,
    /// The rule that decided; none for a closed leg.
    pub rule: Option<RuleRef>,
    /// Rows hit, a line each.
    pub rows: Vec<String>,
}

/// What the rows do with a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// Outcome.
    pub allow: bool,
    /// Port where the packet comes in.
    pub ingress_port: u16,
    /// Port where it leaves.
    pub out_port: Option<u16>,
    /// Why it is dropped, as the pipeline counts it.
    pub drop: Option<String>,
    /// The rule that decided.
    pub decided_by: Option<RuleRef>,
    /// Rows hit before policy, a line each.
    pub rows: Vec<String>,
    /// In the order in which they are asked.
    pub legs: Vec<ExplainedLeg>,
}

impl Compiler {
    /// Follows the first packet of a flow over the emitted rows. It comes in at its source's port
    /// if that is a local endpoint, else at the uplink.
    #[must_use]
    pub fn explain(&self, site: &Site, flow: &Flow) -> Explanation {
        let walker = Walker::new(self.snapshot());
        let uplink = site.uplink.as_ref().map_or(u16::MAX, |uplink| uplink.port);
        let ingress_port = walker.ingress_port(flow, uplink);
        let walk = walker.walk(ingress_port, flow);
        let lines = |rows: &[Row]| rows.iter().map(render::row).collect();
        let legs: Vec<ExplainedLeg> = walk
            .legs
            .iter()
            .map(|leg| ExplainedLeg {
                owner: leg.owner,
                direction: leg.direction,
                allow: leg.allow,
                rule: leg.rule.and_then(|rule| self.rule(rule)).cloned(),
                rows: lines(&leg.hits),
            })
            .collect();
        Explanation {
            allow: walk.allow,
            ingress_port,
            out_port: walk.out_port,
            drop: walk.drop,
            decided_by: legs.last().and_then(|leg| leg.rule.clone()),
            rows: lines(&walk.hits),
            legs,
        }
    }
}
