//! Runs code over one packet.
//!
//! The file of registers is an array of 2^16 limbs, so a 16-bit slot never needs a bounds check.
//! Nothing here allocates for a packet, except wide divisions and traces.

pub(crate) mod apply;
pub(crate) mod compute;
pub(crate) mod external;
pub(crate) mod headers;
mod notes;

use crate::ir::{Code, Op, Pc};
use crate::layout::SLOTS;
use crate::lower::MAX_KEY_LIMBS;
use crate::program::Program;
use crate::state::State;
use crate::trace::{DropReason, Trace, TraceEvent};
use crate::wide::{self, File, Registers};

/// The registers and scratch room of one thread of execution.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) file: Box<File>,
    pub(crate) key: [u64; MAX_KEY_LIMBS],
    pub(crate) scratch: Vec<u8>,
}

impl Machine {
    pub(crate) fn new(program: &Program) -> Self {
        let limbs = vec![0u64; SLOTS].into_boxed_slice();
        // The length is that of the type, so the conversion cannot fail.
        let mut file: Box<File> = limbs.try_into().unwrap_or_else(|_| Box::new([0; SLOTS]));
        let at = program.layout.constants;
        for (slot, value) in file[at..].iter_mut().zip(&program.constants) {
            *slot = *value;
        }
        Self {
            file,
            key: [0; MAX_KEY_LIMBS],
            scratch: Vec::new(),
        }
    }
}

/// What one pass of a packet carries besides the registers.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    /// The packet as it came into this pass.
    pub(crate) data: &'a [u8],
    /// Bytes parsed.
    pub(crate) cursor: usize,
    pub(crate) now_us: u64,
    /// Length of the packet when it came in; counters and meters use it.
    pub(crate) ingress_length: u64,
    /// Length as `setValid` and `setInvalid` changed it (`packet_length` of egress).
    pub(crate) length: u64,
    pub(crate) parser_error: Option<u64>,
    /// Clone session and field list.
    pub(crate) clone: Option<(u16, u16)>,
    pub(crate) digest: Option<u16>,
    pub(crate) resubmit: Option<u16>,
    pub(crate) recirculate: Option<u16>,
    pub(crate) truncate: Option<usize>,
    /// The packet must be dropped; with the assertion that failed.
    pub(crate) failed: Option<(DropReason, Option<u16>)>,
    /// The port that means drop.
    pub(crate) drop_port: u64,
    /// Steps left before the packet is taken for endless.
    pub(crate) steps: u32,
}

/// Code, program and state of a run.
pub(crate) struct Run<'a, R: ?Sized = File> {
    pub(crate) program: &'a Program,
    pub(crate) code: &'a Code,
    pub(crate) state: &'a mut State,
    pub(crate) file: &'a mut R,
    pub(crate) key: &'a mut [u64; MAX_KEY_LIMBS],
    pub(crate) scratch: &'a mut Vec<u8>,
    pub(crate) trace: &'a mut Trace,
}

/// What an operation outside of the plain ones asks for.
pub(crate) enum Flow {
    Next,
    Goto(Pc),
    Stop,
}

impl<R: Registers + ?Sized> Run<'_, R> {
    /// Runs from `start` to the end of the pipeline, parser or list.
    pub(crate) fn run<const TRACED: bool>(&mut self, pass: &mut Pass<'_>, start: Pc) {
        let mut pc = start as usize;
        let mut back: Pc = 0;
        let code = self.code;
        loop {
            let Some(op) = code.ops.get(pc) else { return };
            pc += 1;
            let file = &mut *self.file;
            macro_rules! get {
                ($slot:expr) => {
                    file[usize::from($slot)]
                };
            }
            macro_rules! set {
                ($d:expr, $value:expr) => {{
                    let value = $value;
                    file[usize::from($d)] = value;
                }};
            }
            match *op {
                Op::Copy { d, a } => set!(d, get!(a)),
                Op::Add { d, a, b } => set!(d, get!(a).wrapping_add(get!(b))),
                Op::Sub { d, a, b } => set!(d, get!(a).wrapping_sub(get!(b))),
                Op::Mul { d, a, b } => set!(d, get!(a).wrapping_mul(get!(b))),
                Op::And { d, a, b } => set!(d, get!(a) & get!(b)),
                Op::Or { d, a, b } => set!(d, get!(a) | get!(b)),
                Op::Xor { d, a, b } => set!(d, get!(a) ^ get!(b)),
                Op::Shl { d, a, b } => set!(d, shl(get!(a), get!(b))),
                Op::Shr { d, a, b } => set!(d, shr(get!(a), get!(b))),
                Op::Sar { d, a, b } => set!(d, sar(get!(a), get!(b))),
                Op::Eq { d, a, b } => set!(d, u64::from(get!(a) == get!(b))),
                Op::Ne { d, a, b } => set!(d, u64::from(get!(a) != get!(b))),
                Op::Lt { d, a, b } => set!(d, u64::from(get!(a) < get!(b))),
                Op::Le { d, a, b } => set!(d, u64::from(get!(a) <= get!(b))),
                Op::SignedLt { d, a, b } => {
                    set!(d, u64::from(get!(a).cast_signed() < get!(b).cast_signed()));
                }
                Op::SignedLe { d, a, b } => {
                    set!(d, u64::from(get!(a).cast_signed() <= get!(b).cast_signed()));
                }
                Op::Select { d, c, a, b } => {
                    set!(d, if get!(c) == 0 { get!(b) } else { get!(a) });
                }
                Op::SignExtend { d, a, bits } => set!(d, wide::extend_limb(get!(a), bits)),
                Op::Slice { d, a, shift, bits } => {
                    let low = get!(a) >> shift;
                    let value = if u32::from(shift) + u32::from(bits) > 64 {
                        low | (get!(a.wrapping_add(1)) << (64 - shift))
                    } else {
                        low
                    };
                    set!(d, value & (u64::MAX >> (64 - bits)));
                }
                Op::Pack { d, x, n } => compute::pack(file, &code.packs[usize::from(x)], d, n),
                Op::Jump { to } => match self.jump(pass, pc, to) {
                    Some(to) => pc = to,
                    None => return,
                },
                Op::JumpIfZero { a, to } => {
                    if get!(a) == 0 {
                        match self.jump(pass, pc, to) {
                            Some(to) => pc = to,
                            None => return,
                        }
                    }
                }
                Op::JumpIfNotZero { a, to } => {
                    if get!(a) != 0 {
                        match self.jump(pass, pc, to) {
                            Some(to) => pc = to,
                            None => return,
                        }
                    }
                }
                Op::JumpIfEq { a, b, to } => {
                    if get!(a) == get!(b) {
                        match self.jump(pass, pc, to) {
                            Some(to) => pc = to,
                            None => return,
                        }
                    }
                }
                Op::JumpIfNe { a, b, to } => {
                    if get!(a) != get!(b) {
                        match self.jump(pass, pc, to) {
                            Some(to) => pc = to,
                            None => return,
                        }
                    }
                }
                Op::Apply { table } => {
                    if !tick(pass) {
                        return;
                    }
                    let (action, next) = self.apply::<TRACED>(pass, table);
                    back = next;
                    pc = action as usize;
                }
                Op::Return => pc = back as usize,
                Op::Exit | Op::End => return,
                Op::Note { x } => {
                    if TRACED {
                        self.note(x);
                    }
                }
                Op::Extract { .. }
                | Op::ExtractNext { .. }
                | Op::ExtractUnionNext { .. }
                | Op::ExtractVarbit { .. }
                | Op::ExtractVarbitNext { .. }
                | Op::ExtractVarbitUnionNext { .. }
                | Op::Advance { .. }
                | Op::Lookahead { .. }
                | Op::Verify { .. }
                | Op::SelectState { .. } => match self.parse::<TRACED>(pass, *op) {
                    Flow::Next => {}
                    Flow::Goto(to) => pc = to as usize,
                    Flow::Stop => return,
                },
                Op::SetValid { .. }
                | Op::SetInvalid { .. }
                | Op::CopyHeader { .. }
                | Op::HeaderEq { .. }
                | Op::VarbitEq { .. }
                | Op::Push { .. }
                | Op::Pop { .. } => self.header(pass, *op),
                Op::Count { .. }
                | Op::RegisterRead { .. }
                | Op::RegisterWrite { .. }
                | Op::Meter { .. }
                | Op::Calculate { .. }
                | Op::Hash { .. }
                | Op::Random { .. }
                | Op::Digest { .. }
                | Op::Clone { .. }
                | Op::Resubmit { .. }
                | Op::Recirculate { .. }
                | Op::Truncate { .. }
                | Op::MarkToDrop { .. }
                | Op::Log { .. }
                | Op::Assert { .. } => match self.external::<TRACED>(pass, *op) {
                    Flow::Next => {}
                    Flow::Goto(to) => pc = to as usize,
                    Flow::Stop => return,
                },
                Op::CopyN { .. }
                | Op::AddN { .. }
                | Op::SubN { .. }
                | Op::MulN { .. }
                | Op::AndN { .. }
                | Op::OrN { .. }
                | Op::XorN { .. }
                | Op::ShlN { .. }
                | Op::ShrN { .. }
                | Op::SarN { .. }
                | Op::EqN { .. }
                | Op::LtN { .. }
                | Op::SignedLtN { .. }
                | Op::SelectN { .. }
                | Op::ZeroExtendN { .. }
                | Op::SignExtendN { .. }
                | Op::DivN { .. }
                | Op::RemN { .. }
                | Op::NarrowN { .. }
                | Op::LoadIndexed { .. }
                | Op::StoreIndexed { .. } => compute::wide(file, code, *op),
            }
        }
    }

    /// Where a jump goes; jumps back are counted, so that nothing runs for ever.
    #[inline]
    fn jump(&mut self, pass: &mut Pass<'_>, pc: usize, to: Pc) -> Option<usize> {
        let to = to as usize;
        if to < pc && !tick(pass) {
            return None;
        }
        Some(to)
    }

    pub(crate) fn event(&mut self, event: impl FnOnce() -> TraceEvent) {
        self.trace.push(event());
    }
}

/// Takes one step; false if there is none left.
#[inline]
fn tick(pass: &mut Pass<'_>) -> bool {
    match pass.steps.checked_sub(1) {
        Some(left) => {
            pass.steps = left;
            true
        }
        None => {
            pass.failed = Some((DropReason::StepLimit, None));
            false
        }
    }
}

#[inline]
pub(crate) fn shl(limb: u64, by: u64) -> u64 {
    if by < 64 { limb << by } else { 0 }
}

#[inline]
pub(crate) fn shr(limb: u64, by: u64) -> u64 {
    if by < 64 { limb >> by } else { 0 }
}

#[inline]
pub(crate) fn sar(limb: u64, by: u64) -> u64 {
    (limb.cast_signed() >> by.min(63)).cast_unsigned()
}
