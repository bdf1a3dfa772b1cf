//! Carrying state over to another program (`RECONCILE_AND_COMMIT`, P4Runtime 14).

use p4_engine::{ActionCall, EntryAction, Program, TableIndex};

use super::{Device, as_call, key_of};
use crate::failure::Failure;

impl Device {
    /// Copies the state of `before` into this fresh device.
    ///
    /// Tables, actions, counters and registers are found by name. Everything that was written must
    /// fit, or nothing changes: the specification wants INVALID_ARGUMENT then.
    pub(crate) fn inherit(&mut self, before: &Self) -> Result<(), Failure> {
        let old = before.engine.program().clone();
        for (at, table) in old.tables().iter().enumerate() {
            let Some(from) = old.table(&table.name) else {
                continue;
            };
            let count = before.engine.entry_count(from);
            let Some(to) = self.engine.program().table(&table.name) else {
                if count == 0 || table.const_entries {
                    continue;
                }
                return Err(lost(
                    &table.name,
                    &format!("its {count} entries have no table"),
                ));
            };
            debug_assert_eq!(from.position(), at);
            self.inherit_table(before, from, to)?;
        }
        for counter in old
            .counters()
            .iter()
            .filter(|counter| counter.table.is_none())
        {
            let found = old
                .counter(&counter.name)
                .zip(self.engine.program().counter(&counter.name));
            if let Some((from, to)) = found {
                let cells = before.engine.counter(from);
                for (cell, value) in self.engine.counter_mut(to).iter_mut().zip(cells) {
                    *cell = *value;
                }
            }
        }
        self.inherit_registers(before, &old)?;
        for (id, group) in &before.groups {
            self.set_group(*id, Some(group.clone()));
        }
        for (id, session) in &before.sessions {
            self.set_session(*id, Some(session.clone()));
        }
        Ok(())
    }

    fn inherit_table(
        &mut self,
        before: &Self,
        from: TableIndex,
        to: TableIndex,
    ) -> Result<(), Failure> {
        let old = before.engine.program().table_info(from).clone();
        let new = self.engine.program().table_info(to).clone();
        let name = &old.name;
        if old.const_entries || new.const_entries {
            return if old.const_entries || before.engine.entry_count(from) == 0 {
                Ok(())
            } else {
                Err(lost(name, "its entries are const now"))
            };
        }
        // What the new program brings is replaced by what was in force.
        let initial: Vec<_> = self.engine.entries(to).map(|(handle, _)| handle).collect();
        for handle in initial {
            self.engine.delete(to, handle)?;
        }
        if before.engine.entry_count(from) > 0 && old.fields != new.fields {
            return Err(lost(name, "its key has changed"));
        }
        for (handle, entry) in before.engine.entries(from) {
            let key = key_of(&entry);
            let EntryAction::Call(call) = entry.action else {
                return Err(lost(name, "it has entries of an action profile"));
            };
            let action = EntryAction::Call(self.carry(before, to, name, call)?);
            let entry = p4_engine::Entry {
                key: key.parts,
                priority: key.priority,
                action,
            };
            let copy = self
                .engine
                .insert(to, entry)
                .map_err(|error| lost(name, &error.to_string()))?;
            if old.counters && new.counters {
                self.engine
                    .set_entry_counter(to, copy, before.counter_of(from, handle))?;
            }
            if let Some(extra) = before.extra_of(from, handle) {
                self.extras.insert((to, copy), extra.clone());
            }
        }
        let now = before.engine.default_action(from).and_then(as_call);
        let declared = old.default.as_ref().map(|default| &default.call);
        if let Some(call) = now
            && Some(&call) != declared
        {
            let call = self.carry(before, to, name, call)?;
            self.engine
                .set_default(to, call)
                .map_err(|error| lost(name, &error.to_string()))?;
            if let Some(extra) = before.default_extras.get(&from) {
                self.default_extras.insert(to, extra.clone());
            }
        }
        if old.counters && new.counters {
            self.engine
                .set_default_counter(to, before.engine.default_counter(from))?;
        }
        Ok(())
    }

    /// The same call in the new program.
    fn carry(
        &self,
        before: &Self,
        to: TableIndex,
        table: &str,
        call: ActionCall,
    ) -> Result<ActionCall, Failure> {
        let old = before.engine.program().action_info(call.action);
        let action = self.engine.program().table_action(to, &old.name);
        let action = action
            .filter(|action| self.engine.program().action_info(*action).params == old.params)
            .ok_or_else(|| lost(table, &format!("action {} has gone or changed", old.name)))?;
        Ok(ActionCall {
            action,
            args: call.args,
        })
    }

    fn inherit_registers(&mut self, before: &Self, old: &Program) -> Result<(), Failure> {
        for info in old.registers() {
            let found = old
                .register(&info.name)
                .zip(self.engine.program().register(&info.name));
            let Some((from, to)) = found else { continue };
            let new = &self.engine.program().registers()[to.position()];
            if new.bits != info.bits {
                continue;
            }
            for cell in 0..info.size.min(new.size) {
                if let Some(value) = before.engine.register(from, cell)
                    && !value.is_zero()
                {
                    self.engine.set_register(to, cell, &value)?;
                }
            }
        }
        Ok(())
    }
}

fn lost(table: &str, why: &str) -> Failure {
    Failure::invalid(format!("The state of table {table} cannot be kept: {why}"))
}
