//! Short spellings for tests.

use std::sync::Arc;

use crate::{
    Action, Flow, IpSetId, IpSetKind, L4, Member, Policy, PolicyId, PolicyKind, PolicyModel,
    PortRange, Profile, ProfileId, Protocol, Rule, RuleId, RuleNotes, Side, Tier, Update,
    WorkloadEndpoint, WorkloadId,
};

pub(crate) fn rule(action: Action) -> Rule {
    Rule {
        action,
        family: None,
        protocol: None,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        src: Side::default(),
        dst: Side::default(),
        http: None,
        id: RuleId::from("0123456789abcdef"),
        notes: Arc::new(RuleNotes::default()),
    }
}

pub(crate) fn net(text: &str) -> Member {
    Member::Net(text.parse().unwrap())
}

pub(crate) fn service(addr: &str, protocol: Protocol, port: u16) -> Member {
    Member::Port {
        addr: addr.parse().unwrap(),
        protocol,
        port,
    }
}

pub(crate) fn set(id: &str, kind: IpSetKind, members: &[Member]) -> Update {
    Update::IpSet {
        id: IpSetId::from(id),
        kind,
        members: members.to_vec(),
        invalid: Vec::new(),
    }
}

pub(crate) fn delta(id: &str, added: &[Member], removed: &[Member]) -> Update {
    Update::IpSetDelta {
        id: IpSetId::from(id),
        added: added.to_vec(),
        removed: removed.to_vec(),
        invalid_added: Vec::new(),
        invalid_removed: Vec::new(),
    }
}

pub(crate) fn workload_id(name: &str) -> WorkloadId {
    WorkloadId {
        orchestrator: "k8s".into(),
        workload: name.into(),
        endpoint: "eth0".into(),
    }
}

pub(crate) fn workload(addresses: &[&str]) -> WorkloadEndpoint {
    WorkloadEndpoint {
        active: true,
        interface: "cali0".into(),
        nets: addresses
            .iter()
            .map(|text| {
                let addr: std::net::IpAddr = text.parse().unwrap();
                addr.into()
            })
            .collect(),
        ..WorkloadEndpoint::default()
    }
}

pub(crate) fn policy_id(name: &str) -> PolicyId {
    PolicyId {
        kind: PolicyKind::NetworkPolicy,
        namespace: "ns".into(),
        name: name.into(),
    }
}

pub(crate) fn staged_id(name: &str) -> PolicyId {
    PolicyId {
        kind: PolicyKind::Staged("StagedNetworkPolicy".into()),
        ..policy_id(name)
    }
}

/// The same rules in both directions.
pub(crate) fn policy(rules: &[Rule]) -> Policy {
    Policy {
        inbound: rules.to_vec(),
        outbound: rules.to_vec(),
        ..Policy::default()
    }
}

/// The same rules in both directions.
pub(crate) fn profile(rules: &[Rule]) -> Profile {
    Profile {
        inbound: rules.to_vec(),
        outbound: rules.to_vec(),
        ..Profile::default()
    }
}

/// The same policies in both directions; the end of the tier denies.
pub(crate) fn tier(name: &str, policies: &[PolicyId]) -> Tier {
    Tier {
        name: name.into(),
        ingress: policies.to_vec(),
        egress: policies.to_vec(),
        default_pass: false,
    }
}

pub(crate) fn profile_ids(names: &[&str]) -> Vec<ProfileId> {
    names.iter().map(|name| ProfileId::from(*name)).collect()
}

pub(crate) fn range(first: u16, last: u16) -> PortRange {
    PortRange { first, last }
}

pub(crate) fn model(updates: impl IntoIterator<Item = Update>) -> PolicyModel {
    let mut model = PolicyModel::new();
    for update in updates {
        model.apply(update).unwrap();
    }
    model
}

pub(crate) fn flow(src: &str, dst: &str, protocol: Protocol, l4: L4) -> Flow {
    Flow {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        protocol,
        l4,
    }
}

pub(crate) fn tcp(src: &str, dst: &str, port: u16) -> Flow {
    let ports = L4::Ports {
        src: 40_000,
        dst: port,
    };
    flow(src, dst, Protocol::TCP, ports)
}
