//! What tables cost, engine only: time of an insert as a table grows, the longest single insert,
//! bytes an entry, and time of a lookup, for the shapes that the project's pipeline has.
//!
//! A lookup is the time of a packet of a program that does nothing else, less that of the same
//! program with an empty table.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a program for people prints, and stops where its own program does not load"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use p4_engine::{
    ActionCall, Engine, EngineConfig, Entry, EntryAction, KeyPart, Outputs, Packet, Program,
    TableIndex, Value,
};
use serde_json::{Value as Json, json};

#[path = "../tests/programs/minimal.rs"]
#[expect(dead_code, reason = "not all of the helpers are needed here")]
mod minimal;

fn main() {
    exact("exact, 32 bits of key, 32 of argument (acl_host_v4)", &[32]);
    exact(
        "exact, 96 bits of key, 32 of argument (acl_verdict, with counter)",
        &[32, 32, 16, 16],
    );
    for lengths in [1, 8, 24, 32] {
        lpm(lengths);
    }
    for (entries, masks) in [(1_000, 10), (10_000, 100), (60_000, 100)] {
        ternary(entries, masks);
    }
}

/// A table over fields of a header, of one match kind.
fn engine(fields: &[u16], kind: &str) -> (Engine, TableIndex) {
    let names: Vec<String> = (0..fields.len()).map(|at| format!("f{at}")).collect();
    let of_type: Vec<Json> = names
        .iter()
        .zip(fields)
        .map(|(name, bits)| json!([name, bits, false]))
        .collect();
    let key: Vec<Json> = names
        .iter()
        .map(|name| json!({"match_type": kind, "name": name, "target": ["h", name], "mask": null}))
        .collect();
    let actions = json!([{"name": "set", "id": 0,
        "runtime_data": [{"name": "to", "bitwidth": 32}],
        "primitives": [{"op": "assign", "parameters": [
            {"type": "field", "value": ["standard_metadata", "instance_type"]},
            {"type": "runtime_data", "value": 0}]}]}]);
    let tables = json!([{"name": "table", "id": 0, "key": key, "match_type": kind,
        "type": "simple", "max_size": 1 << 22, "with_counters": fields.len() > 1,
        "action_ids": [0], "actions": ["set"], "base_default_next": null,
        "next_tables": {"set": null}}]);
    let mut program = minimal::program(&json!(of_type), &actions, &tables, &json!("table"));
    if fields.len() > 1 {
        program["counter_arrays"] = json!([{"name": "counter", "id": 0, "is_direct": true,
            "binding": "table"}]);
    }
    let program = Program::load(&program.to_string()).expect("program");
    let table = program.table("table").expect("table");
    let engine = Engine::new(Arc::new(program), EngineConfig::default());
    (engine, table)
}

fn insert(engine: &mut Engine, table: TableIndex, key: Vec<KeyPart>, priority: i32) -> Duration {
    let action = engine.program().table_action(table, "set").expect("action");
    let args = vec![Value::from(7u64)];
    let action = EntryAction::Call(ActionCall { action, args });
    let entry = Entry {
        key,
        priority,
        action,
    };
    let start = Instant::now();
    engine.insert(table, entry).expect("insert");
    start.elapsed()
}

/// Resident memory of the process in bytes, where the kernel tells.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1);
    pages.and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}

fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b1) & 0xffff_ffff
}

fn exact(name: &str, fields: &[u16]) {
    println!("{name}");
    // The same inserts several times: what an insert takes each time is its own, what it takes
    // once is the machine's.
    let mut times = vec![Duration::MAX; 1_000_000];
    let mut bytes = u64::MAX;
    for _ in 0..4 {
        let (mut engine, table) = engine(fields, "exact");
        let before = resident();
        for (at, best) in (0u64..).zip(&mut times) {
            let key = (0u64..)
                .zip(fields)
                .map(|(field, bits)| {
                    let own = spread(at) >> (32 - bits.min(&32));
                    KeyPart::Exact(Value::from(if field == 0 { spread(at) } else { own }))
                })
                .collect();
            *best = insert(&mut engine, table, key, 0).min(*best);
        }
        bytes = bytes.min(resident().saturating_sub(before) / 1_000_000);
    }
    println!(
        "  insert at 1 000: {} ns, at 1 000 000: {} ns, the longest of all {} us; {bytes} bytes an entry",
        middle(&times[900..1_100]),
        middle(&times[990_000..]),
        times.iter().max().map_or(0, Duration::as_micros),
    );
}

/// The middle one, as a machine that others use as well makes some of them long.
fn middle(times: &[Duration]) -> u128 {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).map_or(0, Duration::as_nanos)
}

/// Nanoseconds of a packet, at best.
fn packet_time(engine: &mut Engine, packets: &[Vec<u8>]) -> f64 {
    let mut out = Outputs::new();
    let mut best = f64::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        for frames in packets.chunks(64) {
            let batch: Vec<Packet<'_>> = frames
                .iter()
                .map(|bytes| Packet { port: 1, bytes })
                .collect();
            out.clear();
            engine.process_batch(&batch, 0, &mut out);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    best / packets.len() as f64 * 1e9
}

fn lpm(lengths: u16) {
    let (mut engine, table) = engine(&[32], "lpm");
    let random = |at: u64| u32::try_from(spread(at * 77 + 1)).unwrap_or(0);
    let packets: Vec<Vec<u8>> = (0..65_536)
        .map(|at| random(at * 3 + 5).to_be_bytes().to_vec())
        .collect();
    let empty = packet_time(&mut engine, &packets);
    let mut count = 0;
    for at in 0..60_000u64 {
        let prefix_len = 32 - u16::try_from(at % u64::from(lengths)).unwrap_or(0);
        let mask = Value::prefix_mask(32, prefix_len.into());
        let value = Value::from(u64::from(random(at))).and(&mask);
        let key = vec![KeyPart::Lpm { value, prefix_len }];
        if matches!(engine.find(table, &key, 0), Ok(None)) {
            insert(&mut engine, table, key, 0);
            count += 1;
        }
    }
    let full = packet_time(&mut engine, &packets);
    println!(
        "lpm, {count} entries of {lengths} lengths: {:.0} ns a lookup",
        full - empty
    );
}

fn ternary(entries: u64, masks: u64) {
    let (mut engine, table) = engine(&[32, 32], "ternary");
    let flow = |at: u64| [spread(at), spread(at ^ 0x55aa)];
    let packets: Vec<Vec<u8>> = (0..entries.max(10_000))
        .map(|at| {
            let fields = flow(at % entries).map(|field| u32::try_from(field).unwrap_or(0));
            fields
                .iter()
                .flat_map(|field| field.to_be_bytes())
                .collect()
        })
        .collect();
    let empty = packet_time(&mut engine, &packets);
    for at in 0..entries {
        let mask = Value::from(0xffff_ffff_u64 ^ (spread(at % masks + 1) & 0xffff));
        let [first, second] = flow(at).map(Value::from);
        let key = [first, second].map(|field| KeyPart::Ternary {
            value: field.and(&mask),
            mask: mask.clone(),
        });
        // Priorities in no order, so that most groups must be asked.
        let priority = i32::try_from(spread(at) % 1000 + 1).unwrap_or(1);
        if matches!(engine.find(table, &key, priority), Ok(None)) {
            insert(&mut engine, table, key.to_vec(), priority);
        }
    }
    let full = packet_time(&mut engine, &packets);
    println!(
        "ternary, {entries} entries of {masks} masks: {:.0} ns a lookup, {:.0} packets/s",
        full - empty,
        1e9 / full
    );
}
