//! Action profile members, groups and one-shot sets (P4Runtime 9.2).

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use p4runtime_proto::{
    bytestring,
    p4::v1::{
        ActionProfileActionSet, ActionProfileGroup, ActionProfileMember, action_profile_action,
        action_profile_group::member::WatchKind, update::Type,
    },
};

use super::{
    action::{Place, call},
    replication::port_number,
};
use crate::{
    failure::Failure,
    operation::{
        ActionSet, Change, GivenPort, Operation, SelectorGroup, SelectorMember, SetAction, Watch,
    },
    pipeline::{GroupSize, Pipeline, Profile, Table},
};

/// Members of one group, or the sum of their weights, where the program leaves it open.
const LARGEST: i64 = 1 << 16;

/// The profile that an entity names.
pub(super) fn profile(pipeline: &Pipeline, id: u32) -> Result<&Profile, Failure> {
    pipeline.profile(id).ok_or_else(|| {
        Failure::invalid(format!(
            "There is no action profile {}",
            pipeline.describe(id)
        ))
    })
}

/// The id of a member or group, which may not be 0.
pub(super) fn id(given: u32, what: &str) -> Result<u32, Failure> {
    if given == 0 {
        return Err(Failure::invalid(format!("The id of a {what} cannot be 0")));
    }
    Ok(given)
}

/// A table that uses the profile.
fn table<'p>(pipeline: &'p Pipeline, profile: &Profile) -> Result<&'p Table, Failure> {
    pipeline
        .table(profile.table)
        .ok_or_else(|| Failure::invalid(format!("No table uses action profile {}", profile.name)))
}

pub(super) fn update_member(
    pipeline: &Pipeline,
    change: Type,
    given: &ActionProfileMember,
) -> Result<Operation, Failure> {
    let profile = profile(pipeline, given.action_profile_id)?;
    let member = id(given.member_id, "member")?;
    let config = || {
        let action = given.action.as_ref().ok_or_else(|| {
            Failure::invalid(format!("Member {member} of {} has no action", profile.name))
        })?;
        call(table(pipeline, profile)?, action, Place::Member)
    };
    Ok(Operation::Member {
        profile: profile.index,
        member,
        change: match change {
            Type::Insert => Change::Insert(config()?),
            Type::Modify => Change::Modify(config()?),
            Type::Delete | Type::Unspecified => Change::Delete,
        },
    })
}

pub(super) fn update_group(
    pipeline: &Pipeline,
    change: Type,
    given: &ActionProfileGroup,
) -> Result<Operation, Failure> {
    let profile = profile(pipeline, given.action_profile_id)?;
    if !profile.selector {
        return Err(Failure::invalid(format!(
            "Profile {} has no selector, so it has no groups",
            profile.name
        )));
    }
    let group = id(given.group_id, "group")?;
    Ok(Operation::SelectorGroup {
        profile: profile.index,
        group,
        change: match change {
            Type::Insert => Change::Insert(selector_group(profile, given)?),
            Type::Modify => Change::Modify(selector_group(profile, given)?),
            Type::Delete | Type::Unspecified => Change::Delete,
        },
    })
}

fn selector_group(profile: &Profile, given: &ActionProfileGroup) -> Result<SelectorGroup, Failure> {
    let (most, name) = (profile.max_group_size, &profile.name);
    let size = given.max_size;
    // 9.2.2, "Rules on Setting max_size".
    if size < 0 || (most > 0 && !(1..=most).contains(&size)) {
        return Err(Failure::invalid(format!(
            "The max_size of a group of {name} goes from 1 to {most}, {size} given"
        )));
    }
    if most == 0 && i64::from(size) > LARGEST {
        return Err(Failure::exhausted(format!(
            "A group of {name} has at most {LARGEST} members, {size} asked for"
        )));
    }
    let mut seen = BTreeSet::new();
    let members = given
        .members
        .iter()
        .map(|given| {
            let member = id(given.member_id, "member")?;
            if !seen.insert(member) {
                return Err(Failure::invalid(format!(
                    "Member {member} is in the group twice; give it a weight instead"
                )));
            }
            Ok(SelectorMember {
                member,
                weight: weight(profile, given.weight)?,
                watch: match &given.watch_kind {
                    #[expect(deprecated, reason = "clients before 1.2 number their ports")]
                    Some(WatchKind::Watch(number)) => numbered(*number)?,
                    Some(WatchKind::WatchPort(bytes)) => named(bytes)?,
                    None => None,
                },
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let bound = if size > 0 { size } else { most };
    check_size(profile, members.iter().map(|one| one.weight), bound)?;
    Ok(SelectorGroup {
        members,
        max_size: size,
    })
}

/// A one-shot set.
pub(super) fn action_set(
    table: &Table,
    profile: &Profile,
    given: &ActionProfileActionSet,
) -> Result<Arc<ActionSet>, Failure> {
    if given.group_action.is_some() {
        return Err(Failure::unimplemented(
            "Group actions are not supported; bmv2's programs have none",
        ));
    }
    let actions = given
        .action_profile_actions
        .iter()
        .map(|given| {
            let action = given
                .action
                .as_ref()
                .ok_or_else(|| Failure::invalid("An action of the set is empty"))?;
            Ok(SetAction {
                call: call(table, action, Place::Member)?,
                weight: weight(profile, given.weight)?,
                watch: match &given.watch_kind {
                    #[expect(deprecated, reason = "clients before 1.2 number their ports")]
                    Some(action_profile_action::WatchKind::Watch(number)) => numbered(*number)?,
                    Some(action_profile_action::WatchKind::WatchPort(bytes)) => named(bytes)?,
                    None => None,
                },
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let weights = actions.iter().map(|action| action.weight);
    check_size(profile, weights, profile.max_group_size)?;
    Ok(Arc::new(ActionSet {
        actions,
        mode: given.action_selection_mode,
        semantics: given.size_semantics,
    }))
}

fn weight(profile: &Profile, given: i32) -> Result<i32, Failure> {
    let name = &profile.name;
    if profile.weights_disallowed {
        if given == 0 {
            return Ok(0);
        }
        return Err(Failure::invalid(format!(
            "Members of {name} have no weights, {given} given"
        )));
    }
    if given < 1 {
        return Err(Failure::invalid(format!(
            "Weights of {name} start at 1, {given} given"
        )));
    }
    match profile.counts {
        GroupSize::Members { max_weight } if max_weight > 0 && given > max_weight => {
            Err(Failure::invalid(format!(
                "Weights of {name} go up to {max_weight}, {given} given"
            )))
        }
        _ => Ok(given),
    }
}

fn check_size(
    profile: &Profile,
    weights: impl ExactSizeIterator<Item = i32>,
    most: i32,
) -> Result<(), Failure> {
    let members = weights.len();
    let total: i64 = weights.map(|weight| i64::from(weight.max(1))).sum();
    let (size, what) = match profile.counts {
        GroupSize::Members { .. } => (i64::try_from(members).unwrap_or(i64::MAX), "members"),
        GroupSize::Weights => (total, "weights"),
    };
    let most = if most > 0 { i64::from(most) } else { LARGEST };
    if size > most || total > LARGEST {
        return Err(Failure::exhausted(format!(
            "The {what} of a group of {} add up to {most} at most, {size} given",
            profile.name
        )));
    }
    Ok(())
}

fn numbered(number: i32) -> Result<Option<Watch>, Failure> {
    if number == 0 {
        return Ok(None);
    }
    let given = u32::try_from(number)
        .map_err(|_| Failure::invalid(format!("{number} is no port to watch")))?;
    Ok(Some(Watch {
        port: port_number(u128::from(given))?,
        given: GivenPort::Number(given),
    }))
}

fn named(bytes: &Bytes) -> Result<Option<Watch>, Failure> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let number = bytestring::decode(bytes, 32)
        .map_err(|error| Failure::invalid(format!("Port to watch: {error}")))?;
    Ok(Some(Watch {
        port: port_number(number)?,
        given: GivenPort::Bytes(Bytes::copy_from_slice(bytestring::canonical(bytes))),
    }))
}
