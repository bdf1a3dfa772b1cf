//! From changes to rows in a target, and from flows to packets through it.

mod rounds;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use policy_compiler::{CompileError, Compiler, EndpointState};
use policy_model::{ChangeSet, Flow, Node, PolicyModel, Semantics, WorkloadId};
use table_model::{ActionCall, Phase, RowKey, TableSnapshot, Update};
use thiserror::Error;

use super::report::Summary;
use super::trial::Fate;
use crate::packet::{Link, frame};
use crate::progress::Progress;
use crate::target::{
    Attachment, Batch, Bmv2, EGRESS_THREADS, Ports, Probe, Rows, Soft, Target, TargetError,
    TargetKind,
};

/// Packets that are under way at once.
const BATCH: usize = 256;

/// Why enforcement failed.
#[derive(Debug, Error)]
pub(crate) enum EnforceError {
    /// The compiler.
    #[error("The policy does not fit the target; what was enforced before stays")]
    Compile(#[from] CompileError),
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Rows that were read back are not those that were written.
    #[error(
        "The target holds other rows than were written: {missing} are missing, {extra} should not \
         be there, {changed} do something else"
    )]
    ReadBack {
        /// Written and not there.
        missing: usize,
        /// There and not written.
        extra: usize,
        /// With another action.
        changed: usize,
    },
    /// The rows depend on how the policy came about.
    #[error(
        "The same policy compiled from nothing gives other rows: {missing} are missing, {extra} \
         are left over, {changed} do something else"
    )]
    History {
        /// From nothing, and not after this history.
        missing: usize,
        /// After this history, and not from nothing.
        extra: usize,
        /// With another action.
        changed: usize,
    },
}

/// The compiler and the target behind it.
pub(crate) struct Enforcement {
    compiler: Compiler,
    ports: Ports,
    target: Box<dyn Target>,
    epoch: u16,
    commits: u64,
    writes: u64,
    compile: Duration,
    write: Duration,
    packets: Duration,
}

impl Enforcement {
    /// Starts or reaches the target; none if there is to be none.
    ///
    /// # Errors
    /// The target cannot be started or reached.
    pub(crate) fn new(
        kind: TargetKind,
        bmv2: &str,
        semantics: &Semantics,
    ) -> Result<Option<Self>, EnforceError> {
        let target: Box<dyn Target> = match kind {
            TargetKind::None => return Ok(None),
            TargetKind::Rows => Box::new(Rows::new()),
            TargetKind::Soft => Box::new(Soft::start()?),
            TargetKind::Bmv2 => Box::new(Bmv2::start(bmv2)?),
        };
        Ok(Some(Self::of(target, semantics)))
    }

    /// With a target that is empty.
    pub(crate) fn of(target: Box<dyn Target>, semantics: &Semantics) -> Self {
        Self {
            compiler: Compiler::new(target.capability().clone(), semantics.clone()),
            ports: Ports::new(semantics.policy_only),
            target,
            epoch: 0,
            commits: 0,
            writes: 0,
            compile: Duration::ZERO,
            write: Duration::ZERO,
            packets: Duration::ZERO,
        }
    }

    /// Where an address is plugged in, since the last commit.
    pub(crate) fn attachment(&self, model: &PolicyModel, addr: IpAddr) -> Option<Attachment> {
        self.ports.attachment(model, addr)
    }

    /// Compiles what a new session changed and writes it: how many entries were touched that are
    /// as they were before? There should be none. (Entries that are
    /// there for the length of the change only are not counted.)
    ///
    /// # Errors
    /// See [`EnforceError`].
    pub(crate) fn commit_session(
        &mut self,
        model: &PolicyModel,
        changes: &ChangeSet,
    ) -> Result<u64, EnforceError> {
        let before = self.compiler.snapshot();
        let touched = self.commit_phases(model, changes)?;
        let after = self.compiler.snapshot();
        let updates = touched.iter().flat_map(|phase| &phase.updates);
        let keys: BTreeSet<_> = updates.map(Update::key).collect();
        let same = |key: &&&RowKey| {
            before
                .get(key)
                .is_some_and(|action| after.get(key) == Some(action))
        };
        Ok(keys.iter().filter(same).count() as u64)
    }

    /// Compiles what changed and writes it.
    ///
    /// # Errors
    /// See [`EnforceError`].
    pub(crate) fn commit(
        &mut self,
        model: &PolicyModel,
        changes: &ChangeSet,
    ) -> Result<(), EnforceError> {
        self.commit_phases(model, changes).map(drop)
    }

    fn commit_phases(
        &mut self,
        model: &PolicyModel,
        changes: &ChangeSet,
    ) -> Result<Vec<Phase>, EnforceError> {
        let started = Instant::now();
        self.ports.follow(model);
        let commit = self.compiler.commit(model, changes, self.ports.site())?;
        self.compile += started.elapsed();
        self.commits += 1;
        self.writes += updates(&commit.phases);
        let started = Instant::now();
        self.target.apply(&commit.phases)?;
        self.write += started.elapsed();
        Ok(commit.phases)
    }

    /// The node as the evaluator has to know it, with or without a target.
    pub(crate) fn node(policy_only: bool) -> Node {
        Ports::new(policy_only).site().node()
    }

    /// Entries inserted, modified and deleted so far, connections' epochs aside.
    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }

    /// Sends the first packet of each flow as a fresh connection.
    ///
    /// # Errors
    /// See [`EnforceError`].
    pub(crate) fn send(
        &mut self,
        model: &PolicyModel,
        flows: &[Flow],
        progress: &mut Progress,
    ) -> Result<Vec<Fate>, EnforceError> {
        let mut fates = vec![Fate::Dropped; flows.len()];
        let mut sent = 0;
        for round in rounds::rounds(flows) {
            self.forget_connections(model)?;
            for batch in round.chunks(BATCH) {
                progress.show(|| format!("flow {sent} of {}", flows.len()));
                self.send_batch(model, flows, batch, &mut fates)?;
                sent += batch.len();
            }
        }
        Ok(fates)
    }

    fn send_batch(
        &mut self,
        model: &PolicyModel,
        flows: &[Flow],
        batch: &[usize],
        fates: &mut [Fate],
    ) -> Result<(), EnforceError> {
        let mut probes = Vec::with_capacity(batch.len());
        let mut exits = Vec::with_capacity(batch.len());
        let open = |id: &WorkloadId| {
            matches!(
                self.compiler.endpoint_state(id),
                Some(EndpointState::Enforced | EndpointState::Partly { .. })
            )
        };
        let sentinels = self.ports.sentinels(model, open, EGRESS_THREADS);
        for index in batch {
            let flow = flows[*index];
            // Behind no port nobody can send.
            let Some(source) = self.ports.attachment(model, flow.src) else {
                continue;
            };
            let link = Link {
                src: source.mac,
                dst: source.peer,
            };
            // Tells ICMP echo requests of one pair of hosts apart.
            let tag = u32::try_from(*index & 0xffff).unwrap_or(0);
            probes.push(Probe {
                flow,
                port: source.port,
                frame: frame(&flow, tag, link),
            });
            let exit = self.ports.attachment(model, flow.dst).map(|a| a.port);
            exits.push((*index, exit));
        }
        let started = Instant::now();
        let left = self.target.send(&Batch { probes, sentinels })?;
        self.packets += started.elapsed();
        for ((index, exit), left) in exits.into_iter().zip(left) {
            fates[index] = match left {
                None => Fate::Dropped,
                Some(port) if Some(port) == exit => Fate::Forwarded,
                Some(port) => Fate::Misdelivered(port),
            };
        }
        Ok(())
    }

    /// A new epoch: what the pipeline remembers of connections counts no more.
    fn forget_connections(&mut self, model: &PolicyModel) -> Result<(), EnforceError> {
        if !model.in_sync() {
            return Ok(());
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.compiler.set_epoch(self.epoch);
        let nothing = ChangeSet::default();
        let commit = self.compiler.commit(model, &nothing, self.ports.site())?;
        self.target.apply(&commit.phases)?;
        Ok(())
    }

    /// Reads the target back, compares it with what was written and with what the policy comes to
    /// if it is compiled from nothing, and fills in the summary.
    ///
    /// # Errors
    /// See [`EnforceError`].
    pub(crate) fn finish(
        mut self,
        model: &PolicyModel,
        summary: &mut Summary,
    ) -> Result<(), EnforceError> {
        let there = self.target.read()?;
        let written = self.compiler.snapshot();
        if let Some((missing, extra, changed)) = unlike(&written, &there) {
            return Err(EnforceError::ReadBack {
                missing,
                extra,
                changed,
            });
        }
        self.compiler.reset();
        self.compiler
            .commit(model, &ChangeSet::default(), self.ports.site())?;
        if let Some((missing, extra, changed)) = unlike(&self.compiler.snapshot(), &written) {
            return Err(EnforceError::History {
                missing,
                extra,
                changed,
            });
        }
        summary.target.clone_from(&self.target.capability().target);
        summary.entries = u64::try_from(there.len()).unwrap_or(u64::MAX);
        summary.fingerprint = fingerprint(&there);
        summary.commits = self.commits;
        summary.seconds.compile = self.compile.as_secs_f64();
        summary.seconds.write = self.write.as_secs_f64();
        summary.seconds.packets = self.packets.as_secs_f64();
        Ok(())
    }
}

/// How many rows are missing, left over, and there with another action; none if there are none.
fn unlike(wanted: &TableSnapshot, there: &TableSnapshot) -> Option<(usize, usize, usize)> {
    let absent = |of: &TableSnapshot, from: &TableSnapshot| {
        of.iter().filter(|(key, _)| from.get(key).is_none()).count()
    };
    let differs =
        |key: &RowKey, action: &ActionCall| wanted.get(key).is_some_and(|other| other != action);
    let changed = there
        .iter()
        .filter(|(key, action)| differs(key, action))
        .count();
    let counts = (absent(wanted, there), absent(there, wanted), changed);
    (counts != (0, 0, 0)).then_some(counts)
}

fn updates(phases: &[Phase]) -> u64 {
    let updates: usize = phases.iter().map(|phase| phase.updates.len()).sum();
    u64::try_from(updates).unwrap_or(u64::MAX)
}

/// FNV-1a of all rows in order, but for the settings, whose epoch counts the rounds of packets.
fn fingerprint(rows: &TableSnapshot) -> String {
    let mut sorted: Vec<_> = rows
        .iter()
        .filter(|(key, _)| key.table != p4_tables::acl_settings::TABLE)
        .collect();
    sorted.sort_unstable();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (key, action) in sorted {
        let (table, action_id) = (key.table.0.to_be_bytes(), action.action.0.to_be_bytes());
        let bytes = table
            .iter()
            .chain(&key.bytes)
            .chain(&action_id)
            .chain(&action.params);
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests;
