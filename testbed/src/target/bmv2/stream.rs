//! The switch's packet stream.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::messages::{PacketStreamRequest, PacketStreamResponse};
use crate::target::TargetError;

const METHOD: &str = "/p4.bm.DataplaneInterface/PacketStream";

/// Packets that wait to be written or to be looked at.
const QUEUE: usize = 256;

/// Both directions.
pub(super) struct PacketStream {
    runtime: Arc<Runtime>,
    device_id: u64,
    requests: mpsc::Sender<PacketStreamRequest>,
    responses: mpsc::Receiver<Result<PacketStreamResponse, Status>>,
}

impl PacketStream {
    /// Opens the stream; the switch serves one client at a time.
    ///
    /// # Errors
    /// The switch does not answer.
    pub(super) fn open(
        runtime: Arc<Runtime>,
        address: &str,
        device_id: u64,
    ) -> Result<Self, TargetError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = runtime.block_on(endpoint.connect())?;
        let (requests, queued) = mpsc::channel(QUEUE);
        let (found, responses) = mpsc::channel(QUEUE);
        // The switch answers the call with its first packet and not before, so nobody waits here.
        runtime.spawn(async move {
            if let Err(status) = forward(channel, queued, &found).await {
                // Nobody listens once the target is dropped.
                let _ = found.send(Err(status)).await;
            }
        });
        Ok(Self {
            runtime,
            device_id,
            requests,
            responses,
        })
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// The stream is closed.
    pub(super) fn send(&mut self, id: u64, port: u16, packet: &[u8]) -> Result<(), TargetError> {
        let request = PacketStreamRequest {
            id,
            device_id: self.device_id,
            port: u32::from(port),
            packet: packet.to_vec(),
        };
        if self.runtime.block_on(self.requests.send(request)).is_ok() {
            return Ok(());
        }
        // The call is over; its last words tell why.
        while let Some(response) = self.runtime.block_on(self.responses.recv()) {
            response?;
        }
        Err(TargetError::Stopped)
    }

    /// Waits for the next packet: its id, its port and its bytes.
    ///
    /// # Errors
    /// The stream is closed, or nothing came in time.
    pub(super) fn receive(
        &mut self,
        deadline: Duration,
    ) -> Result<(u64, u16, Vec<u8>), TargetError> {
        let responses = &mut self.responses;
        let next = self
            .runtime
            .block_on(async { tokio::time::timeout(deadline, responses.recv()).await });
        let message = next
            .map_err(|_| TargetError::Silent { deadline })?
            .ok_or(TargetError::Stopped)??;
        let PacketStreamResponse {
            id,
            device_id: _,
            port,
            packet,
        } = message;
        Ok((id, u16::try_from(port).unwrap_or(u16::MAX), packet))
    }
}

/// Runs the call until either side closes it.
async fn forward(
    channel: Channel,
    queued: mpsc::Receiver<PacketStreamRequest>,
    found: &mpsc::Sender<Result<PacketStreamResponse, Status>>,
) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = tonic_prost::ProstCodec::<PacketStreamRequest, PacketStreamResponse>::default();
    let request = Request::new(ReceiverStream::new(queued));
    let call = client.streaming(request, PathAndQuery::from_static(METHOD), codec);
    let mut responses = call.await?.into_inner();
    while let Some(response) = responses.message().await? {
        if found.send(Ok(response)).await.is_err() {
            break;
        }
    }
    Ok(())
}
