//! Schemas, rows and states for properties.

use proptest::prelude::*;
use table_model::{
    ActionId, ActionSchema, FieldSchema, FieldValue, MatchKind, ParamSchema, Rank, Row, Schema,
    TableId, TableSchema, TableSnapshot,
};

/// A value of exactly so many bits at most, extremes included.
pub(crate) fn value(bits: u8) -> impl Strategy<Value = u128> {
    prop_oneof![Just(0), Just(u128::MAX), any::<u128>()]
        .prop_map(move |value| value >> (128 - u32::from(bits)))
}

/// A match field with a value that fits it.
pub(crate) fn field(schema: &FieldSchema) -> BoxedStrategy<FieldValue> {
    let bits = schema.bits;
    match schema.kind {
        MatchKind::Exact => value(bits).prop_map(FieldValue::Exact).boxed(),
        MatchKind::Lpm => (value(bits), 0..=bits)
            .prop_map(move |(value, prefix_len)| {
                let spare = u32::from(bits - prefix_len);
                let kept = value.checked_shr(spare).unwrap_or(0);
                FieldValue::Lpm {
                    value: kept.checked_shl(spare).unwrap_or(0),
                    prefix_len,
                }
            })
            .boxed(),
    }
}

/// A table of random shape.
pub(crate) fn table() -> impl Strategy<Value = TableSchema> {
    let kind = prop_oneof![Just(MatchKind::Exact), Just(MatchKind::Lpm)];
    let fields = proptest::collection::vec((1_u8..=128, kind), 0..4);
    let params = proptest::collection::vec(1_u8..=128, 0..4);
    (fields, params).prop_map(|(fields, params)| TableSchema {
        id: TableId(1),
        name: "table".to_owned(),
        size: 10,
        rank: Rank::Body,
        fields: (1..)
            .zip(fields)
            .map(|(id, (bits, kind))| FieldSchema {
                id,
                name: format!("field{id}"),
                bits,
                kind,
            })
            .collect(),
        actions: vec![ActionSchema {
            id: ActionId(1),
            name: "action".to_owned(),
            params: (1..)
                .zip(params)
                .map(|(id, bits)| ParamSchema {
                    id,
                    name: format!("param{id}"),
                    bits,
                })
                .collect(),
        }],
        counted: false,
    })
}

/// One table of each rank: pointers name labels, labels name bodies, by their parameter.
pub(crate) fn ranked() -> Schema {
    let table = |id, name: &str, rank| TableSchema {
        id: TableId(id),
        name: name.to_owned(),
        size: 100,
        rank,
        fields: vec![FieldSchema {
            id: 1,
            name: "key".to_owned(),
            bits: 16,
            kind: MatchKind::Exact,
        }],
        actions: vec![ActionSchema {
            id: ActionId(id),
            name: "to".to_owned(),
            params: vec![ParamSchema {
                id: 1,
                name: "to".to_owned(),
                bits: 16,
            }],
        }],
        counted: false,
    };
    Schema {
        fingerprint: 1,
        // Ids against the ranks on purpose: the order comes from the rank.
        tables: vec![
            table(1, "pointer", Rank::Pointer),
            table(2, "label", Rank::Label),
            table(3, "body", Rank::Body),
        ],
    }
}

pub(crate) const POINTER: TableId = TableId(1);
pub(crate) const LABEL: TableId = TableId(2);
pub(crate) const BODY: TableId = TableId(3);

/// A row of [`ranked`].
pub(crate) fn row(table: TableId, key: u16, to: u16) -> Row {
    let schema = ranked();
    let table = schema.table(table).unwrap();
    Row {
        key: table.key(&[FieldValue::Exact(key.into())]).unwrap(),
        action: table.actions[0].call(&[to.into()]).unwrap(),
    }
}

/// A state of [`ranked`] in which whatever is named is there.
pub(crate) fn closed_state() -> impl Strategy<Value = TableSnapshot> {
    let index = any::<prop::sample::Index>;
    let bodies = proptest::collection::btree_map(0_u16..9, 0_u16..3, 1..9);
    let labels = proptest::collection::btree_map(0_u16..9, index(), 1..9);
    let pointers = proptest::collection::btree_map(0_u16..9, index(), 0..9);
    (bodies, labels, pointers).prop_map(|(bodies, labels, pointers)| {
        let body_keys: Vec<u16> = bodies.keys().copied().collect();
        let label_keys: Vec<u16> = labels.keys().copied().collect();
        let bodies = bodies.iter().map(|(&key, &to)| row(BODY, key, to));
        let labels = labels
            .iter()
            .map(|(&key, at)| row(LABEL, key, *at.get(&body_keys)));
        let pointers = pointers
            .iter()
            .map(|(&key, at)| row(POINTER, key, *at.get(&label_keys)));
        bodies.chain(labels).chain(pointers).collect()
    })
}
