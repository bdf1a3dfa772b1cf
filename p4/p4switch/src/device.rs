//! The engine with what P4Runtime keeps beside it; owned by one thread.
//!
//! *In:* operations and queries that were checked against the pipeline. *Out:* a failure for each
//! operation that the state does not allow, and the pieces of answers. A batch can be taken back:
//! [`Device::apply`] notes on request how to undo what it did.

mod observe;
mod reconcile;
mod undo;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use p4_engine::{
    ActionCall, CloneSession, Engine, EngineConfig, Entry, EntryAction, EntryHandle, Program,
    Replica, TableIndex,
};

pub(crate) use self::undo::Undo;
use crate::{
    failure::Failure,
    operation::{Cells, Change, Extra, Group, Key, Operation, ReplicaSpec, Row, Session},
    pipeline::Pipeline,
};

/// A running program and its state.
#[derive(Debug)]
pub(crate) struct Device {
    /// Absent while a program from the command line has no p4info.
    pub(crate) pipeline: Option<Arc<Pipeline>>,
    pub(crate) engine: Engine,
    /// Only of entries that have any.
    extras: HashMap<(TableIndex, EntryHandle), Extra>,
    default_extras: BTreeMap<TableIndex, Extra>,
    groups: BTreeMap<u16, Group>,
    sessions: BTreeMap<u16, Session>,
}

impl Device {
    pub(crate) fn new(
        program: Arc<Program>,
        pipeline: Option<Arc<Pipeline>>,
        config: EngineConfig,
    ) -> Self {
        Self {
            pipeline,
            engine: Engine::new(program, config),
            extras: HashMap::new(),
            default_extras: BTreeMap::new(),
            groups: BTreeMap::new(),
            sessions: BTreeMap::new(),
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
        match operation {
            Operation::Insert {
                table,
                entry,
                extra,
                counter,
            } => {
                let key = undo.is_some().then(|| Key {
                    parts: entry.key.clone(),
                    priority: entry.priority,
                });
                let handle = self.engine.insert(table, entry)?;
                if let Some(counter) = counter {
                    self.engine.set_entry_counter(table, handle, counter)?;
                }
                self.set_extra(table, handle, extra);
                if let (Some(undo), Some(key)) = (undo, key) {
                    undo.push(Undo::Delete { table, key });
                }
            }
            Operation::Modify {
                table,
                key,
                action,
                extra,
                counter,
            } => {
                let handle = self.find(table, &key)?;
                if let Some(undo) = undo {
                    undo.push(self.restore(table, key, handle)?);
                }
                if let Some(action) = action {
                    self.engine.modify(table, handle, action)?;
                }
                if let Some(counter) = counter {
                    self.engine.set_entry_counter(table, handle, counter)?;
                }
                self.set_extra(table, handle, extra);
            }
            Operation::Delete { table, key } => {
                let handle = self.find(table, &key)?;
                let back = match undo {
                    Some(undo) => Some((self.reinsert(table, handle)?, undo)),
                    None => None,
                };
                self.engine.delete(table, handle)?;
                self.extras.remove(&(table, handle));
                if let Some((back, undo)) = back {
                    undo.push(back);
                }
            }
            Operation::Default {
                table,
                call,
                extra,
                counter,
            } => {
                if let Some(undo) = undo {
                    undo.push(self.restore_default(table));
                }
                match call {
                    Some(call) => self.engine.set_default(table, call)?,
                    None => self.engine.reset_default(table)?,
                }
                if let Some(counter) = counter {
                    self.engine.set_default_counter(table, counter)?;
                }
                if extra == Extra::default() {
                    self.default_extras.remove(&table);
                } else {
                    self.default_extras.insert(table, extra);
                }
            }
            Operation::DirectCounter { table, row, value } => {
                self.direct_counter(table, row, value, undo)?;
            }
            Operation::Counter {
                counter,
                cells,
                value,
            } => {
                if let Some(undo) = undo {
                    undo.push(self.restore_counter(counter, cells));
                }
                let array = self.engine.counter_mut(counter);
                match cells {
                    Cells::One(cell) => array
                        .get_mut(cell)
                        .map(|cell| *cell = value)
                        .ok_or_else(|| Failure::out_of_range("The counter has no such cell"))?,
                    Cells::All => array.fill(value),
                }
            }
            Operation::Register {
                register,
                cells,
                value,
            } => {
                if let Some(undo) = undo {
                    undo.push(self.restore_register(register, cells));
                }
                for cell in self.register_cells(register, cells) {
                    self.engine.set_register(register, cell, &value)?;
                }
            }
            Operation::Multicast { group, change } => {
                let before = self.groups.get(&group).cloned();
                let after = changed("multicast group", group, before.is_some(), change)?;
                self.set_group(group, after);
                if let Some(undo) = undo {
                    undo.push(Undo::Multicast { group, before });
                }
            }
            Operation::Clone { session, change } => {
                let before = self.sessions.get(&session).cloned();
                let after = changed("clone session", session, before.is_some(), change)?;
                self.set_session(session, after);
                if let Some(undo) = undo {
                    undo.push(Undo::Clone { session, before });
                }
            }
            Operation::Nothing => {}
        }
        Ok(())
    }

    fn direct_counter(
        &mut self,
        table: TableIndex,
        row: Row,
        value: Option<p4_engine::CounterValue>,
        undo: Option<&mut Vec<Undo>>,
    ) -> Result<(), Failure> {
        match row {
            Row::Entry(key) => {
                let handle = self.find(table, &key)?;
                let Some(value) = value else { return Ok(()) };
                if let Some(undo) = undo {
                    undo.push(self.restore(table, key, handle)?);
                }
                self.engine.set_entry_counter(table, handle, value)?;
            }
            Row::Default => {
                let Some(value) = value else { return Ok(()) };
                if let Some(undo) = undo {
                    undo.push(self.restore_default(table));
                }
                self.engine.set_default_counter(table, value)?;
            }
        }
        Ok(())
    }

    fn find(&self, table: TableIndex, key: &Key) -> Result<EntryHandle, Failure> {
        self.engine
            .find(table, &key.parts, key.priority)?
            .ok_or_else(|| {
                let name = &self.engine.program().table_info(table).name;
                Failure::not_found(format!("Table {name} has no entry with this match"))
            })
    }

    fn set_extra(&mut self, table: TableIndex, handle: EntryHandle, extra: Extra) {
        if extra != Extra::default() {
            self.extras.insert((table, handle), extra);
        } else if !self.extras.is_empty() {
            self.extras.remove(&(table, handle));
        }
    }

    fn set_group(&mut self, id: u16, group: Option<Group>) {
        let replicas = group.as_ref().map_or(&[][..], |group| &group.replicas);
        self.engine
            .set_multicast_group(id, engine_replicas(replicas));
        match group {
            Some(group) => self.groups.insert(id, group),
            None => self.groups.remove(&id),
        };
    }

    fn set_session(&mut self, id: u16, session: Option<Session>) {
        match session {
            Some(session) => {
                self.engine.set_clone_session(
                    id,
                    CloneSession {
                        replicas: engine_replicas(&session.replicas),
                        multicast_group: None,
                        truncate: (session.length != 0).then_some(session.length),
                    },
                );
                self.sessions.insert(id, session);
            }
            None => {
                self.engine.remove_clone_session(id);
                self.sessions.remove(&id);
            }
        }
    }
}

fn engine_replicas(given: &[ReplicaSpec]) -> Vec<Replica> {
    given
        .iter()
        .map(|replica| Replica {
            port: replica.port,
            instance: replica.instance,
        })
        .collect()
}

/// What is there after a change of something that was or was not there before.
fn changed<T>(what: &str, id: u16, before: bool, change: Change<T>) -> Result<Option<T>, Failure> {
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
