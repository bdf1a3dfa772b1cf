//! Action profiles and selectors.

use super::profile_of;
use crate::engine::Engine;
use crate::entry::{ActionCall, ProfileGroup};
use crate::error::ControlError;
use crate::program::{ProfileIndex, TableInfo};
use crate::state::{self, Group, Member, RowAction};

/// Members that one group may have, weights counted.
const MAX_SPREAD: usize = 1 << 16;

impl Engine {
    /// Adds or replaces a member of an action profile.
    ///
    /// # Errors
    /// `Full`, or what is wrong with the action.
    pub fn set_member(
        &mut self,
        profile: ProfileIndex,
        member: u32,
        call: ActionCall,
    ) -> Result<(), ControlError> {
        let info = &self.program.profiles()[profile.position()];
        let own = |table: &&TableInfo| profile_of(table) == Some(profile);
        let table = self.program.tables().iter().find(own);
        let table = table.ok_or_else(|| ControlError::Invalid {
            what: format!("No table uses profile {}", info.name),
        })?;
        self.check_call(table, &call)?;
        let args = state::spread_args(&self.program, &call);
        let state = &mut self.state.profiles[profile.position()];
        if !state.members.contains_key(&member) && state.members.len() >= info.max_size {
            let what = format!("Profile {}", info.name);
            return Err(ControlError::Full {
                what,
                size: info.max_size,
            });
        }
        state.members.insert(member, Member { call, args });
        Ok(())
    }

    /// A member of an action profile.
    #[must_use]
    pub fn member(&self, profile: ProfileIndex, member: u32) -> Option<&ActionCall> {
        self.state.profiles[profile.position()]
            .members
            .get(&member)
            .map(|member| &member.call)
    }

    /// All members of an action profile, by id.
    pub fn members(&self, profile: ProfileIndex) -> impl Iterator<Item = (u32, &ActionCall)> {
        let members = self.state.profiles[profile.position()].members.iter();
        members.map(|(id, member)| (*id, &member.call))
    }

    /// Removes a member.
    ///
    /// # Errors
    /// `NotFound`, or `InUse` by an entry or a group.
    pub fn remove_member(
        &mut self,
        profile: ProfileIndex,
        member: u32,
    ) -> Result<(), ControlError> {
        let name = &self.program.profiles()[profile.position()].name;
        let what = format!("Member {member} of profile {name}");
        let state = &self.state.profiles[profile.position()];
        if !state.members.contains_key(&member) {
            return Err(ControlError::NotFound { what });
        }
        let grouped = state
            .groups
            .values()
            .any(|group| group.config.members.iter().any(|one| one.member == member));
        if grouped || self.referred(profile, RowAction::Member(member)) {
            return Err(ControlError::InUse { what });
        }
        self.state.profiles[profile.position()]
            .members
            .remove(&member);
        Ok(())
    }

    /// Adds or replaces a group of an action selector.
    ///
    /// # Errors
    /// `NotFound` for a missing member, or the profile has no selector.
    pub fn set_group(
        &mut self,
        profile: ProfileIndex,
        group: u32,
        members: ProfileGroup,
    ) -> Result<(), ControlError> {
        let info = &self.program.profiles()[profile.position()];
        if !info.selector {
            let what = format!("Profile {} has no selector", info.name);
            return Err(ControlError::Invalid { what });
        }
        let state = &mut self.state.profiles[profile.position()];
        let mut room = MAX_SPREAD;
        for one in &members.members {
            if !state.members.contains_key(&one.member) {
                let what = format!("Member {} of profile {}", one.member, info.name);
                return Err(ControlError::NotFound { what });
            }
            let weight = usize::try_from(one.weight).unwrap_or(usize::MAX);
            if one.weight == 0 || weight > room {
                let what = format!("Weights of group {group} are zero or exceed {MAX_SPREAD}");
                return Err(ControlError::Invalid { what });
            }
            room -= weight;
        }
        let old = state.groups.remove(&group).unwrap_or_default();
        let kept = |member: &u32| members.members.iter().any(|one| one.member == *member);
        let mut new = Group {
            disabled: old.disabled.into_iter().filter(kept).collect(),
            config: members,
            spread: old.spread,
        };
        new.respread();
        state.groups.insert(group, new);
        Ok(())
    }

    /// Lets a member of a group have packets or not, as the watch port of P4Runtime (clause 9.2.2)
    /// asks for. The group's configuration stays; with no enabled member its packets run no action.
    ///
    /// # Errors
    /// `NotFound` for a missing group or a member that is not in it.
    pub fn set_member_enabled(
        &mut self,
        profile: ProfileIndex,
        group: u32,
        member: u32,
        enabled: bool,
    ) -> Result<(), ControlError> {
        let name = &self.program.profiles()[profile.position()].name;
        let groups = &mut self.state.profiles[profile.position()].groups;
        let found = groups
            .get_mut(&group)
            .filter(|group| group.config.members.iter().any(|one| one.member == member));
        let found = found.ok_or_else(|| ControlError::NotFound {
            what: format!("Member {member} of group {group} of profile {name}"),
        })?;
        if enabled {
            found.disabled.remove(&member);
        } else {
            found.disabled.insert(member);
        }
        found.respread();
        Ok(())
    }

    /// True if a member of a group has packets; false if it or the group is not there.
    #[must_use]
    pub fn member_enabled(&self, profile: ProfileIndex, group: u32, member: u32) -> bool {
        let groups = &self.state.profiles[profile.position()].groups;
        groups
            .get(&group)
            .is_some_and(|group| group.spread.contains(&member))
    }

    /// A group of an action selector.
    #[must_use]
    pub fn group(&self, profile: ProfileIndex, group: u32) -> Option<&ProfileGroup> {
        self.state.profiles[profile.position()]
            .groups
            .get(&group)
            .map(|group| &group.config)
    }

    /// All groups of an action selector, by id.
    pub fn groups(&self, profile: ProfileIndex) -> impl Iterator<Item = (u32, &ProfileGroup)> {
        let groups = self.state.profiles[profile.position()].groups.iter();
        groups.map(|(id, group)| (*id, &group.config))
    }

    /// Removes a group.
    ///
    /// # Errors
    /// `NotFound`, or `InUse` by an entry.
    pub fn remove_group(&mut self, profile: ProfileIndex, group: u32) -> Result<(), ControlError> {
        let name = &self.program.profiles()[profile.position()].name;
        let what = format!("Group {group} of profile {name}");
        if !self.state.profiles[profile.position()]
            .groups
            .contains_key(&group)
        {
            return Err(ControlError::NotFound { what });
        }
        if self.referred(profile, RowAction::Group(group)) {
            return Err(ControlError::InUse { what });
        }
        self.state.profiles[profile.position()]
            .groups
            .remove(&group);
        Ok(())
    }

    /// True if an entry names this member or group.
    fn referred(&self, profile: ProfileIndex, action: RowAction) -> bool {
        let tables = self.program.tables().iter().zip(&self.state.tables);
        let mut own = tables.filter(|(info, _)| profile_of(info) == Some(profile));
        own.any(|(_, state)| {
            state
                .rows
                .rows_at(0..state.rows.places())
                .any(|row| RowAction::of(state.rows.action(row).0) == action)
        })
    }
}
