//! Table entries with what belongs to them.

use p4_engine::{
    ActionCall, CounterValue, Entry, EntryAction, EntryHandle, MeterConfig, Prepared, TableIndex,
};

use super::{Device, Undo, as_call};
use crate::{
    failure::Failure,
    operation::{Beside, Extra, Key, Operation, Row, Way},
};

impl Device {
    pub(super) fn insert(
        &mut self,
        table: TableIndex,
        mut entry: Entry,
        beside: Option<Box<Beside>>,
    ) -> Result<EntryHandle, Failure> {
        let Some(beside) = beside else {
            self.check_style(table, &entry.action)?;
            let handle = self.engine.insert(table, entry)?;
            self.begin(table, handle)?;
            return Ok(handle);
        };
        let Beside {
            extra,
            counter,
            meter,
            set,
        } = *beside;
        let own = match set {
            Some(set) => {
                let own = self.make_set(table, set)?;
                entry.action = EntryAction::Group(own.group());
                Some(own)
            }
            None => {
                self.check_style(table, &entry.action)?;
                None
            }
        };
        let handle = match self.engine.insert(table, entry) {
            Ok(handle) => handle,
            Err(error) => {
                if let Some(own) = own {
                    self.drop_set(table, &own);
                }
                return Err(error.into());
            }
        };
        if let Some(own) = own {
            self.selectors.own(table, handle, own);
        }
        self.begin(table, handle)?;
        if let Some(counter) = counter {
            self.engine.set_entry_counter(table, handle, counter)?;
        }
        if meter.is_some() {
            self.engine.set_entry_meter(table, handle, meter)?;
        }
        self.set_extra(table, handle, extra);
        Ok(handle)
    }

    /// Writes an entry that comes packed; it has nothing beside it.
    pub(super) fn plain(
        &mut self,
        way: Way,
        entry: Prepared,
        undo: bool,
    ) -> Result<Option<Undo>, Failure> {
        let table = entry.table();
        let key = undo.then(|| Key {
            parts: entry.key(self.engine.program()),
            priority: entry.priority(),
        });
        if way == Way::Insert {
            let handle = self.engine.insert_prepared(entry)?;
            self.begin(table, handle)?;
            return Ok(key.map(|key| Undo::Operation(Operation::Delete { table, key })));
        }
        let found = self.engine.find_prepared(&entry)?;
        let handle = found.ok_or_else(|| self.no_entry(table))?;
        let back = match (key, way) {
            (None, _) => None,
            (Some(key), Way::Modify) => Some(self.restore(table, key, handle)),
            (Some(_), _) => Some(self.reinsert(table, handle)?),
        };
        if way == Way::Modify {
            self.engine.modify_prepared(handle, &entry)?;
            self.modify(table, handle, None, None)?;
        } else {
            self.delete(table, handle)?;
        }
        Ok(back)
    }

    /// An entry counts as hit when it is written.
    fn begin(&mut self, table: TableIndex, handle: EntryHandle) -> Result<(), Failure> {
        if self.engine.program().table_info(table).idle_timeout {
            self.engine.touch_entry(table, handle, self.idle.now_us())?;
        }
        Ok(())
    }

    pub(super) fn modify(
        &mut self,
        table: TableIndex,
        handle: EntryHandle,
        action: Option<EntryAction>,
        beside: Option<Box<Beside>>,
    ) -> Result<(), Failure> {
        let Beside {
            extra,
            counter,
            meter,
            set,
        } = beside.map(|beside| *beside).unwrap_or_default();
        match (set, action) {
            (Some(set), _) => {
                let own = self.make_set(table, set)?;
                let action = EntryAction::Group(own.group());
                if let Err(error) = self.engine.modify(table, handle, action) {
                    self.drop_set(table, &own);
                    return Err(error.into());
                }
                if let Some(before) = self.selectors.own(table, handle, own) {
                    self.drop_set(table, &before);
                }
            }
            (None, Some(action)) => {
                self.check_style(table, &action)?;
                self.engine.modify(table, handle, action)?;
            }
            (None, None) => {}
        }
        if let Some(counter) = counter {
            self.engine.set_entry_counter(table, handle, counter)?;
        }
        if self.metered(table) {
            self.engine.set_entry_meter(table, handle, meter)?;
        }
        self.set_extra(table, handle, extra);
        Ok(())
    }

    pub(super) fn delete(&mut self, table: TableIndex, handle: EntryHandle) -> Result<(), Failure> {
        self.engine.delete(table, handle)?;
        if !self.extras.is_empty() {
            self.extras.remove(&(table, handle));
        }
        if let Some(own) = self.selectors.disown(table, handle) {
            self.drop_set(table, &own);
        }
        Ok(())
    }

    pub(super) fn set_default(
        &mut self,
        table: TableIndex,
        call: Option<ActionCall>,
        beside: Option<Box<Beside>>,
    ) -> Result<(), Failure> {
        let Beside {
            extra,
            counter,
            meter,
            set: _,
        } = beside.map(|beside| *beside).unwrap_or_default();
        match call {
            Some(call) => self.engine.set_default(table, call)?,
            None => self.engine.reset_default(table)?,
        }
        if let Some(counter) = counter {
            self.engine.set_default_counter(table, counter)?;
        }
        if self.metered(table) {
            self.engine.set_default_meter(table, meter)?;
        }
        if extra == Extra::default() {
            self.default_extras.remove(&table);
        } else {
            self.default_extras.insert(table, extra);
        }
        Ok(())
    }

    pub(super) fn direct_counter(
        &mut self,
        table: TableIndex,
        row: Row,
        value: Option<CounterValue>,
        undo: bool,
    ) -> Result<Option<Undo>, Failure> {
        let before = match &row {
            Row::Entry(key) => {
                let handle = self.find(table, key)?;
                let before = self.engine.entry_counter(table, handle);
                if let Some(value) = value {
                    self.engine.set_entry_counter(table, handle, value)?;
                }
                before
            }
            Row::Default => {
                let before = self.engine.default_counter(table);
                if let Some(value) = value {
                    self.engine.set_default_counter(table, value)?;
                }
                before
            }
        };
        let value = Some(before);
        Ok(undo.then_some(Undo::Operation(Operation::DirectCounter {
            table,
            row,
            value,
        })))
    }

    pub(super) fn direct_meter(
        &mut self,
        table: TableIndex,
        row: Row,
        config: Option<MeterConfig>,
        undo: bool,
    ) -> Result<Option<Undo>, Failure> {
        let before = match &row {
            Row::Entry(key) => {
                let handle = self.find(table, key)?;
                let before = self.engine.entry_meter(table, handle);
                self.engine.set_entry_meter(table, handle, config)?;
                before
            }
            Row::Default => {
                let before = self.engine.default_meter(table);
                self.engine.set_default_meter(table, config)?;
                before
            }
        };
        let config = before;
        Ok(undo.then_some(Undo::Operation(Operation::DirectMeter {
            table,
            row,
            config,
        })))
    }

    fn set_extra(&mut self, table: TableIndex, handle: EntryHandle, extra: Extra) {
        self.idle.watch(table, handle, extra.idle_timeout_ns);
        if extra != Extra::default() {
            self.extras.insert((table, handle), extra);
        } else if !self.extras.is_empty() {
            self.extras.remove(&(table, handle));
        }
    }

    pub(super) fn counted(&self, table: TableIndex) -> bool {
        self.engine.program().table_info(table).counters
    }

    pub(super) fn metered(&self, table: TableIndex) -> bool {
        self.engine.program().table_info(table).meter.is_some()
    }

    /// What an entry has beside match and action, enough to make it anew.
    pub(super) fn beside(&self, table: TableIndex, handle: EntryHandle) -> Option<Box<Beside>> {
        let beside = Beside {
            extra: self
                .extras
                .get(&(table, handle))
                .cloned()
                .unwrap_or_default(),
            counter: self
                .counted(table)
                .then(|| self.engine.entry_counter(table, handle)),
            meter: self.engine.entry_meter(table, handle),
            set: self.selectors.set_of(table, handle).cloned(),
        };
        (beside != Beside::default()).then(|| Box::new(beside))
    }

    pub(super) fn restore(&self, table: TableIndex, key: Key, handle: EntryHandle) -> Undo {
        // Entries of const tables keep their action in any case.
        let fixed = self.engine.program().table_info(table).const_entries;
        let entry = self.engine.entry(table, handle).filter(|_| !fixed);
        Undo::Operation(Operation::Modify {
            table,
            key,
            action: entry.map(|entry| entry.action),
            beside: self.beside(table, handle),
        })
    }

    pub(super) fn reinsert(&self, table: TableIndex, handle: EntryHandle) -> Result<Undo, Failure> {
        let entry = self.engine.entry(table, handle);
        Ok(Undo::Operation(Operation::Insert {
            table,
            entry: entry.ok_or_else(|| Failure::not_found("The entry is gone"))?,
            beside: self.beside(table, handle),
        }))
    }

    pub(super) fn restore_default(&self, table: TableIndex) -> Undo {
        let beside = Beside {
            extra: self.default_extras.get(&table).cloned().unwrap_or_default(),
            counter: self
                .counted(table)
                .then(|| self.engine.default_counter(table)),
            meter: self.engine.default_meter(table),
            set: None,
        };
        Undo::Operation(Operation::Default {
            table,
            call: self.engine.default_action(table).and_then(as_call),
            beside: Some(Box::new(beside)),
        })
    }
}
