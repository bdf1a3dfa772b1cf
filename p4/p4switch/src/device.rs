//! The engine with what P4Runtime keeps beside it; owned by one thread.
//!
//! *In:* operations and queries that were checked against the pipeline. *Out:* a failure for each
//! operation that the state does not allow, and the pieces of answers. A batch can be taken back:
//! [`Device::apply`] notes on request how to undo what it did.

mod entries;
mod idle;
mod learning;
mod observe;
mod ports;
mod reconcile;
mod selectors;
mod undo;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use p4_engine::{
    ActionCall, Engine, EngineConfig, Entry, EntryAction, EntryHandle, Program, TableIndex,
};

use self::{idle::IdleTimers, selectors::Selectors};
pub(crate) use self::{
    learning::{Learned, Learning},
    observe::Cursor,
    undo::Undo,
};
use crate::{
    failure::Failure,
    operation::{Cells, Change, Extra, Group, Key, Operation, Session},
    pipeline::Pipeline,
};

/// A running program and its state.
#[derive(Debug)]
pub(crate) struct Device {
    /// Absent while a program from the command line has no p4info.
    pub(crate) pipeline: Option<Arc<Pipeline>>,
    pub(crate) engine: Engine,
    /// Digests on their way to the controller.
    pub(crate) learning: Learning,
    /// Only of entries that have any.
    extras: HashMap<(TableIndex, EntryHandle), Extra>,
    default_extras: BTreeMap<TableIndex, Extra>,
    groups: BTreeMap<u16, Group>,
    sessions: BTreeMap<u16, Session>,
    selectors: Selectors,
    idle: IdleTimers,
    down: BTreeSet<u16>,
}

impl Device {
    pub(crate) fn new(
        program: Arc<Program>,
        pipeline: Option<Arc<Pipeline>>,
        config: EngineConfig,
    ) -> Self {
        let digests = pipeline
            .as_ref()
            .map_or(0, |pipeline| pipeline.digests.len());
        Self {
            learning: Learning::new(digests),
            selectors: Selectors::new(program.profiles().len()),
            pipeline,
            engine: Engine::new(program, config),
            extras: HashMap::new(),
            default_extras: BTreeMap::new(),
            groups: BTreeMap::new(),
            sessions: BTreeMap::new(),
            idle: IdleTimers::default(),
            down: BTreeSet::new(),
        }
    }

    /// Whether requests made for this generation of pipeline may be applied.
    pub(crate) fn is_generation(&self, generation: u64) -> bool {
        self.pipeline
            .as_ref()
            .is_some_and(|pipeline| pipeline.generation == generation)
    }

    /// Applies one operation. What would take it back goes to `undo`.
    pub(crate) fn apply(
        &mut self,
        operation: Operation,
        undo: Option<&mut Vec<Undo>>,
    ) -> Result<(), Failure> {
        let back = match operation {
            Operation::Insert {
                table,
                entry,
                beside,
            } => {
                let key = undo.is_some().then(|| key_of(&entry));
                self.insert(table, entry, beside)?;
                key.map(|key| Undo::Operation(Operation::Delete { table, key }))
            }
            Operation::Modify {
                table,
                key,
                action,
                beside,
            } => {
                let handle = self.find(table, &key)?;
                let back = undo.is_some().then(|| self.restore(table, key, handle));
                self.modify(table, handle, action, beside)?;
                back
            }
            Operation::Delete { table, key } => {
                let handle = self.find(table, &key)?;
                let back = match undo {
                    Some(_) => Some(self.reinsert(table, handle)?),
                    None => None,
                };
                self.delete(table, handle)?;
                back
            }
            Operation::Default {
                table,
                call,
                beside,
            } => {
                let back = undo.is_some().then(|| self.restore_default(table));
                self.set_default(table, call, beside)?;
                back
            }
            Operation::DirectCounter { table, row, value } => {
                self.direct_counter(table, row, value, undo.is_some())?
            }
            Operation::DirectMeter { table, row, config } => {
                self.direct_meter(table, row, config, undo.is_some())?
            }
            Operation::Counter {
                counter,
                cells,
                value,
            } => {
                let back = undo.is_some().then(|| self.restore_counter(counter, cells));
                let array = self.engine.counter_mut(counter);
                match cells {
                    Cells::One(cell) => array
                        .get_mut(cell)
                        .map(|cell| *cell = value)
                        .ok_or_else(|| Failure::out_of_range("The counter has no such cell"))?,
                    Cells::All => array.fill(value),
                }
                back
            }
            Operation::Meter {
                meter,
                cells,
                config,
            } => {
                let back = undo.is_some().then(|| self.restore_meter(meter, cells));
                for cell in self.meter_cells(meter, cells) {
                    self.engine.set_meter(meter, cell, config)?;
                }
                back
            }
            Operation::Register {
                register,
                cells,
                value,
            } => {
                let back = undo
                    .is_some()
                    .then(|| self.restore_register(register, cells));
                for cell in self.register_cells(register, cells) {
                    self.engine.set_register(register, cell, &value)?;
                }
                back
            }
            Operation::Multicast { group, change } => {
                let before = self.groups.get(&group).cloned();
                let back = reverse(before.clone(), &change);
                let after = changed("multicast group", group, before.is_some(), change)?;
                self.set_group(group, after);
                Some(Undo::Operation(Operation::Multicast {
                    group,
                    change: back,
                }))
            }
            Operation::Clone { session, change } => {
                let before = self.sessions.get(&session).cloned();
                let back = reverse(before.clone(), &change);
                let after = changed("clone session", session, before.is_some(), change)?;
                self.set_session(session, after);
                Some(Undo::Operation(Operation::Clone {
                    session,
                    change: back,
                }))
            }
            Operation::Member {
                profile,
                member,
                change,
            } => Some(self.change_member(profile, member, change)?),
            Operation::SelectorGroup {
                profile,
                group,
                change,
            } => Some(self.change_selector_group(profile, group, change)?),
            Operation::ValueSet { set, members } => {
                let before = self.engine.value_set(set).to_vec();
                self.engine.set_value_set(set, members)?;
                let members = before;
                Some(Undo::Operation(Operation::ValueSet { set, members }))
            }
            Operation::Digest { digest, change } => {
                let before = self.learning.config(digest);
                let back = reverse(before, &change);
                let after = changed("configuration of digest", digest, before.is_some(), change)?;
                self.learning.configure(digest, after);
                Some(Undo::Operation(Operation::Digest {
                    digest,
                    change: back,
                }))
            }
            Operation::Plain { way, entry } => self.plain(way, entry, undo.is_some())?,
            Operation::Nothing => None,
        };
        if let (Some(undo), Some(back)) = (undo, back) {
            undo.push(back);
        }
        Ok(())
    }

    fn find(&self, table: TableIndex, key: &Key) -> Result<EntryHandle, Failure> {
        self.engine
            .find(table, &key.parts, key.priority)?
            .ok_or_else(|| self.no_entry(table))
    }

    fn no_entry(&self, table: TableIndex) -> Failure {
        let name = &self.engine.program().table_info(table).name;
        Failure::not_found(format!("Table {name} has no entry with this match"))
    }
}

/// The change that takes a change back.
fn reverse<T>(before: Option<T>, change: &Change<T>) -> Change<T> {
    match (before, change) {
        (Some(before), Change::Delete) => Change::Insert(before),
        (Some(before), _) => Change::Modify(before),
        (None, _) => Change::Delete,
    }
}

/// What is there after a change of something that was or was not there before.
fn changed<T>(
    what: &str,
    id: impl std::fmt::Display,
    before: bool,
    change: Change<T>,
) -> Result<Option<T>, Failure> {
    match (change, before) {
        (Change::Insert(_), true) => {
            Err(Failure::exists(format!("There is a {what} {id} already")))
        }
        (Change::Modify(_) | Change::Delete, false) => {
            Err(Failure::not_found(format!("There is no {what} {id}")))
        }
        (Change::Insert(config), false) | (Change::Modify(config), true) => Ok(Some(config)),
        (Change::Delete, true) => Ok(None),
    }
}

/// An action as [`Engine::set_default`] takes it.
fn as_call(action: EntryAction) -> Option<ActionCall> {
    match action {
        EntryAction::Call(call) => Some(call),
        EntryAction::Member(_) | EntryAction::Group(_) => None,
    }
}

/// The identity of an entry.
fn key_of(entry: &Entry) -> Key {
    Key {
        parts: entry.key.clone(),
        priority: entry.priority,
    }
}
