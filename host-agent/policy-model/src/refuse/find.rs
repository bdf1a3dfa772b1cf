//! Finding what cannot be enforced. Evaluator and compiler both ask here, so that both deny the
//! same legs; how a leg that is *not* refused decides, each works out for itself.

use crate::{
    Crossing, Direction, HostEndpointId, HostList, HostLists, HttpHandling, IpSetId, IpSetKind,
    PolicyId, PolicyKind, PolicyModel, ProfileId, Refusal, RefusalReason, Rule, Semantics, Side,
    Subject, WorkloadEndpoint, WorkloadId,
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

    /// Why these lists of a host endpoint deny everything, if they do.
    #[must_use]
    pub fn host_refusal(
        &self,
        lists: &HostLists<'_>,
        direction: Direction,
        semantics: &Semantics,
    ) -> Option<Refusal> {
        if let Some(what) = lists.endpoint.invalid.first() {
            let subject = Subject::HostEndpoint(lists.id.clone());
            return Some(about(subject, invalid_reason(what)));
        }
        if lists.has_failsafes()
            && let Some(refusal) = self.failsafe_refusals().next()
        {
            return Some(refusal);
        }
        let tiers = lists.pre_dnat.iter().chain(lists.tiers);
        tiers
            .flat_map(|tier| tier.enforced(direction))
            .find_map(|policy| {
                let refusals = self.listed_policy_refusals(policy, direction, semantics);
                refusals.into_iter().next()
            })
            .or_else(|| {
                let mut profiles = lists.profiles.iter();
                profiles.find_map(|profile| self.profile_refusal(profile, direction, semantics))
            })
    }

    /// Whether a host endpoint covers an interface and all its lists are enforced exactly.
    #[must_use]
    pub fn host_endpoint_stands(&self, id: &HostEndpointId, semantics: &Semantics) -> bool {
        let covers = [
            self.uplink_endpoint(&semantics.node),
            self.wildcard_endpoint(),
        ];
        let in_use = covers.iter().flatten().any(|(cover, _)| *cover == id);
        in_use && !semantics.policy_only && !self.list_refusals(semantics).any(|(of, _)| of == id)
    }

    /// Lists of host endpoints that deny everything, one refusal each.
    fn list_refusals<'a>(
        &'a self,
        semantics: &'a Semantics,
    ) -> impl Iterator<Item = (&'a HostEndpointId, Refusal)> {
        let lists = [HostList::Untracked, HostList::Forward, HostList::Normal];
        let places = [Crossing::Uplink, Crossing::Workload]
            .into_iter()
            .flat_map(move |crossing| lists.map(|list| (crossing, list)));
        places.flat_map(move |(crossing, list)| {
            BOTH.into_iter().filter_map(move |direction| {
                let lists = self.host_lists(semantics, crossing, list, direction)?;
                let refusal = self.host_refusal(&lists, direction, semantics)?;
                Some((lists.id, refusal))
            })
        })
    }

    /// Everything that is not enforced exactly, in order, for people.
    #[must_use]
    pub fn refusals(&self, semantics: &Semantics) -> Vec<Refusal> {
        let mut all = Vec::new();
        for direction in BOTH {
            for (id, _) in self.policies() {
                all.extend(self.listed_policy_refusals(id, direction, semantics));
            }
            for (id, _) in self.profiles() {
                all.extend(self.profile_refusals(id, direction, semantics));
            }
            for (_, endpoint) in self.workloads() {
                for id in endpoint.tiers.iter().flat_map(|t| t.enforced(direction)) {
                    let known = self.policy(id);
                    if known.is_none_or(|policy| policy.untracked || policy.pre_dnat) {
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
        all.extend(self.host_endpoint_refusals(semantics));
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

    /// On a workload: untracked and pre-DNAT policies have no place there.
    pub(super) fn policy_refusals(
        &self,
        id: &PolicyId,
        direction: Direction,
        semantics: &Semantics,
    ) -> Vec<Refusal> {
        let unsupported = |what: &str| {
            let reason = RefusalReason::Unsupported(what.into());
            vec![about(Subject::Policy(id.clone()), reason)]
        };
        match self.policy(id).filter(|_| !id.is_staged()) {
            Some(policy) if policy.untracked => {
                unsupported("an untracked policy, which applies to host endpoints only")
            }
            Some(policy) if policy.pre_dnat => {
                unsupported("a pre-DNAT policy, which applies to host endpoints only")
            }
            Some(_) | None => self.listed_policy_refusals(id, direction, semantics),
        }
    }

    /// Wherever it is listed.
    pub(super) fn listed_policy_refusals(
        &self,
        id: &PolicyId,
        direction: Direction,
        semantics: &Semantics,
    ) -> Vec<Refusal> {
        let subject = Subject::Policy(id.clone());
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

    /// Host endpoints that are not understood, that cover nothing here, and what is named in the
    /// lists of the others and was never sent.
    fn host_endpoint_refusals(&self, semantics: &Semantics) -> Vec<Refusal> {
        let mut all = Vec::new();
        let node = &semantics.node;
        let covers = [self.uplink_endpoint(node), self.wildcard_endpoint()];
        for (id, endpoint) in self.host_endpoints() {
            let subject = Subject::HostEndpoint(id.clone());
            let invalid = endpoint.invalid.iter();
            all.extend(invalid.map(|what| about(subject.clone(), invalid_reason(what))));
            let unsupported = |what: &str| {
                let reason = RefusalReason::Unsupported(what.into());
                about(subject.clone(), reason)
            };
            let in_use = covers.iter().flatten().any(|(cover, _)| *cover == id);
            if semantics.policy_only {
                all.push(unsupported(
                    "host endpoint policy, as policy alone is judged",
                ));
            } else if !in_use {
                all.push(unsupported(
                    "it covers no interface that this device has, or another one comes first",
                ));
            } else if endpoint.interface == "*" && !endpoint.untracked_tiers.is_empty() {
                all.push(unsupported(
                    "untracked policies of a host endpoint for all interfaces",
                ));
            }
        }
        all.extend(self.list_refusals(semantics).map(|(_, refusal)| refusal));
        let tunnels = self.encapsulation();
        let tunnels = tunnels.ipip || tunnels.vxlan || tunnels.vxlan_v6;
        if let Some((id, _)) = covers[0]
            && node.host_port
            && tunnels
            && !semantics.policy_only
        {
            let what = "tunnel packets between nodes are judged by its lists, as all others are";
            let reason = RefusalReason::Unsupported(what.into());
            all.push(about(Subject::HostEndpoint(id.clone()), reason));
        }
        all
    }

    fn failsafe_refusals(&self) -> impl Iterator<Item = Refusal> {
        let config = self.config();
        [
            ("FailsafeInboundHostPorts", config.failsafe_inbound().err()),
            (
                "FailsafeOutboundHostPorts",
                config.failsafe_outbound().err(),
            ),
        ]
        .into_iter()
        .filter_map(|(name, error)| {
            error.map(|what| about(Subject::Config(name.into()), invalid_reason(&what)))
        })
    }

    fn config_refusals(&self, semantics: &Semantics) -> Option<Refusal> {
        let word = self.config().endpoint_to_host_action();
        let host_port = semantics.node.host_port;
        if semantics.policy_only || host_port || word.eq_ignore_ascii_case("drop") {
            return None;
        }
        let text =
            format!("{word}; without a port for the node, traffic of workloads to it is denied");
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
