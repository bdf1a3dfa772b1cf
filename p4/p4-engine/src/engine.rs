//! The engine: one program, its tables and state, packets through it.

use std::sync::Arc;

use crate::counter::CounterValue;
use crate::entry::{ActionCall, Entry, EntryAction, EntryHandle, KeyPart, ProfileGroup};
use crate::error::ControlError;
use crate::output::Outputs;
use crate::program::{
    CounterIndex, ProfileIndex, Program, RegisterIndex, TableIndex, ValueSetIndex,
};
use crate::replicate::{CloneSession, Replica};
use crate::trace::Trace;
use crate::value::Value;

/// Settings of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The port that means drop; 511 as in bmv2 unless set otherwise.
    pub drop_port: u16,
    /// Seed of the generator behind `random`.
    pub seed: u64,
    /// How often one packet may go through ingress or egress in all, copies included.
    pub max_passes: u32,
    /// How many operations one pass may run before the packet is dropped.
    pub max_steps: u32,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            drop_port: 511,
            seed: 0x6d61_7267_6179,
            max_passes: 256,
            max_steps: 1 << 20,
        }
    }
}

/// One program with its entries and state. Owned by one thread.
#[derive(Debug)]
pub struct Engine {
    program: Arc<Program>,
    config: EngineConfig,
}

impl Engine {
    /// An engine with the program's const and initial entries and default actions in place.
    #[must_use]
    pub fn new(program: Arc<Program>, config: EngineConfig) -> Self {
        Self { program, config }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Takes one packet through the program; what it causes is appended to `out`.
    ///
    /// `now_us` is the time in microseconds on any clock that starts near zero and does not go back.
    pub fn process(&mut self, port: u16, packet: &[u8], now_us: u64, out: &mut Outputs) {
        let _ = (port, packet, now_us, out);
    }

    /// As [`Engine::process`], and writes down each step.
    pub fn process_traced(
        &mut self,
        port: u16,
        packet: &[u8],
        now_us: u64,
        out: &mut Outputs,
        trace: &mut Trace,
    ) {
        let _ = trace;
        self.process(port, packet, now_us, out);
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// `Exists`, `Full`, `Const`, or what is wrong with key, priority, action or arguments.
    pub fn insert(&mut self, table: TableIndex, entry: Entry) -> Result<EntryHandle, ControlError> {
        let _ = entry;
        Err(self.no_entry(table))
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
        let _ = (handle, action);
        Err(self.no_entry(table))
    }

    /// Takes an entry out.
    ///
    /// # Errors
    /// `NotFound` or `Const`.
    pub fn delete(&mut self, table: TableIndex, handle: EntryHandle) -> Result<(), ControlError> {
        let _ = handle;
        Err(self.no_entry(table))
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
        let _ = (table, key, priority);
        Ok(None)
    }

    /// The entry behind a handle.
    #[must_use]
    pub fn entry(&self, table: TableIndex, handle: EntryHandle) -> Option<Entry> {
        let _ = (table, handle);
        None
    }

    /// All entries of a table, in the order of their rows.
    pub fn entries(&self, table: TableIndex) -> impl Iterator<Item = (EntryHandle, Entry)> + '_ {
        let _ = table;
        std::iter::empty()
    }

    /// How many entries a table has.
    #[must_use]
    pub fn entry_count(&self, table: TableIndex) -> usize {
        let _ = table;
        0
    }

    /// The default action now; `None` if the table has none.
    #[must_use]
    pub fn default_action(&self, table: TableIndex) -> Option<EntryAction> {
        let _ = table;
        None
    }

    /// Sets the default action.
    ///
    /// # Errors
    /// `Const`, or what is wrong with the action.
    pub fn set_default(&mut self, table: TableIndex, call: ActionCall) -> Result<(), ControlError> {
        let _ = call;
        Err(self.no_entry(table))
    }

    /// Puts the default action of the program back.
    ///
    /// # Errors
    /// `Const`.
    pub fn reset_default(&mut self, table: TableIndex) -> Result<(), ControlError> {
        Err(self.no_entry(table))
    }

    /// The direct counter of an entry; zero if the table has none or the entry is gone.
    #[must_use]
    pub fn entry_counter(&self, table: TableIndex, handle: EntryHandle) -> CounterValue {
        let _ = (table, handle);
        CounterValue::default()
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
        let _ = (handle, value);
        Err(self.no_entry(table))
    }

    /// The direct counter of the default action: packets that missed.
    #[must_use]
    pub fn default_counter(&self, table: TableIndex) -> CounterValue {
        let _ = table;
        CounterValue::default()
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
        let _ = value;
        Err(self.no_entry(table))
    }

    /// All cells of a counter array (not of a direct counter).
    #[must_use]
    pub fn counter(&self, counter: CounterIndex) -> &[CounterValue] {
        let _ = counter;
        &[]
    }

    /// All cells of a counter array, to write.
    pub fn counter_mut(&mut self, counter: CounterIndex) -> &mut [CounterValue] {
        let _ = counter;
        &mut []
    }

    /// One cell of a register array; `None` beyond its size.
    #[must_use]
    pub fn register(&self, register: RegisterIndex, cell: usize) -> Option<Value> {
        let _ = (register, cell);
        None
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
        let _ = (register, cell, value);
        Ok(())
    }

    /// Zeroes a register array.
    pub fn reset_register(&mut self, register: RegisterIndex) {
        let _ = register;
    }

    /// Sets or replaces a clone session (`mirroring_add` of bmv2).
    pub fn set_clone_session(&mut self, session: u16, config: CloneSession) {
        let _ = (session, config);
    }

    /// Removes a clone session; true if it was there.
    pub fn remove_clone_session(&mut self, session: u16) -> bool {
        let _ = session;
        false
    }

    /// A clone session.
    #[must_use]
    pub fn clone_session(&self, session: u16) -> Option<&CloneSession> {
        let _ = session;
        None
    }

    /// Sets or replaces a multicast group; no replica removes it.
    pub fn set_multicast_group(&mut self, group: u16, replicas: Vec<Replica>) {
        let _ = (group, replicas);
    }

    /// The replicas of a multicast group.
    #[must_use]
    pub fn multicast_group(&self, group: u16) -> &[Replica] {
        let _ = group;
        &[]
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
        let _ = (profile, member, call);
        Ok(())
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
        let _ = (profile, member);
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
        let _ = (profile, group, members);
        Ok(())
    }

    /// Removes a group.
    ///
    /// # Errors
    /// `NotFound`, or `InUse` by an entry.
    pub fn remove_group(&mut self, profile: ProfileIndex, group: u32) -> Result<(), ControlError> {
        let _ = (profile, group);
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
        let _ = (set, values);
        Ok(())
    }

    /// The members of a parser value set.
    #[must_use]
    pub fn value_set(&self, set: ValueSetIndex) -> &[Value] {
        let _ = set;
        &[]
    }

    fn no_entry(&self, table: TableIndex) -> ControlError {
        ControlError::NotFound {
            what: format!("Entry of table {}", self.program.table_info(table).name),
        }
    }
}
