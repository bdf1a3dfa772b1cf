//! Applying a table to a group of lanes: keys, lookups side by side, and where each lane goes on.

use super::journal::Event;
use super::run::Lanes;
use super::{LANES, Mask, get, lanes_of, put, row_of};
use crate::ir::{NOWHERE, Pc};
use crate::matching::NO_ROW;
use crate::state::RowAction;

impl Lanes<'_, '_> {
    /// Looks up, binds arguments and sends the lanes on their ways; false if none is left here,
    /// which is always.
    pub(super) fn apply(&mut self, table: u16) -> bool {
        let at = usize::from(table);
        let code = &self.code.tables[at];
        if code.meter.is_some() {
            // A meter's colour depends on the packets before.
            let all = self.group.mask;
            self.bailed |= all;
            self.dead |= all;
            return self.leave(all);
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
            for (slot, limb) in (target.params..).take(usize::from(target.limbs)).zip(args) {
                put(&mut self.sheet[usize::from(slot)], *lane, *limb);
            }
            let next = if row == NO_ROW {
                target.miss
            } else {
                target.hit
            };
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
        let mut rest = self.group.mask;
        while let Some(first) = lanes_of(rest).next() {
            let to = pcs[usize::from(first)];
            let same = lanes_of(rest)
                .filter(|lane| pcs[usize::from(*lane)] == to)
                .fold(0, |mask: Mask, lane| mask | 1 << lane);
            self.push(to, same);
            rest &= !same;
        }
        false
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
            let from = self.sheet[row].as_flattened();
            let to = keys[usize::from(one.limb)].as_flattened_mut();
            let place = |limb: u64| {
                let limb = limb & one.mask;
                if left { limb << by } else { limb >> by }
            };
            if guard >= always {
                for (to, from) in to.iter_mut().zip(from) {
                    *to |= place(*from);
                }
            } else {
                let guard = self.sheet[guard].as_flattened();
                for ((to, from), guard) in to.iter_mut().zip(from).zip(guard) {
                    *to |= if *guard == 0 { 0 } else { place(*from) };
                }
            }
        }
    }
}

/// The key of one lane, of known length.
pub(crate) fn key_of<const N: usize>(keys: &[super::Row], lane: u8) -> [u64; N] {
    std::array::from_fn(|limb| keys.get(limb).map_or(0, |row| get(row, lane)))
}
