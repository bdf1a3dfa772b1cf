//! Rows are packed and unpacked without loss, and nothing else unpacks.

use proptest::prelude::*;
use table_model::{FieldSchema, FieldValue, MatchKind, Rank, SchemaError, TableId, TableSchema};

use crate::generate::{field, table, value};

fn one_field(bits: u8, kind: MatchKind) -> TableSchema {
    TableSchema {
        id: TableId(7),
        name: "one".to_owned(),
        size: 1,
        rank: Rank::Body,
        fields: vec![FieldSchema {
            id: 1,
            name: "field".to_owned(),
            bits,
            kind,
        }],
        actions: Vec::new(),
        counted: false,
    }
}

#[test]
fn every_width_has_its_bounds() {
    for bits in 1..=128_u8 {
        let exact = one_field(bits, MatchKind::Exact);
        let most = u128::MAX >> (128 - u32::from(bits));
        for value in [0, 1, most] {
            let key = exact.key(&[FieldValue::Exact(value)]).unwrap();
            assert_eq!(key.bytes.len(), usize::from(bits).div_ceil(8));
            assert_eq!(exact.fields(&key).unwrap(), [FieldValue::Exact(value)]);
        }
        if bits < 128 {
            assert!(matches!(
                exact.key(&[FieldValue::Exact(most + 1)]),
                Err(SchemaError::TooWide { .. })
            ));
        }
        let lpm = one_field(bits, MatchKind::Lpm);
        for prefix_len in 0..=bits {
            let spare = u32::from(bits - prefix_len);
            let value = (most.checked_shr(spare).unwrap_or(0))
                .checked_shl(spare)
                .unwrap_or(0);
            let prefix = FieldValue::Lpm { value, prefix_len };
            let key = lpm.key(&[prefix]).unwrap();
            assert_eq!(lpm.fields(&key).unwrap(), [prefix]);
            if prefix_len < bits {
                let loose = FieldValue::Lpm {
                    value: value | 1,
                    prefix_len,
                };
                assert_eq!(
                    lpm.key(&[loose]),
                    Err(SchemaError::Prefix("field".to_owned()))
                );
            }
        }
        let long = FieldValue::Lpm {
            value: 0,
            prefix_len: bits + 1,
        };
        assert_eq!(
            lpm.key(&[long]),
            Err(SchemaError::Prefix("field".to_owned()))
        );
    }
}

#[test]
fn the_packed_form_is_big_endian_with_the_prefix_behind() {
    let lpm = one_field(32, MatchKind::Lpm);
    let key = lpm
        .key(&[FieldValue::Lpm {
            value: 0x0a41_0000,
            prefix_len: 16,
        }])
        .unwrap();
    assert_eq!(key.bytes.as_slice(), [0x0a, 0x41, 0, 0, 16]);
    let port = one_field(9, MatchKind::Exact);
    let key = port.key(&[FieldValue::Exact(0x1fe)]).unwrap();
    assert_eq!(key.bytes.as_slice(), [0x01, 0xfe]);
}

#[test]
fn kinds_and_counts_are_checked() {
    let exact = one_field(8, MatchKind::Exact);
    let prefix = FieldValue::Lpm {
        value: 0,
        prefix_len: 0,
    };
    assert_eq!(
        exact.key(&[prefix]),
        Err(SchemaError::Kind("field".to_owned()))
    );
    assert!(matches!(
        exact.key(&[]),
        Err(SchemaError::Count {
            want: 1,
            given: 0,
            ..
        })
    ));
}

proptest! {
    #[test]
    fn rows_round_trip(
        (table, fields, params) in table().prop_flat_map(|table| {
            let fields: Vec<_> = table.fields.iter().map(field).collect();
            let params: Vec<_> = table.actions[0].params.iter().map(|p| value(p.bits)).collect();
            (Just(table), fields, params)
        })
    ) {
        let key = table.key(&fields).unwrap();
        prop_assert_eq!(table.fields(&key).unwrap(), fields);
        let action = &table.actions[0];
        let call = action.call(&params).unwrap();
        prop_assert_eq!(action.params(&call).unwrap(), params);
    }

    /// Bytes from a wire either are the packed form of some values, or are refused.
    #[test]
    fn only_the_packed_form_unpacks(
        table in table(),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let key = table_model::RowKey { table: table.id, bytes: bytes.as_slice().into() };
        if let Ok(fields) = table.fields(&key) {
            prop_assert_eq!(table.key(&fields).unwrap(), key);
        }
        let call = table_model::ActionCall {
            action: table.actions[0].id,
            params: bytes.as_slice().into(),
        };
        if let Ok(params) = table.actions[0].params(&call) {
            prop_assert_eq!(table.actions[0].call(&params).unwrap(), call);
        }
    }

    /// Two keys are one exactly if their fields are.
    #[test]
    fn equal_keys_are_equal_fields(
        (table, a, b) in table().prop_flat_map(|table| {
            let fields = || -> Vec<_> { table.fields.iter().map(field).collect() };
            (Just(table.clone()), fields(), fields())
        })
    ) {
        prop_assert_eq!(table.key(&a).unwrap() == table.key(&b).unwrap(), a == b);
    }
}
