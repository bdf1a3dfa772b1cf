//! Answers to queries.

use p4_engine::{Entry, EntryAction, EntryHandle, ProfileIndex, TableIndex};

use super::Device;
use crate::{
    failure::Failure,
    operation::{Cells, Extra, Filter, Found, FoundDefault, Piece, Query, Rare, Row, View},
};

/// Rows or cells in one piece.
const PIECE: usize = 2048;

impl Device {
    /// Hands the pieces of an answer to `emit`, which says whether to go on.
    pub(crate) fn observe(
        &self,
        query: &Query,
        emit: &mut dyn FnMut(Piece) -> bool,
    ) -> Result<(), Failure> {
        match query {
            Query::Entries {
                tables,
                filter,
                view,
            } => {
                for table in tables {
                    if !self.entries(*table, filter, *view, emit)? {
                        break;
                    }
                }
            }
            Query::Defaults { tables, view } => {
                for table in tables {
                    let found = self.default_entry(*table);
                    if !emit(Piece::Default {
                        table: *table,
                        view: *view,
                        found,
                    }) {
                        break;
                    }
                }
            }
            Query::Direct { table, row, view } => {
                let piece = self.one_row(*table, row, *view)?;
                emit(piece);
            }
            Query::Meters { meters, cells } => {
                for meter in meters {
                    let range = self.meter_cells(*meter, *cells);
                    let end = range.end;
                    for first in range.step_by(PIECE) {
                        let cells = first..end.min(first + PIECE);
                        let configs = cells.map(|cell| self.engine.meter(*meter, cell)).collect();
                        if !emit(Piece::Meters {
                            meter: *meter,
                            first,
                            configs,
                        }) {
                            return Ok(());
                        }
                    }
                }
            }
            Query::Members { profiles, member } => {
                self.members(profiles, *member, emit);
            }
            Query::SelectorGroups { profiles, group } => {
                self.selector_groups(profiles, *group, emit);
            }
            Query::ValueSets(sets) => {
                for set in sets {
                    let members = self.engine.value_set(*set).to_vec();
                    if !emit(Piece::ValueSet { set: *set, members }) {
                        break;
                    }
                }
            }
            Query::Digests(digests) => {
                for digest in digests {
                    if let Some(config) = self.learning.config(*digest) {
                        let digest = *digest;
                        emit(Piece::Digest { digest, config });
                    }
                }
            }
            Query::Counters { counters, cells } => {
                for counter in counters {
                    let array = self.engine.counter(*counter);
                    let (start, array) = match cells {
                        Cells::One(cell) => (*cell, array.get(*cell..=*cell).unwrap_or(&[])),
                        Cells::All => (0, array),
                    };
                    for (at, values) in array.chunks(PIECE).enumerate() {
                        let (counter, first) = (*counter, start + at * PIECE);
                        if !emit(Piece::Counters {
                            counter,
                            first,
                            values: values.to_vec(),
                        }) {
                            return Ok(());
                        }
                    }
                }
            }
            Query::Registers { registers, cells } => {
                for register in registers {
                    let range = self.register_cells(*register, *cells);
                    let end = range.end;
                    for first in range.step_by(PIECE) {
                        let values = (first..end.min(first + PIECE))
                            .filter_map(|cell| self.engine.register(*register, cell))
                            .collect();
                        if !emit(Piece::Registers {
                            register: *register,
                            first,
                            values,
                        }) {
                            return Ok(());
                        }
                    }
                }
            }
            Query::Multicast(wanted) => {
                for (group, config) in &self.groups {
                    if wanted.is_none_or(|wanted| wanted == *group) {
                        emit(Piece::Multicast {
                            group: *group,
                            config: config.clone(),
                        });
                    }
                }
            }
            Query::Clones(wanted) => {
                for (session, config) in &self.sessions {
                    if wanted.is_none_or(|wanted| wanted == *session) {
                        emit(Piece::Clone {
                            session: *session,
                            config: config.clone(),
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn entries(
        &self,
        table: TableIndex,
        filter: &Filter,
        view: View,
        emit: &mut dyn FnMut(Piece) -> bool,
    ) -> Result<bool, Failure> {
        // A table that takes no priorities finds one entry by its key; with priorities the same
        // key may be there several times.
        let needs_priority = self.engine.program().table_info(table).needs_priority;
        if let Some(key) = &filter.key
            && (!needs_priority || filter.priority.is_some())
        {
            let Some(handle) = self.engine.find(table, key, filter.priority.unwrap_or(0))? else {
                return Ok(true);
            };
            let entry = self.engine.entry(table, handle);
            let rows: Vec<_> = entry
                .filter(|entry| self.passes(filter, table, handle, entry))
                .map(|entry| self.found(table, handle, view, entry))
                .into_iter()
                .collect();
            return Ok(emit(Piece::Entries { table, view, rows }));
        }
        let mut rows = Vec::with_capacity(self.engine.entry_count(table).min(PIECE));
        for (handle, entry) in self.engine.entries(table) {
            if !self.passes(filter, table, handle, &entry) {
                continue;
            }
            rows.push(self.found(table, handle, view, entry));
            if rows.len() == PIECE {
                let full = std::mem::replace(&mut rows, Vec::with_capacity(PIECE));
                if !emit(Piece::Entries {
                    table,
                    view,
                    rows: full,
                }) {
                    return Ok(false);
                }
            }
        }
        Ok(rows.is_empty() || emit(Piece::Entries { table, view, rows }))
    }

    fn passes(
        &self,
        filter: &Filter,
        table: TableIndex,
        handle: EntryHandle,
        entry: &Entry,
    ) -> bool {
        let Filter {
            key,
            priority,
            action,
            metadata,
            controller_metadata,
        } = filter;
        let extra = || self.extras.get(&(table, handle));
        key.as_ref().is_none_or(|key| *key == entry.key)
            && priority.is_none_or(|priority| priority == entry.priority)
            && action.is_none_or(
                |action| matches!(&entry.action, EntryAction::Call(call) if call.action == action),
            )
            && metadata
                .as_ref()
                .is_none_or(|wanted| extra().is_some_and(|extra| extra.metadata == *wanted))
            && controller_metadata.is_none_or(|wanted| {
                extra().is_some_and(|extra| extra.controller_metadata == wanted)
            })
    }

    fn found(&self, table: TableIndex, handle: EntryHandle, view: View, entry: Entry) -> Found {
        let mut rare: Option<Box<Rare>> = None;
        if let Some(extra) = self.extra_of(table, handle) {
            rare.get_or_insert_default().extra = extra.clone();
        }
        if let Some(set) = self.selectors.set_of(table, handle) {
            rare.get_or_insert_default().set = Some(set.clone());
        }
        if matches!(view, View::DirectMeter | View::Entry { meter: true, .. }) {
            rare.get_or_insert_default().meter = self.engine.entry_meter(table, handle);
        }
        if matches!(view, View::Entry { hit: true, .. }) {
            let idle = self.idle_us(table, handle).saturating_mul(1000);
            rare.get_or_insert_default().idle_ns = i64::try_from(idle).unwrap_or(i64::MAX);
        }
        Found {
            entry,
            counter: self.engine.entry_counter(table, handle),
            rare,
        }
    }

    fn default_entry(&self, table: TableIndex) -> FoundDefault {
        FoundDefault {
            action: self.engine.default_action(table),
            extra: self.default_extras.get(&table).cloned(),
            counter: self.engine.default_counter(table),
            meter: self.engine.default_meter(table),
        }
    }

    fn one_row(&self, table: TableIndex, row: &Row, view: View) -> Result<Piece, Failure> {
        match row {
            Row::Default => Ok(Piece::Default {
                table,
                view,
                found: self.default_entry(table),
            }),
            Row::Entry(key) => {
                let handle = self.find(table, key)?;
                let entry = self.engine.entry(table, handle);
                let rows = entry
                    .map(|entry| self.found(table, handle, view, entry))
                    .into_iter()
                    .collect();
                Ok(Piece::Entries { table, view, rows })
            }
        }
    }

    fn members(
        &self,
        profiles: &[ProfileIndex],
        wanted: Option<u32>,
        emit: &mut dyn FnMut(Piece) -> bool,
    ) {
        // Members of one-shot sets are the switch's own.
        let explicit = profiles
            .iter()
            .filter(|profile| !self.selectors.one_shot(**profile));
        for profile in explicit {
            let found: Vec<_> = (self.engine.members(*profile))
                .filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id))
                .map(|(id, call)| (id, call.clone()))
                .collect();
            for members in found.chunks(PIECE) {
                let (profile, members) = (*profile, members.to_vec());
                if !emit(Piece::Members { profile, members }) {
                    return;
                }
            }
        }
    }

    fn selector_groups(
        &self,
        profiles: &[ProfileIndex],
        wanted: Option<u32>,
        emit: &mut dyn FnMut(Piece) -> bool,
    ) {
        for profile in profiles {
            for (id, group) in self.selectors.groups(*profile) {
                if wanted.is_none_or(|wanted| wanted == *id) {
                    let (profile, groups) = (*profile, vec![(*id, group.clone())]);
                    if !emit(Piece::SelectorGroups { profile, groups }) {
                        return;
                    }
                }
            }
        }
    }

    /// The extra of an entry, for those who copy it.
    pub(super) fn extra_of(&self, table: TableIndex, handle: EntryHandle) -> Option<&Extra> {
        if self.extras.is_empty() {
            return None;
        }
        self.extras.get(&(table, handle))
    }
}
