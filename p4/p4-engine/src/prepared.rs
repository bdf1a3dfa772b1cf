//! Entries packed as their table keeps them, away from the engine: by whoever takes requests apart,
//! while the engine does something else, and with nothing allocated for most of them.

use crate::entry::{ActionCall, KeyPart};
use crate::ir::KeyPlace;
use crate::key::{Limbs, Packed, RangeCheck};
use crate::program::{ActionIndex, MatchKind, Program, TableIndex, TableSource};
use crate::state::{Args, RowAction, arg_limbs, gather_args, local};
use crate::wide::low;

/// Widest field and parameter.
const BITS: usize = 128;

/// What a field of a [`Prepared`] entry matches, in numbers of at most 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matches {
    /// Equal to this, in all bits.
    Equal(u128),
    /// The top bits are those of the value.
    Prefix {
        /// Value; bits below the prefix are zero.
        value: u128,
        /// Length of the prefix in bits.
        len: usize,
    },
    /// Equal to the value where the mask has ones.
    Masked {
        /// Value; bits outside of the mask are zero.
        value: u128,
        /// Mask.
        mask: u128,
    },
    /// Between the bounds, both included.
    Between {
        /// Lower bound.
        low: u128,
        /// Upper bound.
        high: u128,
    },
}

/// An entry of one table of one program, packed and checked.
///
/// It says the same as an [`Entry`](crate::Entry) that the engine would pack and check itself. Every
/// step gives `None` for what it cannot pack or what would be refused; whoever needs to know why
/// makes an `Entry` of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub(crate) table: TableIndex,
    pub(crate) priority: i32,
    pub(crate) packed: Packed,
    pub(crate) action: Option<Does>,
}

/// What a prepared entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Does {
    /// Position among the table's actions.
    local: usize,
    pub(crate) args: Args,
}

impl Does {
    pub(crate) fn word(&self) -> u64 {
        RowAction::Call(self.local).word()
    }
}

impl Prepared {
    /// An entry that matches anything, but zero in exact fields, and does nothing yet.
    #[must_use]
    pub fn new(program: &Program, table: TableIndex, priority: i32) -> Option<Self> {
        let info = program.tables().get(table.position())?;
        let layout = program.key_layout(table);
        let right = if info.needs_priority {
            priority > 0
        } else {
            priority == 0
        };
        if !right || info.source != TableSource::Direct || info.fields.is_empty() {
            return None;
        }
        let mut packed = Packed {
            value: Limbs::from_elem(0, layout.limbs),
            mask: Limbs::from_elem(0, layout.limbs),
            prefix_len: 0,
            ranges: Vec::new(),
        };
        for (field, place) in info.fields.iter().zip(&layout.places) {
            if field.bits > BITS {
                return None;
            }
            match field.kind {
                MatchKind::Exact => deposit(&mut packed.mask, ones(field.bits), *place),
                MatchKind::Range => packed.ranges.push(range(*place, 0, ones(field.bits))),
                MatchKind::Lpm | MatchKind::Ternary | MatchKind::Optional => {}
            }
        }
        Some(Self {
            table,
            priority,
            packed,
            action: None,
        })
    }

    /// Says what a field matches; each at most once.
    #[must_use]
    pub fn with(&mut self, program: &Program, field: usize, matches: Matches) -> Option<()> {
        let key = program.tables().get(self.table.position())?;
        let key = key.fields.get(field)?;
        let place = *program.key_layout(self.table).places.get(field)?;
        let all = ones(key.bits);
        let (value, mask) = match (matches, key.kind) {
            (Matches::Equal(value), MatchKind::Exact) => {
                if value > all {
                    return None;
                }
                // The mask is there from the beginning.
                deposit(&mut self.packed.value, value, place);
                return Some(());
            }
            (Matches::Equal(value), MatchKind::Ternary | MatchKind::Optional) => (value, all),
            (Matches::Masked { value, mask }, MatchKind::Ternary) => (value, mask),
            (Matches::Prefix { value, len }, MatchKind::Lpm) => {
                let rest = key.bits.checked_sub(len)?;
                self.packed.prefix_len = u16::try_from(len).ok()?;
                (
                    value,
                    if rest == BITS {
                        0
                    } else {
                        (all >> rest) << rest
                    },
                )
            }
            (Matches::Between { low, high }, MatchKind::Range) => {
                if low > high || high > all {
                    return None;
                }
                let own = range(place, low, high);
                let mut ranges = self.packed.ranges.iter_mut();
                let known = ranges.find(|range| range.limb == own.limb);
                *known? = own;
                return Some(());
            }
            _ => return None,
        };
        if mask > all || value & !mask != 0 {
            return None;
        }
        deposit(&mut self.packed.value, value, place);
        deposit(&mut self.packed.mask, mask, place);
        Some(())
    }

    /// Says what the entry does.
    #[must_use]
    pub fn does(
        &mut self,
        program: &Program,
        action: ActionIndex,
        args: impl ExactSizeIterator<Item = u128>,
    ) -> Option<()> {
        let info = program.tables().get(self.table.position())?;
        let local = local(info, action)?;
        let params = &program.actions().get(action.position())?.params;
        if params.len() != args.len() {
            return None;
        }
        let mut limbs = Args::new();
        for (param, arg) in params.iter().zip(args) {
            if param.bits > BITS || arg > ones(param.bits) {
                return None;
            }
            limbs.extend((0..param.bits.div_ceil(64)).map(|at| low(arg >> (64 * at))));
        }
        self.action = Some(Does { local, args: limbs });
        Some(())
    }

    /// The table that it is for.
    #[must_use]
    pub fn table(&self) -> TableIndex {
        self.table
    }

    /// Its match, as an entry has it.
    #[must_use]
    pub fn key(&self, program: &Program) -> Vec<KeyPart> {
        let Packed {
            value,
            mask,
            ranges,
            ..
        } = &self.packed;
        let info = program.table_info(self.table);
        crate::key::unpack(info, program.key_layout(self.table), value, mask, ranges)
    }

    /// What it does, as an entry has it.
    #[must_use]
    pub fn call(&self, program: &Program) -> Option<ActionCall> {
        let does = self.action.as_ref()?;
        let action = *program.table_info(self.table).actions.get(does.local)?;
        let args = gather_args(program, action, &does.args);
        Some(ActionCall { action, args })
    }

    /// Larger wins; zero for tables that need none.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// True if a table of this program can have it. One of another program may pass by chance, and
    /// is then some other entry.
    pub(crate) fn fits(&self, program: &Program) -> bool {
        let Some(info) = program.tables().get(self.table.position()) else {
            return false;
        };
        let action = |does: &Does| {
            let action = info.actions.get(does.local);
            action.is_some_and(|action| arg_limbs(program, *action) == does.args.len())
        };
        self.packed.value.len() == program.key_layout(self.table).limbs
            && info.source == TableSource::Direct
            && self.action.as_ref().is_none_or(action)
    }
}

fn ones(bits: usize) -> u128 {
    match bits {
        0 => 0,
        bits => u128::MAX >> (BITS - bits.min(BITS)),
    }
}

fn range(place: KeyPlace, from: u128, to: u128) -> RangeCheck {
    let limbs = (place.bits as usize).div_ceil(64);
    RangeCheck {
        limb: place.bit as usize / 64,
        low: (0..limbs).map(|at| low(from >> (64 * at))).collect(),
        high: (0..limbs).map(|at| low(to >> (64 * at))).collect(),
    }
}

/// Writes a field's value into its place.
#[inline]
fn deposit(limbs: &mut [u64], value: u128, place: KeyPlace) {
    let (at, shift) = (place.bit as usize / 64, place.bit % 64);
    let mut write = |at: usize, part: u64| {
        if let Some(limb) = limbs.get_mut(at) {
            *limb |= part;
        }
    };
    let shifted = value << shift;
    write(at, low(shifted));
    if place.bits + shift > 64 {
        write(at + 1, low(shifted >> 64));
    }
    if place.bits + shift > 128 {
        write(at + 2, low(value >> (128 - shift)));
    }
}
