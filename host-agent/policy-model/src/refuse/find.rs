//! Finding what cannot be enforced. Evaluator and compiler both ask here, so that both deny the
//! same legs; how a leg that is *not* refused decides, each works out for itself.

use crate::{
    Direction, HostEndpoint, HttpHandling, IpSetId, IpSetKind, PolicyId, PolicyKind, PolicyModel,
    ProfileId, Refusal, RefusalReason, Rule, Semantics, Side, Subject, Tier, WorkloadEndpoint,
    WorkloadId,
};

pub(super) const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

impl PolicyModel {
    /// Why this leg of a local endpoint denies everything, if it does. The first cause in the order
    /// endpoint, tiers, profiles; none for an endpoint that is not known.
    #[must_use]
    pub fn leg_refusal(
        &self,
        id: &WorkloadId,
        direction: Direction,
        semantics: &Semantics,
    ) -> Option<Refusal> {
        let endpoint = self.workload(id)?;
        let mut causes = endpoint_refusals(id, endpoint);
        if !causes.is_empty() {
            return Some(causes.swap_remove(0));
        }
        endpoint
            .tiers
            .iter()
            .flat_map(|tier| tier.enforced(direction))
            .find_map(|policy| self.policy_refusal(policy, direction, semantics))
            .or_else(|| {
                endpoint
                    .profiles
                    .iter()
                    .find_map(|profile| self.profile_refusal(profile, direction, semantics))
            })
    }

    /// Why a policy cannot be enforced in one direction on a workload, if it cannot. A staged
    /// policy is never refused, as it is never enforced.
    #[must_use]
    pub fn policy_refusal(
        &self,
        id: &PolicyId,
        direction: Direction,
        semantics: &Semantics,
    ) -> Option<Refusal> {
        self.policy_refusals(id, direction, semantics)
            .into_iter()
            .next()
    }

    /// Why a profile cannot be enforced in one direction, if it cannot.
    #[must_use]
    pub fn profile_refusal(
        &self,
        id: &ProfileId,
        direction: Direction,
        semantics: &Semantics,
    ) -> Option<Refusal> {
        self.profile_refusals(id, direction, semantics)
            .into_iter()
            .next()
    }

    /// Why nothing may cross the uplink, if nothing may: a host endpoint has policies for traffic
    /// that passes through the host, and those are not enforced in this release. The normal list
    /// concerns the host's own traffic only, and a forward list without policies allows.
    #[must_use]
    pub fn uplink_refusal(&self, semantics: &Semantics) -> Option<Refusal> {
        if semantics.policy_only {
            return None;
        }
        self.host_endpoints().find_map(|(id, endpoint)| {
            let what = passing_policies(endpoint)?;
            Some(Refusal {
                subject: Subject::HostEndpoint(id.clone()),
                direction: None,
                rule: None,
                reason: RefusalReason::Unsupported(format!(
                    "{what} of a host endpoint; traffic across the uplink is denied"
                )),
            })
        })
    }

    /// Everything that is not enforced exactly, in order, for people.
    #[must_use]
    pub fn refusals(&self, semantics: &Semantics) -> Vec<Refusal> {
        let mut all = Vec::new();
        for direction in BOTH {
            for (id, _) in self.policies() {
                all.extend(self.policy_refusals(id, direction, semantics));
            }
            for (id, _) in self.profiles() {
                all.extend(self.profile_refusals(id, direction, semantics));
            }
            for (_, endpoint) in self.workloads() {
                for id in endpoint.tiers.iter().flat_map(|t| t.enforced(direction)) {
                    if self.policy(id).is_none() {
                        all.extend(self.policy_refusals(id, direction, semantics));
                    }
                }
                for id in endpoint
                    .profiles
                    .iter()
                    .filter(|id| self.profile(id).is_none())
                {
                    all.extend(self.profile_refusals(id, direction, semantics));
                }
            }
        }
        for (id, endpoint) in self.workloads() {
            all.extend(endpoint_refusals(id, endpoint));
            all.extend(unenforced_refusals(id, endpoint));
        }
        for (id, _) in self.ip_sets() {
            all.extend(self.member_refusals(id));
        }
        all.extend(self.host_endpoint_refusals());
        all.extend(self.uplink_refusal(semantics));
        all.extend(self.config_refusals(semantics));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What of a set's members was not understood.
    pub(super) fn member_refusals<'a>(
        &'a self,
        id: &'a IpSetId,
    ) -> impl Iterator<Item = Refusal> + 'a {
        let members = self.ip_set(id).into_iter().flat_map(|set| &set.invalid);
        members.map(|member| {
            let reason = RefusalReason::Invalid(format!("member {member:?}"));
            about(Subject::IpSet(id.clone()), reason)
        })
    }

    pub(super) fn policy_refusals(
        &self,
        id: &PolicyId,
        direction: Direction,
        semantics: &Semantics,
    ) -> Vec<Refusal> {
        let subject = Subject::Policy(id.clone());
        let unsupported = |what: &str| {
            vec![about(
                subject.clone(),
                RefusalReason::Unsupported(what.into()),
            )]
        };
        match &id.kind {
            PolicyKind::Staged(_) => return Vec::new(),
            PolicyKind::Unknown(kind) => {
                let reason = RefusalReason::UnknownKind(kind.to_string());
                return vec![about(subject, reason)];
            }
            PolicyKind::NetworkPolicy
            | PolicyKind::GlobalNetworkPolicy
            | PolicyKind::KubernetesNetworkPolicy
            | PolicyKind::KubernetesClusterNetworkPolicy
            | PolicyKind::Unstated => {}
        }
        let Some(policy) = self.policy(id) else {
            return vec![about(subject.clone(), RefusalReason::Missing(subject))];
        };
        if policy.untracked {
            return unsupported("an untracked policy, which applies to host endpoints only");
        }
        if policy.pre_dnat {
            return unsupported("a pre-DNAT policy, which applies to host endpoints only");
        }
        let invalid = policy
            .invalid
            .iter()
            .filter(|rule| rule.direction == direction);
        let mut refusals: Vec<Refusal> = invalid
            .map(|rule| {
                in_rule(
                    &subject,
                    direction,
                    rule.index,
                    invalid_reason(&rule.reason),
                )
            })
            .collect();
        refusals.extend(self.rule_refusals(
            &subject,
            direction,
            policy.rules(direction),
            semantics,
        ));
        refusals
    }

    fn profile_refusals(
        &self,
        id: &ProfileId,
        direction: Direction,
        semantics: &Semantics,
    ) -> Vec<Refusal> {
        let subject = Subject::Profile(id.clone());
        let Some(profile) = self.profile(id) else {
            return vec![about(subject.clone(), RefusalReason::Missing(subject))];
        };
        let invalid = profile
            .invalid
            .iter()
            .filter(|rule| rule.direction == direction);
        let mut refusals: Vec<Refusal> = invalid
            .map(|rule| {
                in_rule(
                    &subject,
                    direction,
                    rule.index,
                    invalid_reason(&rule.reason),
                )
            })
            .collect();
        refusals.extend(self.rule_refusals(
            &subject,
            direction,
            profile.rules(direction),
            semantics,
        ));
        refusals
    }

    fn rule_refusals<'a>(
        &'a self,
        subject: &'a Subject,
        direction: Direction,
        rules: &'a [Rule],
        semantics: &'a Semantics,
    ) -> impl Iterator<Item = Refusal> + 'a {
        rules.iter().enumerate().flat_map(move |(index, rule)| {
            let http = (rule.http.is_some() && semantics.http == HttpHandling::Refuse)
                .then_some(RefusalReason::HttpMatch);
            http.into_iter()
                .chain(self.side_refusals(&rule.src))
                .chain(self.side_refusals(&rule.dst))
                .map(move |reason| in_rule(subject, direction, index, reason))
        })
    }

    fn side_refusals<'a>(&'a self, side: &'a Side) -> impl Iterator<Item = RefusalReason> + 'a {
        let nets = side.sets.iter().chain(&side.not_sets);
        let ports = side
            .named_ports
            .iter()
            .chain(&side.not_named_ports)
            .chain(&side.ip_port_sets);
        nets.map(|id| (id, false))
            .chain(ports.map(|id| (id, true)))
            .filter_map(|(id, ports)| self.set_refusal(id, ports))
    }

    /// Why a rule that names this set cannot be judged, if it cannot.
    fn set_refusal(&self, id: &IpSetId, ports: bool) -> Option<RefusalReason> {
        let Some(set) = self.ip_set(id) else {
            return Some(RefusalReason::Missing(Subject::IpSet(id.clone())));
        };
        if let Some(member) = set.invalid.first() {
            let text = format!("member {member:?} of IP set {id}");
            return Some(RefusalReason::Invalid(text));
        }
        if (set.kind == IpSetKind::IpAndPort) != ports {
            let text = format!(
                "IP set {id} is of kind {:?}, which this criterion cannot use",
                set.kind
            );
            return Some(RefusalReason::Invalid(text));
        }
        None
    }

    fn host_endpoint_refusals(&self) -> impl Iterator<Item = Refusal> + '_ {
        self.host_endpoints().flat_map(|(id, endpoint)| {
            let subject = Subject::HostEndpoint(id.clone());
            let invalid = endpoint.invalid.iter().map(|what| invalid_reason(what));
            let policy = RefusalReason::Unsupported(
                "host endpoint policy; the host's own traffic is not policed".into(),
            );
            invalid
                .chain([policy])
                .map(move |reason| about(subject.clone(), reason))
                .collect::<Vec<_>>()
        })
    }

    fn config_refusals(&self, semantics: &Semantics) -> Option<Refusal> {
        let word = self.config().endpoint_to_host_action();
        if semantics.policy_only || word.eq_ignore_ascii_case("drop") {
            return None;
        }
        let text = format!("{word}; traffic of workloads to their own node is denied");
        let subject = Subject::Config("DefaultEndpointToHostAction".into());
        Some(about(subject, RefusalReason::Unsupported(text)))
    }
}

/// Everything that is wrong with an endpoint itself: both its legs deny.
pub(super) fn endpoint_refusals(id: &WorkloadId, endpoint: &WorkloadEndpoint) -> Vec<Refusal> {
    let wide = endpoint
        .nets
        .iter()
        .filter(|net| net.prefix_len() != net.max_prefix_len())
        .map(|net| RefusalReason::Invalid(format!("the net {net} is not a single address")));
    let invalid = endpoint.invalid.iter().map(|what| invalid_reason(what));
    invalid
        .chain(wide)
        .map(|reason| about(Subject::Workload(id.clone()), reason))
        .collect()
}

/// What an endpoint asks for and does not get.
pub(super) fn unenforced_refusals<'a>(
    id: &'a WorkloadId,
    endpoint: &'a WorkloadEndpoint,
) -> impl Iterator<Item = Refusal> + 'a {
    endpoint.unenforced.iter().map(|(field, value)| {
        let reason = RefusalReason::Unsupported(format!("{field}: {value}"));
        about(Subject::Workload(id.clone()), reason)
    })
}

/// The first list of a host endpoint that traffic through the host would have to pass.
fn passing_policies(endpoint: &HostEndpoint) -> Option<&'static str> {
    let has_policies = |tiers: &[Tier]| {
        tiers.iter().any(|tier| {
            BOTH.into_iter()
                .any(|direction| tier.enforced(direction).next().is_some())
        })
    };
    if !endpoint.invalid.is_empty() {
        Some("parts that could not be understood")
    } else if has_policies(&endpoint.untracked_tiers) {
        Some("untracked policies")
    } else if has_policies(&endpoint.pre_dnat_tiers) {
        Some("pre-DNAT policies")
    } else if has_policies(&endpoint.forward_tiers) {
        Some("apply-on-forward policies")
    } else {
        None
    }
}

fn invalid_reason(what: &str) -> RefusalReason {
    RefusalReason::Invalid(what.into())
}

fn about(subject: Subject, reason: RefusalReason) -> Refusal {
    Refusal {
        subject,
        direction: None,
        rule: None,
        reason,
    }
}

fn in_rule(subject: &Subject, direction: Direction, rule: usize, reason: RefusalReason) -> Refusal {
    Refusal {
        subject: subject.clone(),
        direction: Some(direction),
        rule: Some(rule),
        reason,
    }
}
