//! One operation over the lanes of a group: all lanes in chunks where nobody else needs what lies
//! in the others, else lane by lane.

use super::{CHUNK, LANES, Mask, Row, Sheet, get, put};
use crate::ir::Slot;

const CHUNKS: usize = LANES / CHUNK;

#[inline]
fn part(row: &Row, chunk: usize) -> [u64; CHUNK] {
    row.as_chunks::<CHUNK>().0[chunk]
}

#[inline]
fn part_mut(row: &mut Row, chunk: usize) -> &mut [u64; CHUNK] {
    &mut row.as_chunks_mut::<CHUNK>().0[chunk]
}

/// Eight bytes of zero or one as eight bits, the first lowest.
#[inline]
fn gather(held: [u8; CHUNK]) -> Mask {
    let bits = u64::from_le_bytes(held).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    u32::try_from(bits).unwrap_or(0)
}

/// The places of the bits of each byte, and zeros.
static PLACES: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut count) = (0u8, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte][count] = bit;
                count += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

/// The lanes that are at the same operation.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) mask: Mask,
    /// No other lane has anything to keep.
    full: bool,
    count: usize,
    /// With room for the places of a whole byte behind the last.
    lanes: [u8; LANES + 8],
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            mask: 0,
            full: false,
            count: 0,
            lanes: [0; LANES + 8],
        }
    }

    /// `dead` are the lanes whose registers nobody needs any more.
    pub(super) fn set(&mut self, mask: Mask, dead: Mask) {
        self.mask = mask;
        self.full = mask | dead == Mask::MAX;
        self.count = 0;
        for (byte, base) in mask.to_le_bytes().into_iter().zip([0u8, 8, 16, 24]) {
            let places = PLACES[usize::from(byte)].map(|place| place + base);
            if let Some(room) = self.lanes.get_mut(self.count..self.count + 8) {
                room.copy_from_slice(&places);
            }
            self.count += byte.count_ones() as usize;
        }
    }

    /// True if no lane outside of the group has anything to keep.
    pub(super) fn everywhere(&self) -> bool {
        self.full
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
                let x = part(&sheet[a], chunk);
                *part_mut(&mut sheet[d], chunk) = x.map(&f);
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
                let (x, y) = (part(&sheet[a], chunk), part(&sheet[b], chunk));
                *part_mut(&mut sheet[d], chunk) = std::array::from_fn(|at| f(x[at], y[at]));
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
                let [x, y, z] = [a, b, c].map(|row| part(&sheet[row], chunk));
                *part_mut(&mut sheet[d], chunk) = std::array::from_fn(|at| f(x[at], y[at], z[at]));
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
                let (x, y) = (part(x, chunk), part(y, chunk));
                let held: [u8; CHUNK] = std::array::from_fn(|at| u8::from(f(x[at], y[at])));
                mask = (mask << CHUNK) | gather(held);
            }
            return mask & self.mask;
        }
        self.lanes()
            .iter()
            .map(|lane| Mask::from(f(get(x, *lane), get(y, *lane))) << (lane % 32))
            .fold(0, |mask, bit| mask | bit)
    }
}
