//! Control operations. Each either happens as a whole or changes nothing.

mod arrays;
mod prepared;
mod profiles;

use super::Engine;
use crate::counter::CounterValue;
use crate::entry::{ActionCall, Entry, EntryAction, EntryHandle, KeyPart};
use crate::error::ControlError;
use crate::key::{self, Packed};
use crate::meter::Meter;
use crate::program::{ProfileIndex, TableIndex, TableInfo, TableSource};
use crate::state::{self, Args, BoundAction, RowAction};
use crate::value::Value;

impl Engine {
    /// Adds an entry.
    ///
    /// # Errors
    /// `Exists`, `Full`, `Const`, or what is wrong with key, priority, action or arguments.
    pub fn insert(&mut self, table: TableIndex, entry: Entry) -> Result<EntryHandle, ControlError> {
        self.room(table)?;
        self.put(table, entry)
    }

    /// Refuses where no entry can be added.
    fn room(&self, table: TableIndex) -> Result<(), ControlError> {
        let info = self.writable(table)?;
        if self.state.tables[table.position()].rows.len() >= info.max_size {
            let (what, size) = (format!("Table {}", info.name), info.max_size);
            return Err(ControlError::Full { what, size });
        }
        Ok(())
    }

    /// Adds an entry to any table, const ones included.
    pub(super) fn put(
        &mut self,
        table: TableIndex,
        entry: Entry,
    ) -> Result<EntryHandle, ControlError> {
        let info = self.program.table_info(table);
        if info.fields.is_empty() {
            return Err(ControlError::Invalid {
                what: format!("Table {} has no key, only a default action", info.name),
            });
        }
        check_priority(info, entry.priority)?;
        let packed = key::pack(info, self.program.key_layout(table), &entry.key)?;
        let (word, args) = self.bind(table, &entry.action)?;
        self.add(table, packed, entry.priority, (word, &args))
    }

    fn add(
        &mut self,
        table: TableIndex,
        packed: Packed,
        priority: i32,
        (word, args): (u64, &[u64]),
    ) -> Result<EntryHandle, ControlError> {
        let info = self.program.table_info(table);
        let state = &mut self.state.tables[table.position()];
        let row = state.rows.insert(packed, priority, word, args);
        let row = row.ok_or_else(|| ControlError::Exists {
            table: info.name.clone(),
        })?;
        self.state.growing = true;
        let state = &mut self.state.tables[table.position()];
        if info.meter.is_some() {
            let at = row as usize;
            state
                .meters
                .resize(state.meters.len().max(at + 1), Meter::default());
            state.meters[at] = Meter::default();
        }
        Ok(state.rows.handle(row))
    }

    /// Changes what an entry does; its counter stays.
    ///
    /// # Errors
    /// `NotFound`, `Const`, or what is wrong with the action.
    pub fn modify(
        &mut self,
        table: TableIndex,
        handle: EntryHandle,
        action: EntryAction,
    ) -> Result<(), ControlError> {
        self.writable(table)?;
        let row = self.row(table, handle)?;
        let (word, args) = self.bind(table, &action)?;
        self.state.tables[table.position()]
            .rows
            .set_action(row, word, &args);
        Ok(())
    }

    /// Takes an entry out.
    ///
    /// # Errors
    /// `NotFound` or `Const`.
    pub fn delete(&mut self, table: TableIndex, handle: EntryHandle) -> Result<(), ControlError> {
        self.writable(table)?;
        let row = self.row(table, handle)?;
        self.state.tables[table.position()].rows.remove(row);
        self.state.growing = true;
        Ok(())
    }

    /// The entry with exactly this match (and priority, where the table needs one).
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn find(
        &self,
        table: TableIndex,
        key: &[KeyPart],
        priority: i32,
    ) -> Result<Option<EntryHandle>, ControlError> {
        let info = self.program.table_info(table);
        let packed = key::pack(info, self.program.key_layout(table), key)?;
        let rows = &self.state.tables[table.position()].rows;
        let priority = if info.needs_priority { priority } else { 0 };
        Ok(rows.find(&packed, priority).map(|row| rows.handle(row)))
    }

    /// The entry behind a handle.
    #[must_use]
    pub fn entry(&self, table: TableIndex, handle: EntryHandle) -> Option<Entry> {
        let row = self.state.tables[table.position()].rows.row(handle)?;
        Some(self.entry_of(table, row))
    }

    /// All entries of a table, in the order of their rows.
    pub fn entries(&self, table: TableIndex) -> impl Iterator<Item = (EntryHandle, Entry)> + '_ {
        self.entries_at(table, 0..self.places(table))
    }

    /// The entries at some of a table's places, for who reads a large table bit by bit. An entry keeps
    /// its place while it is there; there are [`Engine::places`] of them.
    pub fn entries_at(
        &self,
        table: TableIndex,
        places: std::ops::Range<usize>,
    ) -> impl Iterator<Item = (EntryHandle, Entry)> + '_ {
        let rows = &self.state.tables[table.position()].rows;
        rows.rows_at(places)
            .map(move |row| (rows.handle(row), self.entry_of(table, row)))
    }

    /// Places for entries that a table has had use for so far.
    #[must_use]
    pub fn places(&self, table: TableIndex) -> usize {
        self.state.tables[table.position()].rows.places()
    }

    /// How many entries a table has.
    #[must_use]
    pub fn entry_count(&self, table: TableIndex) -> usize {
        self.state.tables[table.position()].rows.len()
    }

    /// The default action now; `None` if the table has none.
    #[must_use]
    pub fn default_action(&self, table: TableIndex) -> Option<EntryAction> {
        let default = self.state.tables[table.position()].default.as_ref();
        default.map(|default| default.call(&self.program))
    }

    /// Sets the default action.
    ///
    /// # Errors
    /// `Const`, or what is wrong with the action.
    pub fn set_default(&mut self, table: TableIndex, call: ActionCall) -> Result<(), ControlError> {
        self.default_writable(table)?;
        let local = self.check_call(self.program.table_info(table), &call)?;
        let args = state::spread_args(&self.program, &call);
        let bound = BoundAction {
            action: call.action,
            local,
            args,
        };
        self.state.tables[table.position()].default = Some(bound);
        Ok(())
    }

    /// Puts the default action of the program back.
    ///
    /// # Errors
    /// `Const`.
    pub fn reset_default(&mut self, table: TableIndex) -> Result<(), ControlError> {
        self.default_writable(table)?;
        let declared = self.program.table_info(table).default.as_ref();
        let bound = match declared.map(|default| default.call.clone()) {
            None => None,
            Some(call) => {
                let local = self.check_call(self.program.table_info(table), &call)?;
                let args = state::spread_args(&self.program, &call);
                Some(BoundAction {
                    action: call.action,
                    local,
                    args,
                })
            }
        };
        self.state.tables[table.position()].default = bound;
        Ok(())
    }

    /// The direct counter of an entry; zero if the table has none or the entry is gone.
    #[must_use]
    pub fn entry_counter(&self, table: TableIndex, handle: EntryHandle) -> CounterValue {
        let rows = &self.state.tables[table.position()].rows;
        rows.row(handle)
            .map(|row| rows.counter(row))
            .unwrap_or_default()
    }

    /// Writes the direct counter of an entry.
    ///
    /// # Errors
    /// `NotFound`, or the table has no direct counters.
    pub fn set_entry_counter(
        &mut self,
        table: TableIndex,
        handle: EntryHandle,
        value: CounterValue,
    ) -> Result<(), ControlError> {
        self.counted(table)?;
        let row = self.row(table, handle)?;
        self.state.tables[table.position()]
            .rows
            .set_counter(row, value);
        Ok(())
    }

    /// When an entry was last hit or touched, in microseconds of the clock that packets come with:
    /// what idle timeouts (P4Runtime clause 9.1.7) are judged by. `None` if the entry is gone or the
    /// program asks for no idle timeouts of this table.
    #[must_use]
    pub fn entry_last_hit(&self, table: TableIndex, handle: EntryHandle) -> Option<u64> {
        let rows = &self.state.tables[table.position()].rows;
        rows.row(handle).and_then(|row| rows.seen(row))
    }

    /// Says that an entry was in use at this time, as when it is written: a new entry has the time
    /// zero.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn touch_entry(
        &mut self,
        table: TableIndex,
        handle: EntryHandle,
        now_us: u64,
    ) -> Result<(), ControlError> {
        let row = self.row(table, handle)?;
        self.state.tables[table.position()].rows.touch(row, now_us);
        Ok(())
    }

    /// The direct counter of the default action: packets that missed.
    #[must_use]
    pub fn default_counter(&self, table: TableIndex) -> CounterValue {
        self.state.tables[table.position()].default_counter
    }

    /// Writes the direct counter of the default action.
    ///
    /// # Errors
    /// The table has no direct counters.
    pub fn set_default_counter(
        &mut self,
        table: TableIndex,
        value: CounterValue,
    ) -> Result<(), ControlError> {
        self.counted(table)?;
        self.state.tables[table.position()].default_counter = value;
        Ok(())
    }

    pub(super) fn entry_of(&self, table: TableIndex, row: u32) -> Entry {
        let info = self.program.table_info(table);
        let rows = &self.state.tables[table.position()].rows;
        let (value, mask, ranges) = rows.parts(row);
        let (word, args) = rows.action(row);
        let action = match RowAction::of(word) {
            RowAction::Call(local) => {
                let action = info.actions[local];
                let args = state::gather_args(&self.program, action, args);
                EntryAction::Call(ActionCall { action, args })
            }
            RowAction::Member(id) => EntryAction::Member(id),
            RowAction::Group(id) => EntryAction::Group(id),
        };
        Entry {
            key: key::unpack(info, self.program.key_layout(table), value, mask, ranges),
            priority: rows.priority(row),
            action,
        }
    }

    /// The word and the arguments of a row that does this.
    pub(super) fn bind(
        &self,
        table: TableIndex,
        action: &EntryAction,
    ) -> Result<(u64, Args), ControlError> {
        let info = self.program.table_info(table);
        match (action, info.source) {
            (EntryAction::Call(call), TableSource::Direct) => {
                let local = self.check_call(info, call)?;
                Ok((
                    RowAction::Call(local).word(),
                    state::spread_args(&self.program, call),
                ))
            }
            (
                EntryAction::Member(id),
                TableSource::Profile(profile) | TableSource::Selector(profile),
            ) => {
                let known = self.state.profiles[profile.position()]
                    .members
                    .contains_key(id);
                let what = || format!("Member {id} of the profile of table {}", info.name);
                known
                    .then(|| (RowAction::Member(*id).word(), Args::new()))
                    .ok_or_else(|| ControlError::NotFound { what: what() })
            }
            (EntryAction::Group(id), TableSource::Selector(profile)) => {
                let known = self.state.profiles[profile.position()]
                    .groups
                    .contains_key(id);
                let what = || format!("Group {id} of the selector of table {}", info.name);
                known
                    .then(|| (RowAction::Group(*id).word(), Args::new()))
                    .ok_or_else(|| ControlError::NotFound { what: what() })
            }
            (EntryAction::Call(_), _) => Err(ControlError::Invalid {
                what: format!(
                    "Table {} takes members of its profile, not actions",
                    info.name
                ),
            }),
            (EntryAction::Member(_) | EntryAction::Group(_), _) => Err(ControlError::Invalid {
                what: format!(
                    "Table {} takes no profile members or groups of that kind",
                    info.name
                ),
            }),
        }
    }

    /// Position of the call's action among the table's own.
    pub(super) fn check_call(
        &self,
        info: &TableInfo,
        call: &ActionCall,
    ) -> Result<usize, ControlError> {
        let local = state::local(info, call.action).ok_or_else(|| {
            let name = self.program.actions().get(call.action.position());
            let name = name.map_or_else(
                || call.action.position().to_string(),
                |one| one.name.clone(),
            );
            ControlError::Invalid {
                what: format!("Table {} has no action {name}", info.name),
            }
        })?;
        let action = self.program.action_info(call.action);
        if action.params.len() != call.args.len() {
            return Err(ControlError::Invalid {
                what: format!(
                    "Action {} takes {} arguments, not {}",
                    action.name,
                    action.params.len(),
                    call.args.len()
                ),
            });
        }
        for (param, arg) in action.params.iter().zip(&call.args) {
            let what = format!("Parameter {} of {}", param.name, action.name);
            check_width(&what, param.bits, arg)?;
        }
        Ok(local)
    }

    pub(super) fn writable(&self, table: TableIndex) -> Result<&TableInfo, ControlError> {
        let info = self.program.table_info(table);
        if info.const_entries {
            return Err(ControlError::Const {
                what: format!("Table {}", info.name),
            });
        }
        Ok(info)
    }

    pub(super) fn default_writable(&self, table: TableIndex) -> Result<(), ControlError> {
        let info = self.program.table_info(table);
        if info
            .default
            .as_ref()
            .is_some_and(|default| default.is_const)
        {
            let what = format!("The default action of table {}", info.name);
            return Err(ControlError::Const { what });
        }
        Ok(())
    }

    pub(super) fn counted(&self, table: TableIndex) -> Result<(), ControlError> {
        let info = self.program.table_info(table);
        if info.counters {
            return Ok(());
        }
        Err(ControlError::Invalid {
            what: format!("Table {} has no direct counters", info.name),
        })
    }

    pub(super) fn row(&self, table: TableIndex, handle: EntryHandle) -> Result<u32, ControlError> {
        let found = self.state.tables[table.position()].rows.row(handle);
        found.ok_or_else(|| ControlError::NotFound {
            what: format!("Entry of table {}", self.program.table_info(table).name),
        })
    }
}

fn profile_of(info: &TableInfo) -> Option<ProfileIndex> {
    match info.source {
        TableSource::Direct => None,
        TableSource::Profile(profile) | TableSource::Selector(profile) => Some(profile),
    }
}

fn check_priority(info: &TableInfo, priority: i32) -> Result<(), ControlError> {
    // P4Runtime clause 9.1.1: positive where the table needs one, else zero.
    let right = if info.needs_priority {
        priority > 0
    } else {
        priority == 0
    };
    if right {
        return Ok(());
    }
    let need = if info.needs_priority {
        "a priority above zero"
    } else {
        "no priority"
    };
    Err(ControlError::Invalid {
        what: format!("Table {} takes {need}", info.name),
    })
}

fn check_width(what: &str, bits: usize, value: &Value) -> Result<(), ControlError> {
    if value.bit_len() > bits {
        let (what, have) = (what.to_owned(), value.bit_len());
        return Err(ControlError::TooWide { what, bits, have });
    }
    Ok(())
}
