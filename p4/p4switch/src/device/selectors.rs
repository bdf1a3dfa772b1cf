//! Action profiles and selectors: members and groups of the controller, and one-shot action sets,
//! for which the switch makes members and groups itself.
//!
//! All tables of a profile are programmed in one of the two ways (P4Runtime 9.2.3), so both share
//! the engine's ids. A member whose watch port is down is left out of its groups; a group of which
//! nothing is left does nothing to the packet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use p4_engine::{
    ActionCall, EntryAction, EntryHandle, ProfileGroup, ProfileIndex, TableIndex, TableSource,
    WeightedMember,
};

use super::{Device, Undo, changed, reverse};
use crate::{
    failure::Failure,
    operation::{ActionSet, Change, Operation, SelectorGroup, SelectorMember, Watch},
};

/// Ids of one-shot members and groups count up from here; a controller's own never meet them, and
/// small numbers stay for people.
const FIRST: u32 = 1 << 31;

/// What one profile holds beside the engine.
#[derive(Debug)]
struct Book {
    groups: BTreeMap<u32, SelectorGroup>,
    /// Next id of a one-shot member or group.
    next: u32,
    /// One-shot sets in use.
    sets: usize,
}

/// The members and the group that stand for one action set.
#[derive(Debug)]
pub(super) struct OwnSet {
    set: Arc<ActionSet>,
    group: u32,
    members: Vec<u32>,
}

impl OwnSet {
    pub(super) fn group(&self) -> u32 {
        self.group
    }
}

/// Of all profiles.
#[derive(Debug)]
pub(super) struct Selectors {
    books: Vec<Book>,
    sets: BTreeMap<(TableIndex, EntryHandle), OwnSet>,
}

impl Selectors {
    pub(super) fn new(profiles: usize) -> Self {
        let book = |_| Book {
            groups: BTreeMap::new(),
            next: FIRST,
            sets: 0,
        };
        Self {
            books: (0..profiles).map(book).collect(),
            sets: BTreeMap::new(),
        }
    }

    pub(super) fn own(
        &mut self,
        table: TableIndex,
        handle: EntryHandle,
        own: OwnSet,
    ) -> Option<OwnSet> {
        self.sets.insert((table, handle), own)
    }

    pub(super) fn disown(&mut self, table: TableIndex, handle: EntryHandle) -> Option<OwnSet> {
        if self.sets.is_empty() {
            return None;
        }
        self.sets.remove(&(table, handle))
    }

    pub(super) fn set_of(&self, table: TableIndex, handle: EntryHandle) -> Option<&Arc<ActionSet>> {
        if self.sets.is_empty() {
            return None;
        }
        self.sets.get(&(table, handle)).map(|own| &own.set)
    }

    /// Groups of the controller.
    pub(super) fn groups(&self, profile: ProfileIndex) -> &BTreeMap<u32, SelectorGroup> {
        &self.books[profile.position()].groups
    }

    /// Whether the profile is programmed by action sets.
    pub(super) fn one_shot(&self, profile: ProfileIndex) -> bool {
        self.books[profile.position()].sets > 0
    }
}

impl Device {
    fn profile_of(&self, table: TableIndex) -> Option<ProfileIndex> {
        match self.engine.program().table_info(table).source {
            TableSource::Direct => None,
            TableSource::Profile(profile) | TableSource::Selector(profile) => Some(profile),
        }
    }

    /// Refuses a member or group in a profile that is programmed by sets.
    pub(super) fn check_style(
        &self,
        table: TableIndex,
        action: &EntryAction,
    ) -> Result<(), Failure> {
        if matches!(action, EntryAction::Call(_)) {
            return Ok(());
        }
        match self.profile_of(table) {
            Some(profile) if self.selectors.one_shot(profile) => Err(self.mixed(profile)),
            _ => Ok(()),
        }
    }

    fn mixed(&self, profile: ProfileIndex) -> Failure {
        let name = &self.engine.program().profiles()[profile.position()].name;
        Failure::invalid(format!(
            "Profile {name} is programmed by one-shot action sets or by members and groups, not by \
             both at a time"
        ))
    }

    /// Makes the members and the group of a set.
    pub(super) fn make_set(
        &mut self,
        table: TableIndex,
        set: Arc<ActionSet>,
    ) -> Result<OwnSet, Failure> {
        let Some(profile) = self.profile_of(table) else {
            return Err(Failure::invalid("The table has no action profile"));
        };
        let explicit = !self.selectors.one_shot(profile)
            && (self.engine.members(profile).next().is_some()
                || !self.selectors.groups(profile).is_empty());
        if explicit {
            return Err(self.mixed(profile));
        }
        let count = u32::try_from(set.actions.len()).unwrap_or(u32::MAX);
        let first = {
            let engine = &self.engine;
            let book = &mut self.selectors.books[profile.position()];
            // Round again after two thousand million; ids still in use are passed over.
            let free = |first: u32| {
                first.checked_add(count).is_some_and(|last| {
                    engine.group(profile, first).is_none()
                        && (first..last).all(|id| engine.member(profile, id).is_none())
                })
            };
            let mut first = book.next;
            while !free(first) {
                first = first.checked_add(1).unwrap_or(FIRST);
            }
            book.next = first.checked_add(count.max(1)).unwrap_or(FIRST);
            first
        };
        let mut own = OwnSet {
            set: Arc::clone(&set),
            group: first,
            members: Vec::with_capacity(set.actions.len()),
        };
        self.selectors.books[profile.position()].sets += 1;
        let made = (first..).zip(&set.actions).try_for_each(|(id, action)| {
            self.engine.set_member(profile, id, action.call.clone())?;
            own.members.push(id);
            Ok::<_, Failure>(())
        });
        let made = made.and_then(|()| self.set_own_group(profile, &own));
        match made {
            Ok(()) => Ok(own),
            Err(failure) => {
                self.drop_set(table, &own);
                Err(failure)
            }
        }
    }

    fn set_own_group(&mut self, profile: ProfileIndex, own: &OwnSet) -> Result<(), Failure> {
        let members = own.members.iter().zip(&own.set.actions);
        let live = members
            .filter(|(_, action)| self.is_live(action.watch.as_ref()))
            .map(|(member, action)| weighted(*member, action.weight));
        let members = live.collect();
        Ok(self
            .engine
            .set_group(profile, own.group, ProfileGroup { members })?)
    }

    /// Removes the members and the group of a set that no entry refers to.
    pub(super) fn drop_set(&mut self, table: TableIndex, own: &OwnSet) {
        let Some(profile) = self.profile_of(table) else {
            return;
        };
        // A set that was made in part has no group.
        if self.engine.group(profile, own.group).is_some() {
            let removed = self.engine.remove_group(profile, own.group);
            debug_assert_eq!(removed, Ok(()));
        }
        for member in &own.members {
            let removed = self.engine.remove_member(profile, *member);
            debug_assert_eq!(removed, Ok(()));
        }
        let sets = &mut self.selectors.books[profile.position()].sets;
        *sets = sets.saturating_sub(1);
    }

    pub(super) fn change_member(
        &mut self,
        profile: ProfileIndex,
        member: u32,
        change: Change<ActionCall>,
    ) -> Result<Undo, Failure> {
        if self.selectors.one_shot(profile) {
            return Err(self.mixed(profile));
        }
        let before = self.engine.member(profile, member).cloned();
        let back = reverse(before.clone(), &change);
        // The engine's groups lack members whose port is down.
        let mut groups = self.selectors.groups(profile).iter();
        if change == Change::Delete
            && let Some((group, _)) =
                groups.find(|(_, group)| group.members.iter().any(|one| one.member == member))
        {
            return Err(Failure::precondition(format!(
                "Member {member} is part of group {group}"
            )));
        }
        match changed("member", member, before.is_some(), change)? {
            Some(call) => self.engine.set_member(profile, member, call)?,
            None => self.engine.remove_member(profile, member)?,
        }
        Ok(Undo::Operation(Operation::Member {
            profile,
            member,
            change: back,
        }))
    }

    pub(super) fn change_selector_group(
        &mut self,
        profile: ProfileIndex,
        group: u32,
        change: Change<SelectorGroup>,
    ) -> Result<Undo, Failure> {
        if self.selectors.one_shot(profile) {
            return Err(self.mixed(profile));
        }
        let before = self.selectors.groups(profile).get(&group).cloned();
        if let (Some(before), Change::Modify(after)) = (&before, &change)
            && before.max_size != after.max_size
        {
            return Err(Failure::invalid(format!(
                "The max_size of group {group} is {} and cannot be changed",
                before.max_size
            )));
        }
        let back = reverse(before.clone(), &change);
        match changed("group", group, before.is_some(), change)? {
            Some(config) => {
                // Members that are left out must be there as well.
                for one in &config.members {
                    if self.engine.member(profile, one.member).is_none() {
                        return Err(Failure::not_found(format!(
                            "There is no member {}",
                            one.member
                        )));
                    }
                }
                self.set_live_group(profile, group, &config)?;
                let groups = &mut self.selectors.books[profile.position()].groups;
                groups.insert(group, config);
            }
            None => {
                self.engine.remove_group(profile, group)?;
                self.selectors.books[profile.position()]
                    .groups
                    .remove(&group);
            }
        }
        Ok(Undo::Operation(Operation::SelectorGroup {
            profile,
            group,
            change: back,
        }))
    }

    fn set_live_group(
        &mut self,
        profile: ProfileIndex,
        group: u32,
        config: &SelectorGroup,
    ) -> Result<(), Failure> {
        let live = config.members.iter();
        let live = live.filter(|member| self.is_live(member.watch.as_ref()));
        let members = live
            .map(|SelectorMember { member, weight, .. }| weighted(*member, *weight))
            .collect();
        Ok(self
            .engine
            .set_group(profile, group, ProfileGroup { members })?)
    }

    fn is_live(&self, watch: Option<&Watch>) -> bool {
        watch.is_none_or(|watch| !self.is_down(watch.port))
    }

    /// Writes the groups anew that watch one of these ports.
    pub(super) fn refresh_selectors(&mut self, flipped: &BTreeSet<u16>) {
        let watches = |watch: Option<&Watch>| watch.is_some_and(|one| flipped.contains(&one.port));
        let mut failed = Ok(());
        let profiles: Vec<ProfileIndex> = (self.engine.program().profiles().iter())
            .filter_map(|profile| self.engine.program().profile(&profile.name))
            .collect();
        for profile in profiles {
            let touched: Vec<_> = (self.selectors.groups(profile).iter())
                .filter(|(_, group)| {
                    let mut members = group.members.iter();
                    members.any(|member| watches(member.watch.as_ref()))
                })
                .map(|(id, group)| (*id, group.clone()))
                .collect();
            for (id, group) in touched {
                failed = failed.and(self.set_live_group(profile, id, &group));
            }
        }
        let sets = std::mem::take(&mut self.selectors.sets);
        for ((table, _), own) in &sets {
            let mut actions = own.set.actions.iter();
            if actions.any(|action| watches(action.watch.as_ref()))
                && let Some(profile) = self.profile_of(*table)
            {
                failed = failed.and(self.set_own_group(profile, own));
            }
        }
        self.selectors.sets = sets;
        if let Err(failure) = failed {
            tracing::error!(
                reason = failure.message,
                "A selector could not be told that a port has changed"
            );
        }
    }
}

fn weighted(member: u32, weight: i32) -> WeightedMember {
    WeightedMember {
        member,
        // 0 is written where weights are disallowed.
        weight: u32::try_from(weight.max(1)).unwrap_or(1),
    }
}
