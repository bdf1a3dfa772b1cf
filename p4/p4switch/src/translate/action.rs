//! Actions and their parameters (P4Runtime 9.1.2).

use p4_engine::ActionCall;
use p4runtime_proto::p4::v1::{self, TableAction, table_action::Type};

use super::number;
use crate::{
    failure::Failure,
    pipeline::{Action, Scope, Table},
};

/// Where the action is to stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Entry,
    Default,
}

/// The action of a table entry.
pub(super) fn table_action(
    table: &Table,
    given: &TableAction,
    place: Place,
) -> Result<ActionCall, Failure> {
    match &given.r#type {
        Some(Type::Action(action)) if table.direct => call(table, action, place),
        Some(Type::Action(_)) => Err(Failure::invalid(format!(
            "Table {} has an action profile; its entries name members or groups",
            table.name
        ))),
        Some(
            Type::ActionProfileMemberId(_)
            | Type::ActionProfileGroupId(_)
            | Type::ActionProfileActionSet(_),
        ) if table.direct => Err(Failure::invalid(format!(
            "Table {} has no action profile; its entries name an action",
            table.name
        ))),
        Some(_) => Err(Failure::unimplemented(format!(
            "Table {} has an action profile, which this server does not program",
            table.name
        ))),
        None => Err(Failure::invalid("The action has no type")),
    }
}

fn call(table: &Table, given: &v1::Action, place: Place) -> Result<ActionCall, Failure> {
    let action = find(table, given.action_id)?;
    let wrong = match (action.scope, place) {
        (Scope::Default, Place::Entry) => Some("the default entry only"),
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
            number(&value.value, param.bits, || {
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
