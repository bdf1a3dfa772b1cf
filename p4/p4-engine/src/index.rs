//! A hash index from keys to rows: open addressing, eight bytes a place, and growth bit by bit.
//!
//! A place holds 32 bits of the key's hash and the row; the key itself lies in the row. The hash
//! says where a place belongs, so growing reads no row: all entries are carried over in order,
//! some with each insert, and no single insert waits for all of them. While that lasts, a lookup
//! that finds nothing in the new places looks in the old ones as well.

/// Places that an insert or a removal carries over.
const STEP: usize = 16;

/// Bits of the smallest index.
const MIN_BITS: u32 = 3;

const EMPTY: u64 = 0;
/// A place of the old part whose entry went over or away.
const GONE: u64 = u64::MAX;

/// Slots of a piece; a piece is made when the first entry comes to lie in it, so that a larger
/// index costs nothing at once.
const PIECE: usize = 1 << 12;

#[derive(Debug, Default)]
struct Places {
    pieces: Vec<Box<[u64]>>,
    bits: u32,
    /// A bit for each eighth of a place, set if an entry's hash says so; empty if not kept.
    filter: Vec<u64>,
}

impl Places {
    fn new(bits: u32, filtered: bool) -> Self {
        let count = (1usize << bits).div_ceil(PIECE);
        let words = if filtered {
            (1usize << bits).div_ceil(8)
        } else {
            0
        };
        Self {
            pieces: std::iter::repeat_with(Box::default).take(count).collect(),
            bits,
            filter: vec![0; words],
        }
    }

    /// The word and the bit of a hash in the filter.
    #[inline]
    fn bit(&self, tag: u32) -> (usize, u64) {
        let bit = tag >> (32 - (self.bits + 3).clamp(1, 32));
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    /// False if no entry has this hash.
    #[inline]
    fn maybe(&self, tag: u32) -> bool {
        let (word, bit) = self.bit(tag);
        self.filter.get(word).is_none_or(|word| word & bit != 0)
    }

    /// How many slots there are.
    #[inline]
    fn size(&self) -> usize {
        if self.pieces.is_empty() {
            0
        } else {
            1 << self.bits
        }
    }

    #[inline]
    fn at(&self, at: usize) -> u64 {
        let piece = self.pieces.get(at / PIECE);
        let slot = piece.and_then(|piece| piece.get(at % PIECE));
        slot.copied().unwrap_or(EMPTY)
    }

    fn set(&mut self, at: usize, slot: u64) {
        let room = self.size().min(PIECE);
        if let Some(piece) = self.pieces.get_mut(at / PIECE) {
            if piece.is_empty() {
                *piece = vec![EMPTY; room].into_boxed_slice();
            }
            piece[at % PIECE] = slot;
        }
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        // At most 31 bits, so the shift is below 32; no bits only while there are no slots.
        (tag >> (32 - self.bits.max(1))) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.size() - 1)
    }

    /// The place of the row that fits.
    #[inline]
    fn find(&self, tag: u32, mut fits: impl FnMut(u32) -> bool) -> Option<usize> {
        let mut at = self.home(tag);
        // There is always an empty place.
        loop {
            let slot = self.at(at);
            if slot == EMPTY {
                return None;
            }
            if slot >> 32 == u64::from(tag) && slot != GONE && fits(row_of(slot)) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn put(&mut self, slot: u64) {
        let (word, bit) = self.bit(tag_of(slot));
        if let Some(word) = self.filter.get_mut(word) {
            *word |= bit;
        }
        let mut at = self.home(tag_of(slot));
        while self.at(at) != EMPTY {
            at = self.after(at);
        }
        self.set(at, slot);
    }

    /// Empties a place; what stands behind it for want of room moves up.
    fn take_out(&mut self, mut hole: usize) {
        let mut at = self.after(hole);
        while self.at(at) != EMPTY {
            let home = self.home(tag_of(self.at(at)));
            let mask = self.size() - 1;
            // Unless it would come to lie before where it belongs.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.set(hole, self.at(at));
                hole = at;
            }
            at = self.after(at);
        }
        self.set(hole, EMPTY);
    }
}

/// Rows are kept one up, so that no slot of an entry is empty.
fn slot_of(tag: u32, row: u32) -> u64 {
    (u64::from(tag) << 32) | (u64::from(row) + 1)
}

#[inline]
fn row_of(slot: u64) -> u32 {
    let [a, b, c, d, ..] = slot.to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).wrapping_sub(1)
}

#[inline]
fn tag_of(slot: u64) -> u32 {
    let [.., a, b, c, d] = slot.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Rows by key. Rows below 2^32 - 2.
#[derive(Debug, Default)]
pub(crate) struct Index {
    now: Places,
    old: Option<Places>,
    /// Places of the old part that were carried over.
    carried: usize,
    len: usize,
    filtered: bool,
}

impl Index {
    /// With a filter that makes it cheap to find nothing, for one index of many that are asked.
    pub(crate) fn filtered() -> Self {
        Self {
            filtered: true,
            ..Self::default()
        }
    }

    /// False if nothing has this hash; true says little.
    #[inline]
    pub(crate) fn maybe(&self, tag: u32) -> bool {
        self.len > 0 && (self.now.maybe(tag) || self.old.as_ref().is_some_and(|old| old.maybe(tag)))
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first place of a hash, to have it at hand; what is there says nothing.
    #[inline]
    pub(crate) fn touch(&self, tag: u32) -> u64 {
        self.now.at(self.now.home(tag))
    }

    /// A row whose hash is this, if what [`Index::touch`] gave is one.
    #[inline]
    pub(crate) fn likely(slot: u64, tag: u32) -> Option<u32> {
        (slot >> 32 == u64::from(tag) && slot != EMPTY).then(|| row_of(slot))
    }

    /// True if nothing can be found whose first place is empty.
    #[inline]
    pub(crate) fn settled(&self) -> bool {
        self.old.is_none()
    }

    /// The row of a key.
    #[inline]
    pub(crate) fn find(&self, tag: u32, mut fits: impl FnMut(u32) -> bool) -> Option<u32> {
        if let Some(at) = self.now.find(tag, &mut fits) {
            return Some(row_of(self.now.at(at)));
        }
        let old = self.old.as_ref()?;
        old.find(tag, fits).map(|at| row_of(old.at(at)))
    }

    /// Adds the row of a key that is not there.
    pub(crate) fn insert(&mut self, tag: u32, row: u32) {
        self.carry();
        if (self.len + 1) * 4 > self.now.size() * 3 {
            // All old entries are over by now: there were enough inserts since.
            self.carry_all();
            let bits = (self.now.bits + 1).clamp(MIN_BITS, 28);
            let now = Places::new(bits, self.filtered);
            let old = std::mem::replace(&mut self.now, now);
            if old.size() > 0 {
                self.old = Some(old);
            }
            self.carried = 0;
        }
        self.now.put(slot_of(tag, row));
        self.len += 1;
    }

    /// Puts another row in the place of one.
    pub(crate) fn replace(&mut self, tag: u32, row: u32, by: u32) {
        let same = |other| other == row;
        if let Some(at) = self.now.find(tag, same) {
            self.now.set(at, slot_of(tag, by));
        } else if let Some(old) = &mut self.old
            && let Some(at) = old.find(tag, same)
        {
            old.set(at, slot_of(tag, by));
        }
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, tag: u32, row: u32) {
        let same = |other| other == row;
        if let Some(at) = self.now.find(tag, same) {
            self.now.take_out(at);
            self.len -= 1;
        } else if let Some(old) = &mut self.old
            && let Some(at) = old.find(tag, same)
        {
            old.set(at, GONE);
            self.len -= 1;
        }
        self.carry();
    }

    /// Carries some entries over; true if there is more to do.
    pub(crate) fn carry(&mut self) -> bool {
        let Some(old) = &mut self.old else {
            return false;
        };
        let end = (self.carried + STEP).min(old.size());
        for at in self.carried..end {
            let slot = old.at(at);
            if slot != EMPTY && slot != GONE {
                self.now.put(slot);
                old.set(at, GONE);
            }
        }
        self.carried = end;
        if end == old.size() {
            self.old = None;
        }
        self.old.is_some()
    }

    fn carry_all(&mut self) {
        while self.carry() {}
    }
}

#[cfg(test)]
mod tests {
    use super::Index;
    use proptest::prelude::*;

    /// Few hashes, so that places are fought for, at the end of the table as well.
    fn tag(key: u32) -> u32 {
        [0, 1, 0x8000_0000, u32::MAX, u32::MAX - 1][key as usize % 5]
    }

    proptest! {
        #[test]
        fn finds_what_is_in_it(filtered: bool, ops in prop::collection::vec((any::<bool>(), 0u32..40), 0..200)) {
            let mut index = if filtered { Index::filtered() } else { Index::default() };
            let mut model = std::collections::BTreeSet::new();
            for (insert, key) in ops {
                if insert && model.insert(key) {
                    index.insert(tag(key), key);
                } else if !insert && model.remove(&key) {
                    index.remove(tag(key), key);
                }
                prop_assert_eq!(index.is_empty(), model.is_empty());
                for key in 0..40 {
                    let found = index.find(tag(key), |row| row == key);
                    prop_assert_eq!(found, model.contains(&key).then_some(key));
                prop_assert!(found.is_none() || index.maybe(tag(key)));
                }
            }
        }
    }

    #[test]
    fn grows_without_losing_any() {
        let mut index = Index::default();
        let tag = |key: u32| key.wrapping_mul(0x9e37_79b1);
        for key in 0..100_000 {
            index.insert(tag(key), key);
            assert_eq!(
                index.find(tag(key / 2), |row| row == key / 2),
                Some(key / 2)
            );
        }
        for key in 0..100_000 {
            assert_eq!(index.find(tag(key), |row| row == key), Some(key));
        }
        index.replace(tag(7), 7, 100_007);
        assert_eq!(index.find(tag(7), |row| row > 100_000), Some(100_007));
    }
}
