//! Host endpoints in rows: what they cost, and what they do not.

use policy_model::{HostEndpoint, HostEndpointId, PolicyModel};

use super::cases::{Bench, pod, pod_id, policy, policy_id, rule};
use super::*;
use policy_model::{Action, Config, Side, Tier};

fn all() -> policy_model::Rule {
    rule(Action::Allow, Side::default(), Side::default())
}

/// Two pods that one policy allows everything.
fn pods() -> Vec<Update> {
    let hostname = ("FelixHostname".to_owned(), "node".to_owned());
    vec![
        Update::Config(Config {
            values: [hostname].into(),
        }),
        policy(vec![all()], vec![all()]),
        Update::Workload(pod_id("a"), pod(0, "10.0.0.1/32")),
        Update::Workload(pod_id("b"), pod(1, "10.0.0.2/32")),
    ]
}

fn tiers() -> Vec<Tier> {
    vec![Tier {
        name: "default".into(),
        ingress: vec![policy_id("p")],
        egress: vec![policy_id("p")],
        default_pass: false,
    }]
}

fn host(edit: impl FnOnce(&mut HostEndpoint)) -> Update {
    let mut endpoint = HostEndpoint {
        interface: "eth0".into(),
        ..HostEndpoint::default()
    };
    edit(&mut endpoint);
    Update::HostEndpoint(HostEndpointId::from("h"), endpoint)
}

fn steps(bench: &Bench, port: u16, flow: &Flow) -> Vec<(LegOwner, usize)> {
    let walk = bench.walker.walk(port, flow);
    walk.legs.iter().map(|leg| (leg.owner, leg.steps)).collect()
}

#[test]
fn a_packet_that_no_list_concerns_takes_no_step_more() {
    let mut bench = Bench::judging(pods());
    let (into, out) = (
        tcp("10.1.0.1", "10.0.0.1", 80),
        tcp("10.0.0.1", "10.1.0.1", 80),
    );
    let before = [steps(&bench, UPLINK, &into), steps(&bench, 0, &out)];
    let commit = bench.update(host(|host| host.tiers = tiers()));
    assert_eq!(
        [steps(&bench, UPLINK, &into), steps(&bench, 0, &out)],
        before
    );
    assert!(
        commit.touched.is_empty(),
        "the normal list is the node's alone"
    );
    let to_pods = bench.update(host(|host| host.forward_tiers = tiers()));
    assert_eq!(to_pods.touched.len(), 2);
    assert_eq!(steps(&bench, UPLINK, &into).len(), 2);
    assert_eq!(
        steps(&bench, 0, &tcp("10.0.0.1", "10.0.0.2", 80)).len(),
        2,
        "egress and ingress, as ever"
    );
}

#[test]
fn pods_that_a_list_does_not_tell_apart_share_its_classes() {
    let mut bench = Bench::judging(pods());
    bench.update(host(|host| host.forward_tiers = tiers()));
    let (classes, chains) = (bench.compiler.class_ids(), bench.rows("acl_chain"));
    bench.update(Update::Workload(pod_id("c"), pod(2, "10.0.0.3/32")));
    assert_eq!(bench.compiler.class_ids(), classes);
    assert_eq!(bench.rows("acl_chain"), chains);
}

#[test]
fn each_list_denies_by_a_name_of_its_own() {
    let mut bench = Bench::judging(pods());
    let deny = || rule(Action::Deny, Side::default(), Side::default());
    let mut other = policy_model::Policy::default();
    (other.inbound, other.outbound) = (vec![deny()], vec![deny()]);
    bench.update(Update::Policy(policy_id("q"), other));
    let denying = || {
        let mut tiers = tiers();
        tiers[0].ingress = vec![policy_id("q")];
        tiers[0].egress = vec![policy_id("q")];
        tiers
    };
    let node = "192.0.2.1";
    let drop = |bench: &Bench, port, flow: &Flow| bench.walker.walk(port, flow).drop.unwrap();
    let into = tcp("10.1.0.1", "10.0.0.1", 80);
    bench.update(host(|host| host.forward_tiers = denying()));
    assert_eq!(drop(&bench, UPLINK, &into), "host_endpoint_ingress");
    let out = tcp("10.0.0.1", "10.1.0.1", 80);
    assert_eq!(drop(&bench, 0, &out), "host_endpoint_egress");
    bench.update(host(|host| host.untracked_tiers = denying()));
    assert_eq!(drop(&bench, UPLINK, &into), "host_endpoint_untracked");
    assert!(bench.walker.walk(0, &out).allow, "forwarded outwards never");
    bench.update(host(|host| host.tiers = denying()));
    let to_node = tcp("10.1.0.1", node, 80);
    assert_eq!(drop(&bench, UPLINK, &to_node), "host_endpoint_ingress");
    let from_node = tcp(node, "10.1.0.1", 80);
    assert_eq!(drop(&bench, HOST, &from_node), "host_endpoint_egress");
    let from_pod = tcp("10.0.0.1", node, 80);
    assert_eq!(drop(&bench, 0, &from_pod), "to_host");
    assert!(bench.walker.walk(HOST, &tcp(node, "10.0.0.1", 80)).allow);
}

#[test]
fn without_a_port_the_node_is_no_destination() {
    let mut model: PolicyModel = model_of(pods());
    model.apply(host(|host| host.tiers = tiers())).unwrap();
    model.apply(Update::InSync).unwrap();
    let mut compiler = Compiler::new(capability(), semantics(false));
    let site = crate::Site {
        host: None,
        ..site()
    };
    let changes = model.take_changes();
    compiler.commit(&model, &changes, &site).unwrap();
    let walker = Walker::new(compiler.snapshot());
    let walk = walker.walk(UPLINK, &tcp("10.1.0.1", "192.0.2.1", 80));
    assert_eq!(walk.drop.as_deref(), Some("not_local"));
    assert!(!walker.walk(HOST, &tcp("192.0.2.1", "10.1.0.1", 80)).allow);
}

#[test]
fn lists_that_cannot_be_enforced_deny_and_say_so() {
    let mut bench = Bench::judging(pods());
    let commit = bench.update(host(|host| {
        host.forward_tiers = tiers();
        host.forward_tiers[0].ingress = vec![policy_id("gone")];
    }));
    assert!(
        commit
            .refusals
            .iter()
            .any(|r| r.to_string().contains("gone"))
    );
    let into = tcp("10.1.0.1", "10.0.0.1", 80);
    let walk = bench.walker.walk(UPLINK, &into);
    assert_eq!(walk.drop.as_deref(), Some("host_endpoint_ingress"));
    let rule = walk.legs[0].rule.and_then(|id| bench.compiler.rule(id));
    let refused = RuleHolder::Host(HostAction::Refused);
    assert_eq!(rule.map(|rule| &rule.holder), Some(&refused));
    assert!(bench.walker.walk(0, &tcp("10.0.0.1", "10.1.0.1", 80)).allow);
}
