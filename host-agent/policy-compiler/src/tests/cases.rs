//! Single cases that a reader can follow.

use ipnet::IpNet;
use policy_model::{
    Action, Direction, IpSetId, IpSetKind, Member, Policy, PolicyId, PolicyKind, PortRange,
    Protocol, Rule, RuleId, RuleNotes, Side, Tier, WorkloadEndpoint, WorkloadId,
};

use super::*;
use crate::{EndpointState, RuleHolder};

pub(super) fn rule(action: Action, src: Side, dst: Side) -> Rule {
    Rule {
        action,
        family: None,
        protocol: None,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        src,
        dst,
        http: None,
        id: RuleId::from("rule"),
        notes: std::sync::Arc::new(RuleNotes::default()),
    }
}

pub(super) fn policy_id(name: &str) -> PolicyId {
    PolicyId {
        kind: PolicyKind::GlobalNetworkPolicy,
        namespace: "".into(),
        name: name.into(),
    }
}

pub(super) fn pod_id(name: &str) -> WorkloadId {
    WorkloadId {
        orchestrator: "k8s".into(),
        workload: name.into(),
        endpoint: "eth0".into(),
    }
}

/// A pod that the policy `p` applies to in both directions.
pub(super) fn pod(number: usize, net: &str) -> WorkloadEndpoint {
    WorkloadEndpoint {
        active: true,
        interface: format!("cali{number}"),
        nets: vec![net.parse().unwrap()],
        tiers: vec![Tier {
            name: "default".into(),
            ingress: vec![policy_id("p")],
            egress: vec![policy_id("p")],
            default_pass: false,
        }],
        ..WorkloadEndpoint::default()
    }
}

fn set(id: &str, nets: &[&str]) -> Update {
    Update::IpSet {
        id: IpSetId::from(id),
        kind: IpSetKind::Net,
        members: nets
            .iter()
            .map(|net| Member::Net(net.parse().unwrap()))
            .collect(),
        invalid: Vec::new(),
    }
}

fn in_sets(sets: &[&str]) -> Side {
    Side {
        sets: sets.iter().map(|id| IpSetId::from(*id)).collect(),
        ..Side::default()
    }
}

pub(super) fn policy(inbound: Vec<Rule>, outbound: Vec<Rule>) -> Update {
    let policy = Policy {
        inbound,
        outbound,
        ..Policy::default()
    };
    Update::Policy(policy_id("p"), policy)
}

pub(super) struct Bench {
    pub(super) model: PolicyModel,
    pub(super) compiler: Compiler,
    pub(super) walker: Walker,
}

impl Bench {
    /// Judges by workload policy alone.
    fn new(updates: Vec<Update>) -> Self {
        Self::with(updates, true)
    }

    /// Judges by everything there is.
    pub(super) fn judging(updates: Vec<Update>) -> Self {
        Self::with(updates, false)
    }

    fn with(updates: Vec<Update>, policy_only: bool) -> Self {
        let mut bench = Self {
            model: model_of(updates),
            compiler: Compiler::new(capability(), semantics(policy_only)),
            walker: Walker::default(),
        };
        bench.model.apply(Update::InSync).unwrap();
        bench.commit();
        bench
    }

    fn commit(&mut self) -> Commit {
        let commit = commit(&mut self.compiler, &mut self.model);
        apply(&mut self.walker, &commit);
        commit
    }

    pub(super) fn update(&mut self, update: Update) -> Commit {
        self.model.apply(update).unwrap();
        self.commit()
    }

    fn allows(&self, flow: &Flow) -> bool {
        check_flow(
            &self.compiler,
            &self.walker,
            &self.model,
            &semantics(true),
            flow,
        );
        let port = self.walker.ingress_port(flow, UPLINK);
        self.walker.walk(port, flow).allow
    }

    pub(super) fn rows(&self, table: &str) -> usize {
        let usage = self.compiler.usage();
        let table = usage.iter().find(|usage| usage.name == table).unwrap();
        usize::try_from(table.rows).unwrap()
    }
}

#[test]
fn pods_of_one_policy_share_a_class_and_a_pod_more_costs_its_pointers() {
    let mut bench = Bench::new(vec![
        set("s:web", &["10.1.0.1/32", "10.1.0.2/32"]),
        policy(
            vec![rule(Action::Allow, in_sets(&["s:web"]), Side::default())],
            vec![],
        ),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    let classes = bench.compiler.class_ids();
    let commit = bench.update(Update::Workload(pod_id("b"), pod(1, "10.0.0.2/32")));
    assert_eq!(bench.compiler.class_ids(), classes);
    let updates: usize = commit.phases.iter().map(|phase| phase.updates.len()).sum();
    assert_eq!(updates, 3, "port, source and local address: {commit:#?}");
    assert!(bench.allows(&tcp("10.1.0.2", "10.0.0.2", 80)));
    assert!(!bench.allows(&tcp("10.1.0.3", "10.0.0.2", 80)));
}

#[test]
fn a_member_that_looks_like_another_costs_one_row() {
    let mut bench = Bench::new(vec![
        set("s:web", &["10.1.0.1/32"]),
        policy(
            vec![rule(Action::Allow, in_sets(&["s:web"]), Side::default())],
            vec![],
        ),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    let commit = bench.update(Update::IpSetDelta {
        id: IpSetId::from("s:web"),
        added: vec![Member::Net("10.1.0.9/32".parse().unwrap())],
        removed: Vec::new(),
        invalid_added: Vec::new(),
        invalid_removed: Vec::new(),
    });
    let updates: Vec<_> = commit
        .phases
        .iter()
        .flat_map(|phase| &phase.updates)
        .collect();
    assert_eq!(updates.len(), 1, "{updates:#?}");
    assert!(bench.allows(&tcp("10.1.0.9", "10.0.0.1", 80)));
}

#[test]
fn a_set_that_no_rule_asks_about_costs_nothing() {
    let mut bench = Bench::new(vec![
        policy(vec![], vec![]),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    let commit = bench.update(set("s:new", &["10.1.0.1/32", "10.2.0.0/16"]));
    assert_eq!(commit.phases, Vec::new());
}

#[test]
fn a_host_in_a_set_and_inside_a_net_of_another_is_in_both_at_every_moment() {
    // Denied if in s and not in t; t holds the address through a net from the start.
    let not_t = Side {
        not_sets: vec![IpSetId::from("s:t")],
        ..in_sets(&["s:s"])
    };
    let mut bench = Bench::new(vec![
        set("s:s", &["10.9.0.1/32"]),
        set("s:t", &["10.0.0.0/8"]),
        policy(
            vec![
                rule(Action::Deny, not_t, Side::default()),
                rule(Action::Allow, Side::default(), Side::default()),
            ],
            vec![],
        ),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    let flow = tcp("10.1.0.1", "10.0.0.1", 80);
    assert!(bench.allows(&flow));
    let before = bench.walker.clone();
    // The host and a net around it come into s in one delta.
    let commit = bench.update(Update::IpSetDelta {
        id: IpSetId::from("s:s"),
        added: vec![
            Member::Net("10.1.0.1/32".parse().unwrap()),
            Member::Net("10.0.0.0/8".parse().unwrap()),
        ],
        removed: Vec::new(),
        invalid_added: Vec::new(),
        invalid_removed: Vec::new(),
    });
    assert!(bench.allows(&flow));
    for backwards in [false, true] {
        let mut walker = before.clone();
        for phase in &commit.phases {
            let mut updates = phase.updates.clone();
            if backwards {
                updates.reverse();
            }
            for update in updates {
                let line = format!("{update:?}");
                walker.apply(update).unwrap();
                assert!(walker.walk(UPLINK, &flow).allow, "after {line}");
            }
        }
    }
}

#[test]
fn a_named_port_is_an_alternative_to_numbers() {
    let named = Side {
        ports: vec![PortRange {
            first: 80,
            last: 80,
        }],
        named_ports: vec![IpSetId::from("n:http")],
        ..Side::default()
    };
    let bench = Bench::new(vec![
        Update::IpSet {
            id: IpSetId::from("n:http"),
            kind: IpSetKind::IpAndPort,
            members: vec![Member::Port {
                addr: "10.1.0.1".parse().unwrap(),
                protocol: Protocol::TCP,
                port: 8080,
            }],
            invalid: Vec::new(),
        },
        policy(vec![], vec![rule(Action::Allow, Side::default(), named)]),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    assert!(bench.allows(&tcp("10.0.0.1", "10.1.0.1", 8080)));
    assert!(bench.allows(&tcp("10.0.0.1", "10.1.0.2", 80)));
    assert!(!bench.allows(&tcp("10.0.0.1", "10.1.0.2", 8080)));
    assert!(!bench.allows(&tcp("10.0.0.1", "10.1.0.1", 8081)));
    assert_eq!(bench.rows("acl_service_v4"), 1);
}

#[test]
fn the_end_of_a_tier_is_told_with_its_policy() {
    let bench = Bench::new(vec![
        policy(vec![], vec![]),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    let explanation = bench
        .compiler
        .explain(&site(), &tcp("10.1.0.1", "10.0.0.1", 80));
    let rule = explanation.decided_by.unwrap();
    assert_eq!(rule.holder, RuleHolder::Policy(policy_id("p")));
    assert_eq!((rule.direction, rule.rule), (Direction::Ingress, None));
    assert_eq!(rule.to_string(), "default||p|-1");
    assert_eq!(explanation.drop.as_deref(), Some("ingress_policy"));
    assert!(
        explanation.legs[0]
            .rows
            .iter()
            .any(|row| row.starts_with("acl_class_default"))
    );
}

#[test]
fn an_endpoint_without_a_port_is_told_and_closed() {
    let mut elsewhere = pod(0, "10.0.0.9/32");
    elsewhere.interface = "unknown0".into();
    let bench = Bench::new(vec![
        policy(
            vec![rule(Action::Allow, Side::default(), Side::default())],
            vec![rule(Action::Allow, Side::default(), Side::default())],
        ),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
        Update::Workload(pod_id("z"), elsewhere),
    ]);
    let state = bench.compiler.endpoint_state(&pod_id("z")).unwrap();
    assert!(matches!(state, EndpointState::NoPort { interface } if interface == "unknown0"));
    let walk = bench.walker.walk(0, &tcp("10.0.0.1", "10.0.0.9", 80));
    assert_eq!(walk.drop.as_deref(), Some("ingress_closed"));
}

#[test]
fn a_refused_leg_denies_and_the_other_one_goes_on() {
    let missing = in_sets(&["s:missing"]);
    let bench = Bench::new(vec![
        policy(
            vec![rule(Action::Allow, missing, Side::default())],
            vec![rule(Action::Allow, Side::default(), Side::default())],
        ),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    assert!(bench.allows(&tcp("10.0.0.1", "10.1.0.1", 80)));
    assert!(!bench.allows(&tcp("10.1.0.1", "10.0.0.1", 80)));
    let state = bench.compiler.endpoint_state(&pod_id("a")).unwrap();
    let EndpointState::Partly { reasons } = state else {
        panic!("{state:?}");
    };
    assert!(reasons[0].contains("s:missing"), "{reasons:?}");
}

#[test]
fn an_allowed_source_prefix_is_judged_by_the_rules_for_each_of_its_addresses() {
    let mut router = pod(0, "10.0.0.1/32");
    router.spoofed_sources = vec!["172.16.0.0/16".parse().unwrap()];
    let bench = Bench::new(vec![
        set(
            "s:good",
            &["172.16.1.0/24", "172.16.1.7/32", "172.16.2.2/32"],
        ),
        set("s:bad", &["172.16.1.7/32"]),
        policy(
            vec![],
            vec![
                rule(Action::Deny, in_sets(&["s:bad"]), Side::default()),
                rule(Action::Allow, in_sets(&["s:good"]), Side::default()),
            ],
        ),
        Update::Workload(pod_id("a"), router),
    ]);
    let from = |src: &str| bench.walker.walk(0, &tcp(src, "10.1.0.1", 80));
    assert!(from("172.16.1.8").allow);
    assert!(from("172.16.2.2").allow);
    assert_eq!(from("172.16.1.7").drop.as_deref(), Some("egress_policy"));
    assert_eq!(from("172.16.3.1").drop.as_deref(), Some("egress_policy"));
    assert_eq!(from("172.17.0.1").drop.as_deref(), Some("spoofed_address"));
}

#[test]
fn nothing_is_emitted_before_the_model_is_in_sync() {
    let mut model = model_of(vec![
        policy(vec![], vec![]),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    let mut compiler = Compiler::new(capability(), semantics(true));
    assert_eq!(commit(&mut compiler, &mut model), Commit::default());
    assert!(compiler.rows().is_empty());
    model.apply(Update::InSync).unwrap();
    assert!(!commit(&mut compiler, &mut model).phases.is_empty());
}

#[test]
fn an_address_taken_over_moves_its_pointers() {
    let all = || rule(Action::Allow, Side::default(), Side::default());
    let mut bench = Bench::new(vec![
        policy(vec![all()], vec![all()]),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
        Update::Workload(pod_id("b"), pod(1, "10.0.0.1/32")),
    ]);
    let flow = tcp("10.1.0.1", "10.0.0.1", 80);
    assert_eq!(bench.walker.walk(UPLINK, &flow).out_port, Some(0));
    bench.update(Update::WorkloadRemove(pod_id("a")));
    assert_eq!(bench.walker.walk(UPLINK, &flow).out_port, Some(1));
    assert!(bench.allows(&tcp("10.0.0.1", "10.1.0.1", 80)));
}

#[test]
fn a_class_can_be_read() {
    let web: IpNet = "10.1.0.1/32".parse().unwrap();
    let bench = Bench::new(vec![
        set("s:web", &[&web.to_string()]),
        policy(
            vec![rule(Action::Allow, in_sets(&["s:web"]), Side::default())],
            vec![],
        ),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
    ]);
    let classes = bench.compiler.class_ids();
    let texts: Vec<String> = classes
        .iter()
        .filter_map(|class| bench.compiler.render_class(*class))
        .collect();
    assert_eq!(texts.len(), classes.len());
    let ingress = texts.iter().find(|text| text.contains("Ingress")).unwrap();
    assert!(
        ingress.contains("default||p|0: allow; in all of set s:web"),
        "{ingress}"
    );
    assert!(ingress.contains("default||p|-1: deny"), "{ingress}");
    assert_eq!(bench.compiler.render_class(0), None);
}

/// Rules are bits in words of 64: those of later words count as well, whatever the earlier ones say.
#[test]
fn a_policy_of_two_hundred_rules_is_searched_to_its_end() {
    let rules = (0..200_u8).map(|index| {
        let net: IpNet = format!("10.9.{index}.0/24").parse().unwrap();
        let port = 1000 + u16::from(index);
        let side = Side {
            ports: vec![PortRange {
                first: port,
                last: port,
            }],
            ..Side::default()
        };
        Rule {
            protocol: Some(Protocol::TCP),
            ..rule(Action::Allow, in_nets(net), side)
        }
    });
    let bench = Bench::new(vec![
        policy(rules.collect(), Vec::new()),
        Update::Workload(pod_id("a"), pod(1, "10.0.0.1/32")),
    ]);
    for index in 0..200_u16 {
        let source = format!("10.9.{index}.7");
        assert!(bench.allows(&tcp(&source, "10.0.0.1", 1000 + index)));
        assert!(!bench.allows(&tcp(&source, "10.0.0.1", 1001 + index)));
    }
    assert!(!bench.allows(&tcp("10.8.0.1", "10.0.0.1", 1000)));
}

fn in_nets(net: IpNet) -> Side {
    Side {
        nets: vec![net],
        ..Side::default()
    }
}
