//! Collects code: labels, constants, temporaries, and expressions turned into operations.

mod arith;
mod cast;
mod concat;
pub(crate) mod reference;
mod shift;
mod store;
mod truth;

use std::collections::HashMap;

use crate::error::{LoadError, SourceLocation};
use crate::ir::{Code, Note, Op, Pc, Slot};
use crate::layout::{Layout, SLOTS};
use crate::value::Value;

/// Why a piece of the program cannot be compiled, before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A construct that the engine does not do.
    Unsupported(String),
    /// A construct that makes no sense.
    Malformed(String),
    /// A name without declaration.
    Unresolved(&'static str, String),
    /// A bound of the engine.
    TooLarge(&'static str, usize, usize),
}

impl Fault {
    pub(crate) fn at(self, place: &str, location: Option<SourceLocation>) -> LoadError {
        match self {
            Self::Unsupported(construct) => LoadError::Unsupported {
                construct,
                place: place.to_owned(),
                location,
            },
            Self::Malformed(problem) => LoadError::Malformed {
                place: place.to_owned(),
                problem,
                location,
            },
            Self::Unresolved(kind, name) => LoadError::Unresolved {
                kind,
                name,
                referrer: place.to_owned(),
            },
            Self::TooLarge(what, have, limit) => LoadError::TooLarge { what, have, limit },
        }
    }
}

impl From<String> for Fault {
    fn from(problem: String) -> Self {
        Self::Malformed(problem)
    }
}

pub(crate) type Built<T> = Result<T, Fault>;

/// Constants of a program; each lies once in the register file.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    slots: HashMap<Vec<u64>, Slot>,
    values: Vec<u64>,
}

impl Pool {
    /// The constants in slot order, from `Layout::constants` on.
    pub(crate) fn values(&self) -> &[u64] {
        &self.values
    }
}

/// What is known of a computed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Exact, below 2^bits, limbs zero above.
    Unsigned(usize),
    /// Exact, two's complement of this many bits, sign in all limbs above.
    Signed(usize),
    /// Right modulo 2^bits, anything above.
    Low(usize),
}

/// A computed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Val {
    pub(crate) slot: Slot,
    pub(crate) limbs: usize,
    pub(crate) shape: Shape,
}

impl Val {
    /// Bits as a two's complement number; only for exact values.
    pub(crate) fn signed_bits(self) -> usize {
        match self.shape {
            Shape::Unsigned(bits) => bits + 1,
            Shape::Signed(bits) | Shape::Low(bits) => bits,
        }
    }

    /// Bits that are right.
    pub(crate) fn sound_bits(self, limbs: usize) -> usize {
        match self.shape {
            Shape::Low(bits) => bits,
            Shape::Unsigned(_) | Shape::Signed(_) => limbs * 64,
        }
    }

    pub(crate) fn unsigned(self) -> Option<usize> {
        match self.shape {
            Shape::Unsigned(bits) => Some(bits),
            Shape::Signed(_) | Shape::Low(_) => None,
        }
    }
}

/// Where a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: Slot,
    pub(crate) bits: usize,
    pub(crate) limbs: usize,
    pub(crate) signed: bool,
}

/// How exact a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// As the unbounded integer that bmv2 computes.
    Exact,
    /// Modulo 2^bits.
    Low(usize),
}

/// Code under construction.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) pool: &'a mut Pool,
    pub(crate) code: Code,
    /// Traced rendering: notes are kept.
    pub(crate) traced: bool,
    labels: Vec<Pc>,
    temporary: usize,
    registers: HashMap<String, (u16, u16)>,
    /// Parameters of the action that is being compiled: slot and bits.
    pub(crate) params: Vec<(Slot, u16)>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        layout: &'a Layout,
        pool: &'a mut Pool,
        traced: bool,
        registers: HashMap<String, (u16, u16)>,
    ) -> Self {
        Self {
            layout,
            pool,
            code: Code::default(),
            traced,
            labels: Vec::new(),
            temporary: layout.temporaries,
            registers,
            params: Vec::new(),
        }
    }

    /// A fresh label, to be bound later.
    pub(crate) fn label(&mut self) -> Pc {
        self.labels.push(Pc::MAX);
        Pc::try_from(self.labels.len() - 1).unwrap_or(Pc::MAX)
    }

    /// The next operation is where the label points.
    pub(crate) fn bind(&mut self, label: Pc) {
        let at = Pc::try_from(self.code.ops.len()).unwrap_or(Pc::MAX);
        if let Some(place) = self.labels.get_mut(label as usize) {
            *place = at;
        }
    }

    /// A label bound here.
    pub(crate) fn here(&mut self) -> Pc {
        let label = self.label();
        self.bind(label);
        label
    }

    pub(crate) fn emit(&mut self, op: Op) {
        self.code.ops.push(op);
    }

    /// Writes a note, in traced code.
    pub(crate) fn note(&mut self, note: impl FnOnce() -> Note) {
        if self.traced {
            let x = u32::try_from(self.code.notes.len()).unwrap_or(u32::MAX);
            self.code.notes.push(note());
            self.emit(Op::Note { x });
        }
    }

    /// Temporaries of the last statement are free again.
    pub(crate) fn end_statement(&mut self) {
        self.temporary = self.layout.temporaries;
    }

    /// Takes consecutive temporary slots.
    pub(crate) fn temporary(&mut self, limbs: usize) -> Built<Slot> {
        let at = self.temporary;
        if at + limbs > self.layout.constants {
            let limit = self.layout.constants - self.layout.temporaries;
            let have = at + limbs - self.layout.temporaries;
            return Err(Fault::TooLarge(
                "limbs of temporaries in one statement",
                have,
                limit,
            ));
        }
        self.temporary += limbs;
        Ok(Slot::try_from(at).unwrap_or(Slot::MAX))
    }

    /// The slots of a constant of this many limbs.
    pub(crate) fn constant(&mut self, value: &Value, limbs: usize) -> Built<Slot> {
        let limbs = (0..limbs.max(1)).map(|at| value.limb(at)).collect();
        self.constant_limbs(limbs)
    }

    /// The slots of a constant.
    pub(crate) fn constant_limbs(&mut self, limbs: Vec<u64>) -> Built<Slot> {
        if let Some(slot) = self.pool.slots.get(&limbs) {
            return Ok(*slot);
        }
        let at = self.layout.constants + self.pool.values.len();
        if at + limbs.len() > SLOTS {
            return Err(Fault::TooLarge(
                "limbs of constants",
                at + limbs.len(),
                SLOTS,
            ));
        }
        let slot = Slot::try_from(at).unwrap_or(Slot::MAX);
        self.pool.values.extend_from_slice(&limbs);
        self.pool.slots.insert(limbs, slot);
        Ok(slot)
    }

    /// The slot of a small constant.
    pub(crate) fn small(&mut self, number: u64) -> Built<Slot> {
        self.constant_limbs(vec![number])
    }

    /// The finished code; every label has become a position.
    pub(crate) fn finish(mut self) -> Built<Code> {
        if self.code.ops.len() >= Pc::MAX as usize {
            return Err(Fault::TooLarge(
                "operations",
                self.code.ops.len(),
                Pc::MAX as usize,
            ));
        }
        let labels = self.labels;
        let unbound = std::cell::Cell::new(false);
        let resolve = |label: &mut Pc| {
            if *label == crate::ir::NOWHERE {
                return;
            }
            match labels.get(*label as usize) {
                Some(at) if *at != Pc::MAX => *label = *at,
                _ => unbound.set(true),
            }
        };
        let code = &mut self.code;
        for op in &mut code.ops {
            op.target_mut().into_iter().for_each(resolve);
        }
        for select in &mut code.selects {
            resolve(&mut select.default);
            for case in &mut select.cases {
                match case {
                    crate::ir::SelectCase::Masked { to, .. }
                    | crate::ir::SelectCase::ValueSet { to, .. } => resolve(to),
                }
            }
        }
        for table in &mut code.tables {
            resolve(&mut table.no_default);
            for target in &mut table.targets {
                resolve(&mut target.action);
                resolve(&mut target.hit);
                resolve(&mut target.miss);
            }
        }
        let entries = [
            &mut code.parser,
            &mut code.verify,
            &mut code.ingress,
            &mut code.egress,
            &mut code.update,
        ];
        entries.into_iter().for_each(resolve);
        if unbound.get() {
            return Err(Fault::Malformed("a jump leads nowhere".to_owned()));
        }
        Ok(self.code)
    }

    /// Reads register arrays by name: index and bits.
    pub(crate) fn register(&self, name: &str) -> Built<(u16, u16)> {
        let found = self.registers.get(name).copied();
        found.ok_or_else(|| Fault::Unresolved("Register array", name.to_owned()))
    }
}

/// Limbs for this many bits, at least one.
pub(crate) fn limbs_for(bits: usize) -> usize {
    bits.div_ceil(64).max(1)
}
