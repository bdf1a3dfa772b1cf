//! The host agent's end of the local socket.

use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{
    Diff, Drift, Endpoint, Explanation, FlowQuestion, HostEntry, HostStatus, Policy, Refusal,
};
use crate::edge;
use crate::page::{Bounds, offset_page};
use crate::proto;
use crate::proto::host_service_server::{HostService, HostServiceServer};
use crate::types::{DropCounter, EntryView, Page, PageRequest, TableUsage};

/// Pages of endpoints and policies.
const SMALL: Bounds = Bounds {
    default: 50,
    most: 1000,
};

/// Differing rows of each table that are told one by one, if nobody says otherwise and at most: the
/// answer is one message.
const DIFFERING: usize = 20;
const MOST_DIFFERING: usize = 500;

/// Why a question is not answered.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum HostRefused {
    /// The question makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is nothing of that name.
    #[error("{0}")]
    NotFound(String),
    /// It takes the DPU, and the DPU is not there.
    #[error("{0}")]
    Unavailable(String),
}

impl From<HostRefused> for Status {
    fn from(refused: HostRefused) -> Self {
        match refused {
            HostRefused::Invalid(text) => Self::invalid_argument(text),
            HostRefused::NotFound(text) => Self::not_found(text),
            HostRefused::Unavailable(text) => Self::unavailable(text),
        }
    }
}

/// What a host agent answers.
pub trait HostApi: Send + Sync + 'static {
    /// The state of the chain.
    fn status(&self) -> impl Future<Output = Result<HostStatus, HostRefused>> + Send;

    /// The same, followed; the latest only.
    fn watch(&self) -> watch::Receiver<HostStatus>;

    /// All endpoints, sorted by name.
    fn endpoints(&self) -> impl Future<Output = Result<Vec<Endpoint>, HostRefused>> + Send;

    /// All policies and profiles, sorted by name.
    fn policies(&self) -> impl Future<Output = Result<Vec<Policy>, HostRefused>> + Send;

    /// All refusals, sorted by subject.
    fn refusals(&self) -> impl Future<Output = Result<Vec<Refusal>, HostRefused>> + Send;

    /// All tables, sorted by id.
    fn tables(&self) -> impl Future<Output = Result<Vec<TableUsage>, HostRefused>> + Send;

    /// A page of a table's entries.
    fn entries(
        &self,
        table: String,
        view: EntryView,
        page: PageRequest,
    ) -> impl Future<Output = Result<Page<HostEntry>, HostRefused>> + Send;

    /// What happens to a flow.
    fn explain(
        &self,
        flow: FlowQuestion,
    ) -> impl Future<Output = Result<Explanation, HostRefused>> + Send;

    /// All four sides compared, with `limit` differing rows of each table.
    fn diff(&self, limit: usize) -> impl Future<Output = Result<Diff, HostRefused>> + Send;

    /// How the target differs.
    fn drift(&self) -> impl Future<Output = Result<Drift, HostRefused>> + Send;

    /// What was dropped.
    fn drops(&self) -> impl Future<Output = Result<Vec<DropCounter>, HostRefused>> + Send;

    /// Has the device forget all connections; the epoch that they carry from now on.
    fn flush_connections(&self) -> impl Future<Output = Result<u32, HostRefused>> + Send;
}

/// Why the socket is not served.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Its directory cannot be made.
    #[error("Cannot make the directory of {}", path.display())]
    Directory {
        /// Socket.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Another process serves it.
    #[error("{} is served by another process: stop it, or choose another socket", path.display())]
    InUse {
        /// Socket.
        path: PathBuf,
    },
    /// Something that is no socket is there.
    #[error("{} is there and is no socket: move it away, or choose another path", path.display())]
    NotASocket {
        /// Path.
        path: PathBuf,
    },
    /// It cannot be bound.
    #[error("Cannot listen on {}", path.display())]
    Bind {
        /// Socket.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The transport failed.
    #[error("The server on the local socket failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Listens on a unix socket that only this user may open. A socket that a process left behind
/// when it died is taken over.
///
/// # Errors
/// See [`SocketError`].
pub async fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|source| SocketError::Directory {
            path: path.to_owned(),
            source,
        })?;
    }
    let bind = |source| SocketError::Bind {
        path: path.to_owned(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(SocketError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {
            if UnixStream::connect(path).await.is_ok() {
                return Err(SocketError::InUse {
                    path: path.to_owned(),
                });
            }
            std::fs::remove_file(path).map_err(bind)?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(bind)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(bind)?;
    Ok(listener)
}

/// Serves `offloadctl` until `shutdown` completes.
///
/// # Errors
/// The transport fails.
pub async fn serve<A: HostApi>(
    listener: UnixListener,
    api: Arc<A>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), SocketError> {
    Server::builder()
        .add_service(HostServiceServer::new(Service { api }))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), shutdown)
        .await?;
    Ok(())
}

struct Service<A> {
    api: Arc<A>,
}

#[tonic::async_trait]
impl<A: HostApi> HostService for Service<A> {
    async fn get_status(
        &self,
        _request: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::HostStatus>, Status> {
        Ok(Response::new(self.api.status().await?.into()))
    }

    type WatchStatusStream =
        Pin<Box<dyn Stream<Item = Result<proto::HostStatus, Status>> + Send + 'static>>;

    async fn watch_status(
        &self,
        _request: Request<proto::WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        let states = WatchStream::new(self.api.watch());
        Ok(Response::new(Box::pin(
            states.map(|state| Ok(state.into())),
        )))
    }

    async fn list_endpoints(
        &self,
        request: Request<proto::ListEndpointsRequest>,
    ) -> Result<Response<proto::ListEndpointsResponse>, Status> {
        const NAME: &str = "ListEndpointsRequest";
        let proto::ListEndpointsRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let size = SMALL.size(page_size, NAME)?;
        let page = offset_page(self.api.endpoints().await?, size, &page_token, NAME)?;
        Ok(Response::new(proto::ListEndpointsResponse {
            endpoints: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn list_policies(
        &self,
        request: Request<proto::ListPoliciesRequest>,
    ) -> Result<Response<proto::ListPoliciesResponse>, Status> {
        const NAME: &str = "ListPoliciesRequest";
        let proto::ListPoliciesRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let size = SMALL.size(page_size, NAME)?;
        let page = offset_page(self.api.policies().await?, size, &page_token, NAME)?;
        Ok(Response::new(proto::ListPoliciesResponse {
            policies: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn list_refusals(
        &self,
        _request: Request<proto::ListRefusalsRequest>,
    ) -> Result<Response<proto::ListRefusalsResponse>, Status> {
        let refusals = self.api.refusals().await?;
        Ok(Response::new(proto::ListRefusalsResponse {
            refusals: refusals.into_iter().map(Into::into).collect(),
        }))
    }

    async fn list_host_tables(
        &self,
        _request: Request<proto::ListHostTablesRequest>,
    ) -> Result<Response<proto::ListHostTablesResponse>, Status> {
        let tables = self.api.tables().await?;
        Ok(Response::new(proto::ListHostTablesResponse {
            tables: tables.into_iter().map(Into::into).collect(),
        }))
    }

    async fn list_host_entries(
        &self,
        request: Request<proto::ListHostEntriesRequest>,
    ) -> Result<Response<proto::ListHostEntriesResponse>, Status> {
        const NAME: &str = "ListHostEntriesRequest";
        let proto::ListHostEntriesRequest {
            parent,
            page_size,
            page_token,
            view,
        } = request.into_inner();
        let table = edge::segment(&parent, "tables", NAME, "parent")?;
        let view = edge::entry_view(view, NAME)?;
        let page = PageRequest {
            size: page_size,
            token: page_token,
        };
        let page = self.api.entries(table.to_owned(), view, page).await?;
        Ok(Response::new(proto::ListHostEntriesResponse {
            entries: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn explain(
        &self,
        request: Request<proto::ExplainRequest>,
    ) -> Result<Response<proto::Explanation>, Status> {
        let flow = request.into_inner().try_into()?;
        Ok(Response::new(self.api.explain(flow).await?.into()))
    }

    async fn get_diff(
        &self,
        request: Request<proto::GetDiffRequest>,
    ) -> Result<Response<proto::Diff>, Status> {
        let proto::GetDiffRequest { limit } = request.into_inner();
        let limit = match limit {
            0 => DIFFERING,
            limit => usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .min(MOST_DIFFERING),
        };
        Ok(Response::new(self.api.diff(limit).await?.into()))
    }

    async fn get_drift(
        &self,
        _request: Request<proto::GetDriftRequest>,
    ) -> Result<Response<proto::Drift>, Status> {
        Ok(Response::new(self.api.drift().await?.into()))
    }

    async fn get_host_counters(
        &self,
        _request: Request<proto::GetHostCountersRequest>,
    ) -> Result<Response<proto::GetHostCountersResponse>, Status> {
        let drops = self.api.drops().await?;
        Ok(Response::new(proto::GetHostCountersResponse {
            drops: drops.into_iter().map(Into::into).collect(),
        }))
    }

    async fn flush_host_connections(
        &self,
        _request: Request<proto::FlushHostConnectionsRequest>,
    ) -> Result<Response<proto::FlushHostConnectionsResponse>, Status> {
        Ok(Response::new(proto::FlushHostConnectionsResponse {
            epoch: self.api.flush_connections().await?,
        }))
    }
}
