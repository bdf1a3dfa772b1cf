//! How the key of a packet finds its row: of one packet, and of a vector's lanes together.

use super::groups::Group;
use super::{NO_ROW, Order, Rows, hash};
use crate::index::Index;
use crate::key::Limbs;
use crate::lower::MAX_KEY_LIMBS;
use crate::vector::{LANES, Row, get};

impl Rows {
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
        let group = self.groups.groups.first()?;
        group.heads.find(hash(&key), |row| self.has(row, &key))
    }

    fn exact_wide(&self, key: &[u64]) -> Option<u32> {
        let group = self.groups.groups.first()?;
        group.heads.find(hash(key), |row| self.key(row) == key)
    }

    /// True if the row has this key; of known length, so that no call compares bytes.
    #[inline]
    fn has<const N: usize>(&self, row: u32, key: &[u64; N]) -> bool {
        let own = self.words.get(row).first_chunk::<N>();
        own.is_some_and(|own| (0..N).all(|limb| own[limb] == key[limb]))
    }

    /// True if the row has this key in the bits of a mask.
    #[inline]
    fn has_under<const N: usize>(&self, row: u32, key: &[u64; N], mask: &[u64; N]) -> bool {
        let own = self.words.get(row).first_chunk::<N>();
        own.is_some_and(|own| (0..N).all(|limb| own[limb] & mask[limb] == key[limb]))
    }

    fn in_order(&self) -> impl Iterator<Item = &Group> {
        let visit = self.groups.visit.iter();
        visit.map(|(_, at)| &self.groups.groups[*at as usize])
    }

    #[inline]
    fn longest<const N: usize>(&self, key: [u64; N]) -> Option<u32> {
        for group in self.in_order() {
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
        self.in_order().find_map(|group| {
            under(key, &group.mask, &mut masked);
            group
                .heads
                .find(hash(&masked), |row| self.key(row) == &*masked)
        })
    }

    fn best(&self, key: &[u64]) -> Option<u32> {
        let mut best: Option<(i32, u64, u32)> = None;
        let mut masked = Limbs::new();
        for (rank, at) in &self.groups.visit {
            if best.is_some_and(|(priority, ..)| i64::from(priority) > *rank) {
                break;
            }
            let group = &self.groups.groups[*at as usize];
            under(key, &group.mask, &mut masked);
            let tag = hash(&masked);
            if !group.heads.maybe(tag) {
                continue;
            }
            let head = group
                .heads
                .find(tag, |row| self.is_under(row, &masked, &group.mask));
            let Some(row) = self.first_fit(head.unwrap_or(NO_ROW), key) else {
                continue;
            };
            let Some(rank) = self.ranks.first(row) else {
                continue;
            };
            let better =
                best.is_none_or(|(priority, age, _)| (rank.priority, age) > (priority, rank.age));
            if better {
                best = Some((rank.priority, rank.age, row));
            }
        }
        best.map(|(.., row)| row)
    }

    /// The first row of a chain that matches a key. Chains are sorted: it is the best.
    #[inline]
    fn first_fit(&self, mut row: u32, key: &[u64]) -> Option<u32> {
        while row != NO_ROW {
            if self.fits(row, key) {
                return Some(row);
            }
            row = self.ranks.first(row)?.next;
        }
        None
    }

    /// True if a row matches a key, in all bits of its own mask and in its ranges.
    #[inline]
    fn fits(&self, row: u32, key: &[u64]) -> bool {
        let Some(class) = self.states.first(row) else {
            return false;
        };
        let Some(class) = self.groups.classes.get(class.class as usize) else {
            return false;
        };
        let masked = key.iter().zip(&class.mask).map(|(limb, mask)| limb & mask);
        masked.zip(self.key(row)).all(|(own, limb)| own == *limb) && self.in_ranges(row, key)
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
        let mut open = Lanes::of(lanes);
        let mut asked = Asked::new();
        for group in self.in_order() {
            let Some(mask) = group.mask.first_chunk::<N>() else {
                continue;
            };
            asked.ask(group, mask, open.as_slice(), |lane, limb| keys[limb][lane]);
            self.fetch(group, &mut asked);
            let settled = group.heads.settled();
            for lane in asked.likely.as_slice() {
                let lane = usize::from(*lane) % LANES;
                if asked.slots[lane] == 0 && settled {
                    continue;
                }
                let (tag, key) = (asked.tags[lane], &asked.masked[lane]);
                if let Some(row) = group.heads.find(tag, |row| self.has(row, key)) {
                    rows[lane] = row;
                }
            }
            open.keep(|lane| rows[lane] == NO_ROW);
            if open.as_slice().is_empty() {
                return;
            }
        }
    }

    /// As [`Rows::best`], one group after the other for the lanes that may find better there.
    fn best_lanes<const N: usize>(&self, keys: [&Row; N], lanes: &[u8], rows: &mut [u32; LANES]) {
        // The priority that the lane has, below all if none.
        let mut have = [i64::MIN; LANES];
        let mut open = Lanes::of(lanes);
        let mut asked = Asked::new();
        for (best, at) in &self.groups.visit {
            open.keep(|lane| have[lane] <= *best);
            if open.as_slice().is_empty() {
                return;
            }
            let group = &self.groups.groups[*at as usize];
            let Some(mask) = group.mask.first_chunk::<N>() else {
                continue;
            };
            asked.ask(group, mask, open.as_slice(), |lane, limb| keys[limb][lane]);
            self.fetch(group, &mut asked);
            let settled = group.heads.settled();
            for lane in asked.likely.as_slice() {
                let lane = usize::from(*lane) % LANES;
                if asked.slots[lane] == 0 && settled {
                    continue;
                }
                let (tag, key) = (asked.tags[lane], &asked.masked[lane]);
                let head = group.heads.find(tag, |row| self.has_under(row, key, mask));
                let own: [u64; N] = std::array::from_fn(|limb| keys[limb][lane]);
                let Some(row) = self.first_fit(head.unwrap_or(NO_ROW), &own) else {
                    continue;
                };
                let Some(rank) = self.ranks.first(row) else {
                    continue;
                };
                let priority = i64::from(rank.priority);
                let older = |row: u32| {
                    let other = self.ranks.first(row);
                    other.is_some_and(|other| rank.age < other.age)
                };
                if priority > have[lane] || (priority == have[lane] && older(rows[lane])) {
                    have[lane] = priority;
                    rows[lane] = row;
                }
            }
        }
    }

    /// What one lane waits for is fetched for all lanes first: the place in the index, then the row.
    #[inline]
    fn fetch<const N: usize>(&self, group: &Group, asked: &mut Asked<N>) {
        for lane in asked.likely.as_slice() {
            let lane = usize::from(*lane) % LANES;
            asked.slots[lane] = group.heads.touch(asked.tags[lane]);
        }
        let mut fetched = 0;
        for lane in asked.likely.as_slice() {
            let lane = usize::from(*lane) % LANES;
            if let Some(row) = Index::likely(asked.slots[lane], asked.tags[lane]) {
                fetched ^= self.words.number(row, 0).unwrap_or(0);
            }
        }
        std::hint::black_box(fetched);
    }
}

/// Some lanes of a vector.
#[derive(Clone, Copy)]
struct Lanes {
    lanes: [u8; LANES],
    count: usize,
}

impl Lanes {
    fn of(lanes: &[u8]) -> Self {
        let count = lanes.len().min(LANES);
        let mut own = [0; LANES];
        own[..count].copy_from_slice(&lanes[..count]);
        Self { lanes: own, count }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        &self.lanes[..self.count.min(LANES)]
    }

    #[inline]
    fn keep(&mut self, wanted: impl Fn(usize) -> bool) {
        let mut left = 0;
        for at in 0..self.count.min(LANES) {
            let lane = self.lanes[at];
            self.lanes[left % LANES] = lane;
            left += usize::from(wanted(usize::from(lane) % LANES));
        }
        self.count = left;
    }
}

/// What the lanes of a vector ask one group for.
struct Asked<const N: usize> {
    masked: [[u64; N]; LANES],
    tags: [u32; LANES],
    slots: [u64; LANES],
    /// Lanes for which the group may have a row.
    likely: Lanes,
}

impl<const N: usize> Asked<N> {
    fn new() -> Self {
        Self {
            masked: [[0; N]; LANES],
            tags: [0; LANES],
            slots: [0; LANES],
            likely: Lanes::of(&[]),
        }
    }

    #[inline]
    fn ask(
        &mut self,
        group: &Group,
        mask: &[u64; N],
        lanes: &[u8],
        key: impl Fn(usize, usize) -> u64,
    ) {
        let mut count = 0;
        for lane in lanes {
            let at = usize::from(*lane) % LANES;
            self.masked[at] = std::array::from_fn(|limb| key(at, limb) & mask[limb]);
            self.tags[at] = hash(&self.masked[at]);
            self.likely.lanes[count % LANES] = *lane;
            count += usize::from(group.heads.maybe(self.tags[at]));
        }
        self.likely.count = count;
    }
}

/// The limbs of a key under a mask.
pub(super) fn under(key: &[u64], mask: &Limbs, masked: &mut Limbs) {
    masked.clear();
    masked.extend(key.iter().zip(mask).map(|(limb, mask)| limb & mask));
}
