//! Round trips, and what is refused by which field.

use proptest::prelude::*;
use table_model::{
    ActionCall, ActionId, Atomicity, Capability, Flip, Generation, Row, RowKey, TableId,
    TableLimit, Update,
};

use super::*;
use crate::proto;
use crate::types::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

prop_compose! {
    fn row()(table in 1_u32.., key in bytes(), action in 1_u32.., params in bytes()) -> Row {
        Row {
            key: RowKey { table: TableId(table), bytes: key.into() },
            action: ActionCall { action: ActionId(action), params: params.into() },
        }
    }
}

fn update() -> impl Strategy<Value = Update> {
    prop_oneof![
        row().prop_map(Update::Insert),
        row().prop_map(Update::Modify),
        row().prop_map(|row| Update::Delete(row.key)),
    ]
}

fn to_dpu() -> impl Strategy<Value = ToDpu> {
    prop_oneof![
        ("[a-z]{1,8}", any::<u64>(), any::<u64>()).prop_map(|(session, print, generation)| {
            ToDpu::Hello(Hello {
                session,
                schema_fingerprint: print,
                generation: Generation(generation),
            })
        }),
        (
            any::<u64>(),
            any::<bool>(),
            any::<bool>(),
            prop::collection::vec(row(), 0..5)
        )
            .prop_map(
                |(generation, begin, end, rows)| ToDpu::Snapshot(SnapshotChunk {
                    generation: Generation(generation),
                    begin,
                    end,
                    rows,
                })
            ),
        (
            0..u64::MAX,
            any::<bool>(),
            prop::collection::vec((any::<u32>(), prop::collection::vec(update(), 0..5)), 0..4)
        )
            .prop_map(|(base, last, parts)| ToDpu::Delta(DeltaChunk {
                base: Generation(base),
                generation: Generation(base + 1),
                parts,
                last,
            })),
    ]
}

fn nack_reason() -> impl Strategy<Value = NackReason> {
    prop_oneof![
        any::<(u32, u64, u64)>().prop_map(|(table, need, free)| NackReason::TableFull {
            table: TableId(table),
            need,
            free,
        }),
        Just(NackReason::StaleGeneration),
        Just(NackReason::WrongBase),
        Just(NackReason::Invalid),
        Just(NackReason::Target),
        Just(NackReason::Schema),
    ]
}

fn device_state() -> impl Strategy<Value = DeviceState> {
    prop_oneof![
        Just(DeviceState::Connecting),
        Just(DeviceState::Reading),
        Just(DeviceState::Ready),
    ]
}

fn from_dpu() -> impl Strategy<Value = FromDpu> {
    prop_oneof![
        any::<u64>().prop_map(|generation| FromDpu::Welcome(Generation(generation))),
        any::<(u64, u64, u64, u32)>().prop_map(|(generation, written, unchanged, millis)| {
            FromDpu::Ack(Ack {
                generation: Generation(generation),
                written,
                unchanged,
                millis,
            })
        }),
        (any::<u64>(), nack_reason(), ".*").prop_map(|(generation, reason, text)| {
            FromDpu::Nack(Nack {
                generation: Generation(generation),
                reason,
                text,
            })
        }),
        (
            prop_oneof![
                Just(ResyncReason::NewSession),
                Just(ResyncReason::LostState),
                Just(ResyncReason::BrokenChange),
            ],
            any::<u64>(),
            ".*"
        )
            .prop_map(|(reason, generation, text)| FromDpu::Resync(Resync {
                reason,
                generation: Generation(generation),
                text,
            })),
        (any::<u64>(), any::<u64>(), device_state(), ".*").prop_map(
            |(observed, drift_repaired, state, state_detail)| FromDpu::Status(DpuStatus {
                observed: Generation(observed),
                drift_repaired,
                state,
                state_detail,
            })
        ),
    ]
}

fn role() -> impl Strategy<Value = PortRole> {
    let uplink = (
        prop::collection::vec(any::<IpAddr>(), 0..3),
        any::<Option<[u8; 6]>>(),
        prop::collection::vec(
            (any::<std::net::Ipv6Addr>(), 0_u8..=128, any::<[u8; 6]>()),
            0..3,
        ),
    );
    prop_oneof![
        Just(PortRole::Workload),
        Just(PortRole::Host),
        Just(PortRole::Other),
        uplink.prop_map(|(addresses, next_hop_mac, neighbours)| PortRole::Uplink {
            addresses,
            next_hop_mac,
            neighbours: neighbours
                .into_iter()
                .map(|(net, len, mac)| (IpNet::new(net.into(), len).unwrap(), mac))
                .collect(),
        }),
    ]
}

proptest! {
    #[test]
    fn stream_messages_to_the_dpu_come_back(message in to_dpu()) {
        prop_assert_eq!(ToDpu::try_from(proto::SyncRequest::from(message.clone())), Ok(message));
    }

    #[test]
    fn stream_messages_to_the_host_come_back(message in from_dpu()) {
        prop_assert_eq!(FromDpu::try_from(proto::SyncResponse::from(message.clone())), Ok(message));
    }

    #[test]
    fn ports_come_back(
        number in 0_u16..=510,
        interface in "[a-z0-9]{0,15}",
        mac in any::<Option<[u8; 6]>>(),
        role in role(),
    ) {
        let port = DevicePort { number, interface, mac, role };
        prop_assert_eq!(DevicePort::try_from(proto::Port::from(port.clone())), Ok(port));
    }

    #[test]
    fn capabilities_come_back(
        flip in prop_oneof![
            Just(Flip::Modify), Just(Flip::ShadowInsert), Just(Flip::DefaultAction)
        ],
        atomicity in prop_oneof![
            Just(Atomicity::ContinueOnError),
            Just(Atomicity::RollbackOnError),
            Just(Atomicity::Dataplane),
        ],
        batch in 1_usize..1_000_000,
        limits in prop::collection::vec(any::<(u32, u64)>(), 0..4),
        schema_fingerprint in any::<u64>(),
    ) {
        let record = DeviceCapability {
            capability: Capability {
                target: "t".to_owned(),
                flip,
                atomicity,
                batch,
                limits: limits
                    .into_iter()
                    .map(|(table, entries)| TableLimit { table: TableId(table), entries })
                    .collect(),
            },
            schema_fingerprint,
        };
        let back = DeviceCapability::try_from(proto::Capability::from(record.clone()));
        prop_assert_eq!(back, Ok(record));
    }
}

#[test]
fn refusals_name_the_field() {
    let text = |error: EdgeError| error.to_string();
    let update = proto::Update {
        kind: 0,
        row: Some(proto::Row {
            table: 1,
            ..Default::default()
        }),
    };
    assert_eq!(
        text(Update::try_from(update).unwrap_err()),
        "Field kind of Update is not set"
    );
    let update = proto::Update {
        kind: 9,
        row: Some(proto::Row::default()),
    };
    assert_eq!(
        text(Update::try_from(update).unwrap_err()),
        "Field kind of Update has value 9, which this release does not know"
    );
    let row = proto::Row {
        table: 1,
        ..Default::default()
    };
    assert_eq!(
        text(Row::try_from(row).unwrap_err()),
        "Field action of Row is not set"
    );
    let port = proto::Port {
        number: 511,
        role: 1,
        ..Default::default()
    };
    assert_eq!(
        text(DevicePort::try_from(port).unwrap_err()),
        "Field number of Port has 511, not 0 to 510"
    );
    let port = proto::Port {
        role: 2,
        addresses: vec!["10.0.0".to_owned()],
        ..Default::default()
    };
    assert_eq!(
        text(DevicePort::try_from(port).unwrap_err()),
        "Field addresses of Port has \"10.0.0\", not an IP address"
    );
    let port = proto::Port {
        role: 1,
        mac: vec![1, 2],
        ..Default::default()
    };
    assert_eq!(
        text(DevicePort::try_from(port).unwrap_err()),
        "Field mac of Port has 2 bytes where a MAC has 6"
    );
    let empty = proto::SyncRequest { message: None };
    assert_eq!(
        text(ToDpu::try_from(empty).unwrap_err()),
        "Field message of SyncRequest is not set"
    );
}

#[test]
fn a_delta_must_lead_forward() {
    let chunk = proto::sync_request::Message::Delta(proto::DeltaChunk {
        base: 5,
        generation: 5,
        ..Default::default()
    });
    let message = proto::SyncRequest {
        message: Some(chunk),
    };
    let error = ToDpu::try_from(message).unwrap_err();
    assert_eq!((error.message, error.field), ("DeltaChunk", "generation"));
}

#[test]
fn resource_names_give_their_segment() {
    assert_eq!(
        segment("devices/-/tables/acl_port", "tables", "M", "f"),
        Ok("acl_port")
    );
    assert_eq!(
        segment("tables/acl_port", "tables", "M", "f"),
        Ok("acl_port")
    );
    assert_eq!(segment("devices/-", "devices", "M", "f"), Ok("-"));
    for wrong in ["", "tables", "tables/", "ports/1"] {
        assert!(segment(wrong, "tables", "M", "f").is_err(), "{wrong}");
    }
}
