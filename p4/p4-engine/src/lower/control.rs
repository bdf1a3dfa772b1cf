//! Ingress and egress: tables, conditions and calls into one list of operations.

use std::collections::{HashMap, HashSet};

use crate::builder::reference::small_index;
use crate::builder::{Builder, Built, Fault};
use crate::error::LoadError;
use crate::expr;
use crate::ir::{KeyMove, KeyPlace, NOWHERE, Note, Op, Pc, TableCode, Target};
use crate::json::{ActionCallNode, Conditional, Location, Pipeline, Table};
use crate::lower::actions::{self, ActionCode};
use crate::lower::{Context, calculations, tables};
use crate::program::{Program, TableInfo};

#[derive(Clone, Copy)]
enum Node<'a> {
    Table(&'a Table),
    Conditional(&'a Conditional),
    Call(&'a ActionCallNode),
}

/// Labels of a pipeline's nodes and of its end.
struct Labels<'a> {
    nodes: HashMap<&'a str, Pc>,
    end: Pc,
}

impl Labels<'_> {
    fn next(&self, name: Option<&String>) -> Built<Pc> {
        match name {
            None => Ok(self.end),
            Some(name) => {
                let found = self.nodes.get(name.as_str()).copied();
                found.ok_or_else(|| Fault::Unresolved("Table or condition", name.clone()))
            }
        }
    }
}

pub(super) fn lower(
    context: &Context<'_>,
    program: &Program,
    builder: &mut Builder<'_>,
    actions: &[ActionCode],
) -> Result<(), LoadError> {
    let mut codes: Vec<Option<TableCode>> = vec![None; program.tables().len()];
    for pipeline in &context.document.pipelines {
        let start = one_pipeline(context, program, builder, actions, pipeline, &mut codes)?;
        match pipeline.name.as_str() {
            "ingress" => builder.code.ingress = start,
            "egress" => builder.code.egress = start,
            other => {
                return Err(Fault::Unsupported(format!("pipeline \"{other}\"")).at("v1model", None));
            }
        }
    }
    let named = |name: &str| {
        context
            .document
            .pipelines
            .iter()
            .any(|one| one.name == name)
    };
    if !named("ingress") || !named("egress") {
        return Err(Fault::Malformed("ingress or egress is missing".to_owned()).at("v1model", None));
    }
    builder.code.tables = codes.into_iter().flatten().collect();
    if builder.code.tables.len() != program.tables().len() {
        return Err(Fault::Malformed("two tables have one name".to_owned()).at("v1model", None));
    }
    Ok(())
}

fn one_pipeline(
    context: &Context<'_>,
    program: &Program,
    builder: &mut Builder<'_>,
    actions: &[ActionCode],
    pipeline: &Pipeline,
    codes: &mut [Option<TableCode>],
) -> Result<Pc, LoadError> {
    let mut nodes: HashMap<&str, Node<'_>> = HashMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut add = |name: &'_ String, node| {
        // The borrow is of the document, which outlives this function's maps.
        order.push(name_of(node));
        nodes.insert(name_of(node), node);
        let _ = name;
    };
    pipeline
        .tables
        .iter()
        .for_each(|table| add(&table.name, Node::Table(table)));
    pipeline
        .conditionals
        .iter()
        .for_each(|one| add(&one.name, Node::Conditional(one)));
    pipeline
        .action_calls
        .iter()
        .for_each(|one| add(&one.name, Node::Call(one)));
    let mut labels = Labels {
        nodes: HashMap::new(),
        end: builder.label(),
    };
    for name in &order {
        let label = builder.label();
        labels.nodes.insert(name, label);
    }
    let start = labels.next(pipeline.init_table.as_ref());
    let start = start.map_err(|fault| fault.at(&format!("pipeline {}", pipeline.name), None))?;
    // Depth first from the start, so that what follows usually lies behind.
    let mut waiting: Vec<&str> = order.iter().rev().copied().collect();
    waiting.extend(pipeline.init_table.as_deref());
    let mut done: HashSet<&str> = HashSet::new();
    while let Some(first) = waiting.pop() {
        if done.contains(first) {
            continue;
        }
        let mut next = Some(first);
        while let Some(name) = next.take() {
            let Some(node) = nodes.get(name).copied() else {
                break;
            };
            if !done.insert(name_of(node)) {
                builder.emit(Op::Jump {
                    to: labels.nodes[name_of(node)],
                });
                break;
            }
            builder.bind(labels.nodes[name_of(node)]);
            match node {
                Node::Table(table) => {
                    next = one_table(context, program, builder, actions, &labels, table, codes)?;
                }
                Node::Conditional(one) => {
                    condition(builder, &labels, one)?;
                    waiting.extend(one.false_next.as_deref());
                    match one.true_next.as_deref() {
                        Some(name) => next = Some(name),
                        None => builder.emit(Op::Jump { to: labels.end }),
                    }
                }
                Node::Call(call) => {
                    let at = context.actions.get(&call.action_id).copied();
                    let action = at.map(|at| &context.document.actions[usize::from(at)]);
                    let action = action.ok_or_else(|| {
                        Fault::Unresolved("Action", call.action_id.to_string()).at(&call.name, None)
                    })?;
                    if !action.runtime_data.is_empty() {
                        return Err(Fault::Malformed("a call lacks arguments".to_owned())
                            .at(&call.name, None));
                    }
                    let place = format!("action {}", action.name);
                    actions::body(context, builder, &action.primitives, &place)?;
                    match call.next_node.as_deref() {
                        Some(name) => next = Some(name),
                        None => builder.emit(Op::Jump { to: labels.end }),
                    }
                }
            }
            builder.end_statement();
        }
    }
    builder.bind(labels.end);
    builder.emit(Op::End);
    Ok(start)
}

fn name_of(node: Node<'_>) -> &str {
    match node {
        Node::Table(table) => &table.name,
        Node::Conditional(one) => &one.name,
        Node::Call(call) => &call.name,
    }
}

fn condition(
    builder: &mut Builder<'_>,
    labels: &Labels<'_>,
    one: &Conditional,
) -> Result<(), LoadError> {
    let location = Location::publish(one.source_info.as_ref());
    let place = format!("condition {}", one.name);
    let mut build = || -> Built<()> {
        let yes = labels.next(one.true_next.as_ref())?;
        let no = labels.next(one.false_next.as_ref())?;
        let _ = yes;
        let expr = expr::read(&one.expression)?;
        if !builder.traced {
            return builder.branch(&expr, no);
        }
        let fragment = one
            .source_info
            .as_ref()
            .map(|at| at.source_fragment.clone());
        let text = fragment
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| one.name.clone());
        let (missed, held) = (builder.label(), builder.label());
        builder.branch(&expr, missed)?;
        builder.note(|| Note::Condition {
            text: text.clone(),
            result: true,
        });
        builder.emit(Op::Jump { to: held });
        builder.bind(missed);
        builder.note(|| Note::Condition {
            text,
            result: false,
        });
        builder.emit(Op::Jump { to: no });
        builder.bind(held);
        Ok(())
    };
    build().map_err(|fault| fault.at(&place, location))
}

/// Emits a table. Returns the node that follows if the code falls through.
fn one_table<'a>(
    context: &Context<'_>,
    program: &Program,
    builder: &mut Builder<'_>,
    actions: &[ActionCode],
    labels: &Labels<'_>,
    table: &'a Table,
    codes: &mut [Option<TableCode>],
) -> Result<Option<&'a str>, LoadError> {
    let index = context.tables[table.name.as_str()];
    let info = program.table_info(index);
    let location = || Location::publish(table.source_info.as_ref());
    let place = format!("table {}", table.name);
    let code = table_code(context, program, builder, actions, labels, table, info);
    let code = code.map_err(|fault| fault.at(&place, location()))?;
    let only = code.targets.first().map(|target| target.miss);
    codes[index.position()] = Some(code);
    if let Some(action) = constant_call(context, info) {
        // A call that p4c wrapped into a table: straight code.
        let wrapped = format!("action {}", action.name);
        builder.note(|| Note::Action(action.name.clone()));
        actions::body(context, builder, &action.primitives, &wrapped)?;
        let missed = table.next_tables.get("__MISS__");
        let next = missed.or_else(|| table.next_tables.get(&action.name));
        return match next.and_then(|next| next.as_deref()) {
            Some(next) => Ok(Some(next)),
            None => {
                builder.emit(Op::Jump {
                    to: only.unwrap_or(labels.end),
                });
                Ok(None)
            }
        };
    }
    let table = small_index(index.position(), "tables");
    let table = table.map_err(|fault| fault.at(&place, location()))?;
    builder.emit(Op::Apply { table });
    Ok(None)
}

/// The action of a table that can do nothing else.
fn constant_call<'a>(context: &Context<'a>, info: &TableInfo) -> Option<&'a crate::json::Action> {
    let default = info.default.as_ref()?;
    let alone = info.fields.is_empty()
        && default.is_const
        && info.actions.len() == 1
        && !info.counters
        && info.meter.is_none();
    let action = &context.document.actions[default.call.action.position()];
    (alone && action.runtime_data.is_empty()).then_some(action)
}

fn table_code(
    context: &Context<'_>,
    program: &Program,
    builder: &mut Builder<'_>,
    actions: &[ActionCode],
    labels: &Labels<'_>,
    table: &Table,
    info: &TableInfo,
) -> Built<TableCode> {
    let layout = program.key_layout(context.tables[table.name.as_str()]);
    let mut moves = Vec::new();
    for (key, place) in table.key.iter().zip(&layout.places) {
        key_moves(builder, key, *place, &mut moves)?;
    }
    let base = labels.next(table.base_default_next.as_ref())?;
    let next = |name: &str| -> Built<Option<Pc>> {
        let found = table.next_tables.get(name);
        found.map(|next| labels.next(next.as_ref())).transpose()
    };
    let (hit, miss) = (next("__HIT__")?, next("__MISS__")?);
    let by_result = hit.is_some() || miss.is_some();
    let mut targets = Vec::with_capacity(info.actions.len());
    for action in &info.actions {
        let code = actions[action.position()];
        let own = next(&program.action_info(*action).name)?.unwrap_or(base);
        targets.push(Target {
            action: if code.at == NOWHERE { NOWHERE } else { code.at },
            hit: if by_result { hit.unwrap_or(base) } else { own },
            miss: if by_result { miss.unwrap_or(base) } else { own },
            params: code.params,
            limbs: code.limbs,
            copies: None,
        });
    }
    let meter = match info.meter {
        None => None,
        Some(meter) => {
            let array = &context.document.meter_arrays[meter.position()];
            let (header, field) = array.result_target.as_ref().ok_or_else(|| {
                Fault::Malformed("its direct meter has no result field".to_owned())
            })?;
            let to = builder.field(header, field)?;
            let mask = if to.bits >= 64 {
                u64::MAX
            } else {
                (1 << to.bits) - 1
            };
            Some((small_index(meter.position(), "meters")?, to.slot, mask))
        }
    };
    let selector = match table.kind.as_str() {
        "indirect_ws" => {
            let name = table.action_profile.as_deref().unwrap_or_default();
            let mut profiles = context
                .document
                .pipelines
                .iter()
                .flat_map(|pipeline| &pipeline.action_profiles);
            let profile = profiles.find(|profile| profile.name == name);
            let selector = profile.and_then(|profile| profile.selector.as_ref());
            let selector = selector
                .ok_or_else(|| Fault::Malformed("its profile has no selector".to_owned()))?;
            let code = calculations::calculate(builder, &selector.algo, &selector.input)?;
            builder.code.calculations.push(code);
            Some(small_index(
                builder.code.calculations.len() - 1,
                "calculations",
            )?)
        }
        _ => None,
    };
    Ok(TableCode {
        moves,
        key_limbs: small_index(layout.limbs, "limbs in a table key")?,
        targets,
        no_default: miss.unwrap_or(base),
        meter,
        selector,
    })
}

fn key_moves(
    builder: &mut Builder<'_>,
    key: &crate::json::Key,
    place: KeyPlace,
    moves: &mut Vec<KeyMove>,
) -> Built<()> {
    let (header, field) = tables::key_target(key)?;
    let from = builder.field(&header, &field)?;
    let layout = builder.layout.header(builder.header_index(&header)?);
    let always = layout.metadata || field == "$valid$";
    let guard = if always {
        builder.small(1)?
    } else {
        layout.valid
    };
    let mask = match &key.mask {
        None => None,
        Some(text) => match expr::number(&serde_json::Value::String(text.clone()))? {
            (false, value) => Some(value),
            (true, _) => return Err(Fault::Malformed("its key mask is negative".to_owned())),
        },
    };
    for limb in 0..from.limbs {
        let src = from.slot + small_index(limb, "limbs")?;
        let mask = mask.as_ref().map_or(u64::MAX, |mask| mask.limb(limb));
        let bit = place.bit as usize + limb * 64;
        let width = (from.bits - limb * 64).min(64);
        let into = small_index(bit / 64, "limbs in a table key")?;
        let left = i8::try_from(bit % 64).unwrap_or(0);
        moves.push(KeyMove {
            src,
            guard,
            mask,
            limb: into,
            shift: left,
        });
        if bit % 64 + width > 64 {
            let shift = left - 64;
            moves.push(KeyMove {
                src,
                guard,
                mask,
                limb: into + 1,
                shift,
            });
        }
    }
    Ok(())
}
