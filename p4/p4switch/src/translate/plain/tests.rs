//! The short way says the same as the long one, or nothing.

use std::sync::Arc;

use p4_engine::{Entry, EntryAction};
use p4runtime_proto::p4::config::v1::P4Info;
use p4runtime_proto::p4::v1::{
    Action, Entity, FieldMatch, TableAction, TableEntry, Update, action::Param,
    entity::Entity as Kind, field_match, table_action,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use prost::{Message as _, bytes::Bytes};

use super::plain;
use crate::{
    operation::{Key, Operation, Way},
    pipeline::Pipeline,
    translate::{Ports, update},
};

const PROGRAMS: [(&str, &[u8]); 3] = [
    (
        include_str!("../../../tests/programs/switch.json"),
        include_bytes!("../../../tests/programs/switch.p4info.bin"),
    ),
    (
        include_str!("../../../tests/programs/entities.json"),
        include_bytes!("../../../tests/programs/entities.p4info.bin"),
    ),
    (
        include_str!("../../../tests/programs/names.json"),
        include_bytes!("../../../tests/programs/names.p4info.bin"),
    ),
];

fn pipelines() -> Vec<(P4Info, Arc<Pipeline>)> {
    let load = |(json, p4info): &(&str, &[u8])| {
        let p4info = P4Info::decode(*p4info).unwrap();
        let json = Bytes::from((*json).to_owned());
        let pipeline = Pipeline::load(p4info.clone(), json, None).unwrap();
        (p4info, Arc::new(pipeline))
    };
    PROGRAMS.iter().map(load).collect()
}

/// Numbers to make an update of.
type Dice = (u8, u16, Vec<(u8, u64, u8)>, u8, Vec<u64>);

fn dice() -> impl Strategy<Value = Dice> {
    let field = (any::<u8>(), any::<u64>(), any::<u8>());
    (
        any::<u8>(),
        any::<u16>(),
        prop::collection::vec(field, 0..6),
        any::<u8>(),
        prop::collection::vec(any::<u64>(), 0..4),
    )
}

fn bytes(number: u64, length: u8) -> Bytes {
    let all = u128::from(number).to_be_bytes();
    // Short numbers mostly, at times none, padded ones, and too long ones.
    let keep = match length % 16 {
        0 => 0,
        1 => 16,
        2..6 => 1,
        6..10 => 2,
        10..13 => 4,
        _ => 6,
    };
    Bytes::copy_from_slice(&all[16 - keep..])
}

/// An update that has a chance to be right.
fn make(p4info: &P4Info, (what, pick, fields, rare, args): Dice) -> Update {
    let table = &p4info.tables[usize::from(pick) % p4info.tables.len()];
    let mut given = Vec::new();
    for (spec, (kind, number, length)) in table.match_fields.iter().zip(&fields) {
        let value = bytes(*number, *length);
        let own = match spec.r#match {
            Some(p4runtime_proto::p4::config::v1::match_field::Match::MatchType(own)) => own,
            _ => 0,
        };
        let kind = if kind % 16 == 0 {
            i32::from(*kind) / 16
        } else {
            own
        };
        let mask = bytes(number.rotate_left(7) | number, *length);
        use field_match::FieldMatchType as Type;
        let matched = match kind {
            2 => Type::Exact(field_match::Exact { value }),
            3 => Type::Lpm(field_match::Lpm {
                value: bytes(number & !0xff, *length),
                prefix_len: i32::from(length % 33),
            }),
            4 => Type::Ternary(field_match::Ternary { value, mask }),
            5 => Type::Range(field_match::Range {
                low: value,
                high: mask,
            }),
            6 => Type::Optional(field_match::Optional { value }),
            _ => continue,
        };
        given.push(FieldMatch {
            field_id: spec.id + u32::from(rare % 61 == 7),
            field_match_type: Some(matched),
        });
    }
    if rare % 8 == 1 {
        given.reverse();
    }
    if rare % 32 == 2 {
        given.extend(given.first().cloned());
    }
    let refs = &table.action_refs;
    let action = &refs[usize::from(pick / 64) % refs.len()];
    let spec = p4info
        .actions
        .iter()
        .find(|one| one.preamble.as_ref().unwrap().id == action.id);
    let params = spec
        .unwrap()
        .params
        .iter()
        .zip(&args)
        .map(|(param, number)| Param {
            param_id: param.id,
            value: bytes(*number, rare.wrapping_add(param.id.to_le_bytes()[0]) | 2),
        });
    let action = TableAction {
        r#type: Some(table_action::Type::Action(Action {
            action_id: action.id,
            params: params.collect(),
        })),
    };
    let priority = matches!(what % 8, 0..4);
    let entry = TableEntry {
        table_id: table.preamble.as_ref().unwrap().id,
        r#match: given,
        action: (rare % 16 != 3).then_some(action),
        priority: if priority { i32::from(pick) } else { 0 },
        idle_timeout_ns: i64::from(rare % 32 == 4),
        is_const: rare % 32 == 5,
        metadata: if rare % 32 == 6 {
            Bytes::from_static(b"m")
        } else {
            Bytes::new()
        },
        ..TableEntry::default()
    };
    Update {
        r#type: i32::from(what / 8 % 4),
        entity: Some(Entity {
            entity: Some(Kind::TableEntry(entry)),
        }),
    }
}

/// What the short way made, as the long way would have.
fn long_form(pipeline: &Pipeline, plain: &Operation) -> Operation {
    let Operation::Plain { way, entry } = plain else {
        panic!("no plain entry");
    };
    let key = Key {
        parts: entry.key(&pipeline.program),
        priority: entry.priority(),
    };
    let table = entry.table();
    let action = entry.call(&pipeline.program).map(EntryAction::Call);
    match way {
        Way::Insert => Operation::Insert {
            table,
            entry: Entry {
                key: key.parts,
                priority: key.priority,
                action: action.unwrap(),
            },
            beside: None,
        },
        Way::Modify => Operation::Modify {
            table,
            key,
            action,
            beside: None,
        },
        Way::Delete => Operation::Delete { table, key },
    }
}

const PORTS: Ports = Ports {
    cpu: None,
    drop: 511,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_short_way_says_what_the_long_one_says(
        all in prop::collection::vec((dice(), any::<u16>(), any::<u8>()), 200),
    ) {
        let pipelines = pipelines();
        for (dice, at, with) in all {
            let (p4info, pipeline) = &pipelines[usize::from(dice.3 % 3)];
            let mut bytes = make(p4info, dice).encode_to_vec();
            if with % 4 == 0 {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= with;
            }
            let Some(short) = plain(pipeline, &bytes) else {
                continue;
            };
            let decoded = Update::decode(&*bytes);
            prop_assert!(decoded.is_ok(), "{decoded:?}");
            let long = update(pipeline, PORTS, decoded.unwrap());
            prop_assert_eq!(long.as_ref(), Ok(&long_form(pipeline, &short)));
        }
    }
}

#[test]
fn many_updates_go_the_short_way() {
    let mut runner = TestRunner::deterministic();
    let pipelines = pipelines();
    let mut taken = 0;
    for _ in 0..4000 {
        let dice = dice().new_tree(&mut runner).unwrap().current();
        let (p4info, pipeline) = &pipelines[usize::from(dice.3 % 3)];
        let bytes = make(p4info, dice).encode_to_vec();
        taken += usize::from(plain(pipeline, &bytes).is_some());
    }
    assert!(taken > 100, "only {taken} of 4000 were plain");
}
