//! Control operations. Each either happens as a whole or changes nothing.

use super::Engine;
use crate::counter::CounterValue;
use crate::entry::{ActionCall, Entry, EntryAction, EntryHandle, KeyPart, ProfileGroup};
use crate::error::ControlError;
use crate::key;
use crate::meter::{Meter, MeterConfig};
use crate::program::{
    CounterIndex, MeterIndex, ProfileIndex, RegisterIndex, TableIndex, TableInfo, TableSource,
    ValueSetIndex,
};
use crate::replicate::{CloneSession, Replica};
use crate::state::{self, BoundAction, Group, Member, RowAction};
use crate::value::Value;

/// Members that one group may have, weights counted.
const MAX_SPREAD: usize = 1 << 16;

impl Engine {
    /// Adds an entry.
    ///
    /// # Errors
    /// `Exists`, `Full`, `Const`, or what is wrong with key, priority, action or arguments.
    pub fn insert(&mut self, table: TableIndex, entry: Entry) -> Result<EntryHandle, ControlError> {
        let info = self.writable(table)?;
        if self.state.tables[table.position()].rows.len() >= info.max_size {
            let (what, size) = (format!("Table {}", info.name), info.max_size);
            return Err(ControlError::Full { what, size });
        }
        self.put(table, entry)
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
        let state = &mut self.state.tables[table.position()];
        if state.rows.find(&packed, entry.priority).is_some() {
            return Err(ControlError::Exists {
                table: info.name.clone(),
            });
        }
        let row = state.rows.insert(packed, entry.priority, word, &args);
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
        let rows = &self.state.tables[table.position()].rows;
        rows.rows()
            .map(move |row| (rows.handle(row), self.entry_of(table, row)))
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

    /// All cells of a counter array (none of a direct counter).
    #[must_use]
    pub fn counter(&self, counter: CounterIndex) -> &[CounterValue] {
        &self.state.counters[counter.position()]
    }

    /// All cells of a counter array, to write.
    pub fn counter_mut(&mut self, counter: CounterIndex) -> &mut [CounterValue] {
        &mut self.state.counters[counter.position()]
    }

    /// One cell of a register array; `None` beyond its size.
    #[must_use]
    pub fn register(&self, register: RegisterIndex, cell: usize) -> Option<Value> {
        let array = &self.state.registers[register.position()];
        let limbs = array
            .cells
            .get(cell * array.limbs..(cell + 1) * array.limbs)?;
        Some(Value::from_limbs(limbs))
    }

    /// Writes one cell of a register array.
    ///
    /// # Errors
    /// `NotFound` beyond its size, `TooWide`.
    pub fn set_register(
        &mut self,
        register: RegisterIndex,
        cell: usize,
        value: &Value,
    ) -> Result<(), ControlError> {
        let info = &self.program.registers()[register.position()];
        let what = format!("Register {}[{cell}]", info.name);
        check_width(&what, info.bits, value)?;
        let array = &mut self.state.registers[register.position()];
        if cell >= array.size {
            return Err(ControlError::NotFound { what });
        }
        let room = &mut array.cells[cell * array.limbs..(cell + 1) * array.limbs];
        for (at, limb) in room.iter_mut().enumerate() {
            *limb = value.limb(at);
        }
        Ok(())
    }

    /// Zeroes a register array.
    pub fn reset_register(&mut self, register: RegisterIndex) {
        self.state.registers[register.position()].cells.fill(0);
    }

    /// Configuration of one cell of a meter array; `None` if it has none.
    #[must_use]
    pub fn meter(&self, meter: MeterIndex, cell: usize) -> Option<MeterConfig> {
        self.state.meters[meter.position()]
            .get(cell)
            .and_then(Meter::config)
    }

    /// Configures one cell of a meter array; `None` makes all packets green.
    ///
    /// # Errors
    /// `NotFound` beyond its size, or a peak rate below the committed rate.
    pub fn set_meter(
        &mut self,
        meter: MeterIndex,
        cell: usize,
        config: Option<MeterConfig>,
    ) -> Result<(), ControlError> {
        check_meter(config)?;
        let what = || {
            format!(
                "Meter {}[{cell}]",
                self.program.meters()[meter.position()].name
            )
        };
        let cells = &mut self.state.meters[meter.position()];
        let found = cells
            .get_mut(cell)
            .ok_or_else(|| ControlError::NotFound { what: what() })?;
        found.configure(config);
        Ok(())
    }

    /// Configuration of the direct meter of an entry.
    #[must_use]
    pub fn entry_meter(&self, table: TableIndex, handle: EntryHandle) -> Option<MeterConfig> {
        let state = &self.state.tables[table.position()];
        let row = state.rows.row(handle)?;
        state.meters.get(row as usize).and_then(Meter::config)
    }

    /// Configures the direct meter of an entry.
    ///
    /// # Errors
    /// `NotFound`, a table without direct meter, or a peak rate below the committed rate.
    pub fn set_entry_meter(
        &mut self,
        table: TableIndex,
        handle: EntryHandle,
        config: Option<MeterConfig>,
    ) -> Result<(), ControlError> {
        check_meter(config)?;
        let row = self.row(table, handle)?;
        let name = &self.program.table_info(table).name;
        let meters = &mut self.state.tables[table.position()].meters;
        let meter = meters
            .get_mut(row as usize)
            .ok_or_else(|| ControlError::Invalid {
                what: format!("Table {name} has no direct meter"),
            })?;
        meter.configure(config);
        Ok(())
    }

    /// Sets or replaces a clone session (`mirroring_add` of bmv2).
    pub fn set_clone_session(&mut self, session: u16, config: CloneSession) {
        self.state.sessions.insert(session, config);
    }

    /// Removes a clone session; true if it was there.
    pub fn remove_clone_session(&mut self, session: u16) -> bool {
        self.state.sessions.remove(&session).is_some()
    }

    /// A clone session.
    #[must_use]
    pub fn clone_session(&self, session: u16) -> Option<&CloneSession> {
        self.state.sessions.get(&session)
    }

    /// Sets or replaces a multicast group; no replica removes it.
    pub fn set_multicast_group(&mut self, group: u16, replicas: Vec<Replica>) {
        if replicas.is_empty() {
            self.state.groups.remove(&group);
        } else {
            self.state.groups.insert(group, replicas);
        }
    }

    /// The replicas of a multicast group.
    #[must_use]
    pub fn multicast_group(&self, group: u16) -> &[Replica] {
        self.state.groups.get(&group).map_or(&[], Vec::as_slice)
    }

    /// Adds or replaces a member of an action profile.
    ///
    /// # Errors
    /// `Full`, or what is wrong with the action.
    pub fn set_member(
        &mut self,
        profile: ProfileIndex,
        member: u32,
        call: ActionCall,
    ) -> Result<(), ControlError> {
        let info = &self.program.profiles()[profile.position()];
        let own = |table: &&TableInfo| profile_of(table) == Some(profile);
        let table = self.program.tables().iter().find(own);
        let table = table.ok_or_else(|| ControlError::Invalid {
            what: format!("No table uses profile {}", info.name),
        })?;
        self.check_call(table, &call)?;
        let args = state::spread_args(&self.program, &call);
        let state = &mut self.state.profiles[profile.position()];
        if !state.members.contains_key(&member) && state.members.len() >= info.max_size {
            let what = format!("Profile {}", info.name);
            return Err(ControlError::Full {
                what,
                size: info.max_size,
            });
        }
        state.members.insert(member, Member { call, args });
        Ok(())
    }

    /// A member of an action profile.
    #[must_use]
    pub fn member(&self, profile: ProfileIndex, member: u32) -> Option<&ActionCall> {
        self.state.profiles[profile.position()]
            .members
            .get(&member)
            .map(|member| &member.call)
    }

    /// All members of an action profile, by id.
    pub fn members(&self, profile: ProfileIndex) -> impl Iterator<Item = (u32, &ActionCall)> {
        let members = self.state.profiles[profile.position()].members.iter();
        members.map(|(id, member)| (*id, &member.call))
    }

    /// Removes a member.
    ///
    /// # Errors
    /// `NotFound`, or `InUse` by an entry or a group.
    pub fn remove_member(
        &mut self,
        profile: ProfileIndex,
        member: u32,
    ) -> Result<(), ControlError> {
        let name = &self.program.profiles()[profile.position()].name;
        let what = format!("Member {member} of profile {name}");
        let state = &self.state.profiles[profile.position()];
        if !state.members.contains_key(&member) {
            return Err(ControlError::NotFound { what });
        }
        let grouped = state
            .groups
            .values()
            .any(|group| group.spread.contains(&member));
        if grouped || self.referred(profile, RowAction::Member(member)) {
            return Err(ControlError::InUse { what });
        }
        self.state.profiles[profile.position()]
            .members
            .remove(&member);
        Ok(())
    }

    /// Adds or replaces a group of an action selector.
    ///
    /// # Errors
    /// `NotFound` for a missing member, or the profile has no selector.
    pub fn set_group(
        &mut self,
        profile: ProfileIndex,
        group: u32,
        members: ProfileGroup,
    ) -> Result<(), ControlError> {
        let info = &self.program.profiles()[profile.position()];
        if !info.selector {
            let what = format!("Profile {} has no selector", info.name);
            return Err(ControlError::Invalid { what });
        }
        let state = &mut self.state.profiles[profile.position()];
        let mut spread = Vec::new();
        for one in &members.members {
            if !state.members.contains_key(&one.member) {
                let what = format!("Member {} of profile {}", one.member, info.name);
                return Err(ControlError::NotFound { what });
            }
            let weight = usize::try_from(one.weight).unwrap_or(usize::MAX);
            if one.weight == 0 || weight > MAX_SPREAD - spread.len() {
                let what = format!("Weights of group {group} are zero or exceed {MAX_SPREAD}");
                return Err(ControlError::Invalid { what });
            }
            spread.extend(std::iter::repeat_n(one.member, weight));
        }
        state.groups.insert(
            group,
            Group {
                config: members,
                spread,
            },
        );
        Ok(())
    }

    /// A group of an action selector.
    #[must_use]
    pub fn group(&self, profile: ProfileIndex, group: u32) -> Option<&ProfileGroup> {
        self.state.profiles[profile.position()]
            .groups
            .get(&group)
            .map(|group| &group.config)
    }

    /// All groups of an action selector, by id.
    pub fn groups(&self, profile: ProfileIndex) -> impl Iterator<Item = (u32, &ProfileGroup)> {
        let groups = self.state.profiles[profile.position()].groups.iter();
        groups.map(|(id, group)| (*id, &group.config))
    }

    /// Removes a group.
    ///
    /// # Errors
    /// `NotFound`, or `InUse` by an entry.
    pub fn remove_group(&mut self, profile: ProfileIndex, group: u32) -> Result<(), ControlError> {
        let name = &self.program.profiles()[profile.position()].name;
        let what = format!("Group {group} of profile {name}");
        if !self.state.profiles[profile.position()]
            .groups
            .contains_key(&group)
        {
            return Err(ControlError::NotFound { what });
        }
        if self.referred(profile, RowAction::Group(group)) {
            return Err(ControlError::InUse { what });
        }
        self.state.profiles[profile.position()]
            .groups
            .remove(&group);
        Ok(())
    }

    /// Replaces the members of a parser value set.
    ///
    /// # Errors
    /// `TooWide`.
    pub fn set_value_set(
        &mut self,
        set: ValueSetIndex,
        values: Vec<Value>,
    ) -> Result<(), ControlError> {
        let info = &self.program.value_sets()[set.position()];
        let what = format!("Value set {}", info.name);
        values
            .iter()
            .try_for_each(|value| check_width(&what, info.bits, value))?;
        self.state.value_sets[set.position()] = values;
        Ok(())
    }

    /// The members of a parser value set.
    #[must_use]
    pub fn value_set(&self, set: ValueSetIndex) -> &[Value] {
        &self.state.value_sets[set.position()]
    }

    fn entry_of(&self, table: TableIndex, row: u32) -> Entry {
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
    fn bind(
        &self,
        table: TableIndex,
        action: &EntryAction,
    ) -> Result<(u64, Vec<u64>), ControlError> {
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
                    .then(|| (RowAction::Member(*id).word(), Vec::new()))
                    .ok_or_else(|| ControlError::NotFound { what: what() })
            }
            (EntryAction::Group(id), TableSource::Selector(profile)) => {
                let known = self.state.profiles[profile.position()]
                    .groups
                    .contains_key(id);
                let what = || format!("Group {id} of the selector of table {}", info.name);
                known
                    .then(|| (RowAction::Group(*id).word(), Vec::new()))
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
    fn check_call(&self, info: &TableInfo, call: &ActionCall) -> Result<usize, ControlError> {
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

    fn writable(&self, table: TableIndex) -> Result<&TableInfo, ControlError> {
        let info = self.program.table_info(table);
        if info.const_entries {
            return Err(ControlError::Const {
                what: format!("Table {}", info.name),
            });
        }
        Ok(info)
    }

    fn default_writable(&self, table: TableIndex) -> Result<(), ControlError> {
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

    fn counted(&self, table: TableIndex) -> Result<(), ControlError> {
        let info = self.program.table_info(table);
        if info.counters {
            return Ok(());
        }
        Err(ControlError::Invalid {
            what: format!("Table {} has no direct counters", info.name),
        })
    }

    fn row(&self, table: TableIndex, handle: EntryHandle) -> Result<u32, ControlError> {
        let found = self.state.tables[table.position()].rows.row(handle);
        found.ok_or_else(|| ControlError::NotFound {
            what: format!("Entry of table {}", self.program.table_info(table).name),
        })
    }

    /// True if an entry names this member or group.
    fn referred(&self, profile: ProfileIndex, action: RowAction) -> bool {
        let tables = self.program.tables().iter().zip(&self.state.tables);
        let mut own = tables.filter(|(info, _)| profile_of(info) == Some(profile));
        own.any(|(_, state)| {
            state
                .rows
                .rows()
                .any(|row| RowAction::of(state.rows.action(row).0) == action)
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

fn check_meter(config: Option<MeterConfig>) -> Result<(), ControlError> {
    if config.is_some_and(|config| config.committed_rate > config.peak_rate) {
        let what = "A meter's peak rate is below its committed rate".to_owned();
        return Err(ControlError::Invalid { what });
    }
    Ok(())
}
