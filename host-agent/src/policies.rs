//! Policies, profiles and refusals for people.

use std::collections::{BTreeMap, BTreeSet};

use offload_api::host::{self, HitCount};
use policy_compiler::RuleHolder;
use policy_model::{
    Action, Direction, PolicyId, PolicyKind, PolicyModel, ProfileId, Refusal, Rule, RuleId, Subject,
};

use crate::counts::{RuleName, Totals, Which};
use crate::verdict::{direction, endpoint_name};

/// Resource name of a policy.
fn policy_name(id: &PolicyId) -> String {
    if id.namespace.is_empty() {
        format!("policies/{}", id.name)
    } else {
        format!("namespaces/{}/policies/{}", id.namespace, id.name)
    }
}

fn profile_name(id: &ProfileId) -> String {
    format!("profiles/{id}")
}

/// Resource name of whoever holds a rule.
pub(crate) fn holder_name(holder: &RuleHolder) -> String {
    match holder {
        RuleHolder::Policy(id) => policy_name(id),
        RuleHolder::Profile(id) => profile_name(id),
        RuleHolder::NoProfile => "profiles/none".to_owned(),
        RuleHolder::Failsafe(Direction::Ingress) => "config/FailsafeInboundHostPorts".to_owned(),
        RuleHolder::Failsafe(Direction::Egress) => "config/FailsafeOutboundHostPorts".to_owned(),
        RuleHolder::Host(_) => "node".to_owned(),
    }
}

fn kind(kind: &PolicyKind) -> String {
    match kind {
        PolicyKind::NetworkPolicy => "NetworkPolicy".to_owned(),
        PolicyKind::GlobalNetworkPolicy => "GlobalNetworkPolicy".to_owned(),
        PolicyKind::KubernetesNetworkPolicy => "KubernetesNetworkPolicy".to_owned(),
        PolicyKind::KubernetesClusterNetworkPolicy => "KubernetesClusterNetworkPolicy".to_owned(),
        PolicyKind::Staged(word) | PolicyKind::Unknown(word) => word.to_string(),
        PolicyKind::Unstated => String::new(),
    }
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Policy(id) => policy_name(id),
        Subject::Profile(id) => profile_name(id),
        Subject::Workload(id) => endpoint_name(id),
        Subject::HostEndpoint(id) => format!("hostEndpoints/{id}"),
        Subject::IpSet(id) => format!("ipSets/{id}"),
        Subject::Config(name) => format!("config/{name}"),
    }
}

/// Refusals sorted by subject.
pub(crate) fn refusals(refusals: &[Refusal]) -> Vec<host::Refusal> {
    let mut told: Vec<host::Refusal> = refusals
        .iter()
        .map(|refusal| host::Refusal {
            subject: subject(&refusal.subject),
            direction: refusal.direction.map(direction),
            rule: refusal.rule.and_then(|rule| u32::try_from(rule).ok()),
            reason: refusal.reason.to_string(),
        })
        .collect();
    told.sort_by(|a, b| (&a.subject, a.rule, &a.reason).cmp(&(&b.subject, b.rule, &b.reason)));
    told
}

/// Policies and profiles sorted by name.
pub(crate) fn policies(
    model: &PolicyModel,
    refused: &[Refusal],
    totals: Option<&Totals>,
) -> Vec<host::Policy> {
    let (by_policy, by_profile) = users(model);
    let reasons = |about: &Subject| {
        refused
            .iter()
            .filter(|refusal| refusal.subject == *about)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let policies = model.policies().map(|(id, policy)| {
        let holder = RuleHolder::Policy(id.clone());
        let rules = rules(&holder, &policy.inbound, &policy.outbound, totals);
        let sums = sums(&holder, &policy.inbound, &policy.outbound, totals);
        host::Policy {
            name: policy_name(id),
            kind: kind(&id.kind),
            tier: policy.tier.to_string(),
            staged: id.is_staged(),
            rules,
            refusals: reasons(&Subject::Policy(id.clone())),
            endpoints: by_policy.get(id).copied().unwrap_or_default(),
            hits: sums.all,
            end_of_tier: sums.end,
            removed_rules: sums.removed,
        }
    });
    let profiles = model.profiles().map(|(id, profile)| {
        let holder = RuleHolder::Profile(id.clone());
        let rules = rules(&holder, &profile.inbound, &profile.outbound, totals);
        let sums = sums(&holder, &profile.inbound, &profile.outbound, totals);
        host::Policy {
            name: profile_name(id),
            kind: "Profile".to_owned(),
            tier: String::new(),
            staged: false,
            rules,
            refusals: reasons(&Subject::Profile(id.clone())),
            endpoints: by_profile.get(id).copied().unwrap_or_default(),
            hits: sums.all,
            end_of_tier: sums.end,
            removed_rules: sums.removed,
        }
    });
    let mut all: Vec<host::Policy> = policies.chain(profiles).collect();
    all.sort_by(|a, b| (&a.name, &a.kind).cmp(&(&b.name, &b.kind)));
    all
}

/// What a policy counted, all of it and the parts that no rule of its lists stands for.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    all: Option<HitCount>,
    end: Option<HitCount>,
    removed: Option<HitCount>,
}

fn sums(holder: &RuleHolder, inbound: &[Rule], outbound: &[Rule], totals: Option<&Totals>) -> Sums {
    let Some(totals) = totals else {
        return Sums::default();
    };
    let there: BTreeSet<RuleName> = [(Direction::Ingress, inbound), (Direction::Egress, outbound)]
        .into_iter()
        .flat_map(|(way, rules)| rules.iter().enumerate().map(move |rule| (way, rule)))
        .map(|(way, (place, rule))| RuleName::of(holder, way, place, &rule.id))
        .collect();
    let mut sums = Sums {
        all: Some(HitCount::default()),
        ..Sums::default()
    };
    let add = |place: &mut Option<HitCount>, count| place.get_or_insert_default().add(count);
    // All names of a holder stand together.
    let first = RuleName {
        holder: holder.clone(),
        direction: Direction::Ingress,
        which: Which::Id(RuleId::from("")),
    };
    for (name, count) in totals
        .range(first..)
        .take_while(|(name, _)| name.holder == *holder)
    {
        add(&mut sums.all, *count);
        if name.which == Which::End {
            add(&mut sums.end, *count);
        } else if !there.contains(name) {
            add(&mut sums.removed, *count);
        }
    }
    sums
}

/// How many endpoints list each policy and profile.
fn users(model: &PolicyModel) -> (BTreeMap<&PolicyId, u64>, BTreeMap<&ProfileId, u64>) {
    let (mut policies, mut profiles) = (BTreeMap::new(), BTreeMap::new());
    for (_, endpoint) in model.workloads() {
        let listed: BTreeSet<&PolicyId> = endpoint
            .tiers
            .iter()
            .flat_map(|tier| tier.ingress.iter().chain(&tier.egress))
            .collect();
        for id in listed {
            *policies.entry(id).or_default() += 1;
        }
        for id in endpoint.profiles.iter().collect::<BTreeSet<_>>() {
            *profiles.entry(id).or_default() += 1;
        }
    }
    (policies, profiles)
}

fn rules(
    holder: &RuleHolder,
    inbound: &[Rule],
    outbound: &[Rule],
    totals: Option<&Totals>,
) -> Vec<host::RuleCounter> {
    let sides = [(Direction::Ingress, inbound), (Direction::Egress, outbound)];
    sides
        .into_iter()
        .flat_map(|(way, rules)| rules.iter().enumerate().map(move |rule| (way, rule)))
        .map(|(way, (index, rule))| {
            let hits = totals.map(|totals| {
                let name = RuleName::of(holder, way, index, &rule.id);
                totals.get(&name).copied().unwrap_or_default()
            });
            host::RuleCounter {
                direction: Some(direction(way)),
                index: u32::try_from(index).unwrap_or(u32::MAX),
                id: rule.id.to_string(),
                action: match rule.action {
                    Action::Allow => "allow",
                    Action::Deny => "deny",
                    Action::Pass => "pass",
                    Action::Log => "log",
                }
                .to_owned(),
                packets: hits.map(|hits| hits.packets),
                bytes: hits.map(|hits| hits.bytes),
            }
        })
        .collect()
}
