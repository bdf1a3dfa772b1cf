//! Table entries and action calls as the control plane writes and reads them.

use crate::program::ActionIndex;
use crate::value::Value;

/// What one key field of an entry matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// Equal to the value.
    Exact(Value),
    /// The top `prefix_len` bits are those of the value; 0 matches all.
    Lpm {
        /// Value; bits below the prefix must be zero.
        value: Value,
        /// Length of the prefix in bits.
        prefix_len: u16,
    },
    /// Equal to the value where the mask has ones; a zero mask matches all.
    Ternary {
        /// Value; bits outside of the mask must be zero.
        value: Value,
        /// Mask.
        mask: Value,
    },
    /// Between the bounds, both included.
    Range {
        /// Lower bound.
        low: Value,
        /// Upper bound.
        high: Value,
    },
    /// Equal to the value, or anything.
    Optional(Option<Value>),
}

impl std::fmt::Display for KeyPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(value) => write!(f, "{value}"),
            Self::Lpm { value, prefix_len } => write!(f, "{value}/{prefix_len}"),
            Self::Ternary { value, mask } => write!(f, "{value}&&&{mask}"),
            Self::Range { low, high } => write!(f, "{low}..{high}"),
            Self::Optional(Some(value)) => write!(f, "{value}"),
            Self::Optional(None) => f.write_str("*"),
        }
    }
}

/// An action with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ActionCall {
    /// The action, one of the table's own.
    pub action: ActionIndex,
    /// Arguments in the order of the parameters.
    pub args: Vec<Value>,
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryAction {
    /// Runs an action (direct tables).
    Call(ActionCall),
    /// Runs the action of a profile's member.
    Member(u32),
    /// Runs the action of the member that the selector picks from a group.
    Group(u32),
}

/// A table entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// One part for each key field, in order.
    pub key: Vec<KeyPart>,
    /// Larger wins (P4Runtime clause 9.1.1). Zero for tables that need none.
    pub priority: i32,
    /// What it does.
    pub action: EntryAction,
}

/// Names an entry while it exists; never reused within a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryHandle {
    pub(crate) row: u32,
    pub(crate) serial: u32,
}

/// One member of a selector group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightedMember {
    /// Member id in the profile.
    pub member: u32,
    /// Share of the flows; at least 1.
    pub weight: u32,
}

/// A selector group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProfileGroup {
    /// Members in order.
    pub members: Vec<WeightedMember>,
}
