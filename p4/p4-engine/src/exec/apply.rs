//! Applying a table: key, lookup, counter, arguments, and where to go on.

use super::{Machine, Pass, Run, external};
use crate::ir::{NOWHERE, Pc, TableCode};
use crate::key;
use crate::program::{Program, TableIndex, TableInfo, TableSource};
use crate::state::{self, RowAction, State};
use crate::trace::{Trace, TraceEvent, TracedField};
use crate::value::Value;
use crate::wide::File;

impl Run<'_> {
    /// Returns where the code of the action is and where to go on after it.
    #[inline]
    pub(super) fn apply<const TRACED: bool>(
        &mut self,
        pass: &mut Pass<'_>,
        table: u16,
    ) -> (Pc, Pc) {
        let at = usize::from(table);
        let code = &self.code.tables[at];
        let Machine { file, key, scratch } = &mut *self.machine;
        let key = &mut key[..usize::from(code.key_limbs)];
        pack(file, code, key);
        let State {
            tables, profiles, ..
        } = &mut *self.state;
        let state = &mut tables[at];
        let bytes = pass.ingress_length;
        let row = state.rows.lookup(key);
        if let Some((meter, slot, mask)) = code.meter {
            let need = if self.program.meters()[usize::from(meter)].bytes {
                bytes
            } else {
                1
            };
            let cell = match row {
                Some(row) => state.meters.get_mut(row as usize),
                None => Some(&mut state.default_meter),
            };
            if let Some(cell) = cell {
                file[usize::from(slot)] = cell.run(pass.now_us, need).number() & mask;
            }
        }
        let chosen: Option<(usize, &[u64])> = match row {
            None => {
                state.default_counter.add(bytes);
                state
                    .default
                    .as_ref()
                    .map(|default| (default.local, &default.args[..]))
            }
            Some(row) => {
                state.rows.hit(row, bytes);
                if let Some(hit) = state.hits.get_mut(row as usize) {
                    *hit = pass.now_us;
                }
                let (word, args) = state.rows.action(row);
                match RowAction::of(word) {
                    RowAction::Call(local) => Some((local, args)),
                    RowAction::Member(id) => member(self.program, at, profiles, id),
                    RowAction::Group(id) => {
                        let hash = code.selector.map_or(0, |x| {
                            let calculation = &self.code.calculations[usize::from(x)];
                            external::calculate(calculation, file, self.program, pass, scratch)
                        });
                        let profile = profile_of(self.program.table_info(TableIndex(table.into())));
                        let spread = profile
                            .and_then(|profile| profiles[profile].groups.get(&id))
                            .map_or(&[][..], |group| &group.spread);
                        let pick = hash.checked_rem(spread.len() as u64);
                        let id = pick.and_then(|at| spread.get(usize::try_from(at).ok()?));
                        id.and_then(|id| member(self.program, at, profiles, *id))
                    }
                }
            }
        };
        if TRACED {
            let shown = chosen.map(|(local, args)| (local, args.to_vec()));
            let table = TableIndex(table.into());
            trace(
                self.trace,
                self.program,
                table,
                key,
                &state.rows,
                row,
                shown,
            );
        }
        let Some((local, args)) = chosen else {
            return (code.no_default, code.no_default);
        };
        let Some(target) = code.targets.get(local) else {
            return (code.no_default, code.no_default);
        };
        let first = usize::from(target.params);
        let limbs = usize::from(target.limbs);
        for (to, from) in file[first..first + limbs].iter_mut().zip(args) {
            *to = *from;
        }
        let next = if row.is_some() {
            target.hit
        } else {
            target.miss
        };
        if target.action == NOWHERE {
            (next, next)
        } else {
            (target.action, next)
        }
    }
}

#[inline]
fn pack(file: &File, code: &TableCode, key: &mut [u64]) {
    key.fill(0);
    for one in &code.moves {
        let value = file[usize::from(one.src)] & one.mask;
        let value = if file[usize::from(one.guard)] == 0 {
            0
        } else {
            value
        };
        let value = if one.shift >= 0 {
            value << one.shift
        } else {
            value >> -one.shift
        };
        key[usize::from(one.limb)] |= value;
    }
}

fn profile_of(info: &TableInfo) -> Option<usize> {
    match info.source {
        TableSource::Direct => None,
        TableSource::Profile(profile) | TableSource::Selector(profile) => Some(profile.position()),
    }
}

fn member<'s>(
    program: &Program,
    table: usize,
    profiles: &'s [state::ProfileState],
    id: u32,
) -> Option<(usize, &'s [u64])> {
    let info = &program.tables()[table];
    let member = profiles[profile_of(info)?].members.get(&id)?;
    let local = state::local(info, member.call.action)?;
    Some((local, &member.args))
}

fn trace(
    trace: &mut Trace,
    program: &Program,
    table: TableIndex,
    key: &[u64],
    rows: &crate::matching::Rows,
    row: Option<u32>,
    chosen: Option<(usize, Vec<u64>)>,
) {
    let info = program.table_info(table);
    let layout = program.key_layout(table);
    let fields = || info.fields.iter().zip(&layout.places);
    let field = |name: &str, value: &Value| TracedField {
        name: name.to_owned(),
        value: format!("0x{value:x}"),
    };
    let shown = fields().map(|(one, place)| field(&one.name, &key::extract(key, *place)));
    let entry = row.map_or_else(Vec::new, |row| {
        let (value, mask, ranges) = rows.parts(row);
        key::unpack(info, layout, value, mask, ranges)
            .iter()
            .zip(&info.fields)
            .map(|(part, one)| TracedField {
                name: one.name.clone(),
                value: part.to_string(),
            })
            .collect()
    });
    let action = chosen.and_then(|(local, args)| {
        let index = *info.actions.get(local)?;
        let action = program.action_info(index);
        let values = state::gather_args(program, index, &args);
        let args = action
            .params
            .iter()
            .zip(&values)
            .map(|(param, value)| field(&param.name, value));
        Some((action.name.clone(), args.collect()))
    });
    let (action, args) = action.unzip();
    trace.push(TraceEvent::Table {
        table: info.name.clone(),
        key: shown.collect(),
        hit: row.is_some(),
        priority: row
            .filter(|_| info.needs_priority)
            .map(|row| rows.priority(row)),
        entry,
        action,
        args: args.unwrap_or_default(),
    });
}
