//! What gRPC tasks ask of the thread that owns the engine, in the engine's own terms.

use bytes::Bytes;
use p4_engine::{
    ActionCall, ActionIndex, CounterIndex, CounterValue, Entry, EntryAction, KeyPart,
    RegisterIndex, TableIndex, Value,
};

/// What P4Runtime keeps with an entry and the engine knows nothing of.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Extra {
    pub(crate) metadata: Bytes,
    pub(crate) controller_metadata: u64,
}

/// The identity of an entry inside its table.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) parts: Vec<KeyPart>,
    pub(crate) priority: i32,
}

/// Which direct counter.
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

/// One update, checked against the pipeline as far as that goes without its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Insert {
        table: TableIndex,
        entry: Entry,
        extra: Extra,
        counter: Option<CounterValue>,
    },
    Modify {
        table: TableIndex,
        key: Key,
        /// `None` leaves the action.
        action: Option<EntryAction>,
        extra: Extra,
        counter: Option<CounterValue>,
    },
    Delete {
        table: TableIndex,
        key: Key,
    },
    Default {
        table: TableIndex,
        /// `None` puts back what the program says.
        call: Option<ActionCall>,
        extra: Extra,
        counter: Option<CounterValue>,
    },
    DirectCounter {
        table: TableIndex,
        row: Row,
        /// `None` changes nothing but the entry must be there.
        value: Option<CounterValue>,
    },
    Counter {
        counter: CounterIndex,
        cells: Cells,
        value: CounterValue,
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
    /// The direct counter of one row, which must be there.
    DirectCounter {
        table: TableIndex,
        row: Row,
    },
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
    },
    /// `DirectCounterEntry`.
    DirectCounter,
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
    pub(crate) extra: Option<Extra>,
    pub(crate) counter: CounterValue,
}

/// A default entry that a read found.
#[derive(Debug)]
pub(crate) struct FoundDefault {
    pub(crate) action: Option<EntryAction>,
    pub(crate) extra: Option<Extra>,
    pub(crate) counter: CounterValue,
}
