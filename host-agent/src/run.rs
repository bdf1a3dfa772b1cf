//! The daemon put together.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use felix_bridge::server::{Event, Server, ServerConfig, ServerError};
use offload_api::client::{Connector, Security};
use offload_api::host::{self, HostStatus, SocketError};
use offload_api::sync::{Limits, SyncClient};
use offload_api::tls::{Pki, TlsError};
use sd_notify::NotifyState;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, error, info, warn};

use crate::agent::{Agent, Inputs, Outputs};
use crate::answers::Answers;
use crate::config::{Config, HttpAddress};
use crate::counting::{Counting, SharedCounts};
use crate::counts::Keeper;
use crate::gate::Gate;
use crate::http;
use crate::inventory::{self, Found};
use crate::metrics::Metrics;
use crate::reports::{FilesError, Reports};

/// Events of Felix that may wait for the owner.
const EVENTS: usize = 64;
/// Questions that may wait for the owner.
const QUERIES: usize = 16;

/// Why the daemon does not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The relay's socket.
    #[error(transparent)]
    Felix(#[from] ServerError),
    /// `offloadctl`'s socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The address for metrics.
    #[error("Cannot serve metrics on {address}: choose another with --http, or off")]
    Http {
        /// Address.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// Metrics.
    #[error("Two metrics have one name")]
    Metrics(#[from] prometheus::Error),
    /// Endpoint status files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A part of the daemon failed.
    #[error("{part} stopped")]
    Stopped {
        /// Which.
        part: &'static str,
    },
}

/// Whether the daemon could start: certificates are there or can be made.
///
/// # Errors
/// See [`RunError`].
pub fn check(config: &Config) -> Result<(), RunError> {
    if !config.insecure {
        pki(config).prepare()?;
    }
    Ok(())
}

fn pki(config: &Config) -> Pki {
    Pki {
        dir: config.pki.clone(),
        identity: config.identity.clone(),
    }
}

/// Runs the daemon until `shutdown` completes.
///
/// # Errors
/// It cannot start, or a part of it failed.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    HostAgent::bind(config).await?.run(shutdown).await
}

/// A daemon whose sockets stand.
#[derive(Debug)]
pub struct HostAgent {
    config: Config,
    felix: Server,
    events: mpsc::Receiver<Event>,
    socket: UnixListener,
    http: Option<TcpListener>,
    metrics: Arc<Metrics>,
}

impl HostAgent {
    /// Reads certificates and the journal, and binds the sockets.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn bind(config: Config) -> Result<Self, RunError> {
        check(&config)?;
        let (felix, events) = Server::bind(&ServerConfig {
            socket: config.felix_socket.clone(),
            state: config.state_dir.clone(),
            queue: EVENTS,
        })?;
        let socket = host::bind(&config.socket).await?;
        let http = match config.http {
            HttpAddress::Off => None,
            HttpAddress::On(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| RunError::Http { address, source })?,
            ),
        };
        let metrics = Arc::new(Metrics::new(felix.metrics())?);
        Ok(Self {
            config,
            felix,
            events,
            socket,
            http,
            metrics,
        })
    }

    /// Where metrics are served.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|http| http.local_addr().ok())
    }

    /// Runs until `shutdown` completes. What the DPU enforces stays enforced.
    ///
    /// # Errors
    /// A part of the daemon failed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            config,
            felix,
            events,
            socket,
            http,
            metrics,
        } = self;
        let (stop, stopping) = watch::channel(false);
        let security = if config.insecure {
            warn!(
                dpu = config.dpu,
                "speaking to the DPU in plaintext: whoever is in between rules the tables"
            );
            Security::Plaintext
        } else {
            Security::Mutual {
                pki: pki(&config),
                expected: config.dpu_identity.clone(),
            }
        };
        let schema = Arc::new(p4_tables::schema().clone());
        let fingerprint = schema.fingerprint;
        let connector = Connector {
            address: config.dpu.clone(),
            security,
        };
        let sync = Arc::new(SyncClient::start(schema, connector, Limits::default()));
        let gate = Arc::new(Gate::new());
        let hurry = Arc::new(Notify::new());
        let (found_sender, found) = watch::channel(Found::default());
        let (status_sender, status) = watch::channel(HostStatus::default());
        let (query_sender, queries) = mpsc::channel(QUERIES);
        let (wish_sender, wishes) = mpsc::channel(QUERIES);
        let keeper = Keeper::new(&config.state_dir);
        let counts = SharedCounts::new(keeper.load());

        let inventory = tokio::spawn(inventory::follow(
            sync.client(),
            found_sender,
            Arc::clone(&hurry),
            fingerprint,
        ));
        let answers = Arc::new(Answers {
            queries: query_sender,
            status: status.clone(),
            client: sync.client(),
            counts: counts.clone(),
            wishes: wish_sender,
        });
        let counting = Counting {
            counts: counts.clone(),
            keeper,
            client: sync.client(),
            sync: sync.state(),
            wishes,
            every: config.counts,
            metrics: Arc::clone(&metrics),
        };
        let counting = tokio::spawn(counting.run());
        let socket_path = config.socket.clone();
        let reports = Reports::new(felix.status(), config.endpoint_status.as_deref())?;
        let inputs = Inputs {
            events,
            queries,
            found,
            sync: sync.state(),
        };
        let outputs = Outputs {
            sync,
            reports,
            control: felix.control(),
            metrics: Arc::clone(&metrics),
            gate: Arc::clone(&gate),
            status: status_sender,
            hurry,
            counts,
        };
        let mut owner = tokio::spawn(Agent::new(config, outputs).run(inputs));
        let mut local = tokio::spawn(host::serve(socket, answers, stopped(stopping.clone())));
        let mut door = tokio::spawn(felix.run(stopped(stopping.clone())));
        let mut pages = spawn_pages(http, metrics, gate, stopped(stopping));
        let speaker = tokio::spawn(speak(status));

        info!("host-agent runs");
        notify(&[NotifyState::Ready]);
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            ended = &mut owner => Err(part("The owner of the model", ended.err())),
            ended = &mut local => Err(part("The server of offloadctl's socket", ended.err())),
            ended = &mut door => match ended {
                Ok(Err(error)) => Err(error.into()),
                ended => Err(part("The server of Felix's socket", ended.err())),
            },
            ended = &mut pages => Err(part("The server of metrics", ended.err())),
        };
        info!("host-agent stops; the DPU goes on enforcing");
        notify(&[NotifyState::Stopping]);
        // Nobody waits for this if all have stopped already.
        let _ = stop.send(true);
        speaker.abort();
        inventory.abort();
        counting.abort();
        let deadline = std::time::Duration::from_secs(2);
        for (name, task) in [("owner", owner), ("pages", pages)] {
            if !task.is_finished() && tokio::time::timeout(deadline, task).await.is_err() {
                debug!(name, "did not stop in time");
            }
        }
        if !local.is_finished() {
            // An open `offloadctl watch` would hold it for ever.
            local.abort();
        }
        if let Err(error) = std::fs::remove_file(&socket_path) {
            debug!(%error, "the socket was gone already");
        }
        outcome
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopping.wait_for(|stop| *stop).await;
}

fn part(part: &'static str, error: Option<tokio::task::JoinError>) -> RunError {
    if let Some(error) = error {
        error!(part, %error, "a task failed");
    }
    RunError::Stopped { part }
}

fn spawn_pages(
    http: Option<TcpListener>,
    metrics: Arc<Metrics>,
    gate: Arc<Gate>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        match http {
            None => shutdown.await,
            Some(listener) => {
                if let Err(error) = http::serve(listener, metrics, gate, shutdown).await {
                    error!(%error, "metrics are not served any more");
                }
            }
        }
    })
}

/// Keeps the service manager's status line up to date, and its watchdog quiet.
async fn speak(mut status: watch::Receiver<HostStatus>) {
    let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    let mut tick = tokio::time::interval(watchdog.unwrap_or(std::time::Duration::from_secs(60)));
    loop {
        tokio::select! {
            changed = status.changed() => {
                if changed.is_err() {
                    return;
                }
                let line = {
                    let status = status.borrow_and_update();
                    format!(
                        "felix {}, dpu {}, generation {} of {}",
                        if status.felix.connected { "here" } else { "away" },
                        if status.dpu.connected { "here" } else { "away" },
                        status.dpu.acknowledged_generation,
                        status.dpu.desired_generation,
                    )
                };
                notify(&[NotifyState::Status(&line)]);
            }
            _ = tick.tick() => notify(&[NotifyState::Watchdog]),
        }
    }
}

/// Tells the service manager, if there is one.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the service manager was not told");
    }
}
