//! Write requests that are bytes before the clock starts, the same for all switches.
//!
//! A client shares the cores with the switch that it measures. This one does what HTTP/2 needs and
//! nothing else, so that what is measured is the switch.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use h2::client::SendRequest;
use p4runtime_proto::p4::v1::{Uint128, Update, WriteRequest};
use prost::Message as _;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use tokio::net::TcpStream;
use tonic::codegen::http::{HeaderMap, Request};

use super::peer::{PeerError, Switch};

/// A connection. It ends with the runtime that it was made in.
#[derive(Debug)]
pub(super) struct Raw {
    name: &'static str,
    uri: String,
    requests: SendRequest<Bytes>,
}

/// A request of the switch's primary, with the five bytes that gRPC puts before each message.
pub(super) fn request(switch: &Switch, updates: Vec<Update>) -> Bytes {
    let request = WriteRequest {
        device_id: switch.device_id(),
        election_id: Some(Uint128 {
            high: 0,
            low: switch.election(),
        }),
        updates,
        ..WriteRequest::default()
    };
    let length = request.encoded_len();
    let mut bytes = BytesMut::with_capacity(length + 5);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.put(&*request.encode_to_vec());
    bytes.freeze()
}

impl Raw {
    /// Connects. The switch's client has to be there as well: it is the primary.
    ///
    /// # Errors
    /// No connection.
    pub(super) async fn connect(switch: &Switch) -> Result<Self, PeerError> {
        let stream = TcpStream::connect(switch.address()).await?;
        stream.set_nodelay(true)?;
        let failed = |error| failed(switch.name, &error);
        let (requests, connection) = h2::client::handshake(stream).await.map_err(failed)?;
        tokio::spawn(async move {
            // What goes wrong with it goes wrong with a request.
            let _ = connection.await;
        });
        Ok(Self {
            name: switch.name,
            uri: format!("http://{}/p4.v1.P4Runtime/Write", switch.address()),
            requests,
        })
    }

    /// Seconds that these requests take with so many under way at a time.
    ///
    /// # Errors
    /// The switch refuses any of them.
    pub(super) async fn write(
        &self,
        mut requests: Vec<Bytes>,
        flight: usize,
    ) -> Result<f64, PeerError> {
        requests.reverse();
        let requests = Mutex::new(requests);
        let next = || {
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.pop()
        };
        let began = Instant::now();
        let worker = async || {
            while let Some(request) = next() {
                self.one(request).await?;
            }
            Ok::<(), PeerError>(())
        };
        let workers = futures::future::join_all((0..flight).map(|_| worker())).await;
        let seconds = began.elapsed().as_secs_f64();
        workers.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(seconds)
    }

    async fn one(&self, message: Bytes) -> Result<(), PeerError> {
        let failed = |error| failed(self.name, &error);
        let mut requests = self.requests.clone().ready().await.map_err(failed)?;
        let head = Request::post(&self.uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(());
        let head = head.map_err(|error| refused(self.name, error.to_string()))?;
        let (answer, mut body) = requests.send_request(head, false).map_err(failed)?;
        body.send_data(message, true).map_err(failed)?;
        let (head, mut body) = answer.await.map_err(failed)?.into_parts();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(failed)?;
            body.flow_control()
                .release_capacity(piece.len())
                .map_err(failed)?;
        }
        let trailers = body.trailers().await.map_err(failed)?;
        let trailers = trailers.unwrap_or(head.headers);
        match text(&trailers, "grpc-status") {
            "0" => Ok(()),
            status => {
                let message = text(&trailers, "grpc-message");
                Err(refused(self.name, format!("status {status}: {message}")))
            }
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or("missing")
}

fn failed(name: &'static str, error: &h2::Error) -> PeerError {
    refused(name, offload_api::error_chain(error))
}

fn refused(name: &'static str, reason: String) -> PeerError {
    PeerError::Control { name, reason }
}
