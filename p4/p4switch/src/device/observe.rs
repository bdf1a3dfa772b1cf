//! Answers to queries.

use std::ops::Range;

use p4_engine::{Entry, EntryAction, EntryHandle, ProfileIndex, TableIndex};

use super::Device;
use crate::{
    failure::Failure,
    operation::{Cells, Extra, Filter, Found, FoundDefault, Piece, Query, Rare, Row, View},
};

/// Rows or cells in one piece: some tens of microseconds.
const PIECE: usize = 512;

/// How far an answer has come.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Cursor {
    /// Position in the query's list.
    object: usize,
    /// Next row or cell of it.
    at: usize,
}

impl Cursor {
    /// The next cells of an array; if there are none left, that of the next one begins.
    fn cells(&mut self, cells: &Range<usize>) -> Range<usize> {
        let first = (cells.start + self.at).min(cells.end);
        let end = (first + PIECE).min(cells.end);
        self.at += PIECE;
        if end == cells.end {
            *self = Self {
                object: self.object + 1,
                at: 0,
            };
        }
        first..end
    }
}

impl Device {
    /// Hands the next piece of an answer to `emit`, which says whether anybody wants more; false when
    /// the answer is complete. What is small comes in one go.
    pub(crate) fn observe(
        &self,
        query: &Query,
        cursor: &mut Cursor,
        emit: &mut dyn FnMut(Piece) -> bool,
    ) -> Result<bool, Failure> {
        match query {
            Query::Entries {
                tables,
                filter,
                view,
            } => {
                let Some(table) = tables.get(cursor.object) else {
                    return Ok(false);
                };
                return self.entries((*table, filter, *view), cursor, emit);
            }
            Query::Counters { counters, cells } => {
                let Some(counter) = counters.get(cursor.object) else {
                    return Ok(false);
                };
                let array = self.engine.counter(*counter);
                let all = match cells {
                    Cells::One(cell) => *cell..(*cell + 1).min(array.len()).max(*cell),
                    Cells::All => 0..array.len(),
                };
                let cells = cursor.cells(&all);
                return Ok(emit(Piece::Counters {
                    counter: *counter,
                    first: cells.start,
                    values: array.get(cells).unwrap_or_default().to_vec(),
                }));
            }
            Query::Registers { registers, cells } => {
                let Some(register) = registers.get(cursor.object) else {
                    return Ok(false);
                };
                let cells = cursor.cells(&self.register_cells(*register, *cells));
                let first = cells.start;
                let values = cells.filter_map(|cell| self.engine.register(*register, cell));
                return Ok(emit(Piece::Registers {
                    register: *register,
                    first,
                    values: values.collect(),
                }));
            }
            Query::Meters { meters, cells } => {
                let Some(meter) = meters.get(cursor.object) else {
                    return Ok(false);
                };
                let cells = cursor.cells(&self.meter_cells(*meter, *cells));
                let first = cells.start;
                let configs = cells.map(|cell| self.engine.meter(*meter, cell)).collect();
                return Ok(emit(Piece::Meters {
                    meter: *meter,
                    first,
                    configs,
                }));
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
        Ok(false)
    }

    fn entries(
        &self,
        (table, filter, view): (TableIndex, &Filter, View),
        cursor: &mut Cursor,
        emit: &mut dyn FnMut(Piece) -> bool,
    ) -> Result<bool, Failure> {
        // A table that takes no priorities finds one entry by its key; with priorities the same
        // key may be there several times.
        let needs_priority = self.engine.program().table_info(table).needs_priority;
        let rows: Vec<_> = match &filter.key {
            Some(key) if !needs_priority || filter.priority.is_some() => {
                cursor.object += 1;
                let found = self.engine.find(table, key, filter.priority.unwrap_or(0))?;
                let entry = |handle| Some((handle, self.engine.entry(table, handle)?));
                let found = found.and_then(entry).into_iter();
                found
                    .filter(|(handle, entry)| self.passes(filter, table, *handle, entry))
                    .map(|(handle, entry)| self.found(table, handle, view, entry))
                    .collect()
            }
            _ => {
                let places = cursor.cells(&(0..self.engine.places(table)));
                self.engine
                    .entries_at(table, places)
                    .filter(|(handle, entry)| self.passes(filter, table, *handle, entry))
                    .map(|(handle, entry)| self.found(table, handle, view, entry))
                    .collect()
            }
        };
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
            for members in found.chunks(4 * PIECE) {
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
