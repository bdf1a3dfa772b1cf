//! Actions: primitives into operations.

use serde_json::Value as Raw;

use crate::builder::reference::{HeaderRef, small_index};
use crate::builder::{Builder, Built, Fault, limbs_for};
use crate::error::LoadError;
use crate::expr::{self, Expr};
use crate::ir::{DropCode, LogCode, NOWHERE, Note, Op, Pc, Slot};
use crate::json::{Action, Location, Primitive};
use crate::lower::Context;

/// Where an action's code is and what it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ActionCode {
    pub(super) at: Pc,
    pub(super) params: Slot,
    pub(super) limbs: u16,
}

/// Compiles every action; the result is in the order of the JSON.
pub(super) fn lower_all(
    context: &Context<'_>,
    builder: &mut Builder<'_>,
) -> Result<Vec<ActionCode>, LoadError> {
    context
        .document
        .actions
        .iter()
        .map(|action| lower(context, builder, action))
        .collect()
}

fn lower(
    context: &Context<'_>,
    builder: &mut Builder<'_>,
    action: &Action,
) -> Result<ActionCode, LoadError> {
    let first = builder.layout.params;
    let mut cursor = first;
    builder.params.clear();
    for param in &action.runtime_data {
        let slot = Slot::try_from(cursor).unwrap_or(Slot::MAX);
        let bits = u16::try_from(param.bitwidth).unwrap_or(u16::MAX);
        builder.params.push((slot, bits));
        cursor += limbs_for(usize::from(bits));
    }
    let params = Slot::try_from(first).unwrap_or(Slot::MAX);
    let limbs = u16::try_from(cursor - first).unwrap_or(u16::MAX);
    if action.primitives.is_empty() && !builder.traced {
        return Ok(ActionCode {
            at: NOWHERE,
            params,
            limbs,
        });
    }
    let at = builder.here();
    builder.note(|| Note::Action(action.name.clone()));
    let place = format!("action {}", action.name);
    body(context, builder, &action.primitives, &place)?;
    builder.emit(Op::Return);
    builder.params.clear();
    Ok(ActionCode { at, params, limbs })
}

/// A list of primitives, jumps among them included.
pub(super) fn body(
    context: &Context<'_>,
    builder: &mut Builder<'_>,
    primitives: &[Primitive],
    place: &str,
) -> Result<(), LoadError> {
    let labels: Vec<Pc> = (0..=primitives.len()).map(|_| builder.label()).collect();
    for (at, one) in primitives.iter().enumerate() {
        builder.bind(labels[at]);
        let compiled = primitive(context, builder, one, &labels);
        let location = Location::publish(one.source_info.as_ref());
        compiled.map_err(|fault| fault.at(place, location))?;
        builder.end_statement();
    }
    builder.bind(labels[primitives.len()]);
    Ok(())
}

/// One primitive. `labels` are the positions that jumps may name.
pub(super) fn primitive(
    context: &Context<'_>,
    builder: &mut Builder<'_>,
    one: &Primitive,
    labels: &[Pc],
) -> Built<()> {
    let args = Args {
        op: &one.op,
        raw: &one.parameters,
    };
    match one.op.as_str() {
        "assign" | "set" => assign(builder, &args.expr(0)?, &args.expr(1)?),
        "assign_VL" => assign_varbit(builder, &args.expr(0)?, &args.expr(1)?),
        "assign_header" | "copy_header" => assign_header(builder, &args.expr(0)?, &args.expr(1)?),
        "assign_union" => assign_union(builder, &args.expr(0)?, &args.expr(1)?),
        "assign_header_stack" => assign_stack(builder, &args.expr(0)?, &args.expr(1)?),
        "assign_union_stack" => assign_union_stack(builder, &args.expr(0)?, &args.expr(1)?),
        "add_header" | "add_header_fast" => {
            let header = builder.header_ref(&args.expr(0)?)?;
            builder.for_header(&header, |h| Op::SetValid { h })
        }
        "remove_header" => {
            let header = builder.header_ref(&args.expr(0)?)?;
            builder.for_header(&header, |h| Op::SetInvalid { h })
        }
        "push" | "pop" => {
            let Expr::Stack(name) = args.expr(0)? else {
                return Err(Fault::Unsupported(format!("{} of a union stack", one.op)));
            };
            let stack = builder.stack(&name)?;
            let count = u16::try_from(args.number(1)?).unwrap_or(u16::MAX);
            let op = if one.op == "push" {
                Op::Push { stack, count }
            } else {
                Op::Pop { stack, count }
            };
            builder.emit(op);
            Ok(())
        }
        "_jump" => {
            let to = jump_target(labels, args.number(0)?)?;
            builder.emit(Op::Jump { to });
            Ok(())
        }
        "_jump_if_zero" => {
            let to = jump_target(labels, args.number(1)?)?;
            match args.expr(0)? {
                Expr::Unary(op, condition) if op == "b2d" => builder.branch(&condition, to),
                other => {
                    let a = builder.one_limb(&other)?;
                    builder.emit(Op::JumpIfZero { a, to });
                    Ok(())
                }
            }
        }
        "exit" => {
            builder.emit(Op::Exit);
            Ok(())
        }
        "mark_to_drop" if !one.parameters.is_empty() => {
            let header = args.name(0)?;
            let mcast_grp = builder.field(&header, "mcast_grp").ok();
            let code = DropCode {
                egress_spec: builder.field(&header, "egress_spec")?.slot,
                mcast_grp: mcast_grp.map(|place| place.slot),
            };
            mark_to_drop(builder, one, code)
        }
        "mark_to_drop" | "drop" => {
            let code = DropCode {
                egress_spec: context.standard.egress_spec.slot,
                mcast_grp: context.standard.mcast_grp.map(|field| field.slot),
            };
            mark_to_drop(builder, one, code)
        }
        "no_op" => Ok(()),
        _ => external(context, builder, one, &args),
    }
}

/// Primitives that touch state outside of the packet.
fn external(
    context: &Context<'_>,
    builder: &mut Builder<'_>,
    one: &Primitive,
    args: &Args<'_>,
) -> Built<()> {
    match one.op.as_str() {
        "count" => {
            let name = args.name(0)?;
            let counter = find(&context.counters, &name, "Counter array")?;
            let i = builder.one_limb(&args.expr(1)?)?;
            builder.emit(Op::Count { counter, i });
        }
        "register_read" => {
            let (register, bits) = builder.register(&args.name(1)?)?;
            let i = builder.one_limb(&args.expr(2)?)?;
            // Out of bounds the destination stays as it is, so it goes in and comes back.
            let to = args.expr(0)?;
            if let Expr::Field(header, field) = &to
                && let Ok(place) = builder.field(header, field)
                && place.bits == usize::from(bits)
                && field != "$valid$"
            {
                builder.emit(Op::RegisterRead {
                    d: place.slot,
                    register,
                    i,
                });
                return Ok(());
            }
            let value = builder.materialize(&to, usize::from(bits))?;
            let limbs = limbs_for(usize::from(bits));
            let d = builder.temporary(limbs)?;
            copy(builder, d, value, limbs);
            builder.emit(Op::RegisterRead { d, register, i });
            assign_slots(builder, &to, d, usize::from(bits))?;
        }
        "register_write" => {
            let (register, bits) = builder.register(&args.name(0)?)?;
            let i = builder.one_limb(&args.expr(1)?)?;
            let a = builder.materialize(&args.expr(2)?, usize::from(bits))?;
            builder.emit(Op::RegisterWrite { register, i, a });
        }
        "execute_meter" => {
            let meter = find(&context.meters, &args.name(0)?, "Meter array")?;
            let i = builder.one_limb(&args.expr(1)?)?;
            let to = args.expr(2)?;
            let value = builder.materialize(&to, 64)?;
            let d = builder.temporary(1)?;
            copy(builder, d, value, 1);
            builder.emit(Op::Meter { d, meter, i });
            assign_slots(builder, &to, d, 64)?;
        }
        "modify_field_with_hash_based_offset" => {
            let x = find(&context.calculations, &args.name(2)?, "Calculation")?;
            let base = builder.materialize(&args.expr(1)?, 64)?;
            let size = builder.materialize(&args.expr(3)?, 64)?;
            let d = builder.temporary(1)?;
            builder.emit(Op::Hash { d, base, x, size });
            assign_slots(builder, &args.expr(0)?, d, 64)?;
        }
        "modify_field_rng_uniform" => {
            let low = builder.materialize(&args.expr(1)?, 64)?;
            let high = builder.materialize(&args.expr(2)?, 64)?;
            let to = args.expr(0)?;
            let value = builder.materialize(&to, 64)?;
            let d = builder.temporary(1)?;
            copy(builder, d, value, 1);
            builder.emit(Op::Random { d, low, high });
            assign_slots(builder, &to, d, 64)?;
        }
        "generate_digest" => {
            let id = i64::try_from(args.number(1)?).unwrap_or(-1);
            let list = context.learn_lists.get(&id).copied();
            let list = list.ok_or_else(|| Fault::Unresolved("Learn list", id.to_string()))?;
            builder.emit(Op::Digest { list });
        }
        "clone_ingress_pkt_to_egress" | "clone_egress_pkt_to_egress" => {
            let session = builder.one_limb(&args.expr(0)?)?;
            let list = field_list(context, args.number(1)?)?;
            builder.emit(Op::Clone { session, list });
        }
        "resubmit" => {
            let list = field_list(context, args.number(0)?)?;
            builder.emit(Op::Resubmit { list });
        }
        "recirculate" => {
            let list = field_list(context, args.number(0)?)?;
            builder.emit(Op::Recirculate { list });
        }
        "truncate" => {
            let a = builder.one_limb(&args.expr(0)?)?;
            builder.emit(Op::Truncate { a });
        }
        "assert" | "assume" => {
            let c = builder.one_limb(&args.expr(0)?)?;
            let text = one.source_info.as_ref().map_or_else(
                || one.op.clone(),
                |at| format!("{}:{}: {}", at.filename, at.line, at.source_fragment),
            );
            let x = small_index(builder.code.asserts.len(), "assertions")?;
            builder.code.asserts.push(text);
            builder.emit(Op::Assert { c, x });
        }
        "log_msg" => log(builder, args)?,
        other => return Err(Fault::Unsupported(format!("primitive \"{other}\""))),
    }
    Ok(())
}

/// `=` on fields, with the destination known, indexed or in a union.
pub(super) fn assign(builder: &mut Builder<'_>, to: &Expr, from: &Expr) -> Built<()> {
    if let Expr::Field(header, field) = to {
        if builder.varbit_field(header, field)?.is_some() {
            return assign_varbit(builder, to, from);
        }
        if field == "$valid$" {
            return Err(Fault::Unsupported(
                "assignment to the validity of a header".to_owned(),
            ));
        }
        let place = builder.field(header, field)?;
        return builder.assign(place, from);
    }
    builder.assign_element(to, from)
}

/// Stores computed slots into a field.
fn assign_slots(builder: &mut Builder<'_>, to: &Expr, slot: Slot, bits: usize) -> Built<()> {
    // A parameter reads as unsigned of its width, so borrow that form.
    let at = builder.params.len();
    builder
        .params
        .push((slot, u16::try_from(bits).unwrap_or(u16::MAX)));
    let stored = assign(builder, to, &Expr::Local(at));
    builder.params.truncate(at);
    stored
}

fn copy(builder: &mut Builder<'_>, d: Slot, a: Slot, limbs: usize) {
    let n = u16::try_from(limbs).unwrap_or(u16::MAX);
    builder.emit(if n == 1 {
        Op::Copy { d, a }
    } else {
        Op::CopyN { d, a, n }
    });
}

fn assign_varbit(builder: &mut Builder<'_>, to: &Expr, from: &Expr) -> Built<()> {
    let slot = |builder: &Builder<'_>, expr: &Expr| match expr {
        Expr::Field(header, field) => builder.varbit_field(header, field)?.ok_or_else(|| {
            Fault::Unsupported(format!("{header}.{field} as a varbit, which it is not"))
        }),
        _ => Err(Fault::Unsupported(
            "a varbit that is not a field".to_owned(),
        )),
    };
    let (d, a) = (slot(builder, to)?, slot(builder, from)?);
    builder.emit(Op::Copy { d, a });
    Ok(())
}

fn assign_header(builder: &mut Builder<'_>, to: &Expr, from: &Expr) -> Built<()> {
    let to = builder.header_ref(to)?;
    let from = builder.header_ref(from)?;
    alike(builder, &to, &from)?;
    match (&to, &from) {
        (_, HeaderRef::One(a)) => builder.for_header(&to, |d| Op::CopyHeader { d, a: *a }),
        (HeaderRef::One(d), _) => builder.for_header(&from, |a| Op::CopyHeader { d: *d, a }),
        (HeaderRef::Indexed(..), HeaderRef::Indexed(..)) => Err(Fault::Unsupported(
            "assignment between two headers both found at run time".to_owned(),
        )),
    }
}

fn alike(builder: &Builder<'_>, a: &HeaderRef, b: &HeaderRef) -> Built<()> {
    let first = |header: &HeaderRef| match header {
        HeaderRef::One(header) => Some(*header),
        HeaderRef::Indexed(headers, _) => headers.first().copied(),
    };
    let kind = |header: Option<u16>| header.map(|h| &builder.layout.header(h).type_name);
    if kind(first(a)) == kind(first(b)) {
        Ok(())
    } else {
        Err(Fault::Malformed(
            "a header is assigned to one of another type".to_owned(),
        ))
    }
}

fn assign_union(builder: &mut Builder<'_>, to: &Expr, from: &Expr) -> Built<()> {
    let (Expr::Union(to), Expr::Union(from)) = (to, from) else {
        return Err(Fault::Unsupported(
            "assignment of a union found at run time".to_owned(),
        ));
    };
    let find = |builder: &Builder<'_>, name: &str| {
        let found = builder.layout.union_index(name);
        found.ok_or_else(|| Fault::Unresolved("Header union", name.to_owned()))
    };
    let (to, from) = (find(builder, to)?, find(builder, from)?);
    copy_union(builder, to, from)
}

/// Invalid members first, so that validating one does not undo another.
fn copy_union(builder: &mut Builder<'_>, to: u16, from: u16) -> Built<()> {
    let unions = &builder.layout.unions;
    let (to, from) = (&unions[usize::from(to)], &unions[usize::from(from)]);
    if to.type_name != from.type_name || to.headers.len() != from.headers.len() {
        return Err(Fault::Malformed(
            "unions of different types are assigned".to_owned(),
        ));
    }
    let pairs: Vec<(u16, u16)> = to
        .headers
        .iter()
        .copied()
        .zip(from.headers.iter().copied())
        .collect();
    for (d, a) in &pairs {
        let valid = builder.layout.header(*a).valid;
        let next = builder.label();
        builder.emit(Op::JumpIfNotZero { a: valid, to: next });
        builder.emit(Op::CopyHeader { d: *d, a: *a });
        builder.bind(next);
    }
    for (d, a) in pairs {
        let valid = builder.layout.header(a).valid;
        let next = builder.label();
        builder.emit(Op::JumpIfZero { a: valid, to: next });
        builder.emit(Op::CopyHeader { d, a });
        builder.bind(next);
    }
    Ok(())
}

fn assign_stack(builder: &mut Builder<'_>, to: &Expr, from: &Expr) -> Built<()> {
    let (Expr::Stack(to), Expr::Stack(from)) = (to, from) else {
        return Err(Fault::Malformed(
            "a stack is assigned from something else".to_owned(),
        ));
    };
    let stacks = &builder.layout.stacks;
    let (to, from) = (builder.stack(to)?, builder.stack(from)?);
    let (to, from) = (&stacks[usize::from(to)], &stacks[usize::from(from)]);
    if to.headers.len() != from.headers.len() {
        return Err(Fault::Malformed(
            "stacks of different sizes are assigned".to_owned(),
        ));
    }
    for (d, a) in to.headers.iter().zip(&from.headers) {
        if builder.layout.header(*d).type_name != builder.layout.header(*a).type_name {
            return Err(Fault::Malformed(
                "stacks of different types are assigned".to_owned(),
            ));
        }
        builder.emit(Op::CopyHeader { d: *d, a: *a });
    }
    builder.emit(Op::Copy {
        d: to.next,
        a: from.next,
    });
    Ok(())
}

fn assign_union_stack(builder: &mut Builder<'_>, to: &Expr, from: &Expr) -> Built<()> {
    let (Expr::UnionStack(to), Expr::UnionStack(from)) = (to, from) else {
        return Err(Fault::Malformed(
            "a union stack is assigned from something else".to_owned(),
        ));
    };
    let find = |name: &str| {
        let found = builder.layout.union_stack_index(name);
        let found = found.ok_or_else(|| Fault::Unresolved("Union stack", name.to_owned()))?;
        Ok::<_, Fault>(&builder.layout.union_stacks[usize::from(found)])
    };
    let (to, from) = (find(to)?, find(from)?);
    for (d, a) in to.unions.iter().zip(&from.unions) {
        copy_union(builder, *d, *a)?;
    }
    builder.emit(Op::Copy {
        d: to.next,
        a: from.next,
    });
    Ok(())
}

/// Marks the standard metadata that is named: a program may hand a copy of it round, and copy it
/// back.
fn mark_to_drop(builder: &mut Builder<'_>, one: &Primitive, code: DropCode) -> Built<()> {
    let x = builder
        .code
        .drops
        .iter()
        .position(|known| *known == code)
        .unwrap_or_else(|| {
            builder.code.drops.push(code);
            builder.code.drops.len() - 1
        });
    let x = small_index(x, "drops")?;
    builder.note(|| Note::Primitive {
        op: one.op.clone(),
        place: one
            .source_info
            .as_ref()
            .map_or_else(String::new, |at| format!("{}:{}", at.filename, at.line)),
    });
    builder.emit(Op::MarkToDrop { x });
    Ok(())
}

fn log(builder: &mut Builder<'_>, args: &Args<'_>) -> Built<()> {
    let raw = args.raw(0)?;
    let format = expr::text(raw.get("value").unwrap_or(raw))?;
    let mut slots = Vec::new();
    if let Ok(vector) = args.raw(1) {
        let list = vector.get("value").and_then(Raw::as_array);
        for element in list.map(Vec::as_slice).unwrap_or_default() {
            let value = builder.expr(&expr::read(element)?, crate::builder::Need::Exact)?;
            slots.push((value.slot, u16::try_from(value.limbs).unwrap_or(u16::MAX)));
        }
    }
    let x = small_index(builder.code.logs.len(), "log messages")?;
    builder.code.logs.push(LogCode {
        format,
        args: slots,
    });
    builder.emit(Op::Log { x });
    Ok(())
}

fn jump_target(labels: &[Pc], at: u64) -> Built<Pc> {
    let target = usize::try_from(at)
        .ok()
        .and_then(|at| labels.get(at))
        .copied();
    target.ok_or_else(|| Fault::Malformed(format!("a jump to primitive {at}, which is not there")))
}

fn field_list(context: &Context<'_>, id: u64) -> Built<u16> {
    let found = i64::try_from(id)
        .ok()
        .and_then(|id| context.field_lists.get(&id))
        .copied();
    found.ok_or_else(|| Fault::Unresolved("Field list", id.to_string()))
}

fn find(map: &std::collections::HashMap<&str, u16>, name: &str, kind: &'static str) -> Built<u16> {
    map.get(name)
        .copied()
        .ok_or_else(|| Fault::Unresolved(kind, name.to_owned()))
}

/// Arguments of a primitive.
struct Args<'a> {
    op: &'a str,
    raw: &'a [Raw],
}

impl Args<'_> {
    fn raw(&self, at: usize) -> Built<&Raw> {
        let found = self.raw.get(at);
        found.ok_or_else(|| Fault::Malformed(format!("{} lacks argument {}", self.op, at + 1)))
    }

    fn expr(&self, at: usize) -> Built<Expr> {
        Ok(expr::read(self.raw(at)?)?)
    }

    /// The name of an array or calculation.
    fn name(&self, at: usize) -> Built<String> {
        let raw = self.raw(at)?;
        Ok(expr::text(raw.get("value").unwrap_or(&Raw::Null))?)
    }

    /// A number known when the program is loaded.
    fn number(&self, at: usize) -> Built<u64> {
        match self.expr(at)? {
            Expr::Number {
                negative: false,
                magnitude,
            } => magnitude.as_u64().ok_or_else(|| {
                Fault::Malformed(format!("argument {} of {} is too large", at + 1, self.op))
            }),
            _ => Err(Fault::Unsupported(format!(
                "{} with an argument {} that is not a constant",
                self.op,
                at + 1
            ))),
        }
    }
}
