//! Externs and control operations that scripts have no words for.

#![expect(clippy::unwrap_used, reason = "test set-up may stop")]

use std::sync::Arc;

use p4_engine::{
    ActionCall, CloneSession, ControlError, DropReason, Engine, EngineConfig, Entry, EntryAction,
    KeyPart, LoadError, MeterConfig, Outputs, Packet, ProfileGroup, Program, Trace, TraceEvent,
    Value, WeightedMember,
};
use serde_json::json;

const EXTERNS: &str = include_str!("programs/externs/externs.json");

fn engine() -> Engine {
    Engine::new(
        Arc::new(Program::load(EXTERNS).unwrap()),
        EngineConfig::default(),
    )
}

fn packet(op: u8, value: u8, flow: u16) -> Vec<u8> {
    let [high, low] = flow.to_be_bytes();
    vec![op, value, 0, 0, high, low]
}

/// Sends at a time and returns the result field of what comes out at port 1.
fn result_at(engine: &mut Engine, now_us: u64, packet: &[u8]) -> Option<u16> {
    let mut out = Outputs::new();
    engine.process(0, packet, now_us, &mut out);
    let frame = out.frames().iter().find(|frame| frame.port == 1)?;
    Some(u16::from_be_bytes([frame.bytes[2], frame.bytes[3]]))
}

fn result(engine: &mut Engine, packet: &[u8]) -> Option<u16> {
    result_at(engine, 0, packet)
}

fn traced(engine: &mut Engine, packet: &[u8]) -> Trace {
    let mut trace = Trace::default();
    engine.process_traced(0, packet, 0, &mut Outputs::new(), &mut trace);
    trace
}

fn set(engine: &Engine, table: &str, result: u64) -> ActionCall {
    let program = engine.program();
    let table = program.table(table).unwrap();
    let action = program.table_action(table, "In.set").unwrap();
    ActionCall {
        action,
        args: vec![Value::from(result)],
    }
}

fn exact(value: u64) -> Vec<KeyPart> {
    vec![KeyPart::Exact(Value::from(value))]
}

fn insert(
    engine: &mut Engine,
    table: &str,
    value: u64,
    action: EntryAction,
) -> Result<p4_engine::EntryHandle, ControlError> {
    let table = engine.program().table(table).unwrap();
    engine.insert(
        table,
        Entry {
            key: exact(value),
            priority: 0,
            action,
        },
    )
}

#[test]
fn a_digest_carries_the_fields_of_its_list() {
    let mut engine = engine();
    let mut out = Outputs::new();
    engine.process(0, &packet(1, 0, 0x1234), 0, &mut out);
    let [digest] = out.digests() else {
        panic!("one digest, not {:?}", out.digests())
    };
    let info = &engine.program().digests()[digest.digest.position()];
    assert_eq!(
        info.fields
            .iter()
            .map(|field| field.bits)
            .collect::<Vec<_>>(),
        [8, 16]
    );
    assert_eq!(digest.fields, [Value::from(1u64), Value::from(0x1234u64)]);
    assert_eq!(out.frames().len(), 1);
}

#[test]
fn random_numbers_keep_their_bounds_and_follow_the_seed() {
    let draw = |seed| {
        let config = EngineConfig {
            seed,
            ..EngineConfig::default()
        };
        let mut engine = Engine::new(Arc::new(Program::load(EXTERNS).unwrap()), config);
        (0..200)
            .map(|_| result(&mut engine, &packet(2, 0, 0)).unwrap())
            .collect::<Vec<_>>()
    };
    let numbers = draw(1);
    assert!(numbers.iter().all(|number| (10..=20).contains(number)));
    for bound in [10, 15, 20] {
        assert!(numbers.contains(&bound), "{bound} never came");
    }
    assert_eq!(numbers, draw(1));
    assert_ne!(numbers, draw(2));
}

#[test]
fn messages_and_assertions_are_in_the_trace() {
    let mut engine = engine();
    let log = traced(&mut engine, &packet(3, 0, 258));
    assert!(log.events.contains(&TraceEvent::Log {
        text: "flow 258 of op 3".to_owned()
    }));
    assert_eq!(log.drop_reason(), None);
    assert!(result(&mut engine, &packet(4, 6, 0)).is_some());
    assert!(result(&mut engine, &packet(4, 7, 0)).is_none());
    let failed = traced(&mut engine, &packet(4, 7, 0));
    assert_eq!(failed.drop_reason(), Some(DropReason::Assertion));
    assert!(
        failed.to_string().contains("assert(hdr.h.value != 7)"),
        "{failed}"
    );
}

#[test]
fn packets_that_go_round_for_ever_or_nowhere_are_dropped() {
    let mut engine = engine();
    let round = traced(&mut engine, &packet(11, 0, 0));
    assert_eq!(round.drop_reason(), Some(DropReason::PassLimit));
    let nowhere = traced(&mut engine, &packet(12, 0, 0));
    assert_eq!(nowhere.drop_reason(), Some(DropReason::NoReplica));
    // The engine is as good as before.
    assert_eq!(result(&mut engine, &packet(10, 1, 0)), Some(11));
}

#[test]
fn an_indirect_meter_colours_by_packets() {
    let mut engine = engine();
    let meter = engine.program().meter("In.limits").unwrap();
    let config = MeterConfig {
        committed_rate: 1,
        committed_burst: 1,
        peak_rate: 1,
        peak_burst: 2,
    };
    engine.set_meter(meter, 3, Some(config)).unwrap();
    assert_eq!(engine.meter(meter, 3), Some(config));
    let colours: Vec<_> = (0..4)
        .map(|_| result_at(&mut engine, 0, &packet(5, 3, 0)).unwrap())
        .collect();
    assert_eq!(colours, [0, 1, 2, 2]);
    // The other cells have no limit; two seconds later there is room again.
    assert_eq!(result_at(&mut engine, 0, &packet(5, 2, 0)), Some(0));
    assert_eq!(result_at(&mut engine, 2_000_000, &packet(5, 3, 0)), Some(0));
    let wrong = MeterConfig {
        committed_rate: 2,
        ..config
    };
    assert!(engine.set_meter(meter, 3, Some(wrong)).is_err());
    assert!(matches!(
        engine.set_meter(meter, 4, None),
        Err(ControlError::NotFound { .. })
    ));
}

#[test]
fn a_direct_meter_colours_by_bytes_of_its_entry() {
    let mut engine = engine();
    let table = engine.program().table("In.limited").unwrap();
    let action = engine.program().table_action(table, "In.metered").unwrap();
    let call = || {
        EntryAction::Call(ActionCall {
            action,
            args: Vec::new(),
        })
    };
    let first = insert(&mut engine, "In.limited", 1, call()).unwrap();
    insert(&mut engine, "In.limited", 2, call()).unwrap();
    let config = MeterConfig {
        committed_rate: 1,
        committed_burst: 6,
        peak_rate: 1,
        peak_burst: 12,
    };
    engine.set_entry_meter(table, first, Some(config)).unwrap();
    let colours: Vec<_> = (0..3)
        .map(|_| result(&mut engine, &packet(8, 1, 0)).unwrap())
        .collect();
    assert_eq!(colours, [0, 1, 2]);
    assert_eq!(result(&mut engine, &packet(8, 2, 0)), Some(0));
}

#[test]
fn the_default_action_has_a_meter_of_its_own() {
    let mut engine = engine();
    let table = engine.program().table("In.limited").unwrap();
    let action = engine.program().table_action(table, "In.metered").unwrap();
    let args = Vec::new();
    engine
        .set_default(table, ActionCall { action, args })
        .unwrap();
    let config = MeterConfig {
        committed_rate: 1,
        committed_burst: 6,
        peak_rate: 1,
        peak_burst: 12,
    };
    engine.set_default_meter(table, Some(config)).unwrap();
    assert_eq!(engine.default_meter(table), Some(config));
    let colours: Vec<_> = (0..3)
        .map(|_| result(&mut engine, &packet(8, 1, 0)).unwrap())
        .collect();
    assert_eq!(colours, [0, 1, 2]);
    let other = engine.program().table("In.started").unwrap();
    assert!(engine.set_default_meter(other, Some(config)).is_err());
}

#[test]
fn a_selector_spreads_flows_by_weight_and_keeps_each_flow() {
    let mut engine = engine();
    let profile = engine.program().profile("In.choose").unwrap();
    for member in 1..=3u32 {
        let call = set(&engine, "In.chosen", u64::from(member) * 100);
        engine.set_member(profile, member, call).unwrap();
    }
    // Three in all: the low bits of this CRC alone say little of a flow.
    let weights = [(1, 1), (2, 2)].map(|(member, weight)| WeightedMember { member, weight });
    engine
        .set_group(
            profile,
            7,
            ProfileGroup {
                members: weights.to_vec(),
            },
        )
        .unwrap();
    insert(&mut engine, "In.chosen", 1, EntryAction::Group(7)).unwrap();
    insert(&mut engine, "In.chosen", 2, EntryAction::Member(3)).unwrap();
    let mut counts = [0; 2];
    for flow in 0..1000 {
        let first = result(&mut engine, &packet(6, 1, flow)).unwrap();
        assert_eq!(result(&mut engine, &packet(6, 1, flow)), Some(first));
        counts[usize::from(first / 100 - 1)] += 1;
    }
    assert!((300..370).contains(&counts[0]), "{counts:?}");
    assert_eq!(result(&mut engine, &packet(6, 2, 5)), Some(300));
    // What is in use stays; an unused group goes, then its members.
    assert!(matches!(
        engine.remove_member(profile, 1),
        Err(ControlError::InUse { .. })
    ));
    assert!(matches!(
        engine.remove_group(profile, 7),
        Err(ControlError::InUse { .. })
    ));
    let table = engine.program().table("In.chosen").unwrap();
    let handle = engine.find(table, &exact(1), 0).unwrap().unwrap();
    engine.delete(table, handle).unwrap();
    engine.remove_group(profile, 7).unwrap();
    engine.remove_member(profile, 1).unwrap();
    assert_eq!(
        engine
            .members(profile)
            .map(|(id, _)| id)
            .collect::<Vec<_>>(),
        [2, 3]
    );
}

#[test]
fn a_disabled_member_gets_no_flows_until_it_is_enabled() {
    let mut engine = engine();
    let profile = engine.program().profile("In.choose").unwrap();
    for member in 1..=2u32 {
        let call = set(&engine, "In.chosen", u64::from(member) * 100);
        engine.set_member(profile, member, call).unwrap();
    }
    let members = [1, 2].map(|member| WeightedMember { member, weight: 1 });
    let group = ProfileGroup {
        members: members.to_vec(),
    };
    engine.set_group(profile, 7, group.clone()).unwrap();
    insert(&mut engine, "In.chosen", 1, EntryAction::Group(7)).unwrap();
    let seen = |engine: &mut Engine| {
        let results = (0..64).map(|flow| result(engine, &packet(6, 1, flow)));
        results.collect::<std::collections::BTreeSet<_>>()
    };
    let all: std::collections::BTreeSet<_> = [Some(100), Some(200)].into();
    assert_eq!(seen(&mut engine), all);
    engine.set_member_enabled(profile, 7, 1, false).unwrap();
    assert!(!engine.member_enabled(profile, 7, 1));
    assert_eq!(seen(&mut engine), [Some(200)].into());
    // Writing the group anew does not bring the port up again.
    engine.set_group(profile, 7, group.clone()).unwrap();
    assert_eq!(seen(&mut engine), [Some(200)].into());
    assert_eq!(engine.group(profile, 7), Some(&group));
    // It is still a member of the group.
    assert!(engine.remove_member(profile, 1).is_err());
    engine.set_member_enabled(profile, 7, 1, true).unwrap();
    assert_eq!(seen(&mut engine), all);
    let missing = engine.set_member_enabled(profile, 7, 3, true);
    assert!(matches!(missing, Err(ControlError::NotFound { .. })));
}

#[test]
fn an_entry_knows_when_it_was_last_hit() {
    let text = EXTERNS.replace("\"support_timeout\" : false", "\"support_timeout\" : true");
    let mut program = Program::load(&text).unwrap();
    let table = program.table("In.started").unwrap();
    program.declare_table(table, 8, false);
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    let call = |engine: &Engine| EntryAction::Call(set(engine, "In.started", 5));
    let action = call(&engine);
    insert(&mut engine, "In.started", 6, action.clone()).unwrap();
    insert(&mut engine, "In.started", 7, action).unwrap();
    let find = |engine: &Engine, key| engine.find(table, &exact(key), 0).unwrap().unwrap();
    let (one, two) = (find(&engine, 6), find(&engine, 7));
    assert_eq!(engine.entry_last_hit(table, one), Some(0));
    engine.touch_entry(table, one, 50).unwrap();
    assert_eq!(engine.entry_last_hit(table, one), Some(50));
    result_at(&mut engine, 700, &packet(10, 6, 0));
    assert_eq!(engine.entry_last_hit(table, one), Some(700));
    assert_eq!(engine.entry_last_hit(table, two), Some(0));
    // In a batch as well.
    let packet = packet(10, 7, 0);
    let batch = [Packet {
        port: 0,
        bytes: &packet,
    }; 40];
    engine.process_batch(&batch, 900, &mut Outputs::new());
    assert_eq!(engine.entry_last_hit(table, two), Some(900));
    // The next entry in its place starts anew.
    engine.delete(table, two).unwrap();
    assert_eq!(engine.entry_last_hit(table, two), None);
    let action = call(&engine);
    insert(&mut engine, "In.started", 8, action).unwrap();
    let three = find(&engine, 8);
    assert_eq!(engine.entry_last_hit(table, three), Some(0));
}

#[test]
fn a_profile_takes_members_only_and_is_bounded() {
    let mut engine = engine();
    let profile = engine.program().profile("In.members").unwrap();
    let call = set(&engine, "In.listed", 1);
    for member in 0..4 {
        engine.set_member(profile, member, call.clone()).unwrap();
    }
    let full = engine.set_member(profile, 9, call.clone()).unwrap_err();
    assert_eq!(full.to_string(), "Profile In.members is full at 4");
    assert!(insert(&mut engine, "In.listed", 1, EntryAction::Call(call)).is_err());
    assert!(insert(&mut engine, "In.listed", 1, EntryAction::Member(9)).is_err());
    assert!(insert(&mut engine, "In.listed", 1, EntryAction::Group(1)).is_err());
    insert(&mut engine, "In.listed", 1, EntryAction::Member(2)).unwrap();
    // A changed member changes what its entries do; a missed lookup does nothing.
    let other = set(&engine, "In.listed", 77);
    engine.set_member(profile, 2, other).unwrap();
    assert_eq!(result(&mut engine, &packet(7, 1, 0)), Some(77));
    assert_eq!(result(&mut engine, &packet(7, 5, 0)), Some(0));
}

#[test]
fn a_value_set_steers_the_parser() {
    let mut engine = engine();
    let set = engine.program().value_set("Parse.known_flows").unwrap();
    assert_eq!(result(&mut engine, &packet(9, 0, 0x1234)), Some(0));
    engine
        .set_value_set(set, vec![Value::from(7u64), Value::from(0x1234u64)])
        .unwrap();
    assert_eq!(result(&mut engine, &packet(9, 0, 0x1234)), Some(5));
    assert_eq!(result(&mut engine, &packet(9, 0, 0x1235)), Some(0));
    assert!(
        engine
            .set_value_set(set, vec![Value::from(0x1_0000u64)])
            .is_err()
    );
    assert_eq!(engine.value_set(set).len(), 2);
}

#[test]
fn initial_entries_are_const_until_p4info_says_otherwise() {
    let mut engine = engine();
    assert_eq!(result(&mut engine, &packet(10, 2, 0)), Some(22));
    let action = EntryAction::Call(set(&engine, "In.started", 5));
    let refused = insert(&mut engine, "In.started", 3, action.clone()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Table In.started is const in the program"
    );
    let mut program = Program::load(EXTERNS).unwrap();
    let table = program.table("In.started").unwrap();
    program.declare_table(table, 3, false);
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    insert(&mut engine, "In.started", 3, action.clone()).unwrap();
    assert_eq!(result(&mut engine, &packet(10, 3, 0)), Some(5));
    let full = insert(&mut engine, "In.started", 4, action).unwrap_err();
    assert_eq!(
        full,
        ControlError::Full {
            what: "Table In.started".to_owned(),
            size: 3
        }
    );
    let handle = engine.find(table, &exact(1), 0).unwrap().unwrap();
    engine.delete(table, handle).unwrap();
    assert_eq!(result(&mut engine, &packet(10, 1, 0)), Some(0));
}

#[test]
fn a_trace_names_table_key_entry_action_and_result() {
    let mut engine = engine();
    let trace = traced(&mut engine, &packet(10, 2, 0));
    let text = trace.to_string();
    let line = "table    In.started(hdr.h.value=0x2): hit [hdr.h.value=0x2] -> In.set(result=0x16)";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("state    start"), "{text}");
    assert!(text.contains("sent     port 1, 6 bytes"), "{text}");
    let json = serde_json::to_value(&trace).unwrap();
    let events = json["events"].as_array().unwrap();
    let table = events
        .iter()
        .find(|event| event["event"] == "table")
        .unwrap();
    assert_eq!(table["table"], "In.started");
    assert_eq!(table["hit"], true);
    assert_eq!(table["args"][0]["value"], "0x16");
}

#[test]
fn a_trace_as_json_has_states_keys_actions_and_reasons() {
    let mut engine = engine();
    let events = |trace: &Trace| {
        let json = serde_json::to_value(trace).unwrap();
        json["events"].as_array().unwrap().clone()
    };
    let missed = events(&traced(&mut engine, &packet(10, 9, 0)));
    let kinds: Vec<_> = missed.iter().map(|event| event["event"].clone()).collect();
    assert_eq!(kinds.first(), Some(&json!("ingress")));
    assert_eq!(kinds.last(), Some(&json!("sent")));
    assert!(missed.contains(&json!({"event": "parser_state", "name": "start"})));
    assert!(missed.contains(&json!({"event": "extracted", "header": "h", "offset": 0})));
    let table = missed.iter().find(|event| event["event"] == "table");
    let key = json!([{"name": "hdr.h.value", "value": "0x9"}]);
    assert_eq!(
        table,
        Some(
            &json!({"event": "table", "table": "In.started", "key": key, "hit": false,
            "action": "NoAction", "args": []})
        )
    );
    let nowhere = traced(&mut engine, &packet(12, 0, 0));
    let dropped = events(&nowhere).last().cloned().unwrap();
    assert_eq!(dropped["event"], "dropped");
    assert_eq!(dropped["reason"], "no_replica");
}

#[test]
fn what_the_engine_cannot_do_is_refused_by_name_and_line() {
    let broken = EXTERNS.replacen("\"generate_digest\"", "\"teleport\"", 1);
    let refused = Program::load(&broken).unwrap_err();
    let LoadError::Unsupported {
        construct,
        location,
        ..
    } = &refused
    else {
        panic!("refused for another reason: {refused}");
    };
    assert_eq!(construct, "primitive \"teleport\"");
    let location = location.as_ref().unwrap();
    assert_eq!(location.file, "externs.p4");
    let source = include_str!("programs/externs/externs.p4");
    let line = source
        .lines()
        .position(|line| line.contains("digest<seen_t>"))
        .unwrap()
        + 1;
    assert_eq!(location.line as usize, line);
    let old = Program::load(r#"{"__meta__": {"version": [1, 0]}}"#).unwrap_err();
    assert_eq!(
        old.to_string(),
        "The program has bmv2 JSON version 1.0, the engine reads version 2"
    );
    assert!(matches!(Program::load("{"), Err(LoadError::Json(_))));
    assert!(Program::load("{}").is_err());
}

#[test]
fn a_clone_session_is_set_read_and_removed() {
    let mut engine = engine();
    let session = CloneSession {
        truncate: Some(4),
        ..CloneSession::default()
    };
    engine.set_clone_session(5, session.clone());
    assert_eq!(engine.clone_session(5), Some(&session));
    assert!(engine.remove_clone_session(5));
    assert!(!engine.remove_clone_session(5));
}

/// The server keeps the engine in a thread of its own.
#[test]
fn an_engine_can_move_to_another_thread() {
    fn sendable<T: Send>(_: &T) {}
    sendable(&engine());
}
