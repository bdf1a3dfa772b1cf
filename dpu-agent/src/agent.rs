//! The agent's parts, started and stopped together.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dpu_reconciler::Reconciler;
use offload_api::identity::{Expected, Role};
use offload_api::server::{Security, ServeError, serve};
use offload_api::tls::{Pki, ServerTls, TlsError};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::{Config, ConfigError, HttpAddress};
use crate::driver::{Driver, State};
use crate::http::{self, Pages};
use crate::metrics::Metrics;
use crate::service::Service;
use crate::{Device, View};

/// Commands that wait for the driver.
const COMMANDS: usize = 64;
/// How long open calls may take to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Why an agent does not start, or ended.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The built-in pipeline is damaged.
    #[error(transparent)]
    Pipeline(#[from] backend_p4rt::PipelineError),
    /// A port is taken, or not ours to take.
    #[error("Cannot listen on {address} (setting {setting})")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The setting that says so.
        setting: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Metrics.
    #[error("Cannot set up metrics")]
    Metrics(#[from] prometheus::Error),
    /// The API's server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The HTTP server.
    #[error("The HTTP server failed")]
    Http(#[source] io::Error),
    /// A task panicked.
    #[error("A part of the agent failed")]
    Task(#[source] JoinError),
    /// A part ended that should not.
    #[error("A part of the agent ended")]
    Ended,
}

/// A running agent. Dropping it ends it at once, like a kill; [`Agent::stop`] ends it in order.
#[derive(Debug)]
pub struct Agent {
    api: SocketAddr,
    http: Option<SocketAddr>,
    view: watch::Receiver<View>,
    stop: watch::Sender<bool>,
    parts: JoinSet<Result<(), AgentError>>,
}

impl Agent {
    /// Starts an agent with the device that the configuration names.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn start(config: Config) -> Result<Self, AgentError> {
        let device = Device::new(&config)?;
        Self::start_with(config, device).await
    }

    /// Starts an agent with a given device.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn start_with(config: Config, device: Device) -> Result<Self, AgentError> {
        config.check()?;
        let schema = Arc::new(p4_tables::schema().clone());
        let security = security(&config)?;
        let metrics = Metrics::new()?;
        let listener = listen(config.listen, "listen").await?;
        let api = address(&listener, config.listen);
        let http = match config.http {
            HttpAddress::Off => None,
            HttpAddress::At(address) => Some(listen(address, "http").await?),
        };
        let (stop, stopping) = watch::channel(false);
        let (commands, received) = mpsc::channel(COMMANDS);
        let (publish, view) = watch::channel(View::default());
        let mut parts = JoinSet::new();

        let driver = Driver {
            schema: Arc::clone(&schema),
            reconciler: Reconciler::new(Arc::clone(&schema), config.reconciler()),
            commands: received,
            publish,
            stop: stopping.clone(),
            metrics: metrics.clone(),
            started: Instant::now(),
            state: State::default(),
        };
        parts.spawn(async move {
            driver.run(device).await;
            Ok(())
        });

        let mut ports: Vec<_> = config.ports.iter().map(Into::into).collect();
        ports.sort_unstable_by_key(|port: &offload_api::types::DevicePort| port.number);
        let service = Arc::new(Service {
            name: config.name.clone(),
            schema,
            ports,
            commands: commands.clone(),
            view: view.clone(),
            stop: stopping.clone(),
            streams: AtomicU64::new(0),
        });
        let api_stop = wait(stopping.clone());
        parts.spawn(async move {
            serve(listener, service, security, api_stop).await?;
            Ok(())
        });

        let http_address = http.as_ref().and_then(|http| http.local_addr().ok());
        if let Some(http) = http {
            let router = http::router(Pages {
                view: view.clone(),
                commands,
                metrics,
            });
            let server = axum::serve(http, router).with_graceful_shutdown(wait(stopping));
            parts.spawn(async move { server.await.map_err(AgentError::Http) });
        }
        info!(%api, http = ?http_address, name = config.name, "dpu-agent serves");
        Ok(Self {
            api,
            http: http_address,
            view,
            stop,
            parts,
        })
    }

    /// Where the offload API is served.
    #[must_use]
    pub const fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where metrics and health are served, if they are.
    #[must_use]
    pub const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The agent's state, as it changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Waits until a part of the agent fails.
    pub async fn failed(&mut self) -> AgentError {
        match self.parts.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => AgentError::Task(error),
            Some(Ok(Ok(()))) | None => AgentError::Ended,
        }
    }

    /// Ends the streams, finishes what is under way on the device, and leaves the device as it is.
    ///
    /// # Errors
    /// A part failed on the way.
    pub async fn stop(mut self) -> Result<(), AgentError> {
        self.stop.send_replace(true);
        let drained = tokio::time::timeout(DRAIN, async {
            while let Some(part) = self.parts.join_next().await {
                part.map_err(AgentError::Task)??;
            }
            Ok(())
        })
        .await;
        drained.unwrap_or_else(|_| {
            warn!("open calls did not end within {DRAIN:?}; leaving them");
            Ok(())
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Streams are tasks of their own and end with this.
        self.stop.send_replace(true);
    }
}

async fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, AgentError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| AgentError::Listen {
            address,
            setting,
            source,
        })
}

fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

fn security(config: &Config) -> Result<Security, AgentError> {
    if config.insecure {
        return Ok(Security::Plaintext);
    }
    let pki = Pki {
        dir: config.pki.clone(),
        identity: config.identity()?,
    };
    pki.prepare()?;
    Ok(Security::Mutual {
        tls: ServerTls::new(pki)?,
        expected: Expected {
            role: Role::HostAgent,
            name: config.host.clone(),
        },
    })
}

/// Waits until the agent is asked to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone wants the same.
    drop(stop.wait_for(|stop| *stop).await);
}

async fn wait(mut stop: watch::Receiver<bool>) {
    stopped(&mut stop).await;
}
