//! The thread that owns the engine.
//!
//! ```text
//!  gRPC tasks ──commands──┐                    ┌── interfaces (AF_PACKET)
//!  in-process ──calls─────┼──► this thread ◄───┼── packet socket (unix)
//!                         └──── eventfd ───────┴── epoll
//! ```
//!
//! One turn of the loop takes what epoll reports, then one slice of control work. A batch that must
//! be atomic is one slice; others are cut so that packets wait for microseconds only. A batch or a
//! read that has begun ends before the next one begins.

mod control_work;
mod packet_socket;
mod packets;
mod stats;
mod wake;

use std::{
    io,
    os::fd::AsFd,
    sync::{Arc, mpsc::TryRecvError},
    time::{Duration, Instant},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

pub use self::stats::Stats;
use self::{control_work::Job, packets::Packets};
pub(crate) use self::{packet_socket::PacketSocket, stats::Counters, wake::Wake};
use crate::{
    control::{Call, Command, Inbox, Write},
    device::Device,
    interface::Interface,
    observe::Observer,
    sessions::Sessions,
    translate::Ports,
};

/// Epoll token of the eventfd.
const WAKE: u64 = 0;
/// Epoll token of the packet socket's listener.
const LISTENER: u64 = 1;
/// First token of interfaces.
const INTERFACES: u64 = 2;
/// First token of packet socket connections.
const CONNECTIONS: u64 = 1 << 32;
/// How often broken interfaces are looked at.
const REFRESH: Duration = Duration::from_secs(1);
/// Commands in one turn.
const COMMANDS: usize = 32;
/// In-process calls in one turn.
const CALLS: usize = 64;

/// The loop and all that it owns.
#[derive(Debug)]
pub(crate) struct Dataplane {
    epoll: Epoll,
    wake: Arc<Wake>,
    inbox: Inbox,
    packets: Packets,
    listener: Option<PacketSocket>,
    /// Where writes and reads go while a saved program waits for its commit.
    saved: Option<Device>,
    job: Option<Job>,
    refreshed: Instant,
}

/// What the loop is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) wake: Arc<Wake>,
    pub(crate) inbox: Inbox,
    pub(crate) device: Option<Device>,
    pub(crate) ports: Ports,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) packet_socket: Option<PacketSocket>,
    pub(crate) observer: Observer,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) counters: Arc<Counters>,
}

impl Dataplane {
    pub(crate) fn new(parts: Parts) -> io::Result<Self> {
        let Parts {
            wake,
            inbox,
            device,
            ports,
            interfaces,
            packet_socket,
            observer,
            sessions,
            counters,
        } = parts;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        if let Some(socket) = &packet_socket {
            epoll.add(
                socket.as_fd(),
                EpollEvent::new(EpollFlags::EPOLLIN, LISTENER),
            )?;
        }
        for (token, interface) in (INTERFACES..).zip(&interfaces) {
            if let Some(socket) = interface.socket() {
                epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
            }
        }
        Ok(Self {
            epoll,
            wake,
            inbox,
            packets: Packets::new(device, ports, interfaces, observer, sessions, counters),
            listener: packet_socket,
            saved: None,
            job: None,
            refreshed: Instant::now(),
        })
    }

    /// Runs until it is told to stop or nobody is left who could.
    pub(crate) fn run(mut self) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let timeout = self.timeout();
            let ready = match self.epoll.wait(&mut events, timeout) {
                Ok(ready) => ready,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(%error, "The packet loop cannot wait for events; it stops");
                    return;
                }
            };
            self.wake.rouse();
            for event in &events[..ready] {
                self.event(*event);
            }
            if !self.control() {
                return;
            }
            if self.due() {
                self.packets.tick();
            }
            if self.refreshed.elapsed() >= REFRESH {
                self.refreshed = Instant::now();
                self.refresh_interfaces();
                self.packets.look_at_ports();
                self.packets.flush_captures();
            }
        }
    }

    /// Sleeps only if nothing waits; the sleep is announced before the last look.
    fn timeout(&self) -> EpollTimeout {
        let idle = self.job.is_none() && self.wake.doze() && self.inbox.commands.is_empty();
        if !idle {
            return EpollTimeout::ZERO;
        }
        let wait = self.packets.next_tick().map_or(REFRESH, |next| {
            let left = next.saturating_sub(self.packets.now());
            // Whole milliseconds, upwards: waking too early would be waking twice.
            Duration::from_millis(left.div_ceil(1000)).min(REFRESH)
        });
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO)
    }

    /// Whether a digest or an idle entry waits to be told.
    fn due(&self) -> bool {
        let next = self.packets.next_tick();
        next.is_some_and(|next| next <= self.packets.now())
    }

    fn event(&mut self, event: EpollEvent) {
        match event.data() {
            WAKE => self.wake.clear(),
            LISTENER => self.accept(),
            token if token >= CONNECTIONS => {
                if let Some(socket) = &mut self.listener {
                    socket.serve(
                        token - CONNECTIONS,
                        event.events(),
                        &self.epoll,
                        &mut self.packets,
                    );
                }
            }
            token => {
                let at = usize::try_from(token - INTERFACES).unwrap_or(usize::MAX);
                self.packets.receive(at);
            }
        }
    }

    fn accept(&mut self) {
        if let Some(socket) = &mut self.listener {
            socket.accept(&self.epoll, CONNECTIONS);
        }
    }

    /// One slice of control work; false to stop.
    fn control(&mut self) -> bool {
        let mut drained = false;
        for _ in 0..CALLS {
            match self.inbox.calls.try_recv() {
                Ok(Call::Inject { frames, reply }) => {
                    let outputs = frames
                        .into_iter()
                        .map(|(port, frame)| self.packets.inject(port, &frame))
                        .collect();
                    // A caller that has gone wants no answer.
                    let _ = reply.send(outputs);
                }
                Ok(Call::Listen { port, frames }) => self.packets.listen(port, frames),
                Ok(Call::SetPort { port, up }) => self.packets.set_port(port, up),
                Ok(Call::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => {
                    drained = true;
                    break;
                }
            }
        }
        if !drained {
            // There may be more; do not sleep before they are looked at.
            self.wake.wake();
        }
        if let Some(job) = self.job.take() {
            self.tell_time();
            let target = self.saved.as_mut().or(self.packets.device.as_mut());
            self.job = job.step(target);
            return true;
        }
        self.tell_time();
        for _ in 0..COMMANDS {
            let Ok(command) = self.inbox.commands.try_recv() else {
                break;
            };
            self.command(command);
            if self.job.is_some() {
                break;
            }
        }
        true
    }

    /// Operations happen at the time of the slice.
    fn tell_time(&mut self) {
        let now = self.packets.now();
        for device in self.saved.iter_mut().chain(&mut self.packets.device) {
            device.set_now(now);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Write(write) => self.write(write),
            Command::Read(read) => {
                let target = self.saved.as_ref().or(self.packets.device.as_ref());
                control_work::read(target, &read);
            }
            Command::Install {
                device,
                place,
                reply,
            } => {
                let outcome = control_work::install(
                    &mut self.packets.device,
                    &mut self.saved,
                    *device,
                    place,
                );
                self.packets.look_at_ports();
                // Whoever waited may have gone; what is given back is then dropped here.
                let _ = reply.send(outcome);
            }
            Command::Commit { reply } => {
                let outcome = control_work::commit(&mut self.packets.device, &mut self.saved);
                self.packets.look_at_ports();
                let _ = reply.send(outcome);
            }
            Command::PacketOut(frame) => self.packets.packet_out(&frame),
            Command::DigestAck { digest, list_id } => {
                if let Some(device) = &mut self.packets.device {
                    // A list that is forgotten already needs no acknowledgement.
                    device.learning.acknowledge(digest, list_id);
                }
            }
        }
    }

    fn write(&mut self, write: Write) {
        let target = self.saved.as_mut().or(self.packets.device.as_mut());
        self.job = Job::begin(write, target).and_then(|job| {
            let target = self.saved.as_mut().or(self.packets.device.as_mut());
            job.step(target)
        });
    }

    /// Reopens interfaces that came back.
    fn refresh_interfaces(&mut self) {
        for (token, interface) in (INTERFACES..).zip(self.packets.interfaces_mut()) {
            if interface.refresh()
                && let Some(socket) = interface.socket()
                && let Err(error) = self
                    .epoll
                    .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, token))
            {
                tracing::warn!(interface = interface.name(), %error, "Cannot watch the interface");
            }
        }
    }
}
