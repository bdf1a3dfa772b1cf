//! The listener.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tracing::{debug, info, warn};

use super::Dpu;
use super::service::Service;
use crate::identity::Expected;
use crate::proto::device_service_server::DeviceServiceServer;
use crate::proto::table_service_server::TableServiceServer;
use crate::tls::ServerTls;

/// Handshakes at once; more wait in the kernel's queue.
const HANDSHAKES: usize = 32;
/// How long a handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// A peer that answers no ping for this long is gone.
const KEEPALIVE_DEADLINE: Duration = Duration::from_secs(5);
/// Time between pings.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How callers are known.
#[derive(Debug)]
pub enum Security {
    /// Mutual TLS: callers show a certificate whose identity is expected.
    Mutual {
        /// Own side.
        tls: ServerTls,
        /// Who may call.
        expected: Expected,
    },
    /// Nothing is checked and nothing is hidden: anyone who reaches the port rules the tables.
    Plaintext,
}

/// Why the server stopped.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("The offload API server on {address} failed")]
    Transport {
        /// Where it listened.
        address: String,
        /// Cause.
        source: tonic::transport::Error,
    },
    /// The socket has no address.
    #[error("The listening socket has no address")]
    Socket(#[source] io::Error),
}

/// Serves a DPU agent until `shutdown` completes; open calls are finished then.
///
/// # Errors
/// The transport fails.
pub async fn serve<D: Dpu>(
    listener: TcpListener,
    dpu: Arc<D>,
    security: Security,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Socket)?;
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_DEADLINE))
        .tcp_nodelay(true);
    let failed = |source| ServeError::Transport {
        address: address.to_string(),
        source,
    };
    match security {
        Security::Plaintext => {
            warn!(%address, "serving in plaintext: anyone who reaches this port rules the tables");
            let service = Service::new(dpu, None);
            server
                .add_service(DeviceServiceServer::new(service.clone()))
                .add_service(TableServiceServer::new(service))
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown)
                .await
                .map_err(failed)
        }
        Security::Mutual { tls, expected } => {
            info!(%address, %expected, "serving with mutual TLS");
            let service = Service::new(dpu, Some(expected));
            let (ready, connections) = mpsc::channel(HANDSHAKES);
            let accept = tokio::spawn(accept(listener, tls, ready));
            let served = server
                .add_service(DeviceServiceServer::new(service.clone()))
                .add_service(TableServiceServer::new(service))
                .serve_with_incoming_shutdown(ReceiverStream::new(connections), shutdown)
                .await
                .map_err(failed);
            accept.abort();
            served
        }
    }
}

type Accepted = Result<TlsStream<TcpStream>, io::Error>;

async fn accept(listener: TcpListener, tls: ServerTls, ready: mpsc::Sender<Accepted>) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: a pause lets others go.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(tls.config());
        let ready = ready.clone();
        tokio::spawn(async move {
            if let Some(stream) = handshake(acceptor, stream, peer).await {
                // Closed when the server stops.
                let _ = ready.send(Ok(stream)).await;
            }
            drop(slot);
        });
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<TlsStream<TcpStream>> {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    match timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            warn!(%peer, %error, "refused a TLS handshake");
            None
        }
        Err(_) => {
            warn!(%peer, "a TLS handshake took too long");
            None
        }
    }
}
