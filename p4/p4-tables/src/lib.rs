//! Typed rows of the pipeline's tables, generated from its p4info.
//!
//! *In:* typed keys and parameters. *Out:* packed [`table_model::Row`]s of the one [`Schema`] that
//! all agents and back ends share. One module a table: `key(…)` packs the match fields, one
//! function an action packs a row. An LPM field takes its value and its prefix length in bits.
//!
//! The pipeline's own artefacts are here too: [`P4INFO`] (text), [`P4INFO_BINARY`] and
//! [`BMV2_JSON`], as p4c made them from `p4/programs`.

#![forbid(unsafe_code)]

mod drop_reason;
#[rustfmt::skip]
mod gen_tables;

pub use drop_reason::DropReason;
use gen_tables::build_schema;
pub use gen_tables::*;

use std::sync::OnceLock;

use table_model::Schema;

/// The pipeline's p4info as text (`p4.config.v1.P4Info`).
pub const P4INFO: &str = include_str!("../../programs/margay.p4info.txtpb");

/// The pipeline's p4info in protobuf's binary form.
pub const P4INFO_BINARY: &[u8] = include_bytes!("../../programs/margay.p4info.bin");

/// The pipeline as bmv2's JSON, for `p4switch` and `simple_switch_grpc`.
pub const BMV2_JSON: &str = include_str!("../../programs/margay.json");

/// The MAC that every workload sees as its gateway's, and the source of what it receives.
pub const GATEWAY_MAC: [u8; 6] = [0xee; 6];

/// The IPv4 gateway that Calico's CNI gives to every workload.
pub const GATEWAY_V4: std::net::Ipv4Addr = std::net::Ipv4Addr::new(169, 254, 1, 1);

/// The link-local IPv6 gateway that belongs to [`GATEWAY_MAC`] (RFC 4291, appendix A).
pub const GATEWAY_V6: std::net::Ipv6Addr =
    std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0xecee, 0xeeff, 0xfeee, 0xeeee);

/// The schema of all tables.
pub fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(build_schema)
}

/// The low `count` bytes of a value, big-endian.
fn bytes(value: u128, count: usize) -> impl Iterator<Item = u8> {
    value.to_be_bytes().into_iter().skip(16 - count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use table_model::FieldValue;

    #[test]
    fn typed_keys_and_the_schema_pack_alike() {
        let table = schema().table(acl_port::TABLE).unwrap();
        let typed = acl_port::key(0xa1b2_c3d4, 6, 0x1f90, 16);
        let packed = table
            .key(&[
                FieldValue::Exact(0xa1b2_c3d4),
                FieldValue::Exact(6),
                FieldValue::Lpm {
                    value: 0x1f90,
                    prefix_len: 16,
                },
            ])
            .unwrap();
        assert_eq!(typed, packed);
    }

    #[test]
    fn typed_rows_and_the_schema_pack_alike() {
        let table = schema().table(endpoint_local_v6::TABLE).unwrap();
        let row = endpoint_local_v6::local_endpoint(
            endpoint_local_v6::key(7),
            300,
            0xeeee,
            1,
            2,
            3,
            true,
        );
        let action = table.action(row.action.action).unwrap();
        assert_eq!(
            action.params(&row.action).unwrap(),
            [300, 0xeeee, 1, 2, 3, 1]
        );
        assert_eq!(table.fields(&row.key).unwrap(), [FieldValue::Exact(7)]);
    }

    #[test]
    fn every_id_is_unique_and_sorted() {
        let tables = &schema().tables;
        assert!(tables.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(!tables.is_empty());
    }

    #[test]
    fn the_gateway_addresses_belong_to_its_mac() {
        let mut mac = GATEWAY_MAC;
        mac[0] ^= 2;
        let o = GATEWAY_V6.octets();
        assert_eq!([o[8], o[9], o[10], o[13], o[14], o[15]], mac);
    }

    #[test]
    fn reasons_have_their_index() {
        for index in 0..=u8::MAX {
            if let Some(reason) = DropReason::from_index(index) {
                assert_eq!(reason as u8, index);
            }
        }
    }
}
