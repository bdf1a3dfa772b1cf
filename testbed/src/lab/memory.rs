//! Ports in memory: frames go through the switch's packet socket, and each comes back as the exact
//! list of frames that it caused. No privilege, no time-outs.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy_model::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::sleep;

use super::{GATEWAY_MAC, LabError, Outcome, PACE, Place, Probe, Topology, Traffic};
use crate::packet::{Link, Seen, answer, arp_request, frame, neighbour_solicitation, read};

/// A frame with the port that it enters or leaves by.
type PortFrame = (u16, Vec<u8>);

/// Frames that may be under way at a time.
const WINDOW: usize = 256;

/// A lab of ports in memory.
#[derive(Debug)]
pub(crate) struct Lab {
    topology: Arc<Topology>,
    path: PathBuf,
    socket: PacketSocket,
}

impl Lab {
    /// Connects to the packet socket of a running switch.
    pub(crate) async fn build(topology: Arc<Topology>, path: &Path) -> Result<Self, LabError> {
        Ok(Self {
            topology,
            path: path.to_owned(),
            socket: PacketSocket::connect(path).await?,
        })
    }

    /// Connects again, to a switch that was started anew.
    pub(crate) async fn reconnect(&mut self) -> Result<(), LabError> {
        self.socket = PacketSocket::connect(&self.path).await?;
        Ok(())
    }

    /// Asks for the gateway's MAC at each place and checks the answers. Gives back how many came.
    pub(crate) async fn ask_gateways(&mut self, places: &[Place]) -> Result<usize, LabError> {
        let mut asked = Vec::new();
        let mut questions = Vec::new();
        for place in places {
            let (port, mac) = self.port(*place);
            for gateway in self.topology.gateways(*place) {
                let own = self.addresses(*place).iter().copied();
                let question = match (
                    gateway,
                    own.clone().find(|own| own.is_ipv4() == gateway.is_ipv4()),
                ) {
                    (IpAddr::V4(gateway), Some(IpAddr::V4(own))) => arp_request(mac, own, gateway),
                    (IpAddr::V6(gateway), Some(IpAddr::V6(own))) => {
                        neighbour_solicitation(mac, own, gateway)
                    }
                    _ => continue,
                };
                asked.push((*place, gateway));
                questions.push((port, question));
            }
        }
        let answers = self.socket.exchange(&questions).await?;
        for ((place, gateway), frames) in asked.iter().zip(answers) {
            let expected = Seen::NeighbourAnswer {
                addr: *gateway,
                mac: self.gateway_mac(*place),
            };
            let answered =
                |(port, frame): &PortFrame| *port == self.port(*place).0 && read(frame) == expected;
            if !frames.iter().any(answered) {
                return Err(LabError::NoGateway {
                    place: self.topology.name(*place).to_owned(),
                    gateway: *gateway,
                });
            }
        }
        Ok(asked.len())
    }

    /// Sends the first packet of each probe, and to those that come out the other end's answer;
    /// outcomes in the order of the probes.
    pub(crate) async fn run(&mut self, probes: &[Probe]) -> Result<Vec<Outcome>, LabError> {
        let firsts: Vec<PortFrame> = probes.iter().map(|probe| self.first(probe)).collect();
        let came = self.socket.exchange(&firsts).await?;
        let mut replies = Vec::new();
        let mut outcomes = Vec::with_capacity(probes.len());
        for ((probe, first), came) in probes.iter().zip(&firsts).zip(came) {
            let forwarded = self.arrived(probe.to, &first.1, &came);
            let mut outcome = Outcome {
                forwarded,
                answered: None,
            };
            if forwarded && let Some(reply) = self.reply(probe, &came) {
                outcome.answered = Some(false);
                replies.push((outcomes.len(), probe.from, reply));
            }
            outcomes.push(outcome);
        }
        let frames: Vec<PortFrame> = replies.iter().map(|(_, _, frame)| frame.clone()).collect();
        let came = self.socket.exchange(&frames).await?;
        for ((index, to, (_, reply)), came) in replies.into_iter().zip(came) {
            outcomes[index].answered = Some(self.arrived(to, &reply, &came));
        }
        Ok(outcomes)
    }

    /// See [`super::Lab::traffic`].
    pub(crate) async fn traffic(
        &mut self,
        allowed: &[Probe],
        denied: &[Probe],
        mut stop: oneshot::Receiver<()>,
    ) -> Result<Traffic, LabError> {
        let mut traffic = Traffic::default();
        let mut pairs = allowed.iter().cycle().zip(denied.iter().cycle());
        while let (Err(TryRecvError::Empty), Some((good, bad))) = (stop.try_recv(), pairs.next()) {
            let frames = [self.first(good), self.first(bad)];
            let came = self.socket.exchange(&frames).await?;
            let [good_came, bad_came] = &came[..] else {
                continue; // One answer a frame: the exchange has said so.
            };
            let mut sent = 1;
            let mut lost = u64::from(!self.arrived(good.to, &frames[0].1, good_came));
            if lost == 0
                && let Some(reply) = self.reply(good, good_came)
            {
                let came = self.socket.exchange(std::slice::from_ref(&reply)).await?;
                let back = came.first().map_or(&[][..], Vec::as_slice);
                sent += 1;
                lost += u64::from(!self.arrived(good.from, &reply.1, back));
            }
            traffic.allowed_sent += sent;
            traffic.allowed_lost += lost;
            traffic.denied_sent += 1;
            traffic.denied_leaked += u64::from(!bad_came.is_empty());
            if good.flow.protocol == Protocol::TCP {
                traffic.allowed_tcp += sent;
            }
            if bad.flow.protocol == Protocol::TCP {
                traffic.denied_tcp += 1;
            }
            sleep(PACE).await;
        }
        Ok(traffic)
    }

    /// The first packet of a probe and the port where it enters.
    fn first(&self, probe: &Probe) -> PortFrame {
        let (port, mac) = self.port(probe.from);
        let link = Link {
            src: mac,
            dst: self.gateway_mac(probe.from),
        };
        (port, frame(&probe.flow, probe.tag, link))
    }

    /// What the other end says to what came out there, and the port where that enters.
    fn reply(&self, probe: &Probe, came: &[PortFrame]) -> Option<PortFrame> {
        let (port, mac) = self.port(probe.to);
        let link = Link {
            src: mac,
            dst: self.gateway_mac(probe.to),
        };
        let (_, frame) = came.first()?;
        Some((port, answer(frame, link)?))
    }

    /// Whether exactly one frame came out, at the right port, with the right MACs, and it is the
    /// one that went in.
    fn arrived(&self, to: Place, sent: &[u8], came: &[PortFrame]) -> bool {
        let [(port, frame)] = came else {
            return false;
        };
        let (expected, mac) = self.port(to);
        *port == expected
            && frame.get(..6) == Some(&mac[..])
            && frame.get(6..12) == Some(&self.gateway_mac(to)[..])
            && read(frame) == read(sent)
    }

    /// Port and the MAC of what hangs on it.
    fn port(&self, place: Place) -> (u16, [u8; 6]) {
        let uplink = (self.topology.uplink.port, self.topology.uplink.next_hop_mac);
        match place {
            Place::Pod(index) => self
                .topology
                .pods
                .get(index)
                .map_or(uplink, |pod| (pod.port, pod.mac)),
            Place::Network => uplink,
        }
    }

    /// The MAC that stands for the node at a place.
    fn gateway_mac(&self, place: Place) -> [u8; 6] {
        match place {
            Place::Pod(_) => GATEWAY_MAC,
            Place::Network => self.topology.uplink.mac,
        }
    }

    fn addresses(&self, place: Place) -> &[IpAddr] {
        match place {
            Place::Pod(index) => self
                .topology
                .pods
                .get(index)
                .map_or(&[][..], |pod| &pod.addresses),
            Place::Network => &self.topology.uplink.remote,
        }
    }
}

/// The client side of the switch's packet socket. All numbers are little endian. A request is
/// u32 length of what follows, u64 sequence, u16 port, frame; an answer is u32 length, u64
/// sequence, u16 count, and count times u16 port, u16 length, frame.
#[derive(Debug)]
struct PacketSocket {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
    sequence: u64,
}

impl PacketSocket {
    async fn connect(path: &Path) -> Result<Self, LabError> {
        let stream = UnixStream::connect(path).await;
        let (from, to) = stream.map_err(LabError::PacketSocket)?.into_split();
        Ok(Self {
            from: BufReader::new(from),
            to,
            sequence: 0,
        })
    }

    /// What each frame caused, in order.
    async fn exchange(&mut self, frames: &[PortFrame]) -> Result<Vec<Vec<PortFrame>>, LabError> {
        let mut all = Vec::with_capacity(frames.len());
        for window in frames.chunks(WINDOW) {
            let mut bytes = Vec::new();
            let first = self.sequence;
            for (port, frame) in window {
                let length = u32::try_from(10 + frame.len()).unwrap_or(u32::MAX);
                bytes.extend(length.to_le_bytes());
                bytes.extend(self.sequence.to_le_bytes());
                bytes.extend(port.to_le_bytes());
                bytes.extend(frame);
                self.sequence += 1;
            }
            self.to
                .write_all(&bytes)
                .await
                .map_err(LabError::PacketSocket)?;
            for sequence in first..self.sequence {
                let answer = self.answer(sequence).await;
                all.push(answer.map_err(LabError::PacketSocket)?);
            }
        }
        Ok(all)
    }

    async fn answer(&mut self, expected: u64) -> io::Result<Vec<PortFrame>> {
        let _length = self.from.read_u32_le().await?;
        let sequence = self.from.read_u64_le().await?;
        if sequence != expected {
            return Err(io::Error::other(format!(
                "answer {sequence} came where {expected} was due"
            )));
        }
        let count = self.from.read_u16_le().await?;
        let mut frames = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let port = self.from.read_u16_le().await?;
            let mut frame = vec![0; usize::from(self.from.read_u16_le().await?)];
            self.from.read_exact(&mut frame).await?;
            frames.push((port, frame));
        }
        Ok(frames)
    }
}
