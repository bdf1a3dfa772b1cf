//! The task that keeps a stream to the DPU open and runs the state machine on it.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use table_model::{Generation, Phase, Row, Schema, SchemaError, TableId, TableSnapshot};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::core::{Event, Limits, Link, SyncCore};
use crate::client::{Answers, Connector, DpuClient, message};
use crate::error_chain;
use crate::proto;
use crate::types::{Ack, DpuStatus, Nack, ToDpu};

/// First pause after a lost connection; doubles up to [`BACKOFF_MOST`].
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MOST: Duration = Duration::from_secs(5);
/// First pause after a refusal; doubles up to [`RETRY_MOST`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);
/// How long the DPU may take to open a stream.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// How long the DPU may say nothing while an answer is due. A dead peer is known much earlier, by
/// keepalive; this is for one that lives and is stuck. Writing a million entries takes minutes on a
/// slow target, and `hello` waits for what is under way.
const ANSWER_DEADLINE: Duration = Duration::from_secs(600);
/// Chunks handed to the transport ahead of what it has sent.
const CHUNKS_AHEAD: usize = 4;

/// What is known about the stream at this moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SyncState {
    /// A stream stands and was answered.
    pub connected: bool,
    /// Counts streams; a change means that ports and capability may be others.
    pub connection: u64,
    /// Who answered, as text; empty on a plaintext connection.
    pub peer: String,
    /// Generation that is wanted.
    pub desired: Generation,
    /// Generation that was acknowledged.
    pub acknowledged: Generation,
    /// A change was sent and not answered.
    pub in_flight: bool,
    /// More waits behind it.
    pub waiting: bool,
    /// The last acknowledgement.
    pub ack: Option<Ack>,
    /// The last refusal, gone with the next acknowledgement.
    pub refused: Option<Nack>,
    /// What the reconciler said last.
    pub status: DpuStatus,
    /// Why there is no stream.
    pub error: Option<String>,
    /// Refusals since the start.
    pub refusals: u64,
    /// Whole states asked for since the start.
    pub resyncs: u64,
}

struct Shared {
    core: Mutex<SyncCore>,
    work: Notify,
    state: watch::Sender<SyncState>,
    client: watch::Sender<Option<DpuClient>>,
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, SyncCore> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies what the core knows into the state and applies `change` to it.
    fn publish(&self, change: impl FnOnce(&mut SyncState)) {
        let (desired, acknowledged, in_flight, waiting, connected) = {
            let core = self.core();
            (
                core.generation(),
                core.acknowledged(),
                core.in_flight(),
                core.waiting() > 0,
                core.link() == Link::Up,
            )
        };
        self.state.send_if_modified(|state| {
            let before = state.clone();
            state.desired = desired;
            state.acknowledged = acknowledged;
            state.in_flight = in_flight;
            state.waiting = waiting;
            state.connected = connected;
            change(state);
            *state != before
        });
    }
}

/// The host's sync client. Dropping it ends the stream; the DPU goes on enforcing.
pub struct SyncClient {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for SyncClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncClient").finish_non_exhaustive()
    }
}

impl Drop for SyncClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A session that nobody had before.
#[must_use]
pub fn fresh_session() -> String {
    let mut bytes = [0_u8; 16];
    if rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .is_err()
    {
        warn!("no random numbers, the session is made from the clock");
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        bytes = (now.as_nanos() ^ u128::from(std::process::id()) << 96).to_le_bytes();
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl SyncClient {
    /// Starts to connect. Nothing is sent before the first commit.
    #[must_use]
    pub fn start(schema: Arc<Schema>, connector: Connector, limits: Limits) -> Self {
        let core = SyncCore::new(schema, fresh_session(), limits);
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            work: Notify::new(),
            state: watch::Sender::default(),
            client: watch::Sender::default(),
        });
        let task = tokio::spawn(run(Arc::clone(&shared), connector));
        Self { shared, task }
    }

    /// Commits a change; see [`SyncCore::commit`]. Never waits.
    ///
    /// # Errors
    /// A row of a table that the schema does not have; nothing changed then.
    pub fn commit(&self, phases: Vec<Phase>) -> Result<Generation, SchemaError> {
        let generation = self.shared.core().commit(phases)?;
        self.shared.publish(|_| {});
        self.shared.work.notify_one();
        Ok(generation)
    }

    /// Commits a whole state; see [`SyncCore::replace`]. Never waits.
    ///
    /// # Errors
    /// As [`SyncClient::commit`].
    pub fn replace(&self, state: &TableSnapshot) -> Result<Generation, SchemaError> {
        let generation = self.shared.core().replace(state)?;
        self.shared.publish(|_| {});
        self.shared.work.notify_one();
        Ok(generation)
    }

    /// The rows of a table that are wanted, sorted by key.
    #[must_use]
    pub fn desired(&self, table: TableId) -> Vec<Row> {
        self.shared.core().desired().table(table)
    }

    /// How many rows are wanted, in all tables.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shared.core().desired().len()
    }

    /// Follows the stream's state; the latest only, so a slow reader misses steps and no end.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SyncState> {
        self.shared.state.subscribe()
    }

    /// The connection for other calls, while one stands.
    #[must_use]
    pub fn client(&self) -> watch::Receiver<Option<DpuClient>> {
        self.shared.client.subscribe()
    }
}

async fn run(shared: Arc<Shared>, connector: Connector) {
    let mut pause = BACKOFF_FIRST;
    let mut told = String::new();
    loop {
        let problem = match connector.connect().await {
            Ok(client) => {
                let before = shared.core().acknowledged();
                let problem = stream(&shared, client).await;
                shared.core().disconnected();
                shared.client.send_replace(None);
                if shared.core().acknowledged() > before {
                    pause = BACKOFF_FIRST;
                }
                problem
            }
            Err(error) => error_chain(&error),
        };
        if problem == told {
            debug!(address = connector.address, problem, "no sync stream");
        } else {
            warn!(address = connector.address, problem, "no sync stream");
            told.clone_from(&problem);
        }
        shared.publish(|state| state.error = Some(problem));
        sleep(pause).await;
        pause = (pause * 2).min(BACKOFF_MOST);
    }
}

/// Runs one stream to its end and says why it ended.
async fn stream(shared: &Shared, client: DpuClient) -> String {
    let peer = client.peer().map(ToString::to_string).unwrap_or_default();
    let (sender, messages) = mpsc::channel(CHUNKS_AHEAD);
    let hello = message(shared.core().connected());
    // The channel is empty and has room.
    let _ = sender.try_send(hello);
    let mut answers = match timeout(OPEN_DEADLINE, client.sync(messages)).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => return error_chain(&error),
        Err(_) => return "The DPU agent did not open the stream in time".to_owned(),
    };
    let mut session = Session {
        shared,
        peer,
        client,
        sender,
        outgoing: VecDeque::new(),
        retry: None,
        retry_pause: RETRY_FIRST,
        deadline: Some(Instant::now() + ANSWER_DEADLINE),
    };
    session.run(&mut answers).await
}

struct Session<'a> {
    shared: &'a Shared,
    peer: String,
    client: DpuClient,
    sender: mpsc::Sender<proto::SyncRequest>,
    outgoing: VecDeque<ToDpu>,
    retry: Option<Instant>,
    retry_pause: Duration,
    deadline: Option<Instant>,
}

impl Session<'_> {
    async fn run(&mut self, answers: &mut Answers) -> String {
        let sender = self.sender.clone();
        loop {
            self.pull();
            let far = Instant::now() + ANSWER_DEADLINE;
            tokio::select! {
                answer = answers.next() => match answer {
                    Ok(Some(message)) => {
                        if self.deadline.is_some() {
                            self.deadline = Some(Instant::now() + ANSWER_DEADLINE);
                        }
                        let events = self.shared.core().receive(message);
                        for event in events {
                            if let Some(end) = self.handle(event) {
                                return end;
                            }
                        }
                        self.shared.publish(|_| {});
                    }
                    Ok(None) => return "The DPU agent closed the stream".to_owned(),
                    Err(error) => return error_chain(&error),
                },
                permit = sender.reserve(), if !self.outgoing.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(next) = self.outgoing.pop_front() {
                            permit.send(message(next));
                        }
                    }
                    Err(_) => return "The stream broke".to_owned(),
                },
                () = self.shared.work.notified() => {}
                () = sleep_until(self.retry.unwrap_or(far)), if self.retry.is_some() => {
                    self.retry = None;
                    self.shared.core().retry();
                }
                () = sleep_until(self.deadline.unwrap_or(far)), if self.deadline.is_some() => {
                    return "The DPU agent did not answer in time".to_owned();
                }
            }
        }
    }

    /// Takes the next change from the core once the one before is with the transport.
    fn pull(&mut self) {
        if !self.outgoing.is_empty() {
            return;
        }
        let next = self.shared.core().poll();
        if let Some(messages) = next {
            self.outgoing.extend(messages);
            self.deadline = Some(Instant::now() + ANSWER_DEADLINE);
            self.retry = None;
            self.shared.publish(|_| {});
        }
    }

    fn handle(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Linked => {
                self.deadline = None;
                info!(peer = self.peer, "sync stream stands");
                self.shared.client.send_replace(Some(self.client.clone()));
                let peer = self.peer.clone();
                self.shared.publish(|state| {
                    state.peer = peer;
                    state.connection += 1;
                    state.error = None;
                });
            }
            Event::Acknowledged(ack) => {
                self.deadline = None;
                self.retry_pause = RETRY_FIRST;
                debug!(
                    generation = ack.generation.0,
                    written = ack.written,
                    unchanged = ack.unchanged,
                    millis = ack.millis,
                    "acknowledged"
                );
                self.shared.publish(|state| {
                    state.ack = Some(ack);
                    state.refused = None;
                });
            }
            Event::Refused(nack) => {
                self.deadline = None;
                warn!(
                    generation = nack.generation.0,
                    text = nack.text,
                    "the DPU refused a change"
                );
                self.retry = Some(Instant::now() + self.retry_pause);
                self.retry_pause = (self.retry_pause * 2).min(RETRY_MOST);
                self.shared.publish(|state| {
                    state.refused = Some(nack);
                    state.refusals += 1;
                });
            }
            Event::Status(status) => self.shared.publish(|state| state.status = status),
            Event::Resync(resync) => {
                // Chunks of a change that the DPU does not want any more.
                self.outgoing.clear();
                info!(reason = ?resync.reason, text = resync.text, "the DPU asks for a whole state");
                self.shared.publish(|state| state.resyncs += 1);
            }
            Event::Reconnect(text) => return Some(text),
        }
        None
    }
}
