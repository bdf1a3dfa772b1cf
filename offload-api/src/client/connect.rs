//! Connections.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::DpuClient;
use crate::identity::{Expected, Identity, IdentityError, WrongIdentity};
use crate::tls::{Pki, TlsError};

/// How long TCP and TLS may take, together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long a unary call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// A server that answers no ping for this long is gone.
const KEEPALIVE_DEADLINE: Duration = Duration::from_secs(5);
/// Time between pings.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How the DPU is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Security {
    /// Mutual TLS.
    Mutual {
        /// Own certificates.
        pki: Pki,
        /// Who is to answer.
        expected: Expected,
    },
    /// Nothing is checked and nothing is hidden.
    Plaintext,
}

/// Where a DPU agent is and how it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connector {
    /// `host:port`.
    pub address: String,
    /// How it is known.
    pub security: Security,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nothing answers.
    #[error("Cannot reach the DPU agent at {address}: is it running, and is this its address?")]
    Tcp {
        /// Where.
        address: String,
        /// Cause.
        source: io::Error,
    },
    /// Something answers too slowly.
    #[error("The DPU agent at {address} did not finish the handshake in {seconds} s")]
    Deadline {
        /// Where.
        address: String,
        /// Deadline.
        seconds: u64,
    },
    /// Own certificates.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// The handshake failed.
    #[error(
        "TLS with the DPU agent at {address} failed: both sides need certificates of one \
         authority, and a server in plaintext needs a client in plaintext"
    )]
    Handshake {
        /// Where.
        address: String,
        /// Cause.
        source: io::Error,
    },
    /// Somebody else answers.
    #[error("The DPU agent at {address} is not the one")]
    Identity {
        /// Where.
        address: String,
        /// Who is expected and who answered.
        source: WrongIdentity,
    },
    /// Somebody without a name answers.
    #[error("The server at {address} names no agent")]
    NoIdentity {
        /// Where.
        address: String,
        /// Cause.
        source: IdentityError,
    },
    /// HTTP/2 failed.
    #[error("The server at {address} does not speak gRPC")]
    Http {
        /// Where.
        address: String,
        /// Cause.
        source: tonic::transport::Error,
    },
}

impl Connector {
    /// Connects once.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self) -> Result<DpuClient, ConnectError> {
        timeout(CONNECT_DEADLINE, self.handshake())
            .await
            .unwrap_or_else(|_| {
                Err(ConnectError::Deadline {
                    address: self.address.clone(),
                    seconds: CONNECT_DEADLINE.as_secs(),
                })
            })
    }

    async fn handshake(&self) -> Result<DpuClient, ConnectError> {
        let stream = TcpStream::connect(&self.address)
            .await
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| ConnectError::Tcp {
                address: self.address.clone(),
                source,
            })?;
        match &self.security {
            Security::Plaintext => Ok(DpuClient::new(self.http(stream).await?, None)),
            Security::Mutual { pki, expected } => {
                let config = Arc::new(pki.client_config()?);
                // TLS needs some name; who answered is decided by the certificate's URI below.
                let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
                let stream = TlsConnector::from(config)
                    .connect(name, stream)
                    .await
                    .map_err(|source| ConnectError::Handshake {
                        address: self.address.clone(),
                        source,
                    })?;
                let presented = self.presented(&stream)?;
                expected
                    .admit(&presented)
                    .map_err(|source| ConnectError::Identity {
                        address: self.address.clone(),
                        source,
                    })?;
                Ok(DpuClient::new(self.http(stream).await?, Some(presented)))
            }
        }
    }

    fn presented(
        &self,
        stream: &tokio_rustls::client::TlsStream<TcpStream>,
    ) -> Result<Identity, ConnectError> {
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        leaf.ok_or_else(|| IdentityError::Missing(String::new()))
            .and_then(Identity::of)
            .map_err(|source| ConnectError::NoIdentity {
                address: self.address.clone(),
                source,
            })
    }

    /// HTTP/2 over a stream that stands. The stream serves once: a channel that lost it fails
    /// its calls, and whoever holds it connects anew, with all checks.
    async fn http<S>(&self, stream: S) -> Result<Channel, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = Arc::new(Mutex::new(Some(stream)));
        let once = service_fn(move |_: Uri| {
            let taken = stream
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
                .map(TokioIo::new)
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
            async move { taken }
        });
        Endpoint::from_static("http://dpu-agent")
            .timeout(CALL_DEADLINE)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_DEADLINE)
            .keep_alive_while_idle(true)
            .connect_with_connector(once)
            .await
            .map_err(|source| ConnectError::Http {
                address: self.address.clone(),
                source,
            })
    }
}
