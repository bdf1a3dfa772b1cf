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
    #[inline(never)]
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
        let state = &self.state.tables[at];
        let mut rows = [NO_ROW; LANES];
        let mut hit: Mask = 0;
        if !state.rows.is_empty() {
            self.pack(table);
            let state = &self.state.tables[at];
            let keys = &self.keys[..usize::from(code.key_limbs)];
            state.rows.lookup_lanes(keys, self.group.lanes(), &mut rows);
            for lane in self.group.lanes() {
                let found = rows[usize::from(*lane) % LANES] != NO_ROW;
                hit |= Mask::from(found) << (lane % 32);
            }
        }
        let state = &self.state.tables[at];
        if state.rows.noted() {
            for lane in self.group.lanes() {
                match rows[usize::from(*lane) % LANES] {
                    NO_ROW => self.journal.count(Event::Miss, *lane, table, 0),
                    row => self.journal.count(Event::Hit, *lane, table, row),
                }
            }
        }
        let mut pcs: [Pc; LANES] = [code.no_default; LANES];
        let mut odd: Mask = 0;
        // Most often all lanes miss, or all that hit do the same.
        let missed = self.group.mask & !hit;
        let mut plain = true;
        let mut miss_next = code.no_default;
        if missed != 0
            && let Some(default) = &state.default
            && let Some(target) = code.targets.get(default.local)
        {
            miss_next = target.miss;
            match &target.copies {
                Some(copies) => {
                    for (slot, from) in copies {
                        let limb = from.limb(&default.args);
                        let row = &mut self.sheet[usize::from(*slot)];
                        lanes_of(missed).for_each(|lane| put(row, lane, limb));
                    }
                }
                None => plain = false,
            }
        }
        let word = lanes_of(hit)
            .next()
            .map(|lane| state.rows.action(rows[usize::from(lane)]).0);
        let same = |lane: u8| Some(state.rows.action(rows[usize::from(lane)]).0) == word;
        let hit_target = match word.map(RowAction::of) {
            Some(RowAction::Call(local)) if plain && lanes_of(hit).all(same) => code
                .targets
                .get(local)
                .filter(|target| target.copies.is_some()),
            _ => None,
        };
        plain &= hit == 0 || hit_target.is_some();
        if plain {
            let copies = hit_target.and_then(|target| target.copies.as_deref());
            for (slot, from) in copies.unwrap_or_default() {
                let row = &mut self.sheet[usize::from(*slot)];
                match from {
                    Source::Number(number) => {
                        lanes_of(hit).for_each(|lane| put(row, lane, *number));
                    }
                    Source::Argument(argument) => {
                        for lane in lanes_of(hit) {
                            let own = rows[usize::from(lane)];
                            put(row, lane, state.rows.argument(own, *argument));
                        }
                    }
                }
            }
            let hit_next = hit_target.map_or(miss_next, |target| target.hit);
            if missed == 0 || hit == 0 || hit_next == miss_next {
                let next = if missed == 0 { hit_next } else { miss_next };
                return Some(next as usize);
            }
            self.push(hit_next, hit);
            self.push(miss_next, missed);
            return None;
        }
        for lane in self.group.lanes() {
            let index = usize::from(*lane) % LANES;
            let row = rows[index];
            let (local, args) = if row == NO_ROW {
                match &state.default {
                    Some(default) => (default.local, &default.args[..]),
                    None => continue,
                }
            } else {
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
                    put(&mut self.sheet[usize::from(*slot)], *lane, from.limb(args));
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
    #[inline(never)]
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
                if left {
                    limb.wrapping_shl(by)
                } else {
                    limb.wrapping_shr(by)
                }
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
