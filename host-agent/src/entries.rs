//! Rows for people.

use std::net::{Ipv4Addr, Ipv6Addr};

use offload_api::host::{HostEntry, NamedValue};
use table_model::{FieldValue, Row, Schema};

/// A row with the names that its schema has. What does not fit the schema is shown as bytes.
pub(crate) fn entry(schema: &Schema, row: &Row) -> HostEntry {
    let raw = |name: &str, bytes: &[u8]| {
        vec![NamedValue {
            name: name.to_owned(),
            value: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }]
    };
    let table = schema.table(row.key.table).ok();
    let fields = table
        .and_then(|table| Some((table, table.fields(&row.key).ok()?)))
        .map_or_else(
            || raw("key", &row.key.bytes),
            |(table, values)| {
                let pairs = table.fields.iter().zip(values);
                pairs
                    .map(|(field, value)| NamedValue {
                        name: field.name.clone(),
                        value: match value {
                            FieldValue::Exact(value) => text(&field.name, field.bits, value),
                            FieldValue::Lpm { value, prefix_len } => {
                                format!("{}/{prefix_len}", text(&field.name, field.bits, value))
                            }
                        },
                    })
                    .collect()
            },
        );
    let action = table.and_then(|table| table.action(row.action.action).ok());
    let params = action
        .and_then(|action| Some((action, action.params(&row.action).ok()?)))
        .map_or_else(
            || raw("params", &row.action.params),
            |(action, values)| {
                let pairs = action.params.iter().zip(values);
                pairs
                    .map(|(param, value)| NamedValue {
                        name: param.name.clone(),
                        value: text(&param.name, param.bits, value),
                    })
                    .collect()
            },
        );
    HostEntry {
        fields,
        action: action.map_or_else(
            || format!("{:#010x}", row.action.action.0),
            |action| action.name.clone(),
        ),
        params,
    }
}

/// A value as people write it. Widths tell MACs, names tell addresses; ids are hexadecimal.
fn text(name: &str, bits: u8, value: u128) -> String {
    let address = matches!(name, "src" | "dst" | "addr");
    match (bits, u32::try_from(value)) {
        (32, Ok(value)) if address => Ipv4Addr::from(value).to_string(),
        (32, Ok(value)) => format!("0x{value:08x}"),
        (128, _) => Ipv6Addr::from(value).to_string(),
        (48, _) => {
            let bytes = value.to_be_bytes();
            let bytes: Vec<String> = bytes[10..]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            bytes.join(":")
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[NamedValue]) -> Vec<(&str, &str)> {
        values
            .iter()
            .map(|value| (value.name.as_str(), value.value.as_str()))
            .collect()
    }

    #[test]
    fn rows_are_named_and_unpacked() {
        let address = u32::from(Ipv4Addr::new(10, 65, 0, 2));
        let key = p4_tables::endpoint_local_v4::key(address);
        let row = p4_tables::endpoint_local_v4::local_endpoint(
            key,
            7,
            0x0200_0000_0001,
            0xab,
            0xac,
            0,
            false,
        );
        let entry = entry(p4_tables::schema(), &row);
        assert_eq!(values(&entry.fields), [("dst", "10.65.0.2")]);
        assert_eq!(entry.action, "local_endpoint");
        assert_eq!(
            values(&entry.params)[..3],
            [
                ("port", "7"),
                ("mac", "02:00:00:00:00:01"),
                ("chain", "0x000000ab")
            ]
        );
    }

    #[test]
    fn prefixes_have_their_length() {
        let key = p4_tables::acl_net_v4::key(0x0a00_0000, 8);
        let row = p4_tables::acl_net_v4::net_label(key, 5);
        let entry = entry(p4_tables::schema(), &row);
        assert_eq!(values(&entry.fields), [("addr", "10.0.0.0/8")]);
    }

    #[test]
    fn strange_rows_are_shown_as_bytes() {
        let key = p4_tables::acl_net_v4::key(0x0a00_0000, 8);
        let mut row = p4_tables::acl_net_v4::net_label(key, 5);
        row.key.bytes.pop();
        let entry = entry(p4_tables::schema(), &row);
        assert_eq!(values(&entry.fields), [("key", "0a000000")]);
    }
}
