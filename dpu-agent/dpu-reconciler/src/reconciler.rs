//! The state machine.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use table_model::{
    Capability, Generation, Outcome, Row, RowKey, Schema, TableDelta, TableId, TableSnapshot,
    Update, WriteReport,
};

use crate::epoch::{self, EpochField};
use crate::plan::{self, Steps};
use crate::transaction::{Origin, Request, Transaction};
use crate::{Desync, Drift, Input, Output, Refusal, Report, Session, Status};

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

    // Connections.

    fn connected(&mut self, capability: &Capability) {
        self.interrupt();
        self.connected = Some(self.now);
        self.limits = self
            .schema
            .tables
            .iter()
            .map(|table| (table.id, capability.entries(table)))
            .collect();
        self.observed = TableSnapshot::new();
        self.unread = self.schema.tables.iter().map(|table| table.id).collect();
        self.first_read = true;
        self.drift_pass = None;
        self.drift_due = self.now + self.settings.drift_every;
        self.read_failures = 0;
        self.paused_until = self.now;
        self.repair = self.committed.is_some().then_some(Origin::Restore);
    }

    fn lost(&mut self) {
        self.interrupt();
        self.connected = None;
    }

    /// Forgets what was under way. A change goes back to the head of the queue, to be made again
    /// from the start once the state that it started from is restored.
    fn interrupt(&mut self) {
        self.pending = None;
        self.uncertain.clear();
        self.diverged = false;
        let Some(active) = self.active.take() else {
            return;
        };
        self.repair = Some(Origin::Restore);
        match (active.undoing, active.request.origin) {
            (Some(reason), origin) => self.refuse(&origin, reason),
            (None, Origin::Restore | Origin::Drift) => {}
            // Its host has opened another stream since, and will give it again.
            (None, origin) if self.greeting.is_some() && origin.makes().is_some() => {}
            (None, origin) => self.queue.push_front(Request {
                origin,
                asked: active.request.asked,
            }),
        }
    }

    // Reading.

    fn read(&mut self, table: TableId, purpose: Purpose) -> Output {
        self.tally.reads += 1;
        self.pending = Some(Pending::Read {
            table,
            purpose,
            rows: TableSnapshot::new(),
        });
        Output::Read(table)
    }

    fn rows(&mut self, piece: Vec<Row>) {
        if let Some(Pending::Read { table, rows, .. }) = &mut self.pending {
            for row in piece {
                if row.key.table == *table {
                    rows.put(row);
                }
            }
        }
    }

    fn read_end(&mut self, read: bool) {
        let Some(Pending::Read {
            table,
            purpose,
            mut rows,
        }) = self.pending.take()
        else {
            return;
        };
        if !read {
            self.read_failures = self.read_failures.saturating_add(1);
            self.pause(self.read_failures);
            return;
        }
        self.read_failures = 0;
        let before = self.observed.replace_table(table, &mut rows);
        match purpose {
            Purpose::Drift => {
                let same = before.table_len(table) == self.observed.table_len(table)
                    && before
                        .iter()
                        .all(|(key, action)| self.observed.get(key) == Some(action));
                if let Some(pass) = &mut self.drift_pass {
                    pass.left.retain(|left| *left != table);
                    pass.found |= !same;
                }
            }
            Purpose::Need => {
                if !self.first_read {
                    let uncertain = &self.uncertain;
                    let strange = |here: &TableSnapshot, there: &TableSnapshot| {
                        here.table_iter(table).any(|(key, action)| {
                            there.get(key) != Some(action) && !uncertain.contains(key)
                        })
                    };
                    self.diverged |=
                        strange(&before, &self.observed) || strange(&self.observed, &before);
                }
                self.unread.remove(&table);
                if self.unread.is_empty() {
                    self.all_read();
                }
            }
        }
    }

    fn all_read(&mut self) {
        self.first_read = false;
        self.uncertain.clear();
        if std::mem::take(&mut self.diverged) {
            // More is different than the answers told: the device did not stay the one that the
            // change under way began with.
            self.interrupt();
            self.repair = self.committed.is_some().then_some(Origin::Restore);
        }
    }

    fn next_drift_table(&mut self) -> Option<TableId> {
        if self.committed.is_none() || self.now < self.drift_due {
            return None;
        }
        let pass = self.drift_pass.get_or_insert_with(|| DriftPass {
            left: self.schema.tables.iter().map(|table| table.id).collect(),
            found: false,
        });
        if let Some(table) = pass.left.last() {
            return Some(*table);
        }
        if pass.found || self.tally.fault.is_some() {
            self.repair = Some(Origin::Drift);
        }
        self.drift_pass = None;
        self.drift_due = self.now + self.settings.drift_every;
        self.tally.drift_checks += 1;
        None
    }

    // What is wanted.

    /// The newest generation taken in, in force or not.
    fn latest(&self) -> Option<(&Session, Generation)> {
        let waiting = self.queue.iter().rev().find_map(|r| r.origin.makes());
        let active = || {
            let active = self.active.as_ref()?;
            active
                .undoing
                .is_none()
                .then(|| active.request.origin.makes())?
        };
        let held = || {
            let (session, generation) = self.committed.as_ref()?.owner.as_ref()?;
            Some((session, *generation))
        };
        waiting.or_else(active).or_else(held)
    }

    fn hello(&mut self, session: Session) {
        self.queue
            .retain(|request| request.origin.makes().is_none());
        self.greeting = Some(session);
    }

    /// Answers who has opened a stream, once what an older stream began is settled.
    fn greet(&mut self) -> bool {
        let busy = |active: &Transaction| active.request.origin.makes().is_some();
        if self.active.as_ref().is_some_and(busy) {
            return false;
        }
        let Some(session) = self.greeting.take() else {
            return false;
        };
        let report = match self.latest() {
            Some((held, generation)) if *held == session => Report::Welcome {
                session,
                generation,
            },
            _ => self.desync(session, Generation::default()),
        };
        self.reports.push_back(report);
        true
    }

    fn desync(&self, session: Session, base: Generation) -> Report {
        let (reason, generation) = match self.latest() {
            None => (Desync::NoState, Generation::default()),
            Some((held, generation)) if *held != session => {
                let held = held.clone();
                (Desync::OtherSession { held }, generation)
            }
            Some((_, held)) => (Desync::Base { base, held }, held),
        };
        Report::Resync {
            session,
            reason,
            generation,
        }
    }

    fn snapshot(&mut self, session: Session, generation: Generation, rows: TableSnapshot) {
        if let Some((_, have)) = self.latest()
            && generation <= have
        {
            let reason = Refusal::Stale {
                given: generation,
                have,
            };
            self.reports.push_back(Report::Refused {
                session,
                generation,
                reason,
            });
            return;
        }
        // A complete state needs nothing of what was to come before it.
        for request in std::mem::take(&mut self.queue) {
            match request.origin {
                Origin::Flush => self.queue.push_back(request),
                origin => self.refuse(&origin, Refusal::Superseded),
            }
        }
        self.queue.push_back(Request {
            origin: Origin::Snapshot {
                session,
                generation,
                rows,
            },
            asked: self.now,
        });
    }

    fn delta(&mut self, session: Session, delta: TableDelta) {
        match self.latest() {
            Some((held, have)) if *held == session && delta.generation <= have => {
                let reason = Refusal::Stale {
                    given: delta.generation,
                    have,
                };
                self.refuse(&Origin::Delta { session, delta }, reason);
            }
            Some((held, have)) if *held == session && delta.base == have => {
                self.queue.push_back(Request {
                    origin: Origin::Delta { session, delta },
                    asked: self.now,
                });
            }
            _ => {
                let report = self.desync(session, delta.base);
                self.reports.push_back(report);
            }
        }
    }

    // Changes.

    fn start(&mut self, request: Request) {
        let Request { origin, asked } = request;
        match origin {
            Origin::Snapshot {
                session,
                generation,
                rows,
            } => self.start_snapshot(session, generation, rows, asked),
            Origin::Delta { session, delta } => self.start_delta(session, delta, asked),
            Origin::Flush => self.start_flush(asked),
            Origin::Restore | Origin::Drift => self.repair = Some(origin),
        }
    }

    fn start_snapshot(
        &mut self,
        session: Session,
        generation: Generation,
        mut rows: TableSnapshot,
        asked: Duration,
    ) {
        // What a predecessor left is what is enforced, until this snapshot is in force as a whole.
        let adopted = self.committed.is_none();
        if adopted {
            self.committed = Some(Committed {
                owner: None,
                rows: self.observed.clone(),
            });
        }
        let host = self.shift_snapshot(&mut rows);
        let planned = plan::subtract(&self.schema, &rows, &self.observed);
        // A snapshot that has to be begun again begins from what the host gave.
        host.map(|row| rows.put(row));
        let origin = Origin::Snapshot {
            session,
            generation,
            rows,
        };
        match planned {
            Ok((steps, _)) => self.begin(Request { origin, asked }, steps),
            Err(error) => self.refuse(&origin, error.into()),
        }
    }

    fn start_delta(&mut self, session: Session, delta: TableDelta, asked: Duration) {
        let held = self.committed.as_ref();
        let misfit = match held.map(|held| (&held.rows, &held.owner)) {
            Some((rows, Some((owner, have)))) if *owner == session && *have == delta.base => {
                plan::fits(&self.schema, rows, &delta).err()
            }
            _ => Some(format!("Generation {} is not in force", delta.base.0)),
        };
        if let Some(text) = misfit {
            // The deltas behind it build on it.
            self.queue.retain(|request| {
                !matches!(&request.origin, Origin::Delta { session: s, .. } if *s == session)
            });
            let generation = self.latest().map_or(delta.base, |(_, held)| held);
            self.reports.push_back(Report::Resync {
                session,
                reason: Desync::Misfit(text),
                generation,
            });
            return;
        }
        let mut steps = plan::steps(delta.phases.clone());
        self.shift_steps(&mut steps);
        self.begin(
            Request {
                origin: Origin::Delta { session, delta },
                asked,
            },
            steps,
        );
    }

    fn start_flush(&mut self, asked: Duration) {
        let flushed = self.settings.epoch.and_then(|field| {
            let mut call = self.enforced()?.get(&field.key())?.clone();
            let epoch = field.read(&call)?;
            field.write(&mut call, epoch::next(epoch));
            Some(plan::Step {
                key: field.key(),
                want: Some(call),
            })
        });
        let Some(step) = flushed else {
            let reason = "No connection epoch is in force yet".to_owned();
            self.reports.push_back(Report::FlushRefused { reason });
            return;
        };
        let origin = Origin::Flush;
        self.begin(Request { origin, asked }, vec![vec![step]]);
    }

    fn begin(&mut self, request: Request, steps: Steps) {
        match plan::check_room(&self.schema, &self.limits, &self.observed, &steps) {
            Ok(()) => self.active = Some(Transaction::new(request, steps)),
            Err(reason) => self.refuse(&request.origin, reason),
        }
    }

    fn start_repair(&mut self, origin: Origin, makes_room: bool) {
        let Some(held) = &self.committed else {
            return;
        };
        match plan::subtract(&self.schema, &held.rows, &self.observed) {
            Ok((steps, drift)) => {
                let steps = if makes_room {
                    plan::make_room_first(steps)
                } else {
                    steps
                };
                let asked = self.connected.unwrap_or(self.now);
                let mut active = Transaction::new(Request { origin, asked }, steps);
                active.drift = drift;
                active.makes_room = makes_room;
                self.active = Some(active);
            }
            Err(error) => self.repair_failed(error.into()),
        }
    }

    /// Writes the next chunk of the change under way, or ends it.
    fn advance(&mut self) -> Option<Output> {
        let active = self.active.as_mut()?;
        let updates = active.chunk(&self.observed, self.settings.chunk);
        if updates.is_empty() {
            if let Some(done) = self.active.take() {
                self.finish(done);
            }
            return None;
        }
        self.tally.writes += 1;
        self.tally.updates += updates.len() as u64;
        let updates: Arc<[Update]> = updates.into();
        self.pending = Some(Pending::Write(Arc::clone(&updates)));
        Some(Output::Write(updates))
    }

    fn written(&mut self, report: WriteReport) {
        let Some(Pending::Write(updates)) = self.pending.take() else {
            return;
        };
        let missing = Outcome::Lost("No answer".into());
        let outcomes = report
            .outcomes
            .into_iter()
            .chain(std::iter::repeat(missing));
        let mut lost = false;
        let mut refusal: Option<Refusal> = None;
        let mut doubt: Option<(TableId, String)> = None;
        let mut full: Option<TableId> = None;
        let (mut taken, mut put) = (0_u64, 0_u64);
        for (update, outcome) in updates.iter().zip(outcomes) {
            let table = update.key().table;
            let unsure = match outcome {
                Outcome::Ok => {
                    taken += 1;
                    match update {
                        Update::Insert(row) | Update::Modify(row) => {
                            put += 1;
                            self.observed.put(row.clone());
                        }
                        Update::Delete(key) => {
                            self.observed.take(key);
                        }
                    }
                    continue;
                }
                Outcome::Full => {
                    full.get_or_insert(table);
                    self.tally.failures += 1;
                    continue;
                }
                Outcome::Refused(text) => {
                    refusal.get_or_insert_with(|| self.device(table, &text));
                    self.tally.failures += 1;
                    continue;
                }
                Outcome::Lost(text) => {
                    lost = true;
                    text.to_string()
                }
                Outcome::Failed(text) => text.to_string(),
                Outcome::Exists => "it is there already".to_owned(),
                Outcome::Missing => "it is not there".to_owned(),
            };
            self.tally.failures += 1;
            self.uncertain.insert(update.key().clone());
            self.unread.insert(table);
            doubt.get_or_insert((table, unsure));
        }
        let Some(active) = &mut self.active else {
            return;
        };
        active.written += taken;
        active.put += put;
        if lost {
            self.lost();
            return;
        }
        if let Some(table) = full {
            // What the device says counts, whatever it promised before.
            let (need, free) = active.inserts(table, &self.observed);
            refusal = Some(plan::full(&self.schema, table, need, free, 0));
        }
        if refusal.is_none() && doubt.is_none() {
            active.settle();
            return;
        }
        // Refused rows do not become more welcome; failed ones may, for a while.
        active.fruitless = if taken > 0 { 1 } else { active.fruitless + 1 };
        let fruitless = active.fruitless;
        let given_up = (fruitless >= self.settings.attempts)
            .then_some(doubt)
            .flatten()
            .map(|(table, text)| self.device(table, &text));
        if let Some(reason) = refusal.or(given_up) {
            self.give_up(reason);
        } else if fruitless > 1 {
            self.pause(fruitless - 1);
        }
    }

    /// The change under way cannot be made.
    fn give_up(&mut self, reason: Refusal) {
        let Some(mut active) = self.active.take() else {
            return;
        };
        match (&active.request.origin, active.undoing.take()) {
            (Origin::Restore | Origin::Drift, _) => {
                let full = matches!(reason, Refusal::Full { .. });
                if full && !active.makes_room {
                    self.start_repair(active.request.origin, true);
                } else {
                    self.repair_failed(reason);
                }
            }
            (origin, Some(first)) => {
                // The way back is barred as well: go back by subtraction, on the slow timer if need be.
                self.refuse(origin, first);
                self.repair_failed(reason);
            }
            (_, None) => {
                active.undo(reason);
                self.tally.rollbacks += 1;
                self.active = Some(active);
            }
        }
    }

    fn repair_failed(&mut self, reason: Refusal) {
        self.tally.fault = Some(reason.clone());
        self.drift_due = self.drift_due.min(self.now + self.settings.drift_every);
        self.reports.push_back(Report::RepairFailed { reason });
    }

    fn finish(&mut self, done: Transaction) {
        self.drift_turn = true;
        let Request { origin, asked } = done.request;
        if let Some(reason) = done.undoing {
            self.refuse(&origin, reason);
            return;
        }
        let took = self.now.saturating_sub(asked);
        match origin {
            Origin::Snapshot {
                session,
                generation,
                mut rows,
            } => {
                self.shift_snapshot(&mut rows);
                self.tally.fault = None;
                self.repair = None;
                let unchanged = (rows.len() as u64).saturating_sub(done.put);
                self.committed = Some(Committed {
                    owner: Some((session.clone(), generation)),
                    rows,
                });
                self.reports.push_back(Report::Enforced {
                    session,
                    generation,
                    written: done.written,
                    unchanged,
                    took,
                });
            }
            Origin::Delta { session, delta } => {
                let generation = delta.generation;
                let unchanged = (delta.len() as u64).saturating_sub(done.written);
                self.commit_delta(&session, delta);
                self.reports.push_back(Report::Enforced {
                    session,
                    generation,
                    written: done.written,
                    unchanged,
                    took,
                });
            }
            Origin::Flush => self.commit_flush(),
            Origin::Restore => {
                self.tally.fault = None;
                self.tally.restored += done.written;
                if done.written > 0 {
                    self.reports.push_back(Report::Restored {
                        written: done.written,
                        took,
                    });
                }
            }
            Origin::Drift => {
                self.tally.fault = None;
                self.tally.drift.add(done.drift);
                if done.drift != Drift::default() {
                    self.reports.push_back(Report::DriftRepaired(done.drift));
                }
            }
        }
    }

    fn commit_delta(&mut self, session: &Session, delta: TableDelta) {
        let generation = delta.generation;
        let mut steps = plan::steps(delta.phases);
        self.shift_steps(&mut steps);
        if let Some(held) = &mut self.committed {
            for step in steps.into_iter().flatten() {
                match step.want {
                    Some(action) => drop(held.rows.put(Row {
                        key: step.key,
                        action,
                    })),
                    None => drop(held.rows.take(&step.key)),
                }
            }
            held.owner = Some((session.clone(), generation));
        }
    }

    // The epoch.

    fn epoch(&self) -> Option<u16> {
        let field = self.settings.epoch?;
        field.read(self.enforced()?.get(&field.key())?)
    }

    /// Puts the shift on a snapshot's settings row, and gives back the host's own. The first time,
    /// the shift is what takes the host's epoch to the one found on the device.
    fn shift_snapshot(&mut self, rows: &mut TableSnapshot) -> Option<Row> {
        let field = self.settings.epoch?;
        let key = field.key();
        let host = rows.get(&key)?.clone();
        let wanted = field.read(&host)?;
        let found = self.observed.get(&key).and_then(|call| field.read(call));
        let shift = *self
            .shift
            .get_or_insert(found.map_or(0, |found| found.wrapping_sub(wanted)));
        let mut action = host.clone();
        field.write(&mut action, wanted.wrapping_add(shift));
        rows.put(Row {
            key: key.clone(),
            action,
        });
        Some(Row { key, action: host })
    }

    fn shift_steps(&self, steps: &mut Steps) {
        let (Some(field), Some(shift)) = (self.settings.epoch, self.shift) else {
            return;
        };
        let calls = steps
            .iter_mut()
            .flatten()
            .filter(|step| step.key.table == field.table)
            .filter_map(|step| step.want.as_mut());
        for call in calls {
            if let Some(epoch) = field.read(call) {
                field.write(call, epoch.wrapping_add(shift));
            }
        }
    }

    fn commit_flush(&mut self) {
        let Some(field) = self.settings.epoch else {
            return;
        };
        let Some(held) = &mut self.committed else {
            return;
        };
        let Some(mut action) = held.rows.take(&field.key()) else {
            return;
        };
        let before = field.read(&action).unwrap_or_default();
        let epoch = epoch::next(before);
        field.write(&mut action, epoch);
        let key = field.key();
        held.rows.put(Row { key, action });
        let shift = self.shift.unwrap_or_default();
        self.shift = Some(shift.wrapping_add(epoch.wrapping_sub(before)));
        self.reports.push_back(Report::Flushed { epoch });
    }

    // Words.

    fn refuse(&mut self, origin: &Origin, reason: Refusal) {
        match origin {
            Origin::Flush => self.reports.push_back(Report::FlushRefused {
                reason: reason.to_string(),
            }),
            origin => {
                if let Some((session, generation)) = origin.makes() {
                    self.reports.push_back(Report::Refused {
                        session: session.clone(),
                        generation,
                        reason,
                    });
                }
            }
        }
    }

    fn device(&self, table: TableId, text: &str) -> Refusal {
        Refusal::Device {
            table,
            name: plan::name(&self.schema, table),
            text: text.to_owned(),
        }
    }

    /// Waits before the next thing, the longer the more failures there were in a row.
    fn pause(&mut self, failures: u32) {
        let pause = self
            .settings
            .pause
            .saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
        self.paused_until = self.now + pause.min(self.settings.pause_max);
    }
}
