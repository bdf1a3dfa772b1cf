//! Tiers, policies, rules and profiles in their order.

use crate::fixture::*;
use crate::*;

const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";

fn allow() -> Rule {
    rule(Action::Allow)
}

fn on_port(action: Action, port: u16) -> Rule {
    let mut rule = rule(action);
    rule.dst.ports = vec![range(port, port)];
    rule
}

/// Destination `b` with these tiers and profiles, judged for TCP to this port from a stranger.
fn judged(
    policies: &[(PolicyId, Policy)],
    profiles: &[(&str, Profile)],
    tiers: Vec<Tier>,
    port: u16,
) -> Leg {
    let mut endpoint = workload(&[B]);
    endpoint.tiers = tiers;
    endpoint.profiles = profiles
        .iter()
        .map(|(name, _)| ProfileId::from(*name))
        .collect();
    let updates = policies
        .iter()
        .map(|(id, policy)| Update::Policy(id.clone(), policy.clone()))
        .chain(
            profiles
                .iter()
                .map(|(name, profile)| Update::Profile(ProfileId::from(*name), profile.clone())),
        )
        .chain([Update::Workload(workload_id("b"), endpoint)]);
    let verdict = evaluate(&model(updates), &Semantics::default(), &tcp(A, B, port));
    let leg = verdict.legs.into_iter().next().unwrap();
    assert_eq!(leg.allow, verdict.allow);
    assert_eq!(leg.decision, verdict.decided_by);
    leg
}

fn passing(mut tier: Tier) -> Tier {
    tier.default_pass = true;
    tier
}

#[test]
fn the_first_matching_rule_of_the_first_policy_decides() {
    let policies = [
        (
            policy_id("p1"),
            policy(&[on_port(Action::Deny, 80), on_port(Action::Allow, 81)]),
        ),
        (policy_id("p2"), policy(&[allow()])),
    ];
    let tiers = vec![tier("default", &[policy_id("p1"), policy_id("p2")])];
    let trace = |port| judged(&policies, &[], tiers.clone(), port).trace();
    assert_eq!(trace(80), "default|ns|p1|0|Deny");
    assert_eq!(trace(81), "default|ns|p1|1|Allow");
    assert_eq!(trace(82), "default|ns|p2|0|Allow");
}

#[test]
fn the_end_of_a_tier_denies_or_passes_in_the_name_of_its_first_policy() {
    let policies = [
        (policy_id("p1"), policy(&[on_port(Action::Allow, 80)])),
        (policy_id("p2"), policy(&[on_port(Action::Allow, 81)])),
    ];
    let ids = [policy_id("p1"), policy_id("p2")];
    let denied = judged(&policies, &[], vec![tier("t", &ids)], 82);
    assert_eq!(denied.trace(), "t|ns|p1|-1|Deny");
    assert_eq!(denied.decision.rule, None);
    let profiles = [("open", profile(&[allow()]))];
    let passed = judged(&policies, &profiles, vec![passing(tier("t", &ids))], 82);
    assert_eq!(
        passed.trace(),
        "t|ns|p1|-1|Pass ; __PROFILE__||open|0|Allow"
    );
}

#[test]
fn pass_leaves_the_tier_at_once() {
    let policies = [
        (
            policy_id("p1"),
            policy(&[rule(Action::Pass), rule(Action::Deny)]),
        ),
        (policy_id("p2"), policy(&[rule(Action::Deny)])),
        (policy_id("p3"), policy(&[allow()])),
    ];
    let tiers = vec![
        tier("t0", &[policy_id("p1"), policy_id("p2")]),
        tier("t1", &[policy_id("p3")]),
    ];
    let leg = judged(&policies, &[], tiers, 80);
    assert_eq!(leg.trace(), "t0|ns|p1|0|Pass ; t1|ns|p3|0|Allow");
}

#[test]
fn a_pass_in_the_last_tier_goes_on_to_the_profiles() {
    let policies = [(policy_id("p"), policy(&[rule(Action::Pass)]))];
    let tiers = vec![tier("t", &[policy_id("p")])];
    let leg = judged(&policies, &[], tiers, 80);
    assert_eq!(
        leg.trace(),
        "t|ns|p|0|Pass ; __PROFILE__||__PROFILE__|-1|Deny"
    );
}

#[test]
fn log_is_a_step_and_decides_nothing() {
    let policies = [(policy_id("p"), policy(&[rule(Action::Log), allow()]))];
    let leg = judged(&policies, &[], vec![tier("t", &[policy_id("p")])], 80);
    assert_eq!(leg.trace(), "t|ns|p|1|Allow");
    let actions: Vec<_> = leg.steps.iter().map(|step| step.action).collect();
    assert_eq!(actions, [StepAction::Log, StepAction::Allow]);
}

#[test]
fn staged_policies_are_never_enforced_and_a_tier_of_them_is_absent() {
    let staged = staged_id("s");
    let policies = [
        (staged.clone(), policy(&[rule(Action::Deny)])),
        (policy_id("p"), policy(&[on_port(Action::Allow, 80)])),
    ];
    let profiles = [("open", profile(&[allow()]))];
    let absent = judged(
        &policies,
        &profiles,
        vec![tier("t", std::slice::from_ref(&staged))],
        80,
    );
    assert_eq!(absent.trace(), "__PROFILE__||open|0|Allow");
    let mixed = vec![tier("t", &[staged, policy_id("p")])];
    let leg = judged(&policies, &profiles, mixed, 81);
    assert_eq!(
        leg.trace(),
        "t|ns|p|-1|Deny",
        "named after the first enforced policy"
    );
}

#[test]
fn a_tier_counts_for_the_direction_in_which_it_has_policies() {
    let policies = [(policy_id("p"), policy(&[rule(Action::Deny)]))];
    let mut egress_only = tier("t", &[policy_id("p")]);
    egress_only.ingress.clear();
    let profiles = [("open", profile(&[allow()]))];
    assert!(judged(&policies, &profiles, vec![egress_only], 80).allow);
}

#[test]
fn inbound_rules_are_for_ingress_and_outbound_ones_for_egress() {
    let mut one_way = policy(&[]);
    one_way.inbound = vec![allow()];
    let mut endpoint = workload(&[B]);
    endpoint.tiers = vec![tier("t", &[policy_id("p")])];
    let model = model([
        Update::Policy(policy_id("p"), one_way),
        Update::Workload(workload_id("b"), endpoint),
    ]);
    let judge = |flow| evaluate(&model, &Semantics::default(), &flow);
    assert!(judge(tcp(A, B, 80)).allow);
    let out = judge(tcp(B, A, 80));
    assert!(!out.allow);
    assert_eq!(out.decided_by.direction, Some(Direction::Egress));
}

#[test]
fn profiles_in_order_and_the_first_decision_wins() {
    let profiles = [
        (
            "quiet",
            profile(&[rule(Action::Log), on_port(Action::Deny, 80)]),
        ),
        ("leaves", profile(&[rule(Action::Pass), rule(Action::Deny)])),
        ("open", profile(&[allow()])),
    ];
    let leg = judged(&[], &profiles, Vec::new(), 80);
    assert_eq!(leg.trace(), "__PROFILE__||quiet|1|Deny");
    assert!(judged(&[], &profiles, Vec::new(), 81).allow);
}

#[test]
fn without_policy_and_profile_nothing_is_allowed() {
    let leg = judged(&[], &[], Vec::new(), 80);
    assert_eq!(leg.trace(), "__PROFILE__||__PROFILE__|-1|Deny");
}

#[test]
fn source_and_destination_must_both_accept() {
    let endpoints = |a: &str, b: &str| {
        let with = |addr, profile: &str| {
            let mut endpoint = workload(&[addr]);
            endpoint.profiles = vec![ProfileId::from(profile)];
            endpoint
        };
        [
            Update::Profile(ProfileId::from("open"), profile(&[allow()])),
            Update::Profile(ProfileId::from("shut"), profile(&[rule(Action::Deny)])),
            Update::Workload(workload_id("a"), with(A, a)),
            Update::Workload(workload_id("b"), with(B, b)),
        ]
    };
    let judge = |a, b| {
        let model = model(endpoints(a, b));
        evaluate(&model, &Semantics::default(), &tcp(A, B, 80))
    };
    assert!(judge("open", "open").allow);
    let at_source = judge("shut", "open");
    assert!(!at_source.allow);
    assert_eq!(at_source.legs.len(), 2, "both are judged");
    assert_eq!(at_source.decided_by.direction, Some(Direction::Egress));
    let at_destination = judge("open", "shut");
    assert!(!at_destination.allow);
    assert_eq!(
        at_destination.decided_by.direction,
        Some(Direction::Ingress)
    );
    assert_eq!(
        at_destination.legs[1].endpoint,
        Judge::Workload(workload_id("b"))
    );
}

#[test]
fn decisions_read_as_sentences() {
    let policies = [(policy_id("p"), policy(&[allow()]))];
    let leg = judged(&policies, &[], vec![tier("t", &[policy_id("p")])], 80);
    assert_eq!(
        leg.decision.reason,
        "Rule 0 of policy ns/p in tier t allows."
    );
    assert_eq!(leg.decision.rule_id, Some(RuleId::from("0123456789abcdef")));
}
