//! Answers to `offloadctl`: what the owner knows, what the DPU holds, and both compared.

use std::collections::BTreeMap;

use offload_api::client::{CallError, DpuClient};
use offload_api::host::{
    Diff, Drift, Endpoint, Explanation, FlowQuestion, HitCount, HostApi, HostEntry, HostRefused,
    HostStatus, Policy, Refusal, TableDrift,
};
use offload_api::types::{DropCounter, EntryView, Page, PageRequest, TableUsage};
use p4_tables::schema;
use policy_model::WorkloadEndpoint;
use table_model::{ActionCall, Row, RowKey, TableSchema};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::info;

use crate::agent::{Agent, Query};
use crate::counting::{SharedCounts, Wish};
use crate::diff;
use crate::entries::entry;
use crate::policies;
use crate::verdict::{self, Explained};

/// Tries to catch the two sides at one generation before a comparison is given up.
const TRIES: usize = 20;
/// Pause between them.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
/// How long an answer waits for counters of now before it takes those of before.
const LOOK: std::time::Duration = std::time::Duration::from_secs(20);

/// The host agent, as `offloadctl` sees it.
pub(crate) struct Answers {
    pub(crate) queries: mpsc::Sender<Query>,
    pub(crate) status: watch::Receiver<HostStatus>,
    pub(crate) client: watch::Receiver<Option<DpuClient>>,
    pub(crate) counts: SharedCounts,
    pub(crate) wishes: mpsc::Sender<Wish>,
}

fn call(error: CallError) -> HostRefused {
    HostRefused::Unavailable(offload_api::error_chain(&error))
}

fn table(name: &str) -> Result<&'static TableSchema, HostRefused> {
    schema().table_named(name).ok_or_else(|| {
        let names: Vec<&str> = schema()
            .tables
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        HostRefused::NotFound(format!(
            "There is no table {name:?}; the tables are {}",
            names.join(", ")
        ))
    })
}

impl Answers {
    /// Asks the owner.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Agent) -> T + Send + 'static,
    ) -> Result<T, HostRefused> {
        let stopped = || HostRefused::Unavailable("The host agent is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        let query: Query = Box::new(move |agent| {
            // Who asked may have gone.
            let _ = reply.send(question(agent));
        });
        self.queries.send(query).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }

    fn dpu(&self) -> Result<DpuClient, HostRefused> {
        self.client.borrow().clone().ok_or_else(|| {
            let error = self.status.borrow().dpu.error.clone();
            HostRefused::Unavailable(if error.is_empty() {
                "no connection to the DPU agent".to_owned()
            } else {
                error
            })
        })
    }

    async fn listed(
        &self,
        dpu: &DpuClient,
        table: &str,
        view: EntryView,
    ) -> Result<Vec<Row>, HostRefused> {
        let mut rows = Vec::new();
        let mut page = PageRequest {
            size: 10_000,
            token: String::new(),
        };
        loop {
            let size = page.size;
            let got = dpu.entries(table, view, page).await.map_err(call)?;
            rows.extend(got.items);
            match got.next {
                Some(token) => page = PageRequest { size, token },
                None => return Ok(rows),
            }
        }
    }

    /// Has the counters read now, if that is possible.
    async fn look(&self) {
        let (sender, granted) = oneshot::channel();
        let wish = Wish {
            since: tokio::time::Instant::now(),
            granted: sender,
        };
        let looked = async {
            if self.wishes.send(wish).await.is_ok() {
                // Without an answer the counts of before are as good as any.
                let _ = granted.await;
            }
        };
        // The same goes for a target that takes its time.
        let _ = tokio::time::timeout(LOOK, looked).await;
    }

    /// Adds what the verdict rows have counted on the target by now.
    async fn counted(&self, explained: Explained) -> Explanation {
        let Explained {
            mut answer,
            verdicts,
        } = explained;
        let keys: Vec<RowKey> = verdicts.iter().flatten().cloned().collect();
        if keys.is_empty() {
            return answer;
        }
        let read = match self.dpu() {
            Ok(dpu) => dpu.counters_of(&keys).await.map_err(call),
            Err(error) => Err(error),
        };
        for (leg, key) in answer.row_legs.iter_mut().zip(verdicts) {
            let Some(key) = key else { continue };
            match &read {
                Ok(counters) => match counters.iter().find(|there| there.row.key == key) {
                    Some(counter) => {
                        leg.hits = Some(HitCount {
                            packets: counter.packets,
                            bytes: counter.bytes,
                        });
                    }
                    None => "the target does not hold the row yet".clone_into(&mut leg.hits_error),
                },
                Err(error) => leg.hits_error = error.to_string(),
            }
        }
        answer
    }

    /// The generation, if everything wanted is in force.
    async fn settled(&self) -> Result<Option<u64>, HostRefused> {
        self.ask(|agent| {
            let sync = &agent.sync_state;
            (sync.desired == sync.acknowledged).then_some(sync.desired.0)
        })
        .await
    }

    async fn compare(&self, dpu: &DpuClient) -> Result<Vec<TableDrift>, HostRefused> {
        let mut drifts = Vec::new();
        for table in &schema().tables {
            let id = table.id;
            let wanted = self.ask(move |agent| agent.out.sync.desired(id)).await?;
            let held = self.listed(dpu, &table.name, EntryView::Observed).await?;
            drifts.extend(difference(table, wanted, held));
        }
        Ok(drifts)
    }
}

fn difference(table: &TableSchema, wanted: Vec<Row>, held: Vec<Row>) -> Option<TableDrift> {
    let held: BTreeMap<RowKey, ActionCall> =
        held.into_iter().map(|row| (row.key, row.action)).collect();
    let mut rest = held.clone();
    let mut drift = TableDrift {
        table: table.name.clone(),
        ..TableDrift::default()
    };
    for row in wanted {
        rest.remove(&row.key);
        match held.get(&row.key) {
            None => drift.missing.push(entry(schema(), &row)),
            Some(there) if *there != row.action => drift.different.push(entry(schema(), &row)),
            Some(_) => {}
        }
    }
    for (key, action) in rest {
        drift.unexpected.push(entry(schema(), &Row { key, action }));
    }
    let quiet =
        drift.missing.is_empty() && drift.unexpected.is_empty() && drift.different.is_empty();
    (!quiet).then_some(drift)
}

impl HostApi for Answers {
    async fn status(&self) -> Result<HostStatus, HostRefused> {
        self.ask(crate::status::of).await
    }

    fn watch(&self) -> watch::Receiver<HostStatus> {
        self.status.clone()
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, HostRefused> {
        self.ask(|agent| {
            let mut all: Vec<Endpoint> = agent
                .model
                .workloads()
                .map(|(id, endpoint)| {
                    let told = agent
                        .endpoints
                        .told(&agent.model, agent.compiler.as_ref(), id);
                    endpoint_of(agent, verdict::endpoint_name(id), endpoint, told)
                })
                .collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all
        })
        .await
    }

    async fn policies(&self) -> Result<Vec<Policy>, HostRefused> {
        // While the DPU is away, policies are shown with what was read last.
        self.look().await;
        let totals = self.counts.lock().totals();
        self.ask(move |agent| {
            let counted = Some(&totals).filter(|_| agent.compiler.is_some());
            policies::policies(&agent.model, &agent.refusals, counted)
        })
        .await
    }

    async fn refusals(&self) -> Result<Vec<Refusal>, HostRefused> {
        self.ask(|agent| policies::refusals(&agent.refusals)).await
    }

    async fn tables(&self) -> Result<Vec<TableUsage>, HostRefused> {
        let here = self
            .ask(|agent| {
                let usage = agent.compiler.as_ref().map(|compiler| compiler.usage());
                usage.unwrap_or_default()
            })
            .await?;
        let there = match self.dpu() {
            Ok(dpu) => dpu.tables().await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let there: BTreeMap<u32, TableUsage> =
            there.into_iter().map(|usage| (usage.id, usage)).collect();
        Ok(schema()
            .tables
            .iter()
            .map(|table| {
                let id = table.id.0;
                let wanted = here.iter().find(|usage| usage.table == table.id);
                let held = there.get(&id);
                TableUsage {
                    name: table.name.clone(),
                    id,
                    size: held
                        .map(|usage| usage.size)
                        .or(wanted.map(|usage| usage.size))
                        .unwrap_or(table.size),
                    desired: wanted.map(|usage| usage.rows).unwrap_or_default(),
                    observed: held.map(|usage| usage.observed).unwrap_or_default(),
                }
            })
            .collect())
    }

    async fn entries(
        &self,
        name: String,
        view: EntryView,
        page: PageRequest,
    ) -> Result<Page<HostEntry>, HostRefused> {
        let table = table(&name)?;
        let entries = |rows: &[Row]| rows.iter().map(|row| entry(schema(), row)).collect();
        match view {
            EntryView::Observed => {
                let got = self.dpu()?.entries(&table.name, view, page).await;
                let got = got.map_err(call)?;
                Ok(Page {
                    items: entries(&got.items),
                    next: got.next,
                })
            }
            EntryView::Desired => {
                let id = table.id;
                let rows = self.ask(move |agent| agent.out.sync.desired(id)).await?;
                Ok(Page {
                    items: entries(&rows),
                    next: None,
                })
            }
        }
    }

    async fn explain(&self, question: FlowQuestion) -> Result<Explanation, HostRefused> {
        let flow = verdict::flow(&question)?;
        let explained = self.ask(move |agent| {
            if !agent.model.in_sync() {
                return Err(HostRefused::Unavailable(
                    "Felix has not sent a complete snapshot yet; until then everything is denied"
                        .to_owned(),
                ));
            }
            let Some(compiler) = &agent.compiler else {
                return Err(HostRefused::Unavailable(
                    "nothing is compiled yet: the DPU's capabilities are not known".to_owned(),
                ));
            };
            Ok(verdict::explain(
                &agent.model,
                &agent.config.semantics,
                compiler,
                &agent.site,
                &flow,
            ))
        });
        let explained = explained.await??;
        Ok(self.counted(explained).await)
    }

    async fn diff(&self, limit: usize) -> Result<Diff, HostRefused> {
        let dpu = self.dpu()?;
        for _ in 0..TRIES {
            if let Some(generation) = self.settled().await? {
                let fresh = self.ask(diff::Fresh::of).await?;
                let Some(fresh) = fresh else {
                    break;
                };
                let rows = tokio::task::spawn_blocking(move || fresh.rows()).await;
                let felix = rows
                    .map_err(|error| HostRefused::Unavailable(error.to_string()))?
                    .map_err(HostRefused::Unavailable)?;
                let mut tables = Vec::new();
                for table in &schema().tables {
                    let id = table.id;
                    let sides = diff::Sides {
                        felix: felix.table(id),
                        host: self.ask(move |agent| agent.out.sync.desired(id)).await?,
                        dpu: self.listed(&dpu, &table.name, EntryView::Desired).await?,
                        target: self.listed(&dpu, &table.name, EntryView::Observed).await?,
                    };
                    tables.push(sides.compare(table, limit));
                }
                // A change that came in between would look like a difference.
                if self.settled().await? == Some(generation) {
                    return Ok(Diff { generation, tables });
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(HostRefused::Unavailable(
            "there is no moment to compare: Felix has not sent a complete snapshot, or changes keep \
             coming. Try again later"
                .to_owned(),
        ))
    }

    async fn drift(&self) -> Result<Drift, HostRefused> {
        let dpu = self.dpu()?;
        if self
            .ask(|agent| agent.sync_state.acknowledged.0 == 0)
            .await?
        {
            return Err(HostRefused::Unavailable(
                "the DPU has not acknowledged a state yet".to_owned(),
            ));
        }
        for _ in 0..TRIES {
            if let Some(generation) = self.settled().await? {
                let tables = self.compare(&dpu).await?;
                // A change that came in between would look like drift.
                if self.settled().await? == Some(generation) {
                    return Ok(Drift {
                        generation,
                        tables,
                        repaired: self
                            .ask(|agent| agent.sync_state.status.drift_repaired)
                            .await?,
                    });
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(HostRefused::Unavailable(
            "changes keep coming; there is no moment to compare. Try again later".to_owned(),
        ))
    }

    async fn drops(&self) -> Result<Vec<DropCounter>, HostRefused> {
        self.dpu()?.drop_counters().await.map_err(call)
    }

    async fn flush_connections(&self) -> Result<u32, HostRefused> {
        let epoch = self.dpu()?.flush_connections().await.map_err(call)?;
        info!(epoch, "all connections are forgotten, as offloadctl asked");
        Ok(epoch)
    }
}

fn endpoint_of(
    agent: &Agent,
    name: String,
    endpoint: &WorkloadEndpoint,
    told: crate::endpoints::Told,
) -> Endpoint {
    let port = agent.site.workload_ports.get(&endpoint.interface);
    let mac = endpoint.mac.or_else(|| port.and_then(|port| port.mac));
    let policies = endpoint.tiers.iter().flat_map(|tier| {
        let mut listed: Vec<String> = Vec::new();
        for id in tier.ingress.iter().chain(&tier.egress) {
            let text = format!("{}: {id}", tier.name);
            if !listed.contains(&text) {
                listed.push(text);
            }
        }
        listed
    });
    Endpoint {
        name,
        interface: endpoint.interface.clone(),
        port: port.map(|port| port.number.into()),
        mac: mac
            .map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":"))
            .unwrap_or_default(),
        addresses: endpoint
            .nets
            .iter()
            .map(|net| net.addr().to_string())
            .collect(),
        state: told.state,
        reason: told.reason,
        generation: told.generation.0,
        policies: policies.collect(),
        unenforced: endpoint.unenforced.clone(),
    }
}
