//! Parser states into operations and select tables.

use serde_json::Value as Raw;

use std::collections::HashMap;

use crate::builder::reference::small_index;
use crate::builder::{Builder, Built, Fault};
use crate::error::LoadError;
use crate::expr::{self, Expr};
use crate::ir::{Note, Op, Pc, SelectCase, SelectCode, SelectPart, Slot};
use crate::json::{Location, ParseState, Primitive, Transition, Typed};
use crate::lower::{Context, actions};
use crate::value::Value;

/// Compiles the parser and the checksum verification that follows it.
pub(super) fn lower(context: &Context<'_>, builder: &mut Builder<'_>) -> Result<(), LoadError> {
    let parser = context.document.parsers.first();
    let states: &[ParseState] = parser.map_or(&[], |parser| &parser.parse_states);
    let mut labels: HashMap<&str, Pc> = HashMap::new();
    for state in states {
        let label = builder.label();
        labels.insert(&state.name, label);
    }
    let end = builder.label();
    let start = parser.and_then(|parser| parser.init_state.as_deref());
    builder.code.parser = match (start, parser) {
        (Some(name), Some(parser)) => *labels.get(name).ok_or_else(|| {
            Fault::Unresolved("Parser state", name.to_owned()).at(&parser.name, None)
        })?,
        _ => end,
    };
    for state in states {
        builder.bind(labels[state.name.as_str()]);
        builder.note(|| Note::State(state.name.clone()));
        let place = format!("parser state {}", state.name);
        for op in &state.parser_ops {
            let location = Location::publish(op.source_info.as_ref());
            let compiled = operation(context, builder, op);
            compiled.map_err(|fault| fault.at(&place, location))?;
            builder.end_statement();
        }
        let compiled = transition(context, builder, state, &labels, end);
        compiled.map_err(|fault| fault.at(&place, None))?;
        builder.end_statement();
    }
    builder.bind(end);
    builder.emit(Op::End);
    checksums(context, builder)
}

fn operation(context: &Context<'_>, builder: &mut Builder<'_>, op: &Primitive) -> Built<()> {
    let raw = |at: usize| {
        let found = op.parameters.get(at);
        found.ok_or_else(|| Fault::Malformed(format!("{} lacks argument {}", op.op, at + 1)))
    };
    match op.op.as_str() {
        "extract" => extract(builder, raw(0)?, None),
        "extract_VL" => {
            let length = expr::read(raw(1)?)?;
            let len = builder.one_limb(&length)?;
            extract(builder, raw(0)?, Some(len))
        }
        "set" => set(builder, raw(0)?, raw(1)?),
        "verify" => {
            let c = builder.truth(&expr::read(raw(0)?)?)?;
            let e = builder.materialize(&expr::read(raw(1)?)?, 32)?;
            builder.emit(Op::Verify { c, e });
            Ok(())
        }
        "advance" => {
            let a = builder.one_limb(&expr::read(raw(0)?)?)?;
            builder.emit(Op::Advance { a });
            Ok(())
        }
        "shift" => {
            let bytes = raw(0)?;
            let bytes = bytes
                .as_u64()
                .or_else(|| bytes.get("value").and_then(Raw::as_u64));
            let bytes = bytes.ok_or_else(|| Fault::Malformed("shift lacks a number".into()))?;
            let a = builder.small(bytes.saturating_mul(8))?;
            builder.emit(Op::Advance { a });
            Ok(())
        }
        "primitive" => {
            let inner: Primitive = serde_json::from_value(raw(0)?.clone())
                .map_err(|error| Fault::Malformed(error.to_string()))?;
            // Outside of an action there is nothing to jump to.
            actions::primitive(context, builder, &inner, &[])
        }
        other => Err(Fault::Unsupported(format!("parser operation \"{other}\""))),
    }
}

fn extract(builder: &mut Builder<'_>, raw: &Raw, len: Option<Slot>) -> Built<()> {
    let kind = raw.get("type").and_then(Raw::as_str).unwrap_or_default();
    let value = raw.get("value").unwrap_or(&Raw::Null);
    let check = |builder: &Builder<'_>, header: u16| {
        let layout = builder.layout.header(header);
        match (layout.varbit.is_some(), len.is_some()) {
            (true, false) => Err(Fault::Unsupported(format!(
                "extract of {} without the length of its varbit field",
                layout.name
            ))),
            (false, true) => Err(Fault::Malformed(format!(
                "{} has no varbit field",
                layout.name
            ))),
            _ if layout.metadata => Err(Fault::Malformed(format!(
                "extract of the metadata {}",
                layout.name
            ))),
            _ => Ok(()),
        }
    };
    let op = match kind {
        "regular" => {
            let h = builder.header_index(&expr::text(value)?)?;
            check(builder, h)?;
            match len {
                Some(len) => Op::ExtractVarbit { h, len },
                None => Op::Extract { h },
            }
        }
        "stack" => {
            let stack = builder.stack(&expr::text(value)?)?;
            let headers = builder.layout.stacks[usize::from(stack)].headers.clone();
            headers
                .into_iter()
                .try_for_each(|header| check(builder, header))?;
            match len {
                Some(len) => Op::ExtractVarbitNext { stack, len },
                None => Op::ExtractNext { stack },
            }
        }
        "union_stack" => {
            let (name, member) = expr::pair(value)?;
            let found = builder.layout.union_stack_index(&name);
            let stack = found.ok_or_else(|| Fault::Unresolved("Union stack", name.clone()))?;
            let (headers, _) = builder.union_member_headers(&name, &member)?;
            headers
                .into_iter()
                .try_for_each(|header| check(builder, header))?;
            let members = &builder.layout.union_stacks[usize::from(stack)].members;
            let at = members
                .iter()
                .position(|known| *known == member)
                .unwrap_or(0);
            let member = small_index(at, "union members")?;
            match len {
                Some(len) => Op::ExtractVarbitUnionNext { stack, member, len },
                None => Op::ExtractUnionNext { stack, member },
            }
        }
        other => return Err(Fault::Unsupported(format!("extract into \"{other}\""))),
    };
    builder.emit(op);
    Ok(())
}

fn set(builder: &mut Builder<'_>, to: &Raw, from: &Raw) -> Built<()> {
    let to = expr::read(to)?;
    if from.get("type").and_then(Raw::as_str) != Some("lookahead") {
        return actions::assign(builder, &to, &expr::read(from)?);
    }
    let (at, bits) = lookahead(from.get("value").unwrap_or(&Raw::Null))?;
    let d = builder.temporary(usize::from(bits).div_ceil(64).max(1))?;
    builder.emit(Op::Lookahead { d, at, bits });
    builder.params.push((d, bits));
    let last = builder.params.len() - 1;
    let stored = actions::assign(builder, &to, &Expr::Local(last));
    builder.params.pop();
    stored
}

fn lookahead(raw: &Raw) -> Built<(u16, u16)> {
    let number = |raw: &Raw| raw.as_u64().and_then(|number| u16::try_from(number).ok());
    let pair = raw.as_array().map(Vec::as_slice);
    let pair = match pair {
        Some([at, bits]) => number(at).zip(number(bits)),
        _ => None,
    };
    let pair = pair.filter(|(_, bits)| (1..=crate::layout::MAX_BITS).contains(&usize::from(*bits)));
    pair.ok_or_else(|| Fault::Malformed("a lookahead has no offset and width".to_owned()))
}

fn transition(
    context: &Context<'_>,
    builder: &mut Builder<'_>,
    state: &ParseState,
    labels: &HashMap<&str, Pc>,
    end: Pc,
) -> Built<()> {
    let target = |to: &Transition| match &to.next_state {
        None => Ok(end),
        Some(name) => {
            let found = labels.get(name.as_str()).copied();
            found.ok_or_else(|| Fault::Unresolved("Parser state", name.clone()))
        }
    };
    let mut default = end;
    for to in &state.transitions {
        if kind(to) == "default" {
            default = target(to)?;
        }
    }
    if state.transition_key.is_empty() {
        builder.emit(Op::Jump { to: default });
        return Ok(());
    }
    let parts: Built<Vec<SelectPart>> = state
        .transition_key
        .iter()
        .map(|part| select_part(builder, part))
        .collect();
    let parts = parts?;
    let bytes: usize = parts
        .iter()
        .map(|part| usize::from(part.bits()).div_ceil(8))
        .sum();
    let limbs = (bytes * 8).div_ceil(64).max(1);
    let mut cases = Vec::new();
    for to in state.transitions.iter().filter(|to| kind(to) != "default") {
        let label = target(to)?;
        cases.push(case(context, to, &parts, limbs, bytes, label)?);
    }
    let x = small_index(builder.code.selects.len(), "selects")?;
    let limbs = small_index(limbs, "limbs of a select key")?;
    if bytes > MAX_SELECT_BYTES {
        return Err(Fault::TooLarge(
            "bytes in a select key",
            bytes,
            MAX_SELECT_BYTES,
        ));
    }
    builder.code.selects.push(SelectCode {
        parts,
        limbs,
        cases,
        default,
    });
    builder.emit(Op::SelectState { x });
    Ok(())
}

/// Bytes of the widest select key.
pub(crate) const MAX_SELECT_BYTES: usize = 512;

fn kind(to: &Transition) -> &str {
    match (&to.kind, &to.value) {
        (Some(kind), _) => kind,
        // Before version 2.2 the type was implicit.
        (None, Raw::String(value)) if value != "default" => "hexstr",
        (None, _) => "default",
    }
}

fn case(
    context: &Context<'_>,
    to: &Transition,
    parts: &[SelectPart],
    limbs: usize,
    bytes: usize,
    label: Pc,
) -> Built<SelectCase> {
    let number = |raw: &Raw| -> Built<Value> {
        match expr::number(raw)? {
            (false, value) if value.bit_len() <= bytes * 8 => Ok(value),
            _ => Err(Fault::Malformed(
                "a select value exceeds its key".to_owned(),
            )),
        }
    };
    let spread = |value: &Value| -> Vec<u64> { (0..limbs).map(|at| value.limb(at)).collect() };
    let mask = if to.mask.is_null() {
        None
    } else {
        Some(number(&to.mask)?)
    };
    match kind(to) {
        "hexstr" => {
            let mask = spread(&mask.unwrap_or_else(|| Value::ones(bytes * 8)));
            let value = spread(&number(&to.value)?);
            let value = value
                .iter()
                .zip(&mask)
                .map(|(value, mask)| value & mask)
                .collect();
            Ok(SelectCase::Masked {
                value,
                mask,
                to: label,
            })
        }
        "parse_vset" => {
            let name = expr::text(&to.value)?;
            let sets = &context.document.parse_vsets;
            let at = sets.iter().position(|set| set.name == name);
            let at = at.ok_or_else(|| Fault::Unresolved("Value set", name.clone()))?;
            let bits: u64 = parts.iter().map(|part| u64::from(part.bits())).sum();
            if sets[at].compressed_bitwidth != bits {
                return Err(Fault::Malformed(format!(
                    "value set {name} has another width"
                )));
            }
            let set = small_index(at, "value sets")?;
            Ok(SelectCase::ValueSet {
                set,
                mask: mask.as_ref().map(spread),
                to: label,
            })
        }
        other => Err(Fault::Unsupported(format!(
            "transition of type \"{other}\""
        ))),
    }
}

fn select_part(builder: &mut Builder<'_>, part: &Typed) -> Built<SelectPart> {
    match part.kind.as_str() {
        "lookahead" => {
            let (at, bits) = lookahead(&part.value)?;
            Ok(SelectPart::Lookahead { at, bits })
        }
        "field" => {
            let (header, field) = expr::pair(&part.value)?;
            let place = builder.field(&header, &field)?;
            let bits = small_index(place.bits, "bits in a select")?;
            Ok(SelectPart::Slot {
                src: place.slot,
                bits,
            })
        }
        "stack_field" | "union_stack_field" => {
            let (headers, next, field) = if part.kind == "stack_field" {
                let (stack, field) = expr::pair(&part.value)?;
                let stack = &builder.layout.stacks[usize::from(builder.stack(&stack)?)];
                (stack.headers.clone(), stack.next, field)
            } else {
                let names = part.value.as_array().map(Vec::as_slice);
                let Some([stack, member, field]) = names else {
                    return Err(Fault::Malformed(
                        "a union_stack_field lacks names".to_owned(),
                    ));
                };
                let (stack, member) = (expr::text(stack)?, expr::text(member)?);
                let (headers, next) = builder.union_member_headers(&stack, &member)?;
                (headers, next, expr::text(field)?)
            };
            let places: Built<Vec<_>> = headers
                .iter()
                .map(|header| builder.field(&builder.layout.header(*header).name, &field))
                .collect();
            let places = places?;
            let bits = places.first().map_or(0, |place| place.bits);
            let access = builder.access(&places)?;
            let bits = small_index(bits, "bits in a select")?;
            Ok(SelectPart::Last { access, next, bits })
        }
        other => Err(Fault::Unsupported(format!("select on \"{other}\""))),
    }
}

/// Verification after the parser and update before the deparser, as straight-line code.
fn checksums(context: &Context<'_>, builder: &mut Builder<'_>) -> Result<(), LoadError> {
    builder.code.verify = builder.here();
    for verify in [true, false] {
        for checksum in &context.document.checksums {
            let wanted = if verify {
                checksum.verify
            } else {
                checksum.update
            };
            if !wanted.unwrap_or(true) {
                continue;
            }
            let compiled = one_checksum(context, builder, checksum, verify);
            let location = Location::publish(checksum.source_info.as_ref());
            let place = format!("checksum {}", checksum.name);
            compiled.map_err(|fault| fault.at(&place, location))?;
            builder.end_statement();
        }
        builder.emit(Op::End);
        if verify {
            builder.code.update = builder.here();
        }
    }
    Ok(())
}

fn one_checksum(
    context: &Context<'_>,
    builder: &mut Builder<'_>,
    checksum: &crate::json::Checksum,
    verify: bool,
) -> Built<()> {
    let x = context
        .calculations
        .get(checksum.calculation.as_str())
        .copied();
    let x = x.ok_or_else(|| Fault::Unresolved("Calculation", checksum.calculation.clone()))?;
    let (header, field) = &checksum.target;
    let place = builder.field(header, field)?;
    let skip = builder.label();
    if verify {
        let layout = builder.layout.header(builder.header_index(header)?);
        if !layout.metadata {
            let a = layout.valid;
            builder.emit(Op::JumpIfZero { a, to: skip });
        }
    }
    if !checksum.if_cond.is_null() {
        builder.branch(&expr::read(&checksum.if_cond)?, skip)?;
    }
    let d = builder.temporary(1)?;
    builder.emit(Op::Calculate { d, x });
    if verify {
        if let Some(error) = context.standard.checksum_error {
            let one = builder.small(1)?;
            // Only the low limb can differ: no checksum is wider.
            builder.emit(Op::JumpIfEq {
                a: d,
                b: place.slot,
                to: skip,
            });
            builder.emit(Op::Copy {
                d: error.slot,
                a: one,
            });
        }
    } else {
        let start = builder.code.ops.len();
        let value = crate::builder::Val {
            slot: d,
            limbs: 1,
            shape: crate::builder::Shape::Unsigned(64),
        };
        builder.store(place, value, start)?;
    }
    builder.bind(skip);
    Ok(())
}
