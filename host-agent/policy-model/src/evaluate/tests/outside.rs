//! What denies outside policy: strangers, tunnels, the node itself, refused legs.

use crate::fixture::*;
use crate::*;

const A: &str = "10.0.0.1";
const NODE: &str = "192.168.0.10";
const OTHER_NODE: &str = "192.168.0.11";

const POLICY_ONLY: Semantics = Semantics {
    http: HttpHandling::Refuse,
    policy_only: true,
    node: Node::UNKNOWN,
    limits: true,
};

/// An endpoint whose profile allows everything.
fn open() -> Vec<Update> {
    let mut endpoint = workload(&[A]);
    endpoint.profiles = profile_ids(&["open"]);
    vec![
        Update::Profile(ProfileId::from("open"), profile(&[rule(Action::Allow)])),
        Update::Workload(workload_id("a"), endpoint),
    ]
}

fn config(values: &[(&str, &str)]) -> Update {
    let values = values
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Update::Config(Config {
        values: values.collect(),
    })
}

fn judge(updates: Vec<Update>, semantics: &Semantics, flow: Flow) -> Verdict {
    evaluate(&model(updates), semantics, &flow)
}

#[test]
fn strangers_are_not_passed_through() {
    let verdict = judge(open(), &POLICY_ONLY, tcp("192.0.2.1", "192.0.2.2", 80));
    assert!(!verdict.allow);
    assert!(verdict.legs.is_empty());
    assert!(verdict.decided_by.reason.contains("local"));
}

#[test]
fn families_do_not_mix() {
    assert!(!judge(open(), &POLICY_ONLY, tcp(A, "fd00::1", 80)).allow);
}

#[test]
fn an_endpoint_that_is_not_active_denies_both_ways() {
    let mut updates = open();
    let Some(Update::Workload(_, endpoint)) = updates.last_mut() else {
        panic!("the endpoint is last");
    };
    endpoint.active = false;
    assert!(!judge(updates.clone(), &POLICY_ONLY, tcp(A, "192.0.2.1", 80)).allow);
    let inbound = judge(updates, &POLICY_ONLY, tcp("192.0.2.1", A, 80));
    assert!(!inbound.allow);
    assert!(inbound.decided_by.reason.contains("not active"));
}

#[test]
fn tunnels_from_workloads_need_leave() {
    let udp = |port| {
        flow(
            A,
            "192.0.2.1",
            Protocol::UDP,
            L4::Ports { src: 1, dst: port },
        )
    };
    let ipip = flow(A, "192.0.2.1", Protocol::IPIP, L4::Other);
    let with = |values: &[(&str, &str)]| {
        let mut updates = open();
        updates.push(config(values));
        updates
    };
    let strict = Semantics::default();
    assert!(!judge(with(&[]), &strict, udp(4789)).allow);
    assert!(judge(with(&[]), &strict, udp(4788)).allow);
    assert!(judge(with(&[]), &POLICY_ONLY, udp(4789)).allow);
    assert!(judge(with(&[("VXLANPort", "4788")]), &strict, udp(4789)).allow);
    assert!(!judge(with(&[("VXLANPort", "4788")]), &strict, udp(4788)).allow);
    assert!(
        judge(
            with(&[("AllowVXLANPacketsFromWorkloads", "true")]),
            &strict,
            udp(4789)
        )
        .allow
    );
    assert!(
        !judge(
            with(&[("AllowVXLANPacketsFromWorkloads", "perhaps")]),
            &strict,
            udp(4789)
        )
        .allow
    );
    assert!(!judge(with(&[]), &strict, ipip).allow);
    assert!(
        judge(
            with(&[("AllowIPIPPacketsFromWorkloads", "true")]),
            &strict,
            ipip
        )
        .allow
    );
    assert!(judge(with(&[]), &POLICY_ONLY, ipip).allow);
    let inbound = flow("192.0.2.1", A, Protocol::IPIP, L4::Other);
    assert!(
        judge(with(&[]), &strict, inbound).allow,
        "only from workloads"
    );
}

#[test]
fn the_own_node_is_closed() {
    let mut updates = open();
    updates.push(config(&[("FelixHostname", "node-a")]));
    for (node, addr) in [("node-a", NODE), ("node-b", OTHER_NODE)] {
        let host = HostMetadata {
            v4: Some(format!("{addr}/24").parse().unwrap()),
            ..HostMetadata::default()
        };
        updates.push(Update::HostMetadata(node.into(), host));
    }
    assert!(!judge(updates.clone(), &Semantics::default(), tcp(A, NODE, 80)).allow);
    assert!(
        judge(
            updates.clone(),
            &Semantics::default(),
            tcp(A, OTHER_NODE, 80)
        )
        .allow
    );
    assert!(judge(updates.clone(), &POLICY_ONLY, tcp(A, NODE, 80)).allow);
    let model = model(updates);
    assert_eq!(model.refusals(&Semantics::default()), []);
}

#[test]
fn a_refused_leg_denies_and_says_why() {
    let missing = PolicyId {
        kind: PolicyKind::Unstated,
        ..policy_id("gone")
    };
    let mut updates = open();
    let Some(Update::Workload(_, endpoint)) = updates.last_mut() else {
        panic!("the endpoint is last");
    };
    endpoint.tiers = vec![Tier {
        ingress: vec![missing],
        egress: Vec::new(),
        ..tier("t", &[])
    }];
    let inbound = judge(updates.clone(), &POLICY_ONLY, tcp("192.0.2.1", A, 80));
    assert!(!inbound.allow);
    assert_eq!(
        inbound.decided_by.reason,
        "Refused: policy ns/gone: policy ns/gone is named but was never sent."
    );
    assert!(
        judge(updates, &POLICY_ONLY, tcp(A, "192.0.2.1", 80)).allow,
        "the other leg stands"
    );
}

#[test]
fn policy_denial_comes_before_what_denies_outside_it() {
    let mut updates = open();
    updates.push(Update::Profile(
        ProfileId::from("open"),
        profile(&[rule(Action::Deny)]),
    ));
    updates.push(config(&[("FelixHostname", "node-a")]));
    let host = HostMetadata {
        v4: Some(format!("{NODE}/24").parse().unwrap()),
        ..HostMetadata::default()
    };
    updates.push(Update::HostMetadata("node-a".into(), host));
    let verdict = judge(updates, &Semantics::default(), tcp(A, NODE, 80));
    assert_eq!(verdict.decided_by.policy, "open");
    let as_json = serde_json::to_value(&verdict).unwrap();
    let back: Verdict = serde_json::from_value(as_json).unwrap();
    assert_eq!(back, verdict);
}
