//! Policy of as many entries as are asked for, its rows, and packets that it allows.
//!
//! The rows come out of the product's own compiler, so they are what a node with such policy has,
//! whatever the tables look like.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use backend_p4rt::{P4rt, Pipeline, Target};
use dpu_backend::Backend;
use policy_compiler::{Compiler, Port, Site, Uplink};
use policy_model::{
    Action, Flow, IpSetId, IpSetKind, L4, Member, Policy, PolicyId, PolicyKind, PolicyModel,
    PortRange, Protocol, Rule, RuleId, RuleNotes, Semantics, Side, Tier, Update, WorkloadEndpoint,
    WorkloadId,
};
use table_model::{Atomicity, Capability, Flip, TableSnapshot};
use tokio::runtime::Runtime;

use super::super::BenchError;
use super::super::peer::{PeerError, Switch};
use super::super::wire::PORTS;
use crate::packet::{Link, frame};

/// IP sets that share the members.
const SETS: u32 = 8;
/// The first port that a set's rule allows; each set has one of its own.
const FIRST_PORT: u16 = 8000;
/// Distinct packets.
const PACKETS: u32 = 16_384;
const POD: Ipv4Addr = Ipv4Addr::new(10, 65, 0, 1);
const UPLINK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const NEIGHBOUR_MAC: [u8; 6] = [2, 0, 0, 1, 0, 1];

/// Policy and the site that it is compiled for.
#[derive(Debug)]
pub(in crate::bench) struct World {
    members: u32,
    model: PolicyModel,
    site: Site,
}

impl World {
    /// A pod behind the second port to which the members of the sets may talk from the first.
    ///
    /// # Errors
    /// The policy contradicts itself.
    pub(in crate::bench) fn new(members: u32) -> Result<Self, BenchError> {
        let mut model = PolicyModel::new();
        for set in 0..SETS {
            let own = (set..members).step_by(SETS as usize);
            model.apply(Update::IpSet {
                id: set_id(set),
                kind: IpSetKind::Ip,
                members: own
                    .map(|index| Member::Net(IpAddr::from(member(index)).into()))
                    .collect(),
                invalid: Vec::new(),
            })?;
        }
        let policy = PolicyId {
            name: "bench".into(),
            namespace: "".into(),
            kind: PolicyKind::GlobalNetworkPolicy,
        };
        model.apply(Update::Policy(
            policy.clone(),
            Policy {
                tier: "default".into(),
                inbound: (0..SETS).map(rule).collect(),
                ..Policy::default()
            },
        ))?;
        let pod = WorkloadEndpoint {
            active: true,
            interface: "cali0".to_owned(),
            nets: vec![IpAddr::from(POD).into()],
            tiers: vec![Tier {
                name: "default".into(),
                ingress: vec![policy],
                egress: Vec::new(),
                default_pass: false,
            }],
            ..WorkloadEndpoint::default()
        };
        let id = WorkloadId {
            orchestrator: "k8s".into(),
            workload: "bench/pod".into(),
            endpoint: "eth0".into(),
        };
        model.apply(Update::Workload(id, pod))?;
        model.apply(Update::InSync)?;
        let mut site = Site {
            uplink: Some(Uplink {
                port: PORTS[0].0,
                interface: "uplink".to_owned(),
                mac: UPLINK_MAC,
                addresses: vec![[198, 18, 255, 254].into()],
                next_hop_mac: NEIGHBOUR_MAC,
                neighbours: Vec::new(),
            }),
            ..Site::default()
        };
        let port = Port {
            number: PORTS[1].0,
            mac: Some([2, 0, 0, 2, 0, 2]),
        };
        site.workload_ports.insert("cali0".to_owned(), port);
        Ok(Self {
            members,
            model,
            site,
        })
    }

    /// All rows, in the order in which they may be written.
    ///
    /// # Errors
    /// They do not fit the tables.
    pub(in crate::bench) fn rows(&self) -> Result<TableSnapshot, BenchError> {
        let capability = Capability {
            target: String::new(),
            flip: Flip::Modify,
            atomicity: Atomicity::ContinueOnError,
            batch: 1000,
            limits: Vec::new(),
        };
        let compiler = self.compiled(capability)?;
        Ok(compiler.0.snapshot())
    }

    fn compiled(
        &self,
        capability: Capability,
    ) -> Result<(Compiler, Vec<table_model::Phase>), BenchError> {
        let mut model = PolicyModel::new();
        model.replace_with(self.model.clone());
        let changes = model.take_changes();
        let mut compiler = Compiler::new(capability, Semantics::default());
        let commit = compiler.commit(&model, &changes, &self.site)?;
        Ok((compiler, commit.phases))
    }

    /// Programs a switch; how many rows it has then.
    ///
    /// # Errors
    /// It refuses.
    pub(in crate::bench) fn program(
        &self,
        runtime: &Runtime,
        switch: &mut Switch,
    ) -> Result<usize, BenchError> {
        let failed = |reason: String| PeerError::Control {
            name: switch.name,
            reason,
        };
        let pipeline = Pipeline::built_in();
        let pipeline = pipeline.map_err(|error| failed(offload_api::error_chain(&error)))?;
        let target = Target::new(switch.address(), switch.device_id());
        let mut backend = P4rt::new(target, Arc::new(pipeline));
        runtime.block_on(async {
            let capability = backend.connect().await;
            let capability =
                capability.map_err(|error| failed(offload_api::error_chain(&error)))?;
            let (compiler, phases) = self.compiled(capability)?;
            for phase in phases {
                let report = backend.write(&phase.updates).await;
                if let Some(outcome) = report.outcomes.iter().find(|one| !one.is_applied()) {
                    return Err(failed(format!("a row was not taken: {outcome:?}")).into());
                }
            }
            Ok(compiler.snapshot().len())
        })
    }

    /// First packets of allowed flows, each from another member and in no order.
    pub(in crate::bench) fn frames(&self) -> Vec<Vec<u8>> {
        let link = Link {
            dst: UPLINK_MAC,
            src: NEIGHBOUR_MAC,
        };
        let made = (0..PACKETS).map(|index| {
            let which = index.wrapping_mul(2_654_435_761) % self.members;
            let set = u16::try_from(which % SETS).unwrap_or(0);
            let flow = Flow {
                src: member(which).into(),
                dst: POD.into(),
                protocol: Protocol::UDP,
                l4: L4::Ports {
                    src: u16::try_from(index % 30_000).unwrap_or(0) + 1024,
                    dst: FIRST_PORT + set,
                },
            };
            let mut bytes = frame(&flow, index, link);
            bytes.resize(bytes.len().max(60), 0);
            bytes
        });
        made.collect()
    }
}

/// The address of a member: none is next to another's, so that no prefix holds two.
fn member(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x2000_0000 + 2 * index)
}

fn set_id(set: u32) -> IpSetId {
    IpSetId::from(&*format!("s:{set}"))
}

fn rule(set: u32) -> Rule {
    let port = FIRST_PORT + u16::try_from(set).unwrap_or(0);
    Rule {
        action: Action::Allow,
        family: None,
        protocol: Some(Protocol::UDP),
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        src: Side {
            sets: vec![set_id(set)],
            ..Side::default()
        },
        dst: Side {
            ports: vec![PortRange {
                first: port,
                last: port,
            }],
            ..Side::default()
        },
        http: None,
        id: RuleId::from(&*format!("bench{set:011}")),
        notes: Arc::new(RuleNotes::default()),
    }
}
