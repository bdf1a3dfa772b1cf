//! Policy of a node in a large cluster: what a Felix says at its start, and changes of it.
//!
//! The shapes are those of Felix's own benchmarks (numbers of endpoints, policies, tenants and
//! network sets), so that figures can stand side by side, and one that is as hostile to labels as
//! can be. Addresses are consecutive, everything else follows from a seed. Nothing is kept that
//! grows with the number of pods: sets are handed out one after the other.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use policy_model::{
    Action, IpSetId, IpSetKind, Member, Policy, PolicyId, PolicyKind, PortRange, Protocol, Rule,
    RuleId, RuleNotes, Side, Tier, Update, WorkloadEndpoint, WorkloadId,
};

use super::Choices;
use crate::site::{Port, Site, Uplink};

/// First address of the pods.
const FIRST_POD: u32 = 0x0a00_0001;
/// First port that rules name.
const FIRST_PORT: u16 = 8000;
/// First number of a local endpoint's port: 9 bits have to do for all of them.
const FIRST_LOCAL: u16 = 1;
/// Number of the uplink's.
const UPLINK: u16 = 510;

/// A cluster seen from one of its nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Pods in the cluster, the local ones included; each has one IPv4 address.
    pub pods: u32,
    /// Pods that are in the same sets, as those of a deployment are.
    pub alike: u32,
    /// Sets of pods.
    pub sets: u32,
    /// Sets that a pod is in.
    pub sets_a_pod: u32,
    /// Local endpoints.
    pub local: u32,
    /// Policies.
    pub policies: u32,
    /// Policies that a local endpoint lists, consecutive ones.
    pub policies_an_endpoint: u32,
    /// Rules of a policy in each direction; each names the next set and a port.
    pub rules: u32,
    /// Members of a set of CIDRs at most, drawn so that small ones are as frequent as large ones;
    /// 0 for sets of pods.
    pub largest_net_set: u32,
    /// Seed.
    pub seed: u64,
}

impl Shape {
    /// Seven sets a pod, 250 000 pods of 5 000 deployments, a thousand sets: 1.75 million
    /// memberships.
    pub const SEVEN_SETS: Self = Self {
        pods: 250_000,
        alike: 50,
        sets: 1_000,
        sets_a_pod: 7,
        local: 110,
        policies: 120,
        policies_an_endpoint: 2,
        rules: 4,
        largest_net_set: 0,
        seed: 1,
    };

    /// 200 local of 250 000 endpoints with 10 000 selector policies, each with a rule in and a rule
    /// out, all of them in force on the node.
    pub const SELECTORS: Self = Self {
        sets: 10_000,
        local: 200,
        policies: 10_000,
        policies_an_endpoint: 50,
        rules: 1,
        ..Self::SEVEN_SETS
    };

    /// 294 policies of 68 rules on one endpoint with 3 700 sets and about 256 000 memberships.
    pub const LONG_LIST: Self = Self {
        pods: 36_571,
        alike: 7,
        sets: 3_700,
        sets_a_pod: 7,
        local: 1,
        policies: 294,
        policies_an_endpoint: 294,
        rules: 68,
        ..Self::SEVEN_SETS
    };

    /// A hundred thousand rows, or a multiple: everything grows but what one object meets, so that
    /// a change that costs more in a larger cluster shows it. At most 10 times.
    #[must_use]
    pub const fn rows(hundred_thousands: u32) -> Self {
        Self {
            pods: 25_000 * hundred_thousands,
            alike: 5,
            sets: 1_000 * hundred_thousands,
            local: 50 * hundred_thousands,
            policies: 250 * hundred_thousands,
            policies_an_endpoint: 5,
            ..Self::SEVEN_SETS
        }
    }

    /// So many policies with a set of CIDRs each, 1 to 1 000 of them.
    #[must_use]
    pub const fn network_sets(policies: u32) -> Self {
        Self {
            pods: 100,
            alike: 1,
            sets: policies,
            sets_a_pod: 0,
            local: 100,
            policies,
            policies_an_endpoint: policies.div_ceil(100),
            rules: 1,
            largest_net_set: 1_000,
            ..Self::SEVEN_SETS
        }
    }

    /// So many tenants of ten pods that talk to themselves only, a hundred of them with a local
    /// endpoint. Felix sends what a node uses; here it sends all of them.
    #[must_use]
    pub const fn tenants(tenants: u32) -> Self {
        Self {
            pods: 10 * tenants,
            alike: 10,
            sets: tenants,
            sets_a_pod: 1,
            local: 100,
            policies: tenants,
            policies_an_endpoint: 1,
            rules: 1,
            ..Self::SEVEN_SETS
        }
    }

    /// Every address in 20 sets out of 200 that no other address is in: a label of its own.
    #[must_use]
    pub const fn near_unique(pods: u32) -> Self {
        Self {
            pods,
            alike: 1,
            sets: 200,
            sets_a_pod: 20,
            local: 100,
            policies: 100,
            policies_an_endpoint: 1,
            rules: 2,
            ..Self::SEVEN_SETS
        }
    }

    /// Where the local endpoints are plugged in.
    #[must_use]
    pub fn site(&self) -> Site {
        let ports = (0..self.local).map(|number| {
            let [_, _, high, low] = number.to_be_bytes();
            let mac = Some([2, 0, 0, 0, high, low]);
            let number = FIRST_LOCAL.saturating_add(u16::try_from(number).unwrap_or(u16::MAX));
            (
                interface(u32::from(number - FIRST_LOCAL)),
                Port { number, mac },
            )
        });
        Site {
            workload_ports: ports.collect(),
            uplink: Some(Uplink {
                port: UPLINK,
                interface: "uplink".into(),
                mac: [2, 0, 0, 0, 1, 0],
                addresses: vec![[192, 0, 2, 1].into()],
                next_hop_mac: [2, 0, 0, 0, 1, 1],
                neighbours: Vec::new(),
            }),
            ..Site::default()
        }
    }

    /// Everything that Felix says up to its in-sync message, in its order.
    pub fn each(&self, mut say: impl FnMut(Update)) {
        let mut choices = Choices::new(self.seed);
        let groups = self.groups();
        let mut by_set: Vec<Vec<u32>> = vec![Vec::new(); self.sets as usize];
        for (group, sets) in groups.iter().enumerate() {
            for set in sets {
                by_set[*set as usize].push(u32::try_from(group).unwrap_or(u32::MAX));
            }
        }
        for (set, groups) in (0..).zip(&by_set) {
            let (kind, members) = if self.largest_net_set == 0 {
                let pods = groups.iter().flat_map(|group| self.pods_of(*group));
                (IpSetKind::Ip, pods.map(member).collect())
            } else {
                (IpSetKind::Net, self.nets(&mut choices))
            };
            say(Update::IpSet {
                id: set_id(set),
                kind,
                members,
                invalid: Vec::new(),
            });
        }
        for policy in 0..self.policies {
            say(self.policy(policy, 0));
        }
        for local in 0..self.local {
            say(self.endpoint(local));
        }
        say(Update::InSync);
    }

    /// How many memberships sets of pods have.
    #[must_use]
    pub fn memberships(&self) -> u64 {
        u64::from(self.pods) * u64::from(self.sets_a_pod)
    }

    /// Rules in both directions of the policies that local endpoints list.
    #[must_use]
    pub fn rule_count(&self) -> u64 {
        let listed = u64::from(self.local) * u64::from(self.policies_an_endpoint);
        2 * listed.min(u64::from(self.policies)) * u64::from(self.rules)
    }

    /// The sets that each group of pods is in.
    #[must_use]
    pub fn groups(&self) -> Vec<Vec<u32>> {
        let mut choices = Choices::new(self.seed ^ 0x5eed);
        let count = self.pods.div_ceil(self.alike.max(1));
        (0..count)
            .map(|group| {
                // A first set in turn, so that each has members.
                let mut sets = Vec::with_capacity(self.sets_a_pod as usize);
                if self.sets_a_pod > 0 {
                    sets.push(group % self.sets);
                }
                while sets.len() < self.sets_a_pod.min(self.sets) as usize {
                    let set = u32::try_from(choices.below(self.sets as usize)).unwrap_or(0);
                    if !sets.contains(&set) {
                        sets.push(set);
                    }
                }
                sets
            })
            .collect()
    }

    fn pods_of(&self, group: u32) -> std::ops::Range<u32> {
        let first = group * self.alike;
        first..(first + self.alike).min(self.pods)
    }

    /// Pods that stop, or start, at once: a delta for each set that one of them is in, as Felix
    /// sends them. `pods` are numbers of pods, each once.
    #[must_use]
    pub fn pods_move(&self, groups: &[Vec<u32>], pods: &[u32], start: bool) -> Vec<Update> {
        let mut by_set: BTreeMap<u32, Vec<Member>> = BTreeMap::new();
        for pod in pods {
            let sets = groups.get((pod / self.alike.max(1)) as usize);
            for set in sets.into_iter().flatten() {
                by_set.entry(*set).or_default().push(member(*pod));
            }
        }
        by_set
            .into_iter()
            .map(|(set, members)| delta(set, members, start))
            .collect()
    }

    /// A policy; `edition` moves the port of its first rules.
    #[must_use]
    pub fn policy(&self, number: u32, edition: u16) -> Update {
        let rules = |inbound| {
            let rule = |index| self.rule(number, index, edition, inbound);
            (0..self.rules).map(rule).collect()
        };
        let policy = Policy {
            tier: "default".into(),
            inbound: rules(true),
            outbound: rules(false),
            ..Policy::default()
        };
        Update::Policy(policy_id(number), policy)
    }

    /// The first policy with a hundred rules in, over ten sets; the last one's port is the
    /// edition's.
    #[must_use]
    pub fn long_policy(&self, edition: u16) -> Update {
        let over_ten = Self {
            sets: self.sets.min(10),
            rules: 100,
            ..*self
        };
        let last = |index| if index == 99 { edition } else { 0 };
        let rules = (0..100).map(|index| over_ten.rule(0, index, last(index), true));
        let policy = Policy {
            tier: "default".into(),
            inbound: rules.collect(),
            ..Policy::default()
        };
        Update::Policy(policy_id(0), policy)
    }

    fn rule(&self, policy: u32, index: u32, edition: u16, inbound: bool) -> Rule {
        let set = (policy * self.rules + index + u32::from(!inbound) * 7) % self.sets.max(1);
        let port = FIRST_PORT + u16::try_from(index).unwrap_or(0) + edition;
        let peer = Side {
            sets: vec![set_id(set)],
            ..Side::default()
        };
        let ports = vec![PortRange {
            first: port,
            last: port,
        }];
        let (src, dst) = if inbound {
            let dst = Side {
                ports,
                ..Side::default()
            };
            (peer, dst)
        } else {
            (Side::default(), Side { ports, ..peer })
        };
        Rule {
            action: Action::Allow,
            family: None,
            protocol: Some(Protocol::TCP),
            not_protocol: None,
            icmp: None,
            not_icmp: None,
            src,
            dst,
            http: None,
            id: rule_id(policy, index, edition, inbound),
            notes: Arc::new(RuleNotes::default()),
        }
    }

    fn endpoint(&self, number: u32) -> Update {
        let first = number * self.policies_an_endpoint;
        let listed = first..first + self.policies_an_endpoint;
        let policies: Vec<PolicyId> = listed
            .map(|policy| policy_id(policy % self.policies.max(1)))
            .collect();
        // Spread over the groups of pods.
        let pod = u64::from(number) * u64::from(self.pods) / u64::from(self.local.max(1));
        let pod = u32::try_from(pod).unwrap_or(0);
        let id = WorkloadId {
            orchestrator: "k8s".into(),
            workload: format!("default/pod-{pod}").as_str().into(),
            endpoint: "eth0".into(),
        };
        let endpoint = WorkloadEndpoint {
            active: true,
            interface: interface(number),
            nets: vec![IpAddr::from(address(pod)).into()],
            tiers: vec![Tier {
                name: "default".into(),
                ingress: policies.clone(),
                egress: policies,
                default_pass: false,
            }],
            ..WorkloadEndpoint::default()
        };
        Update::Workload(id, endpoint)
    }

    /// CIDRs of a set: as many as a number drawn evenly on a logarithmic scale.
    fn nets(&self, choices: &mut Choices) -> Vec<Member> {
        let bits = self.largest_net_set.max(1).ilog2() as usize + 1;
        let scale = choices.below(bits);
        let count = (1 << scale) + choices.below(1 << scale);
        let count = count.min(self.largest_net_set as usize);
        let mut nets: Vec<Member> = (0..count)
            .map(|_| {
                let length = 16 + u8::try_from(choices.below(17)).unwrap_or(0);
                let addr = u32::try_from(choices.number() >> 32).unwrap_or(0);
                let net = Ipv4Net::new_assert(addr.into(), length).trunc();
                Member::Net(IpNet::from(net))
            })
            .collect();
        nets.sort_unstable();
        nets.dedup();
        nets
    }
}

/// Members of one set that come or go.
#[must_use]
pub fn delta(set: u32, members: Vec<Member>, come: bool) -> Update {
    let (added, removed) = if come {
        (members, Vec::new())
    } else {
        (Vec::new(), members)
    };
    Update::IpSetDelta {
        id: set_id(set),
        added,
        removed,
        invalid_added: Vec::new(),
        invalid_removed: Vec::new(),
    }
}

/// A pod's address as a member.
#[must_use]
pub fn member(pod: u32) -> Member {
    Member::Net(IpAddr::from(address(pod)).into())
}

/// Name of a set.
#[must_use]
pub fn set_id(set: u32) -> IpSetId {
    // As long as Felix's own, which are hashes.
    IpSetId::from(format!("s:{set:040}").as_str())
}

fn address(pod: u32) -> Ipv4Addr {
    Ipv4Addr::from(FIRST_POD + pod)
}

fn interface(local: u32) -> String {
    format!("cali{local:011x}")
}

fn policy_id(policy: u32) -> PolicyId {
    PolicyId {
        name: format!("policy-{policy}").as_str().into(),
        namespace: "default".into(),
        kind: PolicyKind::NetworkPolicy,
    }
}

fn rule_id(policy: u32, index: u32, edition: u16, inbound: bool) -> RuleId {
    let side = if inbound { 'i' } else { 'o' };
    RuleId::from(format!("{side}{policy:06x}{index:04x}{edition:05x}").as_str())
}

#[cfg(test)]
mod tests {
    use policy_model::PolicyModel;

    use super::*;

    fn counts(shape: Shape) -> (usize, usize, usize, usize) {
        let mut model = PolicyModel::new();
        shape.each(|update| model.apply(update).unwrap());
        assert!(model.in_sync());
        let members = model.ip_sets().map(|(_, set)| set.members.len()).sum();
        (
            model.ip_sets().len(),
            members,
            model.policies().len(),
            model.workloads().len(),
        )
    }

    #[test]
    fn shapes_are_as_large_as_they_say() {
        let (sets, members, policies, local) = counts(Shape::SEVEN_SETS);
        assert_eq!((sets, policies, local), (1_000, 120, 110));
        assert_eq!(members, 1_750_000);
        let (sets, members, policies, local) = counts(Shape::LONG_LIST);
        assert_eq!((sets, policies, local), (3_700, 294, 1));
        assert!((255_000..257_000).contains(&members), "{members}");
        let (sets, members, policies, local) = counts(Shape::tenants(1_000));
        assert_eq!(
            (sets, members, policies, local),
            (1_000, 10_000, 1_000, 100)
        );
        let (sets, _, policies, local) = counts(Shape::network_sets(1_000));
        assert_eq!((sets, policies, local), (1_000, 1_000, 100));
    }

    #[test]
    fn sets_of_nets_reach_from_one_to_a_thousand() {
        let mut sizes = Vec::new();
        Shape::network_sets(1_000).each(|update| {
            if let Update::IpSet { members, .. } = update {
                sizes.push(members.len());
            }
        });
        sizes.sort_unstable();
        assert_eq!(sizes[0], 1);
        assert!((900..=1_000).contains(&sizes[999]), "{}", sizes[999]);
        // As many below as above the middle of a logarithmic scale.
        assert!((20..=45).contains(&sizes[500]), "{}", sizes[500]);
    }

    #[test]
    fn nearly_every_address_has_sets_of_its_own() {
        let groups = Shape::near_unique(2_000).groups();
        let distinct: std::collections::BTreeSet<_> = groups
            .iter()
            .map(|sets| {
                let mut sets = sets.clone();
                sets.sort_unstable();
                sets
            })
            .collect();
        assert!(distinct.len() > 1_990, "{}", distinct.len());
    }

    #[test]
    fn pods_that_stop_and_start_leave_the_model_as_it_was() {
        let shape = Shape::tenants(100);
        let mut model = PolicyModel::new();
        shape.each(|update| model.apply(update).unwrap());
        model.take_changes();
        let before = model.clone();
        let groups = shape.groups();
        for start in [false, true] {
            for update in shape.pods_move(&groups, &[3, 77, 512], start) {
                model.apply(update).unwrap();
            }
            assert_eq!(model == before, start);
        }
        assert!(model.changes().is_empty());
    }
}
