//! The one task that owns the reconciler and the device.
//!
//! It carries the reconciler's outputs out one at a time, connects with growing pauses, answers
//! questions between two operations, and publishes a [`View`] whenever something changed.

mod host;
mod listing;

use std::sync::Arc;
use std::time::Duration;

use dpu_backend::{Backend, CounterValue};
use dpu_reconciler::{Input, Output, Reconciler, Report};
use offload_api::server::Refused;
use offload_api::types::{Departed, EntryCounter, EntryView, TableUsage};
use table_model::{Row, RowKey, Schema, TableId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, error, info, warn};

use crate::agent::stopped;
use crate::departed::Ledger;
use crate::metrics::Metrics;
use crate::{Device, View};

pub(crate) use host::{Change, Hello, HostLink};
use listing::Listings;

/// First pause between two attempts to connect; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two attempts to connect: a device that is back is found within this time.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// Changes that may wait in the reconciler before no more are taken from the streams.
const BACKLOG: usize = 16;

/// An answer to someone who asked.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Refused>>;

/// What others want of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    /// A host opened a stream.
    Hello(Hello),
    /// A host gave a change.
    Change(Change),
    /// A host's stream ended.
    Goodbye(u64),
    /// Entries of a table.
    Entries {
        table: TableId,
        view: EntryView,
        after: Option<RowKey>,
        limit: usize,
        reply: Reply<Vec<Row>>,
    },
    /// Counters of a table's entries.
    Counters {
        table: TableId,
        after: Option<RowKey>,
        limit: usize,
        reply: Reply<Vec<EntryCounter>>,
    },
    /// Counters of a few entries.
    CountersOf {
        keys: Vec<RowKey>,
        reply: Reply<Vec<EntryCounter>>,
    },
    /// What deleted entries had counted.
    Departed {
        ledger: String,
        taken: u64,
        limit: usize,
        reply: Reply<Departed>,
    },
    /// Counters of dropped packets, by reason code.
    DropCounters(Reply<Vec<CounterValue>>),
    /// Forget connections; the answer is the epoch that follows.
    Flush(Reply<u32>),
}

/// The task.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) schema: Arc<Schema>,
    pub(crate) reconciler: Reconciler,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) publish: watch::Sender<View>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) metrics: Metrics,
    pub(crate) started: Instant,
    pub(crate) state: State,
}

/// What the driver itself remembers.
#[derive(Debug, Default)]
pub(crate) struct State {
    view: View,
    host: Option<HostLink>,
    flushes: Vec<Reply<u32>>,
    listings: Listings,
    departed: Ledger,
}

enum Next {
    Lost,
    Command(Option<Command>),
    Tick,
    Stop,
}

impl Driver {
    /// Drives until asked to stop or nobody is left to ask. An operation under way is finished; the
    /// device keeps what it holds.
    pub(crate) async fn run(mut self, mut device: Device) {
        self.publish();
        loop {
            if *self.stop.borrow() {
                break;
            }
            if !self.reconciler.is_connected() && !self.reconnect(&mut device).await {
                break;
            }
            let Some(output) = self.reconciler.next(self.now()) else {
                self.publish();
                match self.wait(&mut device).await {
                    Next::Lost | Next::Tick => {}
                    Next::Command(Some(command)) => self.command(Some(&mut device), command).await,
                    Next::Command(None) | Next::Stop => break,
                }
                continue;
            };
            match output {
                Output::Read(table) => self.read(&mut device, table).await,
                Output::Write(updates) => {
                    let leaving = self.leaving(&mut device, &updates).await;
                    let report = device.write(&updates).await;
                    self.state.departed.settle(leaving, &updates, &report);
                    self.handle(Input::Written(report));
                }
                Output::Report(report) => self.report(report),
            }
            self.publish();
            // Questions are answered between two operations, however long the work is.
            while self.takes_commands() {
                match self.commands.try_recv() {
                    Ok(command) => self.command(Some(&mut device), command).await,
                    Err(_) => break,
                }
            }
        }
        info!("the driver stops; the device keeps what it holds");
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn handle(&mut self, input: Input) {
        self.reconciler.handle(self.now(), input);
    }

    fn takes_commands(&self) -> bool {
        self.reconciler.backlog() < BACKLOG
    }

    /// Waits for whatever comes next when there is nothing to do.
    async fn wait(&mut self, device: &mut Device) -> Next {
        let wake = self.reconciler.wake_at().map(|at| self.started + at);
        let takes = self.takes_commands();
        let next = tokio::select! {
            lost = device.lost() => {
                warn!(error = %lost, "lost the device; what it holds stays in force");
                self.state.view.detail = lost.to_string();
                Next::Lost
            }
            command = self.commands.recv(), if takes => Next::Command(command),
            () = sleep_until(wake.unwrap_or(self.started)), if wake.is_some() => Next::Tick,
            () = stopped(&mut self.stop) => Next::Stop,
        };
        match next {
            Next::Lost => self.handle(Input::Lost),
            Next::Tick => self.handle(Input::Tick),
            Next::Command(_) | Next::Stop => {}
        }
        next
    }

    /// Connects, however long it takes, and answers in the meantime what can be answered without a
    /// device. False if there is nobody left to connect for.
    async fn reconnect(&mut self, device: &mut Device) -> bool {
        let mut pause = Duration::ZERO;
        let mut told = String::new();
        loop {
            let begin = sleep(pause);
            let attempt = async {
                begin.await;
                device.connect().await
            };
            tokio::pin!(attempt);
            let connected = loop {
                self.tell();
                let takes = self.takes_commands();
                let command = tokio::select! {
                    connected = &mut attempt => break connected,
                    command = self.commands.recv(), if takes => command,
                    () = stopped(&mut self.stop) => return false,
                };
                match command {
                    Some(command) => self.command(None, command).await,
                    None => return false,
                }
            };
            match connected {
                Ok(capability) => {
                    info!(device = capability.target, "reached the device");
                    self.state.view.connects += 1;
                    self.state.view.detail.clear();
                    self.state.view.capability = Some(capability.clone());
                    self.handle(Input::Connected(capability));
                    return true;
                }
                Err(error) => {
                    let text = error.to_string();
                    if text != told {
                        warn!(%error, "cannot reach the device; trying on");
                        told.clone_from(&text);
                    }
                    self.state.view.detail = text;
                }
            }
            pause = (pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
        }
    }

    /// Passes on what the reconciler has to say; without a device that is all it does.
    fn tell(&mut self) {
        while !self.reconciler.is_connected() {
            match self.reconciler.next(self.now()) {
                Some(Output::Report(report)) => self.report(report),
                Some(Output::Read(_) | Output::Write(_)) | None => break,
            }
        }
        self.publish();
    }

    async fn read(&mut self, device: &mut Device, table: TableId) {
        let now = self.started.elapsed();
        let reconciler = &mut self.reconciler;
        let mut sink = |rows| reconciler.handle(now, Input::Rows(rows));
        let result = device.read(table, &mut sink).await;
        if let Err(error) = &result {
            warn!(%error, table = self.name(table), "cannot read a table back");
            self.state.view.detail = error.to_string();
        }
        self.handle(Input::ReadEnd(result.map_err(|error| error.to_string())));
    }

    fn name(&self, table: TableId) -> String {
        match self.schema.table(table) {
            Ok(table) => table.name.clone(),
            Err(_) => format!("{:#010x}", table.0),
        }
    }

    /// Does what is asked. There is no device while one is being connected to.
    async fn command(&mut self, device: Option<&mut Device>, command: Command) {
        let device = device.filter(|_| self.reconciler.is_connected());
        match command {
            Command::Hello(hello) => self.hello(hello),
            Command::Change(change) => self.change(change),
            Command::Goodbye(stream) => self.goodbye(stream),
            Command::Entries {
                table,
                view,
                after,
                limit,
                reply,
            } => {
                let page = self.entries(device, table, view, after, limit).await;
                answer(reply, page);
            }
            Command::Counters {
                table,
                after,
                limit,
                reply,
            } => {
                let page = self.counters(device, table, after, limit).await;
                answer(reply, page);
            }
            Command::CountersOf { keys, reply } => {
                let counters = match device {
                    Some(device) => self.counters_of(device, &keys).await,
                    None => Err(self.away()),
                };
                answer(reply, counters);
            }
            Command::Departed {
                ledger,
                taken,
                limit,
                reply,
            } => {
                let departed = self.state.departed.collect(&ledger, taken, limit);
                answer(reply, Ok(departed));
            }
            Command::DropCounters(reply) => {
                let counters = match device {
                    Some(device) => {
                        listing::settled(timeout(listing::DEADLINE, device.drop_counters()).await)
                    }
                    None => Err(self.away()),
                };
                answer(reply, counters);
            }
            Command::Flush(reply) => {
                if device.is_some() {
                    self.state.flushes.push(reply);
                    self.handle(Input::FlushConnections);
                } else {
                    let away = self.away();
                    answer(reply, Err(away));
                }
            }
        }
    }

    fn away(&self) -> Refused {
        Refused::Unavailable(match self.state.view.detail.as_str() {
            "" => "The device is not reached yet".to_owned(),
            detail => detail.to_owned(),
        })
    }

    fn report(&mut self, report: Report) {
        match &report {
            Report::Enforced {
                session,
                generation,
                written,
                unchanged,
                took,
            } => {
                self.metrics.enforced(*took);
                debug!(%session, generation = generation.0, written, unchanged, ?took, "enforced");
            }
            Report::Refused {
                session,
                generation,
                reason,
            } => {
                self.metrics.refused();
                warn!(%session, generation = generation.0, %reason, "refused; what was enforced stays");
            }
            Report::Welcome {
                session,
                generation,
            } => debug!(%session, generation = generation.0, "a host goes on"),
            Report::Resync {
                session,
                reason,
                generation,
            } => {
                info!(%session, held = generation.0, %reason, "asked the host for a snapshot");
            }
            Report::Restored { written, took } => {
                info!(written, ?took, "brought rows back that the device had lost");
            }
            Report::DriftRepaired(drift) => warn!(
                missing = drift.missing,
                changed = drift.changed,
                foreign = drift.foreign,
                "repaired rows that something else had changed"
            ),
            Report::RepairFailed { reason } => {
                error!(%reason, "cannot bring the desired state back; trying on");
            }
            Report::Flushed { epoch } => {
                info!(epoch, "all connections are forgotten");
                for reply in self.state.flushes.drain(..) {
                    answer(reply, Ok(u32::from(*epoch)));
                }
            }
            Report::FlushRefused { reason } => {
                for reply in self.state.flushes.drain(..) {
                    answer(reply, Err(Refused::Failed(reason.clone())));
                }
            }
        }
        self.tell_host(report);
    }

    fn publish(&mut self) {
        let status = self.reconciler.status();
        let view = &mut self.state.view;
        if status.connected && status.read_back {
            view.detail.clear();
        }
        if status.in_sync
            && let Some(enforced) = status.enforced
        {
            view.observed = enforced;
        }
        view.host = self.state.host.as_ref().map(HostLink::peer);
        view.tables = self
            .schema
            .tables
            .iter()
            .map(|table| {
                let desired = self.reconciler.enforced();
                TableUsage {
                    name: table.name.clone(),
                    id: table.id.0,
                    size: self.reconciler.limit(table.id).unwrap_or(table.size),
                    desired: desired.map_or(0, |rows| rows.table_len(table.id) as u64),
                    observed: self.reconciler.observed().table_len(table.id) as u64,
                }
            })
            .collect();
        view.status = status;
        if *self.publish.borrow() != *view {
            let view = view.clone();
            self.status_to_host(&view);
            self.publish.send_replace(view);
        }
    }
}

/// Answers someone who may have stopped waiting.
fn answer<T>(reply: Reply<T>, result: Result<T, Refused>) {
    drop(reply.send(result));
}
