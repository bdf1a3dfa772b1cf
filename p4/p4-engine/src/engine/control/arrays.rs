//! Counters, registers, meters, value sets, clone sessions and multicast groups.

use super::check_width;
use crate::counter::CounterValue;
use crate::engine::Engine;
use crate::entry::EntryHandle;
use crate::error::ControlError;
use crate::meter::{Meter, MeterConfig};
use crate::program::{CounterIndex, MeterIndex, RegisterIndex, TableIndex, ValueSetIndex};
use crate::replicate::{CloneSession, Replica};
use crate::value::Value;

impl Engine {
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

    /// Configuration of the direct meter of the default action.
    #[must_use]
    pub fn default_meter(&self, table: TableIndex) -> Option<MeterConfig> {
        self.state.tables[table.position()].default_meter.config()
    }

    /// Configures the direct meter of the default action.
    ///
    /// # Errors
    /// A table without direct meter, or a peak rate below the committed rate.
    pub fn set_default_meter(
        &mut self,
        table: TableIndex,
        config: Option<MeterConfig>,
    ) -> Result<(), ControlError> {
        check_meter(config)?;
        let info = self.program.table_info(table);
        if info.meter.is_none() {
            return Err(ControlError::Invalid {
                what: format!("Table {} has no direct meter", info.name),
            });
        }
        let meter = &mut self.state.tables[table.position()].default_meter;
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
}

fn check_meter(config: Option<MeterConfig>) -> Result<(), ControlError> {
    if config.is_some_and(|config| config.committed_rate > config.peak_rate) {
        let what = "A meter's peak rate is below its committed rate".to_owned();
        return Err(ControlError::Invalid { what });
    }
    Ok(())
}
