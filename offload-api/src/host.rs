//! What the host agent tells people: the values behind `offloadctl`, and both ends of the local
//! socket that carries them.

mod client;
mod server;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::types::DeviceState;

pub use client::{HostCallError, HostClient, Watch};
pub use server::{HostApi, HostRefused, SocketError, bind, serve};

/// The state of the chain from Felix to the target.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct HostStatus {
    /// The node.
    pub node: String,
    /// Release of the host agent.
    pub version: String,
    /// Seconds since the host agent started.
    pub uptime: u64,
    /// Felix's side.
    pub felix: FelixStatus,
    /// The DPU's side.
    pub dpu: DpuSide,
    /// Local workload endpoints by state.
    pub endpoints: Vec<EndpointCount>,
    /// Policies known.
    pub policies: u64,
    /// Things that are not enforced exactly.
    pub refusals: u64,
    /// The last change that could not be compiled, empty if the last one could.
    pub compile_error: String,
}

/// Felix's side.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct FelixStatus {
    /// A relay is connected.
    pub connected: bool,
    /// A snapshot is complete and stands.
    pub in_sync: bool,
    /// Session.
    pub session: String,
    /// Number of the last message.
    pub sequence: u64,
    /// Messages since the host agent started.
    pub messages: u64,
    /// Number of the last message of which all changes are in force.
    pub enforced: u64,
}

/// The DPU's side.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct DpuSide {
    /// A sync stream is open.
    pub connected: bool,
    /// Where.
    pub address: String,
    /// Who answered, empty on a plaintext connection.
    pub identity: String,
    /// What it drives.
    pub target: String,
    /// Wanted.
    pub desired_generation: u64,
    /// Acknowledged.
    pub acknowledged_generation: u64,
    /// Seen on the target.
    pub observed_generation: u64,
    /// Entries repaired.
    pub drift_repaired: u64,
    /// What the DPU agent is doing.
    pub state: DeviceState,
    /// What went wrong last and is not over.
    pub error: String,
    /// Rows wanted.
    pub rows: u64,
}

/// Endpoints in a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct EndpointCount {
    /// State.
    pub state: EndpointState,
    /// How many.
    pub count: u64,
}

/// What is enforced for an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointState {
    /// Compiled, not acknowledged.
    Pending,
    /// In force.
    Enforced,
    /// A leg of it denies everything, in force.
    Closed,
    /// The device has no port for its interface.
    NoPort,
    /// The DPU refused the change that carries it.
    Refused,
    /// Felix says that it is down.
    Down,
    /// In force, but a part of its policy is not enforced exactly and denies instead.
    Partly,
}

impl EndpointState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Enforced,
        Self::Closed,
        Self::NoPort,
        Self::Refused,
        Self::Down,
        Self::Partly,
    ];

    /// As people read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Enforced => "enforced",
            Self::Closed => "closed",
            Self::NoPort => "no-port",
            Self::Refused => "refused",
            Self::Down => "down",
            Self::Partly => "partly",
        }
    }
}

/// A local workload endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Endpoint {
    /// `endpoints/{orchestrator}/{namespace}/{pod}/{interface in the pod}`.
    pub name: String,
    /// Host-side interface.
    pub interface: String,
    /// Port of the pipeline.
    pub port: Option<u32>,
    /// MAC as text, empty if unknown.
    pub mac: String,
    /// Addresses.
    pub addresses: Vec<String>,
    /// State.
    pub state: EndpointState,
    /// Why it is not enforced.
    pub reason: String,
    /// The generation that carries it.
    pub generation: u64,
    /// Policies in order, as `tier: policy`.
    pub policies: Vec<String>,
    /// Features asked for and not enforced.
    pub unenforced: BTreeMap<String, String>,
}

/// A direction seen from the endpoint that judges.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards the endpoint.
    Ingress,
    /// From the endpoint.
    Egress,
}

/// A policy or profile.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Policy {
    /// Resource name.
    pub name: String,
    /// Kind as Calico spells it.
    pub kind: String,
    /// Tier.
    pub tier: String,
    /// Shown, never enforced.
    pub staged: bool,
    /// Rules with what they counted.
    pub rules: Vec<RuleCounter>,
    /// Why it is not enforced exactly.
    pub refusals: Vec<String>,
    /// Local endpoints that list it.
    pub endpoints: u64,
    /// What all of the below counted together; none if nothing was counted yet.
    pub hits: Option<HitCount>,
    /// Of that, where no rule of it matched and the end of its tier decided. Told of the first
    /// policy of a tier.
    pub end_of_tier: Option<HitCount>,
    /// Of that, by rules that it does not have any more.
    pub removed_rules: Option<HitCount>,
}

/// Packets and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct HitCount {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl HitCount {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What a rule counted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RuleCounter {
    /// Direction.
    pub direction: Option<Direction>,
    /// Place.
    pub index: u32,
    /// Felix's id.
    pub id: String,
    /// What it does.
    pub action: String,
    /// First packets of flows that it decided.
    pub packets: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
}

/// One thing that is not enforced exactly.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Refusal {
    /// Resource name.
    pub subject: String,
    /// Direction, if one alone is concerned.
    pub direction: Option<Direction>,
    /// Place of the rule, if one is the cause.
    pub rule: Option<u32>,
    /// One sentence.
    pub reason: String,
}

/// An entry for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HostEntry {
    /// Match fields.
    pub fields: Vec<NamedValue>,
    /// Action.
    pub action: String,
    /// Parameters.
    pub params: Vec<NamedValue>,
}

/// A name with a value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NamedValue {
    /// Name.
    pub name: String,
    /// Value as people write it.
    pub value: String,
}

/// A flow to explain.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowQuestion {
    /// Source address.
    pub source: String,
    /// Destination address.
    pub destination: String,
    /// IP protocol number.
    pub protocol: u32,
    /// Source port.
    pub source_port: u32,
    /// Destination port.
    pub destination_port: u32,
    /// ICMP type.
    pub icmp_type: u32,
    /// ICMP code.
    pub icmp_code: u32,
}

/// What happens to a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explanation {
    /// By Calico's semantics.
    pub allow: bool,
    /// By the compiled rows.
    pub rows_allow: bool,
    /// What decided.
    pub decided_by: Decision,
    /// One for each local endpoint that was asked.
    pub legs: Vec<Leg>,
    /// The rows that a packet would hit.
    pub rows: Vec<String>,
    /// The rows name the same deciding rule as Calico's semantics do.
    pub rule_agrees: bool,
    /// Rows hit before policy.
    pub before: Vec<TableRow>,
    /// The legs as the rows judge them; a leg behind one that denies is not asked.
    pub row_legs: Vec<RowLeg>,
    /// Why the packet is dropped, as the pipeline counts it; empty if it leaves.
    pub drop: String,
    /// Port where it comes in.
    pub ingress_port: u32,
    /// Port where it leaves.
    pub out_port: Option<u32>,
}

impl Explanation {
    /// Whether the rows do what Calico's semantics say, by the same rule.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.allow == self.rows_allow && self.rule_agrees
    }
}

/// The rows that judged one leg.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RowLeg {
    /// Who judges, empty if the rows know an endpoint that the model does not.
    pub endpoint: String,
    /// Direction.
    pub direction: Option<Direction>,
    /// Outcome.
    pub allow: bool,
    /// The rule that the verdict row names.
    pub decision: Decision,
    /// Steps of the leg's chain.
    pub steps: Vec<RowStep>,
    /// What the verdict row has counted on the target by now.
    pub hits: Option<HitCount>,
    /// Why that cannot be read.
    pub hits_error: String,
}

/// One step of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RowStep {
    /// `allow`, `deny`, `next_policy`, `next_tier`, or nothing where no row decides.
    pub says: String,
    /// The rule behind that, if one is.
    pub rule: Option<Decision>,
    /// Rows hit.
    pub rows: Vec<TableRow>,
}

/// A row with its table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TableRow {
    /// Name of the table.
    pub table: String,
    /// The row.
    #[serde(flatten)]
    pub entry: HostEntry,
}

/// The judgement of one endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Leg {
    /// Who judges.
    pub endpoint: String,
    /// Direction.
    pub direction: Option<Direction>,
    /// Outcome.
    pub allow: bool,
    /// What decided.
    pub decision: Decision,
    /// The way there.
    pub steps: Vec<LegStep>,
}

/// A rule passed on the way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LegStep {
    /// Where.
    pub at: Decision,
    /// What followed.
    pub action: String,
}

/// What decided.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Decision {
    /// Direction.
    pub direction: Option<Direction>,
    /// Tier.
    pub tier: String,
    /// Namespace.
    pub namespace: String,
    /// Policy or profile.
    pub policy: String,
    /// Place of the rule; none at the end of a tier.
    pub rule: Option<u32>,
    /// Felix's id.
    pub rule_id: String,
    /// One sentence.
    pub reason: String,
    /// What the user wrote and Felix passes on with the rule, by field name.
    pub written: BTreeMap<String, String>,
    /// Annotations of the rule.
    pub annotations: BTreeMap<String, String>,
}

/// What Felix said, what both agents want and what the target holds, side by side.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Diff {
    /// The generation that was compared.
    pub generation: u64,
    /// All tables.
    pub tables: Vec<TableDiff>,
}

impl Diff {
    /// Whether all four hold the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(|table| table.differing == 0)
    }
}

/// A table, four times.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct TableDiff {
    /// Its name.
    pub table: String,
    /// Rows compiled afresh from what Felix said.
    pub felix: u64,
    /// Rows that the host agent wants.
    pub host: u64,
    /// Rows that the DPU agent was told to keep.
    pub dpu: u64,
    /// Rows read from the target.
    pub target: u64,
    /// Rows that are not the same on all four sides.
    pub differing: u64,
    /// Some of them.
    pub rows: Vec<RowDiff>,
}

/// A row that is not the same everywhere.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct RowDiff {
    /// Match fields.
    pub fields: Vec<NamedValue>,
    /// What the row does there; empty where there is none.
    pub felix: String,
    /// The same at the host agent.
    pub host: String,
    /// The same at the DPU agent.
    pub dpu: String,
    /// The same on the target.
    pub target: String,
}

/// How the target differs from what it should hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Drift {
    /// The generation that was compared.
    pub generation: u64,
    /// Tables that differ.
    pub tables: Vec<TableDrift>,
    /// Entries repaired since the DPU agent started.
    pub repaired: u64,
}

/// How a table differs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct TableDrift {
    /// Its name.
    pub table: String,
    /// Not there.
    pub missing: Vec<HostEntry>,
    /// Should not be there.
    pub unexpected: Vec<HostEntry>,
    /// There with another action or other parameters; as they should be.
    pub different: Vec<HostEntry>,
}
