//! Carrying state over to another program (`RECONCILE_AND_COMMIT`, P4Runtime 14).

use p4_engine::{ActionCall, EntryAction, ProfileIndex, Program, TableIndex, TableSource};

use super::{Device, as_call};
use crate::{
    failure::Failure,
    operation::{Change, Operation},
};

impl Device {
    /// Copies the state of `before` into this fresh device.
    ///
    /// Objects are found by name. Everything that was written must fit, or nothing changes: the
    /// specification wants INVALID_ARGUMENT then.
    pub(crate) fn inherit(&mut self, before: &Self) -> Result<(), Failure> {
        if let (Some(pipeline), Some(old)) = (&self.pipeline, &before.pipeline) {
            pipeline.named_types.inherit(&old.named_types);
        }
        let old = before.engine.program().clone();
        self.idle.begin_at(&before.idle);
        self.down.clone_from(&before.down);
        // Entries refer to members, so those come first.
        for info in old.profiles() {
            let name = &info.name;
            if let Some(from) = old.profile(name) {
                self.inherit_profile(before, from, name)?;
            }
        }
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
                    &format!("table {}", table.name),
                    &format!("its {count} entries have no table"),
                ));
            };
            debug_assert_eq!(from.position(), at);
            self.inherit_table(before, from, to)?;
        }
        self.inherit_arrays(before, &old)?;
        for (id, group) in &before.groups {
            self.set_group(*id, Some(group.clone()));
        }
        for (id, session) in &before.sessions {
            self.set_session(*id, Some(session.clone()));
        }
        self.inherit_digests(before);
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
        let name = &format!("table {}", old.name);
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
        if before.engine.entry_count(from) > 0
            && (old.source == TableSource::Direct) != (new.source == TableSource::Direct)
        {
            return Err(lost(name, "only one program has an action profile for it"));
        }
        for (handle, mut entry) in before.engine.entries(from) {
            let mut beside = before.beside(from, handle);
            if let Some(beside) = &mut beside {
                beside.counter = beside.counter.filter(|_| new.counters);
                beside.meter = beside.meter.filter(|_| new.meter.is_some());
                if let Some(set) = &mut beside.set {
                    let mut carried = (**set).clone();
                    for action in &mut carried.actions {
                        action.call = self.carry(before, to, name, action.call.clone())?;
                    }
                    *set = carried.into();
                }
            }
            if let EntryAction::Call(call) = entry.action {
                entry.action = EntryAction::Call(self.carry(before, to, name, call)?);
            }
            self.insert(to, entry, beside)
                .map_err(|failure| lost(name, &failure.message))?;
        }
        let now = before.engine.default_action(from).and_then(as_call);
        let declared = old.default.as_ref().map(|default| &default.call);
        let is_const = new.default.as_ref().is_some_and(|default| default.is_const);
        if let Some(call) = now
            && Some(&call) != declared
        {
            let call = self.carry(before, to, name, call)?;
            self.engine
                .set_default(to, call)
                .map_err(|error| lost(name, &error.to_string()))?;
        }
        if let Some(extra) = before.default_extras.get(&from).filter(|_| !is_const) {
            self.default_extras.insert(to, extra.clone());
        }
        if old.counters && new.counters {
            self.engine
                .set_default_counter(to, before.engine.default_counter(from))?;
        }
        if old.meter.is_some() && new.meter.is_some() {
            self.engine
                .set_default_meter(to, before.engine.default_meter(from))?;
        }
        Ok(())
    }

    fn inherit_profile(
        &mut self,
        before: &Self,
        from: ProfileIndex,
        profile: &str,
    ) -> Result<(), Failure> {
        // The sets of one-shot entries come with their entries.
        let any = before.engine.members(from).next().is_some();
        if !any || before.selectors.one_shot(from) {
            return Ok(());
        }
        let name = &format!("action profile {profile}");
        let program = self.engine.program();
        let to = program.profile(profile);
        let uses = |table: &TableSource| match table {
            TableSource::Direct => None,
            TableSource::Profile(own) | TableSource::Selector(own) => Some(*own),
        };
        let mut tables = program.tables().iter();
        let table = tables
            .find(|table| to.is_some() && uses(&table.source) == to)
            .and_then(|table| program.table(&table.name));
        let (Some(to), Some(table)) = (to, table) else {
            return Err(lost(name, "it has gone"));
        };
        for (member, call) in before.engine.members(from) {
            let call = self.carry(before, table, name, call.clone())?;
            self.change_member(to, member, Change::Insert(call))
                .map_err(|failure| lost(name, &failure.message))?;
        }
        for (group, config) in before.selectors.groups(from) {
            self.change_selector_group(to, *group, Change::Insert(config.clone()))
                .map_err(|failure| lost(name, &failure.message))?;
        }
        Ok(())
    }

    /// The same call in the new program.
    fn carry(
        &self,
        before: &Self,
        to: TableIndex,
        what: &str,
        call: ActionCall,
    ) -> Result<ActionCall, Failure> {
        let old = before.engine.program().action_info(call.action);
        let action = self.engine.program().table_action(to, &old.name);
        let action = action
            .filter(|action| self.engine.program().action_info(*action).params == old.params)
            .ok_or_else(|| lost(what, &format!("action {} has gone or changed", old.name)))?;
        Ok(ActionCall {
            action,
            args: call.args,
        })
    }

    /// Counters, meters, registers and value sets, as far as both programs have them.
    fn inherit_arrays(&mut self, before: &Self, old: &Program) -> Result<(), Failure> {
        let new = self.engine.program().clone();
        for info in old.counters().iter().filter(|info| info.table.is_none()) {
            if let Some((from, to)) = old.counter(&info.name).zip(new.counter(&info.name)) {
                let cells = before.engine.counter(from);
                for (cell, value) in self.engine.counter_mut(to).iter_mut().zip(cells) {
                    *cell = *value;
                }
            }
        }
        for info in old.meters().iter().filter(|info| info.table.is_none()) {
            if let Some((from, to)) = old.meter(&info.name).zip(new.meter(&info.name)) {
                for cell in 0..info.size.min(new.meters()[to.position()].size) {
                    let config = before.engine.meter(from, cell);
                    if config.is_some() {
                        self.engine.set_meter(to, cell, config)?;
                    }
                }
            }
        }
        for info in old.registers() {
            let found = old.register(&info.name).zip(new.register(&info.name));
            let Some((from, to)) = found else { continue };
            let now = &new.registers()[to.position()];
            if now.bits != info.bits {
                continue;
            }
            for cell in 0..info.size.min(now.size) {
                if let Some(value) = before.engine.register(from, cell)
                    && !value.is_zero()
                {
                    self.engine.set_register(to, cell, &value)?;
                }
            }
        }
        for info in old.value_sets() {
            let found = old.value_set(&info.name).zip(new.value_set(&info.name));
            if let Some((from, to)) = found {
                let members = before.engine.value_set(from).to_vec();
                let name = format!("value set {}", info.name);
                self.engine
                    .set_value_set(to, members)
                    .map_err(|error| lost(&name, &error.to_string()))?;
            }
        }
        Ok(())
    }

    /// Configurations only; what waits is lost, as digests may be.
    fn inherit_digests(&mut self, before: &Self) {
        let (Some(old), Some(new)) = (&before.pipeline, &self.pipeline) else {
            return;
        };
        let mut found = Vec::new();
        for (from, digest) in old.digests.iter().enumerate() {
            let to = new.digests.iter().position(|own| own.name == digest.name);
            found.extend(to.zip(before.learning.config(from)));
        }
        for (digest, config) in found {
            let change = Change::Insert(config);
            let kept = self.apply(Operation::Digest { digest, change }, None);
            debug_assert_eq!(kept, Ok(()));
        }
    }
}

fn lost(what: &str, why: &str) -> Failure {
    Failure::invalid(format!("The state of {what} cannot be kept: {why}"))
}
