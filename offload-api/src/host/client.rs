//! `offloadctl`'s end of the local socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint as Transport, Uri};
use tonic::{Code, Status, Streaming};
use tower::service_fn;

use super::{
    Diff, Drift, Endpoint, Explanation, FlowQuestion, HostEntry, HostStatus, Policy, Refusal,
};
use crate::edge::EdgeError;
use crate::proto;
use crate::proto::host_service_client::HostServiceClient;
use crate::types::{DropCounter, EntryView, TableUsage};

/// How long an answer may take; a whole table is read from the device for some.
const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// Items a page.
const PAGE: i32 = 1000;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HostCallError {
    /// No daemon.
    #[error(
        "No host agent answers on {}: start host-agent, or name its socket with --socket",
        path.display()
    )]
    Absent {
        /// Socket.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The socket belongs to somebody else.
    #[error("This user may not use {}: run offloadctl as the user of host-agent", path.display())]
    Forbidden {
        /// Socket.
        path: PathBuf,
    },
    /// It does not speak gRPC.
    #[error("What answers on {} is no host agent", path.display())]
    Foreign {
        /// Socket.
        path: PathBuf,
        /// Cause.
        source: tonic::transport::Error,
    },
    /// The question makes no sense or names nothing.
    #[error("{0}")]
    Refused(String),
    /// What it takes is not there: the DPU, or a snapshot of Felix.
    #[error("Not possible now: {0}")]
    Unavailable(String),
    /// The daemon failed.
    #[error("The host agent failed: {0}")]
    Failed(Box<Status>),
    /// The answer makes no sense.
    #[error("The host agent's answer makes no sense; are both of one release?")]
    Edge(#[from] EdgeError),
}

impl From<Status> for HostCallError {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::InvalidArgument | Code::NotFound => Self::Refused(status.message().to_owned()),
            Code::Unavailable => Self::Unavailable(status.message().to_owned()),
            _ => Self::Failed(Box::new(status)),
        }
    }
}

/// A connection to the host agent.
#[derive(Clone, Debug)]
pub struct HostClient {
    inner: HostServiceClient<Channel>,
}

impl HostClient {
    /// Connects.
    ///
    /// # Errors
    /// No daemon answers.
    pub async fn connect(path: &Path) -> Result<Self, HostCallError> {
        // Tried once by hand: the transport's own error hides the cause.
        let probe = UnixStream::connect(path).await;
        let stream = probe.map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => HostCallError::Forbidden {
                path: path.to_owned(),
            },
            _ => HostCallError::Absent {
                path: path.to_owned(),
                source,
            },
        })?;
        let mut stream = Some(stream);
        let channel = Transport::from_static("http://host-agent")
            .timeout(CALL_DEADLINE)
            .connect_with_connector(service_fn(move |_: Uri| {
                let taken = stream
                    .take()
                    .map(TokioIo::new)
                    .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
                async move { taken }
            }))
            .await
            .map_err(|source| HostCallError::Foreign {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            inner: HostServiceClient::new(channel),
        })
    }

    /// The state of the chain.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn status(&mut self) -> Result<HostStatus, HostCallError> {
        let answer = self.inner.get_status(proto::GetStatusRequest {}).await?;
        Ok(answer.into_inner().try_into()?)
    }

    /// The same, followed.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn watch(&mut self) -> Result<Watch, HostCallError> {
        let answer = self
            .inner
            .watch_status(proto::WatchStatusRequest {})
            .await?;
        Ok(Watch(answer.into_inner()))
    }

    /// All endpoints.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn endpoints(&mut self) -> Result<Vec<Endpoint>, HostCallError> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListEndpointsRequest {
                page_size: PAGE,
                page_token,
            };
            let proto::ListEndpointsResponse {
                endpoints,
                next_page_token,
            } = self.inner.list_endpoints(request).await?.into_inner();
            for endpoint in endpoints {
                all.push(endpoint.try_into()?);
            }
            if next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = next_page_token;
        }
    }

    /// All policies and profiles.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn policies(&mut self) -> Result<Vec<Policy>, HostCallError> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListPoliciesRequest {
                page_size: PAGE,
                page_token,
            };
            let proto::ListPoliciesResponse {
                policies,
                next_page_token,
            } = self.inner.list_policies(request).await?.into_inner();
            for policy in policies {
                all.push(policy.try_into()?);
            }
            if next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = next_page_token;
        }
    }

    /// All refusals.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn refusals(&mut self) -> Result<Vec<Refusal>, HostCallError> {
        let request = proto::ListRefusalsRequest {};
        let proto::ListRefusalsResponse { refusals } =
            self.inner.list_refusals(request).await?.into_inner();
        let refusals: Result<Vec<_>, _> = refusals.into_iter().map(TryInto::try_into).collect();
        Ok(refusals?)
    }

    /// All tables.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn tables(&mut self) -> Result<Vec<TableUsage>, HostCallError> {
        let request = proto::ListHostTablesRequest {};
        let proto::ListHostTablesResponse { tables } =
            self.inner.list_host_tables(request).await?.into_inner();
        let tables: Result<Vec<_>, _> = tables.into_iter().map(TryInto::try_into).collect();
        Ok(tables?)
    }

    /// All entries of a table.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn entries(
        &mut self,
        table: &str,
        view: EntryView,
    ) -> Result<Vec<HostEntry>, HostCallError> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListHostEntriesRequest {
                parent: format!("tables/{table}"),
                page_size: PAGE,
                page_token,
                view: proto::EntryView::from(view).into(),
            };
            let proto::ListHostEntriesResponse {
                entries,
                next_page_token,
            } = self.inner.list_host_entries(request).await?.into_inner();
            for entry in entries {
                all.push(entry.try_into()?);
            }
            if next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = next_page_token;
        }
    }

    /// What happens to a flow.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn explain(&mut self, flow: FlowQuestion) -> Result<Explanation, HostCallError> {
        let request = proto::ExplainRequest::from(flow);
        Ok(self.inner.explain(request).await?.into_inner().try_into()?)
    }

    /// All four sides compared; with `limit` 0 the host agent says how many rows are told.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn diff(&mut self, limit: u32) -> Result<Diff, HostCallError> {
        let answer = self.inner.get_diff(proto::GetDiffRequest { limit }).await?;
        Ok(answer.into_inner().try_into()?)
    }

    /// How the target differs.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn drift(&mut self) -> Result<Drift, HostCallError> {
        let answer = self.inner.get_drift(proto::GetDriftRequest {}).await?;
        Ok(answer.into_inner().try_into()?)
    }

    /// What was dropped.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn drops(&mut self) -> Result<Vec<DropCounter>, HostCallError> {
        let request = proto::GetHostCountersRequest {};
        let proto::GetHostCountersResponse { drops } =
            self.inner.get_host_counters(request).await?.into_inner();
        Ok(drops.into_iter().map(Into::into).collect())
    }

    /// Has the device forget all connections; the epoch that they carry from now on.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn flush_connections(&mut self) -> Result<u32, HostCallError> {
        let request = proto::FlushHostConnectionsRequest {};
        let proto::FlushHostConnectionsResponse { epoch } = self
            .inner
            .flush_host_connections(request)
            .await?
            .into_inner();
        Ok(epoch)
    }
}

/// States as they come.
#[derive(Debug)]
pub struct Watch(Streaming<proto::HostStatus>);

impl Watch {
    /// The next state, none when the daemon stops.
    ///
    /// # Errors
    /// See [`HostCallError`].
    pub async fn next(&mut self) -> Result<Option<HostStatus>, HostCallError> {
        match self.0.message().await? {
            Some(status) => Ok(Some(status.try_into()?)),
            None => Ok(None),
        }
    }
}
