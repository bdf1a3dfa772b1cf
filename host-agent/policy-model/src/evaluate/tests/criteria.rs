//! Each criterion of a rule, positive and negated, in both families.

use crate::fixture::*;
use crate::*;

const A4: &str = "10.0.0.1";
const B4: &str = "10.0.0.2";
const A6: &str = "fd00::1";
const B6: &str = "fd00::2";

/// Whether a rule with these criteria matches: the destination's only policy allows by this rule
/// and denies at the end of the tier.
fn matches_with(sets: &[Update], edit: impl Fn(&mut Rule), flow: Flow) -> bool {
    let mut criterion = rule(Action::Allow);
    edit(&mut criterion);
    let mut endpoint = workload(&[B4, B6]);
    endpoint.tiers = vec![tier("default", &[policy_id("p")])];
    let updates = sets.iter().cloned().chain([
        Update::Policy(policy_id("p"), policy(&[criterion])),
        Update::Workload(workload_id("b"), endpoint),
    ]);
    let verdict = evaluate(&model(updates), &Semantics::default(), &flow);
    assert_eq!(verdict.legs.len(), 1, "the source is not local");
    let expected_rule = verdict.allow.then_some(0);
    assert_eq!(verdict.decided_by.rule, expected_rule);
    verdict.allow
}

fn matches(edit: impl Fn(&mut Rule), flow: Flow) -> bool {
    matches_with(&[], edit, flow)
}

fn ported(protocol: Protocol, src: u16, dst: u16) -> Flow {
    flow(A4, B4, protocol, L4::Ports { src, dst })
}

fn icmp4(kind: u8, code: u8) -> Flow {
    flow(A4, B4, Protocol::ICMP, L4::Icmp { kind, code })
}

fn icmp6(kind: u8, code: u8) -> Flow {
    flow(A6, B6, Protocol::ICMPV6, L4::Icmp { kind, code })
}

fn other(protocol: u8) -> Flow {
    flow(A4, B4, Protocol(protocol), L4::Other)
}

#[test]
fn a_rule_without_criteria_matches_everything() {
    let any = |_: &mut Rule| {};
    assert!(matches(any, tcp(A4, B4, 80)));
    assert!(matches(any, tcp(A6, B6, 80)));
    assert!(matches(any, icmp4(0, 0)));
    assert!(matches(any, other(47)));
}

#[test]
fn family() {
    let v4 = |r: &mut Rule| r.family = Some(Family::V4);
    let v6 = |r: &mut Rule| r.family = Some(Family::V6);
    assert!(matches(v4, tcp(A4, B4, 80)));
    assert!(!matches(v4, tcp(A6, B6, 80)));
    assert!(matches(v6, tcp(A6, B6, 80)));
    assert!(!matches(v6, tcp(A4, B4, 80)));
}

#[test]
fn protocol_and_its_negation() {
    let tcp_only = |r: &mut Rule| r.protocol = Some(Protocol::TCP);
    let not_tcp = |r: &mut Rule| r.not_protocol = Some(Protocol::TCP);
    let gre = |r: &mut Rule| r.protocol = Some(Protocol(47));
    assert!(matches(tcp_only, tcp(A4, B4, 80)));
    assert!(!matches(tcp_only, ported(Protocol::UDP, 1, 80)));
    assert!(!matches(not_tcp, tcp(A6, B6, 80)));
    assert!(matches(not_tcp, ported(Protocol::UDP, 1, 80)));
    assert!(matches(not_tcp, icmp4(8, 0)));
    assert!(matches(gre, other(47)));
    assert!(!matches(gre, other(50)));
}

#[test]
fn nets_of_source_and_destination() {
    let src = |text: &'static str| move |r: &mut Rule| r.src.nets = vec![text.parse().unwrap()];
    let dst = |text: &'static str| move |r: &mut Rule| r.dst.nets = vec![text.parse().unwrap()];
    assert!(matches(src("10.0.0.0/31"), tcp(A4, B4, 80)));
    assert!(!matches(dst("10.0.0.0/31"), tcp(A4, B4, 80)));
    assert!(matches(dst("10.0.0.2/32"), tcp(A4, B4, 80)));
    assert!(matches(src("0.0.0.0/0"), tcp(A4, B4, 80)));
    assert!(matches(src("fd00::/64"), tcp(A6, B6, 80)));
    assert!(!matches(src("fd00::2/128"), tcp(A6, B6, 80)));
}

#[test]
fn a_list_of_nets_is_any_of_them() {
    let either = |r: &mut Rule| {
        r.src.nets = vec![
            "192.0.2.0/24".parse().unwrap(),
            "10.0.0.1/32".parse().unwrap(),
        ];
    };
    assert!(matches(either, tcp(A4, B4, 80)));
    assert!(!matches(either, tcp("10.0.0.3", B4, 80)));
}

#[test]
fn nets_of_the_other_family_take_the_rule_away_from_this_one() {
    let v6_only = |r: &mut Rule| r.src.nets = vec!["::/0".parse().unwrap()];
    let mixed =
        |r: &mut Rule| r.src.nets = vec!["::/0".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    assert!(!matches(v6_only, tcp(A4, B4, 80)));
    assert!(matches(mixed, tcp(A4, B4, 80)));
    assert!(matches(mixed, tcp(A6, B6, 80)));
}

#[test]
fn negated_nets() {
    let not = |text: &'static str| move |r: &mut Rule| r.src.not_nets = vec![text.parse().unwrap()];
    assert!(!matches(not("10.0.0.0/24"), tcp(A4, B4, 80)));
    assert!(matches(not("10.0.1.0/24"), tcp(A4, B4, 80)));
    assert!(!matches(not("fd00::1/128"), tcp(A6, B6, 80)));
    assert!(matches(not("fd00::2/128"), tcp(A6, B6, 80)));
    let not_dst = |r: &mut Rule| r.dst.not_nets = vec!["10.0.0.2/32".parse().unwrap()];
    assert!(!matches(not_dst, tcp(A4, B4, 80)));
}

#[test]
fn negated_nets_that_are_everything_or_of_the_other_family_drop_the_rule() {
    let not = |text: &'static str| move |r: &mut Rule| r.src.not_nets = vec![text.parse().unwrap()];
    assert!(!matches(not("0.0.0.0/0"), tcp(A4, B4, 80)));
    assert!(!matches(not("::/0"), tcp(A6, B6, 80)));
    assert!(!matches(not("fd99::/16"), tcp(A4, B4, 80)));
    assert!(!matches(not("192.0.2.0/24"), tcp(A6, B6, 80)));
}

#[test]
fn ports_match_their_ends_and_only_protocols_that_have_them() {
    let dst = |r: &mut Rule| r.dst.ports = vec![range(80, 82), range(443, 443)];
    for protocol in [Protocol::TCP, Protocol::UDP, Protocol::SCTP] {
        for (port, expected) in [
            (79, false),
            (80, true),
            (82, true),
            (83, false),
            (443, true),
        ] {
            assert_eq!(
                matches(dst, ported(protocol, 1, port)),
                expected,
                "{protocol} {port}"
            );
        }
    }
    assert!(!matches(dst, ported(Protocol::UDPLITE, 80, 80)));
    assert!(!matches(dst, icmp4(0, 80)));
    assert!(!matches(dst, other(47)));
    let src = |r: &mut Rule| r.src.ports = vec![range(0, 10)];
    assert!(matches(src, ported(Protocol::TCP, 10, 80)));
    assert!(matches(src, ported(Protocol::TCP, 0, 80)));
    assert!(!matches(src, ported(Protocol::TCP, 11, 5)));
}

#[test]
fn negated_ports_exclude_nothing_where_there_are_none() {
    let dst = |r: &mut Rule| r.dst.not_ports = vec![range(80, 82)];
    assert!(!matches(dst, ported(Protocol::TCP, 1, 81)));
    assert!(matches(dst, ported(Protocol::TCP, 81, 83)));
    assert!(matches(dst, ported(Protocol::UDPLITE, 81, 81)));
    assert!(matches(dst, icmp4(0, 0)));
    assert!(matches(dst, other(47)));
    let src = |r: &mut Rule| r.src.not_ports = vec![range(80, 82)];
    assert!(!matches(src, ported(Protocol::SCTP, 80, 1)));
    assert!(matches(src, ported(Protocol::SCTP, 79, 80)));
}

#[test]
fn icmp_type_zero_is_a_type() {
    let echo_reply = |r: &mut Rule| {
        r.icmp = Some(Icmp {
            kind: 0,
            code: None,
        });
    };
    assert!(matches(echo_reply, icmp4(0, 0)));
    assert!(matches(echo_reply, icmp4(0, 7)));
    assert!(!matches(echo_reply, icmp4(8, 0)));
    let with_code = |r: &mut Rule| {
        r.icmp = Some(Icmp {
            kind: 3,
            code: Some(0),
        });
    };
    assert!(matches(with_code, icmp4(3, 0)));
    assert!(!matches(with_code, icmp4(3, 1)));
}

#[test]
fn icmp_needs_the_protocol_of_the_family() {
    let echo = |r: &mut Rule| {
        r.icmp = Some(Icmp {
            kind: 128,
            code: None,
        });
    };
    assert!(matches(echo, icmp6(128, 0)));
    assert!(matches(echo, icmp4(128, 0)));
    let crossed = L4::Icmp { kind: 128, code: 0 };
    assert!(!matches(echo, flow(A4, B4, Protocol::ICMPV6, crossed)));
    assert!(!matches(echo, flow(A6, B6, Protocol::ICMP, crossed)));
    assert!(!matches(echo, tcp(A4, B4, 128)));
}

#[test]
fn negated_icmp_excludes_type_and_code_together_and_only_icmp() {
    let not_echo = |r: &mut Rule| {
        r.not_icmp = Some(Icmp {
            kind: 8,
            code: None,
        });
    };
    assert!(!matches(not_echo, icmp4(8, 3)));
    assert!(matches(not_echo, icmp4(0, 0)));
    assert!(matches(not_echo, tcp(A4, B4, 8)));
    let not_with_code = |r: &mut Rule| {
        r.not_icmp = Some(Icmp {
            kind: 8,
            code: Some(3),
        });
    };
    assert!(!matches(not_with_code, icmp4(8, 3)));
    assert!(matches(not_with_code, icmp4(8, 0)));
    assert!(matches(not_with_code, icmp4(3, 3)));
    let crossed = L4::Icmp { kind: 8, code: 3 };
    assert!(matches(
        not_with_code,
        flow(A6, B6, Protocol::ICMP, crossed)
    ));
}

fn sets() -> [Update; 4] {
    [
        set(
            "s:a",
            IpSetKind::Net,
            &[net("10.0.0.1/32"), net("fd00::/127")],
        ),
        set(
            "s:wide",
            IpSetKind::Net,
            &[net("10.0.0.0/25"), net("192.0.2.0/24")],
        ),
        set("s:ip", IpSetKind::Ip, &[net("10.0.0.1/32")]),
        set("s:empty", IpSetKind::Net, &[]),
    ]
}

fn ids(names: &[&str]) -> Vec<IpSetId> {
    names.iter().map(|name| IpSetId::from(*name)).collect()
}

#[test]
fn an_address_must_be_in_all_positive_sets() {
    let sets = sets();
    let src = |names: &'static [&'static str]| move |r: &mut Rule| r.src.sets = ids(names);
    assert!(matches_with(
        &sets,
        src(&["s:a", "s:wide", "s:ip"]),
        tcp(A4, B4, 80)
    ));
    assert!(!matches_with(
        &sets,
        src(&["s:a", "s:wide"]),
        tcp("10.0.0.3", B4, 80)
    ));
    assert!(matches_with(
        &sets,
        src(&["s:wide"]),
        tcp("10.0.0.127", B4, 80)
    ));
    assert!(!matches_with(
        &sets,
        src(&["s:wide"]),
        tcp("10.0.0.128", B4, 80)
    ));
    assert!(matches_with(&sets, src(&["s:a"]), tcp(A6, B6, 80)));
    assert!(!matches_with(&sets, src(&["s:empty"]), tcp(A4, B4, 80)));
    let dst = |r: &mut Rule| r.dst.sets = ids(&["s:wide"]);
    assert!(matches_with(&sets, dst, tcp("192.0.2.1", B4, 80)));
}

#[test]
fn an_address_must_be_in_no_negated_set() {
    let sets = sets();
    let src = |names: &'static [&'static str]| move |r: &mut Rule| r.src.not_sets = ids(names);
    assert!(!matches_with(
        &sets,
        src(&["s:empty", "s:a"]),
        tcp(A4, B4, 80)
    ));
    assert!(matches_with(
        &sets,
        src(&["s:empty", "s:a"]),
        tcp("10.0.0.3", B4, 80)
    ));
    assert!(!matches_with(&sets, src(&["s:a"]), tcp(A6, B6, 80)));
    assert!(matches_with(
        &sets,
        src(&["s:a"]),
        tcp("203.0.113.1", B4, 80)
    ));
    let dst = |r: &mut Rule| r.dst.not_sets = ids(&["s:wide"]);
    assert!(!matches_with(&sets, dst, tcp(A4, B4, 80)));
}

fn named() -> [Update; 2] {
    let members = [
        service(B4, Protocol::TCP, 8080),
        service(A4, Protocol::UDP, 53),
        service(B6, Protocol::SCTP, 9),
    ];
    [
        set("n:web", IpSetKind::IpAndPort, &members),
        set("n:both", IpSetKind::IpAndPort, &members[..1]),
    ]
}

#[test]
fn named_ports_are_alternatives_to_numbers() {
    let sets = named();
    let dst = |r: &mut Rule| {
        r.dst.ports = vec![range(443, 443)];
        r.dst.named_ports = ids(&["n:web"]);
    };
    assert!(matches_with(&sets, dst, tcp(A4, B4, 443)));
    assert!(matches_with(&sets, dst, tcp(A4, B4, 8080)));
    assert!(!matches_with(&sets, dst, tcp(A4, B4, 8081)));
    assert!(
        !matches_with(&sets, dst, ported(Protocol::UDP, 1, 8080)),
        "the protocol counts"
    );
    let only_named = |r: &mut Rule| r.dst.named_ports = ids(&["n:web"]);
    assert!(matches_with(&sets, only_named, tcp(A4, B4, 8080)));
    assert!(!matches_with(&sets, only_named, tcp(A4, B4, 443)));
    let sctp = flow(A6, B6, Protocol::SCTP, L4::Ports { src: 1, dst: 9 });
    assert!(matches_with(&sets, only_named, sctp));
    let src = |r: &mut Rule| r.src.named_ports = ids(&["n:web"]);
    assert!(matches_with(&sets, src, ported(Protocol::UDP, 53, 1)));
    assert!(!matches_with(&sets, src, ported(Protocol::UDP, 1, 53)));
}

#[test]
fn negated_named_ports_are_independent_of_the_numbers() {
    let sets = named();
    let dst = |r: &mut Rule| {
        r.dst.ports = vec![range(8000, 9000)];
        r.dst.not_named_ports = ids(&["n:web"]);
    };
    assert!(!matches_with(&sets, dst, tcp(A4, B4, 8080)));
    assert!(matches_with(&sets, dst, tcp(A4, B4, 8081)));
    let only_negated = |r: &mut Rule| r.dst.not_named_ports = ids(&["n:web"]);
    assert!(matches_with(&sets, only_negated, icmp4(8, 0)));
    let src = |r: &mut Rule| r.src.not_named_ports = ids(&["n:web"]);
    assert!(!matches_with(&sets, src, ported(Protocol::UDP, 53, 1)));
}

#[test]
fn service_sets_must_all_hold() {
    let sets = named();
    let dst = |names: &'static [&'static str]| move |r: &mut Rule| r.dst.ip_port_sets = ids(names);
    assert!(matches_with(
        &sets,
        dst(&["n:web", "n:both"]),
        tcp(A4, B4, 8080)
    ));
    assert!(!matches_with(&sets, dst(&["n:web"]), tcp(A4, B4, 8081)));
    assert!(!matches_with(&sets, dst(&["n:web"]), icmp4(8, 0)));
    let sctp = flow(A6, B6, Protocol::SCTP, L4::Ports { src: 1, dst: 9 });
    assert!(
        !matches_with(&sets, dst(&["n:web", "n:both"]), sctp),
        "in one of the two only"
    );
}

#[test]
fn criteria_are_all_of_them() {
    let sets = sets();
    let all = |r: &mut Rule| {
        r.protocol = Some(Protocol::TCP);
        r.src.sets = ids(&["s:a"]);
        r.dst.ports = vec![range(80, 80)];
        r.dst.not_nets = vec!["10.0.0.3/32".parse().unwrap()];
    };
    assert!(matches_with(&sets, all, tcp(A4, B4, 80)));
    assert!(!matches_with(&sets, all, tcp(A4, B4, 81)));
    assert!(!matches_with(&sets, all, tcp("10.0.0.9", B4, 80)));
    assert!(!matches_with(&sets, all, ported(Protocol::UDP, 1, 80)));
}
