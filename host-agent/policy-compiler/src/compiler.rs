//! The compiler: what it holds, and what can be asked of it.

mod ahead;
mod commit;
mod endpoints;
mod legs;
mod members;
mod phases;

use std::collections::{BTreeMap, BTreeSet};

use p4_tables::schema;
use policy_model::{
    ChangeSet, Family, IpSetId, PolicyId, PolicyModel, ProfileId, Refusal, Semantics, WorkloadId,
};
use table_model::{Capability, Phase, Row, TableId, TableSnapshot};

use crate::chain::SHORT_LEG;
use crate::endpoint::{Endpoint, EndpointState, Owner};
use crate::error::CompileError;
use crate::fold::OwnPorts;
use crate::host::HostView;
use crate::plane::Plane;
use crate::rule_ref::RuleRef;
use crate::shared::Shared;
use crate::site::Site;
use crate::site_rows::SiteRows;

/// What a commit brings about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Commit {
    /// Updates in order, to be written with a boundary between phases; empty ones are left out.
    pub phases: Vec<Phase>,
    /// Everything that is not enforced exactly now, in order.
    pub refusals: Vec<Refusal>,
    /// Endpoints that were looked at, those that went included: ask
    /// [`Compiler::endpoint_state`].
    pub touched: BTreeSet<WorkloadId>,
}

/// Rows in one table, and how many fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableUsage {
    /// The table.
    pub table: TableId,
    /// Its name.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Rows that fit.
    pub size: u64,
}

/// Turns a model into rows, and each change of the model into the change of rows.
#[derive(Clone, Debug)]
pub struct Compiler {
    pub(crate) capability: Capability,
    pub(crate) semantics: Semantics,
    short_leg: usize,
    epoch: u16,
    /// IPv4, then IPv6.
    pub(crate) planes: [Plane; 2],
    pub(crate) shared: Shared,
    endpoints: BTreeMap<Owner, Endpoint>,
    by_policy: BTreeMap<PolicyId, BTreeSet<Owner>>,
    by_profile: BTreeMap<ProfileId, BTreeSet<Owner>>,
    by_local_set: BTreeMap<IpSetId, BTreeSet<Owner>>,
    by_remote_set: BTreeMap<IpSetId, BTreeSet<Owner>>,
    /// What legs depend on of host endpoints.
    host_view: HostView,
    /// Which endpoint has a port. Two may name one interface while one takes over from the other.
    port_owner: BTreeMap<u16, WorkloadId>,
    own_ports: OwnPorts,
    /// Sets of which legs ask the next version: see [`ahead`].
    ahead: BTreeSet<IpSetId>,
    site: Option<Site>,
    site_rows: SiteRows,
    refusals: Vec<Refusal>,
    counts: BTreeMap<TableId, u64>,
    /// Changes that no commit has taken up yet.
    pending: ChangeSet,
    /// Look at everything next time.
    everything: bool,
}

/// The place of a family in [`Compiler::planes`].
pub(crate) const fn place(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

impl Compiler {
    /// A compiler that has emitted nothing.
    #[must_use]
    pub fn new(capability: Capability, semantics: Semantics) -> Self {
        Self {
            capability,
            semantics,
            short_leg: SHORT_LEG,
            epoch: 0,
            planes: [Plane::new(Family::V4), Plane::new(Family::V6)],
            shared: Shared::default(),
            endpoints: BTreeMap::new(),
            by_policy: BTreeMap::new(),
            by_profile: BTreeMap::new(),
            by_local_set: BTreeMap::new(),
            by_remote_set: BTreeMap::new(),
            host_view: HostView::default(),
            port_owner: BTreeMap::new(),
            own_ports: OwnPorts::default(),
            ahead: BTreeSet::new(),
            site: None,
            site_rows: SiteRows::default(),
            refusals: Vec::new(),
            counts: BTreeMap::new(),
            pending: ChangeSet::default(),
            everything: true,
        }
    }

    /// Compiles legs of at most so many rules as one step, which costs a packet one pass, and longer
    /// ones as a step a policy, which costs rows only once for all endpoints that share it.
    #[must_use]
    pub fn with_short_leg(mut self, rules: usize) -> Self {
        self.short_leg = rules;
        self
    }

    /// Forgets everything; the next commit emits every row as an insert. For a target whose tables
    /// are to be compared as a whole.
    pub fn reset(&mut self) {
        *self = Self {
            epoch: self.epoch,
            short_leg: self.short_leg,
            ..Self::new(self.capability.clone(), self.semantics.clone())
        };
    }

    /// Has the next commit look at everything, for a model that was built anew (Felix restarted):
    /// only what differs from what was emitted is written.
    pub fn resync(&mut self) {
        self.everything = true;
    }

    /// Sets the connection epoch of the next commit; a new one forgets all connections.
    pub fn set_epoch(&mut self, epoch: u16) {
        self.epoch = epoch;
        self.site = None;
    }

    /// Takes another record of the target; the next commit has to fit it.
    pub fn set_capability(&mut self, capability: Capability) {
        self.capability = capability;
    }

    /// Compiles what changed.
    ///
    /// Before the model is in sync nothing is emitted and changes are kept. The first commit, and
    /// the one after [`Compiler::reset`] or [`Compiler::resync`], looks at everything whatever
    /// `changes` says.
    ///
    /// # Errors
    /// See [`CompileError`]. Nothing was changed; the changes are kept for the next commit.
    pub fn commit(
        &mut self,
        model: &PolicyModel,
        changes: &ChangeSet,
        site: &Site,
    ) -> Result<Commit, CompileError> {
        let kept;
        let changes = if self.pending.is_empty() {
            changes
        } else {
            let mut all = std::mem::take(&mut self.pending);
            all.merge(changes.clone());
            kept = all;
            &kept
        };
        if !model.in_sync() {
            self.pending = changes.clone();
            return Ok(Commit::default());
        }
        self.semantics.node = site.node();
        let done = self.commit_in_stages(model, changes, site);
        if done.is_err() {
            self.pending = changes.clone();
        }
        done
    }

    /// Calls `put` with every row that is emitted.
    pub fn each_row(&self, mut put: impl FnMut(Row)) {
        let row = |(key, action): (&table_model::RowKey, &table_model::ActionCall)| Row {
            key: key.clone(),
            action: action.clone(),
        };
        let site = self
            .site_rows
            .pointers
            .iter()
            .chain(&self.site_rows.next_hops);
        site.map(row).for_each(&mut put);
        for endpoint in self.endpoints.values() {
            endpoint.pointers.iter().map(row).for_each(&mut put);
        }
        self.shared.each_row(&mut put);
        for plane in &self.planes {
            plane.each_row(&mut put);
        }
    }

    /// Every row that is emitted.
    #[must_use]
    pub fn snapshot(&self) -> TableSnapshot {
        let mut snapshot = TableSnapshot::new();
        self.each_row(|row| {
            let twice = snapshot.put(row);
            debug_assert!(twice.is_none(), "two owners of one row");
        });
        snapshot
    }

    /// Every row that is emitted, sorted by key.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.each_row(|row| rows.push(row));
        rows.sort_unstable();
        rows
    }

    /// The rule behind the number in a verdict row.
    #[must_use]
    pub fn rule(&self, rule: u32) -> Option<&RuleRef> {
        self.shared.rules.get(rule)
    }

    /// How far an endpoint is enforced; none for one that is not known.
    #[must_use]
    pub fn endpoint_state(&self, id: &WorkloadId) -> Option<&EndpointState> {
        let owner = Owner::Workload(id.clone());
        self.endpoints.get(&owner).map(|endpoint| &endpoint.state)
    }

    /// All endpoints and how far they are enforced, by id.
    pub fn endpoint_states(&self) -> impl Iterator<Item = (&WorkloadId, &EndpointState)> {
        self.endpoints
            .iter()
            .filter_map(|(owner, endpoint)| match owner {
                Owner::Workload(id) => Some((id, &endpoint.state)),
                Owner::Node => None,
            })
    }

    /// Rows of every table, and how many fit.
    #[must_use]
    pub fn usage(&self) -> Vec<TableUsage> {
        let tables = schema().tables.iter();
        tables
            .map(|table| TableUsage {
                table: table.id,
                name: table.name.clone(),
                rows: self.counts.get(&table.id).copied().unwrap_or_default(),
                size: self.size(table.id, table.size),
            })
            .collect()
    }

    /// What the target really holds, or what the schema promises.
    fn size(&self, table: TableId, promised: u64) -> u64 {
        let limits = &self.capability.limits;
        let limit = limits.iter().find(|limit| limit.table == table);
        limit.map_or(promised, |limit| limit.entries)
    }
}
