//! Policies, profiles and refusals for people.

use std::collections::{BTreeMap, BTreeSet};

use offload_api::host;
use policy_compiler::{Compiler, RuleHolder};
use policy_model::{
    Action, Direction, PolicyId, PolicyKind, PolicyModel, ProfileId, Refusal, Rule, Subject,
};

use crate::verdict::{direction, endpoint_name};

/// Packets and bytes by the number that verdict rows carry.
pub(crate) type Hits = BTreeMap<u32, (u64, u64)>;

/// Hits by place.
type Places = BTreeMap<(RuleHolder, Direction, usize), (u64, u64)>;

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
    compiler: Option<&Compiler>,
    refused: &[Refusal],
    hits: Option<&Hits>,
) -> Vec<host::Policy> {
    let places = hits.map(|hits| places(compiler, hits));
    let (by_policy, by_profile) = users(model);
    let reasons = |about: &Subject| {
        refused
            .iter()
            .filter(|refusal| refusal.subject == *about)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let policies = model.policies().map(|(id, policy)| host::Policy {
        name: policy_name(id),
        kind: kind(&id.kind),
        tier: policy.tier.to_string(),
        staged: id.is_staged(),
        rules: rules(
            &RuleHolder::Policy(id.clone()),
            &policy.inbound,
            &policy.outbound,
            places.as_ref(),
        ),
        refusals: reasons(&Subject::Policy(id.clone())),
        endpoints: by_policy.get(id).copied().unwrap_or_default(),
    });
    let profiles = model.profiles().map(|(id, profile)| host::Policy {
        name: profile_name(id),
        kind: "Profile".to_owned(),
        tier: String::new(),
        staged: false,
        rules: rules(
            &RuleHolder::Profile(id.clone()),
            &profile.inbound,
            &profile.outbound,
            places.as_ref(),
        ),
        refusals: reasons(&Subject::Profile(id.clone())),
        endpoints: by_profile.get(id).copied().unwrap_or_default(),
    });
    let mut all: Vec<host::Policy> = policies.chain(profiles).collect();
    all.sort_by(|a, b| (&a.name, &a.kind).cmp(&(&b.name, &b.kind)));
    all
}

fn places(compiler: Option<&Compiler>, hits: &Hits) -> Places {
    let mut places = Places::new();
    for (number, (packets, bytes)) in hits {
        let Some(rule) = compiler.and_then(|compiler| compiler.rule(*number)) else {
            continue;
        };
        let Some(index) = rule.rule else { continue };
        let place = places
            .entry((rule.holder.clone(), rule.direction, index))
            .or_default();
        place.0 += packets;
        place.1 += bytes;
    }
    places
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
    places: Option<&Places>,
) -> Vec<host::RuleCounter> {
    let sides = [(Direction::Ingress, inbound), (Direction::Egress, outbound)];
    sides
        .into_iter()
        .flat_map(|(way, rules)| rules.iter().enumerate().map(move |rule| (way, rule)))
        .map(|(way, (index, rule))| {
            let hits = places.map(|places| {
                let place = (holder.clone(), way, index);
                places.get(&place).copied().unwrap_or_default()
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
                packets: hits.map(|(packets, _)| packets),
                bytes: hits.map(|(_, bytes)| bytes),
            }
        })
        .collect()
}
