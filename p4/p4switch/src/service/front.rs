//! What comes in is bounded before it is taken apart.
//!
//! A protobuf message of a few bytes can become a hundred times as much in memory, so repeated parts
//! of requests stay bytes until they are counted and looked at one by one. That is faster as well:
//! an update is translated while it is still in the cache.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use p4runtime_proto::p4::v1::{
    ReadResponse, SetForwardingPipelineConfigResponse, Uint128, WriteResponse,
    forwarding_pipeline_config::Cookie, p4_runtime_server::P4RuntimeServer,
};
use prost::Message;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status,
    codegen::{Body, BoxFuture, Service, StdError, http},
    server::{Grpc, ServerStreamingService, UnaryService},
};
use tonic_prost::ProstCodec;

use super::{
    Inner, Service as Calls,
    request::{RawWrite, WriteCodec},
};

/// Largest request: a program of some megabytes, or half a million updates.
const LARGEST: usize = 64 << 20;
/// Largest read request.
const LARGEST_READ: usize = 4 << 20;
/// Largest message of a stream, and of the calls that carry next to nothing.
const LARGEST_MESSAGE: usize = 256 << 10;
/// Requests that may be read from the network at a time, of all clients.
const REQUESTS: usize = 32;

const WRITE: &str = "/p4.v1.P4Runtime/Write";
const READ: &str = "/p4.v1.P4Runtime/Read";
const SET_PIPELINE: &str = "/p4.v1.P4Runtime/SetForwardingPipelineConfig";

/// `ReadRequest` with its entities as bytes.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RawRead {
    #[prost(uint64, tag = "1")]
    pub(super) device_id: u64,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) entities: Vec<Bytes>,
    #[prost(string, tag = "3")]
    pub(super) role: String,
}

/// `SetForwardingPipelineConfigRequest` with its p4info as bytes.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RawSetPipeline {
    #[prost(uint64, tag = "1")]
    pub(super) device_id: u64,
    #[prost(uint64, tag = "2")]
    pub(super) role_id: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) election_id: Option<Uint128>,
    #[prost(int32, tag = "4")]
    pub(super) action: i32,
    #[prost(message, optional, tag = "5")]
    pub(super) config: Option<RawConfig>,
    #[prost(string, tag = "6")]
    pub(super) role: String,
}

/// `ForwardingPipelineConfig` with its p4info as bytes.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RawConfig {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) p4info: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) p4_device_config: Bytes,
    #[prost(message, optional, tag = "3")]
    pub(super) cookie: Option<Cookie>,
}

/// The gRPC service as the server has it.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    calls: Arc<Inner>,
    rest: P4RuntimeServer<Calls>,
    room: Arc<Semaphore>,
}

impl Front {
    pub(crate) fn new(calls: Calls) -> Self {
        Self {
            calls: Arc::clone(&calls.0),
            rest: P4RuntimeServer::new(calls)
                .max_decoding_message_size(LARGEST_MESSAGE)
                .max_encoding_message_size(usize::MAX),
            room: Arc::new(Semaphore::new(REQUESTS)),
        }
    }
}

impl<B> Service<http::Request<B>> for Front
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let calls = Arc::clone(&self.calls);
        let room = Arc::clone(&self.room);
        match request.uri().path() {
            WRITE => Box::pin(async move {
                // It is closed never.
                let _room = room.acquire_owned().await;
                let codec = WriteCodec;
                let mut grpc = Grpc::new(codec).apply_max_message_size_config(Some(LARGEST), None);
                Ok(grpc.unary(Write(calls), request).await)
            }),
            READ => Box::pin(async move {
                let _room = room.acquire_owned().await;
                let codec = ProstCodec::<ReadResponse, RawRead>::default();
                let mut grpc = Grpc::new(codec)
                    .apply_max_message_size_config(Some(LARGEST_READ), Some(usize::MAX));
                Ok(grpc.server_streaming(Read(calls), request).await)
            }),
            SET_PIPELINE => Box::pin(async move {
                let _room = room.acquire_owned().await;
                let codec =
                    ProstCodec::<SetForwardingPipelineConfigResponse, RawSetPipeline>::default();
                let mut grpc = Grpc::new(codec).apply_max_message_size_config(Some(LARGEST), None);
                Ok(grpc.unary(SetPipeline(calls), request).await)
            }),
            _ => self.rest.call(request),
        }
    }
}

struct Write(Arc<Inner>);

impl UnaryService<RawWrite> for Write {
    type Response = WriteResponse;
    type Future = BoxFuture<Response<WriteResponse>, Status>;

    fn call(&mut self, request: Request<RawWrite>) -> Self::Future {
        let calls = Arc::clone(&self.0);
        Box::pin(async move { calls.write(request.into_inner()).await.map(Response::new) })
    }
}

struct Read(Arc<Inner>);

impl ServerStreamingService<RawRead> for Read {
    type Response = ReadResponse;
    type ResponseStream = ReceiverStream<Result<ReadResponse, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<RawRead>) -> Self::Future {
        let calls = Arc::clone(&self.0);
        Box::pin(async move { calls.read(request.into_inner()).await.map(Response::new) })
    }
}

struct SetPipeline(Arc<Inner>);

impl UnaryService<RawSetPipeline> for SetPipeline {
    type Response = SetForwardingPipelineConfigResponse;
    type Future = BoxFuture<Response<SetForwardingPipelineConfigResponse>, Status>;

    fn call(&mut self, request: Request<RawSetPipeline>) -> Self::Future {
        let calls = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = calls.set_pipeline(request.into_inner()).await;
            answer.map(Response::new)
        })
    }
}

/// A part of a request, now that it is needed.
pub(super) fn part<M: Message + Default>(bytes: Bytes, what: &str) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| {
        Status::invalid_argument(format!("{what} of the request is no such message: {error}"))
    })
}

/// A request with all its parts taken apart, as one with bytes; the trait of the service is written
/// for those.
pub(super) fn raw<R: Message + Default>(request: &impl Message) -> Result<R, Status> {
    part(request.encode_to_vec().into(), "The whole")
}
