//! Messages to calls of [`Dpu`] and back.

use std::pin::Pin;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use table_model::RowKey;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Response, Status, Streaming};
use tracing::warn;

use super::{Dpu, SyncStream};
use crate::edge::{self, EdgeError};
use crate::identity::{Expected, Identity};
use crate::page::{Bounds, offset_page, row_token, token_row};
use crate::proto;
use crate::proto::device_service_server::DeviceService;
use crate::proto::table_service_server::TableService;
use crate::types::Departed;

/// Answers waiting for a client that reads slowly.
const OUTGOING: usize = 64;
/// Pages of small things.
const SMALL: Bounds = Bounds {
    default: 50,
    most: 1000,
};
/// Pages of entries.
const ENTRIES: Bounds = Bounds {
    default: 1000,
    most: 10_000,
};

/// Keys of one question for counters.
const KEYS: usize = 1000;

/// One implementation for both services.
pub(super) struct Service<D> {
    dpu: Arc<D>,
    expected: Option<Expected>,
}

impl<D> Clone for Service<D> {
    fn clone(&self) -> Self {
        Self {
            dpu: Arc::clone(&self.dpu),
            expected: self.expected.clone(),
        }
    }
}

impl<D: Dpu> Service<D> {
    /// `expected` is absent on a plaintext listener.
    pub(super) fn new(dpu: Arc<D>, expected: Option<Expected>) -> Self {
        Self { dpu, expected }
    }

    /// Lets the caller in, or tells it whom else this server expects.
    fn admit<T>(&self, request: &Request<T>) -> Result<Option<Identity>, Status> {
        let Some(expected) = &self.expected else {
            return Ok(None);
        };
        let certificates = request
            .extensions()
            .get::<TlsConnectInfo<TcpConnectInfo>>()
            .and_then(TlsConnectInfo::peer_certs);
        let leaf: Option<&CertificateDer<'_>> =
            certificates.as_ref().and_then(|chain| chain.first());
        let leaf = leaf.ok_or_else(|| Status::unauthenticated("No certificate was presented"))?;
        let refused = |text: String| {
            warn!(peer = ?request.remote_addr(), reason = text, "refused a caller");
            Status::permission_denied(text)
        };
        let presented = Identity::of(leaf).map_err(|error| refused(error.to_string()))?;
        expected
            .admit(&presented)
            .map_err(|error| refused(error.to_string()))?;
        Ok(Some(presented))
    }

    fn table<'a>(&self, parent: &'a str, message: &'static str) -> Result<&'a str, EdgeError> {
        edge::segment(parent, "tables", message, "parent")
    }
}

/// There is one device; its name is only checked for its form.
fn device(name: &str, message: &'static str, field: &'static str) -> Result<(), EdgeError> {
    edge::segment(name, "devices", message, field).map(|_| ())
}

#[tonic::async_trait]
impl<D: Dpu> DeviceService for Service<D> {
    async fn get_device(
        &self,
        request: Request<proto::GetDeviceRequest>,
    ) -> Result<Response<proto::Device>, Status> {
        self.admit(&request)?;
        let proto::GetDeviceRequest { name } = request.into_inner();
        device(&name, "GetDeviceRequest", "name")?;
        Ok(Response::new(self.dpu.device().await?.into()))
    }

    async fn get_capability(
        &self,
        request: Request<proto::GetCapabilityRequest>,
    ) -> Result<Response<proto::Capability>, Status> {
        self.admit(&request)?;
        let proto::GetCapabilityRequest { name } = request.into_inner();
        device(&name, "GetCapabilityRequest", "name")?;
        Ok(Response::new(self.dpu.capability().await?.into()))
    }

    async fn list_ports(
        &self,
        request: Request<proto::ListPortsRequest>,
    ) -> Result<Response<proto::ListPortsResponse>, Status> {
        const NAME: &str = "ListPortsRequest";
        self.admit(&request)?;
        let proto::ListPortsRequest {
            parent,
            page_size,
            page_token,
        } = request.into_inner();
        device(&parent, NAME, "parent")?;
        let size = SMALL.size(page_size, NAME)?;
        let page = offset_page(self.dpu.ports().await?, size, &page_token, NAME)?;
        Ok(Response::new(proto::ListPortsResponse {
            ports: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }
}

#[tonic::async_trait]
impl<D: Dpu> TableService for Service<D> {
    type SyncStream =
        Pin<Box<dyn Stream<Item = Result<proto::SyncResponse, Status>> + Send + 'static>>;

    async fn sync(
        &self,
        request: Request<Streaming<proto::SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let peer = self.admit(&request)?;
        let (outgoing, answers) = mpsc::channel(OUTGOING);
        let stream = SyncStream::new(peer, request.into_inner(), outgoing);
        let dpu = Arc::clone(&self.dpu);
        tokio::spawn(async move { dpu.sync(stream).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn list_tables(
        &self,
        request: Request<proto::ListTablesRequest>,
    ) -> Result<Response<proto::ListTablesResponse>, Status> {
        const NAME: &str = "ListTablesRequest";
        self.admit(&request)?;
        let proto::ListTablesRequest {
            parent,
            page_size,
            page_token,
        } = request.into_inner();
        device(&parent, NAME, "parent")?;
        let size = SMALL.size(page_size, NAME)?;
        let page = offset_page(self.dpu.tables().await?, size, &page_token, NAME)?;
        Ok(Response::new(proto::ListTablesResponse {
            tables: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn list_entries(
        &self,
        request: Request<proto::ListEntriesRequest>,
    ) -> Result<Response<proto::ListEntriesResponse>, Status> {
        const NAME: &str = "ListEntriesRequest";
        self.admit(&request)?;
        let proto::ListEntriesRequest {
            parent,
            page_size,
            page_token,
            view,
        } = request.into_inner();
        let table = self.table(&parent, NAME)?;
        let view = edge::entry_view(view, NAME)?;
        let limit = ENTRIES.size(page_size, NAME)?;
        let after = token_row(&page_token, NAME)?;
        let rows = self
            .dpu
            .entries(table.to_owned(), view, after, limit)
            .await?;
        Ok(Response::new(proto::ListEntriesResponse {
            next_page_token: more(rows.len(), limit, rows.last().map(|row| &row.key)),
            entries: rows.iter().map(Into::into).collect(),
        }))
    }

    async fn get_counters(
        &self,
        request: Request<proto::GetCountersRequest>,
    ) -> Result<Response<proto::GetCountersResponse>, Status> {
        const NAME: &str = "GetCountersRequest";
        self.admit(&request)?;
        let proto::GetCountersRequest {
            parent,
            page_size,
            page_token,
        } = request.into_inner();
        let table = self.table(&parent, NAME)?;
        let limit = ENTRIES.size(page_size, NAME)?;
        let after = token_row(&page_token, NAME)?;
        let counters = self.dpu.counters(table.to_owned(), after, limit).await?;
        let last = counters.last().map(|counter| &counter.row.key);
        Ok(Response::new(proto::GetCountersResponse {
            next_page_token: more(counters.len(), limit, last),
            counters: counters.into_iter().map(Into::into).collect(),
        }))
    }

    async fn batch_get_counters(
        &self,
        request: Request<proto::BatchGetCountersRequest>,
    ) -> Result<Response<proto::BatchGetCountersResponse>, Status> {
        const NAME: &str = "BatchGetCountersRequest";
        self.admit(&request)?;
        let proto::BatchGetCountersRequest { parent, keys } = request.into_inner();
        device(&parent, NAME, "parent")?;
        if keys.len() > KEYS {
            return Err(EdgeError::new(NAME, "keys", "has more than 1000 keys").into());
        }
        let keys: Result<Vec<RowKey>, EdgeError> =
            keys.into_iter().map(TryInto::try_into).collect();
        let counters = self.dpu.counters_of(keys?).await?;
        Ok(Response::new(proto::BatchGetCountersResponse {
            counters: counters.into_iter().map(Into::into).collect(),
        }))
    }

    async fn collect_departed_counters(
        &self,
        request: Request<proto::CollectDepartedCountersRequest>,
    ) -> Result<Response<proto::CollectDepartedCountersResponse>, Status> {
        const NAME: &str = "CollectDepartedCountersRequest";
        self.admit(&request)?;
        let proto::CollectDepartedCountersRequest {
            parent,
            ledger,
            taken,
        } = request.into_inner();
        device(&parent, NAME, "parent")?;
        let Departed {
            ledger,
            counters,
            last,
            lost,
        } = self.dpu.departed(ledger, taken, ENTRIES.most).await?;
        Ok(Response::new(proto::CollectDepartedCountersResponse {
            ledger,
            counters: counters.into_iter().map(Into::into).collect(),
            last,
            lost,
        }))
    }

    async fn get_drop_counters(
        &self,
        request: Request<proto::GetDropCountersRequest>,
    ) -> Result<Response<proto::GetDropCountersResponse>, Status> {
        self.admit(&request)?;
        let proto::GetDropCountersRequest { name } = request.into_inner();
        device(&name, "GetDropCountersRequest", "name")?;
        let counters = self.dpu.drop_counters().await?;
        Ok(Response::new(proto::GetDropCountersResponse {
            counters: counters.into_iter().map(Into::into).collect(),
        }))
    }

    async fn flush_connections(
        &self,
        request: Request<proto::FlushConnectionsRequest>,
    ) -> Result<Response<proto::FlushConnectionsResponse>, Status> {
        self.admit(&request)?;
        let proto::FlushConnectionsRequest { name } = request.into_inner();
        device(&name, "FlushConnectionsRequest", "name")?;
        Ok(Response::new(proto::FlushConnectionsResponse {
            epoch: self.dpu.flush_connections().await?,
        }))
    }
}

/// The token behind a page of rows: a full page may have more behind it.
fn more(len: usize, limit: usize, last: Option<&RowKey>) -> String {
    last.filter(|_| len >= limit)
        .map(row_token)
        .unwrap_or_default()
}
