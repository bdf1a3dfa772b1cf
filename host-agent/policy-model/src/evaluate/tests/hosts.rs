//! Host endpoints: which one covers what, in which order its lists are asked, and how they end.

use crate::fixture::*;
use crate::*;

const POD: &str = "10.0.0.1";
const OTHER_POD: &str = "10.0.0.2";
const NODE: &str = "192.168.0.10";
const PEER: &str = "203.0.113.7";

fn semantics() -> Semantics {
    Semantics {
        node: Node {
            uplink: "eth0".into(),
            addresses: Vec::new(),
            host_port: true,
        },
        ..Semantics::default()
    }
}

fn to_port(action: Action, port: u16) -> Rule {
    let mut rule = rule(action);
    rule.protocol = Some(Protocol::TCP);
    rule.dst.ports = vec![range(port, port)];
    rule
}

/// Two pods that allow everything, a node, and policies by what they do to ports 80 and 443.
struct World(Vec<Update>);

impl World {
    fn new() -> Self {
        let mut updates = vec![Update::Profile(
            ProfileId::from("open"),
            profile(&[rule(Action::Allow)]),
        )];
        for (name, addr) in [("a", POD), ("b", OTHER_POD)] {
            let mut endpoint = workload(&[addr]);
            endpoint.profiles = profile_ids(&["open"]);
            updates.push(Update::Workload(workload_id(name), endpoint));
        }
        let host = HostMetadata {
            v4: Some(format!("{NODE}/24").parse().unwrap()),
            ..HostMetadata::default()
        };
        updates.push(Update::HostMetadata("node-a".into(), host));
        let allow = policy(&[to_port(Action::Allow, 80)]);
        let deny = policy(&[to_port(Action::Deny, 443)]);
        updates.push(Update::Policy(policy_id("allow-80"), allow));
        updates.push(Update::Policy(policy_id("deny-443"), deny));
        Self(updates).config(&[])
    }

    fn config(mut self, values: &[(&str, &str)]) -> Self {
        let hostname = ("FelixHostname", "node-a");
        let values = values.iter().chain([&hostname]);
        let values = values.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.0.push(Update::Config(Config {
            values: values.collect(),
        }));
        self
    }

    fn host(mut self, id: &str, endpoint: HostEndpoint) -> Self {
        self.0
            .push(Update::HostEndpoint(HostEndpointId::from(id), endpoint));
        self
    }

    fn judge(&self, src: &str, dst: &str, port: u16) -> Verdict {
        evaluate(&model(self.0.clone()), &semantics(), &tcp(src, dst, port))
    }

    fn allows(&self, src: &str, dst: &str, port: u16) -> bool {
        self.judge(src, dst, port).allow
    }
}

fn on(interface: &str) -> HostEndpoint {
    HostEndpoint {
        interface: interface.into(),
        ..HostEndpoint::default()
    }
}

fn of(policies: &[&str]) -> Vec<Tier> {
    let ids: Vec<PolicyId> = policies.iter().map(|name| policy_id(name)).collect();
    vec![tier("default", &ids)]
}

#[test]
fn without_a_host_endpoint_the_node_is_open_both_ways() {
    let world = World::new();
    assert!(world.allows(PEER, NODE, 443) && world.allows(NODE, PEER, 443));
    assert!(world.allows(NODE, POD, 443), "its workloads always");
    let mut down = world;
    let endpoint = WorkloadEndpoint {
        active: false,
        ..workload(&[POD])
    };
    down.0.push(Update::Workload(workload_id("a"), endpoint));
    assert!(!down.allows(NODE, POD, 443), "but those that are down");
    let world = World::new();
    assert!(!world.allows(NODE, NODE, 80), "not through the device");
}

#[test]
fn without_a_port_the_node_cannot_be_reached() {
    let mut without = semantics();
    without.node.host_port = false;
    let model = model(World::new().0);
    for (src, dst) in [(PEER, NODE), (POD, NODE), (NODE, PEER)] {
        assert!(!evaluate(&model, &without, &tcp(src, dst, 80)).allow);
    }
}

#[test]
fn the_first_id_covers_the_uplink_whether_by_name_or_by_address() {
    let by_name = |tiers| HostEndpoint {
        tiers,
        ..on("eth0")
    };
    let by_address = |addr: &str, tiers| HostEndpoint {
        addresses: vec![addr.parse().unwrap()],
        tiers,
        ..on("")
    };
    let cover = |world: World| {
        let model = model(world.0);
        let found = model.uplink_endpoint(&semantics().node);
        found.map(|(id, _)| id.to_string())
    };
    let every = || World::new().host("0", on("*"));
    assert_eq!(cover(every()).as_deref(), Some("0"));
    assert_eq!(cover(every().host("x", on("eth1"))).as_deref(), Some("0"));
    let world = every()
        .host("b", by_name(Vec::new()))
        .host("a", by_address(NODE, Vec::new()));
    assert_eq!(cover(world).as_deref(), Some("a"));
    let world = every()
        .host("a", by_address(PEER, Vec::new()))
        .host("b", by_name(Vec::new()));
    assert_eq!(cover(world).as_deref(), Some("b"));
    // A name that is not the uplink's keeps an endpoint from matching by address.
    let mut named = by_address(NODE, Vec::new());
    named.interface = "eth1".into();
    assert_eq!(cover(World::new().host("a", named)), None);
}

#[test]
fn the_normal_list_ends_with_profiles_and_then_drops() {
    let closed = World::new().host("h", on("eth0"));
    assert!(!closed.allows(PEER, NODE, 80) && !closed.allows(NODE, PEER, 80));
    assert!(
        closed.allows(PEER, POD, 80),
        "what passes through is not its"
    );
    let open = World::new().host(
        "h",
        HostEndpoint {
            profiles: profile_ids(&["open"]),
            ..on("eth0")
        },
    );
    assert!(open.allows(PEER, NODE, 80) && open.allows(NODE, PEER, 80));
    let decided = World::new()
        .host(
            "h",
            HostEndpoint {
                tiers: of(&["allow-80"]),
                ..on("eth0")
            },
        )
        .judge(PEER, NODE, 81);
    assert_eq!(decided.decided_by.policy, "allow-80");
    assert_eq!(decided.decided_by.rule, None, "the end of the tier");
}

#[test]
fn failsafe_ports_stay_open_and_name_themselves() {
    let world = World::new().host("h", on("eth0")).config(&[
        ("FailsafeInboundHostPorts", "udp:68,tcp:203.0.113.0/24:22"),
        ("FailsafeOutboundHostPorts", "none"),
    ]);
    let verdict = world.judge(PEER, NODE, 22);
    assert!(verdict.allow);
    let by = &verdict.decided_by;
    assert_eq!(by.tier, FAILSAFE_TIER);
    assert_eq!(
        (&*by.policy, by.rule),
        ("FailsafeInboundHostPorts", Some(1))
    );
    assert!(!world.allows("198.51.100.1", NODE, 22), "another net");
    assert!(!world.allows(NODE, PEER, 22), "none outwards");
    assert!(World::new().host("h", on("eth0")).allows(NODE, PEER, 179));
    let unreadable = world.config(&[("FailsafeInboundHostPorts", "tcp:ssh")]);
    assert!(!unreadable.allows(PEER, NODE, 22));
    let listed = model(unreadable.0).refusals(&semantics());
    assert!(listed.iter().any(|r| r.to_string().contains("tcp:ssh")));
}

#[test]
fn forward_lists_deny_by_rule_and_by_the_end_of_a_tier_only() {
    let forward = |tiers| {
        World::new().host(
            "h",
            HostEndpoint {
                forward_tiers: tiers,
                ..on("eth0")
            },
        )
    };
    let denies = forward(of(&["allow-80"]));
    assert!(denies.allows(PEER, POD, 80) && denies.allows(POD, PEER, 80));
    assert!(!denies.allows(PEER, POD, 81) && !denies.allows(POD, PEER, 81));
    assert!(denies.allows(POD, OTHER_POD, 81), "not across the uplink");
    let mut passing = of(&["deny-443"]);
    passing[0].default_pass = true;
    let passes = forward(passing);
    assert!(passes.allows(PEER, POD, 81) && !passes.allows(PEER, POD, 443));
    let end = passes.judge(PEER, POD, 81);
    assert_eq!(end.legs[0].decision.tier, HOST_TIER);
    // Failsafe ports play no part, nor do profiles.
    assert!(!denies.allows(PEER, POD, 22));
}

#[test]
fn a_host_endpoint_for_all_interfaces_judges_at_workloads_too() {
    let world = World::new().host(
        "h",
        HostEndpoint {
            forward_tiers: of(&["allow-80"]),
            ..on("*")
        },
    );
    assert!(world.allows(POD, OTHER_POD, 80) && !world.allows(POD, OTHER_POD, 81));
    let verdict = world.judge(POD, PEER, 80);
    let judges: Vec<_> = verdict
        .legs
        .iter()
        .map(|leg| (leg.endpoint.to_string(), leg.direction))
        .collect();
    let host = "host endpoint h".to_owned();
    assert_eq!(
        judges,
        [
            (host.clone(), Direction::Ingress),
            (workload_id("a").to_string(), Direction::Egress),
            (host, Direction::Egress),
        ]
    );
}

#[test]
fn pre_dnat_accepts_for_the_host_and_its_end_denies_nothing() {
    let world = World::new().host(
        "h",
        HostEndpoint {
            pre_dnat_tiers: of(&["allow-80", "deny-443"]),
            forward_tiers: of(&["deny-443"]),
            ..on("eth0")
        },
    );
    assert!(world.allows(PEER, POD, 80), "the forward list is not asked");
    assert!(!world.allows(PEER, POD, 443));
    assert!(!world.allows(PEER, POD, 81), "the forward list's tier ends");
    assert!(world.allows(PEER, NODE, 80) && !world.allows(PEER, NODE, 81));
    assert!(!world.allows(POD, PEER, 80), "pre-DNAT is inwards only");
}

#[test]
fn pre_dnat_of_all_interfaces_fills_in_where_there_is_none() {
    let every = HostEndpoint {
        pre_dnat_tiers: of(&["deny-443"]),
        ..on("*")
    };
    let world = World::new().host("z", every).host("a", on("eth0"));
    assert!(!world.allows(PEER, POD, 443) && world.allows(PEER, POD, 81));
    assert!(!world.allows(POD, PEER, 443), "at the workload's interface");
}

#[test]
fn failsafe_ports_skip_pre_dnat_and_untracked_but_accept_nothing_there() {
    let mut deny = policy(&[rule(Action::Deny)]);
    deny.pre_dnat = true;
    let mut world = World::new().host(
        "h",
        HostEndpoint {
            pre_dnat_tiers: of(&["deny"]),
            forward_tiers: of(&["allow-80"]),
            ..on("eth0")
        },
    );
    world.0.push(Update::Policy(policy_id("deny"), deny));
    let verdict = world.judge(PEER, POD, 22);
    assert!(!verdict.allow);
    assert_eq!(verdict.decided_by.policy, "allow-80", "by the forward list");
    assert!(
        world.allows(PEER, NODE, 22),
        "by the normal list's failsafe"
    );
}

#[test]
fn untracked_is_asked_first_and_its_accept_skips_the_host_endpoint() {
    let world = World::new().host(
        "h",
        HostEndpoint {
            untracked_tiers: of(&["allow-80", "deny-443"]),
            forward_tiers: of(&["deny-443"]),
            ..on("eth0")
        },
    );
    assert!(world.allows(PEER, POD, 80) && world.allows(PEER, NODE, 80));
    assert!(world.allows(NODE, PEER, 80), "outwards for the node");
    assert!(
        !world.allows(POD, PEER, 80),
        "forwarded packets do not meet it"
    );
    assert!(!world.allows(PEER, NODE, 443));
    let left = world.judge(PEER, NODE, 81);
    assert!(!left.allow, "left to the normal list, which has nothing");
    assert_eq!(left.legs.len(), 2);
    let replies = World::new()
        .config(&[("FailsafeOutboundHostPorts", "tcp:40000")])
        .host(
            "h",
            HostEndpoint {
                untracked_tiers: of(&["deny-443"]),
                profiles: profile_ids(&["open"]),
                ..on("eth0")
            },
        );
    assert!(
        replies.allows(PEER, NODE, 443),
        "a reply of failsafe traffic"
    );
    assert!(!replies.allows(NODE, PEER, 443));
}

#[test]
fn all_interfaces_have_no_untracked_list() {
    let endpoint = HostEndpoint {
        untracked_tiers: of(&["deny-443"]),
        profiles: profile_ids(&["open"]),
        ..on("*")
    };
    let world = World::new().host("h", endpoint);
    assert!(world.allows(PEER, NODE, 443));
    let listed = model(world.0).refusals(&semantics());
    assert!(listed.iter().any(|r| r.to_string().contains("untracked")));
}

#[test]
fn a_workload_reaches_its_node_if_configuration_lets_it() {
    for (word, reaches) in [("Accept", true), ("RETURN", true), ("drop", false)] {
        let world = World::new().config(&[("DefaultEndpointToHostAction", word)]);
        let verdict = world.judge(POD, NODE, 80);
        assert_eq!(verdict.allow, reaches, "{word}");
        if !reaches {
            assert_eq!(verdict.decided_by.policy, "DefaultEndpointToHostAction");
        }
        // The normal list is not for workloads.
        assert_eq!(world.host("h", on("eth0")).allows(POD, NODE, 80), reaches);
    }
}

#[test]
fn router_icmp_of_workloads_reaches_the_node_whatever_the_policy() {
    let mut world = World::new();
    let mut endpoint = workload(&["fd00::1"]);
    endpoint.tiers = of(&["allow-80"]);
    world.0.push(Update::Workload(workload_id("a"), endpoint));
    let host = HostMetadata {
        v6: Some("fd01::10/64".parse().unwrap()),
        ..HostMetadata::default()
    };
    world.0.push(Update::HostMetadata("node-a".into(), host));
    let model = model(world.0);
    let icmp = |kind| {
        let l4 = L4::Icmp { kind, code: 0 };
        flow("fd00::1", "fd01::10", Protocol::ICMPV6, l4)
    };
    assert!(evaluate(&model, &semantics(), &icmp(133)).allow);
    assert!(!evaluate(&model, &semantics(), &icmp(134)).allow);
}

#[test]
fn what_cannot_be_judged_denies_where_it_is_listed() {
    let broken = HostEndpoint {
        forward_tiers: of(&["gone"]),
        profiles: profile_ids(&["open"]),
        ..on("eth0")
    };
    let world = World::new().host("h", broken);
    let verdict = world.judge(PEER, POD, 80);
    assert!(!verdict.allow && verdict.decided_by.reason.contains("gone"));
    assert!(world.allows(PEER, NODE, 80), "the normal list stands");
    assert!(world.allows(POD, OTHER_POD, 80));
}
