use bytes::Bytes;
use felix_proto::felix::{
    IcmpTypeAndCode, PolicyId as WireId, PortRange as WirePorts, Protocol as WireProtocol, Rule,
    protocol::NumberOrName, rule,
};
use felix_proto::{Frame, felix as wire};
use policy_model::{
    Action, Direction, Family, Icmp, IpSetKind, Member, PolicyKind, PortRange, Protocol, RouteTypes,
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn message(payload: Payload) -> Message {
    Message {
        sequence: 0,
        payload: Some(payload),
        unknown: Vec::new(),
    }
}

fn convert(payload: Payload) -> Converted {
    Converter::new().convert(message(payload))
}

fn policy_payload(rules: Vec<Rule>) -> Payload {
    Payload::ActivePolicyUpdate(wire::ActivePolicyUpdate {
        id: Some(WireId {
            name: "p".to_owned(),
            namespace: "ns".to_owned(),
            kind: "NetworkPolicy".to_owned(),
            ..WireId::default()
        }),
        policy: Some(wire::Policy {
            inbound_rules: rules,
            ..wire::Policy::default()
        }),
    })
}

/// One rule through the door: itself, or what is wrong with it.
fn one_rule(rule: Rule) -> Result<policy_model::Rule, String> {
    let converted = convert(policy_payload(vec![Rule::default(), rule]));
    let Some(Update::Policy(_, mut policy)) = converted.update else {
        panic!("no policy");
    };
    match policy.invalid.pop() {
        None => {
            assert_eq!(policy.inbound.len(), 2);
            assert_eq!(converted.problems, []);
            Ok(policy.inbound.pop().unwrap())
        }
        Some(invalid) => {
            assert_eq!((invalid.direction, invalid.index), (Direction::Ingress, 1));
            assert_eq!(policy.inbound.len(), 1);
            assert_eq!(converted.problems.len(), 1);
            assert_eq!(converted.problems[0].effect, Effect::Denies);
            assert!(converted.problems[0].what.contains(&invalid.reason));
            Err(invalid.reason)
        }
    }
}

fn name(name: &str) -> WireProtocol {
    WireProtocol {
        number_or_name: Some(NumberOrName::Name(name.to_owned())),
    }
}

fn number(number: i32) -> WireProtocol {
    WireProtocol {
        number_or_name: Some(NumberOrName::Number(number)),
    }
}

#[test]
fn action_words() {
    for (word, action) in [
        ("", Action::Allow),
        ("allow", Action::Allow),
        ("deny", Action::Deny),
        ("next-tier", Action::Pass),
        ("log", Action::Log),
    ] {
        let rule = Rule {
            action: word.to_owned(),
            ..Rule::default()
        };
        assert_eq!(one_rule(rule).unwrap().action, action, "{word}");
    }
}

#[test]
fn protocols_by_name_and_number() {
    for (protocol, expected) in [
        (name("tcp"), 6),
        (name("udp"), 17),
        (name("icmp"), 1),
        (name("icmpv6"), 58),
        (name("sctp"), 132),
        (name("udplite"), 136),
        (name("UDP"), 17),
        (number(47), 47),
        (number(0), 0),
    ] {
        let rule = Rule {
            protocol: Some(protocol.clone()),
            not_protocol: Some(protocol),
            ..Rule::default()
        };
        let rule = one_rule(rule).unwrap();
        assert_eq!(rule.protocol, Some(Protocol(expected)));
        assert_eq!(rule.not_protocol, Some(Protocol(expected)));
    }
}

#[test]
fn icmp_type_zero_is_a_type() {
    let rule = Rule {
        icmp: Some(rule::Icmp::IcmpType(0)),
        not_icmp: Some(rule::NotIcmp::NotIcmpTypeCode(IcmpTypeAndCode {
            r#type: 3,
            code: 0,
        })),
        ip_version: 4,
        ..Rule::default()
    };
    let rule = one_rule(rule).unwrap();
    assert_eq!(
        rule.icmp,
        Some(Icmp {
            kind: 0,
            code: None
        })
    );
    assert_eq!(
        rule.not_icmp,
        Some(Icmp {
            kind: 3,
            code: Some(0)
        })
    );
    assert_eq!(rule.family, Some(Family::V4));
}

/// Each list of the message lands in its own place.
#[test]
fn every_criterion_has_its_place() {
    let ids = |id: &str| vec![id.to_owned()];
    let ports = |port| {
        vec![WirePorts {
            first: port,
            last: port + 1,
        }]
    };
    let rule = one_rule(Rule {
        src_net: ids("10.1.0.0/16"),
        dst_net: ids("10.2.0.0/16"),
        not_src_net: ids("10.3.0.0/16"),
        not_dst_net: ids("10.4.0.0/16"),
        src_ports: ports(1),
        dst_ports: ports(3),
        not_src_ports: ports(5),
        not_dst_ports: ports(7),
        src_ip_set_ids: ids("a"),
        dst_ip_set_ids: ids("b"),
        not_src_ip_set_ids: ids("c"),
        not_dst_ip_set_ids: ids("d"),
        src_named_port_ip_set_ids: ids("e"),
        dst_named_port_ip_set_ids: ids("f"),
        not_src_named_port_ip_set_ids: ids("g"),
        not_dst_named_port_ip_set_ids: ids("h"),
        dst_ip_port_set_ids: ids("i"),
        original_src_selector: "all()".to_owned(),
        rule_id: "0123456789abcdef".to_owned(),
        ..Rule::default()
    })
    .unwrap();
    let net = |text: &str| vec![text.parse().unwrap()];
    let port = |first| {
        vec![PortRange {
            first,
            last: first + 1,
        }]
    };
    let set = |id: &str| vec![id.into()];
    let src = policy_model::Side {
        nets: net("10.1.0.0/16"),
        not_nets: net("10.3.0.0/16"),
        ports: port(1),
        not_ports: port(5),
        named_ports: set("e"),
        not_named_ports: set("g"),
        sets: set("a"),
        not_sets: set("c"),
        ip_port_sets: vec![],
    };
    let dst = policy_model::Side {
        nets: net("10.2.0.0/16"),
        not_nets: net("10.4.0.0/16"),
        ports: port(3),
        not_ports: port(7),
        named_ports: set("f"),
        not_named_ports: set("h"),
        sets: set("b"),
        not_sets: set("d"),
        ip_port_sets: set("i"),
    };
    assert_eq!((rule.src, rule.dst), (src, dst));
    assert_eq!(rule.id.as_str(), "0123456789abcdef");
    assert_eq!(rule.notes.written["original_src_selector"], "all()");
}

#[test]
fn what_cannot_be_understood_names_field_and_value() {
    let ports = |first, last| vec![WirePorts { first, last }];
    let rule = Rule::default;
    let cases = [
        (
            Rule {
                action: "reject".to_owned(),
                ..rule()
            },
            "action \"reject\"",
        ),
        (
            Rule {
                action: "Allow".to_owned(),
                ..rule()
            },
            "action \"Allow\"",
        ),
        (
            Rule {
                ip_version: 5,
                ..rule()
            },
            "ip_version 5",
        ),
        (
            Rule {
                protocol: Some(name("quic")),
                ..rule()
            },
            "protocol name \"quic\"",
        ),
        (
            Rule {
                not_protocol: Some(number(256)),
                ..rule()
            },
            "not_protocol number 256",
        ),
        (
            Rule {
                protocol: Some(WireProtocol::default()),
                ..rule()
            },
            "protocol has neither",
        ),
        (
            Rule {
                src_net: vec!["10.0.0.0/33".to_owned()],
                ..rule()
            },
            "src_net: \"10.0.0.0/33\"",
        ),
        (
            Rule {
                not_dst_net: vec!["anywhere".to_owned()],
                ..rule()
            },
            "not_dst_net: \"anywhere\"",
        ),
        (
            Rule {
                dst_ports: ports(90, 80),
                ..rule()
            },
            "dst_ports: port range 90 to 80 is reversed",
        ),
        (
            Rule {
                not_src_ports: ports(1, 65_536),
                ..rule()
            },
            "not_src_ports: port 65536",
        ),
        (
            Rule {
                dst_ports: ports(-1, 5),
                ..rule()
            },
            "dst_ports: port -1",
        ),
        (
            Rule {
                icmp: Some(rule::Icmp::IcmpType(256)),
                ..rule()
            },
            "icmp_type: type 256",
        ),
        (
            Rule {
                not_icmp: Some(rule::NotIcmp::NotIcmpTypeCode(IcmpTypeAndCode {
                    r#type: 3,
                    code: -1,
                })),
                ..rule()
            },
            "not_icmp_type_code: code -1",
        ),
        (
            Rule {
                http_match: Some(wire::HttpMatch {
                    methods: vec![],
                    paths: vec![wire::http_match::PathMatch::default()],
                }),
                ..rule()
            },
            "http_match",
        ),
    ];
    for (rule, part) in cases {
        let reason = one_rule(rule).unwrap_err();
        assert!(reason.contains(part), "{reason:?} does not name {part:?}");
    }
}

#[test]
fn all_faults_of_a_rule_are_named() {
    let reason = one_rule(Rule {
        action: "reject".to_owned(),
        protocol: Some(name("quic")),
        ..Rule::default()
    })
    .unwrap_err();
    assert!(
        reason.contains("reject") && reason.contains("quic"),
        "{reason}"
    );
}

#[test]
fn a_criterion_of_a_newer_release_makes_its_rule_invalid() {
    let body = {
        let mut rule = Rule::default().encode_to_vec();
        rule.extend_from_slice(&[0xe0, 0x08, 0x01]); // field 140
        let mut policy = vec![0x12, u8::try_from(rule.len()).unwrap()];
        policy.extend_from_slice(&rule);
        let mut update = vec![0x0a, 0x03, 0x12, 0x01, b'p', 0x12];
        update.push(u8::try_from(policy.len()).unwrap());
        update.extend_from_slice(&policy);
        let mut body = vec![0x3a, u8::try_from(update.len()).unwrap()];
        body.extend_from_slice(&update);
        body
    };
    let frame = Frame {
        index: 0,
        offset: 0,
        body: Bytes::from(body),
    };
    let converted = Converter::new().convert(felix_proto::decode(&frame).unwrap());
    let Some(Update::Policy(_, policy)) = converted.update else {
        panic!("no policy");
    };
    assert_eq!(policy.outbound, []);
    assert_eq!(policy.invalid.len(), 1);
    assert_eq!(policy.invalid[0].direction, Direction::Egress);
    assert!(policy.invalid[0].reason.contains("field 140 of Rule"));
}

#[test]
fn a_policy_update_without_a_policy_denies_in_both_directions() {
    let converted = convert(Payload::ActivePolicyUpdate(wire::ActivePolicyUpdate {
        id: Some(WireId {
            name: "p".to_owned(),
            ..WireId::default()
        }),
        policy: None,
    }));
    let Some(Update::Policy(_, policy)) = converted.update else {
        panic!("no policy");
    };
    let directions: Vec<Direction> = policy.invalid.iter().map(|rule| rule.direction).collect();
    assert_eq!(directions, [Direction::Ingress, Direction::Egress]);
}

#[test]
fn identities_of_all_dialects() {
    let kind = |kind: &str| PolicyKind::Staged(Arc::from(kind));
    let textual = [
        ("default.name", PolicyKind::Unstated, "", "default.name"),
        (
            "ns/default.name",
            PolicyKind::Unstated,
            "ns",
            "default.name",
        ),
        (
            "staged:sec.x",
            kind("StagedGlobalNetworkPolicy"),
            "",
            "sec.x",
        ),
        (
            "ns/staged:default.x",
            kind("StagedNetworkPolicy"),
            "ns",
            "default.x",
        ),
        (
            "ns/staged:knp.default.x",
            kind("StagedKubernetesNetworkPolicy"),
            "ns",
            "knp.default.x",
        ),
    ];
    for (text, kind, namespace, name) in textual {
        let id = policy::textual(text);
        assert_eq!(
            (id.kind, &*id.namespace, &*id.name),
            (kind, namespace, name)
        );
    }
    for (word, expected) in [
        ("GlobalNetworkPolicy", PolicyKind::GlobalNetworkPolicy),
        (
            "KubernetesNetworkPolicy",
            PolicyKind::KubernetesNetworkPolicy,
        ),
        ("StagedNetworkPolicy", kind("StagedNetworkPolicy")),
        ("FancyPolicy", PolicyKind::Unknown(Arc::from("FancyPolicy"))),
    ] {
        let (id, _) = policy::identity(WireId {
            name: "n".to_owned(),
            kind: word.to_owned(),
            ..WireId::default()
        });
        assert_eq!(id.kind, expected);
    }
}

#[test]
fn an_unknown_kind_is_reported() {
    let mut payload = policy_payload(vec![]);
    if let Payload::ActivePolicyUpdate(update) = &mut payload {
        update.id.as_mut().unwrap().kind = "FancyPolicy".to_owned();
    }
    let converted = convert(payload);
    assert_eq!(converted.problems.len(), 1);
    assert!(converted.problems[0].to_string().contains("FancyPolicy"));
}

fn set_payload(kind: i32, members: &[&str]) -> Payload {
    Payload::IpsetUpdate(wire::IpSetUpdate {
        id: "x".to_owned(),
        members: members.iter().map(|&member| member.to_owned()).collect(),
        r#type: kind,
    })
}

#[test]
fn members_of_all_kinds_of_sets() {
    let port = |addr: &str, protocol, port| Member::Port {
        addr: addr.parse().unwrap(),
        protocol,
        port,
    };
    let net = |text: &str| Member::Net(text.parse().unwrap());
    for (kind, texts, expected_kind, expected) in [
        (
            0,
            vec!["10.0.0.1", "fd00::1"],
            IpSetKind::Ip,
            vec![net("10.0.0.1/32"), net("fd00::1/128")],
        ),
        (
            1,
            vec!["10.0.0.1,tcp:80", "fd00::1,udp:53", "10.0.0.1,sctp:65535"],
            IpSetKind::IpAndPort,
            vec![
                port("10.0.0.1", Protocol::TCP, 80),
                port("fd00::1", Protocol::UDP, 53),
                port("10.0.0.1", Protocol::SCTP, 65535),
            ],
        ),
        (
            2,
            vec!["10.0.0.0/8", "fd00::/8", "0.0.0.0/0"],
            IpSetKind::Net,
            vec![net("10.0.0.0/8"), net("fd00::/8"), net("0.0.0.0/0")],
        ),
    ] {
        let converted = convert(set_payload(kind, &texts));
        let Some(Update::IpSet {
            kind,
            members,
            invalid,
            ..
        }) = converted.update
        else {
            panic!("no set");
        };
        assert_eq!((kind, members, invalid), (expected_kind, expected, vec![]));
    }
}

#[test]
fn members_that_do_not_fit_are_kept_apart() {
    for (kind, bad) in [
        (0, "10.0.0.0/8"),
        (0, "10.0.0.1,tcp:80"),
        (1, "10.0.0.1"),
        (1, "10.0.0.1,icmp:8"),
        (1, "10.0.0.1,tcp:65536"),
        (1, "10.0.0.1,tcp"),
        (2, "10.0.0.1,tcp:80"),
        (2, "10.0.0.256/32"),
        (2, ""),
    ] {
        let converted = convert(set_payload(kind, &[bad]));
        let Some(Update::IpSet {
            members, invalid, ..
        }) = converted.update
        else {
            panic!("no set");
        };
        assert_eq!((members, invalid), (vec![], vec![bad.to_owned()]));
        assert_eq!(converted.problems[0].effect, Effect::Denies);
    }
}

#[test]
fn a_bad_member_goes_as_it_came() {
    let mut converter = Converter::new();
    converter.convert(message(set_payload(2, &["nonsense"])));
    let converted = converter.convert(message(Payload::IpsetDeltaUpdate(wire::IpSetDeltaUpdate {
        id: "x".to_owned(),
        added_members: vec!["10.0.0.0/8".to_owned(), "rubbish".to_owned()],
        removed_members: vec!["nonsense".to_owned()],
    })));
    let Some(Update::IpSetDelta {
        added,
        removed,
        invalid_added,
        invalid_removed,
        ..
    }) = converted.update
    else {
        panic!("no delta");
    };
    assert_eq!(added, [Member::Net("10.0.0.0/8".parse().unwrap())]);
    assert_eq!(removed, []);
    assert_eq!(invalid_added, ["rubbish"]);
    assert_eq!(invalid_removed, ["nonsense"]);
}

#[test]
fn a_set_of_an_unknown_type_stays_refused() {
    let mut converter = Converter::new();
    let converted = converter.convert(message(set_payload(7, &["10.0.0.1/32"])));
    let Some(Update::IpSet {
        members, invalid, ..
    }) = converted.update
    else {
        panic!("no set");
    };
    assert_eq!(members, []);
    assert!(
        invalid.iter().any(|what| what.contains("type 7")),
        "{invalid:?}"
    );
    let converted = converter.convert(message(Payload::IpsetDeltaUpdate(wire::IpSetDeltaUpdate {
        id: "x".to_owned(),
        added_members: vec![],
        removed_members: vec!["10.0.0.1/32".to_owned()],
    })));
    let Some(Update::IpSetDelta {
        invalid_removed, ..
    }) = converted.update
    else {
        panic!("no delta");
    };
    // Only the member goes; that the type is not known stays.
    assert_eq!(invalid_removed, ["10.0.0.1/32"]);
}

#[test]
fn a_delta_of_a_set_that_was_never_sent_is_left_out() {
    let converted = convert(Payload::IpsetDeltaUpdate(wire::IpSetDeltaUpdate {
        id: "x".to_owned(),
        ..wire::IpSetDeltaUpdate::default()
    }));
    assert_eq!(converted.update, None);
    assert!(converted.problems[0].to_string().contains("never sent"));
}

fn endpoint(endpoint: wire::WorkloadEndpoint) -> (policy_model::WorkloadEndpoint, Vec<Problem>) {
    let converted = convert(Payload::WorkloadEndpointUpdate(
        wire::WorkloadEndpointUpdate {
            id: Some(wire::WorkloadEndpointId::default()),
            endpoint: Some(endpoint),
        },
    ));
    let Some(Update::Workload(_, endpoint)) = converted.update else {
        panic!("no endpoint");
    };
    (endpoint, converted.problems)
}

#[test]
fn endpoints_deny_what_they_cannot_be_read() {
    let texts = |text: &str| vec![text.to_owned()];
    let tier = |tier: wire::TierInfo| wire::WorkloadEndpoint {
        tiers: vec![tier],
        ..wire::WorkloadEndpoint::default()
    };
    let cases = [
        (
            wire::WorkloadEndpoint {
                mac: "ee:ee:ee:ee:ee".to_owned(),
                ..wire::WorkloadEndpoint::default()
            },
            "mac: \"ee:ee:ee:ee:ee\"",
        ),
        (
            wire::WorkloadEndpoint {
                ipv4_nets: texts("fd00::1/128"),
                ..wire::WorkloadEndpoint::default()
            },
            "ipv4_nets: \"fd00::1/128\"",
        ),
        (
            wire::WorkloadEndpoint {
                ipv6_nets: texts("10.0.0.1.2/32"),
                ..wire::WorkloadEndpoint::default()
            },
            "ipv6_nets",
        ),
        (
            tier(wire::TierInfo {
                name: "t".to_owned(),
                default_action: "Shrug".to_owned(),
                ..wire::TierInfo::default()
            }),
            "\"Shrug\" of tier t",
        ),
        (
            tier(wire::TierInfo {
                name: "t".to_owned(),
                ingress_policies: vec![vec![0x12, 0xff]],
                ..wire::TierInfo::default()
            }),
            "ingress_policies of tier t",
        ),
    ];
    for (wire, part) in cases {
        let (endpoint, problems) = endpoint(wire);
        assert!(
            endpoint.invalid.iter().any(|what| what.contains(part)),
            "{:?} does not name {part}",
            endpoint.invalid
        );
        assert_eq!(problems[0].effect, Effect::Denies);
    }
    let converted = convert(Payload::WorkloadEndpointUpdate(
        wire::WorkloadEndpointUpdate {
            id: Some(wire::WorkloadEndpointId::default()),
            endpoint: None,
        },
    ));
    let Some(Update::Workload(_, endpoint)) = converted.update else {
        panic!("no endpoint");
    };
    assert!(!endpoint.active && !endpoint.invalid.is_empty());
}

#[test]
fn an_endpoint_of_the_kubernetes_datastore_has_no_mac() {
    let (endpoint, problems) = endpoint(wire::WorkloadEndpoint {
        state: "active".to_owned(),
        name: "cali1".to_owned(),
        ipv4_nets: vec!["10.0.0.1/32".to_owned()],
        tiers: vec![wire::TierInfo {
            name: "default".to_owned(),
            ingress_policies: vec![b"ns/staged:default.x".to_vec()],
            egress_policies: vec![],
            default_action: "Pass".to_owned(),
        }],
        ..wire::WorkloadEndpoint::default()
    });
    assert_eq!((endpoint.active, endpoint.mac), (true, None));
    assert!(endpoint.tiers[0].default_pass);
    assert!(endpoint.tiers[0].ingress[0].is_staged());
    assert_eq!(problems, []);
}

#[test]
fn a_node_is_one_value_in_every_dialect() {
    let labels = || [("k".to_owned(), "v".to_owned())].into();
    let newest = convert(Payload::HostMetadataUpdate(wire::HostMetadataUpdate {
        hostname: "n".to_owned(),
        ipv4_addr: "172.20.0.11/24".to_owned(),
        ipv6_addr: "fd00::11/64".to_owned(),
        asnumber: String::new(),
        labels: labels(),
    }))
    .update;
    let mut converter = Converter::new();
    let parts = [
        Payload::HostMetadataUpdate(wire::HostMetadataUpdate {
            hostname: "n".to_owned(),
            ipv4_addr: "172.20.0.11".to_owned(),
            ..wire::HostMetadataUpdate::default()
        }),
        Payload::HostMetadataV4v6Update(wire::HostMetadataV4v6Update {
            hostname: "n".to_owned(),
            ipv4_addr: "172.20.0.11/24".to_owned(),
            ipv6_addr: "fd00::11/64".to_owned(),
            asnumber: String::new(),
            labels: labels(),
        }),
        Payload::HostMetadataV6Update(wire::HostMetadataV6Update {
            hostname: "n".to_owned(),
            ipv6_addr: "fd00::11".to_owned(),
        }),
    ];
    let mut last = None;
    for payload in parts {
        last = converter.convert(message(payload)).update;
    }
    assert_eq!(last, newest);
    let removes = [
        Payload::HostMetadataV4v6Remove(wire::HostMetadataV4v6Remove {
            hostname: "n".to_owned(),
            ..wire::HostMetadataV4v6Remove::default()
        }),
        Payload::HostMetadataRemove(wire::HostMetadataRemove {
            hostname: "n".to_owned(),
            ..wire::HostMetadataRemove::default()
        }),
        Payload::HostMetadataV6Remove(wire::HostMetadataV6Remove {
            hostname: "n".to_owned(),
            ..wire::HostMetadataV6Remove::default()
        }),
    ];
    let gone: Vec<bool> = removes
        .into_iter()
        .map(|payload| {
            let update = converter.convert(message(payload)).update;
            matches!(update, Some(Update::HostMetadataRemove(_)))
        })
        .collect();
    assert_eq!(gone, [false, false, true]);
}

#[test]
fn route_types_are_a_mask() {
    let converted = convert(Payload::RouteUpdate(wire::RouteUpdate {
        dst: "10.0.0.1/32".to_owned(),
        types: 5 | 1 << 20,
        ..wire::RouteUpdate::default()
    }));
    let Some(Update::Route(_, route)) = converted.update else {
        panic!("no route");
    };
    assert!(
        route
            .types
            .has(RouteTypes::LOCAL_WORKLOAD | RouteTypes::REMOTE_WORKLOAD)
    );
    assert_eq!(route.types.0, 5 | 1 << 20);
}

#[test]
fn what_has_no_key_is_reported_and_left_out() {
    for payload in [
        Payload::ActivePolicyUpdate(wire::ActivePolicyUpdate::default()),
        Payload::ActiveProfileRemove(wire::ActiveProfileRemove::default()),
        Payload::WorkloadEndpointUpdate(wire::WorkloadEndpointUpdate::default()),
        Payload::HostEndpointUpdate(wire::HostEndpointUpdate::default()),
        Payload::IpsetUpdate(wire::IpSetUpdate::default()),
        Payload::IpamPoolUpdate(wire::IpamPoolUpdate::default()),
        Payload::RouteUpdate(wire::RouteUpdate::default()),
        Payload::RouteRemove(wire::RouteRemove::default()),
        Payload::NamespaceUpdate(wire::NamespaceUpdate::default()),
        Payload::ServiceAccountRemove(wire::ServiceAccountRemove::default()),
    ] {
        let converted = convert(payload);
        assert_eq!(converted.update, None);
        assert_eq!(converted.problems.len(), 1, "{:?}", converted.problems);
    }
}

#[test]
fn a_message_of_an_unknown_type_is_named() {
    let frame = Frame {
        index: 0,
        offset: 0,
        body: Bytes::from_static(&[0xd2, 0x05, 0x00]),
    };
    let converted = Converter::new().convert(felix_proto::decode(&frame).unwrap());
    assert_eq!(converted.update, None);
    assert_eq!(converted.problems[0].effect, Effect::Skipped);
    assert!(converted.problems[0].what.contains("number 90"));
}

proptest! {
    /// No text in any place makes the converter panic, and what does not fit is never lost silently.
    #[test]
    fn any_text_is_taken_or_reported(text in ".{0,24}", port in any::<i32>(), kind in any::<i32>()) {
        let rule = Rule {
            action: text.clone(),
            ip_version: kind,
            protocol: Some(name(&text)),
            src_net: vec![text.clone()],
            dst_ports: vec![WirePorts { first: port, last: kind }],
            icmp: Some(rule::Icmp::IcmpType(port)),
            ..Rule::default()
        };
        let converted = convert(policy_payload(vec![rule]));
        let Some(Update::Policy(_, policy)) = converted.update else {
            panic!("no policy");
        };
        prop_assert_eq!(policy.inbound.len() + policy.invalid.len(), 1);
        let converted = convert(set_payload(kind.rem_euclid(5), &[&text]));
        let Some(Update::IpSet { members, invalid, .. }) = converted.update else {
            panic!("no set");
        };
        prop_assert!(members.len() + invalid.len() >= 1);
        prop_assert_eq!(invalid.is_empty(), converted.problems.is_empty());
    }
}
