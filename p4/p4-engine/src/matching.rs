//! The rows of one table and how a packet's key finds one.
//!
//! All kinds are groups of equal mask, each a hash over the masked key: an exact table has one
//! group, an LPM table one for each prefix length in use (longest first, so host routes first),
//! a ternary table one for each mask in use, ordered by the best priority in it, with early exit.
//! Masks come from entries only, so packets cannot make groups.

use std::collections::{BTreeMap, HashMap};

use crate::counter::CounterValue;
use crate::entry::EntryHandle;
use crate::index::Index;
use crate::key::{Limbs, Packed, RangeCheck};
use crate::lower::MAX_KEY_LIMBS;
use crate::segments::Segments;
use crate::vector::{LANES, Row, get};

/// End of a chain of rows.
pub(crate) const NO_ROW: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// One group without mask.
    Exact,
    /// By prefix length.
    Lpm,
    /// By priority.
    Priority,
}

#[derive(Debug)]
struct Group {
    mask: Limbs,
    /// Prefix length, or the best priority of the group.
    rank: i64,
    /// First row of each masked key; rows of one key are chained, best first.
    heads: Index,
    /// How many rows have each priority.
    priorities: BTreeMap<i32, usize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct RowState {
    serial: u32,
    /// [`FREE`] if the row is not in use.
    group: u32,
}

/// The group of a row that is not in use.
const FREE: u32 = u32::MAX;

/// What a row has besides where priorities decide.
#[derive(Clone, Copy, Debug, Default)]
struct Rank {
    priority: i32,
    /// Next row of the same masked key.
    next: u32,
    /// Order of insertion: among equals the oldest wins.
    age: u64,
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
    ranks: Vec<Rank>,
    free: Vec<u32>,
    groups: Vec<Group>,
    /// Places of the groups by mask.
    masks: HashMap<Limbs, usize>,
    /// Groups in the order in which a lookup visits them.
    visit: Vec<u32>,
    /// Places of groups that became empty.
    spare: Vec<usize>,
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
        key_limbs: usize,
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
            ranks: Vec::new(),
            free: Vec::new(),
            groups: Vec::new(),
            masks: HashMap::new(),
            visit: Vec::new(),
            spare: Vec::new(),
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

    /// The row that matches a packet's packed key.
    pub(crate) fn lookup(&self, key: &[u64]) -> Option<u32> {
        match (self.order, key) {
            (Order::Exact, &[one]) => self.exact([one]),
            (Order::Exact, &[one, two]) => self.exact([one, two]),
            (Order::Exact, &[one, two, three]) => self.exact([one, two, three]),
            (Order::Exact, key) => self.exact_wide(key),
            (Order::Lpm, &[one]) => self.longest([one]),
            (Order::Lpm, &[one, two]) => self.longest([one, two]),
            (Order::Lpm, &[one, two, three]) => self.longest([one, two, three]),
            (Order::Lpm, key) => self.longest_wide(key),
            (Order::Priority, key) => self.best(key),
        }
    }

    #[inline]
    fn exact<const N: usize>(&self, key: [u64; N]) -> Option<u32> {
        let group = self.groups.first()?;
        group.heads.find(hash(&key), |row| self.has(row, &key))
    }

    fn exact_wide(&self, key: &[u64]) -> Option<u32> {
        let group = self.groups.first()?;
        group.heads.find(hash(key), |row| self.key(row) == key)
    }

    /// True if the row has this key; of known length, so that no call compares bytes.
    #[inline]
    fn has<const N: usize>(&self, row: u32, key: &[u64; N]) -> bool {
        let own = self.words.get(row).first_chunk::<N>();
        own.is_some_and(|own| (0..N).all(|limb| own[limb] == key[limb]))
    }

    #[inline]
    fn longest<const N: usize>(&self, key: [u64; N]) -> Option<u32> {
        for at in &self.visit {
            let group = &self.groups[*at as usize];
            let mut masked = key;
            for (limb, mask) in masked.iter_mut().zip(&group.mask) {
                *limb &= mask;
            }
            let tag = hash(&masked);
            if !group.heads.maybe(tag) {
                continue;
            }
            let found = group.heads.find(tag, |row| self.has(row, &masked));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn longest_wide(&self, key: &[u64]) -> Option<u32> {
        let mut masked = Limbs::new();
        self.visit.iter().find_map(|at| {
            let group = &self.groups[*at as usize];
            masked.clear();
            masked.extend(key.iter().zip(&group.mask).map(|(limb, mask)| limb & mask));
            group
                .heads
                .find(hash(&masked), |row| self.key(row) == &*masked)
        })
    }

    fn best(&self, key: &[u64]) -> Option<u32> {
        let mut best: Option<(i32, u64, u32)> = None;
        let mut masked = Limbs::new();
        for at in &self.visit {
            let group = &self.groups[*at as usize];
            if best.is_some_and(|(priority, ..)| i64::from(priority) > group.rank) {
                break;
            }
            masked.clear();
            masked.extend(key.iter().zip(&group.mask).map(|(limb, mask)| limb & mask));
            let Some(head) = group
                .heads
                .find(hash(&masked), |row| self.key(row) == &*masked)
            else {
                continue;
            };
            let mut row = head;
            while row != NO_ROW {
                let state = &self.ranks[row as usize];
                if self.in_ranges(row, key) {
                    let better = best.is_none_or(|(priority, age, _)| {
                        (state.priority, age) > (priority, state.age)
                    });
                    if better {
                        best = Some((state.priority, state.age, row));
                    }
                    // The chain is sorted: nothing behind is better.
                    break;
                }
                row = state.next;
            }
        }
        best.map(|(.., row)| row)
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

    fn group_of(&self, row: u32) -> usize {
        self.states.first(row).map_or(0, |state| state.group) as usize
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

    /// The rows that match the keys of these lanes of a vector.
    pub(crate) fn lookup_lanes(&self, keys: &[Row], lanes: &[u8], rows: &mut [u32; LANES]) {
        match (self.order, keys) {
            (Order::Priority, [one]) => self.best_lanes([one], lanes, rows),
            (Order::Priority, [one, two]) => self.best_lanes([one, two], lanes, rows),
            (Order::Priority, [one, two, three]) => {
                self.best_lanes([one, two, three], lanes, rows);
            }
            (Order::Priority, [one, two, three, four]) => {
                self.best_lanes([one, two, three, four], lanes, rows);
            }
            (_, [] | [_, _, _, _, ..]) => {
                let mut key = [0u64; MAX_KEY_LIMBS];
                let key = &mut key[..keys.len().min(MAX_KEY_LIMBS)];
                for lane in lanes {
                    for (limb, row) in key.iter_mut().zip(keys) {
                        *limb = get(row, *lane);
                    }
                    rows[usize::from(*lane) % LANES] = self.lookup(key).unwrap_or(NO_ROW);
                }
            }
            (_, [one]) => self.lanes([one], lanes, rows),
            (_, [one, two]) => self.lanes([one, two], lanes, rows),
            (_, [one, two, three]) => self.lanes([one, two, three], lanes, rows),
        }
    }

    /// One group after the other for the lanes that have no row yet.
    fn lanes<const N: usize>(&self, keys: [&Row; N], lanes: &[u8], rows: &mut [u32; LANES]) {
        let mut open = [0u8; LANES];
        let mut count = lanes.len().min(LANES);
        open[..count].copy_from_slice(&lanes[..count]);
        for group in self.visit.iter().map(|at| &self.groups[*at as usize]) {
            let mut masked = [[0u64; N]; LANES];
            let mut tags = [0u32; LANES];
            let mut likely = [0u8; LANES];
            let mut asked = 0;
            let Some(mask) = group.mask.first_chunk::<N>() else {
                continue;
            };
            for lane in &open[..count] {
                let at = usize::from(*lane) % LANES;
                masked[at] = std::array::from_fn(|limb| keys[limb][at] & mask[limb]);
                tags[at] = hash(&masked[at]);
                likely[asked] = *lane;
                asked += usize::from(group.heads.maybe(tags[at]));
            }
            self.probe(group, (&masked, &tags), &likely[..asked], rows);
            let mut left = 0;
            for at in 0..count {
                let lane = open[at];
                if rows[usize::from(lane) % LANES] == NO_ROW {
                    open[left] = lane;
                    left += 1;
                }
            }
            count = left;
            if count == 0 {
                return;
            }
        }
    }

    /// As [`Rows::best`], one group after the other for the lanes that may find better there.
    fn best_lanes<const N: usize>(&self, keys: [&Row; N], lanes: &[u8], rows: &mut [u32; LANES]) {
        let mut own = [[0u64; N]; LANES];
        for lane in lanes {
            own[usize::from(*lane) % LANES] = keys.map(|row| get(row, *lane));
        }
        // The priority that the lane has, below all if none.
        let mut have = [i64::MIN; LANES];
        let mut open = [0u8; LANES];
        let mut count = lanes.len().min(LANES);
        open[..count].copy_from_slice(&lanes[..count]);
        for group in self.visit.iter().map(|at| &self.groups[*at as usize]) {
            let mut left = 0;
            for at in 0..count {
                let lane = open[at];
                if have[usize::from(lane) % LANES] <= group.rank {
                    open[left] = lane;
                    left += 1;
                }
            }
            count = left;
            if count == 0 {
                return;
            }
            let Some(mask) = group.mask.first_chunk::<N>() else {
                continue;
            };
            for lane in &open[..count] {
                let lane = usize::from(*lane) % LANES;
                let key: [u64; N] = std::array::from_fn(|limb| own[lane][limb] & mask[limb]);
                let tag = hash(&key);
                if !group.heads.maybe(tag) {
                    continue;
                }
                let Some(mut row) = group.heads.find(tag, |row| self.has(row, &key)) else {
                    continue;
                };
                // Sorted by priority: the first that fits is the best.
                while row != NO_ROW && !self.in_ranges(row, &own[lane]) {
                    row = self.ranks[row as usize].next;
                }
                if let Some(rank) = self.ranks.get(row as usize) {
                    let priority = i64::from(rank.priority);
                    let older = |row: u32| {
                        let other = self.ranks.get(row as usize);
                        other.is_some_and(|other| rank.age < other.age)
                    };
                    if priority > have[lane] || (priority == have[lane] && older(rows[lane])) {
                        have[lane] = priority;
                        rows[lane] = row;
                    }
                }
            }
        }
    }

    /// Looks the keys of these lanes up in a group. What one lane waits for is fetched for all
    /// lanes first: the place in the index, then the row.
    #[inline]
    fn probe<const N: usize>(
        &self,
        group: &Group,
        (keys, tags): (&[[u64; N]; LANES], &[u32; LANES]),
        lanes: &[u8],
        rows: &mut [u32; LANES],
    ) {
        let mut slots = [0u64; LANES];
        for lane in lanes {
            let lane = usize::from(*lane) % LANES;
            slots[lane] = group.heads.touch(tags[lane]);
        }
        let settled = group.heads.settled();
        let mut fetched = 0;
        for lane in lanes {
            let lane = usize::from(*lane) % LANES;
            if let Some(row) = Index::likely(slots[lane], tags[lane]) {
                fetched ^= self.words.number(row, 0).unwrap_or(0);
            }
        }
        std::hint::black_box(fetched);
        for lane in lanes {
            let lane = usize::from(*lane) % LANES;
            if slots[lane] == 0 && settled {
                continue;
            }
            let key = &keys[lane];
            if let Some(row) = group.heads.find(tags[lane], |row| self.has(row, key)) {
                rows[lane] = row;
            }
        }
    }

    /// Goes on with what was put off; true if there is more.
    pub(crate) fn settle(&mut self) -> bool {
        self.groups.iter_mut().any(|group| group.heads.carry())
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
        (state.group != FREE && state.serial == handle.serial).then_some(handle.row)
    }

    pub(crate) fn handle(&self, row: u32) -> EntryHandle {
        EntryHandle {
            row,
            serial: self.states.first(row).map_or(0, |state| state.serial),
        }
    }

    /// Rows in use.
    pub(crate) fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        let end = u32::try_from(self.states.len()).unwrap_or(NO_ROW);
        let live = |row: &u32| {
            self.states
                .first(*row)
                .is_some_and(|state| state.group != FREE)
        };
        (0..end).filter(live)
    }

    pub(crate) fn priority(&self, row: u32) -> i32 {
        self.ranks.get(row as usize).map_or(0, |rank| rank.priority)
    }

    /// Key, mask and ranges of a row.
    pub(crate) fn parts(&self, row: u32) -> (&[u64], &[u64], &[RangeCheck]) {
        let group = &self.groups[self.group_of(row)];
        (
            self.key(row),
            &group.mask,
            self.ranges.get(&row).map_or(&[], Vec::as_slice),
        )
    }

    /// The row with exactly this match and priority.
    pub(crate) fn find(&self, packed: &Packed, priority: i32) -> Option<u32> {
        let group = &self.groups[*self.masks.get(&packed.mask)?];
        let value: &[u64] = &packed.value;
        let mut row = group
            .heads
            .find(hash(value), |row| self.key(row) == value)?;
        if self.order != Order::Priority {
            return Some(row);
        }
        while row != NO_ROW {
            let state = &self.ranks[row as usize];
            let same = state.priority == priority
                && self.ranges.get(&row).map_or(&[][..], Vec::as_slice) == packed.ranges;
            if same {
                return Some(row);
            }
            row = state.next;
        }
        None
    }

    /// Adds a row; the caller has checked that it is not there and that there is room.
    pub(crate) fn insert(&mut self, packed: Packed, priority: i32, word: u64, args: &[u64]) -> u32 {
        let row = self.free.pop().unwrap_or_else(|| {
            let row = u32::try_from(self.states.len()).unwrap_or(NO_ROW - 1);
            self.states.push();
            if self.order == Order::Priority {
                self.ranks.push(Rank::default());
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
        let group = self.group(&packed, priority);
        self.ages += 1;
        if let Some(state) = self.states.first_mut(row) {
            state.group = group;
        }
        if let Some(rank) = self.ranks.get_mut(row as usize) {
            *rank = Rank {
                priority,
                next: NO_ROW,
                age: self.ages,
            };
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
        self.link(group as usize, row);
        self.count += 1;
        row
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, row: u32) {
        let group = self.group_of(row);
        self.unlink(group, row);
        self.ranges.remove(&row);
        if let Some(state) = self.states.first_mut(row) {
            state.group = FREE;
            state.serial = state.serial.wrapping_add(1);
        }
        self.free.push(row);
        self.count -= 1;
        if self.order == Order::Priority {
            let priority = self.ranks[row as usize].priority;
            let priorities = &mut self.groups[group].priorities;
            if let Some(count) = priorities.get_mut(&priority) {
                *count -= 1;
                if *count == 0 {
                    priorities.remove(&priority);
                }
            }
            let best = priorities
                .last_key_value()
                .map_or(i64::MIN, |(best, _)| i64::from(*best));
            self.rerank(group, best);
        }
        if self.groups[group].heads.is_empty() && self.order != Order::Exact {
            self.drop_group(group);
        }
    }

    /// The group of this mask, made if needed.
    fn group(&mut self, packed: &Packed, priority: i32) -> u32 {
        let found = self.masks.get(&packed.mask).copied();
        let at = found.unwrap_or_else(|| {
            let rank = match self.order {
                Order::Priority => i64::MIN,
                Order::Exact | Order::Lpm => i64::from(packed.prefix_len),
            };
            let group = Group {
                mask: packed.mask.clone(),
                rank,
                heads: if self.order == Order::Exact {
                    Index::default()
                } else {
                    Index::filtered()
                },
                priorities: BTreeMap::new(),
            };
            let at = match self.spare.pop() {
                Some(at) => {
                    self.groups[at] = group;
                    at
                }
                None => {
                    self.groups.push(group);
                    self.groups.len() - 1
                }
            };
            self.masks.insert(packed.mask.clone(), at);
            self.visit.push(u32::try_from(at).unwrap_or(0));
            self.sort_visit();
            at
        });
        if self.order == Order::Priority {
            *self.groups[at].priorities.entry(priority).or_insert(0) += 1;
            let best = self.groups[at].rank.max(i64::from(priority));
            self.rerank(at, best);
        }
        u32::try_from(at).unwrap_or(0)
    }

    fn rerank(&mut self, group: usize, rank: i64) {
        if self.groups[group].rank != rank {
            self.groups[group].rank = rank;
            self.sort_visit();
        }
    }

    fn sort_visit(&mut self) {
        let groups = &self.groups;
        self.visit
            .sort_by_key(|at| std::cmp::Reverse(groups[*at as usize].rank));
    }

    /// An empty group is visited no more; its place is taken by the next new mask.
    fn drop_group(&mut self, group: usize) {
        self.visit.retain(|at| *at as usize != group);
        let mask = std::mem::take(&mut self.groups[group].mask);
        self.masks.remove(&mask);
        self.spare.push(group);
    }

    fn link(&mut self, group: usize, row: u32) {
        let tag = hash(self.key(row));
        let head = {
            let heads = &self.groups[group].heads;
            heads.find(tag, |other| self.key(other) == self.key(row))
        };
        let heads = &mut self.groups[group].heads;
        let Some(head) = head else {
            heads.insert(tag, row);
            return;
        };
        // Only where priorities decide may two rows have one key.
        let ranks = &mut self.ranks;
        let priority = ranks[row as usize].priority;
        if ranks[head as usize].priority < priority {
            ranks[row as usize].next = head;
            heads.replace(tag, head, row);
            return;
        }
        let mut before = head;
        loop {
            let next = ranks[before as usize].next;
            if next == NO_ROW || ranks[next as usize].priority < priority {
                ranks[row as usize].next = next;
                ranks[before as usize].next = row;
                return;
            }
            before = next;
        }
    }

    fn unlink(&mut self, group: usize, row: u32) {
        let tag = hash(self.key(row));
        let head = {
            let heads = &self.groups[group].heads;
            heads.find(tag, |other| self.key(other) == self.key(row))
        };
        let heads = &mut self.groups[group].heads;
        let Some(head) = head else {
            return;
        };
        let next = self
            .ranks
            .get(row as usize)
            .map_or(NO_ROW, |rank| rank.next);
        if head == row {
            if next == NO_ROW {
                heads.remove(tag, row);
            } else {
                heads.replace(tag, row, next);
            }
            return;
        }
        let ranks = &mut self.ranks;
        let mut before = head;
        while before != NO_ROW {
            let follows = ranks[before as usize].next;
            if follows == row {
                ranks[before as usize].next = next;
                return;
            }
            before = follows;
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
