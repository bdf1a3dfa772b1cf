//! Taking a batch back.

use p4_engine::{
    ActionCall, CounterIndex, CounterValue, Entry, EntryAction, EntryHandle, RegisterIndex,
    TableIndex, Value,
};

use super::{Device, as_call};
use crate::{
    failure::Failure,
    operation::{Cells, Extra, Group, Key, Session},
};

/// What takes one operation back. Entries go by key: a handle does not outlive its entry.
#[derive(Debug)]
pub(crate) enum Undo {
    Delete {
        table: TableIndex,
        key: Key,
    },
    Insert {
        table: TableIndex,
        entry: Entry,
        extra: Option<Extra>,
        counter: CounterValue,
    },
    Modify {
        table: TableIndex,
        key: Key,
        action: EntryAction,
        extra: Option<Extra>,
        counter: CounterValue,
    },
    Default {
        table: TableIndex,
        call: Option<ActionCall>,
        extra: Option<Extra>,
        counter: CounterValue,
    },
    Counter {
        counter: CounterIndex,
        first: usize,
        values: Vec<CounterValue>,
    },
    Register {
        register: RegisterIndex,
        first: usize,
        values: Vec<Value>,
    },
    Multicast {
        group: u16,
        before: Option<Group>,
    },
    Clone {
        session: u16,
        before: Option<Session>,
    },
}

impl Device {
    /// Takes everything back, newest first.
    ///
    /// A step fails only if the engine refuses what it held a moment ago; the first such refusal is
    /// returned after all other steps were tried.
    pub(crate) fn roll_back(&mut self, undo: Vec<Undo>) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for step in undo.into_iter().rev() {
            let done = self.step_back(step);
            if outcome.is_ok() {
                outcome = done;
            }
        }
        outcome
    }

    fn step_back(&mut self, step: Undo) -> Result<(), Failure> {
        match step {
            Undo::Delete { table, key } => {
                let handle = self.find(table, &key)?;
                self.engine.delete(table, handle)?;
                self.extras.remove(&(table, handle));
            }
            Undo::Insert {
                table,
                entry,
                extra,
                counter,
            } => {
                let handle = self.engine.insert(table, entry)?;
                self.put_counter(table, handle, counter)?;
                self.set_extra(table, handle, extra.unwrap_or_default());
            }
            Undo::Modify {
                table,
                key,
                action,
                extra,
                counter,
            } => {
                let handle = self.find(table, &key)?;
                if self
                    .engine
                    .entry(table, handle)
                    .is_some_and(|entry| entry.action != action)
                {
                    self.engine.modify(table, handle, action)?;
                }
                self.put_counter(table, handle, counter)?;
                self.set_extra(table, handle, extra.unwrap_or_default());
            }
            Undo::Default {
                table,
                call,
                extra,
                counter,
            } => {
                match call {
                    Some(call) => self.engine.set_default(table, call)?,
                    None => self.engine.reset_default(table)?,
                }
                if self.counted(table) {
                    self.engine.set_default_counter(table, counter)?;
                }
                match extra {
                    Some(extra) => self.default_extras.insert(table, extra),
                    None => self.default_extras.remove(&table),
                };
            }
            Undo::Counter {
                counter,
                first,
                values,
            } => {
                let array = self.engine.counter_mut(counter).iter_mut().skip(first);
                for (cell, value) in array.zip(values) {
                    *cell = value;
                }
            }
            Undo::Register {
                register,
                first,
                values,
            } => {
                for (cell, value) in (first..).zip(&values) {
                    self.engine.set_register(register, cell, value)?;
                }
            }
            Undo::Multicast { group, before } => self.set_group(group, before),
            Undo::Clone { session, before } => self.set_session(session, before),
        }
        Ok(())
    }

    fn put_counter(
        &mut self,
        table: TableIndex,
        handle: EntryHandle,
        counter: CounterValue,
    ) -> Result<(), Failure> {
        if self.counted(table) {
            self.engine.set_entry_counter(table, handle, counter)?;
        }
        Ok(())
    }

    pub(super) fn counted(&self, table: TableIndex) -> bool {
        self.engine.program().table_info(table).counters
    }

    pub(super) fn restore(
        &self,
        table: TableIndex,
        key: Key,
        handle: EntryHandle,
    ) -> Result<Undo, Failure> {
        let entry = self.entry(table, handle)?;
        Ok(Undo::Modify {
            table,
            key,
            action: entry.action,
            extra: self.extras.get(&(table, handle)).cloned(),
            counter: self.engine.entry_counter(table, handle),
        })
    }

    pub(super) fn reinsert(&self, table: TableIndex, handle: EntryHandle) -> Result<Undo, Failure> {
        Ok(Undo::Insert {
            table,
            entry: self.entry(table, handle)?,
            extra: self.extras.get(&(table, handle)).cloned(),
            counter: self.engine.entry_counter(table, handle),
        })
    }

    fn entry(&self, table: TableIndex, handle: EntryHandle) -> Result<Entry, Failure> {
        self.engine
            .entry(table, handle)
            .ok_or_else(|| Failure::not_found("The entry is gone"))
    }

    pub(super) fn restore_default(&self, table: TableIndex) -> Undo {
        Undo::Default {
            table,
            call: self.engine.default_action(table).and_then(as_call),
            extra: self.default_extras.get(&table).cloned(),
            counter: self.engine.default_counter(table),
        }
    }

    pub(super) fn restore_counter(&self, counter: CounterIndex, cells: Cells) -> Undo {
        let array = self.engine.counter(counter);
        let (first, values) = match cells {
            Cells::One(cell) => (cell, array.get(cell).into_iter().copied().collect()),
            Cells::All => (0, array.to_vec()),
        };
        Undo::Counter {
            counter,
            first,
            values,
        }
    }

    pub(super) fn restore_register(&self, register: RegisterIndex, cells: Cells) -> Undo {
        let range = self.register_cells(register, cells);
        let first = range.start;
        let values = range
            .filter_map(|cell| self.engine.register(register, cell))
            .collect();
        Undo::Register {
            register,
            first,
            values,
        }
    }

    pub(super) fn register_cells(
        &self,
        register: RegisterIndex,
        cells: Cells,
    ) -> std::ops::Range<usize> {
        match cells {
            Cells::One(cell) => cell..cell + 1,
            Cells::All => 0..self.engine.program().registers()[register.position()].size,
        }
    }
}
