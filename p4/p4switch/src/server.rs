//! The thread with the gRPC server.

use std::{net::TcpListener, thread::JoinHandle, time::Duration};

use tokio::{runtime::Builder, sync::oneshot};
use tonic::transport::{Certificate, Identity, ServerTlsConfig, server::TcpIncoming};

use crate::{
    config::{StartError, Tls},
    service::{Front, Service},
};

/// Requests under way on one connection.
const REQUESTS: u32 = 1024;
/// Largest HTTP/2 frame: a batch of a thousand entries is one of them, not seven.
const FRAME: u32 = 256 << 10;
/// How long requests under way may take when the switch stops.
const DRAIN: Duration = Duration::from_millis(300);
/// A client that does not answer pings for this long is gone, and so is its claim.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// What the thread is made of.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
    pub(crate) service: Service,
    pub(crate) stopped: oneshot::Receiver<()>,
}

/// Starts the thread; it ends after `stopped` fires.
pub(crate) fn spawn(server: Server) -> Result<JoinHandle<()>, StartError> {
    let Server {
        listener,
        tls,
        service,
        stopped,
    } = server;
    let mut builder = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_frame_size(Some(FRAME))
        .max_concurrent_streams(Some(REQUESTS))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE));
    if let Some(tls) = tls {
        builder = builder
            .tls_config(tls_config(tls))
            .map_err(StartError::Tls)?;
    }
    // It is the only service, and without a router before it each request is a little cheaper.
    let service = Front::new(service);
    // One thread: threads that wake each other cost more than they bring at this work. Tasks take their
    // turns, so the answers to requests that came together leave together. Large requests step aside
    // (`spawn_blocking`), so that streams are served meanwhile.
    let runtime = Builder::new_current_thread()
        .thread_name("p4switch-work")
        .enable_all()
        .build()
        .map_err(StartError::System)?;
    let incoming = {
        let _inside = runtime.enter();
        listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpListener::from_std(listener))
            .map_err(StartError::System)?
    };
    let incoming = TcpIncoming::from(incoming).with_nodelay(Some(true));
    std::thread::Builder::new()
        .name("p4switch-grpc".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let (draining, drain) = oneshot::channel();
                let until = async move {
                    // A handle that is dropped stops the switch as well.
                    let _ = stopped.await;
                    let _ = draining.send(());
                };
                let deadline = async move {
                    let _ = drain.await;
                    tokio::time::sleep(DRAIN).await;
                };
                tokio::select! {
                    served = builder.serve_with_incoming_shutdown(service, incoming, until) => {
                        if let Err(error) = served {
                            tracing::error!(%error, "The gRPC server failed");
                        }
                    }
                    () = deadline => {
                        tracing::debug!("Some clients did not close in time");
                    }
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(500));
        })
        .map_err(StartError::System)
}

fn tls_config(tls: Tls) -> ServerTlsConfig {
    let Tls {
        certificate,
        key,
        client_ca,
        require_client_certificate,
    } = tls;
    let config = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_auth_optional(!require_client_certificate);
    match client_ca {
        Some(ca) => config.client_ca_root(Certificate::from_pem(ca)),
        None => config,
    }
}
