//! Tables of every kind against a linear scan, under random inserts, changes and removals.

#![expect(clippy::unwrap_used, reason = "test set-up may stop")]

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "programs/minimal.rs"]
mod minimal;

use std::sync::Arc;

use p4_engine::{
    ActionCall, ControlError, Engine, EngineConfig, Entry, EntryAction, EntryHandle, KeyPart,
    Matches, Outputs, Prepared, Program, TableIndex, Value,
};
use proptest::prelude::*;
use serde_json::json;

/// Key fields: name, bits, kind. Few bits where many entries should collide.
#[derive(Clone, Copy, Debug)]
struct Shape(&'static [(usize, &'static str)]);

const SHAPES: [Shape; 7] = [
    Shape(&[(12, "exact")]),
    Shape(&[(40, "exact"), (100, "exact")]),
    Shape(&[(8, "exact"), (32, "lpm")]),
    Shape(&[(128, "lpm")]),
    Shape(&[(9, "lpm")]),
    Shape(&[(16, "ternary"), (7, "exact"), (20, "lpm")]),
    Shape(&[(70, "ternary"), (12, "range"), (8, "optional")]),
];

/// One line of the model.
#[derive(Clone, Debug)]
struct Line {
    key: Vec<KeyPart>,
    priority: i32,
    result: u32,
    handle: EntryHandle,
    age: usize,
}

struct Bench {
    engine: Engine,
    table: TableIndex,
    shape: Shape,
}

impl Bench {
    fn new(shape: Shape) -> Self {
        let mut fields = Vec::new();
        let mut key = Vec::new();
        for (at, (bits, kind)) in shape.0.iter().enumerate() {
            let padding = (8 - bits % 8) % 8;
            if padding > 0 {
                fields.push(json!([format!("p{at}"), padding, false]));
            }
            fields.push(json!([format!("k{at}"), bits, false]));
            key.push(json!({"match_type": kind, "name": format!("k{at}"),
                "target": ["h", format!("k{at}")], "mask": null}));
        }
        fields.push(json!(["result", 32, false]));
        let kinds = shape.0.iter().map(|(_, kind)| *kind);
        let kind = if kinds.clone().any(|kind| kind == "range") {
            "range"
        } else if kinds.clone().any(|kind| kind == "ternary") {
            "ternary"
        } else if kinds.clone().any(|kind| kind == "lpm") {
            "lpm"
        } else {
            "exact"
        };
        let actions = json!([
            {"name": "found", "id": 0, "runtime_data": [{"name": "result", "bitwidth": 32}],
             "primitives": [{"op": "assign", "parameters": [
                {"type": "field", "value": ["h", "result"]}, {"type": "runtime_data", "value": 0}]},
                minimal::send_to("0x1")]},
            {"name": "missed", "id": 1, "runtime_data": [],
             "primitives": [{"op": "assign", "parameters": [
                {"type": "field", "value": ["h", "result"]}, {"type": "hexstr", "value": "0xffffffff"}]},
                minimal::send_to("0x1")]}
        ]);
        let tables = json!([{"name": "t", "id": 0, "key": key, "match_type": kind,
            "type": "simple", "max_size": 64, "with_counters": true, "action_ids": [0, 1],
            "actions": ["found", "missed"], "base_default_next": null,
            "next_tables": {"found": null, "missed": null},
            "default_entry": {"action_id": 1, "action_const": false, "action_data": [],
                "action_entry_const": false}}]);
        let json = minimal::program(&json!(fields), &actions, &tables, &json!("t"));
        let program = Arc::new(Program::load(&json.to_string()).unwrap());
        let table = program.table("t").unwrap();
        Self {
            engine: Engine::new(program, EngineConfig::default()),
            table,
            shape,
        }
    }

    fn entry(&self, key: Vec<KeyPart>, priority: i32, result: u32) -> Entry {
        let action = self
            .engine
            .program()
            .table_action(self.table, "found")
            .unwrap();
        let args = vec![Value::from(u64::from(result))];
        Entry {
            key,
            priority,
            action: EntryAction::Call(ActionCall { action, args }),
        }
    }

    /// The same, packed by its writer.
    fn prepared(&self, key: &[KeyPart], priority: i32, result: u32) -> Option<Prepared> {
        let program = self.engine.program();
        let action = program.table_action(self.table, "found")?;
        let number = |value: &Value| value.as_u128();
        let mut entry = Prepared::new(program, self.table, priority)?;
        for (field, part) in key.iter().enumerate() {
            let matches = match part {
                KeyPart::Exact(value) | KeyPart::Optional(Some(value)) => {
                    Matches::Equal(number(value)?)
                }
                KeyPart::Lpm { value, prefix_len } => Matches::Prefix {
                    value: number(value)?,
                    len: usize::from(*prefix_len),
                },
                KeyPart::Ternary { value, mask } => Matches::Masked {
                    value: number(value)?,
                    mask: number(mask)?,
                },
                KeyPart::Range { low, high } => Matches::Between {
                    low: number(low)?,
                    high: number(high)?,
                },
                KeyPart::Optional(None) => continue,
            };
            entry.with(program, field, matches)?;
        }
        let args = [u128::from(result)];
        entry.does(program, action, args.into_iter())?;
        Some(entry)
    }

    fn prioritized(&self) -> bool {
        self.shape
            .0
            .iter()
            .any(|(_, kind)| !matches!(*kind, "exact" | "lpm"))
    }

    fn look_up(&mut self, key: &[Value]) -> u32 {
        let mut packet: Vec<u8> = Vec::new();
        for (value, (bits, _)) in key.iter().zip(self.shape.0) {
            packet.extend(value.to_be_bytes(*bits));
        }
        packet.extend([0; 4]);
        let mut out = Outputs::new();
        self.engine.process(0, &packet, 0, &mut out);
        let frame = &out.frames()[0].bytes;
        u32::from_be_bytes(frame[frame.len() - 4..].try_into().unwrap())
    }
}

fn matches(part: &KeyPart, bits: usize, value: &Value) -> bool {
    match part {
        KeyPart::Exact(own) => own == value,
        KeyPart::Lpm {
            value: own,
            prefix_len,
        } => value.and(&Value::prefix_mask(bits, usize::from(*prefix_len))) == *own,
        KeyPart::Ternary { value: own, mask } => value.and(mask) == *own,
        KeyPart::Range { low, high } => low <= value && value <= high,
        KeyPart::Optional(own) => own.as_ref().is_none_or(|own| own == value),
    }
}

fn prefix_len(line: &Line) -> u16 {
    let lens = line.key.iter().map(|part| match part {
        KeyPart::Lpm { prefix_len, .. } => *prefix_len,
        _ => 0,
    });
    lens.max().unwrap_or(0)
}

/// What a linear scan says: the best priority and the oldest of those, or the longest prefix.
fn scan(lines: &[Line], shape: Shape, prioritized: bool, key: &[Value]) -> u32 {
    let hits = lines.iter().filter(|line| {
        line.key
            .iter()
            .zip(shape.0)
            .zip(key)
            .all(|((part, (bits, _)), value)| matches(part, *bits, value))
    });
    let best = if prioritized {
        hits.max_by_key(|line| (line.priority, std::cmp::Reverse(line.age)))
    } else {
        hits.max_by_key(|line| prefix_len(line))
    };
    best.map_or(u32::MAX, |line| line.result)
}

/// A step: what to do, three random numbers for each field, a priority, and which line to hit.
type Step = (u8, Vec<(u64, u64, u64)>, i32, usize);

fn steps() -> impl Strategy<Value = (usize, Vec<Step>)> {
    let step = (
        0u8..10,
        prop::collection::vec(any::<(u64, u64, u64)>(), 3),
        1i32..5,
        any::<usize>(),
    );
    (0..SHAPES.len(), prop::collection::vec(step, 1..120))
}

/// A value that other values are near.
fn small_value(bits: usize, random: u64) -> Value {
    // High bits and low bits come from few numbers, so that prefixes and masks overlap.
    let high = Value::from(random >> 8 & 3).to_be_bytes(bits);
    let mut bytes = Value::from(random & 7).to_be_bytes(bits);
    if bits > 8 {
        let top = (bits - 1) % 8;
        bytes[0] |= high[high.len() - 1] << top.saturating_sub(1) & (0xff >> (7 - top));
    }
    Value::from_be_bytes(&bytes).and(&Value::ones(bits))
}

fn part(bits: usize, kind: &str, (a, b, c): (u64, u64, u64)) -> KeyPart {
    let value = small_value(bits, a);
    match kind {
        "exact" => KeyPart::Exact(value),
        "lpm" => {
            let lens = [0, 1, bits / 2, bits.saturating_sub(1), bits];
            let prefix_len = lens[usize::try_from(b % 5).unwrap()];
            let value = value.and(&Value::prefix_mask(bits, prefix_len));
            KeyPart::Lpm {
                value,
                prefix_len: u16::try_from(prefix_len).unwrap(),
            }
        }
        "ternary" => {
            let mask = match b % 12 {
                0 => Value::zero(),
                1 => Value::ones(bits),
                2 => Value::from(3u64),
                // Lengths that share a group.
                length => {
                    let longer = usize::try_from(length).unwrap();
                    Value::prefix_mask(bits, (bits / 3 + longer).min(bits))
                }
            };
            KeyPart::Ternary {
                value: value.and(&mask),
                mask,
            }
        }
        "range" => {
            let (x, y) = (value, small_value(bits, c));
            KeyPart::Range {
                low: x.clone().min(y.clone()),
                high: x.max(y),
            }
        }
        _ => KeyPart::Optional((b % 3 != 0).then_some(value)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn lookups_equal_a_linear_scan((shape, steps) in steps()) {
        let shape = SHAPES[shape];
        let mut bench = Bench::new(shape);
        let prioritized = bench.prioritized();
        let mut lines: Vec<Line> = Vec::new();
        for (at, (what, numbers, priority, pick)) in steps.into_iter().enumerate() {
            let priority = if prioritized { priority } else { 0 };
            let parts: Vec<KeyPart> =
                shape.0.iter().zip(&numbers).map(|((bits, kind), n)| part(*bits, kind, *n)).collect();
            let result = u32::try_from(at).unwrap();
            match what {
                0..5 => {
                    let known = lines.iter().any(|line| line.key == parts && line.priority == priority);
                    let outcome = if pick % 2 == 0 {
                        let entry = bench.prepared(&parts, priority, result).unwrap();
                        prop_assert_eq!(&entry.key(bench.engine.program()), &parts);
                        let known = known.then_some(()).and_then(|()| lines.iter().find(
                            |line| line.key == parts && line.priority == priority));
                        let found = bench.engine.find_prepared(&entry).unwrap();
                        prop_assert_eq!(found, known.map(|line| line.handle));
                        bench.engine.insert_prepared(entry)
                    } else {
                        let entry = bench.entry(parts.clone(), priority, result);
                        bench.engine.insert(bench.table, entry)
                    };
                    match outcome {
                        Ok(handle) => {
                            prop_assert!(!known && lines.len() < 64);
                            lines.push(Line { key: parts, priority, result, handle, age: at });
                        }
                        Err(ControlError::Exists { .. }) => prop_assert!(known),
                        Err(ControlError::Full { .. }) => prop_assert_eq!(lines.len(), 64),
                        Err(other) => return Err(TestCaseError::fail(other.to_string())),
                    }
                }
                5 | 6 if !lines.is_empty() => {
                    let line = lines.remove(pick % lines.len());
                    bench.engine.delete(bench.table, line.handle).unwrap();
                    prop_assert!(bench.engine.entry(bench.table, line.handle).is_none());
                    prop_assert!(bench.engine.delete(bench.table, line.handle).is_err());
                }
                7 if !lines.is_empty() => {
                    let chosen = pick % lines.len();
                    let line = &mut lines[chosen];
                    line.result = result;
                    if pick % 2 == 0 {
                        let entry = bench.prepared(&line.key, line.priority, result).unwrap();
                        bench.engine.modify_prepared(line.handle, &entry).unwrap();
                    } else {
                        let action = bench.entry(Vec::new(), 0, result).action;
                        bench.engine.modify(bench.table, line.handle, action).unwrap();
                    }
                }
                _ => {}
            }
            for (offset, random) in [1u64, 0x101, 0x302].into_iter().enumerate() {
                let key: Vec<Value> = shape.0
                    .iter()
                    .zip(&numbers)
                    .map(|((bits, _), (a, b, _))| {
                        small_value(*bits, if offset == 0 { *a } else { b.wrapping_mul(random) })
                    })
                    .collect();
                prop_assert_eq!(bench.look_up(&key), scan(&lines, shape, prioritized, &key));
            }
        }
        // What was written is what is read.
        prop_assert_eq!(bench.engine.entry_count(bench.table), lines.len());
        for line in &lines {
            let entry = bench.engine.entry(bench.table, line.handle).unwrap();
            let same = bench.entry(line.key.clone(), line.priority, line.result);
            // Optional and ternary fields read back as the kind that the program declares.
            prop_assert_eq!(entry, same);
            let found = bench.engine.find(bench.table, &line.key, line.priority).unwrap();
            prop_assert_eq!(found, Some(line.handle));
        }
        prop_assert_eq!(bench.engine.entries(bench.table).count(), lines.len());
    }
}

#[test]
fn wrong_entries_are_refused_and_change_nothing() {
    let mut bench = Bench::new(SHAPES[2]);
    let table = bench.table;
    let exact = |value: u64| KeyPart::Exact(Value::from(value));
    let lpm = |value: u64, prefix_len| KeyPart::Lpm {
        value: Value::from(value),
        prefix_len,
    };
    let mut refuse = |key: Vec<KeyPart>, priority| {
        let entry = bench.entry(key, priority, 1);
        bench.engine.insert(table, entry).unwrap_err().to_string()
    };
    assert_eq!(
        refuse(vec![exact(1)], 0),
        "Table t has 2 key fields, the entry has 1"
    );
    assert_eq!(
        refuse(vec![exact(256), lpm(0, 0)], 0),
        "Field k0 has 9 bits, it takes 8"
    );
    assert_eq!(
        refuse(vec![exact(1), lpm(1, 8)], 0),
        "Field k1: bits below the prefix are set"
    );
    assert_eq!(
        refuse(vec![exact(1), lpm(0, 33)], 0),
        "Field k1: the prefix is longer than the field"
    );
    assert_eq!(
        refuse(vec![exact(1), exact(1)], 0),
        "Field k1: it matches as Lpm"
    );
    assert_eq!(
        refuse(vec![exact(1), lpm(0, 0)], 5),
        "Table t takes no priority"
    );
    let mut wide = bench.entry(vec![exact(1), lpm(0, 0)], 0, 1);
    if let EntryAction::Call(call) = &mut wide.action {
        call.args = vec![Value::from(1u64 << 32)];
    }
    let refused = bench.engine.insert(table, wide).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Parameter result of found has 33 bits, it takes 32"
    );
    assert_eq!(bench.engine.entry_count(table), 0);
}

/// Prefixes of many lengths that agree in their whole bytes are chained, as many as a chain may have;
/// the others go to groups of their own and come back.
#[test]
fn similar_masks_by_the_dozen_are_told_apart() {
    let mut bench = Bench::new(SHAPES[6]);
    let mut lines: Vec<Line> = Vec::new();
    let key = |length: usize, low: u64| {
        let mask = Value::prefix_mask(70, length);
        let value = Value::from(u128::from(low) << 40).and(&mask);
        let ternary = KeyPart::Ternary { value, mask };
        let range = KeyPart::Range {
            low: Value::zero(),
            high: Value::from(100u64),
        };
        vec![ternary, range, KeyPart::Optional(None)]
    };
    for round in 0..3u32 {
        for at in 0..60u32 {
            let (length, low) = (15 + at as usize % 30, u64::from(at / 30) * 0x5555_5555);
            let priority = i32::try_from(at * 7 % 13 + 1).unwrap();
            let parts = key(length, low);
            let entry = bench.entry(parts.clone(), priority, at + 100 * round);
            let handle = bench.engine.insert(bench.table, entry).unwrap();
            lines.push(Line {
                key: parts,
                priority,
                result: at + 100 * round,
                handle,
                age: lines.len(),
            });
        }
        for low in [0_u32, 0x5555_5555, 0x5555_5554, 0x5545_5555, 0x1555_5555, 7] {
            let values = [
                Value::from(u128::from(low) << 40),
                Value::from(5u64),
                Value::zero(),
            ];
            let want = scan(&lines, bench.shape, true, &values);
            assert_eq!(bench.look_up(&values), want, "{low:x}");
        }
        while lines.len() > round as usize {
            let line = lines.remove(lines.len() * 3 / 7);
            bench.engine.delete(bench.table, line.handle).unwrap();
        }
        for line in lines.drain(..) {
            bench.engine.delete(bench.table, line.handle).unwrap();
        }
    }
}

#[test]
fn a_handle_does_not_outlive_its_entry() {
    let mut bench = Bench::new(SHAPES[0]);
    let key = || vec![KeyPart::Exact(Value::from(3u64))];
    let entry = bench.entry(key(), 0, 1);
    let first = bench.engine.insert(bench.table, entry.clone()).unwrap();
    bench.engine.delete(bench.table, first).unwrap();
    let second = bench.engine.insert(bench.table, entry).unwrap();
    assert_ne!(first, second);
    assert!(bench.engine.entry(bench.table, first).is_none());
    assert_eq!(
        bench.engine.find(bench.table, &key(), 0).unwrap(),
        Some(second)
    );
}
