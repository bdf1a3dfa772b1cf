//! Pods as network namespaces, joined to the switch by veth pairs; traffic by kernel sockets.
//!
//! A namespace lives as long as its descriptor here and has no name, so nothing is left behind
//! however this process ends. What the packets did is read off a capture in every namespace and off
//! the switch's drop counters: each frame that was sent must have come out or be counted as
//! dropped, so a denied flow is known to be denied without a time-out.

mod capture;
mod echo;
mod ethtool;
mod namespace;
mod send;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use policy_model::Protocol;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{LabError, Outcome, PACE, Place, Probe, Topology, Traffic};
use crate::packet::Mark;
use capture::{Capture, Count};
use namespace::Namespace;

pub(crate) use namespace::enter_private_network;
pub(crate) use wire::cables;

/// Longest wait for packets that should be on their way.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at the counters.
const LOOK: Duration = Duration::from_millis(3);
/// Looks that must agree that nothing is under way.
const QUIET_LOOKS: usize = 2;
/// Looks before the first probe.
const CALIBRATION: usize = 12;
/// Probes at a time: bounds sockets and what the captures must buffer.
const BATCH: usize = 500;
/// Connections that go on talking while others are opened.
const TALKING: usize = 32;

/// A lab of namespaces.
#[derive(Debug)]
pub(crate) struct Lab {
    topology: Arc<Topology>,
    places: HashMap<Place, Namespace>,
    capture: Arc<Capture>,
    /// Frames that were sent and are in no account, see [`Lab::calibrate`].
    offset: i128,
}

/// Reads how many frames the switch has dropped since it started, for whatever reason.
pub(crate) trait Drops {
    /// The count.
    fn dropped(&mut self) -> impl Future<Output = Result<u64, LabError>> + Send;
}

impl Lab {
    /// Makes the namespaces; the switch's ends of the veth pairs are in this process's namespace,
    /// named as in the topology.
    pub(crate) async fn build(topology: Arc<Topology>) -> Result<Self, LabError> {
        let capture = Arc::new(Capture::default());
        let mut places = HashMap::new();
        let host = wire::Host::open().await?;
        for (index, pod) in topology.pods.iter().enumerate() {
            let namespace = Namespace::create(pod.name())?;
            host.pod(&namespace, pod).await?;
            capture.watch(&namespace)?;
            places.insert(Place::Pod(index), namespace);
        }
        let namespace = Namespace::create("network")?;
        host.network(&namespace, &topology.uplink).await?;
        capture.watch(&namespace)?;
        places.insert(Place::Network, namespace);
        Ok(Self {
            topology,
            places,
            capture,
            offset: 0,
        })
    }

    /// Lets `places` ask for their gateways' MACs and waits for the answers, so that no probe has
    /// to queue for one. Gives back how many answers came.
    pub(crate) async fn ask_gateways(&self, places: &[Place]) -> Result<usize, LabError> {
        let mut asked = Vec::new();
        for place in places {
            for gateway in self.topology.gateways(*place) {
                self.inside(*place)?.knock(gateway)?;
                asked.push((self.topology.name(*place), gateway));
            }
        }
        let end = Instant::now() + PATIENCE;
        for (place, gateway) in &asked {
            while self.capture.neighbour(place, *gateway).is_none() {
                if Instant::now() > end {
                    return Err(LabError::NoGateway {
                        place: (*place).to_owned(),
                        gateway: *gateway,
                    });
                }
                sleep(LOOK).await;
            }
        }
        Ok(asked.len())
    }

    /// Takes what the captures and the switch have counted up to now as the zero of
    /// [`Lab::settle`]: frames that were sent before the switch listened are in no account.
    pub(crate) async fn calibrate(&mut self, drops: &mut impl Drops) -> Result<(), LabError> {
        let mut offset = i128::MAX;
        for _ in 0..CALIBRATION {
            let dropped = drops.dropped().await?;
            offset = offset.min(self.capture.all().missing(dropped));
            sleep(LOOK).await;
        }
        self.offset = offset;
        Ok(())
    }

    /// Waits until every frame that was sent has come out or is counted as dropped.
    async fn settle(&self, drops: &mut impl Drops) -> Result<(), LabError> {
        let end = Instant::now() + PATIENCE;
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            sleep(LOOK).await;
            let before = self.capture.all().sent;
            let dropped = drops.dropped().await?;
            let now = self.capture.all();
            if now.sent == before && now.missing(dropped) <= self.offset {
                quiet += 1;
            } else {
                quiet = 0;
            }
            if Instant::now() > end {
                return Err(LabError::Unaccounted {
                    sent: now.sent,
                    delivered: now.delivered,
                    dropped,
                });
            }
        }
        Ok(())
    }

    /// Sends the first packet of each probe and lets allowed conversations go on; outcomes in the
    /// order of the probes.
    pub(crate) async fn run(
        &self,
        probes: &[Probe],
        drops: &mut impl Drops,
    ) -> Result<Vec<Outcome>, LabError> {
        let mut outcomes = Vec::with_capacity(probes.len());
        for batch in probes.chunks(BATCH) {
            outcomes.extend(self.batch(batch, drops).await?);
        }
        self.capture.forget();
        Ok(outcomes)
    }

    /// See [`super::Lab::traffic`].
    pub(crate) async fn traffic(
        &self,
        allowed: &[Probe],
        denied: &[Probe],
        mut stop: oneshot::Receiver<()>,
        drops: &mut impl Drops,
    ) -> Result<Traffic, LabError> {
        let mut servers = self.serve(&[allowed, denied].concat())?;
        let senders = |probes: &[Probe]| -> Result<Vec<send::Sender>, LabError> {
            let mut loaded: HashMap<Mark, send::Loaded> = self
                .load(probes)?
                .into_iter()
                .map(|(probe, loaded)| (Mark::of(&probe.flow, probe.tag), loaded))
                .collect();
            let in_order = probes.iter().filter_map(|probe| {
                let loaded = loaded.remove(&Mark::of(&probe.flow, probe.tag))?;
                Some((probe, loaded))
            });
            let opened = in_order.map(|(probe, loaded)| {
                loaded.sender().map_err(|source| LabError::Kernel {
                    step: "opening a flow",
                    place: self.topology.name(probe.from).to_owned(),
                    source,
                })
            });
            opened.collect()
        };
        let (mut good, mut bad) = (senders(allowed)?, senders(denied)?);
        let mut turn = 0;
        while let Err(TryRecvError::Empty) = stop.try_recv() {
            if good.is_empty() || bad.is_empty() {
                break;
            }
            let (fresh_good, fresh_bad) = (turn % good.len(), turn % bad.len());
            good[fresh_good].send();
            bad[fresh_bad].send();
            // Those that were opened first go on talking, so that established connections flow too.
            let talking = TALKING.min(turn + 1).min(good.len());
            good[turn % talking].send();
            turn += 1;
            sleep(PACE).await;
        }
        // Streams end here: their last packets count like all others.
        drop((good, bad));
        self.settle(drops).await?;
        let of = |probe: &Probe| {
            let mark = Mark::of(&probe.flow, probe.tag);
            let there = self.capture.of(&mark);
            let back = mark.answer().map(|answer| self.capture.of(&answer));
            there.plus(back.unwrap_or_default())
        };
        let count = |probes: &[Probe]| {
            probes
                .iter()
                .fold(Count::default(), |sum, probe| sum.plus(of(probe)))
        };
        let streams = |probes: &[Probe]| {
            let streams = probes
                .iter()
                .filter(|probe| probe.flow.protocol == Protocol::TCP);
            streams.map(|probe| of(probe).sent).sum()
        };
        let (good, bad) = (count(allowed), count(denied));
        let (allowed_tcp, denied_tcp) = (streams(allowed), streams(denied));
        servers.shutdown().await;
        self.capture.forget();
        Ok(Traffic {
            allowed_sent: good.sent,
            allowed_lost: good.sent.abs_diff(good.delivered),
            allowed_tcp,
            denied_sent: bad.sent,
            denied_leaked: bad.delivered,
            denied_tcp,
        })
    }

    async fn batch(
        &self,
        probes: &[Probe],
        drops: &mut impl Drops,
    ) -> Result<Vec<Outcome>, LabError> {
        let mut servers = self.serve(probes)?;
        let mut talks = Vec::with_capacity(probes.len());
        for (probe, loaded) in self.load(probes)? {
            let talk = loaded.fire().map_err(|source| LabError::Kernel {
                step: "sending a probe",
                place: self.topology.name(probe.from).to_owned(),
                source,
            })?;
            talks.push((probe.tag, tokio::spawn(talk.answered(PATIENCE))));
        }
        let marks: Vec<Mark> = probes
            .iter()
            .map(|probe| Mark::of(&probe.flow, probe.tag))
            .collect();
        self.left(&marks).await?;
        self.settle(drops).await?;
        let mut answers: HashMap<u32, Option<bool>> = HashMap::new();
        for (tag, talk) in talks {
            let delivered = probes
                .iter()
                .zip(&marks)
                .any(|(probe, mark)| probe.tag == tag && self.capture.of(mark).delivered > 0);
            if delivered {
                answers.insert(tag, talk.await.unwrap_or(Some(false)));
            } else {
                talk.abort();
            }
        }
        let outcome = |(probe, mark): (&Probe, &Mark)| {
            let forwarded = self.capture.of(mark).delivered > 0;
            let heard = || {
                let answer = mark.answer()?;
                Some(self.capture.of(&answer).delivered > 0)
            };
            Outcome {
                forwarded,
                answered: forwarded
                    .then(|| answers.get(&probe.tag).copied().flatten().or_else(heard))
                    .flatten(),
            }
        };
        // The next batch may want the same ports.
        servers.shutdown().await;
        Ok(probes.iter().zip(&marks).map(outcome).collect())
    }

    /// Waits until every probe's first packet has left its namespace.
    async fn left(&self, marks: &[Mark]) -> Result<(), LabError> {
        let end = Instant::now() + PATIENCE;
        for mark in marks {
            while self.capture.of(mark).sent == 0 {
                if Instant::now() > end {
                    return Err(LabError::NotSent {
                        mark: format!("{mark:?}"),
                    });
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Opens the sockets of all probes, each in its namespace.
    fn load<'p>(&self, probes: &'p [Probe]) -> Result<Vec<(&'p Probe, send::Loaded)>, LabError> {
        let mut by_place: BTreeMap<Place, Vec<&Probe>> = BTreeMap::new();
        for probe in probes {
            by_place.entry(probe.from).or_default().push(probe);
        }
        let mut all = Vec::with_capacity(probes.len());
        for (place, probes) in by_place {
            let loaded = self
                .inside(place)?
                .inside("opening the sockets of probes", || {
                    probes
                        .iter()
                        .map(|probe| send::load(probe))
                        .collect::<Result<Vec<_>, _>>()
                })?;
            all.extend(probes.into_iter().zip(loaded));
        }
        all.sort_by_key(|(probe, _)| probe.tag);
        Ok(all)
    }

    /// Serves what the probes will ask for.
    fn serve(&self, probes: &[Probe]) -> Result<JoinSet<std::io::Result<()>>, LabError> {
        let mut wanted: BTreeMap<Place, echo::Wanted> = BTreeMap::new();
        for probe in probes {
            if let Some(server) = send::server(probe) {
                wanted.entry(probe.to).or_default().insert(server);
            }
        }
        let mut tasks = JoinSet::new();
        for (place, wanted) in wanted {
            let namespace = self.inside(place)?;
            for (protocol, socket) in namespace.inside("serving", || echo::open(&wanted))? {
                echo::serve(&mut tasks, protocol, socket).map_err(|source| LabError::Kernel {
                    step: "serving",
                    place: namespace.name().to_owned(),
                    source,
                })?;
            }
        }
        Ok(tasks)
    }

    fn inside(&self, place: Place) -> Result<&Namespace, LabError> {
        self.places.get(&place).ok_or_else(|| LabError::Kernel {
            step: "finding the namespace",
            place: self.topology.name(place).to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use policy_model::WorkloadId;

    use super::super::{Pod, Uplink};
    use super::*;

    fn topology() -> Topology {
        let pod = |name: &str, port: u16, last: u8| Pod {
            id: WorkloadId {
                orchestrator: "k8s".into(),
                workload: name.into(),
                endpoint: "eth0".into(),
            },
            interface: format!("cali{port}"),
            port,
            mac: [2, 0, 0, 0, 0, last],
            addresses: vec![
                format!("10.65.0.{last}").parse().unwrap(),
                format!("fd00:65::{last}").parse().unwrap(),
            ],
        };
        Topology {
            pods: vec![pod("shop/a", 1, 1), pod("shop/b", 2, 2)],
            uplink: Uplink {
                port: 3,
                interface: "uplink0".to_owned(),
                mac: [2, 0, 0, 0, 1, 1],
                next_hop_mac: [2, 0, 0, 0, 1, 2],
                node: vec!["172.20.0.11".parse().unwrap()],
                remote: vec!["10.65.0.66".parse().unwrap()],
            },
        }
    }

    /// Without a switch nobody answers, and the lab says so.
    #[test]
    fn pods_come_up_and_ask_for_their_gateway() {
        if let Err(error) = enter_private_network() {
            println!("SKIP pods_come_up_and_ask_for_their_gateway: {error}, it needs root");
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let lab = Lab::build(Arc::new(topology())).await.unwrap();
            let asked = lab.ask_gateways(&[Place::Pod(0), Place::Network]).await;
            let place = match asked {
                Err(LabError::NoGateway { place, .. }) => place,
                other => panic!("{other:?}"),
            };
            assert_eq!(place, "shop/a");
            assert!(lab.capture.all().sent >= 2);
        });
    }
}
