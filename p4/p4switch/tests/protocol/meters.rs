//! P4Runtime 9.4: direct and indirect meters.

use p4runtime_proto::p4::v1::{
    DirectMeterEntry, Index, MeterConfig, MeterCounterData, MeterEntry, TableEntry,
    entity::Entity as Kind, update::Type, write_request::Atomicity,
};
use tonic::Code;

use crate::support::{
    Named, branch, code_of, delete, failures, insert, modify, read, update, write,
};

/// One packet green, one yellow, and hardly ever another.
const TWO: MeterConfig = MeterConfig {
    cir: 1,
    cburst: 1,
    pir: 1,
    pburst: 2,
    eburst: 0,
};

/// The colours that three frames in a row get.
fn colours(switch: &p4switch::Handle, frame: &[u8]) -> Vec<u16> {
    (0..3)
        .map(|_| {
            let outputs = switch.inject(1, frame);
            let bytes = &outputs.first().expect("forwarded").1;
            u16::from_be_bytes([bytes[12], bytes[13]])
        })
        .collect()
}

#[tokio::test]
async fn an_indirect_meter_is_written_read_and_reset() {
    let program = Named::entities();
    let (switch, client) = program.ready().await;
    let meter = |index: Option<i64>, config| {
        Kind::MeterEntry(MeterEntry {
            meter_id: program.id("limits"),
            index: index.map(|index| Index { index }),
            config,
            counter_data: None,
        })
    };
    let code = async |kind| code_of(&client, update(Type::Modify, kind)).await;
    assert_eq!(code(meter(Some(3), Some(TWO))).await, Code::Ok);
    assert_eq!(colours(&switch, &branch(12, 3, 0, 0)), [0, 1, 2]);
    assert_eq!(colours(&switch, &branch(12, 4, 0, 0)), [0, 0, 0]);
    assert_eq!(
        read(&client, meter(Some(3), None)).await,
        [meter(Some(3), Some(TWO))]
    );
    assert_eq!(
        read(&client, meter(Some(4), None)).await,
        [meter(Some(4), None)]
    );
    assert_eq!(read(&client, meter(None, None)).await.len(), 8);
    let all = Kind::MeterEntry(MeterEntry::default());
    assert_eq!(read(&client, all).await.len(), 8);
    assert_eq!(code(meter(None, Some(TWO))).await, Code::Ok);
    assert_eq!(colours(&switch, &branch(12, 4, 0, 0)), [0, 1, 2]);
    // Taken back with its batch.
    let batch = vec![
        update(Type::Modify, meter(None, None)),
        update(Type::Modify, meter(Some(9), None)),
    ];
    let failed = failures(&client, batch, Atomicity::RollbackOnError).await;
    assert_eq!(failed[1].code, Code::OutOfRange);
    assert_eq!(
        read(&client, meter(Some(7), None)).await,
        [meter(Some(7), Some(TWO))]
    );
    assert_eq!(code(meter(Some(3), None)).await, Code::Ok);
    assert_eq!(colours(&switch, &branch(12, 3, 0, 0)), [0, 0, 0]);

    let with = |change: fn(&mut MeterConfig)| {
        let mut config = TWO;
        change(&mut config);
        meter(Some(0), Some(config))
    };
    for (kind, wanted) in [
        (meter(Some(8), None), Code::OutOfRange),
        (meter(Some(-1), None), Code::InvalidArgument),
        (with(|config| config.cir = -1), Code::InvalidArgument),
        (with(|config| config.pir = 0), Code::InvalidArgument),
        (with(|config| config.eburst = 1), Code::InvalidArgument),
    ] {
        assert_eq!(code(kind.clone()).await, wanted, "{kind:?}");
    }
    let coloured = Kind::MeterEntry(MeterEntry {
        meter_id: program.id("limits"),
        counter_data: Some(MeterCounterData::default()),
        ..MeterEntry::default()
    });
    assert_eq!(code(coloured).await, Code::Unimplemented);
    for change in [Type::Insert, Type::Delete] {
        assert_eq!(
            code_of(&client, update(change, meter(Some(0), None))).await,
            Code::InvalidArgument
        );
    }
    switch.shutdown();
}

#[tokio::test]
async fn a_direct_meter_belongs_to_its_entry() {
    let program = Named::entities();
    let (switch, client) = program.ready().await;
    let plain = program.entry("by_meter", 5, program.call("metered", &[1]));
    let metered = TableEntry {
        meter_config: Some(TWO),
        ..plain.clone()
    };
    write(&client, vec![insert(metered.clone())]).await;
    assert_eq!(colours(&switch, &branch(4, 5, 0, 0)), [0, 1, 2]);
    let query = |meter| {
        Kind::TableEntry(TableEntry {
            table_id: program.id("by_meter"),
            meter_config: meter,
            ..TableEntry::default()
        })
    };
    assert_eq!(
        read(&client, query(Some(MeterConfig::default()))).await,
        [Kind::TableEntry(metered.clone())]
    );
    assert_eq!(
        read(&client, query(None)).await,
        [Kind::TableEntry(plain.clone())]
    );
    let key = TableEntry {
        action: None,
        ..plain.clone()
    };
    let direct = |entry: &TableEntry, config| {
        Kind::DirectMeterEntry(DirectMeterEntry {
            table_entry: Some(entry.clone()),
            config,
            counter_data: None,
        })
    };
    assert_eq!(
        read(&client, direct(&key, None)).await,
        [direct(&key, Some(TWO))]
    );
    let all = direct(&TableEntry::default(), None);
    assert_eq!(read(&client, all).await, [direct(&key, Some(TWO))]);

    // MODIFY without a configuration makes all packets green (9.1.6).
    write(&client, vec![modify(plain.clone())]).await;
    assert_eq!(colours(&switch, &branch(4, 5, 0, 0)), [0, 0, 0]);
    let code = async |change, kind| code_of(&client, update(change, kind)).await;
    assert_eq!(code(Type::Modify, direct(&key, Some(TWO))).await, Code::Ok);
    assert_eq!(colours(&switch, &branch(4, 5, 0, 0)), [0, 1, 2]);
    assert_eq!(
        code(Type::Insert, direct(&key, Some(TWO))).await,
        Code::InvalidArgument
    );
    let other = program.entry("by_time", 5, program.call("forward", &[1]));
    assert_eq!(
        code(Type::Modify, direct(&other, Some(TWO))).await,
        Code::InvalidArgument
    );
    write(&client, vec![delete(plain)]).await;
    assert_eq!(
        code(Type::Modify, direct(&key, Some(TWO))).await,
        Code::NotFound
    );

    // The default entry has one as well.
    let default = TableEntry {
        table_id: program.id("by_meter"),
        is_default_action: true,
        meter_config: Some(TWO),
        ..program.entry("by_meter", 0, program.call("metered", &[1]))
    };
    let default = TableEntry {
        r#match: vec![],
        ..default
    };
    write(&client, vec![modify(default.clone())]).await;
    assert_eq!(colours(&switch, &branch(4, 9, 0, 0)), [0, 1, 2]);
    assert_eq!(
        read(&client, Kind::TableEntry(default.clone())).await,
        [Kind::TableEntry(default)]
    );
    switch.shutdown();
}
