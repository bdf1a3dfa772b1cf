//! Write requests that are bytes before the clock starts, the same for all switches: a client that
//! encodes while it is measured shares the cores with the switch and hides what that can do.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use p4runtime_proto::p4::v1::{Uint128, Update, WriteRequest};
use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;

use super::peer::{PeerError, Switch};

/// Messages that are bytes; of answers, nothing is read but that there is one.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, room: &mut EncodeBuf<'_>) -> Result<(), Status> {
        room.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        bytes.advance(bytes.remaining());
        Ok(Some(()))
    }
}

/// A request of the switch's primary, encoded.
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
    request.encode_to_vec().into()
}

/// A connection for such requests. The switch's client has to be there as well: it is the primary.
///
/// # Errors
/// No connection.
pub(super) async fn connect(switch: &Switch) -> Result<Channel, PeerError> {
    let failed = |error: tonic::transport::Error| PeerError::Control {
        name: switch.name,
        reason: offload_api::error_chain(&error),
    };
    let channel = Channel::from_shared(format!("http://{}", switch.address()));
    let channel = channel.map_err(|error| PeerError::Control {
        name: switch.name,
        reason: error.to_string(),
    })?;
    channel.tcp_nodelay(true).connect().await.map_err(failed)
}

/// Seconds that these requests take with so many under way at a time.
///
/// # Errors
/// The switch refuses any of them.
pub(super) async fn write(
    switch: &Switch,
    channel: &Channel,
    mut requests: Vec<Bytes>,
    flight: usize,
) -> Result<f64, PeerError> {
    requests.reverse();
    let requests = Mutex::new(requests);
    let next = || {
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.pop()
    };
    let refused = |error: &dyn std::error::Error| PeerError::Control {
        name: switch.name,
        reason: offload_api::error_chain(error),
    };
    let began = Instant::now();
    let worker = async || {
        let mut grpc = Grpc::new(channel.clone());
        while let Some(request) = next() {
            grpc.ready().await.map_err(|error| refused(&error))?;
            let path = PathAndQuery::from_static("/p4.v1.P4Runtime/Write");
            let done = grpc.unary(tonic::Request::new(request), path, Raw).await;
            done.map_err(|error| refused(&error))?;
        }
        Ok::<(), PeerError>(())
    };
    let workers = futures::future::join_all((0..flight).map(|_| worker())).await;
    let seconds = began.elapsed().as_secs_f64();
    workers.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(seconds)
}
