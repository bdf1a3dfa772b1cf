//! Policies, profiles, and the identity of a policy in all dialects.

use std::collections::BTreeMap;
use std::sync::Arc;

use felix_proto::{UnknownField, felix};
use policy_model::{
    Direction, InvalidRule, Policy, PolicyId, PolicyKind, Profile, ProfileId, RuleId, Update,
};

use super::problem::{Effect, Report};
use super::rule;

/// Until 3.31 only this prefix of the name tells a staged policy.
const STAGED: &str = "staged:";
/// Name prefix of policies that were copied from Kubernetes.
const KUBERNETES: &str = "knp.default.";

pub(super) fn policy_update(
    update: felix::ActivePolicyUpdate,
    report: &mut Report,
) -> Option<Update> {
    let felix::ActivePolicyUpdate { id, policy } = update;
    let (id, id_tier) = key(id, report)?;
    let mut invalid = Vec::new();
    let unknown = Unknown::take(report, &mut invalid);
    let policy = policy.unwrap_or_else(|| {
        whole(&mut invalid, "the update has no policy");
        felix::Policy::default()
    });
    let felix::Policy {
        inbound_rules,
        outbound_rules,
        untracked,
        pre_dnat,
        namespace: _, // the identity has it
        original_selector,
        perf_hints,
        tier,
    } = policy;
    let tier = if tier.is_empty() { id_tier } else { tier };
    let inbound = rule::list(
        inbound_rules,
        Direction::Ingress,
        &unknown.inbound,
        &mut invalid,
    );
    let outbound = rule::list(
        outbound_rules,
        Direction::Egress,
        &unknown.outbound,
        &mut invalid,
    );
    if let PolicyKind::Unknown(kind) = &id.kind {
        report.add(
            Effect::Denies,
            format!("kind \"{kind}\" is not known to this program"),
        );
    }
    report_invalid(&invalid, report);
    Some(Update::Policy(
        id,
        Policy {
            tier: Arc::from(tier),
            inbound,
            outbound,
            untracked,
            pre_dnat,
            selector: original_selector,
            hints: perf_hints,
            invalid,
        },
    ))
}

pub(super) fn policy_remove(
    remove: felix::ActivePolicyRemove,
    report: &mut Report,
) -> Option<Update> {
    let felix::ActivePolicyRemove { id } = remove;
    let (id, _) = key(id, report)?;
    Some(Update::PolicyRemove(id))
}

pub(super) fn profile_update(
    update: felix::ActiveProfileUpdate,
    report: &mut Report,
) -> Option<Update> {
    let felix::ActiveProfileUpdate { id, profile } = update;
    let id = profile_key(id, report)?;
    let mut invalid = Vec::new();
    let unknown = Unknown::take(report, &mut invalid);
    let profile = profile.unwrap_or_else(|| {
        whole(&mut invalid, "the update has no profile");
        felix::Profile::default()
    });
    let felix::Profile {
        inbound_rules,
        outbound_rules,
    } = profile;
    let inbound = rule::list(
        inbound_rules,
        Direction::Ingress,
        &unknown.inbound,
        &mut invalid,
    );
    let outbound = rule::list(
        outbound_rules,
        Direction::Egress,
        &unknown.outbound,
        &mut invalid,
    );
    report_invalid(&invalid, report);
    Some(Update::Profile(
        id,
        Profile {
            inbound,
            outbound,
            invalid,
        },
    ))
}

pub(super) fn profile_remove(
    remove: felix::ActiveProfileRemove,
    report: &mut Report,
) -> Option<Update> {
    let felix::ActiveProfileRemove { id } = remove;
    profile_key(id, report).map(Update::ProfileRemove)
}

/// A policy's identity, and the tier that identities carried until 3.31.
pub(super) fn identity(id: felix::PolicyId) -> (PolicyId, String) {
    let felix::PolicyId {
        tier,
        name,
        namespace,
        kind,
    } = id;
    let id = if kind.is_empty() && namespace.is_empty() {
        textual(&name)
    } else {
        PolicyId {
            kind: kind_of(&kind),
            namespace: Arc::from(namespace),
            name: Arc::from(name),
        }
    };
    (id, tier)
}

/// The identity behind a name of Felix 3.31 and older: `name` or `namespace/name`, with `staged:`
/// in front of the name of a staged one.
pub(super) fn textual(text: &str) -> PolicyId {
    let (namespace, name) = text.split_once('/').unwrap_or(("", text));
    let (kind, name) = match name.strip_prefix(STAGED) {
        None => (PolicyKind::Unstated, name),
        Some(name) => {
            let kind = if namespace.is_empty() {
                "StagedGlobalNetworkPolicy"
            } else if name.starts_with(KUBERNETES) {
                "StagedKubernetesNetworkPolicy"
            } else {
                "StagedNetworkPolicy"
            };
            (PolicyKind::Staged(Arc::from(kind)), name)
        }
    };
    PolicyId {
        kind,
        namespace: Arc::from(namespace),
        name: Arc::from(name),
    }
}

fn kind_of(kind: &str) -> PolicyKind {
    match kind {
        "NetworkPolicy" => PolicyKind::NetworkPolicy,
        "GlobalNetworkPolicy" => PolicyKind::GlobalNetworkPolicy,
        "KubernetesNetworkPolicy" => PolicyKind::KubernetesNetworkPolicy,
        "KubernetesClusterNetworkPolicy" => PolicyKind::KubernetesClusterNetworkPolicy,
        "StagedNetworkPolicy" | "StagedGlobalNetworkPolicy" | "StagedKubernetesNetworkPolicy" => {
            PolicyKind::Staged(Arc::from(kind))
        }
        "" => PolicyKind::Unstated,
        other => PolicyKind::Unknown(Arc::from(other)),
    }
}

fn key(id: Option<felix::PolicyId>, report: &mut Report) -> Option<(PolicyId, String)> {
    report.about("policy", "without a name");
    let Some(id) = id.filter(|id| !id.name.is_empty()) else {
        report.add(
            Effect::Denies,
            "the message has no policy name; endpoints that list the policy deny, as it is missing",
        );
        return None;
    };
    let (id, tier) = identity(id);
    report.about("policy", &id);
    Some((id, tier))
}

fn profile_key(id: Option<felix::ProfileId>, report: &mut Report) -> Option<ProfileId> {
    report.about("profile", "without a name");
    let Some(felix::ProfileId { name }) = id.filter(|id| !id.name.is_empty()) else {
        report.add(
            Effect::Denies,
            "the message has no profile name; endpoints that list the profile deny, as it is \
             missing",
        );
        return None;
    };
    report.about("profile", &name);
    Some(ProfileId::from(&*name))
}

/// Fields of a newer release, by the rule that holds them.
#[derive(Default)]
struct Unknown {
    inbound: BTreeMap<usize, Vec<String>>,
    outbound: BTreeMap<usize, Vec<String>>,
}

impl Unknown {
    /// What is not in a rule concerns the policy as a whole, both directions.
    fn take(report: &mut Report, invalid: &mut Vec<InvalidRule>) -> Self {
        let mut found = Self::default();
        for field in report.take_unknown(|_| true) {
            let text = format!("{} is not known to this program", short(&field));
            let rule = field.path.0.iter().find_map(|(name, place)| match *name {
                "inbound_rules" => Some((Direction::Ingress, (*place)?)),
                "outbound_rules" => Some((Direction::Egress, (*place)?)),
                _ => None,
            });
            let Some((direction, place)) = rule else {
                whole(invalid, &text);
                continue;
            };
            let rules = match direction {
                Direction::Ingress => &mut found.inbound,
                Direction::Egress => &mut found.outbound,
            };
            rules.entry(place).or_default().push(text);
        }
        found
    }
}

fn short(field: &UnknownField) -> String {
    format!("field {} of {}", field.number, field.message)
}

fn whole(invalid: &mut Vec<InvalidRule>, reason: &str) {
    for direction in [Direction::Ingress, Direction::Egress] {
        invalid.push(InvalidRule {
            direction,
            index: 0,
            id: RuleId::from(""),
            reason: reason.to_owned(),
        });
    }
}

fn report_invalid(invalid: &[InvalidRule], report: &mut Report) {
    for rule in invalid {
        let direction = match rule.direction {
            Direction::Ingress => "inbound",
            Direction::Egress => "outbound",
        };
        report.add(
            Effect::Denies,
            format!(
                "{direction} rule {} ({}): {}",
                rule.index, rule.id, rule.reason
            ),
        );
    }
}
