//! Random rules, policies and profiles.

use std::sync::Arc;

use ipnet::IpNet;
use policy_model::{
    Action, Direction, Family, Icmp, Policy, PolicyId, PolicyKind, PortRange, Profile, ProfileId,
    Protocol, Rule, RuleId, RuleNotes, Side, Update,
};

use super::{Choices, Size, net, set_id};

/// Ports that named ports and rules meet at.
pub(super) const PORTS: [u16; 8] = [0, 53, 80, 81, 443, 8080, 40000, 65535];

/// Protocols of named ports; the last one has no ports for policy.
pub(super) const NAMED_PROTOCOLS: [Protocol; 5] = [
    Protocol::TCP,
    Protocol::TCP,
    Protocol::UDP,
    Protocol::SCTP,
    Protocol::UDPLITE,
];

/// Protocols that rules name.
const PROTOCOLS: [Protocol; 8] = [
    Protocol::TCP,
    Protocol::TCP,
    Protocol::UDP,
    Protocol::SCTP,
    Protocol::ICMP,
    Protocol::ICMPV6,
    Protocol(47),
    Protocol::UDPLITE,
];

pub(super) fn policy_id(number: usize) -> PolicyId {
    let kind = match number % 6 {
        5 => PolicyKind::Staged("StagedNetworkPolicy".into()),
        n if n.is_multiple_of(2) => PolicyKind::NetworkPolicy,
        _ => PolicyKind::GlobalNetworkPolicy,
    };
    let namespace: &str = if number.is_multiple_of(2) {
        "default"
    } else {
        ""
    };
    PolicyId {
        kind,
        namespace: namespace.into(),
        name: format!("policy-{number}").as_str().into(),
    }
}

pub(super) fn profile_id(number: usize) -> ProfileId {
    ProfileId::from(format!("kns.{number}").as_str())
}

pub(super) fn policy(choices: &mut Choices, size: Size, number: usize) -> Update {
    let id = policy_id(number);
    let policy = Policy {
        inbound: rules(choices, size, Direction::Ingress),
        outbound: rules(choices, size, Direction::Egress),
        ..Policy::default()
    };
    Update::Policy(id, policy)
}

pub(super) fn profile(choices: &mut Choices, size: Size, number: usize) -> Update {
    let profile = Profile {
        inbound: rules(choices, size, Direction::Ingress),
        outbound: rules(choices, size, Direction::Egress),
        invalid: Vec::new(),
    };
    Update::Profile(profile_id(number), profile)
}

fn rules(choices: &mut Choices, size: Size, direction: Direction) -> Vec<Rule> {
    (0..choices.below(size.rules + 1))
        .map(|_| rule(choices, size, direction))
        .collect()
}

fn rule(choices: &mut Choices, size: Size, direction: Direction) -> Rule {
    let action = choices.one(&[
        Action::Allow,
        Action::Allow,
        Action::Allow,
        Action::Deny,
        Action::Deny,
        Action::Pass,
        Action::Log,
    ]);
    let protocol = choices.chance(50).then(|| choices.one(&PROTOCOLS));
    let family = match choices.below(10) {
        0 => Some(Family::V4),
        1 => Some(Family::V6),
        _ => None,
    };
    let icmp = |choices: &mut Choices, of: usize| {
        choices.chance(of).then(|| Icmp {
            kind: choices.one(&[0, 3, 8, 128, 133, 255]),
            code: choices.chance(50).then(|| choices.one(&[0, 1, 255])),
        })
    };
    let of_icmp = match protocol {
        Some(Protocol::ICMP | Protocol::ICMPV6) => 50,
        _ => 3,
    };
    // The remote end is what rules are mostly about; a rule that asks much of the endpoint's own
    // side is seldom left.
    let remote = side(choices, size, 80);
    let local = side(choices, size, 25);
    let (src, dst) = match direction {
        Direction::Ingress => (remote, local),
        Direction::Egress => (local, remote),
    };
    Rule {
        action,
        family,
        protocol,
        not_protocol: choices.chance(8).then(|| choices.one(&PROTOCOLS)),
        icmp: icmp(choices, of_icmp),
        not_icmp: icmp(choices, of_icmp / 2),
        src,
        dst,
        http: None,
        id: RuleId::from(format!("{:016x}", choices.number()).as_str()),
        notes: Arc::new(RuleNotes::default()),
    }
}

/// One criterion or two, in `of` cases out of a hundred.
fn side(choices: &mut Choices, size: Size, of: usize) -> Side {
    let mut side = Side::default();
    let mut more = choices.chance(of);
    while more {
        criterion(choices, size, &mut side);
        more = choices.chance(35);
    }
    side
}

fn criterion(choices: &mut Choices, size: Size, side: &mut Side) {
    let nets = |choices: &mut Choices| -> Vec<IpNet> {
        (0..=choices.below(2)).map(|_| wide_net(choices)).collect()
    };
    let ports = |choices: &mut Choices| -> Vec<PortRange> {
        (0..=choices.below(2)).map(|_| range(choices)).collect()
    };
    let set = |choices: &mut Choices, ports: bool| {
        let first = if ports { size.sets } else { 0 };
        set_id(first + choices.below(size.sets), size.sets)
    };
    match choices.below(if size.sets == 0 { 8 } else { 24 }) {
        0 | 1 => side.nets.extend(nets(choices)),
        2 => side.not_nets.extend(nets(choices)),
        3..=5 => side.ports.extend(ports(choices)),
        6 | 7 => side.not_ports.extend(ports(choices)),
        8..=12 => side.sets.push(set(choices, false)),
        13..=15 => side.not_sets.push(set(choices, false)),
        16..=19 => side.named_ports.push(set(choices, true)),
        20 | 21 => side.not_named_ports.push(set(choices, true)),
        _ => side.ip_port_sets.push(set(choices, true)),
    }
}

/// A net, now and then the one that holds everything.
fn wide_net(choices: &mut Choices) -> IpNet {
    let everything: &[&str] = &["0.0.0.0/0", "::/0"];
    if choices.chance(6)
        && let Ok(net) = choices.one(everything).parse()
    {
        return net;
    }
    net(choices)
}

fn range(choices: &mut Choices) -> PortRange {
    let first = choices.one(&PORTS);
    if choices.chance(50) {
        return PortRange { first, last: first };
    }
    let other = choices.one(&PORTS);
    PortRange {
        first: first.min(other),
        last: first.max(other),
    }
}
