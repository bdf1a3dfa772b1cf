//! A client that cannot be used out of order.
//!
//! ```text
//! Client<Connected> ── arbitrate ──► Client<Primary> ── set_pipeline / adopt ──► Client<Ready>
//!        capabilities, read               │  ▲                                     write
//!                                         ▼  │ claim
//!                                     Client<Backup>
//! ```
//!
//! Reads, capabilities and the pipeline in force are there in every state (P4Runtime 5: every
//! client may read). A call that consumes the client gives it back in its error.

mod arbitration;
mod events;
mod pipeline;
mod read;
mod write;

use std::time::Duration;

use thiserror::Error;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

pub use self::{
    arbitration::{ArbitrateError, Arbitrated, Backup, Primary},
    events::{Event, Events, SendError, SessionLost},
    pipeline::{PipelineError, PipelineFailed, Ready},
    read::{Entities, ReadError},
    write::{Retry, WriteError},
};
use crate::p4::v1::{CapabilitiesRequest, p4_runtime_client::P4RuntimeClient};

/// Largest message that the client takes: some servers answer a read of a full table in one.
const MAX_MESSAGE: usize = 256 << 20;

/// A connection that has not asked for a role.
#[derive(Clone, Copy, Debug)]
pub struct Connected(());

/// A P4Runtime client in state `S`.
#[derive(Debug)]
pub struct Client<S = Connected> {
    grpc: P4RuntimeClient<Channel>,
    device_id: u64,
    state: S,
}

/// Why no connection came about.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address is no URI.
    #[error("{address:?} is not an address such as http://127.0.0.1:9559")]
    Address {
        /// What was given.
        address: String,
        /// Cause.
        source: tonic::transport::Error,
    },
    /// Nobody answers.
    #[error("No P4Runtime server answers at {address}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// Cause.
        source: tonic::transport::Error,
    },
}

/// An endpoint with windows that suit large batches and reads; TLS can be added to it.
///
/// `address` is `host:port` or a URI.
///
/// # Errors
/// If `address` is neither.
pub fn endpoint(address: &str) -> Result<Endpoint, ConnectError> {
    let uri = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    Ok(Endpoint::from_shared(uri)
        .map_err(|source| ConnectError::Address {
            address: address.to_owned(),
            source,
        })?
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(5))
        .initial_stream_window_size(Some(1 << 20))
        .initial_connection_window_size(Some(4 << 20)))
}

impl Client<Connected> {
    /// Connects; `address` is `host:port` or a URI.
    ///
    /// # Errors
    /// If the address is malformed or nobody answers there.
    pub async fn connect(address: &str, device_id: u64) -> Result<Self, ConnectError> {
        Self::connect_to(endpoint(address)?, device_id).await
    }

    /// Connects to an endpoint that may carry TLS and timeouts.
    ///
    /// # Errors
    /// If nobody answers there.
    pub async fn connect_to(endpoint: Endpoint, device_id: u64) -> Result<Self, ConnectError> {
        let channel = endpoint
            .connect()
            .await
            .map_err(|source| ConnectError::Unreachable {
                address: endpoint.uri().to_string(),
                source,
            })?;
        Ok(Self::over(channel, device_id))
    }

    /// Uses a channel that is there already.
    #[must_use]
    pub fn over(channel: Channel, device_id: u64) -> Self {
        let grpc = P4RuntimeClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Self {
            grpc,
            device_id,
            state: Connected(()),
        }
    }
}

impl<S> Client<S> {
    /// The device that every request names.
    #[must_use]
    pub fn device_id(&self) -> u64 {
        self.device_id
    }

    /// The version of the API that the server speaks, such as "1.5.0".
    ///
    /// # Errors
    /// The server's status; servers older than 1.1 answer UNIMPLEMENTED.
    pub async fn capabilities(&self) -> Result<String, Status> {
        let request = CapabilitiesRequest {
            device_id: self.device_id,
        };
        Ok(self
            .grpc
            .clone()
            .capabilities(request)
            .await?
            .into_inner()
            .p4runtime_api_version)
    }

    /// A second client on the same connection that only reads.
    #[must_use]
    pub fn reader(&self) -> Client<Connected> {
        Client {
            grpc: self.grpc.clone(),
            device_id: self.device_id,
            state: Connected(()),
        }
    }

    fn with_state<T>(self, next: impl FnOnce(S) -> T) -> Client<T> {
        Client {
            grpc: self.grpc,
            device_id: self.device_id,
            state: next(self.state),
        }
    }
}
