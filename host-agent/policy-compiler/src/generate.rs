//! Random policy, random changes of it, and flows aimed at its edges.
//!
//! Everything comes out of a small closed world of addresses, ports and names, so that sets
//! overlap, nets nest and rules meet each other. A seed and a [`Size`] give the same world on every
//! machine; a property test shrinks the size.

mod flows;
mod policy;
pub mod shapes;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::{
    Config, HostEndpoint, HostEndpointId, HostMetadata, IpSet, IpSetId, IpSetKind, Member,
    PolicyId, PolicyModel, ProfileId, Tier, Update, WorkloadEndpoint, WorkloadId,
};

use crate::site::{HostPort, Port, Site, Uplink};

/// A stream of choices (splitmix64).
#[derive(Clone, Debug)]
pub struct Choices(u64);

impl Choices {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `limit`, 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u64;
        usize::try_from(self.number() % limit).unwrap_or_default()
    }

    /// True in `of` cases out of a hundred.
    pub fn chance(&mut self, of: usize) -> bool {
        self.below(100) < of
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// One of these, by value.
    ///
    /// # Panics
    /// `from` is empty.
    pub fn one<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// How much there is of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Local workload endpoints.
    pub endpoints: usize,
    /// Policies.
    pub policies: usize,
    /// Rules of a policy and direction, at most.
    pub rules: usize,
    /// Sets of each kind.
    pub sets: usize,
    /// Members of a set, at most.
    pub members: usize,
}

impl Size {
    /// Enough of everything for rules to meet.
    pub const SMALL: Self = Self {
        endpoints: 4,
        policies: 6,
        rules: 4,
        sets: 4,
        members: 8,
    };
}

/// Port of the uplink in [`site`].
pub const UPLINK: u16 = 100;

/// Port of the node itself in [`site`].
pub const HOST: u16 = 101;

/// Host endpoints that there can be.
const HOST_ENDPOINTS: usize = 3;

/// The site of every generated world: a port for each endpoint that can be.
#[must_use]
pub fn site() -> Site {
    let ports = (0..16_u16).map(|number| {
        let mac = Some([2, 0, 0, 0, 0, u8::try_from(number).unwrap_or(0)]);
        (interface(usize::from(number)), Port { number, mac })
    });
    Site {
        workload_ports: ports.collect(),
        uplink: Some(Uplink {
            port: UPLINK,
            interface: "eth0".into(),
            mac: [2, 0, 0, 0, 1, 0],
            addresses: vec![[192, 0, 2, 1].into()],
            next_hop_mac: [2, 0, 0, 0, 1, 1],
            neighbours: Vec::new(),
        }),
        host: Some(HostPort {
            number: HOST,
            mac: [2, 0, 0, 0, 1, 2],
        }),
        ..Site::default()
    }
}

fn interface(number: usize) -> String {
    format!("cali{number}")
}

/// The addresses of pods, four by four dual stack.
#[must_use]
pub fn pod_addresses() -> Vec<IpAddr> {
    let v4 = (0..16_u8).map(|n| IpAddr::from([10, 0, 0, n]));
    let v6 = (0..16_u16).map(|n| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n]));
    v4.chain(v6).collect()
}

/// Addresses that nothing names, or that are outside the pods' nets.
#[must_use]
pub fn strangers() -> Vec<IpAddr> {
    vec![
        [10, 0, 1, 7].into(),
        [10, 9, 9, 9].into(),
        [192, 0, 2, 77].into(),
        [198, 51, 100, 1].into(),
        [0xfd00, 0, 0, 1, 0, 0, 0, 7].into(),
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 9].into(),
    ]
}

const NETS: [&str; 18] = [
    "10.0.0.0/8",
    "10.0.0.0/16",
    "10.0.0.0/24",
    "10.0.0.0/28",
    "10.0.0.0/29",
    "10.0.0.8/29",
    "10.0.0.4/30",
    "10.0.0.4/31",
    "10.0.0.12/30",
    "10.0.1.0/24",
    "192.0.2.0/24",
    "0.0.0.0/1",
    "fd00::/16",
    "fd00::/64",
    "fd00::/124",
    "fd00::8/125",
    "fd00::4/126",
    "2001:db8::/32",
];

/// Some net of the world, a single address in about half of the cases.
fn net(choices: &mut Choices) -> IpNet {
    if choices.chance(50) {
        let all = pod_addresses();
        return IpNet::from(choices.one(&all));
    }
    let text = choices.one(&NETS);
    // The list above is of nets.
    text.parse()
        .unwrap_or_else(|_| IpNet::from(IpAddr::from([10, 0, 0, 0])))
}

fn member(choices: &mut Choices, kind: IpSetKind) -> Member {
    match kind {
        IpSetKind::Net => Member::Net(net(choices)),
        IpSetKind::Ip => {
            let all = pod_addresses();
            Member::Net(IpNet::from(choices.one(&all)))
        }
        IpSetKind::IpAndPort => {
            let all = pod_addresses();
            Member::Port {
                addr: choices.one(&all),
                protocol: choices.one(&policy::NAMED_PROTOCOLS),
                port: choices.one(&policy::PORTS),
            }
        }
    }
}

fn kind_of(number: usize, sets: usize) -> IpSetKind {
    if number >= sets {
        IpSetKind::IpAndPort
    } else if number.is_multiple_of(4) {
        IpSetKind::Ip
    } else {
        IpSetKind::Net
    }
}

/// Name of a set: below `sets` one of addresses, else one of ports.
fn set_id(number: usize, sets: usize) -> IpSetId {
    let prefix = if number >= sets { "n" } else { "s" };
    IpSetId::from(format!("{prefix}:{number}").as_str())
}

fn workload_id(number: usize) -> WorkloadId {
    WorkloadId {
        orchestrator: "k8s".into(),
        workload: format!("default/pod-{number}").as_str().into(),
        endpoint: "eth0".into(),
    }
}

fn ip_set(choices: &mut Choices, size: Size, number: usize) -> Update {
    let kind = kind_of(number, size.sets);
    let mut members: Vec<Member> = (0..choices.below(size.members + 1))
        .map(|_| member(choices, kind))
        .collect();
    members.sort_unstable();
    members.dedup();
    Update::IpSet {
        id: set_id(number, size.sets),
        kind,
        members,
        invalid: Vec::new(),
    }
}

fn endpoint(choices: &mut Choices, size: Size, number: usize) -> Update {
    let mut tiers = Vec::new();
    for tier in 0..=choices.below(3) {
        let list = |choices: &mut Choices| -> Vec<PolicyId> {
            (0..=choices.below(3))
                .filter_map(|_| {
                    let number = choices.below(size.policies);
                    (size.policies > 0).then(|| policy::policy_id(number))
                })
                .collect()
        };
        tiers.push(Tier {
            name: format!("tier-{tier}").as_str().into(),
            ingress: list(choices),
            egress: list(choices),
            default_pass: choices.chance(60),
        });
    }
    let all = pod_addresses();
    let v4 = if choices.chance(90) {
        number
    } else {
        choices.below(16)
    };
    let mut nets = vec![IpNet::from(all[v4 % 16])];
    if choices.chance(80) {
        nets.push(IpNet::from(all[16 + number % 16]));
    }
    let profiles: Vec<ProfileId> = (0..choices.below(3))
        .map(|_| policy::profile_id(choices.below(2)))
        .collect();
    let endpoint = WorkloadEndpoint {
        active: choices.chance(93),
        interface: interface(number),
        mac: choices.chance(30).then_some([2, 0, 0, 0, 9, 9]),
        profiles,
        nets,
        tiers,
        ..WorkloadEndpoint::default()
    };
    Update::Workload(workload_id(number), endpoint)
}

fn host_endpoint_id(number: usize) -> HostEndpointId {
    HostEndpointId::from(format!("node-{number}").as_str())
}

/// One that covers the uplink by name, by address, as one for all interfaces, or not at all.
fn host_endpoint(choices: &mut Choices, size: Size, number: usize) -> Update {
    let interface = choices.one(&["eth0", "eth0", "eth0", "*", "*", "", "", "eth7"]);
    let address: IpAddr = if choices.chance(70) {
        [192, 0, 2, 1].into()
    } else {
        [192, 0, 2, 9].into()
    };
    let tiers = |choices: &mut Choices, of: usize| -> Vec<Tier> {
        let mut tiers = Vec::new();
        while size.policies > 0 && tiers.len() < 2 && choices.chance(of) {
            let list = |choices: &mut Choices| -> Vec<PolicyId> {
                (0..choices.below(4))
                    .map(|_| policy::policy_id(choices.below(size.policies)))
                    .collect()
            };
            tiers.push(Tier {
                name: format!("tier-{}", tiers.len()).as_str().into(),
                ingress: list(choices),
                egress: list(choices),
                default_pass: choices.chance(60),
            });
        }
        tiers
    };
    let endpoint = HostEndpoint {
        interface: interface.into(),
        profiles: (0..choices.below(3))
            .map(|_| policy::profile_id(choices.below(2)))
            .collect(),
        tiers: tiers(choices, 60),
        untracked_tiers: tiers(choices, 70),
        pre_dnat_tiers: tiers(choices, 40),
        forward_tiers: tiers(choices, 60),
        addresses: vec![address],
        invalid: if choices.chance(3) {
            vec!["a field".into()]
        } else {
            Vec::new()
        },
    };
    Update::HostEndpoint(host_endpoint_id(number), endpoint)
}

/// Texts of the failsafe parameters; the last one cannot be read.
const FAILSAFES: [&str; 5] = [
    "none",
    "tcp:80,udp:53",
    "tcp:10.0.0.0/28:80,tcp:192.0.2.0/24:443,udp:53",
    "tcp:fd00::/124:80,sctp:8080",
    "tcp:eighty",
];

fn config(choices: &mut Choices) -> Update {
    let mut values = BTreeMap::from([("FelixHostname".to_owned(), "node".to_owned())]);
    if choices.chance(50) {
        values.insert("AllowVXLANPacketsFromWorkloads".into(), "true".into());
    }
    if choices.chance(50) {
        values.insert("VXLANPort".into(), "80".into());
    }
    if choices.chance(50) {
        values.insert("AllowIPIPPacketsFromWorkloads".into(), "true".into());
    }
    for name in ["FailsafeInboundHostPorts", "FailsafeOutboundHostPorts"] {
        let readable = FAILSAFES.len() - usize::from(choices.chance(95));
        if choices.chance(80) {
            values.insert(name.into(), choices.one(&FAILSAFES[..readable]).into());
        }
    }
    if choices.chance(60) {
        let word = choices.one(&["Accept", "RETURN", "Drop"]);
        values.insert("DefaultEndpointToHostAction".into(), word.into());
    }
    Update::Config(Config { values })
}

/// A whole world, in an order that Felix could send it in, in sync at the end.
#[must_use]
pub fn world(choices: &mut Choices, size: Size) -> Vec<Update> {
    let mut updates = vec![config(choices)];
    let host = HostMetadata {
        v4: Some(IpNet::from(IpAddr::from([192, 0, 2, 1]))),
        v6: Some(IpNet::from(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]))),
        ..HostMetadata::default()
    };
    updates.push(Update::HostMetadata("node".into(), host));
    for number in 0..2 * size.sets {
        updates.push(ip_set(choices, size, number));
    }
    for number in 0..2 {
        updates.push(policy::profile(choices, size, number));
    }
    for number in 0..size.policies {
        updates.push(policy::policy(choices, size, number));
    }
    for number in 0..size.endpoints {
        updates.push(endpoint(choices, size, number));
    }
    for number in 0..HOST_ENDPOINTS {
        if choices.chance(45) {
            updates.push(host_endpoint(choices, size, number));
        }
    }
    updates.push(Update::InSync);
    updates
}

/// A change of one object of the world that Felix could send.
#[must_use]
pub fn change(choices: &mut Choices, size: Size, model: &PolicyModel) -> Update {
    loop {
        if let Some(update) = try_change(choices, size, model) {
            return update;
        }
    }
}

fn try_change(choices: &mut Choices, size: Size, model: &PolicyModel) -> Option<Update> {
    match choices.below(20) {
        0..=8 => delta(choices, model),
        9..=11 if size.policies > 0 => {
            let number = choices.below(size.policies);
            Some(policy::policy(choices, size, number))
        }
        12 => {
            let number = choices.below(2);
            Some(policy::profile(choices, size, number))
        }
        13 | 14 => {
            let number = choices.below(size.endpoints + 2);
            Some(endpoint(choices, size, number % 16))
        }
        15 => {
            let id = workload_id(choices.below(size.endpoints + 2));
            model.workload(&id)?;
            Some(Update::WorkloadRemove(id))
        }
        16 => {
            let number = choices.below(2 * size.sets);
            (size.sets > 0).then(|| ip_set(choices, size, number))
        }
        17 => {
            let id = set_id(choices.below(2 * size.sets), size.sets);
            model.ip_set(&id)?;
            choices.chance(30).then_some(Update::IpSetRemove(id))
        }
        18 => {
            let id = policy::policy_id(choices.below(size.policies));
            model.policy(&id)?;
            choices.chance(30).then_some(Update::PolicyRemove(id))
        }
        19 => match choices.below(4) {
            0 => Some(config(choices)),
            1 => {
                let number = choices.below(HOST_ENDPOINTS);
                Some(host_endpoint(choices, size, number))
            }
            2 => {
                let id: ProfileId = policy::profile_id(choices.below(2));
                model.profile(&id)?;
                Some(Update::ProfileRemove(id))
            }
            _ => {
                let id = host_endpoint_id(choices.below(HOST_ENDPOINTS));
                model.host_endpoint(&id)?;
                Some(Update::HostEndpointRemove(id))
            }
        },
        _ => None,
    }
}

/// Members of one set that come and go at once.
fn delta(choices: &mut Choices, model: &PolicyModel) -> Option<Update> {
    let ids: Vec<&IpSetId> = model.ip_sets().map(|(id, _)| id).collect();
    let id = (*choices.pick(&ids)?).clone();
    let set = model.ip_set(&id)?;
    if set.kind == IpSetKind::Net && choices.chance(40) {
        return cover(choices, id, set);
    }
    let mut added: Vec<Member> = (0..choices.below(4))
        .map(|_| member(choices, set.kind))
        .filter(|member| !set.members.contains(member))
        .collect();
    added.sort_unstable();
    added.dedup();
    let there = set.members.sorted();
    let removed: Vec<Member> = there.into_iter().filter(|_| choices.chance(20)).collect();
    (!added.is_empty() || !removed.is_empty()).then_some(Update::IpSetDelta {
        id,
        added,
        removed,
        invalid_added: Vec::new(),
        invalid_removed: Vec::new(),
    })
}

/// A wide net comes and the members inside it go, or the other way round, as Felix does to keep
/// overlaps out of its kernel sets.
fn cover(choices: &mut Choices, id: IpSetId, set: &IpSet) -> Option<Update> {
    let wide: IpNet = choices.one(&NETS).parse().ok()?;
    let inside = |member: &Member| match member {
        Member::Net(net) => *net != wide && wide.contains(net),
        Member::Port { .. } => false,
    };
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    if set.members.contains(&Member::Net(wide)) {
        removed.push(Member::Net(wide));
        for _ in 0..6 {
            let member = Member::Net(net(choices));
            if inside(&member) && !set.members.contains(&member) && !added.contains(&member) {
                added.push(member);
            }
        }
    } else {
        added.push(Member::Net(wide));
        removed.extend(set.members.sorted().into_iter().filter(inside));
    }
    Some(Update::IpSetDelta {
        id,
        added,
        removed,
        invalid_added: Vec::new(),
        invalid_removed: Vec::new(),
    })
}

pub use flows::{Edges, flow};
