//! Broken programs: whatever is done to the JSON, loading it gives a program or an error, never a
//! panic, and a program that loads takes packets without one.

#![expect(clippy::unwrap_used, reason = "test set-up may stop")]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use p4_engine::{Engine, EngineConfig, Outputs, Program, Trace};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

static SOURCES: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let dirs = ["cases", "programs"].map(|dir| std::fs::read_dir(root.join(dir)).unwrap());
    let mut paths: Vec<_> = dirs
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|dir| dir.join(dir.file_name().unwrap()).with_extension("json"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        .collect()
});

/// Every place in a document, as the way to it.
fn places(json: &Json, way: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    out.push(way.clone());
    let children: Vec<(String, &Json)> = match json {
        Json::Array(list) => list
            .iter()
            .enumerate()
            .map(|(at, child)| (at.to_string(), child))
            .collect(),
        Json::Object(map) => map
            .iter()
            .map(|(key, child)| (key.clone(), child))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        if key == "source_info" {
            continue;
        }
        way.push(key);
        places(child, way, out);
        way.pop();
    }
}

fn step<'a>(json: &'a mut Json, key: &str) -> Option<&'a mut Json> {
    match json {
        Json::Array(list) => list.get_mut(key.parse::<usize>().ok()?),
        Json::Object(map) => map.get_mut(key),
        _ => None,
    }
}

/// Changes one place: takes it out, puts another value there, or one from elsewhere.
fn mutate(json: &mut Json, kind: u8, at: usize, from: usize) {
    let mut all = Vec::new();
    places(json, &mut Vec::new(), &mut all);
    let way = &all[at % all.len()];
    let source = &all[from % all.len()];
    let pointer = |way: &[String]| {
        way.iter()
            .map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1")))
            .collect()
    };
    let copied: String = pointer(source);
    let copied = json.pointer(&copied).cloned().unwrap_or(Json::Null);
    let Some((last, parents)) = way.split_last() else {
        return;
    };
    let mut parent = json;
    for key in parents {
        match step(parent, key) {
            Some(child) => parent = child,
            None => return,
        }
    }
    if kind == 0 {
        match parent {
            Json::Array(list) => drop(list.remove(last.parse().unwrap())),
            Json::Object(map) => drop(map.remove(last)),
            _ => {}
        }
        return;
    }
    let Some(place) = step(parent, last) else {
        return;
    };
    *place = match kind {
        1 => Json::Null,
        2 => copied,
        3 => json!(0),
        4 => json!(-1),
        5 => json!(65_535),
        6 => json!(9_223_372_036_854_775_807i64),
        7 => json!("0xffffffffffffffffffffffffffffffffff"),
        8 => json!(""),
        9 => json!([]),
        10 => json!({"op": "<<", "left": {"type": "hexstr", "value": "0x1"},
            "right": {"type": "field", "value": ["h", "op"]}}),
        _ => json!("-0x1"),
    };
}

/// State that a test should not ask memory for.
fn too_large(program: &Program) -> bool {
    let cells = program
        .registers()
        .iter()
        .map(|one| one.size * one.bits.div_ceil(64));
    let cells = cells.chain(program.counters().iter().map(|one| one.size * 2));
    cells
        .chain(program.meters().iter().map(|one| one.size * 8))
        .sum::<usize>()
        > 1 << 20
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_broken_program_never_panics(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0u8..12, any::<usize>(), any::<usize>()), 1..4),
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..6),
    ) {
        let mut json = SOURCES[which.index(SOURCES.len())].clone();
        for (kind, at, from) in changes {
            mutate(&mut json, kind, at, from);
        }
        if let Ok(program) = Program::load(&json.to_string())
            && !too_large(&program) {
                let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
                let mut out = Outputs::new();
                for packet in packets {
                    engine.process(1, &packet, 7, &mut out);
                    engine.process_traced(1, &packet, 7, &mut out, &mut Trace::default());
                }
            }
    }

    #[test]
    fn a_cut_document_is_an_error(at in 0usize..4000) {
        let text = SOURCES[0].to_string();
        prop_assert!(Program::load(&text[..at.min(text.len() - 1)]).is_err());
    }

    #[test]
    fn any_packet_goes_through_any_case(
        packets in prop::collection::vec((0u16..12, prop::collection::vec(any::<u8>(), 0..60)), 1..20),
    ) {
        for source in SOURCES.iter() {
            let program = Arc::new(Program::load(&source.to_string()).unwrap());
            let mut engine = Engine::new(Arc::clone(&program), EngineConfig::default());
            let mut other = Engine::new(program, EngineConfig::default());
            let (mut out, mut traced) = (Outputs::new(), Outputs::new());
            for (op, packet) in &packets {
                let mut packet = packet.clone();
                if let Some(first) = packet.first_mut() {
                    // Operations of the cases are small numbers.
                    *first = u8::try_from(*op).unwrap();
                }
                out.clear();
                traced.clear();
                engine.process(1, &packet, 7, &mut out);
                let mut trace = Trace::default();
                other.process_traced(1, &packet, 7, &mut traced, &mut trace);
                prop_assert_eq!(out.frames(), traced.frames());
                prop_assert!(!trace.events.is_empty());
            }
        }
    }
}
