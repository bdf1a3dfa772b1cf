//! Applying a table: key, lookup, counter, arguments, and where to go on.

use super::{Pass, Run, external};
use crate::ir::{Code, NOWHERE, Pc, TableCode};
use crate::key;
use crate::matching::NO_ROW;
use crate::program::{Program, TableIndex, TableInfo, TableSource};
use crate::state::{self, ProfileState, RowAction, State, TableState};
use crate::trace::{Trace, TraceEvent, TracedField};
use crate::value::Value;
use crate::wide::Registers;

impl<R: Registers + ?Sized> Run<'_, R> {
    /// Returns where the code of the action is and where to go on after it.
    #[inline]
    pub(super) fn apply<const TRACED: bool>(
        &mut self,
        pass: &mut Pass<'_>,
        table: u16,
    ) -> (Pc, Pc) {
        let at = usize::from(table);
        let code = &self.code.tables[at];
        let (file, scratch) = (&mut *self.file, &mut *self.scratch);
        let key = &mut self.key[..usize::from(code.key_limbs)];
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
        match row {
            None => {
                if self.program.tables()[at].counters {
                    state.default_counter.add(bytes);
                }
            }
            Some(row) => state.rows.hit(row, bytes, pass.now_us),
        }
        let state = &tables[at];
        let chosen = choose(
            self.program,
            self.code,
            at,
            (state, profiles),
            row,
            (&*file, pass, scratch),
        );
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
        bind(code, file, row.is_some(), chosen)
    }

    /// As [`Run::apply`], with the row already found and counted.
    pub(crate) fn bind_row(&mut self, pass: &Pass<'_>, table: u16, row: u32) -> (Pc, Pc) {
        let at = usize::from(table);
        let code = &self.code.tables[at];
        let row = (row != NO_ROW).then_some(row);
        let State {
            tables, profiles, ..
        } = &*self.state;
        let chosen = choose(
            self.program,
            self.code,
            at,
            (&tables[at], profiles),
            row,
            (&*self.file, pass, self.scratch),
        );
        bind(code, self.file, row.is_some(), chosen)
    }
}

/// The action of a row or of the default, as its position among the table's actions, and its
/// arguments.
#[inline]
fn choose<'s, R: Registers + ?Sized>(
    program: &Program,
    code: &Code,
    table: usize,
    (state, profiles): (&'s TableState, &'s [ProfileState]),
    row: Option<u32>,
    (file, pass, scratch): (&R, &Pass<'_>, &mut Vec<u8>),
) -> Option<(usize, &'s [u64])> {
    let Some(row) = row else {
        let default = state.default.as_ref()?;
        return Some((default.local, &default.args[..]));
    };
    let (word, args) = state.rows.action(row);
    match RowAction::of(word) {
        RowAction::Call(local) => Some((local, args)),
        RowAction::Member(id) => member(program, table, profiles, id),
        RowAction::Group(id) => {
            let hash = code.tables[table].selector.map_or(0, |x| {
                let calculation = &code.calculations[usize::from(x)];
                external::calculate(calculation, file, program, pass, scratch)
            });
            let profile = profile_of(&program.tables()[table])?;
            let spread = &profiles[profile].groups.get(&id)?.spread;
            let pick = hash.checked_rem(spread.len() as u64)?;
            let id = spread.get(usize::try_from(pick).ok()?)?;
            member(program, table, profiles, *id)
        }
    }
}

/// Hands the arguments over; where the action's code is and where to go on after it.
#[inline]
fn bind<R: Registers + ?Sized>(
    code: &TableCode,
    file: &mut R,
    hit: bool,
    chosen: Option<(usize, &[u64])>,
) -> (Pc, Pc) {
    let Some((local, args)) = chosen else {
        return (code.no_default, code.no_default);
    };
    let Some(target) = code.targets.get(local) else {
        return (code.no_default, code.no_default);
    };
    if let Some(copies) = &target.copies {
        for (slot, from) in copies {
            file[usize::from(*slot)] = from.limb(args);
        }
        let next = if hit { target.hit } else { target.miss };
        return (next, next);
    }
    let first = usize::from(target.params);
    let limbs = usize::from(target.limbs);
    for (to, from) in (first..first + limbs).zip(args) {
        file[to] = *from;
    }
    let next = if hit { target.hit } else { target.miss };
    if target.action == NOWHERE {
        (next, next)
    } else {
        (target.action, next)
    }
}

#[inline]
fn pack<R: Registers + ?Sized>(file: &R, code: &TableCode, key: &mut [u64]) {
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
    profiles: &'s [ProfileState],
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
