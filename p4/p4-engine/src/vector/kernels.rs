//! One operation over the lanes of a group: all lanes in chunks where nobody else needs what lies
//! in the others, else lane by lane.

use super::{CHUNK, LANES, Mask, Sheet, get, lanes_of, put};
use crate::ir::Slot;

const CHUNKS: usize = LANES / CHUNK;

/// The lanes that are at the same operation.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) mask: Mask,
    /// No other lane has anything to keep.
    full: bool,
    count: usize,
    lanes: [u8; LANES],
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            mask: 0,
            full: false,
            count: 0,
            lanes: [0; LANES],
        }
    }

    /// `dead` are the lanes whose registers nobody needs any more.
    pub(super) fn set(&mut self, mask: Mask, dead: Mask) {
        self.mask = mask;
        self.full = mask | dead == Mask::MAX;
        self.count = 0;
        for (to, lane) in self.lanes.iter_mut().zip(lanes_of(mask)) {
            *to = lane;
            self.count += 1;
        }
    }

    #[inline]
    pub(super) fn lanes(&self) -> &[u8] {
        &self.lanes[..self.count.min(LANES)]
    }

    /// `d = f(a)`.
    #[inline]
    pub(super) fn map(&self, sheet: &mut Sheet, d: Slot, a: Slot, f: impl Fn(u64) -> u64) {
        let (d, a) = (usize::from(d), usize::from(a));
        if self.full {
            for chunk in 0..CHUNKS {
                let x = sheet[a][chunk];
                sheet[d][chunk] = x.map(&f);
            }
            return;
        }
        for lane in self.lanes() {
            let limb = f(get(&sheet[a], *lane));
            put(&mut sheet[d], *lane, limb);
        }
    }

    /// `d = f(a, b)`.
    #[inline]
    pub(super) fn zip(
        &self,
        sheet: &mut Sheet,
        d: Slot,
        a: Slot,
        b: Slot,
        f: impl Fn(u64, u64) -> u64,
    ) {
        let (d, a, b) = (usize::from(d), usize::from(a), usize::from(b));
        if self.full {
            for chunk in 0..CHUNKS {
                let (x, y) = (sheet[a][chunk], sheet[b][chunk]);
                sheet[d][chunk] = std::array::from_fn(|at| f(x[at], y[at]));
            }
            return;
        }
        for lane in self.lanes() {
            let limb = f(get(&sheet[a], *lane), get(&sheet[b], *lane));
            put(&mut sheet[d], *lane, limb);
        }
    }

    /// `d = f(d, a)`, the shape of sums over several limbs.
    #[inline]
    pub(super) fn fold(&self, sheet: &mut Sheet, d: Slot, a: Slot, f: impl Fn(u64, u64) -> u64) {
        self.zip(sheet, d, d, a, f);
    }

    /// `d = f(a, b, c)`.
    #[inline]
    pub(super) fn zip3(
        &self,
        sheet: &mut Sheet,
        d: Slot,
        [a, b, c]: [Slot; 3],
        f: impl Fn(u64, u64, u64) -> u64,
    ) {
        let (d, a, b, c) = (
            usize::from(d),
            usize::from(a),
            usize::from(b),
            usize::from(c),
        );
        if self.full {
            for chunk in 0..CHUNKS {
                let (x, y, z) = (sheet[a][chunk], sheet[b][chunk], sheet[c][chunk]);
                sheet[d][chunk] = std::array::from_fn(|at| f(x[at], y[at], z[at]));
            }
            return;
        }
        for lane in self.lanes() {
            let limb = f(
                get(&sheet[a], *lane),
                get(&sheet[b], *lane),
                get(&sheet[c], *lane),
            );
            put(&mut sheet[d], *lane, limb);
        }
    }

    /// The same number in all lanes.
    #[inline]
    pub(super) fn fill(&self, sheet: &mut Sheet, d: Slot, number: u64) {
        let d = usize::from(d);
        if self.full {
            sheet[d] = super::row_of(number);
            return;
        }
        for lane in self.lanes() {
            put(&mut sheet[d], *lane, number);
        }
    }

    /// The lanes for which this holds.
    #[inline]
    pub(super) fn holds(
        &self,
        sheet: &Sheet,
        a: Slot,
        b: Slot,
        f: impl Fn(u64, u64) -> bool,
    ) -> Mask {
        let (x, y) = (&sheet[usize::from(a)], &sheet[usize::from(b)]);
        if self.count > LANES / 2 {
            let mut mask: Mask = 0;
            for chunk in (0..CHUNKS).rev() {
                let mut bits = 0;
                for at in (0..CHUNK).rev() {
                    bits = (bits << 1) | Mask::from(f(x[chunk][at], y[chunk][at]));
                }
                mask = (mask << CHUNK) | bits;
            }
            return mask & self.mask;
        }
        self.lanes()
            .iter()
            .map(|lane| Mask::from(f(get(x, *lane), get(y, *lane))) << (lane % 32))
            .fold(0, |mask, bit| mask | bit)
    }
}
