//! What the demo will show, worked out before anything is started: the states of the stream at
//! which packets are tried, the pods that it ever names, and what the reference evaluator says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use felix_bridge::Session;
use policy_model::{
    Flow, Node, PolicyModel, Semantics, Update, Verdict, WorkloadEndpoint, WorkloadId, evaluate,
};

use super::DemoError;
use super::flows::Dealer;
use super::stream::Stream;
use crate::lab::{Place, Pod, Probe, Topology, Uplink};

/// Ports of the switch: the uplink first, then the pods.
const UPLINK_PORT: u16 = 1;
/// The last number that the pipeline can name.
const LAST_PORT: u16 = 510;
/// The node's own addresses where the stream names none (documentation ranges).
const NODE_V4: [u8; 4] = [192, 0, 2, 254];
const NODE_V6: [u16; 8] = [0x2001, 0xdb8, 0xfffe, 0, 0, 0, 0, 1];

/// One flow with the evaluator's verdict.
#[derive(Debug)]
pub(super) struct Case {
    /// Where it starts and ends.
    pub(super) probe: Probe,
    /// What the evaluator says.
    pub(super) verdict: Verdict,
}

/// A state of the stream.
#[derive(Debug)]
pub(super) struct Stage {
    /// The frame that completes it, from 0.
    pub(super) frame: usize,
    /// For people.
    pub(super) title: String,
    /// The policy.
    pub(super) model: PolicyModel,
    /// What is tried.
    pub(super) cases: Vec<Case>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Plan {
    /// The stream's name.
    pub(super) stream: String,
    /// Pods and network.
    pub(super) topology: Topology,
    /// The states, in order.
    pub(super) stages: Vec<Stage>,
    /// What the stages' flows are judged by; tests compile with the same.
    #[cfg_attr(not(test), expect(dead_code, reason = "the agents have their own"))]
    pub(super) semantics: Semantics,
}

impl Plan {
    /// At most `limit` flows a stage.
    pub(super) fn of(stream: &Stream, limit: usize) -> Result<Self, DemoError> {
        let mut session = Session::new();
        let mut model = PolicyModel::new();
        let mut pods = Pods::default();
        let mut states = Vec::new();
        for (index, frame) in stream.frames.iter().enumerate() {
            let received = session.frame(frame).map_err(|source| DemoError::Session {
                name: stream.name.clone(),
                source,
            })?;
            let Some(update) = received.update else {
                continue;
            };
            if let Update::Workload(id, workload) = &update {
                pods.see(id, workload);
            }
            let in_sync = matches!(update, Update::InSync);
            model.apply(update).map_err(|source| DemoError::Model {
                name: stream.name.clone(),
                frame: index,
                source,
            })?;
            if in_sync {
                states.push((index, "at in-sync".to_owned(), model.clone()));
            }
        }
        let last = stream.frames.len().saturating_sub(1);
        match states.last() {
            None => {
                return Err(DemoError::NotInSync {
                    name: stream.name.clone(),
                    frames: stream.frames.len(),
                });
            }
            Some((frame, _, _)) if *frame < last => {
                let live = last - frame;
                states.push((last, format!("after {live} live changes"), model.clone()));
            }
            Some(_) => {}
        }
        let mut topology = pods.topology(&model)?;
        let semantics = Semantics {
            node: Node {
                uplink: topology.uplink.interface.clone(),
                addresses: topology.uplink.node.clone(),
                host_port: false,
            },
            ..Semantics::default()
        };
        let mut dealer = Dealer::default();
        let mut tag = 0;
        let mut stages = Vec::new();
        for (frame, title, model) in states {
            let mut cases = Vec::new();
            for flow in dealer.deal(&model, limit) {
                tag += 1;
                cases.push(case(&model, &semantics, &topology, flow, tag));
            }
            stages.push(Stage {
                frame,
                title,
                model,
                cases,
            });
        }
        topology.uplink.remote = remote(&stages);
        Ok(Self {
            stream: stream.name.clone(),
            topology,
            stages,
            semantics,
        })
    }
}

fn case(
    model: &PolicyModel,
    semantics: &Semantics,
    topology: &Topology,
    flow: Flow,
    tag: u32,
) -> Case {
    Case {
        probe: Probe {
            from: topology.place(model.owner(flow.src)),
            to: topology.place(model.owner(flow.dst)),
            flow,
            tag,
        },
        verdict: evaluate(model, semantics, &flow),
    }
}

/// The addresses that live beyond the uplink.
fn remote(stages: &[Stage]) -> Vec<IpAddr> {
    let cases = stages.iter().flat_map(|stage| &stage.cases);
    let ends = cases.flat_map(|case| {
        let probe = &case.probe;
        [(probe.from, probe.flow.src), (probe.to, probe.flow.dst)]
    });
    let remote: BTreeSet<IpAddr> = ends
        .filter(|(place, _)| *place == Place::Network)
        .map(|(_, addr)| addr)
        .collect();
    remote.into_iter().collect()
}

/// Workloads as the stream names them, whenever that is.
#[derive(Debug, Default)]
struct Pods {
    seen: BTreeMap<WorkloadId, (WorkloadEndpoint, BTreeSet<IpAddr>)>,
}

impl Pods {
    fn see(&mut self, id: &WorkloadId, workload: &WorkloadEndpoint) {
        let addresses = workload.nets.iter().map(ipnet::IpNet::addr);
        let seen = self.seen.entry(id.clone());
        let (latest, all) = seen.or_insert_with(|| (workload.clone(), BTreeSet::new()));
        *latest = workload.clone();
        all.extend(addresses);
    }

    fn topology(self, model: &PolicyModel) -> Result<Topology, DemoError> {
        let count = self.seen.len();
        if count > usize::from(LAST_PORT - UPLINK_PORT) {
            return Err(DemoError::TooManyPods { count });
        }
        let numbered = self.seen.into_iter().zip(UPLINK_PORT + 1..);
        let pods = numbered.map(|((id, (workload, addresses)), port)| Pod {
            id,
            interface: workload.interface,
            port,
            mac: workload.mac.unwrap_or_else(|| made_up(2, port)),
            addresses: addresses.into_iter().collect(),
        });
        let pods: Vec<Pod> = pods.collect();
        let host = model.hostname().and_then(|name| {
            let mut hosts = model.hosts();
            hosts.find(|(host, _)| *host == name).map(|(_, host)| host)
        });
        let own =
            |net: Option<ipnet::IpNet>, fallback: IpAddr| net.map_or(fallback, |net| net.addr());
        let mut node = vec![own(host.and_then(|host| host.v4), NODE_V4.into())];
        if pods
            .iter()
            .flat_map(|pod| &pod.addresses)
            .any(IpAddr::is_ipv6)
        {
            node.push(own(host.and_then(|host| host.v6), NODE_V6.into()));
        }
        Ok(Topology {
            pods,
            uplink: Uplink {
                port: UPLINK_PORT,
                interface: "uplink0".to_owned(),
                mac: made_up(4, UPLINK_PORT),
                next_hop_mac: made_up(6, UPLINK_PORT),
                node,
                remote: Vec::new(),
            },
        })
    }
}

/// A locally administered MAC.
fn made_up(kind: u8, port: u16) -> [u8; 6] {
    let [high, low] = port.to_be_bytes();
    [2, 0, 0, kind, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, limit: usize) -> Plan {
        Plan::of(&Stream::open(name).unwrap(), limit).unwrap()
    }

    #[test]
    fn small_has_two_stages_and_every_pod_that_it_ever_names() {
        let plan = plan("small", 3000);
        let frames: Vec<usize> = plan.stages.iter().map(|stage| stage.frame).collect();
        assert_eq!(frames, [29, 50]);
        let names: Vec<&str> = plan.topology.pods.iter().map(Pod::name).collect();
        let expected = [
            "ops/probe-1",
            "shop/api-1",
            "shop/db-0",
            "shop/web-1",
            "shop/web-3",
        ];
        assert_eq!(names, expected);
        assert_eq!(plan.topology.uplink.node, [IpAddr::from([172, 20, 0, 11])]);
    }

    #[test]
    fn flows_meet_both_verdicts_and_the_ports_that_policy_names() {
        let plan = plan("small", 3000);
        for stage in &plan.stages {
            let allowed = stage.cases.iter().filter(|case| case.verdict.allow).count();
            assert!(allowed > 50 && allowed < stage.cases.len() - 50);
        }
        let ports: BTreeSet<u16> = plan.stages[0]
            .cases
            .iter()
            .filter_map(|case| match case.probe.flow.l4 {
                policy_model::L4::Ports { dst, .. } => Some(dst),
                _ => None,
            })
            .collect();
        for named in [
            5431, 5432, 5433, 8080, 8443, 8450, 8451, 9090, 9091, 9099, 9100, 9101,
        ] {
            assert!(ports.contains(&named), "{named} is not tried");
        }
    }

    #[test]
    fn no_connection_is_asked_about_twice() {
        let plan = plan("tiers", 2000);
        let mut tags = BTreeSet::new();
        for case in plan.stages.iter().flat_map(|stage| &stage.cases) {
            assert!(tags.insert(case.probe.tag));
        }
    }
}
