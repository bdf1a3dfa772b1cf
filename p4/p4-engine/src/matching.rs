//! The rows of one table and how a packet's key finds one.
//!
//! All kinds are groups of equal mask, each a hash over the masked key: an exact table has one
//! group, an LPM table one for each prefix length in use (longest first, so host routes first), a
//! ternary table a few that similar masks share, ordered by the best priority in them, with early
//! exit (`groups.rs`). Masks come from entries only, so packets cannot make groups.

mod groups;
mod lookup;

use std::collections::HashMap;
use std::ops::Range;

use self::groups::{Groups, NO_GROUP};
use crate::counter::CounterValue;
use crate::entry::EntryHandle;
use crate::ir::KeyPlace;
use crate::key::{Limbs, Packed, RangeCheck};
use crate::segments::Segments;

/// End of a chain of rows.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// Rows of a chain before a class goes to a group of its own.
const CHAIN: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// One group without mask.
    Exact,
    /// By prefix length.
    Lpm,
    /// By priority.
    Priority,
}

#[derive(Clone, Copy, Debug, Default)]
struct RowState {
    serial: u32,
    /// [`FREE`] if the row is not in use.
    class: u32,
}

/// The class of a row that is not in use.
const FREE: u32 = u32::MAX;

/// What a row has besides where priorities decide.
#[derive(Clone, Copy, Debug, Default)]
struct Rank {
    priority: i32,
    /// Next row of the chain.
    next: u32,
    /// Order of insertion: among equals the oldest wins.
    age: u64,
    group: u32,
}

/// Where a row belongs in a group.
#[derive(Clone, Copy, Debug)]
struct Spot {
    group: u32,
    tag: u32,
    head: u32,
    /// The row that it comes behind; none if it becomes the head.
    before: u32,
    /// Rows that are there.
    length: usize,
}

/// The rows of one table.
#[derive(Debug)]
pub(crate) struct Rows {
    order: Order,
    key_limbs: usize,
    /// Key, then one word for what to do, then the arguments, row after row.
    words: Segments<u64>,
    states: Segments<RowState>,
    /// By row; empty where there are no priorities.
    ranks: Segments<Rank>,
    free: Vec<u32>,
    groups: Groups,
    ranges: HashMap<u32, Vec<RangeCheck>>,
    counters: Segments<CounterValue>,
    counted: bool,
    /// When each row was last used, where that is asked for.
    seen: Segments<u64>,
    aged: bool,
    count: usize,
    ages: u64,
}

impl Rows {
    pub(crate) fn new(
        (key_limbs, places): (usize, &[KeyPlace]),
        arg_limbs: usize,
        lpm: bool,
        prioritized: bool,
        counted: bool,
        aged: bool,
    ) -> Self {
        let order = match (prioritized, lpm) {
            (true, _) => Order::Priority,
            (false, true) => Order::Lpm,
            (false, false) => Order::Exact,
        };
        Self {
            order,
            key_limbs,
            words: Segments::new(key_limbs + 1 + arg_limbs),
            states: Segments::new(1),
            ranks: Segments::new(1),
            free: Vec::new(),
            groups: Groups::new(order, places.to_vec()),
            ranges: HashMap::new(),
            counters: Segments::new(1),
            counted,
            seen: Segments::new(1),
            aged,
            count: 0,
            ages: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    fn in_ranges(&self, row: u32, key: &[u64]) -> bool {
        self.ranges.is_empty()
            || self
                .ranges
                .get(&row)
                .is_none_or(|checks| checks.iter().all(|c| c.holds(key)))
    }

    fn key(&self, row: u32) -> &[u64] {
        self.words
            .get(row)
            .get(..self.key_limbs)
            .unwrap_or_default()
    }

    /// What a row does: the word, then the arguments.
    #[inline]
    pub(crate) fn action(&self, row: u32) -> (u64, &[u64]) {
        let words = self.words.get(row).get(self.key_limbs..);
        match words.and_then(<[u64]>::split_first) {
            Some((word, args)) => (*word, args),
            None => (0, &[]),
        }
    }

    /// A limb of the arguments of a row.
    #[inline]
    pub(crate) fn argument(&self, row: u32, limb: u16) -> u64 {
        let at = self.key_limbs + 1 + usize::from(limb);
        self.words.number(row, at).unwrap_or(0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes what a row does.
    pub(crate) fn set_action(&mut self, row: u32, word: u64, args: &[u64]) {
        let words = self.words.get_mut(row).get_mut(self.key_limbs..);
        let Some((own, room)) = words.and_then(<[u64]>::split_first_mut) else {
            return;
        };
        *own = word;
        room.fill(0);
        for (to, from) in room.iter_mut().zip(args) {
            *to = *from;
        }
    }

    #[inline]
    pub(crate) fn hit(&mut self, row: u32, bytes: u64, now_us: u64) {
        if let Some(counter) = self.counters.first_mut(row) {
            counter.add(bytes);
        }
        if let Some(seen) = self.seen.first_mut(row) {
            *seen = now_us;
        }
    }

    /// True if hits leave anything behind.
    pub(crate) fn noted(&self) -> bool {
        self.counted || self.aged
    }

    /// When a row was last hit or written, in microseconds of the data path's clock.
    pub(crate) fn seen(&self, row: u32) -> Option<u64> {
        self.seen.first(row).copied()
    }

    /// Says that a row was in use now.
    pub(crate) fn touch(&mut self, row: u32, now_us: u64) {
        if let Some(seen) = self.seen.first_mut(row) {
            *seen = now_us;
        }
    }

    /// Goes on with what was put off; true if there is more.
    pub(crate) fn settle(&mut self) -> bool {
        let mut groups = self.groups.groups.iter_mut();
        groups.any(|group| group.heads.carry())
    }

    pub(crate) fn counter(&self, row: u32) -> CounterValue {
        self.counters.first(row).copied().unwrap_or_default()
    }

    pub(crate) fn set_counter(&mut self, row: u32, value: CounterValue) {
        if let Some(counter) = self.counters.first_mut(row) {
            *counter = value;
        }
    }

    /// The row behind a handle, if it is still the same entry.
    pub(crate) fn row(&self, handle: EntryHandle) -> Option<u32> {
        let state = self.states.first(handle.row)?;
        (state.class != FREE && state.serial == handle.serial).then_some(handle.row)
    }

    pub(crate) fn handle(&self, row: u32) -> EntryHandle {
        EntryHandle {
            row,
            serial: self.states.first(row).map_or(0, |state| state.serial),
        }
    }

    /// Rows that were in use at some time.
    pub(crate) fn places(&self) -> usize {
        self.states.len()
    }

    /// Rows in use, of these.
    pub(crate) fn rows_at(&self, places: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let row = |place: usize| u32::try_from(place.min(self.states.len())).unwrap_or(NO_ROW);
        let (start, end) = (row(places.start), row(places.end));
        let live = |row: &u32| {
            self.states
                .first(*row)
                .is_some_and(|state| state.class != FREE)
        };
        (start..end).filter(live)
    }

    pub(crate) fn priority(&self, row: u32) -> i32 {
        self.ranks.first(row).map_or(0, |rank| rank.priority)
    }

    /// Key, mask and ranges of a row.
    pub(crate) fn parts(&self, row: u32) -> (&[u64], &[u64], &[RangeCheck]) {
        let class = self.states.first(row).map_or(FREE, |state| state.class);
        let class = self.groups.classes.get(class as usize);
        (
            self.key(row),
            class.map_or(&[], |class| &class.mask),
            self.ranges_of(row),
        )
    }

    fn ranges_of(&self, row: u32) -> &[RangeCheck] {
        self.ranges.get(&row).map_or(&[], Vec::as_slice)
    }

    /// The row with exactly this match and priority.
    pub(crate) fn find(&self, packed: &Packed, priority: i32) -> Option<u32> {
        let class = self.groups.class(&packed.mask)?;
        if self.order != Order::Priority {
            let home = self.groups.classes.get(class as usize)?.home;
            return self.only(home, hash(&packed.value), &packed.value);
        }
        let class = self.groups.classes.get(class as usize)?;
        let found = self.spot(class.home, packed, priority).err();
        found.or_else(|| self.spot(class.own, packed, priority).err())
    }

    /// The row of this key in a group where keys are not chained.
    fn only(&self, group: u32, tag: u32, key: &[u64]) -> Option<u32> {
        let group = self.groups.groups.get(group as usize)?;
        group.heads.find(tag, |row| self.key(row) == key)
    }

    /// Where an entry belongs in a group, or its row if it is there.
    fn spot(&self, at: u32, packed: &Packed, priority: i32) -> Result<Spot, u32> {
        let mut spot = Spot {
            group: at,
            tag: 0,
            head: NO_ROW,
            before: NO_ROW,
            length: 0,
        };
        let Some(group) = self.groups.groups.get(at as usize) else {
            return Ok(spot);
        };
        let mut masked = Limbs::new();
        lookup::under(&packed.value, &group.mask, &mut masked);
        spot.tag = hash(&masked);
        let head = group
            .heads
            .find(spot.tag, |row| self.is_under(row, &masked, &group.mask));
        spot.head = head.unwrap_or(NO_ROW);
        let mut row = spot.head;
        while let Some(rank) = self.ranks.first(row) {
            if rank.priority == priority
                && self.key(row) == &*packed.value
                && self.ranges_of(row) == packed.ranges
                && self.parts(row).1 == &*packed.mask
            {
                return Err(row);
            }
            if rank.priority >= priority {
                spot.before = row;
            }
            spot.length += 1;
            row = rank.next;
        }
        Ok(spot)
    }

    /// True if a row has this key in the bits of a mask.
    fn is_under(&self, row: u32, key: &[u64], mask: &[u64]) -> bool {
        let own = self.key(row).iter().zip(mask);
        own.zip(key).all(|((own, mask), limb)| own & mask == *limb)
    }

    /// Adds a row, unless there is one with this match and priority. The caller has checked that
    /// there is room.
    pub(crate) fn insert(
        &mut self,
        packed: Packed,
        priority: i32,
        word: u64,
        args: &[u64],
    ) -> Option<u32> {
        let class = self.groups.class_for(&packed);
        let spot = self.free_spot(class, &packed, priority)?;
        self.groups.classes.get_mut(class as usize)?.rows += 1;
        let row = self.fill(class, packed, word, args);
        self.ages += 1;
        if let Some(rank) = self.ranks.first_mut(row) {
            *rank = Rank {
                priority,
                next: NO_ROW,
                age: self.ages,
                group: spot.group,
            };
        }
        self.groups.gain(spot.group, priority);
        self.link(spot, row);
        self.count += 1;
        Some(row)
    }

    /// Where an entry of this class belongs; `None` if it is there already.
    fn free_spot(&mut self, class: u32, packed: &Packed, priority: i32) -> Option<Spot> {
        let own = self.groups.classes.get(class as usize)?;
        if self.order != Order::Priority {
            let tag = hash(&packed.value);
            let taken = own.rows > 0 && self.only(own.home, tag, &packed.value).is_some();
            return (!taken).then_some(Spot {
                group: own.home,
                tag,
                head: NO_ROW,
                before: NO_ROW,
                length: 0,
            });
        }
        let spot = self.spot(own.home, packed, priority).ok()?;
        self.spot(own.own, packed, priority).ok()?;
        let home = self.groups.groups.get(own.home as usize)?;
        if spot.length < CHAIN || home.mask == own.mask {
            return Some(spot);
        }
        let own = self.groups.own(class);
        self.spot(own, packed, priority).ok()
    }

    /// A row with this content, linked nowhere.
    fn fill(&mut self, class: u32, packed: Packed, word: u64, args: &[u64]) -> u32 {
        let row = self.free.pop().unwrap_or_else(|| {
            let row = u32::try_from(self.states.len()).unwrap_or(NO_ROW - 1);
            self.states.push();
            if self.order == Order::Priority {
                self.ranks.push();
            }
            self.words.push();
            if self.counted {
                self.counters.push();
            }
            if self.aged {
                self.seen.push();
            }
            row
        });
        if let Some(state) = self.states.first_mut(row) {
            state.class = class;
        }
        let key = self.words.get_mut(row);
        for (to, from) in key.iter_mut().zip(&packed.value) {
            *to = *from;
        }
        self.set_action(row, word, args);
        self.set_counter(row, CounterValue::default());
        self.touch(row, 0);
        if !packed.ranges.is_empty() {
            self.ranges.insert(row, packed.ranges);
        }
        row
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, row: u32) {
        let class = self.states.first(row).map_or(FREE, |state| state.class);
        let group = match self.ranks.first(row) {
            Some(rank) => rank.group,
            None => {
                let class = self.groups.classes.get(class as usize);
                class.map_or(NO_GROUP, |class| class.home)
            }
        };
        if class == FREE || group == NO_GROUP {
            return;
        }
        let priority = self.priority(row);
        self.unlink(group, row);
        self.ranges.remove(&row);
        if let Some(state) = self.states.first_mut(row) {
            state.class = FREE;
            state.serial = state.serial.wrapping_add(1);
        }
        self.free.push(row);
        self.count -= 1;
        self.groups.lose(group, class, priority);
    }

    fn link(&mut self, spot: Spot, row: u32) {
        let Some(group) = self.groups.groups.get_mut(spot.group as usize) else {
            return;
        };
        if spot.head == NO_ROW {
            group.heads.insert(spot.tag, row);
            return;
        }
        let next = match self.ranks.first_mut(spot.before) {
            Some(before) => std::mem::replace(&mut before.next, row),
            None => {
                group.heads.replace(spot.tag, spot.head, row);
                spot.head
            }
        };
        if let Some(rank) = self.ranks.first_mut(row) {
            rank.next = next;
        }
    }

    fn unlink(&mut self, group: u32, row: u32) {
        let mut masked = Limbs::new();
        let Some(own) = self.groups.groups.get(group as usize) else {
            return;
        };
        lookup::under(self.key(row), &own.mask, &mut masked);
        let tag = hash(&masked);
        let head = own
            .heads
            .find(tag, |other| self.is_under(other, &masked, &own.mask));
        let Some(head) = head else {
            return;
        };
        let next = self.ranks.first(row).map_or(NO_ROW, |rank| rank.next);
        if head == row {
            let Some(own) = self.groups.groups.get_mut(group as usize) else {
                return;
            };
            if next == NO_ROW {
                own.heads.remove(tag, row);
            } else {
                own.heads.replace(tag, row, next);
            }
            return;
        }
        let mut before = head;
        while let Some(rank) = self.ranks.first_mut(before) {
            if rank.next == row {
                rank.next = next;
                return;
            }
            before = rank.next;
        }
    }
}

/// Folded multiplication over the limbs. Keys come from the control plane.
#[inline]
fn hash(key: &[u64]) -> u32 {
    let mut sum = 0x243f_6a88_85a3_08d3_u64;
    for limb in key {
        let wide = u128::from(sum ^ limb) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        sum = crate::wide::low(wide) ^ crate::wide::low(wide >> 64);
    }
    let [.., a, b, c, d] = sum.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
