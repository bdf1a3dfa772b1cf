//! What a vector of packets would do to state, kept back until it is known that each packet saw
//! the state that the packets before it left.

use super::{LANES, Mask, first, lanes_of};
use crate::state::State;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A row of a table.
    Hit,
    /// The default action of a table.
    Miss,
    /// A cell of a counter array.
    Count,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    event: Event,
    lane: u8,
    /// Table or counter array.
    object: u16,
    /// Row or cell.
    cell: u32,
}

#[derive(Clone, Copy, Debug)]
struct Access {
    lane: u8,
    register: u16,
    cell: u32,
    /// First limb among the written values.
    at: usize,
}

impl Access {
    fn meets(&self, other: &Self) -> bool {
        self.register == other.register && self.cell == other.cell
    }

    /// A bit of the filter over written cells.
    fn bit(&self) -> (usize, u64) {
        let mixed = (self.cell ^ (u32::from(self.register) << 24)).wrapping_mul(0x9e37_79b1);
        let bit = mixed >> (32 - FILTER_BITS);
        ((bit / 64) as usize, 1 << (bit % 64))
    }
}

const FILTER_BITS: u32 = 11;

/// The notes of one vector.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    counts: Vec<Count>,
    reads: Vec<Access>,
    writes: Vec<Access>,
    values: Vec<u64>,
    writers: Mask,
}

impl Journal {
    pub(crate) fn clear(&mut self) {
        self.counts.clear();
        self.reads.clear();
        self.writes.clear();
        self.values.clear();
        self.writers = 0;
    }

    #[inline]
    pub(crate) fn count(&mut self, event: Event, lane: u8, object: u16, cell: u32) {
        self.counts.push(Count {
            event,
            lane,
            object,
            cell,
        });
    }

    /// Notes a read; what the packet itself has written there, if it has.
    #[inline]
    pub(crate) fn read(
        &mut self,
        lane: u8,
        register: u16,
        cell: u32,
        limbs: usize,
    ) -> Option<&[u64]> {
        let access = Access {
            lane,
            register,
            cell,
            at: 0,
        };
        self.reads.push(access);
        if self.writers >> lane & 1 == 0 {
            return None;
        }
        let mut own = self.writes.iter().rev();
        let own = own.find(|write| write.lane == lane && write.meets(&access))?;
        self.values.get(own.at..own.at + limbs)
    }

    pub(crate) fn write(
        &mut self,
        lane: u8,
        register: u16,
        cell: u32,
        value: impl Iterator<Item = u64>,
    ) {
        self.writes.push(Access {
            lane,
            register,
            cell,
            at: self.values.len(),
        });
        self.values.extend(value);
        self.writers |= 1 << lane;
    }

    /// The first lane that read a cell which a lane before it writes.
    pub(crate) fn conflict(&self) -> Option<u8> {
        if self.writers == 0 {
            return None;
        }
        let mut filter = [0u64; 1 << (FILTER_BITS - 6)];
        for write in &self.writes {
            let (word, bit) = write.bit();
            filter[word] |= bit;
        }
        let stale = |read: &&Access| {
            let (word, bit) = read.bit();
            filter[word] & bit != 0
                && self
                    .writes
                    .iter()
                    .any(|write| write.lane < read.lane && write.meets(read))
        };
        self.reads.iter().filter(stale).map(|read| read.lane).min()
    }

    /// Lets the first `lanes` packets take effect; `bytes` is what each counts.
    pub(crate) fn commit(
        &mut self,
        state: &mut State,
        lanes: usize,
        bytes: &[u64; LANES],
        now_us: u64,
    ) {
        for one in &self.counts {
            let lane = usize::from(one.lane);
            if lane >= lanes {
                continue;
            }
            let (object, bytes) = (usize::from(one.object), bytes[lane % LANES]);
            match one.event {
                Event::Hit => state.tables[object].rows.hit(one.cell, bytes, now_us),
                Event::Miss => state.tables[object].default_counter.add(bytes),
                Event::Count => {
                    if let Some(cell) = state.counters[object].get_mut(one.cell as usize) {
                        cell.add(bytes);
                    }
                }
            }
        }
        for lane in lanes_of(self.writers & first(lanes)) {
            for write in self.writes.iter().filter(|write| write.lane == lane) {
                let array = &mut state.registers[usize::from(write.register)];
                let at = write.cell as usize * array.limbs;
                let from = &self.values[write.at..write.at + array.limbs];
                array.cells[at..at + array.limbs].copy_from_slice(from);
            }
        }
    }
}
