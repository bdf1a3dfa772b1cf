//! The compiled form: a flat list of small typed operations over a flat register file.
//!
//! Every field, validity bit, stack index, constant, action parameter and temporary has a place
//! (slot) in one file of 64-bit limbs; wider values take consecutive slots, least significant
//! first. A field's limbs are always zero above its width. Operations name slots and nothing
//! else, so the same list runs packet by packet and, operation by operation, over a vector of
//! packets with the file as structure of arrays.
//!
//! One long file: the operations are one vocabulary, read as a whole by all that make or run them.

use crate::value::Value;

/// A place in the register file.
pub(crate) type Slot = u16;

/// Position in [`Code::ops`]; while building, a label.
pub(crate) type Pc = u32;

/// Limbs of a calculation that is done by limbs.
pub(crate) const MAX_WORDS: usize = 16;

/// No code: an empty action.
pub(crate) const NOWHERE: Pc = Pc::MAX;

/// One operation. `d` is written, the others are read; one limb unless it has `n` (limbs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Copy {
        d: Slot,
        a: Slot,
    },
    Add {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Sub {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Mul {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    And {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Or {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Xor {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    /// Shift amounts of 64 and more give zero.
    Shl {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Shr {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Sar {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Eq {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Ne {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Lt {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Le {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    SignedLt {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    SignedLe {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    /// `c` not zero picks `a`.
    Select {
        d: Slot,
        c: Slot,
        a: Slot,
        b: Slot,
    },
    /// Copies bit `bits - 1` into all bits above.
    SignExtend {
        d: Slot,
        a: Slot,
        bits: u16,
    },

    CopyN {
        d: Slot,
        a: Slot,
        n: u16,
    },
    AddN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    SubN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    MulN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    AndN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    OrN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    XorN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    /// The shift amount is one limb.
    ShlN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    ShrN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    SarN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    /// The result is one limb.
    EqN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    LtN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    SignedLtN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    SelectN {
        d: Slot,
        c: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    /// From `from` limbs to `n`, zeros above.
    ZeroExtendN {
        d: Slot,
        a: Slot,
        from: u16,
        n: u16,
    },
    /// From bit `bits - 1` to `n` limbs, copies of that bit above.
    SignExtendN {
        d: Slot,
        a: Slot,
        bits: u16,
        n: u16,
    },
    /// Unsigned; division by zero gives zero.
    DivN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    RemN {
        d: Slot,
        a: Slot,
        b: Slot,
        n: u16,
    },
    /// Any limb of `a` set: saturates a shift amount of `n` limbs to one limb.
    NarrowN {
        d: Slot,
        a: Slot,
        n: u16,
    },

    /// `bits` (at most 64) bits of the limbs at `a`, from bit `shift` (below 64) up.
    Slice {
        d: Slot,
        a: Slot,
        shift: u8,
        bits: u8,
    },
    /// `n` limbs put together from moves `x`.
    Pack {
        d: Slot,
        x: u16,
        n: u16,
    },

    /// Element `i` of access `x`; zero beyond the end.
    LoadIndexed {
        d: Slot,
        x: u16,
        i: Slot,
        n: u16,
    },
    /// Beyond the end nothing is written.
    StoreIndexed {
        x: u16,
        i: Slot,
        a: Slot,
        n: u16,
    },

    Jump {
        to: Pc,
    },
    JumpIfZero {
        a: Slot,
        to: Pc,
    },
    JumpIfNotZero {
        a: Slot,
        to: Pc,
    },
    JumpIfEq {
        a: Slot,
        b: Slot,
        to: Pc,
    },
    JumpIfNe {
        a: Slot,
        b: Slot,
        to: Pc,
    },
    /// Look up, run the action, go on where the action or the result says.
    Apply {
        table: u16,
    },
    /// End of an action.
    Return,
    /// `exit`: end of the pipeline from inside an action.
    Exit,
    /// End of a pipeline, a parser or a checksum list.
    End,
    /// Writes down note `x`; in traced code only.
    Note {
        x: u32,
    },

    /// `setValid` of P4: fields read as zero if the header was not valid.
    SetValid {
        h: u16,
    },
    SetInvalid {
        h: u16,
    },
    CopyHeader {
        d: u16,
        a: u16,
    },
    /// 1 if both are valid and all fields are equal.
    HeaderEq {
        d: Slot,
        a: u16,
        b: u16,
    },
    /// 1 if two varbit fields have the same bits.
    VarbitEq {
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Push {
        stack: u16,
        count: u16,
    },
    Pop {
        stack: u16,
        count: u16,
    },

    Extract {
        h: u16,
    },
    ExtractNext {
        stack: u16,
    },
    ExtractUnionNext {
        stack: u16,
        member: u16,
    },
    /// `len` holds the bits of the varbit field.
    ExtractVarbit {
        h: u16,
        len: Slot,
    },
    ExtractVarbitNext {
        stack: u16,
        len: Slot,
    },
    ExtractVarbitUnionNext {
        stack: u16,
        member: u16,
        len: Slot,
    },
    /// Bits to skip.
    Advance {
        a: Slot,
    },
    /// `bits` bits at bit offset `at` beyond the cursor.
    Lookahead {
        d: Slot,
        at: u16,
        bits: u16,
    },
    /// Not `c` ends the parser with error code `e`.
    Verify {
        c: Slot,
        e: Slot,
    },
    /// `transition select`.
    SelectState {
        x: u16,
    },

    Count {
        counter: u16,
        i: Slot,
    },
    RegisterRead {
        d: Slot,
        register: u16,
        i: Slot,
    },
    RegisterWrite {
        register: u16,
        i: Slot,
        a: Slot,
    },
    /// One limb: the colour.
    Meter {
        d: Slot,
        meter: u16,
        i: Slot,
    },
    /// One limb: the calculation's result.
    Calculate {
        d: Slot,
        x: u16,
    },
    /// `base + hash % size`, size 0 taken as 1.
    Hash {
        d: Slot,
        base: Slot,
        x: u16,
        size: Slot,
    },
    /// Between the bounds, both included; untouched if they cross.
    Random {
        d: Slot,
        low: Slot,
        high: Slot,
    },
    Digest {
        list: u16,
    },
    Clone {
        session: Slot,
        list: u16,
    },
    Resubmit {
        list: u16,
    },
    Recirculate {
        list: u16,
    },
    Truncate {
        a: Slot,
    },
    MarkToDrop {
        x: u16,
    },
    Log {
        x: u16,
    },
    /// Not `c` drops the packet.
    Assert {
        c: Slot,
        x: u16,
    },
}

impl Op {
    /// Where a jump goes; none of any other operation.
    pub(crate) fn target_mut(&mut self) -> Option<&mut Pc> {
        match self {
            Self::Jump { to }
            | Self::JumpIfZero { to, .. }
            | Self::JumpIfNotZero { to, .. }
            | Self::JumpIfEq { to, .. }
            | Self::JumpIfNe { to, .. } => Some(to),
            _ => None,
        }
    }
}

/// One move of a limb of a key field into the packed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyMove {
    /// Where the limb is.
    pub(crate) src: Slot,
    /// Read as zero if this slot is zero (validity); slot of the constant 1 if always valid.
    pub(crate) guard: Slot,
    /// Static mask of the table's key.
    pub(crate) mask: u64,
    /// Limb of the packed key.
    pub(crate) limb: u16,
    /// Bits to shift left, or right when negative.
    pub(crate) shift: i8,
}

/// One limb that goes into a value put together from several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deposit {
    pub(crate) src: Slot,
    /// Limb of the result.
    pub(crate) limb: u16,
    /// Bits to shift left, or right when negative.
    pub(crate) shift: i8,
}

/// Where a key field lies in the packed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPlace {
    /// First bit.
    pub(crate) bit: u32,
    /// Width in bits.
    pub(crate) bits: u32,
}

/// What follows an action of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The action's code, or [`NOWHERE`].
    pub(crate) action: Pc,
    /// Where to go on after a hit.
    pub(crate) hit: Pc,
    /// Where to go on after a miss.
    pub(crate) miss: Pc,
    /// First parameter slot.
    pub(crate) params: Slot,
    /// Limbs of all parameters.
    pub(crate) limbs: u16,
    /// All that the action does, if it only hands over arguments and constants.
    pub(crate) copies: Option<Box<[(Slot, Source)]>>,
}

/// What a slot is given by an action that only hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Limb of the arguments.
    Argument(u16),
    /// A constant.
    Number(u64),
}

impl Source {
    /// The limb, given the arguments.
    #[inline]
    pub(crate) fn limb(self, args: &[u64]) -> u64 {
        match self {
            Self::Argument(at) => args.get(usize::from(at)).copied().unwrap_or(0),
            Self::Number(number) => number,
        }
    }
}

/// A table's part of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableCode {
    /// How to pack the key.
    pub(crate) moves: Vec<KeyMove>,
    /// Limbs of the packed key.
    pub(crate) key_limbs: u16,
    /// One for each of the table's actions, in the order of `TableInfo::actions`.
    pub(crate) targets: Vec<Target>,
    /// Where to go on after a miss without default action.
    pub(crate) no_default: Pc,
    /// Where a direct meter's colour goes, with its width mask.
    pub(crate) meter: Option<(u16, Slot, u64)>,
    /// The calculation that picks members of a selector.
    pub(crate) selector: Option<u16>,
}

/// One part of a select key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelectPart {
    /// A field.
    Slot { src: Slot, bits: u16 },
    /// A field of the last element of a stack: access and stack index slot.
    Last { access: u16, next: Slot, bits: u16 },
    /// Bits beyond the cursor.
    Lookahead { at: u16, bits: u16 },
}

impl SelectPart {
    pub(crate) fn bits(self) -> u16 {
        match self {
            Self::Slot { bits, .. } | Self::Last { bits, .. } | Self::Lookahead { bits, .. } => {
                bits
            }
        }
    }
}

/// One case of a select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SelectCase {
    /// Key and mask over the packed key.
    Masked {
        value: Vec<u64>,
        mask: Vec<u64>,
        to: Pc,
    },
    /// Member of a value set, under a mask.
    ValueSet {
        set: u16,
        mask: Option<Vec<u64>>,
        to: Pc,
    },
}

/// A `transition select`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SelectCode {
    pub(crate) parts: Vec<SelectPart>,
    /// Limbs of the packed key: each part starts at a byte, the last is least significant.
    pub(crate) limbs: u16,
    pub(crate) cases: Vec<SelectCase>,
    /// Without match.
    pub(crate) default: Pc,
}

/// One input of a calculation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CalculationInput {
    /// A field; skipped if the guard slot is zero.
    Field {
        src: Slot,
        bits: u16,
        varbit: bool,
        guard: Slot,
    },
    /// A constant.
    Constant { value: Value, bits: u16 },
    /// A header, if valid.
    Header(u16),
}

/// A hash or checksum over fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CalculationCode {
    pub(crate) algorithm: crate::hash::Algorithm,
    pub(crate) inputs: Vec<CalculationInput>,
    pub(crate) payload: bool,
    /// The same as a sum of words, for an internet checksum over fields whose places are known.
    pub(crate) sum: Option<SumCode>,
    /// The same as whole limbs, for a CRC over fields whose places are known.
    pub(crate) words: Option<WordsCode>,
}

/// The bytes of a calculation as limbs, least significant first, zeros above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WordsCode {
    /// Validity slots; if one is zero, fields are missing and the places are others.
    pub(crate) guards: Vec<Slot>,
    pub(crate) parts: Vec<Deposit>,
    /// What constants put into the limbs.
    pub(crate) constants: Vec<u64>,
    pub(crate) bytes: usize,
}

/// An internet checksum without putting the bytes together: each limb of each field counts with
/// the power of two that its place in its 16-bit word gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SumCode {
    /// Validity slots; if one is zero, fields are missing and the places are others.
    pub(crate) guards: Vec<Slot>,
    /// Slot, bits to shift left (below 16), and whether the limb has more than 32 bits.
    pub(crate) terms: Vec<(Slot, u8, bool)>,
    /// What constants add.
    pub(crate) constant: u64,
}

/// Fields that survive a clone, resubmit or recirculate, or that a digest has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldListCode {
    /// Slot and limbs of each.
    pub(crate) fields: Vec<(Slot, u16)>,
}

/// What `mark_to_drop` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DropCode {
    pub(crate) egress_spec: Slot,
    pub(crate) mcast_grp: Option<Slot>,
}

/// A `log_msg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogCode {
    pub(crate) format: String,
    /// Slot and limbs of each argument.
    pub(crate) args: Vec<(Slot, u16)>,
}

/// What traced code writes down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    State(String),
    Condition { text: String, result: bool },
    Action(String),
    Primitive { op: String, place: String },
}

/// One compiled rendering of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) ops: Vec<Op>,
    pub(crate) parser: Pc,
    pub(crate) verify: Pc,
    pub(crate) ingress: Pc,
    pub(crate) egress: Pc,
    pub(crate) update: Pc,
    pub(crate) tables: Vec<TableCode>,
    pub(crate) selects: Vec<SelectCode>,
    pub(crate) accesses: Vec<Box<[Slot]>>,
    pub(crate) packs: Vec<Box<[Deposit]>>,
    pub(crate) calculations: Vec<CalculationCode>,
    pub(crate) field_lists: Vec<FieldListCode>,
    pub(crate) drops: Vec<DropCode>,
    pub(crate) logs: Vec<LogCode>,
    pub(crate) asserts: Vec<String>,
    pub(crate) notes: Vec<Note>,
}
