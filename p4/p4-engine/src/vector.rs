//! Runs code over a vector of packets at once, operation by operation.
//!
//! Each slot of the register file is a row with one limb a packet (lane). An operation is decoded
//! once for all packets that are at it, and what they fetch from memory is fetched together.
//! Packets that take different ways wait in groups; the group that is furthest behind runs first,
//! and since code is in topological order (`order.rs`) groups meet where their ways do.
//!
//! State stays as if the packets had come one by one: reads of registers are noted, writes and
//! counts are kept back (`journal.rs`). At the end the packets take effect in their order, up to
//! the first that read what an earlier one wrote, or that did something that has no place here
//! (clones, digests, meters, random numbers); from there the caller goes on anew.

mod apply;
mod hashes;
mod journal;
mod kernels;
mod parse;
mod run;

use std::ops::{Index, IndexMut};

pub(crate) use journal::Journal;
pub(crate) use run::Lanes;

use crate::ir::Pc;
use crate::layout::SLOTS;
use crate::lower::MAX_KEY_LIMBS;
use crate::output::OutputFrame;
use crate::program::Program;

/// Packets of a vector.
pub(crate) const LANES: usize = 32;

/// Lanes that are computed together.
pub(crate) const CHUNK: usize = 8;

/// A set of lanes, one bit each.
pub(crate) type Mask = u32;

/// One limb of each packet.
pub(crate) type Row = [u64; LANES];

/// The register file of a vector. Pages that no slot of a program lies in are never touched.
pub(crate) type Sheet = [Row; SLOTS];

/// A row of one number.
pub(crate) fn row_of(number: u64) -> Row {
    [number; LANES]
}

/// The first `count` lanes.
pub(crate) fn first(count: usize) -> Mask {
    match u32::try_from(count) {
        Ok(count) if count < Mask::BITS => (1 << count) - 1,
        _ => Mask::MAX,
    }
}

/// The limb of a lane; lanes beyond the end wrap.
#[inline]
pub(crate) fn get(row: &Row, lane: u8) -> u64 {
    row[usize::from(lane) % LANES]
}

/// Writes the limb of a lane.
#[inline]
pub(crate) fn put(row: &mut Row, lane: u8, limb: u64) {
    row[usize::from(lane) % LANES] = limb;
}

/// Lanes of a set, lowest first.
pub(crate) fn lanes_of(mut mask: Mask) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let lane = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        u8::try_from(lane)
            .ok()
            .filter(|lane| usize::from(*lane) < LANES)
    })
}

/// The registers of one packet of a vector.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    pub(crate) sheet: &'a mut Sheet,
    pub(crate) lane: u8,
}

impl Index<usize> for Column<'_> {
    type Output = u64;

    #[inline]
    fn index(&self, slot: usize) -> &u64 {
        &self.sheet[slot][usize::from(self.lane) % LANES]
    }
}

impl IndexMut<usize> for Column<'_> {
    #[inline]
    fn index_mut(&mut self, slot: usize) -> &mut u64 {
        &mut self.sheet[slot][usize::from(self.lane) % LANES]
    }
}

/// What an engine keeps for its vectors.
#[derive(Debug)]
pub(crate) struct Vector {
    pub(crate) sheet: Box<Sheet>,
    pub(crate) journal: Journal,
    pub(crate) waiting: Vec<(Pc, Mask)>,
    pub(crate) back: [Pc; LANES],
    /// Packed keys of a table.
    pub(crate) keys: Vec<Row>,
    /// What each packet sends.
    pub(crate) frames: Vec<OutputFrame>,
    /// Packets to run one by one before the next vector.
    pub(crate) pause: u32,
    /// How long the last pause was.
    pub(crate) doubt: u32,
}

impl Vector {
    pub(crate) fn new(program: &Program) -> Self {
        let rows = vec![[0u64; LANES]; SLOTS].into_boxed_slice();
        // The length is that of the type, so the conversion cannot fail.
        let mut sheet: Box<Sheet> = rows
            .try_into()
            .unwrap_or_else(|_| Box::new([row_of(0); SLOTS]));
        let at = program.layout.constants;
        for (row, value) in sheet[at..].iter_mut().zip(&program.constants) {
            *row = row_of(*value);
        }
        Self {
            sheet,
            journal: Journal::default(),
            waiting: Vec::new(),
            back: [0; LANES],
            keys: vec![row_of(0); MAX_KEY_LIMBS],
            frames: vec![OutputFrame::default(); LANES],
            pause: 0,
            doubt: 0,
        }
    }
}
