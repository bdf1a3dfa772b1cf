//! Tables and their actions.

use p4_engine::{
    ActionIndex, MatchKind, Program, TableIndex, TableInfo as EngineTable, TableSource,
};
use p4runtime_proto::p4::config::v1::{
    self as info, P4Info, action_ref,
    match_field::{Match, MatchType},
};

use super::{PipelineError, named};

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) index: TableIndex,
    /// In the engine's order.
    pub(crate) fields: Vec<Field>,
    /// Sorted by id.
    pub(crate) actions: Vec<Action>,
    /// `const entries`.
    pub(crate) is_const: bool,
    /// `const default_action`.
    pub(crate) const_default: bool,
    pub(crate) needs_priority: bool,
    pub(crate) counted: bool,
    pub(crate) metered: bool,
    pub(crate) idle_timeout: bool,
    /// Entries carry their own actions.
    pub(crate) direct: bool,
}

/// A match field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) bits: usize,
    /// As p4info says.
    pub(crate) kind: MatchKind,
    /// As the program says: p4c writes optional fields as ternary ones.
    pub(crate) engine_kind: MatchKind,
}

/// An action of a table.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) index: ActionIndex,
    pub(crate) scope: Scope,
    /// In the engine's order.
    pub(crate) params: Vec<Param>,
}

/// Where an action may stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    Both,
    Entries,
    Default,
}

/// An action parameter.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) bits: usize,
}

impl Table {
    pub(super) fn load(
        table: &info::Table,
        p4info: &P4Info,
        program: &Program,
    ) -> Result<Self, PipelineError> {
        let (id, name) = named(table.preamble.as_ref());
        let index = program.table(name).ok_or_else(|| PipelineError::Missing {
            kind: "table",
            name: name.to_owned(),
        })?;
        let engine = program.table_info(index);
        let mut actions = table
            .action_refs
            .iter()
            .filter_map(|action| Action::load(action, index, p4info, program).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        super::sort_by_id(&mut actions, |action| action.id)?;
        Ok(Self {
            id,
            name: name.to_owned(),
            index,
            fields: fields(table, name, engine)?,
            actions,
            is_const: table.is_const_table || engine.const_entries,
            const_default: table.const_default_action_id != 0
                || engine
                    .default
                    .as_ref()
                    .is_some_and(|default| default.is_const),
            needs_priority: engine.needs_priority,
            counted: engine.counters,
            metered: engine.meter.is_some(),
            idle_timeout: table.idle_timeout_behavior != 0,
            direct: engine.source == TableSource::Direct,
        })
    }

    pub(crate) fn action(&self, id: u32) -> Option<&Action> {
        super::by_id(&self.actions, id, |action| action.id)
    }

    pub(crate) fn action_at(&self, index: ActionIndex) -> Option<&Action> {
        self.actions.iter().find(|action| action.index == index)
    }
}

fn fields(
    table: &info::Table,
    name: &str,
    engine: &EngineTable,
) -> Result<Vec<Field>, PipelineError> {
    let shape = |problem: String| PipelineError::Shape {
        name: name.to_owned(),
        problem,
    };
    if table.match_fields.len() != engine.fields.len() {
        return Err(shape(format!(
            "{} match fields in the p4info, {} in the program",
            table.match_fields.len(),
            engine.fields.len()
        )));
    }
    engine
        .fields
        .iter()
        .enumerate()
        .map(|(at, key)| {
            // p4c keeps the order; annotated names are the same in both, generated ones may not be.
            let by_name = table
                .match_fields
                .iter()
                .find(|field| field.name == key.name);
            let field = by_name.unwrap_or(&table.match_fields[at]);
            let kind = match field.r#match {
                Some(Match::MatchType(kind)) => match MatchType::try_from(kind) {
                    Ok(MatchType::Exact) => MatchKind::Exact,
                    Ok(MatchType::Lpm) => MatchKind::Lpm,
                    Ok(MatchType::Ternary) => MatchKind::Ternary,
                    Ok(MatchType::Range) => MatchKind::Range,
                    Ok(MatchType::Optional) => MatchKind::Optional,
                    Ok(MatchType::Unspecified) | Err(_) => {
                        return Err(shape(format!(
                            "field {} has no known match kind",
                            field.name
                        )));
                    }
                },
                Some(Match::OtherMatchType(ref kind)) => {
                    return Err(shape(format!(
                        "match kind {kind} of field {} is not supported",
                        field.name
                    )));
                }
                None => return Err(shape(format!("field {} has no match kind", field.name))),
            };
            let optional = (kind, key.kind) == (MatchKind::Optional, MatchKind::Ternary);
            if kind != key.kind && !optional {
                return Err(shape(format!(
                    "field {} is {kind:?} in the p4info and {:?} in the program",
                    field.name, key.kind
                )));
            }
            let bits = agreed_bits(name, &field.name, field.bitwidth, key.bits, {
                field.type_name.is_some()
            })?;
            Ok(Field {
                id: field.id,
                name: field.name.clone(),
                bits,
                kind,
                engine_kind: key.kind,
            })
        })
        .collect()
}

/// The width that both halves allow. A translated type has the controller's width in the p4info;
/// the numbers are taken over as they are, so they must fit both.
fn agreed_bits(
    object: &str,
    part: &str,
    given: i32,
    engine: usize,
    translated: bool,
) -> Result<usize, PipelineError> {
    let shape = |problem: String| PipelineError::Shape {
        name: object.to_owned(),
        problem,
    };
    let given = usize::try_from(given).unwrap_or(0);
    if given == engine {
        return Ok(engine);
    }
    if given == 0 && translated {
        return Err(shape(format!(
            "{part} is translated to a string, which is not supported"
        )));
    }
    if translated {
        return Ok(given.min(engine));
    }
    Err(shape(format!(
        "{part} has {given} bits in the p4info and {engine} in the program"
    )))
}

impl Action {
    /// `None` if the action cannot be written: p4c leaves actions that only a const default uses
    /// out of the table's list at times.
    fn load(
        action: &info::ActionRef,
        table: TableIndex,
        p4info: &P4Info,
        program: &Program,
    ) -> Result<Option<Self>, PipelineError> {
        let declared = p4info
            .actions
            .iter()
            .find(|declared| named(declared.preamble.as_ref()).0 == action.id);
        let Some(declared) = declared else {
            return Err(PipelineError::Missing {
                kind: "action",
                name: format!("{:#010x}", action.id),
            });
        };
        let (id, name) = named(declared.preamble.as_ref());
        let scope = match action_ref::Scope::try_from(action.scope) {
            Ok(action_ref::Scope::TableOnly) => Scope::Entries,
            Ok(action_ref::Scope::DefaultOnly) => Scope::Default,
            _ => Scope::Both,
        };
        let Some(index) = program.table_action(table, name) else {
            if scope == Scope::Default {
                return Ok(None);
            }
            return Err(PipelineError::Missing {
                kind: "action",
                name: name.to_owned(),
            });
        };
        let engine = program.action_info(index);
        if declared.params.len() != engine.params.len() {
            return Err(PipelineError::Shape {
                name: name.to_owned(),
                problem: format!(
                    "{} parameters in the p4info, {} in the program",
                    declared.params.len(),
                    engine.params.len()
                ),
            });
        }
        let params = engine
            .params
            .iter()
            .enumerate()
            .map(|(at, param)| {
                let by_name = declared
                    .params
                    .iter()
                    .find(|given| given.name == param.name);
                let given = by_name.unwrap_or(&declared.params[at]);
                let translated = given.type_name.is_some();
                let bits = agreed_bits(name, &given.name, given.bitwidth, param.bits, translated)?;
                Ok(Param {
                    id: given.id,
                    name: given.name.clone(),
                    bits,
                })
            })
            .collect::<Result<_, PipelineError>>()?;
        Ok(Some(Self {
            id,
            name: name.to_owned(),
            index,
            scope,
            params,
        }))
    }
}
