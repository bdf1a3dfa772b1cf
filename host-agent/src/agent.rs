//! The owner of the model and the compiler: one task, fed by bounded channels.
//!
//! Felix's events go into the model at once. They are compiled when Felix falls silent for a
//! moment, at the latest after a bounded time, and not while one change is on its way to the DPU
//! and another waits: what comes meanwhile coalesces in the model's change set for nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use felix_bridge::server::{Event, SessionControl};
use offload_api::host::HostStatus;
use offload_api::sync::{SyncClient, SyncState};
use policy_compiler::{Commit, Compiler, Site};
use policy_model::{PolicyModel, Refusal};
use table_model::{Capability, Generation};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tracing::{debug, error, info};

use crate::config::Config;
use crate::counting::SharedCounts;
use crate::counts::Touched;
use crate::endpoints::Endpoints;
use crate::felix::FelixSide;
use crate::gate::Gate;
use crate::inventory::Found;
use crate::metrics::Metrics;
use crate::reports::Reports;
use crate::status;

/// A question to the owner, answered inside its task.
pub(crate) type Query = Box<dyn FnOnce(&Agent) + Send>;

/// Time between looks at things that nothing announces.
const TICK: Duration = Duration::from_millis(200);
/// Shortest time between two looks at the whole for people.
const STATUS_PAUSE: Duration = Duration::from_millis(20);
/// Shortest pause after a change that could not be compiled.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// Where the owner hears from others.
pub(crate) struct Inputs {
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) queries: mpsc::Receiver<Query>,
    pub(crate) found: watch::Receiver<Found>,
    pub(crate) sync: watch::Receiver<SyncState>,
}

/// Whom the owner tells.
pub(crate) struct Outputs {
    pub(crate) sync: Arc<SyncClient>,
    pub(crate) reports: Reports,
    pub(crate) control: SessionControl,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) status: watch::Sender<HostStatus>,
    pub(crate) hurry: Arc<Notify>,
    pub(crate) counts: SharedCounts,
}

/// When the waiting batch began and when it grew last.
#[derive(Clone, Copy, Debug)]
struct Burst {
    first: Instant,
    last: Instant,
}

/// The owner.
pub(crate) struct Agent {
    pub(crate) config: Config,
    pub(crate) began: Instant,
    pub(crate) felix: FelixSide,
    pub(crate) model: PolicyModel,
    pub(crate) compiler: Option<Compiler>,
    pub(crate) site: Site,
    pub(crate) found: Found,
    pub(crate) sync_state: SyncState,
    pub(crate) endpoints: Endpoints,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) compile_error: Option<String>,
    pub(crate) out: Outputs,
    capability: Option<Capability>,
    /// The compiler has not committed yet.
    fresh: bool,
    burst: Option<Burst>,
    /// After a change that could not be compiled: when to try again.
    not_before: Instant,
    /// When the first frame of a commit came, and the number of the last one, by the generation that
    /// carries it.
    timings: VecDeque<(Generation, Instant, u64)>,
    pub(crate) stale_status: bool,
    published: Option<Instant>,
}

impl Agent {
    pub(crate) fn new(config: Config, out: Outputs) -> Self {
        Self {
            config,
            began: Instant::now(),
            felix: FelixSide::default(),
            model: PolicyModel::new(),
            compiler: None,
            site: Site::default(),
            found: Found::default(),
            sync_state: SyncState::default(),
            endpoints: Endpoints::default(),
            refusals: Vec::new(),
            compile_error: None,
            out,
            capability: None,
            fresh: true,
            burst: None,
            not_before: Instant::now(),
            timings: VecDeque::new(),
            stale_status: true,
            published: None,
        }
    }

    /// What the target can do, once it is known.
    pub(crate) fn capability(&self) -> Option<&Capability> {
        self.capability.as_ref()
    }

    /// Runs until Felix's door closes, which it does when the daemon stops.
    pub(crate) async fn run(mut self, mut inputs: Inputs) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.publish();
        let Inputs {
            events,
            queries,
            found,
            sync,
        } = &mut inputs;
        loop {
            let due = self.due();
            let telling = self.telling();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.hear(event),
                    None => return,
                },
                Some(query) = queries.recv() => query(&self),
                Ok(()) = found.changed() => {
                    let found = found.borrow_and_update().clone();
                    self.plugged(found);
                }
                Ok(()) = sync.changed() => {
                    let state = sync.borrow_and_update().clone();
                    self.synced(state);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if !self.commit().await {
                        return;
                    }
                }
                () = sleep_until(telling.unwrap_or_else(Instant::now)), if telling.is_some() => {}
                _ = tick.tick() => {}
            }
            self.out.gate.beat();
            self.publish();
        }
    }

    /// When the waiting batch is to be compiled; none if there is none or if it has to wait for
    /// somebody else, whose news turns the loop.
    fn due(&self) -> Option<Instant> {
        let burst = self.burst?;
        let busy =
            self.sync_state.connected && self.sync_state.in_flight && self.sync_state.waiting;
        if busy || self.capability.is_none() || !self.model.in_sync() {
            return None;
        }
        let due = (burst.last + self.config.quiet).min(burst.first + self.config.latency);
        Some(due.max(self.not_before))
    }

    pub(crate) fn stir(&mut self) {
        let now = Instant::now();
        let first = self.burst.map_or(now, |burst| burst.first);
        self.burst = Some(Burst { first, last: now });
    }

    fn plugged(&mut self, found: Found) {
        self.stale_status = true;
        self.found = found;
        let Some(inventory) = self.found.inventory.clone() else {
            return;
        };
        // The target's name is for people: another name alone changes no row.
        let capability = Capability {
            target: String::new(),
            ..inventory.capability.clone()
        };
        if self.capability.as_ref() != Some(&capability) {
            let target = &inventory.capability.target;
            info!(target, "the DPU's target is known");
            let semantics = self.config.semantics.clone();
            self.compiler = Some(Compiler::new(capability.clone(), semantics));
            self.capability = Some(capability);
            self.fresh = true;
            self.stir();
        }
        if self.site != inventory.site {
            debug!(
                ports = inventory.site.workload_ports.len(),
                "the DPU's ports are known"
            );
            self.site = inventory.site.clone();
            self.stir();
        }
    }

    fn synced(&mut self, state: SyncState) {
        let before = std::mem::replace(&mut self.sync_state, state);
        let after = &self.sync_state;
        self.stale_status = true;
        if after.acknowledged > before.acknowledged {
            self.out.gate.acknowledged();
            let acknowledged = after.acknowledged;
            self.acknowledged(acknowledged);
        }
        if let Some(nack) = &self.sync_state.refused
            && before.refused.as_ref() != Some(nack)
        {
            self.endpoints.refused(&nack.text, &self.out.reports);
        }
    }

    fn acknowledged(&mut self, generation: Generation) {
        while self
            .timings
            .front()
            .is_some_and(|(at, _, _)| *at <= generation)
        {
            if let Some((_, first, last)) = self.timings.pop_front() {
                self.felix.enforced = last;
                self.out
                    .metrics
                    .enforced
                    .observe(first.elapsed().as_secs_f64());
            }
        }
        if let Some(compiler) = &self.compiler {
            self.endpoints
                .acknowledged(generation, &self.model, compiler, &self.out.reports);
        }
        self.out.reports.in_sync();
    }

    /// Compiles what waits, off the tasks that serve others, and hands it to the stream. False if
    /// the compiler was lost, which ends the daemon.
    async fn commit(&mut self) -> bool {
        let Some(burst) = self.burst.take() else {
            return true;
        };
        let Some(compiler) = self.compiler.take() else {
            self.burst = Some(burst);
            return true;
        };
        self.stale_status = true;
        let job = Job {
            model: std::mem::take(&mut self.model),
            compiler,
            site: self.site.clone(),
            sync: Arc::clone(&self.out.sync),
            counts: self.out.counts.clone(),
            fresh: self.fresh,
        };
        let mut task = tokio::task::spawn_blocking(move || job.run());
        let done = loop {
            tokio::select! {
                done = &mut task => break done,
                () = sleep(TICK) => self.out.gate.beat(),
            }
        };
        let Done {
            model,
            compiler,
            took,
            outcome,
        } = match done {
            Ok(done) => done,
            Err(problem) => {
                error!(%problem, "the compiler is lost; what was enforced stays");
                return false;
            }
        };
        self.model = model;
        self.compiler = Some(compiler);
        self.out.metrics.compile.observe(took.as_secs_f64());
        let (commit, generation) = match outcome {
            Ok(done) => done,
            Err(text) => {
                // The compiler keeps the changes and what it emitted; so do the tables.
                self.out.metrics.compile_failures.inc();
                if self.compile_error.as_ref() != Some(&text) {
                    error!(
                        error = text,
                        "a change cannot be compiled; what was enforced stays"
                    );
                }
                self.compile_error = Some(text);
                self.not_before = Instant::now() + FAILED_PAUSE.max(took);
                return true;
            }
        };
        self.compile_error = None;
        self.out.metrics.commits.inc();
        // The stream's own word comes a moment later; nobody may take this for settled meanwhile.
        self.sync_state.desired = self.sync_state.desired.max(generation);
        self.fresh = false;
        self.refusals = commit.refusals;
        self.endpoints
            .committed(&commit.touched, generation, &self.model, &self.out.reports);
        let mut semantics = self.config.semantics.clone();
        semantics.node = self.site.node();
        let model = &self.model;
        let hosts = model
            .host_endpoints()
            .map(|(id, _)| (id, model.host_endpoint_stands(id, &semantics)));
        self.out.reports.host_endpoints(hosts);
        self.timings
            .push_back((generation, burst.first, self.felix.sequence));
        if generation <= self.sync_state.acknowledged {
            self.acknowledged(generation);
        }
        let site = &self.site;
        let unplugged = self
            .model
            .workloads()
            .any(|(_, endpoint)| !site.workload_ports.contains_key(&endpoint.interface));
        if unplugged {
            self.out.hurry.notify_one();
        }
        true
    }

    /// When the state is to be published again; none if nothing changed.
    fn telling(&self) -> Option<Instant> {
        let pause = |at| at + STATUS_PAUSE;
        self.stale_status
            .then(|| self.published.map_or_else(Instant::now, pause))
    }

    fn publish(&mut self) {
        let lately = |at: Instant| at.elapsed() < STATUS_PAUSE;
        if !self.stale_status || self.published.is_some_and(lately) {
            return; // The loop comes back to it when the pause is over.
        }
        self.stale_status = false;
        self.published = Some(Instant::now());
        let status = status::of(self);
        let usage = self
            .compiler
            .as_ref()
            .map(Compiler::usage)
            .unwrap_or_default();
        self.out.metrics.observe(&self.sync_state, &status, &usage);
        self.out.status.send_if_modified(|told| {
            let changed = *told != status;
            *told = status;
            changed
        });
    }
}

/// A compilation, with everything that it takes.
struct Job {
    model: PolicyModel,
    compiler: Compiler,
    site: Site,
    sync: Arc<SyncClient>,
    counts: SharedCounts,
    fresh: bool,
}

/// What came of it.
struct Done {
    model: PolicyModel,
    compiler: Compiler,
    took: Duration,
    outcome: Result<(Commit, Generation), String>,
}

impl Job {
    fn run(self) -> Done {
        let Self {
            mut model,
            mut compiler,
            site,
            sync,
            counts,
            fresh,
        } = self;
        let began = Instant::now();
        let changes = model.take_changes();
        let renames = !(changes.policies.is_empty() && changes.profiles.is_empty());
        let compiled = compiler.commit(&model, &changes, &site);
        let took = began.elapsed();
        let outcome = compiled
            .map_err(|problem| offload_api::error_chain(&problem))
            .and_then(|mut commit| {
                // A compiler that had emitted nothing speaks of empty tables; ours may have rows
                // of the compiler before it.
                // Held until the rows are in the books: what they count is asked for right away.
                let mut counts = counts.lock();
                let phases = std::mem::take(&mut commit.phases);
                let touched = Touched::of(&phases);
                let sent = if fresh {
                    sync.replace(&compiler.snapshot())
                } else {
                    sync.commit(phases)
                };
                let generation = sent.map_err(|problem| problem.to_string())?;
                if fresh {
                    counts.restarted(&compiler, generation);
                } else {
                    counts.committed(touched, &compiler, generation, renames);
                }
                Ok((commit, generation))
            });
        Done {
            model,
            compiler,
            took,
            outcome,
        }
    }
}
