//! How headers lie in packets: one part for each limb of each field, in order.

use crate::ir::Slot;
use crate::layout::{HeaderLayout, Layout};
use crate::usage::Usage;

/// At most 64 bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Bit offset in the header, the varbit field taken as empty.
    pub(crate) at: u32,
    pub(crate) slot: Slot,
    pub(crate) bits: u8,
}

/// A header on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderWire {
    pub(crate) parts: Box<[Part]>,
    /// The parts that an extraction reads: those that the program reads or writes.
    pub(crate) wanted: Box<[Part]>,
    /// Where it lies in the packet, as `HeaderLayout::origin`; the bytes there are its own but for
    /// the parts that the program writes.
    pub(crate) origin: Option<(Slot, Box<[Part]>)>,
    /// How many parts come before the varbit field, and the field's slot.
    pub(crate) varbit: Option<(usize, Slot)>,
    /// Bits without the varbit field.
    pub(crate) fixed_bits: u32,
    /// Largest length in bytes with the varbit field.
    pub(crate) max_bytes: u32,
    pub(crate) valid: Slot,
    pub(crate) base: Slot,
    pub(crate) limbs: u16,
    /// The other headers of its union.
    pub(crate) rivals: Box<[Slot]>,
}

pub(crate) fn wires(layout: &Layout, usage: &Usage) -> Vec<HeaderWire> {
    layout
        .headers
        .iter()
        .zip(0u16..)
        .map(|(header, at)| wire(layout, header, usage, at))
        .collect()
}

fn wire(layout: &Layout, header: &HeaderLayout, usage: &Usage, at: u16) -> HeaderWire {
    let whole = usage.copied.contains(&at) || usage.written.has(header.valid);
    let mut parts = Vec::new();
    let mut varbit = None;
    let mut at = 0u32;
    for field in &header.fields {
        if field.varbit {
            varbit = Some((parts.len(), field.slot));
            continue;
        }
        for limb in (0..field.limbs).rev() {
            let bits = (field.bits - limb * 64).min(64);
            parts.push(Part {
                at,
                slot: field.slot + limb,
                bits: u8::try_from(bits).unwrap_or(64),
            });
            at += u32::from(bits);
        }
    }
    let rivals = header.union.map_or_else(Box::default, |union| {
        layout.unions[usize::from(union)]
            .headers
            .iter()
            .map(|other| layout.header(*other).valid)
            .filter(|valid| *valid != header.valid)
            .collect()
    });
    let written = |part: &&Part| usage.written.has(part.slot);
    let patches: Vec<Part> = parts.iter().filter(written).copied().collect();
    let origin = header.origin.filter(|_| !whole);
    let wanted = parts.iter().filter(|part| {
        origin.is_none() || usage.read.has(part.slot) || usage.written.has(part.slot)
    });
    HeaderWire {
        wanted: wanted.copied().collect(),
        origin: origin.map(|slot| (slot, patches.into())),
        parts: parts.into(),
        varbit,
        fixed_bits: header.fixed_bits,
        max_bytes: header.max_bytes,
        valid: header.valid,
        base: header.base,
        limbs: header.limbs,
        rivals,
    }
}
