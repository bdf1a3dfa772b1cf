//! Sets that move both ends of a leg.
//!
//! A rule may ask for both ends in one set. The local end is folded into the leg's classes and the
//! remote one is in its label, and pointers and labels are written one after the other: in between
//! such a leg would see one end as it was and the other as it will be, and could say what it says
//! neither before nor after. So where a change moves a local address in or out of a set that the
//! same endpoint's rules ask of remote ends too, the commit has three stages:
//!
//! 1. The endpoints that change are compiled as they will be, but ask labels for the *next* version
//!    of the set, an atom of its own with the members of after. The set itself stays as it was, for
//!    all who ask it.
//! 2. The set's members change. Nobody who was moved in stage 1 looks.
//! 3. The endpoints are compiled as they stay, and the next version goes.
//!
//! That writes a label for each member of the set twice and works on a copy of the compiler, to which
//! a stage that does not fit leads back. It is rare: policies of Kubernetes ask sets of the remote end
//! only.

use std::collections::BTreeSet;

use policy_model::{ChangeSet, IpSetId, Member, Members, PolicyModel};

use super::{Commit, Compiler};
use crate::endpoint::{Endpoint, Owner, concerns};
use crate::error::CompileError;
use crate::nets::is_host;
use crate::site::Site;

/// Which part of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// There is only one part, or it is the members of the sets that waited.
    Whole,
    /// Everything but members of the sets that move both ends.
    Ahead,
    /// These endpoints again.
    Settle(BTreeSet<Owner>),
}

impl Compiler {
    /// One commit, in stages if some set moves both ends of a leg.
    pub(super) fn commit_in_stages(
        &mut self,
        model: &PolicyModel,
        changes: &ChangeSet,
        site: &Site,
    ) -> Result<Commit, CompileError> {
        let both = self.sets_at_both_ends(changes);
        if both.is_empty() {
            let (commit, _) = self.commit_changes(model, changes, site, &Stage::Whole)?;
            return Ok(commit);
        }
        let before = self.clone();
        let done = self.three_stages(model, changes, site, both);
        if done.is_err() {
            *self = before;
        }
        done
    }

    fn three_stages(
        &mut self,
        model: &PolicyModel,
        changes: &ChangeSet,
        site: &Site,
        both: BTreeSet<IpSetId>,
    ) -> Result<Commit, CompileError> {
        let mut waiting = ChangeSet::default();
        let members = changes.members.iter().filter(|(id, _)| both.contains(*id));
        waiting.members = members.map(|(id, m)| (id.clone(), m.clone())).collect();
        self.ahead = both;
        let (mut commit, moved) = self.commit_changes(model, changes, site, &Stage::Ahead)?;
        let (members, _) = self.commit_changes(model, &waiting, site, &Stage::Whole)?;
        self.ahead.clear();
        let settle = Stage::Settle(moved);
        let (last, _) = self.commit_changes(model, &ChangeSet::default(), site, &settle)?;
        commit.phases.extend(members.phases);
        commit.phases.extend(last.phases);
        commit.refusals = last.refusals;
        commit.touched.extend(members.touched);
        commit.touched.extend(last.touched);
        Ok(commit)
    }

    /// Sets whose change moves an address of an endpoint that asks the set of the other end as well.
    /// Where everything is looked at there is nothing to compare with. Of a set that came or went
    /// no leg is open before and after.
    fn sets_at_both_ends(&self, changes: &ChangeSet) -> BTreeSet<IpSetId> {
        if self.everything {
            return BTreeSet::new();
        }
        let moves = |id: &IpSetId, members: &Members| {
            let owners = self.by_local_set.get(id).into_iter().flatten();
            let mut endpoints = owners.filter_map(|owner| self.endpoints.get(owner));
            endpoints.any(|endpoint| {
                endpoint.needs.remote_sets.contains(id) && moves_others_too(endpoint, members)
            })
        };
        let known = changes
            .members
            .iter()
            .filter(|(id, _)| !changes.sets.contains(*id));
        known
            .filter(|(id, members)| moves(id, members))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

/// Whether members that change are about the endpoint, and not about a single address of its alone.
fn moves_others_too(endpoint: &Endpoint, members: &Members) -> bool {
    let locals = &endpoint.locals;
    if !members.iter().any(|member| concerns(&member, locals)) {
        return false;
    }
    let alone = |member: &Member| match member {
        Member::Net(net) => is_host(net) && locals.contains(net),
        Member::Port { .. } => false,
    };
    members.len() > 1 || !members.iter().all(|member| alone(&member))
}
