//! What the evaluator says of a flow, and what the compiled rows do with it, row by row.

use std::collections::BTreeMap;

use offload_api::host;
use p4_tables::schema;
use policy_compiler::{
    Compiler, HostAction, LegOwner, LegWalk, RuleHolder, RuleRef, Site, Walker, render_row,
};
use policy_model::{
    Decision, Flow, HostList, Judge, Leg, PolicyModel, Rule, Semantics, Verdict, evaluate,
};
use table_model::{Row, RowKey};

use super::{direction, judge_name};
use crate::counts;
use crate::entries::entry;

/// The table that begins a step of a leg.
const STEP: &str = "acl_chain";

/// An explanation, and the rows whose counters are still to be read for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Explained {
    pub(crate) answer: host::Explanation,
    /// The verdict row of each leg.
    pub(crate) verdicts: Vec<Option<RowKey>>,
}

/// Follows the first packet of a flow through semantics and rows.
pub(crate) fn explain(
    model: &PolicyModel,
    semantics: &Semantics,
    compiler: &Compiler,
    site: &Site,
    flow: &Flow,
) -> Explained {
    let semantics = Semantics {
        node: site.node(),
        ..semantics.clone()
    };
    let verdict = evaluate(model, &semantics, flow);
    let walker = Walker::new(compiler.snapshot());
    let uplink = site.uplink.as_ref().map_or(u16::MAX, |uplink| uplink.port);
    let ingress_port = walker.ingress_port(flow, uplink);
    let walk = walker.walk(ingress_port, flow);
    let told = Told { model, compiler };
    let mut lines: Vec<String> = walk.hits.iter().map(render_row).collect();
    for leg in &walk.legs {
        lines.extend(leg.hits.iter().map(render_row));
    }
    if let Some(reason) = &walk.drop {
        lines.push(format!("dropped: {reason}"));
    }
    let judged = side_by_side(&walk.legs, &verdict.legs);
    let agree = |(rows, leg): &(&LegWalk, Option<&Leg>)| agrees(compiler, rows, *leg);
    let rule_agrees = judged.iter().all(agree);
    let row_legs = judged.iter().map(|(rows, leg)| told.row_leg(rows, *leg));
    let Verdict {
        allow,
        legs,
        decided_by,
    } = &verdict;
    let answer = host::Explanation {
        allow: *allow,
        rows_allow: walk.allow,
        decided_by: told.decision(decided_by),
        legs: legs.iter().map(|leg| told.leg(leg)).collect(),
        rows: lines,
        rule_agrees,
        before: walk.hits.iter().map(table_row).collect(),
        row_legs: row_legs.collect(),
        drop: walk.drop.clone().unwrap_or_default(),
        ingress_port: ingress_port.into(),
        out_port: walk.out_port.map(Into::into),
    };
    Explained {
        answer,
        verdicts: walk.legs.iter().map(verdict_row).collect(),
    }
}

/// The last row of a leg, if it is counted.
fn verdict_row(leg: &LegWalk) -> Option<RowKey> {
    let row = leg.hits.last()?;
    let table = schema().table(row.key.table).ok()?;
    table.counted.then(|| row.key.clone())
}

/// Each leg of the rows with the evaluator's. Both stand in the order in which packets take them;
/// rows end with a leg that denies, and a host endpoint of which nothing is left has none.
fn side_by_side<'a>(rows: &'a [LegWalk], legs: &'a [Leg]) -> Vec<(&'a LegWalk, Option<&'a Leg>)> {
    let mut said = legs.iter();
    let with_leg = |rows: &'a LegWalk| {
        let same = |leg: &Leg| (owner(leg), leg.direction) == (rows.owner, rows.direction);
        let place = said.clone().position(same);
        (rows, place.and_then(|place| said.nth(place)))
    };
    rows.iter().map(with_leg).collect()
}

/// Whose leg it is, as the rows tell.
fn owner(leg: &Leg) -> LegOwner {
    match &leg.endpoint {
        Judge::Workload(_) => LegOwner::Workload,
        Judge::Node => LegOwner::Node,
        Judge::Host(_, HostList::Untracked) => LegOwner::Untracked,
        Judge::Host(..) => LegOwner::HostEndpoint,
    }
}

/// Whether a leg's rows decide as the evaluator's leg does, by the same rule.
fn agrees(compiler: &Compiler, rows: &LegWalk, leg: Option<&Leg>) -> bool {
    if rows.chain == 0 {
        return leg.is_none_or(|leg| !leg.allow);
    }
    let Some(leg) = leg else {
        return false;
    };
    if leg.allow != rows.allow {
        return false;
    }
    if rows.rule.is_none() && rows.owner == LegOwner::Untracked {
        return true; // Left to the lists that track.
    }
    let Some(rule) = rows.rule.and_then(|rule| compiler.rule(rule)) else {
        return false;
    };
    if leg.steps.is_empty() {
        return rule.holder == RuleHolder::Host(HostAction::Refused);
    }
    let decision = &leg.decision;
    *rule.tier == *decision.tier
        && rule.name() == decision.policy
        && rule.namespace() == decision.namespace
        && rule.rule == decision.rule
        && rule.rule_id == decision.rule_id
}

fn table_row(row: &Row) -> host::TableRow {
    let table = schema().table(row.key.table);
    host::TableRow {
        table: table.map_or_else(
            |_| format!("{:#010x}", row.key.table.0),
            |table| table.name.clone(),
        ),
        entry: entry(schema(), row),
    }
}

/// Knows rules by their places.
struct Told<'a> {
    model: &'a PolicyModel,
    compiler: &'a Compiler,
}

impl Told<'_> {
    fn leg(&self, leg: &Leg) -> host::Leg {
        host::Leg {
            endpoint: judge_name(&leg.endpoint),
            direction: Some(direction(leg.direction)),
            allow: leg.allow,
            decision: self.decision(&leg.decision),
            steps: leg
                .steps
                .iter()
                .map(|step| host::LegStep {
                    action: step.action.to_string().to_lowercase(),
                    at: self.decision(&step.at),
                })
                .collect(),
        }
    }

    fn row_leg(&self, leg: &LegWalk, judge: Option<&Leg>) -> host::RowLeg {
        let rule = leg.rule.and_then(|rule| self.compiler.rule(rule));
        let reason = match (leg.chain, rule) {
            (0, _) => "The leg is closed: it has no chain.",
            (_, None) => "No row decides; what no row allows is denied.",
            (_, Some(_)) => "",
        };
        host::RowLeg {
            endpoint: judge.map_or_else(String::new, |leg| judge_name(&leg.endpoint)),
            direction: Some(direction(leg.direction)),
            allow: leg.allow,
            decision: host::Decision {
                reason: reason.to_owned(),
                ..rule.map(|rule| self.rule(rule)).unwrap_or_default()
            },
            steps: self.steps(leg),
            hits: None,
            hits_error: String::new(),
        }
    }

    fn steps(&self, leg: &LegWalk) -> Vec<host::RowStep> {
        let begins = |row: &Row| {
            let table = schema().table(row.key.table);
            table.is_ok_and(|table| table.name == STEP)
        };
        let mut steps: Vec<host::RowStep> = Vec::new();
        for row in &leg.hits {
            if begins(row) || steps.is_empty() {
                steps.push(host::RowStep {
                    says: String::new(),
                    rule: None,
                    rows: Vec::new(),
                });
            }
            let Some(step) = steps.last_mut() else {
                continue;
            };
            let there = table_row(row);
            if schema().table(row.key.table).is_ok_and(|t| t.counted) {
                step.says.clone_from(&there.entry.action);
                let rule = counts::number(row).and_then(|number| self.compiler.rule(number));
                step.rule = rule.map(|rule| self.rule(rule));
            }
            step.rows.push(there);
        }
        steps
    }

    fn rule(&self, rule: &RuleRef) -> host::Decision {
        let held = match &rule.holder {
            RuleHolder::Policy(id) => self.model.policy(id).map(|p| p.rules(rule.direction)),
            RuleHolder::Profile(id) => self.model.profile(id).map(|p| p.rules(rule.direction)),
            RuleHolder::NoProfile | RuleHolder::Failsafe(_) | RuleHolder::Host(_) => None,
        };
        let notes = noted(held, rule.rule);
        host::Decision {
            direction: Some(direction(rule.direction)),
            tier: rule.tier.to_string(),
            namespace: rule.namespace().to_owned(),
            policy: rule.name().to_owned(),
            rule: rule.rule.and_then(|rule| u32::try_from(rule).ok()),
            rule_id: rule
                .rule_id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            reason: String::new(),
            written: notes.0,
            annotations: notes.1,
        }
    }

    fn decision(&self, from: &Decision) -> host::Decision {
        let Decision {
            direction: leg,
            tier,
            namespace,
            policy,
            rule,
            rule_id,
            reason,
        } = from;
        // The evaluator names a policy without its kind; the rule's id tells namesakes apart.
        let held = leg.and_then(|leg| {
            let policies = self.model.policies().filter_map(move |(id, held)| {
                let named = *id.name == **policy && *id.namespace == **namespace;
                named.then(|| held.rules(leg))
            });
            let profiles = self.model.profiles();
            let profiles = profiles
                .filter(|(id, _)| id.as_str() == policy.as_str())
                .map(move |(_, held)| held.rules(leg));
            policies
                .chain(profiles)
                .find(|rules| has(rules, *rule, rule_id.as_ref()))
        });
        let (written, annotations) = noted(held, *rule);
        host::Decision {
            direction: leg.map(direction),
            tier: tier.clone(),
            namespace: namespace.clone(),
            policy: policy.clone(),
            rule: rule.and_then(|rule| u32::try_from(rule).ok()),
            rule_id: rule_id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            reason: reason.clone(),
            written,
            annotations,
        }
    }
}

/// Whether a list has this rule at its place.
fn has(rules: &[Rule], place: Option<usize>, id: Option<&policy_model::RuleId>) -> bool {
    place
        .and_then(|place| rules.get(place))
        .is_some_and(|rule| id.is_none_or(|id| rule.id == *id))
}

/// What the user wrote, by field, and the annotations.
type Notes = (BTreeMap<String, String>, BTreeMap<String, String>);

fn noted(rules: Option<&[Rule]>, place: Option<usize>) -> Notes {
    let rule = rules.and_then(|rules| rules.get(place?));
    rule.map(|rule| (rule.notes.written.clone(), rule.notes.annotations.clone()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
