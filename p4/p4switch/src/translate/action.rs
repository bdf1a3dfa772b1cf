//! Actions and their parameters (P4Runtime 9.1.2).

use std::sync::Arc;

use p4_engine::{ActionCall, EntryAction};
use p4runtime_proto::p4::v1::{self, TableAction, table_action::Type};

use super::{profile, written};
use crate::{
    failure::Failure,
    operation::ActionSet,
    pipeline::{Action, Pipeline, Scope, Table},
};

/// Where the action is to stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Entry,
    Default,
    /// A member of the table's profile.
    Member,
}

/// What a table entry does.
#[derive(Debug)]
pub(super) enum Does {
    Action(EntryAction),
    /// A one-shot set, for which the switch makes a group.
    Set(Arc<ActionSet>),
}

/// The action of a table entry.
pub(super) fn table_action(
    pipeline: &Pipeline,
    table: &Table,
    given: &TableAction,
    place: Place,
) -> Result<Does, Failure> {
    let Some(given) = &given.r#type else {
        return Err(Failure::invalid("The action has no type"));
    };
    let Some(profile) = table.profile else {
        return match given {
            Type::Action(action) => call(table, action, place)
                .map(EntryAction::Call)
                .map(Does::Action),
            _ => Err(Failure::invalid(format!(
                "Table {} has no action profile; its entries name an action",
                table.name
            ))),
        };
    };
    let found = pipeline.profile_at(profile);
    let profile = found.ok_or_else(|| {
        Failure::invalid(format!(
            "The action profile of table {} is not in the p4info",
            table.name
        ))
    })?;
    let selector = || {
        if profile.selector {
            return Ok(());
        }
        Err(Failure::invalid(format!(
            "Profile {} has no selector; entries of table {} name members",
            profile.name, table.name
        )))
    };
    match given {
        Type::Action(_) => Err(Failure::invalid(format!(
            "Table {} has an action profile; its entries name members, groups or action sets",
            table.name
        ))),
        Type::ActionProfileMemberId(member) => Ok(Does::Action(EntryAction::Member(profile::id(
            *member, "member",
        )?))),
        Type::ActionProfileGroupId(group) => {
            selector()?;
            Ok(Does::Action(EntryAction::Group(profile::id(
                *group, "group",
            )?)))
        }
        Type::ActionProfileActionSet(set) => {
            selector()?;
            profile::action_set(table, profile, set).map(Does::Set)
        }
    }
}

/// A call of one of the table's actions.
pub(super) fn call(table: &Table, given: &v1::Action, place: Place) -> Result<ActionCall, Failure> {
    let action = find(table, given.action_id)?;
    let wrong = match (action.scope, place) {
        (Scope::Default, Place::Entry | Place::Member) => Some("the default entry only"),
        (Scope::Entries, Place::Default) => Some("entries other than the default only"),
        _ => None,
    };
    if let Some(scope) = wrong {
        return Err(Failure::denied(format!(
            "Action {} of table {} is for {scope}",
            action.name, table.name
        )));
    }
    if given.params.len() > action.params.len() {
        let stray = given
            .params
            .iter()
            .find(|given| action.params.iter().all(|param| param.id != given.param_id));
        return Err(Failure::invalid(match stray {
            Some(stray) => {
                format!(
                    "Action {} has no parameter with id {}",
                    action.name, stray.param_id
                )
            }
            None => format!("A parameter of action {} is given twice", action.name),
        }));
    }
    let args = action
        .params
        .iter()
        .map(|param| {
            let value = given
                .params
                .iter()
                .find(|given| given.param_id == param.id)
                .ok_or_else(|| {
                    Failure::invalid(format!(
                        "Parameter {} of action {} is missing",
                        param.name, action.name
                    ))
                })?;
            written(&value.value, param.bits, &param.form, true, || {
                format!("Parameter {} of action {}", param.name, action.name)
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(ActionCall {
        action: action.index,
        args,
    })
}

/// An action of the table by id.
pub(super) fn find(table: &Table, id: u32) -> Result<&Action, Failure> {
    table.action(id).ok_or_else(|| {
        Failure::invalid(format!(
            "Table {} has no action with id {id:#010x}",
            table.name
        ))
    })
}
