//! A program with the entries of its script in it.
//!
//! bmv2's JSON may bring entries and default actions. So whatever loads the JSON has what the script
//! adds, with no control plane between: the engine and bmv2 start from the same file.

use std::sync::Arc;

use p4_engine::stf::Script;
use p4_engine::{
    ActionCall, Engine, EngineConfig, EntryAction, KeyPart, Program, TableIndex, TableSource, Value,
};
use serde_json::{Value as Json, json};

/// The program with what the script adds, and how many entries and defaults that is.
///
/// # Errors
/// Program and script do not belong together.
pub(super) fn installed(text: &str, script: &str) -> Result<(String, usize), String> {
    let script = Script::parse(script).map_err(|error| offload_api::error_chain(&error))?;
    let program = Program::load(text).map_err(|error| offload_api::error_chain(&error))?;
    let program = Arc::new(program);
    let blank = Engine::new(Arc::clone(&program), EngineConfig::default());
    let mut engine = Engine::new(Arc::clone(&program), EngineConfig::default());
    script
        .set_up(&mut engine)
        .map_err(|error| offload_api::error_chain(&error))?;
    let mut document: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut added = 0;
    let pipelines = document["pipelines"].as_array_mut();
    let tables = pipelines.into_iter().flatten();
    let tables = tables.flat_map(|pipeline| pipeline["tables"].as_array_mut());
    for table in tables.flatten() {
        let Some(index) = table["name"].as_str().and_then(|name| program.table(name)) else {
            continue;
        };
        if program.table_info(index).source != TableSource::Direct {
            continue;
        }
        let new = engine.entry_count(index) - blank.entry_count(index);
        if new > 0 {
            table["entries"] = entries(&program, &engine, index, table)?;
            added += new;
        }
        let default = engine.default_action(index);
        if default != blank.default_action(index)
            && let Some(EntryAction::Call(call)) = default
        {
            let call = action(&program, index, table, &call)?;
            table["default_entry"] = json!({
                "action_id": call["action_id"], "action_const": false,
                "action_data": call["action_data"], "action_entry_const": false,
            });
            added += 1;
        }
    }
    Ok((document.to_string(), added))
}

/// All entries of a table, as p4c writes them.
fn entries(
    program: &Program,
    engine: &Engine,
    index: TableIndex,
    table: &Json,
) -> Result<Json, String> {
    let info = program.table_info(index);
    let best = engine.entries(index).map(|(_, entry)| entry.priority).max();
    let best = best.unwrap_or(0);
    let one = |entry: p4_engine::Entry| {
        let EntryAction::Call(call) = &entry.action else {
            return Err(format!("Table {} has a profile", info.name));
        };
        let parts = entry.key.iter().zip(&info.fields).enumerate();
        let key = parts.map(|(at, (part, field))| {
            let kind = &table["key"][at]["match_type"];
            key_part(part, field.bits, kind)
        });
        Ok(json!({
            "match_key": key.collect::<Vec<Json>>(),
            "action_entry": action(program, index, table, call)?,
            // Smaller wins there.
            "priority": best - entry.priority + 1,
        }))
    };
    let all = engine.entries(index).map(|(_, entry)| one(entry));
    Ok(Json::Array(all.collect::<Result<_, String>>()?))
}

fn key_part(part: &KeyPart, bits: usize, kind: &Json) -> Json {
    let hex = |value: &Value| hex(value, bits);
    match part {
        KeyPart::Exact(value) if kind == "valid" => {
            json!({"match_type": kind, "key": !value.is_zero()})
        }
        KeyPart::Exact(value) => json!({"match_type": kind, "key": hex(value)}),
        KeyPart::Lpm { value, prefix_len } => {
            json!({"match_type": kind, "key": hex(value), "prefix_length": prefix_len})
        }
        KeyPart::Ternary { value, mask } => {
            json!({"match_type": kind, "key": hex(value), "mask": hex(mask)})
        }
        KeyPart::Range { low, high } => {
            json!({"match_type": kind, "start": hex(low), "end": hex(high)})
        }
        KeyPart::Optional(value) => {
            let mask = value.as_ref().map_or(Value::zero(), |_| Value::ones(bits));
            let value = value.clone().unwrap_or_default();
            json!({"match_type": kind, "key": hex(&value), "mask": hex(&mask)})
        }
    }
}

/// The call of one of the table's actions.
fn action(
    program: &Program,
    index: TableIndex,
    table: &Json,
    call: &ActionCall,
) -> Result<Json, String> {
    let info = program.action_info(call.action);
    let names = table["actions"].as_array().into_iter().flatten();
    let at = names
        .enumerate()
        .find_map(|(at, name)| (name == &*info.name).then_some(at));
    let at = at.ok_or_else(|| {
        let table = &program.table_info(index).name;
        format!("Table {table} has no action {}", info.name)
    })?;
    let args = call.args.iter().zip(&info.params);
    let data: Vec<String> = args.map(|(arg, param)| hex(arg, param.bits)).collect();
    Ok(json!({"action_id": table["action_ids"][at], "action_data": data}))
}

/// As p4c writes numbers: all bytes of the width.
fn hex(value: &Value, bits: usize) -> String {
    let bytes = value.to_be_bytes(bits.max(1));
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("0x{}", digits.collect::<String>())
}
