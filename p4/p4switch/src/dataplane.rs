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
mod gathered;
mod packet_socket;
mod packets;
mod stats;
mod wake;

use std::{
    io,
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, mpsc::TryRecvError},
    time::{Duration, Instant},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

pub use self::stats::Stats;
use self::{
    control_work::{Answers, Batch, Job},
    packets::Packets,
};
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
    core: Arc<Mutex<Core>>,
    listener: Option<PacketSocket>,
    refreshed: Instant,
}

/// The engines. The loop holds them while it works and lets go while it sleeps, so that a small
/// write need not wake it.
#[derive(Debug)]
pub(crate) struct Core {
    packets: Packets,
    /// Where writes and reads go while a saved program waits for its commit.
    saved: Option<Device>,
    job: Option<Job>,
}

/// Locks the engines.
fn lock(core: &Mutex<Core>) -> MutexGuard<'_, Core> {
    // A panic in the engine ends the loop or the request; what is left is as good as before.
    core.lock().unwrap_or_else(PoisonError::into_inner)
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
            core: Arc::new(Mutex::new(Core {
                packets: Packets::new(device, ports, interfaces, observer, sessions, counters),
                saved: None,
                job: None,
            })),
            listener: packet_socket,
            refreshed: Instant::now(),
        })
    }

    /// The engines, for small writes on the spot.
    pub(crate) fn core(&self) -> Arc<Mutex<Core>> {
        Arc::clone(&self.core)
    }

    /// Runs until it is told to stop or nobody is left who could.
    pub(crate) fn run(mut self) {
        let mut events = [EpollEvent::empty(); 64];
        let shared = Arc::clone(&self.core);
        loop {
            let timeout = self.timeout(&lock(&shared));
            let ready = match self.epoll.wait(&mut events, timeout) {
                Ok(ready) => ready,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(%error, "The packet loop cannot wait for events; it stops");
                    return;
                }
            };
            self.wake.rouse();
            let core = &mut *lock(&shared);
            for event in &events[..ready] {
                self.event(*event, core);
            }
            if !self.control(core) {
                return;
            }
            if core.is_due() {
                core.packets.tick();
            }
            if self.refreshed.elapsed() >= REFRESH {
                self.refreshed = Instant::now();
                self.refresh_interfaces(core);
                core.packets.look_at_ports();
                core.packets.flush_captures();
            }
        }
    }

    /// Sleeps only if nothing waits; the sleep is announced before the last look.
    fn timeout(&self, core: &Core) -> EpollTimeout {
        let idle = core.job.as_ref().is_none_or(Job::waits)
            && self.wake.doze()
            && self.inbox.commands.is_empty();
        if !idle {
            return EpollTimeout::ZERO;
        }
        let wait = core.packets.next_tick().map_or(REFRESH, |next| {
            let left = next.saturating_sub(core.packets.now());
            // Whole milliseconds, upwards: waking too early would be waking twice.
            Duration::from_millis(left.div_ceil(1000)).min(REFRESH)
        });
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO)
    }

    fn event(&mut self, event: EpollEvent, core: &mut Core) {
        match event.data() {
            WAKE => self.wake.clear(),
            LISTENER => self.accept(),
            token if token >= CONNECTIONS => {
                if let Some(socket) = &mut self.listener {
                    socket.serve(
                        token - CONNECTIONS,
                        event.events(),
                        &self.epoll,
                        &mut core.packets,
                    );
                }
            }
            token => {
                let at = usize::try_from(token - INTERFACES).unwrap_or(usize::MAX);
                core.packets.receive(at);
            }
        }
    }

    fn accept(&mut self) {
        if let Some(socket) = &mut self.listener {
            socket.accept(&self.epoll, CONNECTIONS);
        }
    }

    /// One slice of control work; false to stop.
    fn control(&mut self, core: &mut Core) -> bool {
        let mut drained = false;
        for _ in 0..CALLS {
            match self.inbox.calls.try_recv() {
                Ok(Call::Inject { frames, reply }) => {
                    let outputs = frames
                        .into_iter()
                        .map(|(port, frame)| core.packets.inject(port, &frame))
                        .collect();
                    // A caller that has gone wants no answer.
                    let _ = reply.send(outputs);
                }
                Ok(Call::Listen { port, frames }) => core.packets.listen(port, frames),
                Ok(Call::SetPort { port, up }) => core.packets.set_port(port, up),
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
        if core.step() {
            return true;
        }
        for _ in 0..COMMANDS {
            let Ok(command) = self.inbox.commands.try_recv() else {
                break;
            };
            core.command(command);
            if core.job.is_some() {
                break;
            }
        }
        true
    }

    /// Reopens interfaces that came back.
    fn refresh_interfaces(&mut self, core: &mut Core) {
        for (token, interface) in (INTERFACES..).zip(core.packets.interfaces_mut()) {
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

/// Does a small write on the spot if the loop sleeps; else gives it back. True if the loop must be
/// woken all the same.
pub(crate) fn write_now(core: &Mutex<Core>, write: Write) -> Result<bool, Write> {
    let mut core = match core.try_lock() {
        Ok(core) => core,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(write),
    };
    if core.job.is_some() {
        return Err(write);
    }
    let before = core.packets.next_tick();
    core.tell_time();
    core.write(write);
    // A batch of which more is to come goes on when it comes.
    let stuck = core.job.as_ref().is_some_and(|job| !job.waits());
    Ok(stuck || core.packets.next_tick() != before)
}

/// Goes on with a batch for one slice if the loop sleeps; false if the loop must be woken.
pub(crate) fn proceed_now(core: &Mutex<Core>) -> bool {
    let mut core = match core.try_lock() {
        Ok(core) => core,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return false,
    };
    let before = core.packets.next_tick();
    core.step();
    let stuck = core.job.as_ref().is_some_and(|job| !job.waits());
    !stuck && core.packets.next_tick() == before
}

impl Core {
    /// Whether a digest or an idle entry waits to be told.
    fn is_due(&self) -> bool {
        let next = self.packets.next_tick();
        next.is_some_and(|next| next <= self.packets.now())
    }

    /// Works on the batch that is under way; false if there is none.
    fn step(&mut self) -> bool {
        self.tell_time();
        let Some(job) = self.job.take() else {
            return false;
        };
        let target = self.saved.as_mut().or(self.packets.device.as_mut());
        self.job = job.step(target);
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
                // A small one is done at once.
                self.job = Answers::begin(read, target);
                self.step();
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
        self.job = Batch::begin(write, target).and_then(|job| {
            let target = self.saved.as_mut().or(self.packets.device.as_mut());
            job.step(target)
        });
    }
}
