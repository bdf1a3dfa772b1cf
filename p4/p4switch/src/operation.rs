//! What gRPC tasks ask of the thread that owns the engine, in the engine's own terms.

use std::sync::Arc;

use bytes::Bytes;
use p4_engine::{
    ActionCall, ActionIndex, CounterIndex, CounterValue, Entry, EntryAction, KeyPart, MeterConfig,
    MeterIndex, Prepared, ProfileIndex, RegisterIndex, TableIndex, Value, ValueSetIndex,
};

/// What P4Runtime keeps with an entry and the engine knows nothing of.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Extra {
    pub(crate) metadata: Bytes,
    pub(crate) controller_metadata: u64,
    /// Nanoseconds without a hit after which the controller is told; 0 for never.
    pub(crate) idle_timeout_ns: i64,
}

/// What an update gives beside match and action. Most give nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Beside {
    pub(crate) extra: Extra,
    /// `None` leaves the counter as it is.
    pub(crate) counter: Option<CounterValue>,
    /// `None` makes all packets green.
    pub(crate) meter: Option<MeterConfig>,
    /// Stands for the action, whose group the switch makes.
    pub(crate) set: Option<Arc<ActionSet>>,
}

/// A one-shot action set (P4Runtime 9.2.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ActionSet {
    pub(crate) actions: Vec<SetAction>,
    /// As given; there is one mode and one way to count here.
    pub(crate) mode: i32,
    /// See [`ActionSet::mode`].
    pub(crate) semantics: i32,
}

/// An action of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SetAction {
    pub(crate) call: ActionCall,
    /// As given; 0 where the profile disallows weights.
    pub(crate) weight: i32,
    pub(crate) watch: Option<Watch>,
}

/// The port that a member depends on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Watch {
    pub(crate) port: u16,
    pub(crate) given: GivenPort,
}

/// A group of an action selector.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct SelectorGroup {
    pub(crate) members: Vec<SelectorMember>,
    /// As given.
    pub(crate) max_size: i32,
}

/// A member in a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SelectorMember {
    pub(crate) member: u32,
    /// As given; 0 where the profile disallows weights.
    pub(crate) weight: i32,
    pub(crate) watch: Option<Watch>,
}

/// How digests are batched (P4Runtime 9.6); all times in nanoseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct DigestConfig {
    pub(crate) max_timeout_ns: i64,
    pub(crate) max_list_size: i32,
    pub(crate) ack_timeout_ns: i64,
}

/// The identity of an entry inside its table.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) parts: Vec<KeyPart>,
    pub(crate) priority: i32,
}

/// Which direct counter or meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Row {
    Entry(Key),
    Default,
}

/// Which array cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cells {
    One(usize),
    All,
}

/// A replica as the client wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReplicaSpec {
    /// Port of the data plane.
    pub(crate) port: u16,
    /// The port as given: the byte string of 1.4, or the number of earlier versions.
    pub(crate) given: GivenPort,
    pub(crate) instance: u16,
    /// Take its place while its port is down, the first that is up (9.5.1).
    pub(crate) backups: Vec<BackupSpec>,
}

/// A backup of a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BackupSpec {
    pub(crate) port: u16,
    pub(crate) given: Bytes,
    pub(crate) instance: u16,
}

/// See [`ReplicaSpec::given`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum GivenPort {
    Bytes(Bytes),
    Number(u32),
}

/// A multicast group.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    pub(crate) replicas: Vec<ReplicaSpec>,
    pub(crate) metadata: Bytes,
}

/// A clone session.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    pub(crate) replicas: Vec<ReplicaSpec>,
    /// Bytes kept; 0 keeps all.
    pub(crate) length: u32,
}

/// The type of an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change<T> {
    Insert(T),
    Modify(T),
    Delete,
}

/// What is done to a packed entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Insert,
    Modify,
    Delete,
}

/// One update, checked against the pipeline as far as that goes without its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Insert {
        table: TableIndex,
        entry: Entry,
        beside: Option<Box<Beside>>,
    },
    Modify {
        table: TableIndex,
        key: Key,
        /// `None` leaves the action.
        action: Option<EntryAction>,
        beside: Option<Box<Beside>>,
    },
    Delete {
        table: TableIndex,
        key: Key,
    },
    Default {
        table: TableIndex,
        /// `None` puts back what the program says.
        call: Option<ActionCall>,
        beside: Option<Box<Beside>>,
    },
    DirectCounter {
        table: TableIndex,
        row: Row,
        /// `None` changes nothing but the entry must be there.
        value: Option<CounterValue>,
    },
    DirectMeter {
        table: TableIndex,
        row: Row,
        config: Option<MeterConfig>,
    },
    Counter {
        counter: CounterIndex,
        cells: Cells,
        value: CounterValue,
    },
    Meter {
        meter: MeterIndex,
        cells: Cells,
        config: Option<MeterConfig>,
    },
    Register {
        register: RegisterIndex,
        cells: Cells,
        value: Value,
    },
    Multicast {
        group: u16,
        change: Change<Group>,
    },
    Clone {
        session: u16,
        change: Change<Session>,
    },
    Member {
        profile: ProfileIndex,
        member: u32,
        change: Change<ActionCall>,
    },
    SelectorGroup {
        profile: ProfileIndex,
        group: u32,
        change: Change<SelectorGroup>,
    },
    ValueSet {
        set: ValueSetIndex,
        members: Vec<Value>,
    },
    Digest {
        /// Position in the pipeline's list.
        digest: usize,
        change: Change<DigestConfig>,
    },
    /// An entry with its own action and nothing beside it, packed already.
    Plain {
        way: Way,
        entry: Prepared,
    },
    /// Valid and without effect.
    Nothing,
}

/// Filters of a table read; absent ones let everything through.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Filter {
    pub(crate) key: Option<Vec<KeyPart>>,
    pub(crate) priority: Option<i32>,
    pub(crate) action: Option<ActionIndex>,
    pub(crate) metadata: Option<Bytes>,
    pub(crate) controller_metadata: Option<u64>,
}

/// One read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Query {
    Entries {
        tables: Vec<TableIndex>,
        filter: Filter,
        /// What of each entry is wanted.
        view: View,
    },
    Defaults {
        tables: Vec<TableIndex>,
        view: View,
    },
    /// The direct counter or meter of one row, which must be there.
    Direct {
        table: TableIndex,
        row: Row,
        view: View,
    },
    Meters {
        meters: Vec<MeterIndex>,
        cells: Cells,
    },
    Members {
        profiles: Vec<ProfileIndex>,
        /// `None` reads all.
        member: Option<u32>,
    },
    SelectorGroups {
        profiles: Vec<ProfileIndex>,
        /// `None` reads all.
        group: Option<u32>,
    },
    ValueSets(Vec<ValueSetIndex>),
    /// Positions in the pipeline's list.
    Digests(Vec<usize>),
    Counters {
        counters: Vec<CounterIndex>,
        cells: Cells,
    },
    Registers {
        registers: Vec<RegisterIndex>,
        cells: Cells,
    },
    /// `None` reads all.
    Multicast(Option<u16>),
    /// `None` reads all.
    Clones(Option<u16>),
}

/// What an answer about entries shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    /// `TableEntry`.
    Entry {
        /// With `counter_data`.
        counter: bool,
        /// With `meter_config`.
        meter: bool,
        /// With `time_since_last_hit`.
        hit: bool,
    },
    /// `DirectCounterEntry`.
    DirectCounter,
    /// `DirectMeterEntry`.
    DirectMeter,
}

/// A piece of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    Entries {
        table: TableIndex,
        view: View,
        rows: Vec<Found>,
    },
    Default {
        table: TableIndex,
        view: View,
        found: FoundDefault,
    },
    Counters {
        counter: CounterIndex,
        first: usize,
        values: Vec<CounterValue>,
    },
    Registers {
        register: RegisterIndex,
        first: usize,
        values: Vec<Value>,
    },
    Meters {
        meter: MeterIndex,
        first: usize,
        configs: Vec<Option<MeterConfig>>,
    },
    Members {
        profile: ProfileIndex,
        members: Vec<(u32, ActionCall)>,
    },
    SelectorGroups {
        profile: ProfileIndex,
        groups: Vec<(u32, SelectorGroup)>,
    },
    ValueSet {
        set: ValueSetIndex,
        members: Vec<Value>,
    },
    Digest {
        digest: usize,
        config: DigestConfig,
    },
    Multicast {
        group: u16,
        config: Group,
    },
    Clone {
        session: u16,
        config: Session,
    },
}

/// An entry that a read found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) counter: CounterValue,
    /// Most entries have nothing of it.
    pub(crate) rare: Option<Box<Rare>>,
}

/// What few entries have.
#[derive(Default, Debug)]
pub(crate) struct Rare {
    pub(crate) extra: Extra,
    pub(crate) meter: Option<MeterConfig>,
    pub(crate) set: Option<Arc<ActionSet>>,
    /// Nanoseconds since the last hit, where asked for.
    pub(crate) idle_ns: i64,
}

/// A default entry that a read found.
#[derive(Debug)]
pub(crate) struct FoundDefault {
    pub(crate) action: Option<EntryAction>,
    pub(crate) extra: Option<Extra>,
    pub(crate) counter: CounterValue,
    pub(crate) meter: Option<MeterConfig>,
}

/// An entry that was not hit for as long as the controller said.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) table: TableIndex,
    pub(crate) entry: Entry,
    pub(crate) extra: Extra,
}
