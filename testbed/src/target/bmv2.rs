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
use std::sync::Arc;
use std::time::Duration;

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
        let process = Process::start(program, DEVICE_ID)?;
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
            let (id, port) = self.stream.receive(DEADLINE)?;
            if let Some(place) = places.get(&id) {
                out[*place] = Some(port);
            }
            waiting.remove(&id);
        }
        Ok(out)
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
