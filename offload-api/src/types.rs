//! What crosses between host and DPU, as values.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use table_model::{Capability, Generation, Row, TableId, Update};

/// What a DPU agent is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// The target is not reached yet.
    #[default]
    Connecting,
    /// The target is being read back.
    Reading,
    /// Writes are possible.
    Ready,
}

/// The device behind a DPU agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DeviceInfo {
    /// Its name, without `devices/`.
    pub name: String,
    /// Release of the agent.
    pub agent_version: String,
    /// What the agent drives, for people.
    pub target: String,
    /// Fingerprint of the agent's p4info.
    pub schema_fingerprint: u64,
    /// What the agent is doing.
    pub state: DeviceState,
    /// Why it is not ready.
    pub state_detail: String,
}

/// The capability record with the schema that it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceCapability {
    /// The record.
    pub capability: Capability,
    /// Fingerprint of the agent's p4info.
    pub schema_fingerprint: u64,
}

/// A port of the pipeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DevicePort {
    /// Number, 0 to 510 (9 bits, and 511 drops).
    pub number: u16,
    /// The host's interface that it stands for.
    pub interface: String,
    /// MAC, if known: of a workload port the workload's own.
    pub mac: Option<[u8; 6]>,
    /// What hangs on it.
    pub role: PortRole,
}

/// What hangs on a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortRole {
    /// A workload.
    Workload,
    /// The network.
    Uplink {
        /// The node's own addresses.
        addresses: Vec<IpAddr>,
        /// The default route's neighbour.
        next_hop_mac: Option<[u8; 6]>,
        /// Nets with a next hop of their own.
        neighbours: Vec<(IpNet, [u8; 6])>,
    },
    /// The node itself: its own network stack. Its addresses are the uplink's.
    Host,
    /// Anything else.
    Other,
}

/// From host to DPU on the sync stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToDpu {
    /// Opens the stream.
    Hello(Hello),
    /// A part of a whole state.
    Snapshot(SnapshotChunk),
    /// A part of a change.
    Delta(DeltaChunk),
}

/// Opens a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Names one line of generations.
    pub session: String,
    /// Fingerprint of the p4info that rows are packed for.
    pub schema_fingerprint: u64,
    /// What the host wants.
    pub generation: Generation,
}

/// A part of a whole state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SnapshotChunk {
    /// Generation of the state.
    pub generation: Generation,
    /// First.
    pub begin: bool,
    /// Last: only now may anything be deleted.
    pub end: bool,
    /// Rows.
    pub rows: Vec<Row>,
}

/// A part of a change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeltaChunk {
    /// What the DPU must hold.
    pub base: Generation,
    /// What results.
    pub generation: Generation,
    /// Updates by the number of their phase, numbers never falling.
    pub parts: Vec<(u32, Vec<Update>)>,
    /// Last.
    pub last: bool,
}

/// From DPU to host on the sync stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromDpu {
    /// The DPU holds the session, at this generation.
    Welcome(Generation),
    /// A change is in force.
    Ack(Ack),
    /// A change was refused.
    Nack(Nack),
    /// A whole state is needed.
    Resync(Resync),
    /// News.
    Status(DpuStatus),
}

/// A change is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ack {
    /// Enforced now.
    pub generation: Generation,
    /// Entries written.
    pub written: u64,
    /// Rows that the target held already.
    pub unchanged: u64,
    /// Milliseconds from the last chunk to the answer.
    pub millis: u32,
}

/// A change was refused; what was enforced before stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nack {
    /// Refused.
    pub generation: Generation,
    /// Why.
    pub reason: NackReason,
    /// One sentence for people.
    pub text: String,
}

/// Why a change was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NackReason {
    /// No room.
    TableFull {
        /// Where.
        table: TableId,
        /// Entries that the change needs.
        need: u64,
        /// Entries that are free.
        free: u64,
    },
    /// Not newer than what the DPU holds.
    StaleGeneration,
    /// The DPU does not hold the base.
    WrongBase,
    /// A row does not fit the schema, or an update the state.
    Invalid,
    /// The target refused.
    Target,
    /// The p4info of the two agents differ.
    Schema,
}

/// A whole state is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resync {
    /// Why.
    pub reason: ResyncReason,
    /// The highest generation that the DPU has seen.
    pub generation: Generation,
    /// One sentence for people.
    pub text: String,
}

/// Why a whole state is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResyncReason {
    /// Another session.
    NewSession,
    /// The DPU lost its desired state.
    LostState,
    /// A stream broke inside a change.
    BrokenChange,
}

/// What the reconciler sees.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DpuStatus {
    /// The target was last seen to hold exactly this.
    pub observed: Generation,
    /// Entries repaired since the DPU agent started.
    pub drift_repaired: u64,
    /// What the agent is doing.
    pub state: DeviceState,
    /// Why it is not ready.
    pub state_detail: String,
}

/// A table and how full it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TableUsage {
    /// Name without control blocks.
    pub name: String,
    /// p4info id.
    pub id: u32,
    /// Entries that it can hold.
    pub size: u64,
    /// Entries that it should hold.
    pub desired: u64,
    /// Entries that it was last seen to hold.
    pub observed: u64,
}

/// Which side of the reconciler to list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EntryView {
    /// What the target holds, read now.
    #[default]
    Observed,
    /// What it should hold.
    Desired,
}

/// What an entry counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryCounter {
    /// The entry.
    pub row: Row,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What deleted entries had counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Departed {
    /// Names the ledger; another one begins with each start of the DPU agent.
    pub ledger: String,
    /// In the order of their deletion.
    pub counters: Vec<EntryCounter>,
    /// Number of the last of them.
    pub last: u64,
    /// Deleted entries whose counts were lost.
    pub lost: u64,
}

/// What was dropped for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DropCounter {
    /// Code in the pipeline.
    pub code: u32,
    /// Its name.
    pub reason: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// One page of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// Items.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}

/// What page is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageRequest {
    /// Items at most; 0 leaves it to the server.
    pub size: i32,
    /// From the page before, empty for the first.
    pub token: String,
}
