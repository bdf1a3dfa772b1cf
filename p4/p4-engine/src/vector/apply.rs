//! Applying a table to a group of lanes: keys, lookups side by side, and where each lane goes on.

use super::journal::Event;
use super::run::Lanes;
use super::{LANES, Mask, lanes_of, put, row_of};
use crate::ir::{NOWHERE, Pc, Source};
use crate::matching::NO_ROW;
use crate::state::RowAction;

impl Lanes<'_, '_> {
    /// Looks up, binds arguments and sends the lanes on their ways; where they go on, if that is the
    /// same place for all.
    pub(super) fn apply(&mut self, table: u16) -> Option<usize> {
        let at = usize::from(table);
        let code = &self.code.tables[at];
        if code.meter.is_some() {
            // A meter's colour depends on the packets before.
            let all = self.group.mask;
            self.bailed |= all;
            self.dead |= all;
            self.leave(all);
            return None;
        }
        self.pack(table);
        let state = &self.state.tables[at];
        let mut rows = [NO_ROW; LANES];
        let keys = &self.keys[..usize::from(code.key_limbs)];
        state.rows.lookup_lanes(keys, self.group.lanes(), &mut rows);
        let noted = state.rows.noted();
        let mut pcs: [Pc; LANES] = [code.no_default; LANES];
        let mut odd: Mask = 0;
        for lane in self.group.lanes() {
            let index = usize::from(*lane) % LANES;
            let row = rows[index];
            let (local, args) = if row == NO_ROW {
                if noted {
                    self.journal.count(Event::Miss, *lane, table, 0);
                }
                match &state.default {
                    Some(default) => (default.local, &default.args[..]),
                    None => continue,
                }
            } else {
                if noted {
                    self.journal.count(Event::Hit, *lane, table, row);
                }
                let (word, args) = state.rows.action(row);
                match RowAction::of(word) {
                    RowAction::Call(local) => (local, args),
                    RowAction::Member(_) | RowAction::Group(_) => {
                        odd |= 1 << lane;
                        continue;
                    }
                }
            };
            let Some(target) = code.targets.get(local) else {
                continue;
            };
            let next = if row == NO_ROW {
                target.miss
            } else {
                target.hit
            };
            if let Some(copies) = &target.copies {
                for (slot, from) in copies {
                    let limb = match *from {
                        Source::Argument(at) => args.get(usize::from(at)).copied().unwrap_or(0),
                        Source::Number(number) => number,
                    };
                    put(&mut self.sheet[usize::from(*slot)], *lane, limb);
                }
                pcs[index] = next;
                continue;
            }
            for (slot, limb) in (target.params..).take(usize::from(target.limbs)).zip(args) {
                put(&mut self.sheet[usize::from(slot)], *lane, *limb);
            }
            self.back[index] = next;
            pcs[index] = if target.action == NOWHERE {
                next
            } else {
                target.action
            };
        }
        for lane in lanes_of(odd) {
            let index = usize::from(lane);
            let (to, next) = self.alone(lane, |run, pass| run.bind_row(pass, table, rows[index]));
            self.back[index] = next;
            pcs[index] = to;
        }
        self.scatter(&pcs)
    }

    /// Sends the lanes of the group where they go; the place, if it is the same for all.
    pub(super) fn scatter(&mut self, pcs: &[Pc; LANES]) -> Option<usize> {
        let lanes = self.group.lanes();
        let first = pcs[usize::from(*lanes.first()?) % LANES];
        let mut same: Mask = 0;
        for lane in lanes {
            same |= Mask::from(pcs[usize::from(*lane) % LANES] == first) << (lane % 32);
        }
        let mut rest = self.group.mask & !same;
        if rest == 0 {
            return Some(first as usize);
        }
        self.push(first, same);
        while let Some(first) = lanes_of(rest).next() {
            let to = pcs[usize::from(first)];
            let same = lanes_of(rest)
                .filter(|lane| pcs[usize::from(*lane)] == to)
                .fold(0, |mask: Mask, lane| mask | 1 << lane);
            self.push(to, same);
            rest &= !same;
        }
        None
    }

    /// Packs the keys of all lanes; what stands in lanes that are elsewhere does no harm.
    fn pack(&mut self, table: u16) {
        let code = &self.code.tables[usize::from(table)];
        let keys = &mut self.keys[..usize::from(code.key_limbs)];
        keys.fill(row_of(0));
        let always = self.program.layout.constants;
        for one in &code.moves {
            let (row, guard) = (usize::from(one.src), usize::from(one.guard));
            let by = u32::from(one.shift.unsigned_abs());
            let left = one.shift >= 0;
            let from = &self.sheet[row];
            let to = &mut keys[usize::from(one.limb)];
            let place = |limb: u64| {
                let limb = limb & one.mask;
                if left { limb << by } else { limb >> by }
            };
            if guard >= always {
                for (to, from) in to.iter_mut().zip(from) {
                    *to |= place(*from);
                }
            } else {
                let guard = &self.sheet[guard];
                for ((to, from), guard) in to.iter_mut().zip(from).zip(guard) {
                    *to |= if *guard == 0 { 0 } else { place(*from) };
                }
            }
        }
    }
}
