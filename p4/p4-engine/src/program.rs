//! A loaded program: what the control plane can see of it.

use std::collections::BTreeMap;

use crate::entry::{ActionCall, Entry};
use crate::error::{LoadError, SourceLocation};
use crate::ir::{Code, KeyPlace, Slot};
use crate::json::Document;
use crate::layout::Layout;
use crate::lower::{self, ErrorCodes, Standard};
use crate::wire::HeaderWire;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// Position in the program's list.
            #[must_use]
            pub fn position(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index!(
    /// A table of the program.
    TableIndex
);
index!(
    /// An action; p4c writes one copy for each table that has it, so look it up through the table.
    ActionIndex
);
index!(
    /// A counter array.
    CounterIndex
);
index!(
    /// A meter array.
    MeterIndex
);
index!(
    /// A register array.
    RegisterIndex
);
index!(
    /// A digest (learn list).
    DigestIndex
);
index!(
    /// An action profile, with or without selector.
    ProfileIndex
);
index!(
    /// A parser value set.
    ValueSetIndex
);

/// How a key field matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchKind {
    /// Equal.
    Exact,
    /// Longest prefix.
    Lpm,
    /// Value under a mask.
    Ternary,
    /// Between two bounds, both included.
    Range,
    /// Equal or absent.
    Optional,
}

/// One field of a table's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyField {
    /// Name as p4info has it.
    pub name: String,
    /// Width in bits.
    pub bits: usize,
    /// How it matches.
    pub kind: MatchKind,
}

/// Where a table's entries get their actions from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableSource {
    /// Each entry has its own action.
    Direct,
    /// Entries name members of a profile.
    Profile(ProfileIndex),
    /// Entries name members or groups of a profile with selector.
    Selector(ProfileIndex),
}

/// The default action that the program declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultAction {
    /// The action and its arguments.
    pub call: ActionCall,
    /// Declared `const default_action`.
    pub is_const: bool,
}

/// A table as the control plane sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Full name, as p4info's `preamble.name`.
    pub name: String,
    /// Key fields in order; none for a table without key.
    pub fields: Vec<KeyField>,
    /// Actions that an entry or the default may have.
    pub actions: Vec<ActionIndex>,
    /// Declared size, in entries.
    pub max_size: usize,
    /// Has direct counters.
    pub counters: bool,
    /// Has a direct meter.
    pub meter: Option<MeterIndex>,
    /// The program asks for idle timeouts.
    pub idle_timeout: bool,
    /// The default action in the program.
    pub default: Option<DefaultAction>,
    /// The entries are const: the control plane cannot write.
    pub const_entries: bool,
    /// Entries come with priorities (a ternary, range or optional field is present).
    pub needs_priority: bool,
    /// Direct, profile or selector.
    pub source: TableSource,
    /// Where it stands in the P4 source.
    pub location: Option<SourceLocation>,
}

/// One parameter of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamInfo {
    /// Name.
    pub name: String,
    /// Width in bits.
    pub bits: usize,
}

/// An action as the control plane sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionInfo {
    /// Full name, as p4info's `preamble.name`; copies share it.
    pub name: String,
    /// Parameters in order.
    pub params: Vec<ParamInfo>,
}

/// A counter array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterInfo {
    /// Full name.
    pub name: String,
    /// Number of cells; for a direct counter the table's size.
    pub size: usize,
    /// The table, if direct.
    pub table: Option<TableIndex>,
}

/// A meter array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterInfo {
    /// Full name.
    pub name: String,
    /// Number of cells; for a direct meter the table's size.
    pub size: usize,
    /// Measures bytes rather than packets.
    pub bytes: bool,
    /// The table, if direct.
    pub table: Option<TableIndex>,
}

/// A register array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterInfo {
    /// Full name.
    pub name: String,
    /// Number of cells.
    pub size: usize,
    /// Width of a cell in bits.
    pub bits: usize,
}

/// A digest: the fields of a learn list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestInfo {
    /// Name.
    pub name: String,
    /// Fields, in order, with widths in bits.
    pub fields: Vec<FieldInfo>,
}

/// An action profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionProfileInfo {
    /// Full name.
    pub name: String,
    /// Members that it holds.
    pub max_size: usize,
    /// Has a selector, so groups are possible.
    pub selector: bool,
}

/// A parser value set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueSetInfo {
    /// Full name.
    pub name: String,
    /// Width of a value in bits, without padding.
    pub bits: usize,
}

/// A field of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Name.
    pub name: String,
    /// Width in bits; of a varbit field the largest.
    pub bits: usize,
}

/// A header or metadata instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderInfo {
    /// Instance name.
    pub name: String,
    /// Metadata rather than a packet header.
    pub metadata: bool,
    /// Fields in order.
    pub fields: Vec<FieldInfo>,
}

/// A loaded program, immutable and shared by engines.
#[derive(Debug)]
pub struct Program {
    pub(crate) tables: Vec<TableInfo>,
    pub(crate) actions: Vec<ActionInfo>,
    pub(crate) counters: Vec<CounterInfo>,
    pub(crate) meters: Vec<MeterInfo>,
    pub(crate) registers: Vec<RegisterInfo>,
    pub(crate) digests: Vec<DigestInfo>,
    pub(crate) profiles: Vec<ActionProfileInfo>,
    pub(crate) value_sets: Vec<ValueSetInfo>,
    pub(crate) headers: Vec<HeaderInfo>,
    /// How each table's key is packed.
    pub(crate) keys: Vec<KeyLayout>,
    pub(crate) initial: Vec<(TableIndex, Entry)>,
    pub(crate) layout: Layout,
    pub(crate) constants: Vec<u64>,
    pub(crate) fast: Code,
    pub(crate) traced: Code,
    pub(crate) errors: BTreeMap<i64, String>,
    pub(crate) error_codes: ErrorCodes,
    /// Headers in the order of the deparser.
    pub(crate) deparse: Vec<u16>,
    pub(crate) wires: Vec<HeaderWire>,
    /// Slots that must be zero when a packet comes in.
    pub(crate) cleared: Vec<std::ops::Range<Slot>>,
    pub(crate) standard: Option<Standard>,
}

/// Where the fields of a table's key lie when packed into limbs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyLayout {
    pub(crate) places: Vec<KeyPlace>,
    pub(crate) limbs: usize,
}

impl Program {
    /// Loads what p4c's bmv2 back end wrote for v1model and checks all of it.
    ///
    /// # Errors
    /// [`LoadError`] names the construct and the source line of what the engine cannot do.
    pub fn load(json: &str) -> Result<Self, LoadError> {
        let document: Document = serde_json::from_str(json).map_err(LoadError::Json)?;
        lower::lower(&document)
    }

    /// Says what the JSON does not: p4c writes every table that has entries as if they were const
    /// and as large as they are many; p4info knows better (`is_const_table`, `size`).
    pub fn declare_table(&mut self, table: TableIndex, max_size: usize, const_entries: bool) {
        let info = &mut self.tables[table.position()];
        info.max_size = max_size;
        info.const_entries = const_entries;
    }

    /// One line on the size of the compiled form, for people.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "{} operations, {} tables, {} selects, {} limbs a packet, {} constants",
            self.fast.ops.len(),
            self.tables.len(),
            self.fast.selects.len(),
            self.layout.fields_end,
            self.constants.len(),
        )
    }

    /// The compiled operations, one a line, with their positions; for people who tune programs.
    #[must_use]
    pub fn listing(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (at, op) in self.fast.ops.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{at:5} {op:?}");
        }
        text
    }

    pub(crate) fn empty() -> Self {
        Self {
            tables: Vec::new(),
            actions: Vec::new(),
            counters: Vec::new(),
            meters: Vec::new(),
            registers: Vec::new(),
            digests: Vec::new(),
            profiles: Vec::new(),
            value_sets: Vec::new(),
            headers: Vec::new(),
            keys: Vec::new(),
            initial: Vec::new(),
            layout: Layout::default(),
            constants: Vec::new(),
            fast: Code::default(),
            traced: Code::default(),
            errors: BTreeMap::new(),
            error_codes: ErrorCodes::default(),
            deparse: Vec::new(),
            wires: Vec::new(),
            cleared: Vec::new(),
            standard: None,
        }
    }

    pub(crate) fn key_layout(&self, table: TableIndex) -> &KeyLayout {
        &self.keys[table.position()]
    }

    /// Tables; a [`TableIndex`] is a position here.
    #[must_use]
    pub fn tables(&self) -> &[TableInfo] {
        &self.tables
    }

    /// Actions; an [`ActionIndex`] is a position here.
    #[must_use]
    pub fn actions(&self) -> &[ActionInfo] {
        &self.actions
    }

    /// Counter arrays, direct ones included.
    #[must_use]
    pub fn counters(&self) -> &[CounterInfo] {
        &self.counters
    }

    /// Meter arrays, direct ones included.
    #[must_use]
    pub fn meters(&self) -> &[MeterInfo] {
        &self.meters
    }

    /// Register arrays.
    #[must_use]
    pub fn registers(&self) -> &[RegisterInfo] {
        &self.registers
    }

    /// Digests.
    #[must_use]
    pub fn digests(&self) -> &[DigestInfo] {
        &self.digests
    }

    /// Action profiles.
    #[must_use]
    pub fn profiles(&self) -> &[ActionProfileInfo] {
        &self.profiles
    }

    /// Parser value sets.
    #[must_use]
    pub fn value_sets(&self) -> &[ValueSetInfo] {
        &self.value_sets
    }

    /// Headers and metadata instances.
    #[must_use]
    pub fn headers(&self) -> &[HeaderInfo] {
        &self.headers
    }

    /// The table of this full name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<TableIndex> {
        find(&self.tables, |table| table.name == name).map(TableIndex)
    }

    /// What is known of a table.
    #[must_use]
    pub fn table_info(&self, table: TableIndex) -> &TableInfo {
        &self.tables[table.position()]
    }

    /// What is known of an action.
    #[must_use]
    pub fn action_info(&self, action: ActionIndex) -> &ActionInfo {
        &self.actions[action.position()]
    }

    /// The table's own copy of the action of this full name.
    #[must_use]
    pub fn table_action(&self, table: TableIndex, name: &str) -> Option<ActionIndex> {
        let mut own = self.table_info(table).actions.iter();
        own.find(|action| self.action_info(**action).name == name)
            .copied()
    }

    /// The counter array of this full name.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<CounterIndex> {
        find(&self.counters, |counter| counter.name == name).map(CounterIndex)
    }

    /// The meter array of this full name.
    #[must_use]
    pub fn meter(&self, name: &str) -> Option<MeterIndex> {
        find(&self.meters, |meter| meter.name == name).map(MeterIndex)
    }

    /// The register array of this full name.
    #[must_use]
    pub fn register(&self, name: &str) -> Option<RegisterIndex> {
        find(&self.registers, |register| register.name == name).map(RegisterIndex)
    }

    /// The digest of this name.
    #[must_use]
    pub fn digest(&self, name: &str) -> Option<DigestIndex> {
        find(&self.digests, |digest| digest.name == name).map(DigestIndex)
    }

    /// The action profile of this full name.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<ProfileIndex> {
        find(&self.profiles, |profile| profile.name == name).map(ProfileIndex)
    }

    /// The value set of this full name.
    #[must_use]
    pub fn value_set(&self, name: &str) -> Option<ValueSetIndex> {
        find(&self.value_sets, |set| set.name == name).map(ValueSetIndex)
    }
}

fn find<T>(list: &[T], test: impl Fn(&T) -> bool) -> Option<u32> {
    list.iter()
        .position(test)
        .and_then(|at| u32::try_from(at).ok())
}
