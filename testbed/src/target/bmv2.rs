//! The reference target: `simple_switch_grpc` of the behavioral model, as another process.
//!
//! Rows go over P4Runtime, packets over its stream service. The switch says nothing of a packet
//! that it drops, so sentinels follow each batch: requests that the pipeline always answers. Its
//! packets pass one ingress thread in order (a resubmitted one before the next new one), then one
//! of four egress threads, chosen by the egress port's number, then one transmit thread. So when a
//! sentinel came back through each egress thread, everything before has come back that ever will.

mod messages;
mod process;
mod stream;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use table_model::{Capability, Phase, TableSnapshot};

use super::device::Device;
use super::{Batch, Target, TargetError};
use process::Process;
use stream::PacketStream;

/// Egress threads of the switch; a port's number modulo this is its thread.
pub(crate) const EGRESS_THREADS: u16 = 4;

/// Packets between sentinels. The switch drops what exceeds 64 packets in an egress queue.
const BATCH: usize = 32;

/// Time that a batch may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A stream that is not turned away for this long is taken.
const READY: Duration = Duration::from_millis(60);

const DEVICE_ID: u64 = 1;

/// The process, its control connection and its packet stream.
pub(crate) struct Bmv2 {
    device: Device,
    stream: PacketStream,
    next_id: u64,
    // Last, so that connections close before the process ends.
    _process: Process,
}

impl Bmv2 {
    /// Starts `program` on free ports of the loopback interface.
    ///
    /// # Errors
    /// It cannot be started or does not answer.
    pub(crate) fn start(program: &str) -> Result<Self, TargetError> {
        let process = Process::start(program, DEVICE_ID, None)?;
        let runtime = Arc::new(super::runtime()?);
        process.wait_until_it_answers()?;
        let device = Device::connect(
            Arc::clone(&runtime),
            &process.control,
            DEVICE_ID,
            "bmv2 simple_switch_grpc",
        )?;
        let stream = PacketStream::open(runtime, &process.packets, DEVICE_ID)?;
        Ok(Self {
            device,
            stream,
            next_id: 1,
            _process: process,
        })
    }

    fn send_part(
        &mut self,
        batch: &Batch,
        from: usize,
        to: usize,
    ) -> Result<Vec<Option<u16>>, TargetError> {
        let mut places = BTreeMap::new();
        let mut waiting = std::collections::BTreeSet::new();
        for (place, probe) in batch.probes[from..to].iter().enumerate() {
            places.insert(self.next_id, place);
            self.stream.send(self.next_id, probe.port, &probe.frame)?;
            self.next_id += 1;
        }
        for (port, frame) in &batch.sentinels {
            waiting.insert(self.next_id);
            self.stream.send(self.next_id, *port, frame)?;
            self.next_id += 1;
        }
        let mut out = vec![None; to - from];
        while !waiting.is_empty() {
            let (id, port, _) = self.stream.receive(DEADLINE)?;
            if let Some(place) = places.get(&id) {
                out[*place] = Some(port);
            }
            waiting.remove(&id);
        }
        Ok(out)
    }
}

/// The switch with a program of its own and nobody who programs it.
pub(crate) struct RawBmv2 {
    stream: PacketStream,
    // Last, so that the stream closes before the process ends.
    _process: Process,
}

impl RawBmv2 {
    /// Starts `program` with this JSON.
    ///
    /// # Errors
    /// It cannot be started or does not answer.
    pub(crate) fn start(program: &str, json: &Path) -> Result<Self, TargetError> {
        let process = Process::start(program, DEVICE_ID, Some(json))?;
        process.wait_until_it_answers()?;
        let runtime = Arc::new(super::runtime()?);
        let started = Instant::now();
        loop {
            let mut stream = PacketStream::open(Arc::clone(&runtime), &process.packets, DEVICE_ID)?;
            // It listens before its program is in place, and turns streams away until then.
            match stream.receive(READY) {
                Err(TargetError::Silent { .. }) => {
                    return Ok(Self {
                        stream,
                        _process: process,
                    });
                }
                Err(error) if started.elapsed() > DEADLINE => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Sends packets and gives back what comes out: waits up to `patience` for `expected` frames, and
    /// `quiet` for more.
    ///
    /// # Errors
    /// The switch is lost.
    pub(crate) fn exchange(
        &mut self,
        packets: &[(u16, Vec<u8>)],
        expected: usize,
        patience: Duration,
        quiet: Duration,
    ) -> Result<Vec<(u16, Vec<u8>)>, TargetError> {
        for (port, bytes) in packets {
            self.stream.send(1, *port, bytes)?;
        }
        let mut came = Vec::new();
        loop {
            let patience = if came.len() < expected {
                patience
            } else {
                quiet
            };
            match self.stream.receive(patience) {
                Ok((_, port, bytes)) => came.push((port, bytes)),
                Err(TargetError::Silent { .. }) => return Ok(came),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Target for Bmv2 {
    fn capability(&self) -> &Capability {
        self.device.capability()
    }

    fn apply(&mut self, phases: &[Phase]) -> Result<(), TargetError> {
        self.device.apply(phases)
    }

    fn send(&mut self, batch: &Batch) -> Result<Vec<Option<u16>>, TargetError> {
        let mut out = Vec::with_capacity(batch.probes.len());
        let total = batch.probes.len();
        for from in (0..total).step_by(BATCH) {
            let to = total.min(from + BATCH);
            out.extend(self.send_part(batch, from, to)?);
        }
        Ok(out)
    }

    fn read(&mut self) -> Result<TableSnapshot, TargetError> {
        self.device.read()
    }
}
