//! Limits of what a workload sends and gets, with packets.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Instant;

use policy_model::{
    DirectionLimits, L4, Limit, Limits, Profile, ProfileId, Protocol, Rule, RuleId, Side, Update,
    WorkloadEndpoint, WorkloadId,
};

use super::*;

const POD: [u8; 4] = [10, 0, 0, 1];
const PEER: [u8; 4] = [203, 0, 113, 7];

/// Link-layer addresses make no frame longer.
const ANYBODY: Link = Link {
    src: [2; 6],
    dst: [2; 6],
};

/// Packets sent at once: more than any limit here lets through.
const SENT: u16 = 40;

fn limit(rate: u64, burst: u64) -> Option<Limit> {
    Some(Limit {
        rate: NonZeroU64::new(rate).unwrap(),
        burst: NonZeroU64::new(burst).unwrap(),
        peak: None,
    })
}

fn flow(outwards: bool, index: u16) -> Flow {
    let (src, dst) = if outwards { (POD, PEER) } else { (PEER, POD) };
    Flow {
        src: IpAddr::from(src),
        dst: IpAddr::from(dst),
        protocol: Protocol::UDP,
        l4: L4::Ports {
            src: 40_000 + index,
            dst: 7,
        },
    }
}

/// A pod that policy allows everything but to receive at port 9.
struct Line {
    model: PolicyModel,
    enforcement: Enforcement,
}

impl Line {
    fn new(kind: TargetKind) -> Self {
        let rule = Rule {
            action: policy_model::Action::Allow,
            family: None,
            protocol: None,
            not_protocol: None,
            icmp: None,
            not_icmp: None,
            src: Side::default(),
            dst: Side {
                not_ports: vec![policy_model::PortRange { first: 9, last: 9 }],
                ..Side::default()
            },
            http: None,
            id: RuleId::from(""),
            notes: std::sync::Arc::default(),
        };
        let profile = Profile {
            inbound: vec![rule.clone()],
            outbound: vec![rule],
            ..Profile::default()
        };
        let mut model = PolicyModel::new();
        model
            .apply(Update::Profile(ProfileId::from("open"), profile))
            .unwrap();
        model.apply(Update::InSync).unwrap();
        let semantics = Semantics {
            node: Enforcement::node(false),
            ..Semantics::default()
        };
        Self {
            model,
            enforcement: Enforcement::new(kind, crate::test::BMV2, &semantics)
                .unwrap()
                .unwrap(),
        }
    }

    fn limit(&mut self, limits: Limits) {
        let id = WorkloadId {
            orchestrator: "k8s".into(),
            workload: "default/pod".into(),
            endpoint: "eth0".into(),
        };
        let endpoint = WorkloadEndpoint {
            active: true,
            interface: "cali0".into(),
            nets: vec![IpAddr::from(POD).into()],
            profiles: vec![ProfileId::from("open")],
            limits,
            ..WorkloadEndpoint::default()
        };
        self.model.apply(Update::Workload(id, endpoint)).unwrap();
        let changes = self.model.take_changes();
        self.enforcement.commit(&self.model, &changes).unwrap();
    }

    /// How many come through of those that are sent at once.
    fn send(&mut self, flows: &[Flow]) -> u64 {
        let mut fates = vec![Fate::Dropped; flows.len()];
        let all: Vec<usize> = (0..flows.len()).collect();
        self.enforcement
            .send_batch(&self.model, flows, &all, &mut fates)
            .unwrap();
        let through = fates.iter().filter(|fate| **fate == Fate::Forwarded);
        through.count() as u64
    }
}

fn flows(outwards: bool) -> Vec<Flow> {
    (0..SENT).map(|index| flow(outwards, index)).collect()
}

fn limits_hold(kind: TargetKind) {
    let mut line = Line::new(kind);
    line.limit(Limits::default());
    assert_eq!(line.send(&flows(true)), u64::from(SENT));
    assert_eq!(line.send(&flows(false)), u64::from(SENT));

    // Five packets at once, and one a second after that.
    let started = Instant::now();
    line.limit(Limits {
        egress: DirectionLimits {
            packets: limit(1, 5),
            bytes: None,
        },
        ..Limits::default()
    });
    let through = line.send(&flows(true));
    let most = 5 + started.elapsed().as_secs() + 1;
    assert!((5..=most).contains(&through), "{through} of at most {most}");
    assert_eq!(line.send(&flows(false)), u64::from(SENT), "the other way");

    // Three frames and a half, and a byte a second. What policy denies uses up nothing of it.
    let size = frame(&flow(false, 0), 0, ANYBODY).len() as u64;
    let started = Instant::now();
    line.limit(Limits {
        ingress: DirectionLimits {
            packets: None,
            bytes: limit(1, 3 * size + size / 2),
        },
        ..Limits::default()
    });
    let denied: Vec<Flow> = (0..SENT)
        .map(|index| Flow {
            l4: L4::Ports {
                src: 50_000 + index,
                dst: 9,
            },
            ..flow(false, index)
        })
        .collect();
    assert_eq!(line.send(&denied), 0);
    let fresh: Vec<Flow> = (0..SENT).map(|index| flow(false, 1_000 + index)).collect();
    let through = line.send(&fresh);
    let seconds = started.elapsed().as_secs() + 1;
    let most = 3 + (size / 2 + seconds) / size;
    assert!((3..=most).contains(&through), "{through} of at most {most}");
    assert_eq!(line.send(&flows(true)), u64::from(SENT), "the other way");

    // The target tells its meters as they were written.
    let Line { model, enforcement } = line;
    enforcement.finish(&model, &mut Summary::default()).unwrap();
}

#[test]
fn limits_hold_on_the_embedded_target() {
    limits_hold(TargetKind::Soft);
}

#[test]
fn limits_hold_on_bmv2() {
    if !crate::test::runs(crate::test::BMV2) {
        println!(
            "SKIP limits on bmv2: {} is not installed",
            crate::test::BMV2
        );
        return;
    }
    limits_hold(TargetKind::Bmv2);
}
