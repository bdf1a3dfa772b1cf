//! The streams of connected controllers, and who of them is primary.
//!
//! Shared by gRPC tasks and the packet loop. The lock is held for moments only and never across an
//! await.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use p4runtime_proto::{
    ElectionId,
    google::rpc,
    p4::v1::{
        MasterArbitrationUpdate, PacketIn, Role, StreamMessageResponse,
        stream_message_response::Update,
    },
};
use tokio::sync::{Notify, OwnedRwLockReadGuard, RwLock, mpsc};
use tonic::Status;

use crate::{
    arbitration::{Arbitration, ClientId, Notice, Outcome, RoleName},
    pipeline::ControllerHeader,
    roles::{Access, RoleConfig},
};

/// Messages that may wait for one controller.
pub(crate) const QUEUE: usize = 1024;
/// Places in the queue that packets leave free for notices.
const RESERVED: usize = 64;
/// Streams at a time.
const STREAMS: usize = 1024;

/// A message or the end of a stream.
pub(crate) type Outgoing = Result<StreamMessageResponse, Status>;

#[derive(Debug, Default)]
struct State {
    arbitration: Arbitration,
    streams: BTreeMap<ClientId, Stream>,
}

#[derive(Debug)]
struct Stream {
    outgoing: mpsc::Sender<Outgoing>,
    /// Tells the task of the stream to end it.
    end: Arc<Notify>,
}

/// All streams of the switch.
#[derive(Debug)]
pub(crate) struct Sessions {
    device_id: u64,
    state: Mutex<State>,
    next: AtomicU64,
    /// Claims go one after another.
    claims: tokio::sync::Mutex<()>,
    /// Read while a write is under way; a new primary waits for those.
    writes: Arc<RwLock<()>>,
}

/// Why a client may not write (P4Runtime 12, checks in this order).
pub(crate) enum NotAllowed {
    UnknownRole,
    NotPrimary,
}

impl Sessions {
    pub(crate) fn new(device_id: u64) -> Self {
        Self {
            device_id,
            state: Mutex::default(),
            next: AtomicU64::new(1),
            claims: tokio::sync::Mutex::default(),
            writes: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a new stream; the task that serves it ends it when it is notified.
    pub(crate) fn join(
        &self,
        outgoing: mpsc::Sender<Outgoing>,
    ) -> Result<(ClientId, Arc<Notify>), Status> {
        let mut state = self.state();
        if state.streams.len() >= STREAMS {
            return Err(Status::resource_exhausted(format!(
                "{STREAMS} streams are open; no more are taken"
            )));
        }
        let client = ClientId(self.next.fetch_add(1, Ordering::Relaxed));
        let end = Arc::new(Notify::new());
        state.streams.insert(
            client,
            Stream {
                outgoing,
                end: Arc::clone(&end),
            },
        );
        Ok((client, end))
    }

    /// Forgets a stream that has ended.
    pub(crate) fn leave(&self, client: ClientId) {
        let mut state = self.state();
        state.streams.remove(&client);
        let notices = state.arbitration.leave(client);
        self.notify(&mut state, notices);
    }

    /// Takes a claim; returns when the outcome is in force and everybody is told.
    pub(crate) async fn claim(
        &self,
        client: ClientId,
        role: &RoleName,
        id: Option<ElectionId>,
        config: Option<Arc<RoleConfig>>,
    ) -> Result<(), Status> {
        let _one_at_a_time = self.claims.lock().await;
        {
            let mut state = self.state();
            match state.arbitration.claim(client, role, id, config)? {
                Outcome::Backup(notices) => {
                    self.notify(&mut state, notices);
                    return Ok(());
                }
                Outcome::Winner(notices) => self.notify(&mut state, notices),
            }
        }
        // From here on nobody may write. Writes under way end before the new primary is told.
        drop(self.writes.write().await);
        let mut state = self.state();
        let notice = state.arbitration.enthrone(client, role);
        self.notify(&mut state, notice);
        Ok(())
    }

    /// Lets the primary of a role write; the guard is held until the write has ended.
    pub(crate) async fn admit(
        &self,
        role: &RoleName,
        id: Option<ElectionId>,
    ) -> Result<(OwnedRwLockReadGuard<()>, Access), NotAllowed> {
        // Taken first: whoever is primary afterwards stays it until the guard is gone.
        let under_way = Arc::clone(&self.writes).read_owned().await;
        let state = self.state();
        if !state.arbitration.knows(role) {
            return Err(NotAllowed::UnknownRole);
        }
        if !state.arbitration.is_primary(role, id) {
            return Err(NotAllowed::NotPrimary);
        }
        let access = state.arbitration.access(role);
        Ok((under_way, access))
    }

    /// What a role may do, whoever asks; `None` if nobody ever had it.
    pub(crate) fn access(&self, role: &RoleName) -> Option<Access> {
        let state = self.state();
        let known = state.arbitration.knows(role);
        known.then(|| state.arbitration.access(role))
    }

    /// Whether the client's role may send packets of the controller.
    pub(crate) fn sends_packets(&self, client: ClientId) -> bool {
        let state = self.state();
        let config = state.arbitration.config_of(client);
        config.is_none_or(|config| config.receives_packets)
    }

    /// Gives a notice about an object to the primaries that may know of it; true if any took it.
    pub(crate) fn notice(&self, object: u32, update: Update) -> bool {
        let message = StreamMessageResponse {
            update: Some(update),
        };
        let state = self.state();
        let mut taken = false;
        for (primary, config) in state.arbitration.primaries() {
            let Some(stream) = state.streams.get(&primary) else {
                continue;
            };
            if config.is_none_or(|config| config.names(object)) {
                taken |= stream.outgoing.capacity() > RESERVED
                    && stream.outgoing.try_send(Ok(message.clone())).is_ok();
            }
        }
        taken
    }

    /// Whether the client holds its role.
    pub(crate) fn is_primary(&self, client: ClientId) -> bool {
        self.state().arbitration.is_primary_client(client)
    }

    /// Gives a packet to the primaries; true if any took it.
    pub(crate) fn packet_in(&self, header: Option<&ControllerHeader>, frame: &[u8]) -> bool {
        let (metadata, payload) = match header {
            Some(header) => match header.split(frame) {
                Some(parts) => parts,
                None => return false,
            },
            None => (Vec::new(), frame),
        };
        let packet = PacketIn {
            payload: Bytes::copy_from_slice(payload),
            metadata,
        };
        let state = self.state();
        let mut taken = false;
        for (primary, config) in state.arbitration.primaries() {
            let Some(stream) = state.streams.get(&primary) else {
                continue;
            };
            if config.is_some_and(|config| !config.takes_packet(&packet.metadata)) {
                continue;
            }
            let message = StreamMessageResponse {
                update: Some(Update::Packet(packet.clone())),
            };
            taken |= stream.outgoing.capacity() > RESERVED
                && stream.outgoing.try_send(Ok(message)).is_ok();
        }
        taken
    }

    /// Ends all streams.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        for stream in std::mem::take(&mut state.streams).into_values() {
            // A controller whose queue is full learns it from the end of the stream.
            let _ = stream
                .outgoing
                .try_send(Err(Status::unavailable("The switch is stopping")));
            stream.end.notify_one();
        }
    }

    fn notify(&self, state: &mut State, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            let Some(stream) = state.streams.get(&notice.to) else {
                continue;
            };
            let to = notice.to;
            if stream.outgoing.try_send(Ok(self.message(notice))).is_err() {
                // A controller that does not even take notices is as good as gone.
                tracing::warn!(
                    client = to.0,
                    "A controller does not read its stream; it is closed"
                );
                stream.end.notify_one();
                state.streams.remove(&to);
            }
        }
    }

    fn message(&self, notice: Notice) -> StreamMessageResponse {
        let Notice {
            role,
            highest,
            code,
            ..
        } = notice;
        let text = match code {
            tonic::Code::Ok => "You are the primary",
            tonic::Code::AlreadyExists => "Another client is the primary",
            _ => "There is no primary",
        };
        StreamMessageResponse {
            update: Some(Update::Arbitration(MasterArbitrationUpdate {
                device_id: self.device_id,
                role: wire_role(&role),
                election_id: highest.map(Into::into),
                status: Some(rpc::Status {
                    code: code.into(),
                    message: text.to_owned(),
                    details: Vec::new(),
                }),
            })),
        }
    }
}

/// The role as its clients wrote it.
fn wire_role(role: &RoleName) -> Option<Role> {
    if role.0.is_empty() {
        return None;
    }
    match role.0.strip_prefix('#').and_then(|id| id.parse().ok()) {
        #[expect(deprecated, reason = "told to clients that number their roles")]
        Some(id) => Some(Role {
            id,
            ..Role::default()
        }),
        None => Some(Role {
            name: role.0.clone(),
            ..Role::default()
        }),
    }
}
