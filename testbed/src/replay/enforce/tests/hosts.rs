//! Host endpoints over more than one packet: untracked policy and connections.

use std::net::IpAddr;

use policy_model::{
    Action, HostEndpoint, HostEndpointId, L4, Policy, PolicyId, PolicyKind, Protocol, Rule, RuleId,
    Side, Tier, Update, WorkloadEndpoint, WorkloadId,
};

use super::*;

const POD: [u8; 4] = [10, 0, 0, 1];
const PEER: [u8; 4] = [203, 0, 113, 7];

fn policy_id(name: &str) -> PolicyId {
    PolicyId {
        kind: PolicyKind::GlobalNetworkPolicy,
        namespace: "".into(),
        name: name.into(),
    }
}

/// One rule for everything in each direction.
fn policy(name: &str, inbound: Action, outbound: Action) -> Update {
    let rule = |action| Rule {
        action,
        family: None,
        protocol: None,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        src: Side::default(),
        dst: Side::default(),
        http: None,
        id: RuleId::from(""),
        notes: std::sync::Arc::default(),
    };
    let policy = Policy {
        inbound: vec![rule(inbound)],
        outbound: vec![rule(outbound)],
        ..Policy::default()
    };
    Update::Policy(policy_id(name), policy)
}

fn tiers(policy: &str) -> Vec<Tier> {
    vec![Tier {
        name: "default".into(),
        ingress: vec![policy_id(policy)],
        egress: vec![policy_id(policy)],
        default_pass: false,
    }]
}

fn host(edit: impl FnOnce(&mut HostEndpoint)) -> Update {
    let mut endpoint = HostEndpoint {
        interface: "eth0".into(),
        ..HostEndpoint::default()
    };
    edit(&mut endpoint);
    Update::HostEndpoint(HostEndpointId::from("uplink"), endpoint)
}

fn udp(src: [u8; 4], dst: [u8; 4], (sport, dport): (u16, u16)) -> Flow {
    Flow {
        src: IpAddr::from(src),
        dst: IpAddr::from(dst),
        protocol: Protocol::UDP,
        l4: L4::Ports {
            src: sport,
            dst: dport,
        },
    }
}

/// A pod that takes everything and may send nothing but replies, over the embedded switch.
struct Line {
    model: PolicyModel,
    enforcement: Enforcement,
}

impl Line {
    fn new() -> Self {
        let semantics = Semantics {
            node: Enforcement::node(false),
            ..Semantics::default()
        };
        let mut model = PolicyModel::new();
        let id = WorkloadId {
            orchestrator: "k8s".into(),
            workload: "default/pod".into(),
            endpoint: "eth0".into(),
        };
        let endpoint = WorkloadEndpoint {
            active: true,
            interface: "cali0".into(),
            nets: vec![IpAddr::from(POD).into()],
            tiers: tiers("pod"),
            ..WorkloadEndpoint::default()
        };
        let updates = [
            policy("pod", Action::Allow, Action::Deny),
            policy("allow", Action::Allow, Action::Allow),
            policy("deny", Action::Deny, Action::Deny),
            Update::Workload(id, endpoint),
            Update::InSync,
        ];
        for update in updates {
            model.apply(update).unwrap();
        }
        Self {
            model,
            enforcement: Enforcement::new(TargetKind::Soft, "", &semantics)
                .unwrap()
                .unwrap(),
        }
    }

    fn update(&mut self, update: Update) {
        self.model.apply(update).unwrap();
        let changes = self.model.take_changes();
        self.enforcement.commit(&self.model, &changes).unwrap();
    }

    /// Sends a packet and forgets no connection.
    fn send(&mut self, flow: Flow) -> Fate {
        let mut fates = [Fate::Dropped];
        self.enforcement
            .send_batch(&self.model, &[flow], &[0], &mut fates)
            .unwrap();
        fates[0]
    }
}

#[test]
fn what_untracked_policy_accepts_leaves_no_connection() {
    let (there, back) = ((40_000, 4789), (4789, 40_000));
    let mut line = Line::new();
    line.update(host(|host| host.untracked_tiers = tiers("allow")));
    assert_eq!(line.send(udp(PEER, POD, there)), Fate::Forwarded);
    assert_eq!(
        line.send(udp(POD, PEER, back)),
        Fate::Dropped,
        "no connection that it would be the reply of"
    );
    line.update(host(|_| {}));
    assert_eq!(line.send(udp(PEER, POD, there)), Fate::Forwarded);
    assert_eq!(
        line.send(udp(POD, PEER, back)),
        Fate::Forwarded,
        "now it is"
    );
}

#[test]
fn the_workloads_own_policy_is_asked_behind_untracked_policy() {
    let mut line = Line::new();
    line.update(host(|host| host.untracked_tiers = tiers("allow")));
    assert_eq!(line.send(udp(PEER, POD, (40_000, 80))), Fate::Forwarded);
    line.update(policy("pod", Action::Deny, Action::Allow));
    // Every packet, as there is no connection.
    assert_eq!(line.send(udp(PEER, POD, (40_000, 80))), Fate::Dropped);
}

#[test]
fn a_connection_does_not_bypass_untracked_policy() {
    let flow = udp(PEER, POD, (40_000, 80));
    let mut line = Line::new();
    line.update(host(|_| {}));
    assert_eq!(line.send(flow), Fate::Forwarded);
    line.update(host(|host| host.forward_tiers = tiers("deny")));
    assert_eq!(line.send(flow), Fate::Forwarded, "established");
    let new = udp(PEER, POD, (40_001, 80));
    assert_eq!(line.send(new), Fate::Dropped);
    line.update(host(|host| host.untracked_tiers = tiers("deny")));
    assert_eq!(line.send(flow), Fate::Dropped, "before connections");
}
