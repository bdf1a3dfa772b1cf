//! Hashes and checksums of the lanes of a group.

use super::run::Lanes;
use super::{Column, LANES, get, lanes_of, row_of};
use crate::exec::external::calculate;
use crate::hash;
use crate::ir::{CalculationCode, MAX_WORDS};

impl Lanes<'_, '_> {
    /// The hash or checksum of each lane of the group.
    #[inline(never)]
    pub(super) fn calculate(&mut self, code: &CalculationCode) -> [u64; LANES] {
        let mut sums = [0u64; LANES];
        let mut rest = self.group.mask;
        if let Some(sum) = &code.sum {
            let mut there = self.group.mask;
            for guard in &sum.guards {
                there &= self.group.holds(self.sheet, *guard, *guard, |x, _| x != 0);
            }
            for (slot, by, wide) in &sum.terms {
                let row = &self.sheet[usize::from(*slot)];
                if *wide {
                    for (sum, limb) in sums.iter_mut().zip(row) {
                        *sum = sum.wrapping_add(hash::term_of(*limb, *by));
                    }
                } else {
                    let by = u32::from(*by);
                    for (sum, limb) in sums.iter_mut().zip(row) {
                        *sum = sum.wrapping_add(limb.wrapping_shl(by));
                    }
                }
            }
            for lane in lanes_of(there) {
                let total = sums[usize::from(lane)].wrapping_add(sum.constant);
                sums[usize::from(lane)] = u64::from(hash::fold16(total));
            }
            rest &= !there;
        }
        if let Some(words) = &code.words {
            let mut there = self.group.mask;
            for guard in &words.guards {
                there &= self.group.holds(self.sheet, *guard, *guard, |x, _| x != 0);
            }
            // A limb of all lanes at a time, then all limbs of a lane.
            let count = words.constants.len().min(MAX_WORDS);
            let rows = self.keys.get_mut(..count).unwrap_or_default();
            for (row, constant) in rows.iter_mut().zip(&words.constants) {
                *row = row_of(*constant);
            }
            for part in &words.parts {
                let from = &self.sheet[usize::from(part.src)];
                let by = u32::from(part.shift.unsigned_abs());
                let Some(to) = rows.get_mut(usize::from(part.limb)) else {
                    continue;
                };
                for (to, from) in to.iter_mut().zip(from) {
                    *to |= if part.shift >= 0 {
                        from.wrapping_shl(by)
                    } else {
                        from.wrapping_shr(by)
                    };
                }
            }
            for lane in lanes_of(there) {
                let mut limbs = [0u64; MAX_WORDS];
                let limbs = &mut limbs[..count];
                for (limb, row) in limbs.iter_mut().zip(&*rows) {
                    *limb = get(row, lane);
                }
                sums[usize::from(lane)] = code.algorithm.of_words(limbs, words.bytes);
            }
            rest &= !there;
        }
        for lane in lanes_of(rest) {
            let at = usize::from(lane);
            let column = Column {
                sheet: self.sheet,
                lane,
            };
            let pass = &self.passes[at];
            sums[at] = calculate(code, &column, self.program, pass, self.scratch);
        }
        sums
    }
}
