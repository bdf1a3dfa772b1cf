//! Pure P4 engine: bmv2 JSON, entries and packets in, packets and a trace out.
//!
//! What comes in: the JSON that p4c's bmv2 back end writes for v1model ([`Program::load`]), control
//! operations (entries, counters, registers, sessions) and frames with the port and the time at
//! which they arrived. What goes out: frames with their ports, digests, and on request a [`Trace`]
//! that says why. Nothing here reads a clock, a socket or a random source.
//!
//! Who may call: `p4switch` (one thread owns one [`Engine`]), tests, and `testbed`.

#![forbid(unsafe_code)]

mod bits;
mod builder;
mod counter;
mod engine;
mod entry;
mod error;
mod exec;
mod expr;
mod hash;
mod index;
mod ir;
mod json;
mod key;
mod layout;
mod lower;
mod matching;
mod meter;
mod order;
mod output;
mod prepared;
mod program;
mod replicate;
mod segments;
mod state;
pub mod stf;
mod trace;
mod usage;
mod value;
mod vector;
mod wide;
mod wire;

pub use counter::CounterValue;
pub use engine::{Engine, EngineConfig, Packet};
pub use entry::{
    ActionCall, Entry, EntryAction, EntryHandle, KeyPart, ProfileGroup, WeightedMember,
};
pub use error::{ControlError, LoadError, SourceLocation};
pub use meter::MeterConfig;
pub use output::{Digest, OutputFrame, Outputs};
pub use prepared::{Matches, Prepared};
pub use program::{
    ActionIndex, ActionInfo, ActionProfileInfo, CounterIndex, CounterInfo, DefaultAction,
    DigestIndex, DigestInfo, FieldInfo, HeaderInfo, KeyField, MatchKind, MeterIndex, MeterInfo,
    ParamInfo, ProfileIndex, Program, RegisterIndex, RegisterInfo, TableIndex, TableInfo,
    TableSource, ValueSetIndex, ValueSetInfo,
};
pub use replicate::{CloneSession, Replica};
pub use trace::{DropReason, Instance, Trace, TraceEvent, TracedField};
pub use value::Value;
