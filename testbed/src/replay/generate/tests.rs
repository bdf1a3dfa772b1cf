//! The generator against what it promises.

use policy_model::{
    Action, IpSetId, IpSetKind, Member, Policy, PolicyId, PolicyKind, PortRange, Rule, RuleId,
    Side, Update, WorkloadEndpoint, WorkloadId,
};

use super::*;

fn model() -> PolicyModel {
    let rule = Rule {
        action: Action::Allow,
        family: None,
        protocol: Some(Protocol(99)),
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        src: Side {
            nets: vec!["172.16.0.0/24".parse().unwrap()],
            ..Side::default()
        },
        dst: Side {
            ports: vec![PortRange {
                first: 7000,
                last: 7010,
            }],
            ..Side::default()
        },
        http: None,
        id: RuleId::from(""),
        notes: std::sync::Arc::default(),
    };
    let workload = |name: &str, addresses: &[&str]| {
        let id = WorkloadId {
            orchestrator: "k8s".into(),
            workload: name.into(),
            endpoint: "eth0".into(),
        };
        let endpoint = WorkloadEndpoint {
            nets: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            ..WorkloadEndpoint::default()
        };
        Update::Workload(id, endpoint)
    };
    let policy = PolicyId {
        kind: PolicyKind::NetworkPolicy,
        namespace: "".into(),
        name: "p".into(),
    };
    let updates = [
        Update::IpSet {
            id: IpSetId::from("s"),
            kind: IpSetKind::Net,
            members: vec![Member::Net("10.9.0.0/30".parse().unwrap())],
            invalid: Vec::new(),
        },
        Update::Policy(
            policy,
            Policy {
                inbound: vec![rule],
                ..Policy::default()
            },
        ),
        workload("a", &["10.0.0.1/32", "fd00::1/128"]),
        workload("b", &["10.0.0.2/32"]),
    ];
    let mut model = PolicyModel::new();
    for update in updates {
        model.apply(update).unwrap();
    }
    model
}

#[test]
fn the_same_seed_gives_the_same_flows_and_all_differ() {
    let model = model();
    let once = flows(&model, None, 2_000, 7);
    assert_eq!(once.len(), 2_000);
    assert_eq!(once, flows(&model, None, 2_000, 7));
    assert_ne!(once, flows(&model, None, 2_000, 8));
    let different: BTreeSet<_> = once.iter().collect();
    assert_eq!(different.len(), once.len());
}

#[test]
fn every_edge_and_both_families_come_up() {
    let flows = flows(&model(), None, 2_000, 1);
    let has = |wanted: &str| {
        let wanted: IpAddr = wanted.parse().unwrap();
        flows.iter().any(|f| f.src == wanted) && flows.iter().any(|f| f.dst == wanted)
    };
    for addr in [
        "10.9.0.0",
        "10.9.0.3",
        "10.9.0.4",
        "10.8.255.255",
        "172.16.0.255",
        "172.16.1.0",
    ] {
        assert!(has(addr), "{addr}");
    }
    assert!(has("fd00::1") && has("2001:db8:ffff::77"));
    for port in [6999, 7000, 7005, 7010, 7011] {
        assert!(
            flows
                .iter()
                .any(|f| matches!(f.l4, L4::Ports { dst, .. } if dst == port))
        );
    }
    assert!(flows.iter().any(|f| f.protocol == Protocol(99)));
    assert!(flows.iter().any(|f| f.protocol == Protocol(253)));
    assert!(
        flows
            .iter()
            .all(|f| f.src != f.dst && f.src.is_ipv4() == f.dst.is_ipv4())
    );
}

#[test]
fn a_small_product_is_given_whole() {
    let mut model = PolicyModel::new();
    assert_eq!(flows(&model, None, 100, 1), []);
    model
        .apply(Update::Workload(
            WorkloadId {
                orchestrator: "k8s".into(),
                workload: "a".into(),
                endpoint: "eth0".into(),
            },
            WorkloadEndpoint {
                nets: vec!["10.0.0.1/32".parse().unwrap()],
                ..WorkloadEndpoint::default()
            },
        ))
        .unwrap();
    let all = flows(&model, None, 1_000_000, 1);
    assert!(all.len() < 1_000_000, "there are no more");
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(
        flows(&model, None, 10_001, 9).len(),
        10_001,
        "one pair, many ports"
    );
}
