//! The offload API's questions and streams, passed on to the driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use offload_api::server::{Dpu, Incoming, Refused, SyncEnd, SyncStream};
use offload_api::types::{
    Departed, DeviceCapability, DeviceInfo, DevicePort, DropCounter, EntryCounter, EntryView,
    TableUsage,
};
use p4_tables::DropReason;
use table_model::{Row, RowKey, Schema, TableId};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, warn};

use crate::View;
use crate::agent::stopped;
use crate::driver::{Change, Command, Hello, Reply};

/// Answers that wait for a host that reads slowly.
const ANSWERS: usize = 64;

/// What the API's server calls.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) schema: Arc<Schema>,
    pub(crate) ports: Vec<DevicePort>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) view: watch::Receiver<View>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) streams: AtomicU64,
}

impl Service {
    /// A table by name, or by id in decimal.
    fn table(&self, name: &str) -> Result<TableId, Refused> {
        let by_id = || self.schema.table(TableId(name.parse().ok()?)).ok();
        self.schema
            .table_named(name)
            .or_else(by_id)
            .map(|table| table.id)
            .ok_or_else(|| {
                let names: Vec<&str> = self.schema.tables.iter().map(|t| t.name.as_str()).collect();
                Refused::NotFound(format!("No table {name:?}; there are {}", names.join(", ")))
            })
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refused> {
        let stopping = || Refused::Unavailable("The agent is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply)).await;
        sent.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

impl Dpu for Service {
    async fn device(&self) -> Result<DeviceInfo, Refused> {
        let view = self.view.borrow();
        let target = view.capability.as_ref().map(|c| c.target.clone());
        Ok(DeviceInfo {
            name: self.name.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            target: target.unwrap_or_default(),
            schema_fingerprint: self.schema.fingerprint,
            state: view.state(),
            state_detail: view.not_ready().unwrap_or_default(),
        })
    }

    async fn capability(&self) -> Result<DeviceCapability, Refused> {
        let view = self.view.borrow();
        match &view.capability {
            Some(capability) => Ok(DeviceCapability {
                capability: capability.clone(),
                schema_fingerprint: self.schema.fingerprint,
            }),
            None => Err(Refused::Unavailable(view.not_ready().unwrap_or_default())),
        }
    }

    async fn ports(&self) -> Result<Vec<DevicePort>, Refused> {
        Ok(self.ports.clone())
    }

    async fn tables(&self) -> Result<Vec<TableUsage>, Refused> {
        Ok(self.view.borrow().tables.clone())
    }

    async fn entries(
        &self,
        table: String,
        view: EntryView,
        after: Option<RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, Refused> {
        let table = self.table(&table)?;
        self.ask(|reply| Command::Entries {
            table,
            view,
            after,
            limit,
            reply,
        })
        .await
    }

    async fn counters(
        &self,
        table: String,
        after: Option<RowKey>,
        limit: usize,
    ) -> Result<Vec<EntryCounter>, Refused> {
        let table = self.table(&table)?;
        self.ask(|reply| Command::Counters {
            table,
            after,
            limit,
            reply,
        })
        .await
    }

    async fn counters_of(&self, keys: Vec<RowKey>) -> Result<Vec<EntryCounter>, Refused> {
        self.ask(|reply| Command::CountersOf { keys, reply }).await
    }

    async fn departed(
        &self,
        ledger: String,
        taken: u64,
        limit: usize,
    ) -> Result<Departed, Refused> {
        self.ask(|reply| Command::Departed {
            ledger,
            taken,
            limit,
            reply,
        })
        .await
    }

    async fn drop_counters(&self) -> Result<Vec<DropCounter>, Refused> {
        let counters = self.ask(Command::DropCounters).await?;
        let above_zero = (0..).zip(counters).filter(|(_, value)| value.packets > 0);
        Ok(above_zero
            .map(|(code, value)| DropCounter {
                code,
                reason: reason(code).to_owned(),
                packets: value.packets,
                bytes: value.bytes,
            })
            .collect())
    }

    async fn flush_connections(&self) -> Result<u32, Refused> {
        self.ask(Command::Flush).await
    }

    async fn sync(&self, mut stream: SyncStream) {
        let mut stop = self.stop.clone();
        let hello = match stream.next().await {
            Ok(Incoming::Hello(hello)) => hello,
            Ok(Incoming::Change(_)) | Err(_) => return,
        };
        let ours = self.schema.fingerprint;
        if hello.schema_fingerprint != ours {
            let text = format!(
                "The host's pipeline ({:#018x}) is not this agent's ({ours:#018x}): \
                 run host-agent and dpu-agent of one release",
                hello.schema_fingerprint
            );
            warn!(session = hello.session, text, "refused a host");
            return stream.refuse(&text).await;
        }
        let number = self.streams.fetch_add(1, Ordering::Relaxed);
        let peer = match stream.peer() {
            Some(identity) => identity.to_string(),
            None => "unknown (plaintext)".to_owned(),
        };
        let (answers, mut waiting) = mpsc::channel(ANSWERS);
        let hello = Command::Hello(Hello {
            stream: number,
            session: hello.session,
            peer,
            answers,
        });
        if self.commands.send(hello).await.is_err() {
            return;
        }
        loop {
            let incoming = tokio::select! {
                incoming = stream.next() => incoming,
                answer = waiting.recv() => match answer {
                    Some(answer) => {
                        if !stream.send(answer).await {
                            break;
                        }
                        continue;
                    }
                    None => {
                        let text = "Another stream has taken this one's place";
                        return stream.refuse(text).await;
                    }
                },
                () = stopped(&mut stop) => break,
            };
            let change = match incoming {
                Ok(Incoming::Change(change)) => Change {
                    stream: number,
                    change,
                },
                Ok(Incoming::Hello(_)) => break,
                Err(end) => {
                    match end {
                        SyncEnd::Closed | SyncEnd::Broken(_) => debug!(%end, "a stream ended"),
                        end => warn!(%end, "a host does not keep to the protocol"),
                    }
                    break;
                }
            };
            if self.commands.send(Command::Change(change)).await.is_err() {
                return;
            }
        }
        // A driver that is gone has nothing to forget.
        drop(self.commands.send(Command::Goodbye(number)).await);
    }
}

/// The name of a reason code; empty if this release has none.
pub(crate) fn reason(code: u32) -> &'static str {
    u8::try_from(code)
        .ok()
        .and_then(DropReason::from_index)
        .map_or("", DropReason::name)
}
