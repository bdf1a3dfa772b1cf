//! The gRPC service: checks who asks, translates, and hands over to the engine's thread.

mod configure;
mod front;
mod read;
mod request;
mod stream;
mod write;

use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use self::front::Front;

use p4_engine::EngineConfig;
use p4runtime_proto::{
    API_VERSION, ElectionId,
    p4::v1::{
        CapabilitiesRequest, CapabilitiesResponse, GetForwardingPipelineConfigRequest,
        GetForwardingPipelineConfigResponse, ReadRequest, ReadResponse,
        SetForwardingPipelineConfigRequest, SetForwardingPipelineConfigResponse,
        StreamMessageRequest, StreamMessageResponse, Uint128, WriteRequest, WriteResponse,
        p4_runtime_server::P4Runtime,
    },
};
use prost::Message as _;
use tokio::sync::{OwnedRwLockReadGuard, Semaphore};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    arbitration::RoleName,
    control::{Control, Stopped},
    pipeline::Pipeline,
    roles::Access,
    sessions::{NotAllowed, Sessions},
    translate::Ports,
};

/// Reads at a time; each may hold a copy of the tables.
const READS: usize = 4;

/// The pipelines that requests are translated against.
#[derive(Clone, Debug, Default)]
struct Pipelines {
    running: Option<Arc<Pipeline>>,
    /// Waits for its commit; writes and reads go by it meanwhile.
    saved: Option<Arc<Pipeline>>,
}

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    device_id: u64,
    ports: Ports,
    engine: EngineConfig,
    control: Control,
    sessions: Arc<Sessions>,
    pipelines: RwLock<Pipelines>,
    /// Pipeline changes go one after another.
    changes: tokio::sync::Mutex<()>,
    reads: Arc<Semaphore>,
}

impl Service {
    pub(crate) fn new(
        device_id: u64,
        ports: Ports,
        engine: EngineConfig,
        control: Control,
        sessions: Arc<Sessions>,
        running: Option<Arc<Pipeline>>,
    ) -> Self {
        Self(Arc::new(Inner {
            device_id,
            ports,
            engine,
            control,
            sessions,
            pipelines: RwLock::new(Pipelines {
                running,
                saved: None,
            }),
            changes: tokio::sync::Mutex::default(),
            reads: Arc::new(Semaphore::new(READS)),
        }))
    }
}

impl Inner {
    fn check_device(&self, device_id: u64) -> Result<(), Status> {
        if device_id == self.device_id {
            return Ok(());
        }
        Err(Status::not_found(format!(
            "There is no device {device_id} here; this switch is device {} (--device-id)",
            self.device_id
        )))
    }

    async fn admit(
        &self,
        role: &RoleName,
        id: Option<&Uint128>,
    ) -> Result<(OwnedRwLockReadGuard<()>, Access), Status> {
        let admitted = self.sessions.admit(role, id.map(ElectionId::from)).await;
        admitted.map_err(|refused| match refused {
            NotAllowed::UnknownRole => {
                Status::not_found(format!("No client has role {:?}", role.0))
            }
            NotAllowed::NotPrimary => Status::permission_denied(
                "The election id of the request is not that of the primary; open a stream and \
                 send an arbitration update first",
            ),
        })
    }

    fn pipelines(&self) -> Pipelines {
        self.pipelines
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_pipelines(&self, change: impl FnOnce(&mut Pipelines)) {
        change(
            &mut self
                .pipelines
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// The pipeline that writes and reads refer to.
    fn current(&self) -> Result<Arc<Pipeline>, Status> {
        let Pipelines { running, saved } = self.pipelines();
        saved.or(running).ok_or_else(|| {
            Status::failed_precondition("No forwarding pipeline has been set on this device")
        })
    }
}

impl From<Stopped> for Status {
    fn from(stopped: Stopped) -> Self {
        Self::unavailable(stopped.to_string())
    }
}

#[tonic::async_trait]
impl P4Runtime for Service {
    type ReadStream = ReceiverStream<Result<ReadResponse, Status>>;
    type StreamChannelStream = ReceiverStream<Result<StreamMessageResponse, Status>>;

    async fn write(
        &self,
        request: Request<WriteRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let request = request::RawWrite::read(request.get_ref().encode_to_vec().into());
        let request = request.map_err(|error| Status::internal(error.to_string()))?;
        self.0.write(request).await.map(Response::new)
    }

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let request = front::raw(request.get_ref())?;
        self.0.read(request).await.map(Response::new)
    }

    async fn set_forwarding_pipeline_config(
        &self,
        request: Request<SetForwardingPipelineConfigRequest>,
    ) -> Result<Response<SetForwardingPipelineConfigResponse>, Status> {
        let request = front::raw(request.get_ref())?;
        self.0.set_pipeline(request).await.map(Response::new)
    }

    async fn get_forwarding_pipeline_config(
        &self,
        request: Request<GetForwardingPipelineConfigRequest>,
    ) -> Result<Response<GetForwardingPipelineConfigResponse>, Status> {
        self.0.pipeline(request.into_inner()).map(Response::new)
    }

    async fn stream_channel(
        &self,
        request: Request<Streaming<StreamMessageRequest>>,
    ) -> Result<Response<Self::StreamChannelStream>, Status> {
        stream::open(&self.0, request.into_inner()).map(Response::new)
    }

    async fn capabilities(
        &self,
        request: Request<CapabilitiesRequest>,
    ) -> Result<Response<CapabilitiesResponse>, Status> {
        let CapabilitiesRequest { device_id } = request.into_inner();
        if device_id != 0 {
            self.0.check_device(device_id)?;
        }
        Ok(Response::new(CapabilitiesResponse {
            p4runtime_api_version: API_VERSION.to_owned(),
            experimental: None,
        }))
    }
}
