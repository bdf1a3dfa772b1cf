//! The way from gRPC tasks and in-process callers to the thread that owns the engine.

use std::sync::{
    Arc, Mutex,
    mpsc::{SyncSender, sync_channel},
};

use p4runtime_proto::UpdateError;
use thiserror::Error;
use tokio::sync::{OwnedRwLockReadGuard, mpsc, oneshot};

use crate::{
    dataplane::{Core, Wake, proceed_now, write_now},
    device::Device,
    failure::Failure,
    operation::{self, Operation, Query},
};

/// Requests that may wait for the engine's thread.
const COMMANDS: usize = 64;
/// Updates of a write that may be done on the spot.
const SMALL: usize = 128;
/// In-process calls that may wait for it.
const CALLS: usize = 64;

/// What a batch promises (P4Runtime 12.2). The engine's thread applies every batch between two
/// packets or in slices between packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Atomicity {
    /// Slices; errors leave the others applied.
    ContinueOnError,
    /// In one go; an error takes all back. Serves both atomicities that want that.
    AllOrNothing,
}

/// Updates in the engine's terms, or why they cannot be.
pub(crate) type Piece = Vec<Result<Operation, Failure>>;

/// A batch whose updates are in the engine's terms.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) generation: u64,
    pub(crate) updates: Piece,
    /// Pieces that follow while the first ones are applied already; none in an atomic batch.
    pub(crate) more: Option<std::sync::mpsc::Receiver<Piece>>,
    pub(crate) atomicity: Atomicity,
    pub(crate) reply: oneshot::Sender<Result<Vec<UpdateError>, Failure>>,
    /// Held while the write is under way, so that a new primary waits for it.
    pub(crate) under_way: Option<OwnedRwLockReadGuard<()>>,
}

/// A read whose queries are in the engine's terms.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) generation: u64,
    pub(crate) queries: Vec<(usize, Query)>,
    /// Bounded by what the tables hold and by the number of reads that may be under way.
    pub(crate) pieces: mpsc::UnboundedSender<Answered>,
}

/// One step of an answer.
#[derive(Debug)]
pub(crate) enum Answered {
    Piece(operation::Piece),
    Failed(UpdateError),
}

/// Where a loaded program goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// It replaces the running one, without its state.
    Replace,
    /// It replaces the running one and takes over its state.
    Reconcile,
    /// It waits for [`Command::Commit`]; writes and reads go to it from now on.
    Save,
}

/// A request to the engine's thread.
#[derive(Debug)]
pub(crate) enum Command {
    Write(Write),
    Read(Read),
    Install {
        device: Box<Device>,
        place: Place,
        /// Gives back what is no longer needed, to be dropped elsewhere.
        reply: oneshot::Sender<Result<Vec<Device>, Failure>>,
    },
    Commit {
        reply: oneshot::Sender<Result<Vec<Device>, Failure>>,
    },
    PacketOut(Vec<u8>),
    /// The controller has a list of digests.
    DigestAck {
        /// Position in the pipeline's list.
        digest: usize,
        list_id: u64,
    },
}

/// A frame with its port.
pub type PortFrame = (u16, Vec<u8>);

/// A call from inside the process.
#[derive(Debug)]
pub(crate) enum Call {
    Inject {
        frames: Vec<PortFrame>,
        reply: SyncSender<Vec<Vec<PortFrame>>>,
    },
    Listen {
        port: u16,
        frames: SyncSender<Vec<u8>>,
    },
    /// Takes a port down, or up again, whatever its interface says.
    SetPort {
        port: u16,
        up: bool,
    },
    Stop,
}

/// The engine's thread has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("The switch has stopped")]
pub struct Stopped;

/// Sends to the engine's thread and wakes it.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    commands: mpsc::Sender<Command>,
    calls: SyncSender<Call>,
    wake: Arc<Wake>,
    /// The engines, once the loop has them.
    core: Option<Arc<Mutex<Core>>>,
}

/// The engine thread's ends of the channels.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) calls: std::sync::mpsc::Receiver<Call>,
}

impl Control {
    pub(crate) fn new(wake: Arc<Wake>) -> (Self, Inbox) {
        let (commands, command_inbox) = mpsc::channel(COMMANDS);
        let (calls, call_inbox) = sync_channel(CALLS);
        let inbox = Inbox {
            commands: command_inbox,
            calls: call_inbox,
        };
        (
            Self {
                commands,
                calls,
                wake,
                core: None,
            },
            inbox,
        )
    }

    /// Lets small writes be done on the spot.
    pub(crate) fn attach(&mut self, core: Arc<Mutex<Core>>) {
        self.core = Some(core);
    }

    /// Sends a write; its first updates are done at once if nothing waits and the engine's thread
    /// sleeps. Two threads that wake each other take longer than some hundred updates.
    pub(crate) async fn write(&self, write: Write) -> Result<(), Stopped> {
        let nothing_waits = self.commands.capacity() == COMMANDS;
        let write = match &self.core {
            Some(core)
                if nothing_waits && write.updates.len() <= SMALL && self.wake.is_asleep() =>
            {
                match write_now(core, write) {
                    Ok(wanted) => {
                        if wanted {
                            self.wake.wake();
                        }
                        return Ok(());
                    }
                    Err(write) => write,
                }
            }
            _ => write,
        };
        self.send(Command::Write(write)).await
    }

    /// Waits for room.
    pub(crate) async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)?;
        self.wake.wake();
        Ok(())
    }

    /// Goes on with the batch that is under way, as a piece of it has come, or the last: here if the
    /// engine's thread sleeps.
    pub(crate) fn proceed(&self) {
        let done = match &self.core {
            Some(core) if self.wake.is_asleep() => proceed_now(core),
            _ => false,
        };
        // Whatever else waits is for the engine's thread.
        if !done || self.commands.capacity() < COMMANDS {
            self.wake.wake();
        }
    }

    /// Blocks until there is room; not for tasks.
    pub(crate) fn call(&self, call: Call) -> Result<(), Stopped> {
        self.calls.send(call).map_err(|_| Stopped)?;
        self.wake.wake();
        Ok(())
    }
}
