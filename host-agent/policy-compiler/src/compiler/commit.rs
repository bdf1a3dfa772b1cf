//! One commit, from changes to phases.

use std::collections::{BTreeMap, BTreeSet};

use p4_tables::schema;
use policy_model::{ChangeSet, PolicyModel, WorkloadId};
use table_model::TableId;

use super::ahead::Stage;
use super::phases::{self, Changes};
use super::{Commit, Compiler};
use crate::endpoint::{Endpoint, Owner, concerns};
use crate::error::CompileError;
use crate::host::HostView;
use crate::journal::Journal;
use crate::plane::LabelUpdates;
use crate::site::Site;
use crate::site_rows::SiteRows;

/// Everything of the commit's start that endpoints and the site need to go back to.
struct Before {
    endpoints: BTreeMap<Owner, Option<Endpoint>>,
    site_rows: Option<SiteRows>,
    port_owner: Option<BTreeMap<u16, WorkloadId>>,
    host_view: Option<HostView>,
}

impl Compiler {
    pub(super) fn commit_changes(
        &mut self,
        model: &PolicyModel,
        changes: &ChangeSet,
        site: &Site,
        stage: &Stage,
    ) -> Result<(Commit, BTreeSet<Owner>), CompileError> {
        let everything = self.everything;
        let moved = everything || self.site.as_ref() != Some(site);
        let mut journal = Journal::default();
        if everything {
            self.own_ports.clear();
        }
        for id in changes.members.keys().chain(&changes.sets) {
            self.own_ports.remove(id);
        }
        let mut before = Before {
            endpoints: BTreeMap::new(),
            site_rows: None,
            port_owner: None,
            host_view: None,
        };
        let mut dirty = self.dirty(model, changes, site, moved, &mut before);
        // Sets whose members wait for the next stage.
        let held = match stage {
            Stage::Ahead => self.ahead.clone(),
            Stage::Whole | Stage::Settle(_) => BTreeSet::new(),
        };
        if let Stage::Settle(owners) = stage {
            dirty.extend(owners.iter().cloned());
        }

        // Legs: new ones are counted before old ones are counted off.
        for id in &dirty {
            let new = self.compile(model, site, id, &mut journal);
            self.count_legs(new.as_ref(), true);
            let old = self.replace_endpoint(id, new);
            before.endpoints.insert(id.clone(), old);
        }
        let mut left = [Vec::new(), Vec::new()];
        let mut left_nodes = Vec::new();
        for old in before.endpoints.values() {
            self.count_legs(old.as_ref(), false);
            for (family, class) in old.iter().flat_map(|old| &old.legs) {
                left[super::place(*family)].push(*class);
            }
            left_nodes.extend(old.iter().flat_map(|old| &old.nodes).copied());
        }
        if moved || changes.config || changes.hosts || !changes.host_endpoints.is_empty() {
            let rows = SiteRows::new(model, &self.semantics, site, self.epoch);
            before.site_rows = Some(std::mem::replace(&mut self.site_rows, rows));
        }

        // Labels.
        let mut atoms = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        let mut labels = LabelUpdates::default();
        for ((plane, left), atoms) in self.planes.iter_mut().zip(&left).zip(&mut atoms) {
            *atoms = plane.plan_atoms(left);
            let (load, unload) = &*atoms;
            let mut edits = plane.member_edits(model, changes, (load, unload), &held, everything);
            plane.edit_nets(edits.net_gains, &mut journal);
            plane.widen_hosts(&edits.hosts, &mut journal);
            drop(std::mem::take(&mut edits.hosts));
            plane.end_wide();
            plane.show_labels(&mut journal);
            plane.hide_dead_classes();
            plane.unloading(unload, &mut edits.net_losses);
            plane.edit_nets(edits.net_losses, &mut journal);
            plane.narrow_hosts(edits.unloaded_hosts, &mut journal);
            labels.append(plane.label_updates());
        }

        let mut all = Changes::new(labels);
        all.endpoints(&before.endpoints, |id| self.endpoints.get(id));
        if let Some(old) = &before.site_rows {
            all.site(old, &self.site_rows);
        }
        if let Err(error) = self.check_room(&journal, &all) {
            self.undo(before, &atoms);
            return Err(error);
        }

        for (plane, (_, unload)) in self.planes.iter_mut().zip(&atoms) {
            plane.finish(unload, &mut self.shared, &mut journal);
        }
        self.shared.chains.finish(&left_nodes, &mut journal);
        if moved {
            self.site = Some(site.clone());
        }
        self.everything = false;
        let phases = all.phases(journal);
        phases::count(&mut self.counts, &phases);
        self.refusals = if everything {
            model.refusals(&self.semantics)
        } else {
            model.refusals_after(&self.refusals, changes, &self.semantics)
        };
        let commit = Commit {
            phases,
            refusals: self.refusals.clone(),
            touched: dirty
                .iter()
                .filter_map(|owner| match owner {
                    Owner::Workload(id) => Some(id.clone()),
                    Owner::Node => None,
                })
                .collect(),
        };
        Ok((commit, dirty))
    }

    /// Endpoints whose legs or pointers may be others now.
    fn dirty(
        &mut self,
        model: &PolicyModel,
        changes: &ChangeSet,
        site: &Site,
        moved: bool,
        before: &mut Before,
    ) -> BTreeSet<Owner> {
        let workload = |id: &WorkloadId| Owner::Workload(id.clone());
        let mut dirty: BTreeSet<Owner> = changes.workloads.iter().map(workload).collect();
        if !dirty.is_empty() && self.endpoints.contains_key(&Owner::Node) {
            // One of them may have won or lost an address of the node's.
            dirty.insert(Owner::Node);
        }
        let mut everyone = moved;
        if moved || changes.config || changes.hosts || !changes.host_endpoints.is_empty() {
            let view = HostView::new(model, &self.semantics);
            everyone |= view.workloads != self.host_view.workloads;
            if everyone || changes.hosts || view.node != self.host_view.node {
                dirty.insert(Owner::Node);
            }
            before.host_view = Some(std::mem::replace(&mut self.host_view, view));
        }
        if everyone {
            dirty.extend(self.endpoints.keys().cloned());
            dirty.extend(model.workloads().map(|(id, _)| workload(id)));
        }
        let by_policy = changes
            .policies
            .iter()
            .flat_map(|id| self.by_policy.get(id));
        dirty.extend(by_policy.flatten().cloned());
        let by_profile = changes
            .profiles
            .iter()
            .flat_map(|id| self.by_profile.get(id));
        dirty.extend(by_profile.flatten().cloned());
        for index in [&self.by_local_set, &self.by_remote_set] {
            let by_set = changes.sets.iter().flat_map(|id| index.get(id));
            dirty.extend(by_set.flatten().cloned());
        }
        for (set, members) in &changes.members {
            for id in self.by_local_set.get(set).into_iter().flatten() {
                let locals = self.endpoints.get(id).map(|endpoint| &endpoint.locals);
                let locals = locals.map(Vec::as_slice).unwrap_or_default();
                if !dirty.contains(id) && members.iter().any(|member| concerns(&member, locals)) {
                    dirty.insert(id.clone());
                }
            }
        }
        if !dirty.is_empty() {
            let owners = port_owners(model, site);
            let old = std::mem::replace(&mut self.port_owner, owners);
            for (port, id) in &old {
                if self.port_owner.get(port) != Some(id) {
                    dirty.insert(workload(id));
                    dirty.extend(self.port_owner.get(port).map(workload));
                }
            }
            before.port_owner = Some(old);
        }
        dirty
    }

    /// Whether everything that comes fits beside what is there.
    fn check_room(&self, journal: &Journal, changes: &Changes) -> Result<(), CompileError> {
        let mut need: BTreeMap<TableId, u64> = BTreeMap::new();
        let bodies = journal.puts.iter().map(|row| row.key.table);
        for table in bodies.chain(changes.inserts()) {
            *need.entry(table).or_default() += 1;
        }
        for table in &schema().tables {
            let need = need.get(&table.id).copied().unwrap_or_default();
            let there = self.counts.get(&table.id).copied().unwrap_or_default();
            let free = self.size(table.id, table.size).saturating_sub(there);
            if need > free {
                return Err(CompileError::Full {
                    table: table.name.clone(),
                    need,
                    free,
                });
            }
        }
        Ok(())
    }

    fn undo(&mut self, before: Before, atoms: &[(Vec<u32>, Vec<u32>); 2]) {
        let Before {
            endpoints,
            site_rows,
            port_owner,
            host_view,
        } = before;
        for (id, old) in endpoints {
            self.count_legs(old.as_ref(), true);
            let new = self.replace_endpoint(&id, old);
            self.count_legs(new.as_ref(), false);
        }
        for (plane, (loaded, _)) in self.planes.iter_mut().zip(atoms) {
            plane.undo(loaded, &mut self.shared);
        }
        self.shared.chains.undo();
        if let Some(rows) = site_rows {
            self.site_rows = rows;
        }
        if let Some(owners) = port_owner {
            self.port_owner = owners;
        }
        if let Some(view) = host_view {
            self.host_view = view;
        }
    }
}

/// Which endpoint has which port: of two that name one interface the lowest id among the active
/// ones, else the lowest of all, as with addresses.
fn port_owners(model: &PolicyModel, site: &Site) -> BTreeMap<u16, WorkloadId> {
    let mut owners: BTreeMap<u16, (bool, &WorkloadId)> = BTreeMap::new();
    for (id, endpoint) in model.workloads() {
        let Some(port) = site.workload_ports.get(&endpoint.interface) else {
            continue;
        };
        // Sorted by id, so the first of equals is the lowest.
        let owner = owners.entry(port.number).or_insert((endpoint.active, id));
        if endpoint.active && !owner.0 {
            *owner = (true, id);
        }
    }
    let owners = owners.into_iter();
    owners.map(|(port, (_, id))| (port, id.clone())).collect()
}
