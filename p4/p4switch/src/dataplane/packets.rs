//! Frames into the engine, and where its frames go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError},
    },
    time::Instant,
};

use p4_engine::Outputs;
use p4runtime_proto::p4::v1::stream_message_response::Update;

use super::{gathered::Gathered, stats::Counters};
use crate::{
    control::PortFrame,
    device::{Device, Learned},
    interface::{Interface, ReceiveBuffers, running},
    observe::Observer,
    pipeline::Pipeline,
    sessions::Sessions,
    translate::{Ports, digest_list, idle_entries},
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
    /// Ports that were taken down by hand.
    taken_down: BTreeSet<u16>,
    buffers: ReceiveBuffers,
    gathered: Gathered,
    observer: Observer,
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
        observer: Observer,
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
            taken_down: BTreeSet::new(),
            buffers: ReceiveBuffers::new(if interfaces.is_empty() { 0 } else { 64 }),
            interfaces,
            gathered: Gathered::default(),
            observer,
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
        let gathered = &mut self.gathered;
        gathered.clear();
        interface.receive(&mut self.buffers, &mut |frame| gathered.push(frame));
        match &mut self.device {
            Some(device) => {
                self.counters.received.add(gathered.len());
                let (engine, outputs) = (&mut device.engine, &mut self.outputs);
                let frames = gathered.frames();
                self.observer
                    .process_all(engine, port, frames, now, outputs);
            }
            None => self.counters.no_program.add(gathered.len()),
        }
        self.deliver();
        self.learn(now);
    }

    /// The time of the engine's clock, in microseconds.
    pub(super) fn now(&self) -> u64 {
        Self::now_us(self.started)
    }

    /// Takes a packet of the controller; its frames leave by interfaces and listeners.
    pub(super) fn packet_out(&mut self, frame: &[u8]) {
        if let Some(cpu) = self.ports.cpu {
            self.outputs.clear();
            self.process(cpu, frame);
            self.deliver();
            self.learn(self.now());
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
        self.learn(self.now());
        for output in self.outputs.frames() {
            self.observer.sent(output.port, &output.bytes);
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

    /// Hands on what the last packets taught.
    fn learn(&mut self, now_us: u64) {
        if self.outputs.digests().is_empty() {
            return;
        }
        let Some(device) = &mut self.device else {
            return;
        };
        let Some(pipeline) = device.pipeline.clone() else {
            return;
        };
        let mut ready = Vec::new();
        for digest in self.outputs.take_digests() {
            let at = digest.digest.position();
            let known = pipeline
                .digests
                .iter()
                .position(|own| own.lists.contains(&at));
            if let Some(known) = known {
                let learning = &mut device.learning;
                learning.take(known, digest.fields, now_us, &mut ready);
            }
        }
        device.learning.flush(now_us, &mut ready);
        self.counters.digests_lost.add(device.learning.take_lost());
        self.tell(&pipeline, ready);
    }

    fn tell(&self, pipeline: &Pipeline, ready: Vec<Learned>) {
        for learned in ready {
            let messages = learned.messages.len();
            let Some(list) = digest_list(pipeline, learned) else {
                continue;
            };
            if self.sessions.notice(list.digest_id, Update::Digest(list)) {
                self.counters.digests.add(messages);
            } else {
                self.counters.digests_lost.add(messages);
            }
        }
    }

    /// Sends what its time has come for: digests that waited, entries that were not hit.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        let Some(device) = &mut self.device else {
            return;
        };
        device.set_now(now);
        let Some(pipeline) = device.pipeline.clone() else {
            return;
        };
        let mut ready = Vec::new();
        if device.learning.next_us().is_some_and(|next| next <= now) {
            device.learning.flush(now, &mut ready);
        }
        let mut idle = Vec::new();
        if device.next_idle_us().is_some_and(|next| next <= now) {
            idle = device.take_idle();
        }
        self.tell(&pipeline, ready);
        // One notice for each table: roles may know of some tables only.
        idle.sort_by_key(|idle| idle.table);
        while let Some(first) = idle.first() {
            let table = first.table;
            let rest = idle.split_off(idle.partition_point(|idle| idle.table <= table));
            if let Some(notice) = idle_entries(&pipeline, std::mem::replace(&mut idle, rest)) {
                let id = notice.table_entry.first().map_or(0, |entry| entry.table_id);
                self.sessions
                    .notice(id, Update::IdleTimeoutNotification(notice));
            }
        }
    }

    /// Writes captures that wait in memory.
    pub(super) fn flush_captures(&mut self) {
        self.observer.flush();
    }

    /// When [`Packets::tick`] has something to do, on the engine's clock.
    pub(super) fn next_tick(&self) -> Option<u64> {
        let device = self.device.as_ref()?;
        let (digests, idle) = (device.learning.next_us(), device.next_idle_us());
        digests.into_iter().chain(idle).min()
    }

    /// Attaches an in-process receiver to a port.
    pub(super) fn listen(&mut self, port: u16, frames: SyncSender<Vec<u8>>) {
        self.listeners.insert(port, frames);
    }

    /// Takes a port down, or lets its interface decide again.
    pub(super) fn set_port(&mut self, port: u16, up: bool) {
        if up {
            self.taken_down.remove(&port);
        } else {
            self.taken_down.insert(port);
        }
        self.look_at_ports();
    }

    /// Tells the program which ports are down.
    pub(super) fn look_at_ports(&mut self) {
        let mut down = self.taken_down.clone();
        if !self.interfaces.is_empty()
            && let Some(running) = running()
        {
            let interfaces = self.interfaces.iter();
            let dead = interfaces.filter(|interface| !running.contains(interface.name()));
            down.extend(dead.map(Interface::port));
        }
        if let Some(device) = &mut self.device {
            device.set_down(&down);
        }
    }

    fn process(&mut self, port: u16, frame: &[u8]) {
        match &mut self.device {
            Some(device) => {
                self.counters.received.add(1);
                let now = Self::now_us(self.started);
                let (engine, outputs) = (&mut device.engine, &mut self.outputs);
                self.observer.process(engine, port, frame, now, outputs);
            }
            None => self.counters.no_program.add(1),
        }
    }

    /// Sends the outputs where they go, in order for each port.
    fn deliver(&mut self) {
        if self.observer.captures() {
            for output in self.outputs.frames() {
                self.observer.sent(output.port, &output.bytes);
            }
        }
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
