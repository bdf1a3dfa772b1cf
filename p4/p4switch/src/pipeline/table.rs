//! Tables and their actions.

use p4_engine::{
    ActionIndex, MatchKind, ProfileIndex, Program, TableIndex, TableInfo as EngineTable,
    TableSource,
};
use p4runtime_proto::p4::config::v1::{
    self as info, P4Info, action_ref,
    match_field::{Match, MatchType},
};

use super::{PipelineError, data::Types, named, names::Form, object::Rates};

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
    /// What its direct meter can be told, if it has one.
    pub(crate) metered: Option<Rates>,
    pub(crate) idle_timeout: bool,
    /// Where entries have their actions from, unless they carry their own.
    pub(crate) profile: Option<ProfileIndex>,
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
    pub(crate) form: Form,
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
    pub(crate) form: Form,
}

impl Table {
    pub(super) fn load(
        table: &info::Table,
        p4info: &P4Info,
        types: &Types<'_>,
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
            .filter_map(|action| Action::load(action, index, p4info, types, program).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        super::sort_by_id(&mut actions, |action| action.id)?;
        Ok(Self {
            id,
            name: name.to_owned(),
            index,
            fields: fields(table, name, types, engine)?,
            actions,
            is_const: table.is_const_table,
            const_default: table.const_default_action_id != 0
                || engine
                    .default
                    .as_ref()
                    .is_some_and(|default| default.is_const),
            needs_priority: engine.needs_priority,
            counted: engine.counters,
            metered: engine.meter.map(|_| {
                let mut meters = p4info.direct_meters.iter();
                let own = meters.find(|meter| meter.direct_table_id == id);
                Rates::of(own.and_then(|meter| meter.spec.as_ref()))
            }),
            idle_timeout: table.idle_timeout_behavior != 0,
            profile: match engine.source {
                TableSource::Direct => None,
                TableSource::Profile(profile) | TableSource::Selector(profile) => Some(profile),
            },
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
    types: &Types<'_>,
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
            let kind = match_kind(name, field)?;
            let optional = (kind, key.kind) == (MatchKind::Optional, MatchKind::Ternary);
            if kind != key.kind && !optional {
                return Err(shape(format!(
                    "field {} is {kind:?} in the p4info and {:?} in the program",
                    field.name, key.kind
                )));
            }
            let form = types.form(field.type_name.as_ref());
            if matches!(form, Form::Name(_))
                && !matches!(kind, MatchKind::Exact | MatchKind::Optional)
            {
                return Err(shape(format!(
                    "field {} is translated to a string, so it can match exactly or be optional, \
                     not {kind:?}",
                    field.name
                )));
            }
            let translated = field.type_name.is_some();
            let bits = agreed_bits(name, &field.name, field.bitwidth, key.bits, translated)?;
            Ok(Field {
                id: field.id,
                name: field.name.clone(),
                bits,
                kind,
                engine_kind: key.kind,
                form,
            })
        })
        .collect()
}

fn match_kind(object: &str, field: &info::MatchField) -> Result<MatchKind, PipelineError> {
    let problem = match &field.r#match {
        Some(Match::MatchType(kind)) => match MatchType::try_from(*kind) {
            Ok(MatchType::Exact) => return Ok(MatchKind::Exact),
            Ok(MatchType::Lpm) => return Ok(MatchKind::Lpm),
            Ok(MatchType::Ternary) => return Ok(MatchKind::Ternary),
            Ok(MatchType::Range) => return Ok(MatchKind::Range),
            Ok(MatchType::Optional) => return Ok(MatchKind::Optional),
            Ok(MatchType::Unspecified) | Err(_) => {
                format!("field {} has no known match kind", field.name)
            }
        },
        Some(Match::OtherMatchType(kind)) => {
            format!("match kind {kind} of field {} is not supported", field.name)
        }
        None => format!("field {} has no match kind", field.name),
    };
    Err(PipelineError::Shape {
        name: object.to_owned(),
        problem,
    })
}

/// The parts of a value set's members. The data plane compares whole values.
pub(super) fn value_set_fields(
    name: &str,
    fields: &[info::MatchField],
    types: &Types<'_>,
) -> Result<Vec<Field>, PipelineError> {
    fields
        .iter()
        .map(|field| {
            let kind = match_kind(name, field)?;
            let shape = |problem: String| PipelineError::Shape {
                name: name.to_owned(),
                problem,
            };
            if kind != MatchKind::Exact {
                return Err(shape(format!(
                    "field {} matches by {kind:?}; value sets of bmv2 match exactly",
                    field.name
                )));
            }
            let bits = usize::try_from(field.bitwidth)
                .ok()
                .filter(|bits| *bits > 0);
            let bits = bits.ok_or_else(|| {
                shape(format!(
                    "field {} has no width; value sets take numbers, not strings",
                    field.name
                ))
            })?;
            Ok(Field {
                id: field.id,
                name: field.name.clone(),
                bits,
                kind,
                engine_kind: kind,
                form: types.form(field.type_name.as_ref()),
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
    // Strings have no width.
    if given == 0 && translated {
        return Ok(engine);
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
        types: &Types<'_>,
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
                    form: types.form(given.type_name.as_ref()),
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
