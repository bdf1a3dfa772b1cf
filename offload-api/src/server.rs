//! The DPU's side: a typed trait that a DPU agent implements, and the listener that serves it.
//!
//! The listener does TLS, checks who calls, cuts pages, puts chunks together and turns messages into
//! values; [`Dpu`] sees none of that.

mod ledger;
mod listen;
mod memory;
mod service;

use std::future::Future;

use table_model::{Row, RowKey};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tonic::Status;

use crate::chunk::{Assembler, Change, ChunkError};
use crate::edge::EdgeError;
use crate::identity::Identity;
use crate::proto;
use crate::types::{
    Departed, DeviceCapability, DeviceInfo, DevicePort, DropCounter, EntryCounter, EntryView,
    FromDpu, Hello, TableUsage, ToDpu,
};

pub use ledger::Ledger;
pub use listen::{Security, ServeError, serve};
pub use memory::{MemoryDpu, Seen};

/// Why a DPU agent does not answer a question.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refused {
    /// No such table or device.
    #[error("{0}")]
    NotFound(String),
    /// The target cannot be reached now; asking again later may work.
    #[error("{0}")]
    Unavailable(String),
    /// The agent or its target failed.
    #[error("{0}")]
    Failed(String),
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotFound(text) => Self::not_found(text),
            Refused::Unavailable(text) => Self::unavailable(text),
            Refused::Failed(text) => Self::internal(text),
        }
    }
}

/// What a DPU agent answers. Tables go by name without control blocks.
pub trait Dpu: Send + Sync + 'static {
    /// The device.
    fn device(&self) -> impl Future<Output = Result<DeviceInfo, Refused>> + Send;

    /// What the target can do; unavailable until the target was reached once.
    fn capability(&self) -> impl Future<Output = Result<DeviceCapability, Refused>> + Send;

    /// All ports sorted by number.
    fn ports(&self) -> impl Future<Output = Result<Vec<DevicePort>, Refused>> + Send;

    /// All tables sorted by id.
    fn tables(&self) -> impl Future<Output = Result<Vec<TableUsage>, Refused>> + Send;

    /// Entries of a table in key order that follow `after`, `limit` at most.
    fn entries(
        &self,
        table: String,
        view: EntryView,
        after: Option<RowKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Row>, Refused>> + Send;

    /// Counters of a table's entries in key order that follow `after`, `limit` at most.
    fn counters(
        &self,
        table: String,
        after: Option<RowKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<EntryCounter>, Refused>> + Send;

    /// Counters of these entries, in any order; those that are not there are left out.
    fn counters_of(
        &self,
        keys: Vec<RowKey>,
    ) -> impl Future<Output = Result<Vec<EntryCounter>, Refused>> + Send;

    /// What deleted entries had counted, `limit` at most; forgets what the caller has `taken` of
    /// this `ledger`.
    fn departed(
        &self,
        ledger: String,
        taken: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Departed, Refused>> + Send;

    /// Drop counters above zero, sorted by code.
    fn drop_counters(&self) -> impl Future<Output = Result<Vec<DropCounter>, Refused>> + Send;

    /// Forgets all connections and gives the epoch that follows.
    fn flush_connections(&self) -> impl Future<Output = Result<u32, Refused>> + Send;

    /// Takes over one sync stream until it ends. Called in a task of its own; a newer stream may
    /// come before the older one is seen to be dead, and is then the one to serve.
    fn sync(&self, stream: SyncStream) -> impl Future<Output = ()> + Send;
}

/// What arrives on a sync stream, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// First, once.
    Hello(Hello),
    /// A change, complete.
    Change(Change),
}

/// Why a sync stream ended.
#[derive(Debug, Error)]
pub enum SyncEnd {
    /// The client closed it in an orderly way.
    #[error("The stream was closed")]
    Closed,
    /// The transport broke. What was not complete is dropped.
    #[error("The stream broke: {0}")]
    Broken(Box<Status>),
    /// A message makes no sense.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// Chunks do not fit together.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The first message is not `hello`, or a later one is.
    #[error("Message {0} out of place: the first message is hello, and only the first")]
    Order(&'static str),
    /// The client said nothing in time.
    #[error("No hello within the deadline")]
    Silent,
}

/// A sync stream, seen from the DPU.
#[derive(Debug)]
pub struct SyncStream {
    peer: Option<Identity>,
    incoming: tonic::Streaming<proto::SyncRequest>,
    outgoing: mpsc::Sender<Result<proto::SyncResponse, Status>>,
    assembler: Assembler,
    greeted: bool,
}

/// How long a client may take for its first message.
const HELLO_DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

impl SyncStream {
    fn new(
        peer: Option<Identity>,
        incoming: tonic::Streaming<proto::SyncRequest>,
        outgoing: mpsc::Sender<Result<proto::SyncResponse, Status>>,
    ) -> Self {
        Self {
            peer,
            incoming,
            outgoing,
            assembler: Assembler::default(),
            greeted: false,
        }
    }

    /// Who called; nobody known on a plaintext connection.
    #[must_use]
    pub fn peer(&self) -> Option<&Identity> {
        self.peer.as_ref()
    }

    /// The next complete message. Safe to drop while it waits.
    ///
    /// # Errors
    /// The stream is over, one way or the other; the client has been told why where it can be.
    pub async fn next(&mut self) -> Result<Incoming, SyncEnd> {
        let end = match self.receive().await {
            Ok(incoming) => return Ok(incoming),
            Err(end) => end,
        };
        if !matches!(end, SyncEnd::Closed | SyncEnd::Broken(_)) {
            let status = Status::invalid_argument(end.to_string());
            // A client that does not read any more learns it from the closed stream.
            let _ = self.outgoing.try_send(Err(status));
        }
        Err(end)
    }

    async fn receive(&mut self) -> Result<Incoming, SyncEnd> {
        loop {
            let next = if self.greeted {
                self.incoming.next().await
            } else {
                tokio::time::timeout(HELLO_DEADLINE, self.incoming.next())
                    .await
                    .map_err(|_| SyncEnd::Silent)?
            };
            let message = next
                .ok_or(SyncEnd::Closed)?
                .map_err(|status| SyncEnd::Broken(Box::new(status)))?;
            let change = match (self.greeted, ToDpu::try_from(message)?) {
                (false, ToDpu::Hello(hello)) => {
                    self.greeted = true;
                    return Ok(Incoming::Hello(hello));
                }
                (true, ToDpu::Snapshot(chunk)) => self.assembler.snapshot(chunk)?,
                (true, ToDpu::Delta(chunk)) => self.assembler.delta(chunk)?,
                (true, ToDpu::Hello(_)) => return Err(SyncEnd::Order("hello")),
                (false, ToDpu::Snapshot(_)) => return Err(SyncEnd::Order("snapshot")),
                (false, ToDpu::Delta(_)) => return Err(SyncEnd::Order("delta")),
            };
            if let Some(change) = change {
                return Ok(Incoming::Change(change));
            }
        }
    }

    /// Sends an answer; false if the client is gone.
    pub async fn send(&self, message: FromDpu) -> bool {
        self.outgoing.send(Ok(message.into())).await.is_ok()
    }

    /// A handle that sends while [`SyncStream::next`] waits.
    #[must_use]
    pub fn sender(&self) -> SyncSender {
        SyncSender {
            outgoing: self.outgoing.clone(),
        }
    }

    /// Ends the stream with a refusal that the client shows.
    pub async fn refuse(self, text: &str) {
        let status = Status::failed_precondition(text);
        let _ = self.outgoing.send(Err(status)).await;
    }
}

/// Sends on a sync stream.
#[derive(Clone, Debug)]
pub struct SyncSender {
    outgoing: mpsc::Sender<Result<proto::SyncResponse, Status>>,
}

impl SyncSender {
    /// Sends an answer; false if the client is gone.
    pub async fn send(&self, message: FromDpu) -> bool {
        self.outgoing.send(Ok(message.into())).await.is_ok()
    }
}
