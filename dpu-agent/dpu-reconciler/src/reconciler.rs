//! The state machine.

mod carry;
mod desire;
mod observe;
mod shift;
mod start;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use table_model::{Generation, RowKey, Schema, TableId, TableSnapshot, Update};

use crate::epoch::EpochField;
use crate::transaction::{Origin, Request, Transaction};
use crate::{Input, Output, Report, Session, Status};

/// How the reconciler works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Time between two passes over all tables in search of drift.
    pub drift_every: Duration,
    /// Updates that one [`Output::Write`] carries at most.
    pub chunk: usize,
    /// Writes in a row of which the device takes nothing before a change is given up.
    pub attempts: u32,
    /// Pause after the second failure in a row; doubles up to `pause_max`.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// The parameter that forgets connections, if the pipeline has one.
    pub epoch: Option<EpochField>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            drift_every: Duration::from_secs(60),
            chunk: 4000,
            attempts: 8,
            pause: Duration::from_millis(20),
            pause_max: Duration::from_secs(5),
            epoch: None,
        }
    }
}

/// What is enforced, or was when the device was last seen.
#[derive(Debug)]
struct Committed {
    /// Whose; nobody's as long as it is only what a predecessor left on the device.
    owner: Option<(Session, Generation)>,
    rows: TableSnapshot,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// Writes wait for this.
    Need,
    /// The slow timer.
    Drift,
}

#[derive(Debug)]
enum Pending {
    Read {
        table: TableId,
        purpose: Purpose,
        rows: TableSnapshot,
    },
    Write(Arc<[Update]>),
}

#[derive(Debug)]
struct DriftPass {
    left: Vec<TableId>,
    found: bool,
}

/// Desired minus observed. See the crate's own words for what it keeps to.
#[derive(Debug)]
pub struct Reconciler {
    schema: Arc<Schema>,
    settings: Settings,
    now: Duration,
    // The device.
    connected: Option<Duration>,
    limits: BTreeMap<TableId, u64>,
    observed: TableSnapshot,
    unread: BTreeSet<TableId>,
    /// No table was read over this connection before, so there is nothing to compare a read with.
    first_read: bool,
    /// Keys whose last answer was uncertain.
    uncertain: HashSet<RowKey>,
    diverged: bool,
    pending: Option<Pending>,
    paused_until: Duration,
    read_failures: u32,
    // What is wanted.
    committed: Option<Committed>,
    shift: Option<u16>,
    active: Option<Transaction>,
    queue: VecDeque<Request>,
    /// Who has opened a stream and was not answered yet.
    greeting: Option<Session>,
    repair: Option<Origin>,
    drift_due: Duration,
    drift_pass: Option<DriftPass>,
    drift_turn: bool,
    // What to tell.
    reports: VecDeque<Report>,
    tally: Status,
}

impl Reconciler {
    /// A reconciler that knows neither a device nor a desired state yet.
    #[must_use]
    pub fn new(schema: Arc<Schema>, settings: Settings) -> Self {
        Self {
            schema,
            settings,
            now: Duration::ZERO,
            connected: None,
            limits: BTreeMap::new(),
            observed: TableSnapshot::new(),
            unread: BTreeSet::new(),
            first_read: true,
            uncertain: HashSet::new(),
            diverged: false,
            pending: None,
            paused_until: Duration::ZERO,
            read_failures: 0,
            committed: None,
            shift: None,
            active: None,
            queue: VecDeque::new(),
            greeting: None,
            repair: None,
            drift_due: Duration::ZERO,
            drift_pass: None,
            drift_turn: false,
            reports: VecDeque::new(),
            tally: Status::default(),
        }
    }

    /// Takes in what happened. `now` is the time since any fixed moment and never goes back.
    pub fn handle(&mut self, now: Duration, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Connected(capability) => self.connected(&capability),
            Input::Lost => self.lost(),
            Input::Rows(rows) => self.rows(rows),
            Input::ReadEnd(result) => self.read_end(result.is_ok()),
            Input::Written(report) => self.written(report),
            Input::Hello(session) => self.hello(session),
            Input::Snapshot {
                session,
                generation,
                rows,
            } => self.snapshot(session, generation, rows),
            Input::Delta { session, delta } => self.delta(session, delta),
            Input::FlushConnections => self.queue.push_back(Request {
                origin: Origin::Flush,
                asked: self.now,
            }),
            Input::CheckDrift => self.drift_due = self.now,
            Input::Tick => {}
        }
    }

    /// The next thing to do, if there is one. Ask until there is none.
    pub fn next(&mut self, now: Duration) -> Option<Output> {
        self.now = self.now.max(now);
        loop {
            if let Some(report) = self.reports.pop_front() {
                return Some(Output::Report(report));
            }
            if self.greet() {
                continue;
            }
            if self.connected.is_none() || self.pending.is_some() || self.now < self.paused_until {
                return None;
            }
            if let Some(table) = self.unread.first().copied() {
                return Some(self.read(table, Purpose::Need));
            }
            if self.active.is_some() {
                if let Some(output) = self.advance() {
                    return Some(output);
                }
                continue;
            }
            if let Some(origin) = self.repair.take() {
                self.start_repair(origin, false);
                continue;
            }
            if self.drift_turn || self.queue.is_empty() {
                self.drift_turn = false;
                if let Some(table) = self.next_drift_table() {
                    return Some(self.read(table, Purpose::Drift));
                }
            }
            if self.repair.is_some() {
                continue;
            }
            let request = self.queue.pop_front()?;
            self.start(request);
        }
    }

    /// When to call [`Reconciler::next`] again if nothing happens before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        self.connected?;
        if self.paused_until > self.now {
            return Some(self.paused_until);
        }
        (self.committed.is_some() && self.pending.is_none()).then_some(self.drift_due)
    }

    /// Where things stand.
    #[must_use]
    pub fn status(&self) -> Status {
        let owner = self.committed.as_ref().and_then(|held| held.owner.as_ref());
        let read_back = self.connected.is_some() && !self.first_read && self.unread.is_empty();
        let latest = self.latest();
        let repairing = self.repair.is_some()
            || self.active.as_ref().is_some_and(|active| {
                matches!(active.request.origin, Origin::Restore | Origin::Drift)
            });
        Status {
            connected: self.connected.is_some(),
            read_back,
            session: latest.map(|(session, _)| session.clone()),
            desired: latest.map(|(_, generation)| generation),
            enforced: owner.map(|(_, generation)| *generation),
            rows: self
                .committed
                .as_ref()
                .map_or(0, |held| held.rows.len() as u64),
            in_sync: read_back
                && owner.is_some()
                && self.active.is_none()
                && !repairing
                && self.tally.fault.is_none(),
            repairing,
            epoch: self.epoch(),
            queued: self.queue.len() + usize::from(self.active.is_some()),
            ..self.tally.clone()
        }
    }

    /// Whether the device is reachable, as far as the inputs so far tell.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// The rows of the device as they were last seen or written.
    #[must_use]
    pub fn observed(&self) -> &TableSnapshot {
        &self.observed
    }

    /// The rows that are to be in force, once there are any.
    #[must_use]
    pub fn enforced(&self) -> Option<&TableSnapshot> {
        self.committed.as_ref().map(|held| &held.rows)
    }

    /// Entries that a table can hold on this device.
    #[must_use]
    pub fn limit(&self, table: TableId) -> Option<u64> {
        self.limits.get(&table).copied()
    }

    /// Changes that wait or are under way; the driver stops taking more in when there are many.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.queue.len() + usize::from(self.active.is_some())
    }
}
