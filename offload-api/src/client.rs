//! The host's side: connections to a DPU agent, and typed calls on them.

mod connect;

use table_model::{Row, RowKey, TableId};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::edge::EdgeError;
use crate::identity::Identity;
use crate::proto;
use crate::proto::device_service_client::DeviceServiceClient;
use crate::proto::table_service_client::TableServiceClient;
use crate::types::{
    Departed, DeviceCapability, DeviceInfo, DevicePort, DropCounter, EntryCounter, EntryView,
    FromDpu, Page, PageRequest, TableUsage, ToDpu,
};

pub use connect::{ConnectError, Connector, Security};

/// The device of the server, whatever it is called.
const DEVICE: &str = "devices/-";
/// Keys of one question for counters.
const KEYS: usize = 1000;

/// Why a call failed.
#[derive(Debug, Error)]
pub enum CallError {
    /// The server refused or the connection broke.
    #[error("{call}: {}", status.message())]
    Status {
        /// The call.
        call: &'static str,
        /// What came back.
        status: Box<Status>,
    },
    /// The answer makes no sense.
    #[error("{call} was answered with nonsense")]
    Edge {
        /// The call.
        call: &'static str,
        /// Cause.
        source: EdgeError,
    },
}

impl CallError {
    /// Whether the server refuses this caller, so that trying again needs a person.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(
                status.code(),
                Code::PermissionDenied | Code::Unauthenticated
            ),
            Self::Edge { .. } => false,
        }
    }
}

fn failed(call: &'static str) -> impl Fn(Status) -> CallError {
    move |status| CallError::Status {
        call,
        status: Box::new(status),
    }
}

fn nonsense(call: &'static str) -> impl Fn(EdgeError) -> CallError {
    move |source| CallError::Edge { call, source }
}

/// A connection to a DPU agent; clones share it. It does not reconnect: a broken one stays broken.
#[derive(Clone, Debug)]
pub struct DpuClient {
    channel: Channel,
    peer: Option<Identity>,
}

impl DpuClient {
    fn new(channel: Channel, peer: Option<Identity>) -> Self {
        Self { channel, peer }
    }

    /// Who answered; nobody known on a plaintext connection.
    #[must_use]
    pub fn peer(&self) -> Option<&Identity> {
        self.peer.as_ref()
    }

    fn devices(&self) -> DeviceServiceClient<Channel> {
        DeviceServiceClient::new(self.channel.clone())
    }

    fn tables_service(&self) -> TableServiceClient<Channel> {
        TableServiceClient::new(self.channel.clone())
    }

    /// The device.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn device(&self) -> Result<DeviceInfo, CallError> {
        const CALL: &str = "GetDevice";
        let request = proto::GetDeviceRequest {
            name: DEVICE.to_owned(),
        };
        let answer = self.devices().get_device(request).await;
        let answer = answer.map_err(failed(CALL))?.into_inner();
        answer.try_into().map_err(nonsense(CALL))
    }

    /// What the target can do.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn capability(&self) -> Result<DeviceCapability, CallError> {
        const CALL: &str = "GetCapability";
        let request = proto::GetCapabilityRequest {
            name: format!("{DEVICE}/capability"),
        };
        let answer = self.devices().get_capability(request).await;
        let answer = answer.map_err(failed(CALL))?.into_inner();
        answer.try_into().map_err(nonsense(CALL))
    }

    /// All ports.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn ports(&self) -> Result<Vec<DevicePort>, CallError> {
        const CALL: &str = "ListPorts";
        let mut ports = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListPortsRequest {
                parent: DEVICE.to_owned(),
                page_size: 1000,
                page_token,
            };
            let answer = self.devices().list_ports(request).await;
            let proto::ListPortsResponse {
                ports: page,
                next_page_token,
            } = answer.map_err(failed(CALL))?.into_inner();
            for port in page {
                ports.push(port.try_into().map_err(nonsense(CALL))?);
            }
            if next_page_token.is_empty() {
                return Ok(ports);
            }
            page_token = next_page_token;
        }
    }

    /// All tables.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn tables(&self) -> Result<Vec<TableUsage>, CallError> {
        const CALL: &str = "ListTables";
        let mut tables = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListTablesRequest {
                parent: DEVICE.to_owned(),
                page_size: 1000,
                page_token,
            };
            let answer = self.tables_service().list_tables(request).await;
            let proto::ListTablesResponse {
                tables: page,
                next_page_token,
            } = answer.map_err(failed(CALL))?.into_inner();
            for table in page {
                tables.push(table.try_into().map_err(nonsense(CALL))?);
            }
            if next_page_token.is_empty() {
                return Ok(tables);
            }
            page_token = next_page_token;
        }
    }

    /// A page of a table's entries; the table goes by name, or by id in decimal.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn entries(
        &self,
        table: &str,
        view: EntryView,
        page: PageRequest,
    ) -> Result<Page<Row>, CallError> {
        const CALL: &str = "ListEntries";
        let request = proto::ListEntriesRequest {
            parent: format!("{DEVICE}/tables/{table}"),
            page_size: page.size,
            page_token: page.token,
            view: proto::EntryView::from(view).into(),
        };
        let answer = self.tables_service().list_entries(request).await;
        let proto::ListEntriesResponse {
            entries,
            next_page_token,
        } = answer.map_err(failed(CALL))?.into_inner();
        Ok(Page {
            items: entries
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()
                .map_err(nonsense(CALL))?,
            next: Some(next_page_token).filter(|token| !token.is_empty()),
        })
    }

    /// A page of the counters of a table's entries.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn counters(
        &self,
        table: &str,
        page: PageRequest,
    ) -> Result<Page<EntryCounter>, CallError> {
        const CALL: &str = "GetCounters";
        let request = proto::GetCountersRequest {
            parent: format!("{DEVICE}/tables/{table}"),
            page_size: page.size,
            page_token: page.token,
        };
        let answer = self.tables_service().get_counters(request).await;
        let proto::GetCountersResponse {
            counters,
            next_page_token,
        } = answer.map_err(failed(CALL))?.into_inner();
        Ok(Page {
            items: counters
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()
                .map_err(nonsense(CALL))?,
            next: Some(next_page_token).filter(|token| !token.is_empty()),
        })
    }

    /// The counters of these entries, in any order; those that are not there are left out.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn counters_of(&self, keys: &[RowKey]) -> Result<Vec<EntryCounter>, CallError> {
        const CALL: &str = "BatchGetCounters";
        let mut counters = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            let request = proto::BatchGetCountersRequest {
                parent: DEVICE.to_owned(),
                keys: keys.iter().map(Into::into).collect(),
            };
            let answer = self.tables_service().batch_get_counters(request).await;
            let proto::BatchGetCountersResponse { counters: page } =
                answer.map_err(failed(CALL))?.into_inner();
            for counter in page {
                counters.push(counter.try_into().map_err(nonsense(CALL))?);
            }
        }
        Ok(counters)
    }

    /// What deleted entries had counted; the DPU forgets what was `taken` of this `ledger` before.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn departed(&self, ledger: &str, taken: u64) -> Result<Departed, CallError> {
        const CALL: &str = "CollectDepartedCounters";
        let request = proto::CollectDepartedCountersRequest {
            parent: DEVICE.to_owned(),
            ledger: ledger.to_owned(),
            taken,
        };
        let answer = self
            .tables_service()
            .collect_departed_counters(request)
            .await;
        let proto::CollectDepartedCountersResponse {
            ledger,
            counters,
            last,
            lost,
        } = answer.map_err(failed(CALL))?.into_inner();
        Ok(Departed {
            ledger,
            counters: counters
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()
                .map_err(nonsense(CALL))?,
            last,
            lost,
        })
    }

    /// What was dropped.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn drop_counters(&self) -> Result<Vec<DropCounter>, CallError> {
        const CALL: &str = "GetDropCounters";
        let request = proto::GetDropCountersRequest {
            name: DEVICE.to_owned(),
        };
        let answer = self.tables_service().get_drop_counters(request).await;
        let proto::GetDropCountersResponse { counters } =
            answer.map_err(failed(CALL))?.into_inner();
        Ok(counters.into_iter().map(Into::into).collect())
    }

    /// Forgets all connections; gives the epoch that follows.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn flush_connections(&self) -> Result<u32, CallError> {
        const CALL: &str = "FlushConnections";
        let request = proto::FlushConnectionsRequest {
            name: DEVICE.to_owned(),
        };
        let answer = self.tables_service().flush_connections(request).await;
        let proto::FlushConnectionsResponse { epoch } = answer.map_err(failed(CALL))?.into_inner();
        Ok(epoch)
    }

    /// Opens a sync stream. The first message is to be `hello`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) async fn sync(
        &self,
        messages: mpsc::Receiver<proto::SyncRequest>,
    ) -> Result<Answers, CallError> {
        const CALL: &str = "Sync";
        let answer = self
            .tables_service()
            .sync(ReceiverStream::new(messages))
            .await;
        Ok(Answers(answer.map_err(failed(CALL))?.into_inner()))
    }
}

/// What the DPU says on a sync stream.
#[derive(Debug)]
pub(crate) struct Answers(Streaming<proto::SyncResponse>);

impl Answers {
    /// The next message, none at the end. Safe to drop while it waits.
    pub(crate) async fn next(&mut self) -> Result<Option<FromDpu>, CallError> {
        const CALL: &str = "Sync";
        match self.0.message().await.map_err(failed(CALL))? {
            Some(message) => message.try_into().map(Some).map_err(nonsense(CALL)),
            None => Ok(None),
        }
    }
}

/// Turns a value for the DPU into its message.
pub(crate) fn message(value: ToDpu) -> proto::SyncRequest {
    value.into()
}

/// A table by its id, as the name of a resource.
#[must_use]
pub fn table_by_id(table: TableId) -> String {
    table.0.to_string()
}
