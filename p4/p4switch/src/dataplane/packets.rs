//! Frames into the engine, and where its frames go.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError},
    },
    time::Instant,
};

use p4_engine::Outputs;

use super::stats::Counters;
use crate::{
    control::PortFrame,
    device::Device,
    interface::{Interface, ReceiveBuffers},
    sessions::Sessions,
    translate::Ports,
};

/// The running program with the ports round it.
#[derive(Debug)]
pub(crate) struct Packets {
    pub(super) device: Option<Device>,
    ports: Ports,
    interfaces: Vec<Interface>,
    /// Which interface serves a port.
    by_port: BTreeMap<u16, usize>,
    /// In-process receivers of ports without interface.
    listeners: BTreeMap<u16, SyncSender<Vec<u8>>>,
    buffers: ReceiveBuffers,
    outputs: Outputs,
    /// For each interface, which of the outputs are its.
    queues: Vec<Vec<usize>>,
    sessions: Arc<Sessions>,
    counters: Arc<Counters>,
    started: Instant,
}

impl Packets {
    pub(super) fn new(
        device: Option<Device>,
        ports: Ports,
        interfaces: Vec<Interface>,
        sessions: Arc<Sessions>,
        counters: Arc<Counters>,
    ) -> Self {
        let by_port = interfaces
            .iter()
            .enumerate()
            .map(|(at, interface)| (interface.port(), at))
            .collect();
        Self {
            device,
            ports,
            queues: vec![Vec::new(); interfaces.len()],
            by_port,
            listeners: BTreeMap::new(),
            buffers: ReceiveBuffers::new(if interfaces.is_empty() { 0 } else { 64 }),
            interfaces,
            outputs: Outputs::new(),
            sessions,
            counters,
            started: Instant::now(),
        }
    }

    pub(super) fn interfaces_mut(&mut self) -> &mut [Interface] {
        &mut self.interfaces
    }

    fn now_us(started: Instant) -> u64 {
        u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Takes what an interface has, up to one set of buffers.
    pub(super) fn receive(&mut self, at: usize) {
        let Some(interface) = self.interfaces.get_mut(at) else {
            return;
        };
        let port = interface.port();
        let now = Self::now_us(self.started);
        self.outputs.clear();
        let (device, outputs, counters) = (&mut self.device, &mut self.outputs, &self.counters);
        interface.receive(&mut self.buffers, &mut |frame| match device {
            Some(device) => {
                counters.received.add(1);
                device.engine.process(port, frame, now, outputs);
            }
            None => counters.no_program.add(1),
        });
        self.deliver();
    }

    /// Takes a packet of the controller; its frames leave by interfaces and listeners.
    pub(super) fn packet_out(&mut self, frame: &[u8]) {
        if let Some(cpu) = self.ports.cpu {
            self.outputs.clear();
            self.process(cpu, frame);
            self.deliver();
        }
    }

    /// Takes a frame and hands its outputs back instead of sending them; the controller gets its
    /// share all the same.
    pub(super) fn inject(&mut self, port: u16, frame: &[u8]) -> Vec<PortFrame> {
        self.inject_with(port, frame);
        let frames = self.outputs.frames().iter();
        frames
            .map(|output| (output.port, output.bytes.clone()))
            .collect()
    }

    /// As [`inject`](Self::inject), with the outputs left where they are.
    pub(super) fn inject_with(&mut self, port: u16, frame: &[u8]) -> &Outputs {
        self.outputs.clear();
        self.process(port, frame);
        for output in self.outputs.frames() {
            if self.ports.cpu == Some(output.port) {
                packet_in(
                    &self.sessions,
                    self.device.as_ref(),
                    &self.counters,
                    &output.bytes,
                );
            }
        }
        &self.outputs
    }

    /// Attaches an in-process receiver to a port.
    pub(super) fn listen(&mut self, port: u16, frames: SyncSender<Vec<u8>>) {
        self.listeners.insert(port, frames);
    }

    fn process(&mut self, port: u16, frame: &[u8]) {
        match &mut self.device {
            Some(device) => {
                self.counters.received.add(1);
                let now = Self::now_us(self.started);
                device.engine.process(port, frame, now, &mut self.outputs);
            }
            None => self.counters.no_program.add(1),
        }
    }

    /// Sends the outputs where they go, in order for each port.
    fn deliver(&mut self) {
        for (at, output) in self.outputs.frames().iter().enumerate() {
            if self.ports.cpu == Some(output.port) {
                packet_in(
                    &self.sessions,
                    self.device.as_ref(),
                    &self.counters,
                    &output.bytes,
                );
            } else if let Some(interface) = self.by_port.get(&output.port) {
                self.queues[*interface].push(at);
            } else if let Some(listener) = self.listeners.get(&output.port) {
                match listener.try_send(output.bytes.clone()) {
                    Ok(()) => self.counters.sent.add(1),
                    Err(TrySendError::Full(_)) => self.counters.not_sent.add(1),
                    Err(TrySendError::Disconnected(_)) => {
                        self.counters.unattached.add(1);
                        self.listeners.remove(&output.port);
                    }
                }
            } else {
                self.counters.unattached.add(1);
            }
        }
        let frames = self.outputs.frames();
        for (queue, interface) in self.queues.iter_mut().zip(&mut self.interfaces) {
            if queue.is_empty() {
                continue;
            }
            let sent = interface.send(queue.iter().map(|at| frames[*at].bytes.as_slice()));
            self.counters.sent.add(sent);
            self.counters.not_sent.add(queue.len() - sent);
            queue.clear();
        }
    }
}

fn packet_in(sessions: &Sessions, device: Option<&Device>, counters: &Counters, frame: &[u8]) {
    let header = device.and_then(|device| device.pipeline.as_ref());
    let header = header.and_then(|pipeline| pipeline.packet_in.as_ref());
    if sessions.packet_in(header, frame) {
        counters.packet_in.add(1);
    } else {
        counters.packet_in_lost.add(1);
    }
}
