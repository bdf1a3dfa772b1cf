//! The world that the storm goes over: pods, sets, policies in three tiers, and flows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use policy_model::{
    Action, Config, Flow, IpSetId, IpSetKind, L4, Member, ModelError, Policy, PolicyId, PolicyKind,
    PolicyModel, PortRange, Profile, ProfileId, Protocol, Rule, RuleId, RuleNotes, Side, Tier,
    Update, WorkloadEndpoint, WorkloadId,
};

use crate::random::Random;

/// Local pods.
pub(super) const PODS: usize = 64;
/// Pods on other nodes.
pub(super) const REMOTES: usize = 192;
/// Sets of addresses.
pub(super) const SETS: usize = 16;
/// Policies of each tier.
pub(super) const POLICIES: usize = 16;
/// Tiers in the order in which they begin.
pub(super) const TIERS: [&str; 3] = ["security", "platform", "default"];

const PORTS: [u16; 8] = [53, 80, 81, 443, 1234, 5432, 8080, 9090];
/// One flow in so many is of IPv6.
const V6_EVERY: usize = 5;

/// The address of a pod: the local ones come first.
pub(super) fn address(pod: usize, v6: bool) -> IpAddr {
    let (net, host) = if pod < PODS {
        (0, pod)
    } else {
        (1, pod - PODS)
    };
    let host = u16::try_from(host + 1).unwrap_or(1);
    if v6 {
        IpAddr::from([0xfd65, 0, 0, net, 0, 0, 0, host])
    } else {
        let [_, low] = host.to_be_bytes();
        IpAddr::from([10, 65, u8::try_from(net).unwrap_or(0), low])
    }
}

pub(super) fn workload_id(pod: usize) -> WorkloadId {
    WorkloadId {
        orchestrator: "k8s".into(),
        workload: format!("default/pod-{pod}").as_str().into(),
        endpoint: "eth0".into(),
    }
}

pub(super) fn set_id(set: usize) -> IpSetId {
    IpSetId::from(format!("s:{set}").as_str())
}

pub(super) fn policy_id(tier: usize, number: usize) -> PolicyId {
    PolicyId {
        kind: PolicyKind::GlobalNetworkPolicy,
        namespace: "".into(),
        name: format!("{}.policy-{number}", TIERS[tier]).as_str().into(),
    }
}

/// Both addresses of a pod.
pub(super) fn members(pod: usize) -> [Member; 2] {
    [false, true].map(|v6| Member::Net(IpNet::from(address(pod, v6))))
}

/// Some rule; one in three asks for no port.
pub(super) fn rule(random: &mut Random, inbound: bool) -> Rule {
    let action = match random.below(10) {
        0..=4 => Action::Allow,
        5..=7 => Action::Deny,
        _ => Action::Pass,
    };
    let protocol = match random.below(4) {
        0 => None,
        1 => Some(Protocol::UDP),
        _ => Some(Protocol::TCP),
    };
    let mut remote = Side::default();
    match random.below(6) {
        0 => {}
        1 => remote.not_sets.push(set_id(random.below(SETS))),
        2 => remote.nets.push(net(random)),
        _ => remote.sets.push(set_id(random.below(SETS))),
    }
    let mut ports = Vec::new();
    if protocol.is_some() && random.below(3) > 0 {
        let first = PORTS[random.below(PORTS.len())];
        let last = first.max(PORTS[random.below(PORTS.len())]);
        ports.push(PortRange { first, last });
    }
    let (src, dst) = if inbound {
        let own = Side {
            ports,
            ..Side::default()
        };
        (remote, own)
    } else {
        remote.ports = ports;
        (Side::default(), remote)
    };
    Rule {
        action,
        family: None,
        protocol,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        src,
        dst,
        http: None,
        id: RuleId::from(format!("{:08x}", random.below(1 << 30)).as_str()),
        notes: Arc::new(RuleNotes::default()),
    }
}

/// A block of pods, of either family.
fn net(random: &mut Random) -> IpNet {
    let pod = address(random.below(PODS + REMOTES), random.below(2) == 0);
    let prefix = if pod.is_ipv4() { 28 } else { 124 };
    IpNet::new(pod, prefix).map_or(IpNet::from(pod), |net| net.trunc())
}

fn rules(random: &mut Random, inbound: bool) -> Vec<Rule> {
    (0..1 + random.below(4))
        .map(|_| rule(random, inbound))
        .collect()
}

/// One or two policies of a tier for one direction.
pub(super) fn listed(random: &mut Random, tier: usize) -> Vec<PolicyId> {
    let first = random.below(POLICIES);
    let second = random.below(POLICIES);
    let mut list = vec![policy_id(tier, first)];
    if second != first {
        list.push(policy_id(tier, second));
    }
    list
}

fn workload(random: &mut Random, pod: usize) -> WorkloadEndpoint {
    let tiers = TIERS.iter().enumerate().map(|(number, name)| Tier {
        name: (*name).into(),
        ingress: listed(random, number),
        egress: listed(random, number),
        // The last tier denies what it does not know, as Calico's own does.
        default_pass: number + 1 < TIERS.len(),
    });
    WorkloadEndpoint {
        active: true,
        interface: format!("cali{pod}"),
        profiles: vec![ProfileId::from("kns.default")],
        nets: [false, true].map(|v6| IpNet::from(address(pod, v6))).into(),
        tiers: tiers.collect(),
        ..WorkloadEndpoint::default()
    }
}

/// The world as Felix would tell it.
///
/// # Errors
/// It contradicts itself.
pub(super) fn model(random: &mut Random) -> Result<PolicyModel, ModelError> {
    let mut model = PolicyModel::new();
    let values = BTreeMap::from([("FelixHostname".to_owned(), "node".to_owned())]);
    model.apply(Update::Config(Config { values }))?;
    for set in 0..SETS {
        let pods = (0..PODS + REMOTES).filter(|_| random.below(6) == 0);
        let members = pods.flat_map(members).collect();
        model.apply(Update::IpSet {
            id: set_id(set),
            kind: IpSetKind::Net,
            members,
            invalid: Vec::new(),
        })?;
    }
    for (tier, name) in TIERS.iter().enumerate() {
        for number in 0..POLICIES {
            let policy = Policy {
                tier: (*name).into(),
                inbound: rules(random, true),
                outbound: rules(random, false),
                ..Policy::default()
            };
            model.apply(Update::Policy(policy_id(tier, number), policy))?;
        }
    }
    let allow = |inbound| Rule {
        action: Action::Allow,
        protocol: None,
        src: Side::default(),
        dst: Side::default(),
        ..rule(&mut Random::new(0), inbound)
    };
    let profile = Profile {
        inbound: vec![allow(true)],
        outbound: vec![allow(false)],
        invalid: Vec::new(),
    };
    model.apply(Update::Profile(ProfileId::from("kns.default"), profile))?;
    for pod in 0..PODS {
        let endpoint = workload(random, pod);
        model.apply(Update::Workload(workload_id(pod), endpoint))?;
    }
    model.apply(Update::InSync)?;
    Ok(model)
}

/// Different flows that begin or end at a local pod. No rule of this world asks for source ports,
/// so each packet of a flow may have one of its own and is the first of a new connection.
pub(super) fn flows(random: &mut Random, count: usize) -> Vec<Flow> {
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < count {
        let local = random.below(PODS);
        let other = random.below(PODS + REMOTES);
        if other == local {
            continue;
        }
        let v6 = random.below(V6_EVERY) == 0;
        let (src, dst) = if random.below(2) == 0 {
            (local, other)
        } else {
            (other, local)
        };
        let protocol = if random.below(3) == 0 {
            Protocol::UDP
        } else {
            Protocol::TCP
        };
        let port = PORTS[random.below(PORTS.len())];
        seen.insert((address(src, v6), address(dst, v6), protocol, port));
    }
    seen.into_iter()
        .map(|(src, dst, protocol, port)| Flow {
            src,
            dst,
            protocol,
            l4: L4::Ports { src: 0, dst: port },
        })
        .collect()
}
