//! What is refused, and what not.

use crate::fixture::*;
use crate::*;

const STRICT: Semantics = Semantics {
    http: HttpHandling::Refuse,
    policy_only: false,
    node: Node::UNKNOWN,
    limits: true,
};

/// An endpoint whose only policy, in both directions, holds this rule.
fn with_rule(edit: impl Fn(&mut Rule)) -> Vec<Update> {
    let mut only = rule(Action::Allow);
    edit(&mut only);
    let mut endpoint = workload(&["10.0.0.1"]);
    endpoint.tiers = vec![tier("default", &[policy_id("p")])];
    vec![
        Update::Policy(policy_id("p"), policy(&[only])),
        Update::Workload(workload_id("w"), endpoint),
    ]
}

fn legs(updates: Vec<Update>) -> [Option<RefusalReason>; 2] {
    let model = model(updates);
    [Direction::Ingress, Direction::Egress].map(|direction| {
        let refusal = model.leg_refusal(&workload_id("w"), direction, &STRICT)?;
        let listed = model.refusals(&STRICT);
        assert!(listed.contains(&refusal), "{refusal} is not in {listed:?}");
        Some(refusal.reason)
    })
}

fn both(updates: Vec<Update>) -> RefusalReason {
    let [ingress, egress] = legs(updates);
    assert_eq!(ingress, egress);
    ingress.unwrap()
}

#[test]
fn plain_policy_is_not_refused() {
    let updates = with_rule(|_| {});
    assert_eq!(legs(updates.clone()), [None, None]);
    assert_eq!(model(updates).refusals(&STRICT), []);
}

#[test]
fn an_http_match_is_refused_unless_its_l3_part_is_asked_for() {
    let updates = with_rule(|r| r.http = Some(HttpMatch::default()));
    assert_eq!(both(updates.clone()), RefusalReason::HttpMatch);
    let l4 = Semantics {
        http: HttpHandling::L4,
        ..STRICT
    };
    assert_eq!(model(updates).refusals(&l4), []);
}

#[test]
fn sets_that_are_missing_of_the_wrong_kind_or_not_understood_are_refused() {
    let named = |r: &mut Rule| r.src.not_sets = vec![IpSetId::from("s")];
    let missing = RefusalReason::Missing(Subject::IpSet(IpSetId::from("s")));
    assert_eq!(both(with_rule(named)), missing);

    let mut wrong = vec![set("s", IpSetKind::IpAndPort, &[])];
    wrong.extend(with_rule(named));
    assert!(matches!(both(wrong), RefusalReason::Invalid(text) if text.contains("IpAndPort")));

    let mut invalid = vec![Update::IpSet {
        id: IpSetId::from("s"),
        kind: IpSetKind::Net,
        members: Vec::new(),
        invalid: vec!["10.0.0.300".into()],
    }];
    invalid.extend(with_rule(named));
    let reason = both(invalid.clone());
    assert!(matches!(&reason, RefusalReason::Invalid(text) if text.contains("10.0.0.300")));
    invalid.push(Update::IpSetDelta {
        id: IpSetId::from("s"),
        added: Vec::new(),
        removed: Vec::new(),
        invalid_added: Vec::new(),
        invalid_removed: vec!["10.0.0.300".into()],
    });
    assert_eq!(legs(invalid), [None, None], "the member is gone");
}

#[test]
fn every_list_of_sets_is_looked_at() {
    let lists: [fn(&mut Side) -> &mut Vec<IpSetId>; 5] = [
        |side| &mut side.sets,
        |side| &mut side.not_sets,
        |side| &mut side.named_ports,
        |side| &mut side.not_named_ports,
        |side| &mut side.ip_port_sets,
    ];
    for list in lists {
        for destination in [false, true] {
            let updates = with_rule(|r| {
                let side = if destination { &mut r.dst } else { &mut r.src };
                list(side).push(IpSetId::from("gone"));
            });
            assert!(matches!(
                both(updates),
                RefusalReason::Missing(Subject::IpSet(_))
            ));
        }
    }
}

#[test]
fn an_invalid_rule_refuses_its_direction_only() {
    let mut updates = with_rule(|_| {});
    let Update::Policy(_, policy) = &mut updates[0] else {
        panic!("the policy is first");
    };
    policy.invalid.push(InvalidRule {
        direction: Direction::Egress,
        index: 3,
        id: RuleId::from(""),
        reason: "protocol name \"foo\"".into(),
    });
    let [ingress, egress] = legs(updates.clone());
    assert_eq!(ingress, None);
    assert_eq!(
        egress,
        Some(RefusalReason::Invalid("protocol name \"foo\"".into()))
    );
    let listed = model(updates).refusals(&STRICT);
    assert_eq!(
        listed[0].to_string(),
        "policy ns/p, egress, rule 3: not understood: protocol name \"foo\""
    );
}

#[test]
fn unknown_kinds_untracked_and_missing_policies_are_refused_and_staged_ones_never() {
    let with_id = |id: PolicyId, policy: Option<Policy>| {
        let mut endpoint = workload(&["10.0.0.1"]);
        endpoint.tiers = vec![tier("default", std::slice::from_ref(&id))];
        let mut updates = vec![Update::Workload(workload_id("w"), endpoint)];
        updates.extend(policy.map(|policy| Update::Policy(id, policy)));
        updates
    };
    let plain = || Some(policy(&[]));
    let unknown = PolicyId {
        kind: PolicyKind::Unknown("QuantumPolicy".into()),
        ..policy_id("p")
    };
    assert_eq!(
        both(with_id(unknown, plain())),
        RefusalReason::UnknownKind("QuantumPolicy".into())
    );
    let missing = RefusalReason::Missing(Subject::Policy(policy_id("p")));
    assert_eq!(both(with_id(policy_id("p"), None)), missing);
    for edit in [
        |p: &mut Policy| p.untracked = true,
        |p: &mut Policy| p.pre_dnat = true,
    ] {
        let mut odd = policy(&[]);
        edit(&mut odd);
        let reason = both(with_id(policy_id("p"), Some(odd)));
        assert!(matches!(reason, RefusalReason::Unsupported(_)));
    }
    assert_eq!(legs(with_id(staged_id("p"), None)), [None, None]);
}

#[test]
fn profiles_are_held_to_the_same() {
    let mut endpoint = workload(&["10.0.0.1"]);
    endpoint.profiles = profile_ids(&["kns.gone"]);
    let updates = vec![Update::Workload(workload_id("w"), endpoint)];
    let missing = RefusalReason::Missing(Subject::Profile(ProfileId::from("kns.gone")));
    assert_eq!(both(updates.clone()), missing);
    let mut http = rule(Action::Allow);
    http.http = Some(HttpMatch::default());
    let arrived = Update::Profile(ProfileId::from("kns.gone"), profile(&[http]));
    let updates: Vec<_> = [arrived].into_iter().chain(updates).collect();
    assert_eq!(both(updates), RefusalReason::HttpMatch);
}

#[test]
fn an_endpoint_that_is_not_understood_denies_both_ways() {
    let mut wide = workload(&[]);
    wide.nets = vec!["10.0.0.0/24".parse().unwrap()];
    let reason = both(vec![Update::Workload(workload_id("w"), wide)]);
    assert!(matches!(reason, RefusalReason::Invalid(text) if text.contains("10.0.0.0/24")));
    let mut odd = workload(&["10.0.0.1"]);
    odd.invalid = vec!["mac \"zz\"".into()];
    let reason = both(vec![Update::Workload(workload_id("w"), odd)]);
    assert_eq!(reason, RefusalReason::Invalid("mac \"zz\"".into()));
}

#[test]
fn what_is_not_enforced_is_listed_without_closing_the_endpoint() {
    let mut endpoint = workload(&["10.0.0.1"]);
    endpoint
        .unenforced
        .insert("qos_controls".into(), "egress connections 100".into());
    let updates = vec![Update::Workload(workload_id("w"), endpoint)];
    assert_eq!(legs(updates.clone()), [None, None]);
    let listed = model(updates).refusals(&STRICT);
    assert_eq!(listed.len(), 1);
    assert!(listed[0].to_string().contains("egress connections 100"));
}

#[test]
fn host_endpoints_that_cover_nothing_or_are_not_understood_are_listed() {
    let semantics = Semantics {
        node: Node {
            uplink: "eth0".into(),
            ..Node::UNKNOWN
        },
        ..STRICT
    };
    let listed = |interface: &str, edit: fn(&mut HostEndpoint)| {
        let mut endpoint = HostEndpoint {
            interface: interface.into(),
            ..HostEndpoint::default()
        };
        edit(&mut endpoint);
        let model = model([Update::HostEndpoint(HostEndpointId::from("h"), endpoint)]);
        model.refusals(&semantics)
    };
    assert_eq!(listed("eth0", |_| {}), []);
    assert_eq!(listed("*", |_| {}), []);
    assert_eq!(listed("eth1", |_| {}).len(), 1);
    let missing = listed("eth0", |e| {
        e.forward_tiers = vec![tier("t", &[policy_id("p")])];
    });
    assert_eq!(missing.len(), 1, "{missing:?}");
    let staged = listed("eth0", |e| {
        e.forward_tiers = vec![tier("t", &[staged_id("p")])];
    });
    assert_eq!(staged, []);
    let invalid = listed("eth0", |e| e.invalid = vec!["a field".into()]);
    assert_eq!(invalid.len(), 1, "{invalid:?}");
}

#[test]
fn untracked_and_pre_dnat_policies_are_for_host_endpoints() {
    let raw = Policy {
        untracked: true,
        ..policy(&[])
    };
    let listed = Update::Policy(policy_id("p"), raw);
    let unused = model([listed.clone()]);
    assert_eq!(unused.refusals(&STRICT), []);
    let mut endpoint = workload(&["10.0.0.1"]);
    endpoint.tiers = vec![tier("t", &[policy_id("p")])];
    let on_workload = model([listed, Update::Workload(workload_id("w"), endpoint)]);
    assert!(!on_workload.refusals(&STRICT).is_empty());
}

#[test]
fn leave_to_reach_the_node_is_refused_visibly() {
    let config = |word: &str| {
        let values = [("DefaultEndpointToHostAction".to_owned(), word.to_owned())];
        model([Update::Config(Config {
            values: values.into(),
        })])
    };
    assert_eq!(config("Drop").refusals(&STRICT), []);
    let listed = config("Return").refusals(&STRICT);
    assert_eq!(
        listed[0].subject,
        Subject::Config("DefaultEndpointToHostAction".into())
    );
}
