//! A driver without sockets, a small pipeline, and a watch over every single update.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dpu_backend::{Backend, Faults, Faulty, Memory, MemoryDevice};
use dpu_reconciler::{EpochField, Input, Output, Reconciler, Refusal, Report, Session, Settings};
use table_model::{
    ActionId, ActionSchema, FieldSchema, FieldValue, Generation, MatchKind, ParamSchema, Rank, Row,
    RowKey, Schema, TableDelta, TableId, TableSchema, TableSnapshot, Update, diff,
};

pub(crate) const BODY: TableId = TableId(1);
pub(crate) const POINTER: TableId = TableId(2);
pub(crate) const SETTINGS: TableId = TableId(3);

/// Pointers name bodies: a packet that follows a pointer to a body that is not there is lost.
pub(crate) fn schema() -> Arc<Schema> {
    let table = |id: TableId, name: &str, rank, bits: Option<u8>, params: &[u8]| TableSchema {
        id,
        name: name.to_owned(),
        size: 1 << 20,
        rank,
        fields: bits
            .map(|bits| FieldSchema {
                id: 1,
                name: "key".to_owned(),
                bits,
                kind: MatchKind::Exact,
            })
            .into_iter()
            .collect(),
        actions: vec![ActionSchema {
            id: ActionId(id.0),
            name: "set".to_owned(),
            params: (1..)
                .zip(params)
                .map(|(id, bits)| ParamSchema {
                    id,
                    name: format!("p{id}"),
                    bits: *bits,
                })
                .collect(),
        }],
        counted: false,
    };
    Arc::new(Schema {
        fingerprint: 7,
        tables: vec![
            table(BODY, "body", Rank::Body, Some(32), &[8]),
            table(POINTER, "pointer", Rank::Pointer, Some(16), &[32]),
            table(SETTINGS, "settings", Rank::Pointer, None, &[16, 16]),
        ],
    })
}

fn row(table: TableId, key: &[FieldValue], params: &[u128]) -> Row {
    let schema = schema();
    let table = schema.table(table).unwrap();
    Row {
        key: table.key(key).unwrap(),
        action: table.actions[0].call(params).unwrap(),
    }
}

pub(crate) fn body(id: u32, value: u8) -> Row {
    row(BODY, &[FieldValue::Exact(id.into())], &[value.into()])
}

pub(crate) fn pointer(port: u16, body: u32) -> Row {
    row(POINTER, &[FieldValue::Exact(port.into())], &[body.into()])
}

pub(crate) fn settings(epoch: u16) -> Row {
    row(SETTINGS, &[], &[epoch.into(), 4789])
}

pub(crate) fn session(name: &str) -> Session {
    Session(name.into())
}

pub(crate) fn state(rows: impl IntoIterator<Item = Row>) -> TableSnapshot {
    rows.into_iter().collect()
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future of the in-memory device waits"),
    }
}

/// Reconciler, device and a host that remembers what it asked for.
pub(crate) struct Lab {
    pub(crate) reconciler: Reconciler,
    pub(crate) device: MemoryDevice,
    pub(crate) backend: Faulty<Memory>,
    pub(crate) reports: Vec<Report>,
    pub(crate) now: Duration,
    pub(crate) settings: Settings,
    /// Rows as the updates so far made them.
    mirror: TableSnapshot,
    /// What is in force, as far as reports say.
    pub(crate) enforced: TableSnapshot,
    /// What was asked for since.
    pub(crate) asked: BTreeMap<u64, TableSnapshot>,
    pub(crate) generation: u64,
    pub(crate) needs_snapshot: bool,
    connected: bool,
    /// Whether every update is watched for pointers that lead nowhere.
    pub(crate) closed: bool,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let device = MemoryDevice::new(schema());
        let settings = Settings {
            chunk: 7,
            epoch: Some(EpochField {
                table: SETTINGS,
                action: ActionId(SETTINGS.0),
                offset: 0,
            }),
            ..Settings::default()
        };
        Self {
            reconciler: Reconciler::new(schema(), settings),
            backend: Faulty::new(device.backend(), Faults::default(), 1),
            device,
            reports: Vec::new(),
            now: Duration::ZERO,
            settings,
            mirror: TableSnapshot::new(),
            enforced: TableSnapshot::new(),
            asked: BTreeMap::new(),
            generation: 0,
            needs_snapshot: true,
            connected: false,
            closed: true,
        }
    }

    pub(crate) fn with_faults(seed: u64) -> Self {
        let mut lab = Self::new();
        let crashed = lab.device.clone();
        lab.backend = Faulty::new(lab.device.backend(), Faults::default(), seed)
            .on_crash(move || crashed.restart());
        lab
    }

    /// The agent dies and another one starts: same device, no memory.
    pub(crate) fn new_agent(&mut self) {
        self.reconciler = Reconciler::new(schema(), self.settings);
        self.device.disconnect();
        self.connected = false;
        self.needs_snapshot = true;
        self.asked.clear();
        self.enforced = TableSnapshot::new();
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.reconciler.handle(self.now, input);
    }

    pub(crate) fn snapshot(&mut self, rows: &TableSnapshot) {
        self.generation += 1;
        self.asked.insert(self.generation, rows.clone());
        self.needs_snapshot = false;
        self.give(Input::Snapshot {
            session: session("host"),
            generation: Generation(self.generation),
            rows: rows.clone(),
        });
    }

    /// A delta from what was last asked for.
    pub(crate) fn delta(&mut self, rows: &TableSnapshot) {
        if self.needs_snapshot {
            return self.snapshot(rows);
        }
        let base = self.asked.values().last().unwrap_or(&self.enforced);
        let phases = diff(&schema(), rows, base).unwrap();
        let delta = TableDelta {
            base: Generation(self.generation),
            generation: Generation(self.generation + 1),
            phases,
        };
        self.generation += 1;
        self.asked.insert(self.generation, rows.clone());
        self.give(Input::Delta {
            session: session("host"),
            delta,
        });
    }

    /// Opens another stream: what was not answered will have to be given again.
    pub(crate) fn hello(&mut self) {
        self.give(Input::Hello(session("host")));
        self.needs_snapshot = true;
    }

    /// Drives until nothing is left to do but to wait for the slow timer.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("no end in sight: {:?}", self.reconciler.status());
    }

    /// One thing; `false` if there is none.
    pub(crate) fn step(&mut self) -> bool {
        self.now += Duration::from_millis(1);
        if self.connected && !self.alive() {
            self.connected = false;
            self.give(Input::Lost);
        }
        if !self.connected {
            return match block_on(self.backend.connect()) {
                Ok(capability) => {
                    self.connected = true;
                    self.mirror = self.device.rows();
                    self.give(Input::Connected(capability));
                    true
                }
                Err(dpu_backend::DeviceError::Injected(_)) => true,
                Err(_) => match self.reconciler.next(self.now) {
                    Some(Output::Report(report)) => {
                        self.hear(&report);
                        self.reports.push(report);
                        true
                    }
                    other => {
                        assert!(other.is_none(), "{other:?} without a device");
                        false
                    }
                },
            };
        }
        match self.reconciler.next(self.now) {
            Some(Output::Read(table)) => {
                let mut pieces = Vec::new();
                let result = block_on(self.backend.read(table, &mut |piece| pieces.push(piece)));
                for piece in pieces {
                    self.give(Input::Rows(piece));
                }
                self.give(Input::ReadEnd(result.map_err(|error| error.to_string())));
                true
            }
            Some(Output::Write(updates)) => {
                let keys: std::collections::HashSet<&RowKey> =
                    updates.iter().map(Update::key).collect();
                assert_eq!(keys.len(), updates.len(), "one key twice in a write");
                let report = block_on(self.backend.write(&updates));
                self.watch();
                self.give(Input::Written(report));
                true
            }
            Some(Output::Report(report)) => {
                self.hear(&report);
                self.reports.push(report);
                true
            }
            None => {
                let status = self.reconciler.status();
                let wake = self.reconciler.wake_at();
                if (status.queued > 0 || !status.read_back) && wake.is_some_and(|at| at > self.now)
                {
                    self.now = wake.unwrap();
                    return true;
                }
                false
            }
        }
    }

    fn alive(&mut self) -> bool {
        let lost = pin!(self.backend.lost());
        lost.poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    /// Looks at every update that took effect.
    fn watch(&mut self) {
        for update in self.device.take_journal() {
            if let Update::Delete(key) = &update {
                let kept = |rows: &TableSnapshot| rows.get(key).is_some();
                assert!(
                    !kept(&self.enforced) || !self.asked.values().all(kept),
                    "a row that every complete state has was deleted: {key:?}"
                );
            }
            let _ = match update {
                Update::Insert(row) | Update::Modify(row) => self.mirror.put(row),
                Update::Delete(key) => self.mirror.take(&key),
            };
            if self.closed {
                self.check_closed();
            }
        }
        // A crash empties the device without an entry in the journal.
        if self.device.rows().is_empty() {
            self.mirror = TableSnapshot::new();
        }
    }

    fn check_closed(&self) {
        for pointer in self.mirror.table(POINTER) {
            let schema = schema();
            let table = schema.table(POINTER).unwrap();
            let body = table.actions[0].params(&pointer.action).unwrap()[0];
            let key = schema
                .table(BODY)
                .unwrap()
                .key(&[FieldValue::Exact(body)])
                .unwrap();
            assert!(
                self.mirror.get(&key).is_some(),
                "a pointer leads nowhere: body {body}"
            );
        }
    }

    fn hear(&mut self, report: &Report) {
        match report {
            Report::Enforced { generation, .. } => {
                let later = self.asked.split_off(&(generation.0 + 1));
                if let Some(rows) = self.asked.remove(&generation.0) {
                    self.enforced = rows;
                }
                self.asked = later;
            }
            Report::Refused {
                generation, reason, ..
            } => {
                self.asked.remove(&generation.0);
                self.needs_snapshot |= !matches!(reason, Refusal::Superseded);
            }
            Report::Resync { .. } => {
                self.asked.clear();
                self.needs_snapshot = true;
            }
            _ => {}
        }
    }

    pub(crate) fn last(&self) -> &Report {
        self.reports.last().expect("a report")
    }
}
