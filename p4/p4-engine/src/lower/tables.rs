//! Tables as the control plane sees them, and the entries that the program brings.

use serde_json::Value as Raw;

use crate::builder::Fault;
use crate::entry::{ActionCall, Entry, EntryAction, KeyPart};
use crate::error::LoadError;
use crate::expr;
use crate::ir::KeyPlace;
use crate::json::{Document, EntryKey, Key, Location, Table, TableEntry};
use crate::layout::{Layout, MAX_BITS};
use crate::lower::{Context, public_parts};
use crate::program::{
    ActionIndex, ActionProfileInfo, DefaultAction, KeyField, KeyLayout, MatchKind, MeterIndex,
    ProfileIndex, Program, TableIndex, TableInfo, TableSource,
};
use crate::value::Value;

/// Cells of the largest counter, meter or register array and entries of the largest table.
const MAX_SIZE: u64 = 1 << 28;

/// Limbs of the widest packed key.
pub(crate) const MAX_KEY_LIMBS: usize = 64;

/// Builds the program with its public lists, code still missing.
pub(super) fn infos(document: &Document, layout: &Layout) -> Result<Program, LoadError> {
    let mut program = Program::empty();
    public_parts(document, layout, &mut program)?;
    for profile in document
        .pipelines
        .iter()
        .flat_map(|pipeline| &pipeline.action_profiles)
    {
        program.profiles.push(ActionProfileInfo {
            name: profile.name.clone(),
            max_size: size(profile.max_size)?,
            selector: profile.selector.is_some(),
        });
    }
    for table in document
        .pipelines
        .iter()
        .flat_map(|pipeline| &pipeline.tables)
    {
        let info = info(document, layout, &program, table);
        let location = Location::publish(table.source_info.as_ref());
        let info = info.map_err(|fault| fault.at(&format!("table {}", table.name), location))?;
        program.keys.push(key_layout(&info)?);
        program.tables.push(info);
    }
    for (at, array) in document.counter_arrays.iter().enumerate() {
        if array.is_direct {
            program.counters[at].table = binding(&program, array.binding.as_deref());
        }
    }
    for (at, array) in document.meter_arrays.iter().enumerate() {
        if array.is_direct {
            program.meters[at].table = binding(&program, array.binding.as_deref());
        }
    }
    Ok(program)
}

fn binding(program: &Program, table: Option<&str>) -> Option<TableIndex> {
    table.and_then(|table| program.table(table))
}

fn info(
    document: &Document,
    layout: &Layout,
    program: &Program,
    table: &Table,
) -> Result<TableInfo, Fault> {
    let fields: Result<Vec<KeyField>, Fault> =
        table.key.iter().map(|key| key_field(layout, key)).collect();
    let fields = fields?;
    if fields
        .iter()
        .filter(|field| field.kind == MatchKind::Lpm)
        .count()
        > 1
    {
        return Err(Fault::Unsupported("a key with two LPM fields".to_owned()));
    }
    let action = |id: &i64| -> Result<ActionIndex, Fault> {
        let at = document.actions.iter().position(|action| action.id == *id);
        let at = at.and_then(|at| u32::try_from(at).ok());
        at.map(ActionIndex)
            .ok_or_else(|| Fault::Unresolved("Action", id.to_string()))
    };
    let mut actions: Vec<ActionIndex> = table
        .action_ids
        .iter()
        .map(action)
        .collect::<Result<_, _>>()?;
    let default = match &table.default_entry {
        None => None,
        Some(entry) => {
            let index = action(&entry.action_id)?;
            if !actions.contains(&index) {
                actions.push(index);
            }
            let call = ActionCall {
                action: index,
                args: args(program, index, &entry.action_data)?,
            };
            let is_const = entry.action_const || entry.action_entry_const;
            Some(DefaultAction { call, is_const })
        }
    };
    let profile = || -> Result<ProfileIndex, Fault> {
        let name = table.action_profile.as_deref().unwrap_or_default();
        let found = program.profile(name);
        found.ok_or_else(|| Fault::Unresolved("Action profile", name.to_owned()))
    };
    let source = match table.kind.as_str() {
        "simple" => TableSource::Direct,
        "indirect" => TableSource::Profile(profile()?),
        "indirect_ws" => TableSource::Selector(profile()?),
        other => return Err(Fault::Unsupported(format!("table type \"{other}\""))),
    };
    if !matches!(
        table.match_type.as_str(),
        "exact" | "lpm" | "ternary" | "range"
    ) {
        return Err(Fault::Unsupported(format!(
            "match type \"{}\"",
            table.match_type
        )));
    }
    let meter = match &table.direct_meters {
        None => None,
        Some(name) => {
            let found = document
                .meter_arrays
                .iter()
                .position(|array| array.name == *name);
            let found = found.and_then(|at| u32::try_from(at).ok()).map(MeterIndex);
            Some(found.ok_or_else(|| Fault::Unresolved("Meter array", name.clone()))?)
        }
    };
    let needs_priority = fields
        .iter()
        .any(|field| !matches!(field.kind, MatchKind::Exact | MatchKind::Lpm));
    Ok(TableInfo {
        name: table.name.clone(),
        needs_priority,
        fields,
        actions,
        max_size: size(table.max_size)
            .map_err(|_| Fault::Malformed(format!("a size of {}", table.max_size)))?,
        counters: table.with_counters,
        meter,
        idle_timeout: table.support_timeout,
        default,
        const_entries: table
            .entries
            .iter()
            .any(|entry| entry.is_const.unwrap_or(true)),
        source,
        location: Location::publish(table.source_info.as_ref()),
    })
}

fn key_field(layout: &Layout, key: &Key) -> Result<KeyField, Fault> {
    let (header, field) = key_target(key)?;
    let kind = match key.match_type.as_str() {
        "exact" | "valid" => MatchKind::Exact,
        "lpm" => MatchKind::Lpm,
        "ternary" => MatchKind::Ternary,
        "range" => MatchKind::Range,
        "optional" => MatchKind::Optional,
        other => return Err(Fault::Unsupported(format!("match kind \"{other}\""))),
    };
    let bits = if field == "$valid$" {
        1
    } else {
        let found = layout.field(&header, &field);
        let found = found.ok_or_else(|| Fault::Unresolved("Field", format!("{header}.{field}")))?;
        if found.varbit {
            return Err(Fault::Unsupported(format!(
                "a match on the varbit {header}.{field}"
            )));
        }
        usize::from(found.bits)
    };
    let name = key
        .name
        .clone()
        .unwrap_or_else(|| format!("{header}.{field}"));
    Ok(KeyField { name, bits, kind })
}

/// Header and field that a key is matched against.
pub(super) fn key_target(key: &Key) -> Result<(String, String), Fault> {
    match &key.target {
        Raw::String(header) => Ok((header.clone(), "$valid$".to_owned())),
        pair => Ok(expr::pair(pair)?),
    }
}

/// Fields side by side from the lowest bit; range fields in limbs of their own.
fn key_layout(info: &TableInfo) -> Result<KeyLayout, LoadError> {
    let mut bit = 0usize;
    let mut places = Vec::with_capacity(info.fields.len());
    for field in &info.fields {
        let range = field.kind == MatchKind::Range;
        if range {
            bit = bit.next_multiple_of(64);
        }
        let place = KeyPlace {
            bit: u32::try_from(bit).unwrap_or(u32::MAX),
            bits: u32::try_from(field.bits).unwrap_or(u32::MAX),
        };
        places.push(place);
        bit += field.bits;
        if range {
            bit = bit.next_multiple_of(64);
        }
    }
    let limbs = bit.div_ceil(64);
    if limbs > MAX_KEY_LIMBS {
        return Err(LoadError::TooLarge {
            what: "limbs in a table key",
            have: limbs,
            limit: MAX_KEY_LIMBS,
        });
    }
    Ok(KeyLayout { places, limbs })
}

/// Const and initial entries, in the order in which they are put in.
pub(super) fn initial_entries(
    context: &Context<'_>,
    program: &Program,
) -> Result<Vec<(TableIndex, Entry)>, LoadError> {
    let mut all = Vec::new();
    let tables = context
        .document
        .pipelines
        .iter()
        .flat_map(|pipeline| &pipeline.tables);
    for (table, index) in tables.zip(0u32..) {
        // bmv2 and the JSON: smaller wins. Here as in P4Runtime: larger wins.
        let last = table
            .entries
            .iter()
            .map(|entry| entry.priority)
            .max()
            .unwrap_or(0);
        for raw in &table.entries {
            let entry = initial_entry(context, program, TableIndex(index), raw, last);
            let location = Location::publish(raw.source_info.as_ref());
            let place = format!("an entry of table {}", table.name);
            all.push((
                TableIndex(index),
                entry.map_err(|fault| fault.at(&place, location))?,
            ));
        }
    }
    Ok(all)
}

fn initial_entry(
    context: &Context<'_>,
    program: &Program,
    table: TableIndex,
    raw: &TableEntry,
    last: i64,
) -> Result<Entry, Fault> {
    let info = program.table_info(table);
    if raw.match_key.len() != info.fields.len() {
        return Err(Fault::Malformed(
            "its key has another number of fields".to_owned(),
        ));
    }
    let key: Result<Vec<KeyPart>, Fault> = raw
        .match_key
        .iter()
        .zip(&info.fields)
        .map(|(part, field)| key_part(part, field))
        .collect();
    let action = context.actions.get(&raw.action_entry.action_id).copied();
    let action = action.map(|at| ActionIndex(u32::from(at)));
    let action = action
        .ok_or_else(|| Fault::Unresolved("Action", raw.action_entry.action_id.to_string()))?;
    if !info.actions.contains(&action) {
        return Err(Fault::Malformed(
            "its action is not one of the table's".to_owned(),
        ));
    }
    let args = args(program, action, &raw.action_entry.action_data)?;
    let priority = if info.needs_priority {
        i32::try_from(last.saturating_sub(raw.priority).saturating_add(1)).unwrap_or(i32::MAX)
    } else {
        0
    };
    let entry = Entry {
        key: key?,
        priority,
        action: EntryAction::Call(ActionCall { action, args }),
    };
    crate::key::pack(info, program.key_layout(table), &entry.key)
        .map_err(|error| Fault::Malformed(error.to_string()))?;
    Ok(entry)
}

fn key_part(part: &EntryKey, field: &KeyField) -> Result<KeyPart, Fault> {
    let number = |text: Option<&str>| -> Result<Value, Fault> {
        let text = text.ok_or_else(|| Fault::Malformed(format!("{} lacks a value", field.name)))?;
        match expr::number(&Raw::String(text.to_owned()))? {
            (false, value) => Ok(value),
            (true, _) => Err(Fault::Malformed(format!("{} is negative", field.name))),
        }
    };
    let key = || match &part.key {
        Raw::Bool(valid) => Ok(Value::from(u64::from(*valid))),
        other => number(other.as_str()),
    };
    let ones = Value::ones(field.bits);
    match part.match_type.as_str() {
        "exact" | "valid" => Ok(KeyPart::Exact(key()?)),
        "lpm" => {
            let len = part.prefix_length.unwrap_or(0);
            let prefix_len = u16::try_from(len).unwrap_or(u16::MAX);
            let mask = Value::prefix_mask(field.bits, usize::from(prefix_len));
            Ok(KeyPart::Lpm {
                value: key()?.and(&mask),
                prefix_len,
            })
        }
        "ternary" | "optional" => {
            let mask = part
                .mask
                .as_deref()
                .map(|mask| number(Some(mask)))
                .transpose()?;
            let mask = mask.unwrap_or_else(|| ones.clone());
            Ok(KeyPart::Ternary {
                value: key()?.and(&mask),
                mask,
            })
        }
        "range" => Ok(KeyPart::Range {
            low: number(part.start.as_deref())?,
            high: number(part.end.as_deref())?,
        }),
        other => Err(Fault::Unsupported(format!("match kind \"{other}\""))),
    }
}

/// Arguments of an action from hexadecimal strings, cut to the parameters' widths as bmv2 does.
fn args(program: &Program, action: ActionIndex, data: &[String]) -> Result<Vec<Value>, Fault> {
    let info = program.action_info(action);
    if info.params.len() != data.len() {
        return Err(Fault::Malformed(format!(
            "{} arguments for {}, which takes {}",
            data.len(),
            info.name,
            info.params.len()
        )));
    }
    data.iter()
        .zip(&info.params)
        .map(
            |(text, param)| match expr::number(&Raw::String(text.clone()))? {
                (false, value) => Ok(value.and(&Value::ones(param.bits))),
                (true, _) => Err(Fault::Unsupported("a negative argument".to_owned())),
            },
        )
        .collect()
}

/// A declared size, within what memory can be asked for.
pub(super) fn size(declared: u64) -> Result<usize, LoadError> {
    let limit = usize::try_from(MAX_SIZE).unwrap_or(usize::MAX);
    let have = usize::try_from(declared).unwrap_or(usize::MAX);
    if declared > MAX_SIZE {
        return Err(LoadError::TooLarge {
            what: "cells in an array or entries in a table",
            have,
            limit,
        });
    }
    Ok(have)
}

/// A declared width.
pub(super) fn bits(declared: u64, place: &str) -> Result<usize, LoadError> {
    let bits = usize::try_from(declared)
        .ok()
        .filter(|bits| (1..=MAX_BITS).contains(bits));
    bits.ok_or_else(|| Fault::Malformed(format!("a width of {declared} bits")).at(place, None))
}
