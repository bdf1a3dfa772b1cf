//! Rows survive the wire, in every table of the pipeline.

use proptest::prelude::*;
use table_model::FieldSchema;

use super::*;

fn value(bits: u8) -> impl Strategy<Value = u128> {
    prop_oneof![Just(0), any::<u128>(), Just(u128::MAX)]
        .prop_map(move |value| value >> (128 - u32::from(bits)))
}

fn field(schema: &FieldSchema) -> BoxedStrategy<FieldValue> {
    let bits = schema.bits;
    match schema.kind {
        MatchKind::Exact => value(bits).prop_map(FieldValue::Exact).boxed(),
        MatchKind::Lpm => (value(bits), 0..=bits)
            .prop_map(move |(value, prefix_len)| {
                let spare = u32::from(bits - prefix_len);
                let value = value.checked_shr(spare).unwrap_or(0);
                FieldValue::Lpm {
                    value: value.checked_shl(spare).unwrap_or(0),
                    prefix_len,
                }
            })
            .boxed(),
    }
}

fn row() -> impl Strategy<Value = Row> {
    let tables = &p4_tables::schema().tables;
    (0..tables.len(), any::<prop::sample::Index>()).prop_flat_map(move |(table, action)| {
        let table = &tables[table];
        let action = &table.actions[action.index(table.actions.len())];
        let fields: Vec<_> = table.fields.iter().map(field).collect();
        let params: Vec<_> = action
            .params
            .iter()
            .map(|param| value(param.bits))
            .collect();
        (fields, params).prop_map(move |(fields, params)| Row {
            key: table.key(&fields).unwrap(),
            action: action.call(&params).unwrap(),
        })
    })
}

fn entry(update: WireUpdate) -> TableEntry {
    match update.entity.unwrap().entity.unwrap() {
        Kind::TableEntry(entry) => entry,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn rows_survive_the_wire(row in row()) {
        let schema = p4_tables::schema();
        let wire = encode(schema, &Update::Insert(row.clone())).unwrap();
        let entry = entry(wire);
        for field in &entry.r#match {
            let value = match field.field_match_type.as_ref().unwrap() {
                FieldMatchType::Exact(exact) => &exact.value,
                FieldMatchType::Lpm(lpm) => {
                    prop_assert!(lpm.prefix_len > 0);
                    &lpm.value
                }
                other => panic!("{other:?}"),
            };
            prop_assert!(bytestring::is_canonical(value));
        }
        prop_assert_eq!(decode(schema, &entry).unwrap(), Some(row));
    }

    /// Servers may answer with any padding, or with nothing for zero, and in any order of fields.
    #[test]
    fn padding_and_order_do_not_matter(row in row(), pad in 0_usize..3) {
        let schema = p4_tables::schema();
        let mut entry = entry(encode(schema, &Update::Insert(row.clone())).unwrap());
        entry.r#match.reverse();
        for field in &mut entry.r#match {
            if let Some(FieldMatchType::Exact(exact)) = &mut field.field_match_type {
                exact.value = if exact.value.iter().all(|byte| *byte == 0) {
                    Bytes::new()
                } else {
                    [vec![0; pad], exact.value.to_vec()].concat().into()
                };
            }
        }
        prop_assert_eq!(decode(schema, &entry).unwrap(), Some(row));
    }
}

#[test]
fn the_default_entry_is_modified_and_reset() {
    use p4_tables::acl_settings;
    let schema = p4_tables::schema();
    let row = acl_settings::settings(acl_settings::key(), 7, 4789, true, false);
    for update in [Update::Insert(row.clone()), Update::Modify(row.clone())] {
        let wire = encode(schema, &update).unwrap();
        assert_eq!(wire.r#type(), update::Type::Modify);
        let entry = entry(wire);
        assert!(entry.is_default_action && entry.r#match.is_empty() && entry.action.is_some());
        assert_eq!(decode(schema, &entry).unwrap(), Some(row.clone()));
    }
    let reset = encode(schema, &Update::Delete(row.key)).unwrap();
    assert_eq!(reset.r#type(), update::Type::Modify);
    let reset = entry(reset);
    assert!(reset.is_default_action && reset.action.is_none());
    assert_eq!(decode(schema, &reset).unwrap(), None);
}

#[test]
fn entries_of_another_pipeline_are_told() {
    use p4_tables::acl_host_v4;
    let schema = p4_tables::schema();
    let row = acl_host_v4::host_label(acl_host_v4::key(1), 2);
    let good = entry(encode(schema, &Update::Insert(row)).unwrap());
    let with = |change: fn(&mut TableEntry)| {
        let mut entry = good.clone();
        change(&mut entry);
        decode(schema, &entry).unwrap_err().to_string()
    };
    assert_eq!(
        with(|entry| entry.table_id = 1),
        "Table 0x00000001 is not in the schema"
    );
    assert_eq!(
        with(|entry| entry.r#match.clear()),
        "Table acl_host_v4: field addr is missing or of another match kind"
    );
    assert_eq!(
        with(|entry| entry.action = None),
        "Table acl_host_v4: the entry has no plain action"
    );
    assert_eq!(
        with(|entry| {
            entry.r#match[0].field_match_type = Some(FieldMatchType::Exact(Exact {
                value: Bytes::from_static(&[1, 0, 0, 0, 0]),
            }));
        }),
        "0x100000000 does not fit 32 bits of addr"
    );
}
