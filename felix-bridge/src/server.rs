//! host-agent's side: listens for relays and yields updates.
//!
//! One session is live at a time; a newer one replaces it. What a session says is written to its
//! journal, acknowledged, and handed on as [`Event`]s. The in-sync gate is here: of a session whose
//! snapshot is not complete nothing is handed on, and the session before it stays enforced until
//! then. Every channel is bounded: a slow consumer makes the relay wait, and then Felix.

mod connection;
mod event;
mod live;
mod metrics;

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use policy_model::Update;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::FelixConfig;
use crate::journal::{Journal, JournalError, Role};
use crate::link::{SessionId, Unit};
use crate::status::{self, StatusBoard};

use connection::{Connection, Greeting, Step};
use live::{Live, Outcome};

pub use event::Event;
pub use metrics::Metrics;

/// Where to listen and what to keep.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The unix socket.
    pub socket: PathBuf,
    /// Directory of the journal.
    pub state: PathBuf,
    /// Events that may wait for their consumer.
    pub queue: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            socket: PathBuf::from(crate::link::DEFAULT_SOCKET),
            state: PathBuf::from("/var/lib/margay/host-agent"),
            queue: 64,
        }
    }
}

/// Why the server cannot run.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Somebody else listens.
    #[error("The socket {path} is in use: another host-agent is running")]
    InUse {
        /// Socket.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("The socket {path} cannot be made: check that its directory exists and is writable")]
    Bind {
        /// Socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The state directory cannot be made.
    #[error("The state directory {path} cannot be made")]
    State {
        /// Directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Nobody takes events any more.
    #[error("Nobody takes updates any more")]
    ConsumerGone,
    /// A batch of frames could not be worked on.
    #[error("The task that reads frames has failed")]
    Worker(#[source] tokio::task::JoinError),
}

/// The server; [`Server::run`] it.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    state: PathBuf,
    events: mpsc::Sender<Event>,
    control: SessionControl,
    asked: mpsc::Receiver<(SessionId, String)>,
    board: StatusBoard,
    metrics: Metrics,
    current: Option<Live>,
    pending: Option<Live>,
    worker: Option<JoinHandle<(Live, Outcome)>>,
    connection: Option<Connection>,
    retired: VecDeque<(SessionId, String)>,
    config: FelixConfig,
    began: Instant,
    report_at: Option<Instant>,
}

/// Ends a session on the consumer's word. Clones speak to the same server.
#[derive(Clone, Debug)]
pub struct SessionControl {
    asked: mpsc::Sender<(SessionId, String)>,
}

impl SessionControl {
    /// Asks for a new snapshot: the relay ends with `reason`, and Felix with it, which starts anew.
    /// What is enforced stays until the new snapshot is complete. For a consumer whose model refuses
    /// an update. If another session is live meanwhile, or none, nothing happens.
    pub fn start_anew(&self, session: SessionId, reason: String) {
        // One wish is as good as many: whether this one is queued behind another does not matter.
        let _queued = self.asked.try_send((session, reason));
    }
}

/// How many sessions are remembered that must not come back.
const RETIRED: usize = 64;
/// How long a relay may take to greet.
const GREETING: Duration = Duration::from_secs(5);
/// Status messages encoded at once.
const STATUS_BATCH: usize = 256;

impl Server {
    /// Binds the socket and reads the journal. Events begin with a [`Event::Snapshot`] of what the
    /// journal holds, if it holds a complete one.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn bind(config: &ServerConfig) -> Result<(Self, mpsc::Receiver<Event>), ServerError> {
        std::fs::create_dir_all(&config.state).map_err(|source| ServerError::State {
            path: config.state.clone(),
            source,
        })?;
        // Killed between the last write of a snapshot and its renaming, the pending one is newer.
        let (current, pending) = match Live::recover(&config.state, Role::Pending)? {
            Some(live) if live.session().in_sync() => (Some(live), None),
            pending => (Live::recover(&config.state, Role::Current)?, pending),
        };
        let listener = listen(&config.socket)?;
        let (events, receiver) = mpsc::channel(config.queue.max(1));
        let (asked, wishes) = mpsc::channel(1);
        let server = Self {
            listener,
            state: config.state.clone(),
            events,
            control: SessionControl { asked },
            asked: wishes,
            board: StatusBoard::new(),
            metrics: Metrics::default(),
            config: FelixConfig::default(),
            current,
            pending,
            worker: None,
            connection: None,
            retired: VecDeque::new(),
            began: Instant::now(),
            report_at: None,
        };
        Ok((server, receiver))
    }

    /// Where to put status for Felix.
    #[must_use]
    pub fn status(&self) -> StatusBoard {
        self.board.clone()
    }

    /// For a consumer that needs a new snapshot.
    #[must_use]
    pub fn control(&self) -> SessionControl {
        self.control.clone()
    }

    /// Counts, shared with the running server.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Serves until `shutdown` resolves.
    ///
    /// # Errors
    /// [`ServerError::ConsumerGone`], [`ServerError::Worker`].
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            outcome = self.serve() => outcome,
        };
        // A batch under way still writes the journal; the next run must not begin before it ends.
        if let Some(worker) = self.worker.take() {
            let _whole = worker.await;
        }
        outcome
    }

    async fn serve(&mut self) -> Result<(), ServerError> {
        self.restore().await?;
        let (greeted, mut greetings) = mpsc::channel(8);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        tokio::spawn(connection::greet(stream, greeted.clone(), GREETING));
                    }
                    Err(error) => {
                        warn!(%error, "A relay cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(greeting) = greetings.recv() => self.admit(greeting).await?,
                step = connection::step(&mut self.connection) => self.step(step).await?,
                Some((id, reason)) = self.asked.recv() => {
                    if self.connection.as_ref().map(Connection::session) == Some(id) {
                        self.fail(id, reason).await?;
                    }
                }
                () = self.board.changed(), if self.connection.is_some() => self.speak(),
                () = at(self.report_at), if self.connection.is_some() => self.report(),
            }
        }
    }

    /// What the journal holds is enforced before any relay is there.
    async fn restore(&mut self) -> Result<(), ServerError> {
        let Some(live) = &self.current else {
            return Ok(());
        };
        let Ok(played) = live.session().play() else {
            return Ok(());
        };
        let (session, next) = (live.id(), live.session().next_sequence());
        info!(%session, next, updates = played.updates.len(), "The journal holds a session");
        self.configured(&played.updates);
        self.metrics.in_sync(true);
        self.emit(Event::Snapshot {
            session,
            from_journal: true,
            next,
            updates: played.updates,
            problems: played.problems,
        })
        .await
    }

    async fn admit(&mut self, greeting: Greeting) -> Result<(), ServerError> {
        let Greeting {
            stream,
            behind,
            session,
            oldest,
            newest,
        } = greeting;
        if let Some((_, reason)) = self.retired.iter().find(|(id, _)| *id == session) {
            connection::refuse(stream, reason.clone());
            return Ok(());
        }
        let known = |live: &Option<Live>| live.as_ref().is_some_and(|live| live.id() == session);
        let next = if known(&self.pending) {
            self.pending
                .as_ref()
                .map(|live| live.session().next_sequence())
        } else if known(&self.current) && self.pending.is_none() {
            self.current
                .as_ref()
                .map(|live| live.session().next_sequence())
        } else if oldest == 0 && !known(&self.current) {
            None
        } else {
            let reason = if known(&self.current) {
                "a newer session has taken over"
            } else {
                "the journal does not hold the beginning of this session"
            };
            warn!(%session, reason, "A relay is refused");
            connection::refuse(stream, reason.to_owned());
            return Ok(());
        };
        if let Some(next) = next.filter(|next| *next < oldest || *next > newest) {
            let reason =
                format!("the journal ends at message {next}, the relay has {oldest} to {newest}");
            warn!(%session, reason, "A relay is refused");
            connection::refuse(stream, reason);
            return Ok(());
        }
        self.replace(session).await?;
        if next.is_none() {
            if let Some(old) = self.pending.take() {
                self.retire(old.id(), "a newer session has taken over");
            }
            let (live, error) = Live::begin(&self.state, session);
            self.journal_trouble(error);
            self.pending = Some(live);
        }
        let next = next.unwrap_or(0);
        info!(%session, next, "Felix's session is taken up");
        self.connection = Some(Connection::new(stream, behind, session, next));
        self.board.repeat(next == 0);
        self.report_at = Some(Instant::now());
        self.metrics.session_started();
        self.emit(Event::SessionStarted {
            session,
            resumed_at: next,
        })
        .await
    }

    /// Ends the connection that is there, for the one of `newer`.
    async fn replace(&mut self, newer: SessionId) -> Result<(), ServerError> {
        let Some(old) = self.connection.take() else {
            return Ok(());
        };
        let session = old.session();
        if session == newer {
            return Ok(());
        }
        let reason = "a newer session has taken over".to_owned();
        self.retire(session, &reason);
        old.refuse(reason.clone());
        self.ended(session, reason).await
    }

    async fn step(&mut self, step: Step) -> Result<(), ServerError> {
        match step {
            Step::Nothing => Ok(()),
            Step::Heard { frames, end } => {
                if !frames.is_empty() {
                    self.frames(frames).await?;
                }
                let Some(reason) = end else {
                    return Ok(());
                };
                let Some(old) = self.connection.take() else {
                    return Ok(());
                };
                info!(session = %old.session(), reason, "The relay has gone; what is enforced stays");
                self.ended(old.session(), reason).await
            }
        }
    }

    async fn frames(&mut self, frames: Vec<Bytes>) -> Result<(), ServerError> {
        let Some(id) = self.connection.as_ref().map(Connection::session) else {
            return Ok(());
        };
        let of = |live: &Option<Live>| live.as_ref().is_some_and(|live| live.id() == id);
        let slot = if of(&self.pending) {
            &mut self.pending
        } else {
            &mut self.current
        };
        let Some(mut live) = slot.take() else {
            return Ok(());
        };
        // Decoding and the journal's disk are no work for the tasks that serve others.
        let worker = self.worker.insert(tokio::task::spawn_blocking(move || {
            let outcome = live.take(&frames);
            (live, outcome)
        }));
        let worked = worker.await;
        self.worker = None;
        let (live, outcome) = worked.map_err(ServerError::Worker)?;
        let Outcome {
            snapshot,
            updates,
            problems,
            failed,
            journal,
            counts,
        } = outcome;
        self.metrics.count(&counts);
        self.journal_trouble(journal);
        let next = live.session().next_sequence();
        if live.session().in_sync() {
            let old = self.current.replace(live);
            if let Some(old) = old.filter(|old| old.id() != id) {
                self.retire(old.id(), "a newer session has taken over");
            }
        } else {
            self.pending = Some(live);
        }
        if failed.is_none()
            && let Some(connection) = &mut self.connection
        {
            connection.say(&Unit::Ack { next });
        }
        if let Some((played, next)) = snapshot {
            info!(session = %id, updates = played.updates.len(), "Felix's snapshot is complete");
            self.configured(&played.updates);
            self.metrics.in_sync(true);
            self.emit(Event::Snapshot {
                session: id,
                from_journal: false,
                next,
                updates: played.updates,
                problems: played.problems,
            })
            .await?;
        }
        if !updates.is_empty() || !problems.is_empty() {
            self.configured(&updates);
            self.emit(Event::Updates {
                session: id,
                next,
                updates,
                problems,
            })
            .await?;
        }
        match failed {
            Some(reason) => self.fail(id, reason).await,
            None => Ok(()),
        }
    }

    /// The session cannot go on: its relay ends, so that Felix starts anew. What is enforced stays.
    async fn fail(&mut self, id: SessionId, reason: String) -> Result<(), ServerError> {
        warn!(session = %id, reason, "Felix's session cannot go on; what is enforced stays");
        self.metrics.session_failed();
        if self.pending.as_ref().is_some_and(|live| live.id() == id) {
            self.pending = None;
            let discarded = Journal::discard(&self.state, Role::Pending);
            self.journal_trouble(discarded.err());
        }
        self.retire(id, &reason);
        if let Some(connection) = self.connection.take() {
            connection.refuse(reason.clone());
        }
        self.ended(id, reason).await
    }

    async fn ended(&mut self, session: SessionId, reason: String) -> Result<(), ServerError> {
        self.metrics.session_ended();
        self.emit(Event::SessionEnded { session, reason }).await
    }

    fn retire(&mut self, id: SessionId, reason: &str) {
        self.retired.push_back((id, reason.to_owned()));
        if self.retired.len() > RETIRED {
            self.retired.pop_front();
        }
    }

    fn journal_trouble(&self, error: Option<JournalError>) {
        if let Some(error) = error {
            self.metrics.journal_failed();
            warn!(error = %error, cause = %error.source, "The journal is not kept");
        }
    }

    fn configured(&mut self, updates: &[Update]) {
        for update in updates {
            if let Update::Config(config) = update {
                self.config = FelixConfig::from(config);
            }
        }
    }

    /// Sends what Felix has not heard.
    fn speak(&mut self) {
        if let Some(connection) = &mut self.connection {
            loop {
                let bodies = self.board.take(STATUS_BATCH);
                if bodies.is_empty() {
                    return;
                }
                for body in bodies {
                    connection.say(&Unit::Frame(body));
                }
            }
        }
    }

    /// A sign of life, every `ReportingIntervalSecs`.
    fn report(&mut self) {
        let now = Instant::now();
        let interval = self.config.reporting_interval();
        self.report_at = interval.map(|interval| now + interval);
        let Ok(stamp) = OffsetDateTime::now_utc().format(&Rfc3339) else {
            return;
        };
        let uptime = now.duration_since(self.began).as_secs_f64();
        if let Some(connection) = &mut self.connection {
            connection.say(&Unit::Frame(status::process_status(stamp, uptime)));
        }
    }

    async fn emit(&self, event: Event) -> Result<(), ServerError> {
        self.events
            .send(event)
            .await
            .map_err(|_| ServerError::ConsumerGone)
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Takes the socket's place if nobody answers there.
fn listen(path: &Path) -> Result<UnixListener, ServerError> {
    let error = |source| ServerError::Bind {
        path: path.to_owned(),
        source,
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(error)?;
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            return Err(ServerError::InUse {
                path: path.to_owned(),
            });
        }
        Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(error)?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(error)?;
    Ok(listener)
}
