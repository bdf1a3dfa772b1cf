//! P4Runtime 14 and 15: pushing programs, and what survives a bad one.

use p4runtime_proto::{
    client::{PipelineError, PipelineFailed},
    p4::{
        config::v1::P4Info,
        v1::{
            CounterEntry, ForwardingPipelineConfig, Index, RegisterEntry, TableEntry,
            entity::Entity as Kind, get_forwarding_pipeline_config_request::ResponseType,
            set_forwarding_pipeline_config_request::Action,
        },
    },
};
use prost::Message as _;
use tonic::Code;

use crate::support::{
    BY_MAC, BY_ROUTE, action, connect, empty, entries, entry, frame, insert, lpm, mac_entry,
    primary, read, ready, switch_config, wire_config, write,
};

fn refusal(failed: PipelineFailed) -> (Code, String) {
    match failed.source {
        PipelineError::Refused { source, .. } => (source.code(), source.message().to_owned()),
        other => panic!("not a refusal: {other:?}"),
    }
}

fn action_refusal(outcome: Result<(), PipelineError>) -> Code {
    match outcome {
        Err(PipelineError::Refused { source, .. }) => source.code(),
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test]
async fn there_is_no_pipeline_at_first() {
    let switch = empty();
    let client = connect(&switch).await;
    assert_eq!(
        client.pipeline(ResponseType::All).await.expect("answered"),
        None
    );
    let refused = client
        .read_table(0, false)
        .await
        .expect_err("nothing to read");
    assert_eq!(refused.source.code(), Code::FailedPrecondition);
    switch.shutdown();
}

#[tokio::test]
async fn the_config_comes_back_in_the_parts_asked_for() {
    let (switch, client) = ready().await;
    let pushed = switch_config(7);
    let get = async |parts| {
        client
            .pipeline(parts)
            .await
            .expect("answered")
            .expect("a pipeline")
    };
    assert_eq!(get(ResponseType::All).await, pushed);
    let cookie = ForwardingPipelineConfig {
        cookie: pushed.cookie,
        ..Default::default()
    };
    assert_eq!(get(ResponseType::CookieOnly).await, cookie);
    let p4info = get(ResponseType::P4infoAndCookie).await;
    assert_eq!(
        (p4info.p4info, p4info.p4_device_config.len()),
        (pushed.p4info, 0)
    );
    let device = get(ResponseType::DeviceConfigAndCookie).await;
    assert_eq!(
        (device.p4info, device.p4_device_config),
        (None, pushed.p4_device_config)
    );
    switch.shutdown();
}

#[tokio::test]
async fn a_bad_push_leaves_the_old_pipeline_and_the_control_plane_alive() {
    let (switch, client) = ready().await;
    write(&client, vec![insert(mac_entry(0xa, 5))]).await;
    let good = switch_config(8);
    let missing_table = {
        let mut config = wire_config(8);
        config.p4info.clone_from(&good.p4info);
        config
    };
    let bad = [
        ForwardingPipelineConfig {
            p4_device_config: "".into(),
            ..good.clone()
        },
        ForwardingPipelineConfig {
            p4_device_config: "{}".into(),
            ..good.clone()
        },
        ForwardingPipelineConfig {
            p4_device_config: "junk".into(),
            ..good.clone()
        },
        ForwardingPipelineConfig {
            p4_device_config: vec![0xff; 9].into(),
            ..good.clone()
        },
        ForwardingPipelineConfig {
            p4info: None,
            ..good.clone()
        },
        ForwardingPipelineConfig {
            p4info: Some(P4Info::default()),
            ..good.clone()
        },
        missing_table,
    ];
    let mut client = client.into_primary();
    for config in bad {
        for reconcile in [false, true] {
            let config = config.clone();
            let outcome = if reconcile {
                client.reconcile_pipeline(config).await
            } else {
                client.set_pipeline(config).await
            };
            let failed = outcome.expect_err("a bad push");
            client = *failed.client;
            let PipelineError::Refused { source, .. } = failed.source else {
                panic!("{:?}", failed.source)
            };
            assert_eq!(source.code(), Code::InvalidArgument, "{}", source.message());
            // Packets go on by the old program and its entry.
            assert_eq!(switch.inject(1, &frame(0xa, 1, 0x1234)).len(), 1);
        }
    }
    let client = client.adopt(7).await.expect("still the old pipeline");
    assert_eq!(entries(&client, BY_MAC).await, [mac_entry(0xa, 5)]);
    write(&client, vec![insert(mac_entry(0xb, 5))]).await;
    let client = client
        .into_primary()
        .set_pipeline(switch_config(9))
        .await
        .expect("a good push");
    assert_eq!(entries(&client, BY_MAC).await, []);
    switch.shutdown();
}

#[tokio::test]
async fn verify_changes_nothing() {
    let (switch, client) = ready().await;
    write(&client, vec![insert(mac_entry(0xa, 5))]).await;
    let client = client.into_primary();
    client
        .pipeline_action(Action::Verify, Some(wire_config(9)))
        .await
        .expect("it would load");
    let broken = ForwardingPipelineConfig {
        p4_device_config: "{}".into(),
        ..wire_config(9)
    };
    let refused = client.pipeline_action(Action::Verify, Some(broken)).await;
    assert_eq!(action_refusal(refused), Code::InvalidArgument);
    let refused = client.pipeline_action(Action::Verify, None).await;
    assert_eq!(action_refusal(refused), Code::InvalidArgument);
    let refused = client.pipeline_action(Action::Unspecified, None).await;
    assert_eq!(action_refusal(refused), Code::InvalidArgument);
    assert_eq!(entries(&client, BY_MAC).await, [mac_entry(0xa, 5)]);
    client.adopt(7).await.expect("the old pipeline");
    switch.shutdown();
}

#[tokio::test]
async fn a_saved_pipeline_takes_writes_and_no_packets_until_it_is_committed() {
    let (switch, client) = ready().await;
    write(&client, vec![insert(mac_entry(0xa, 5))]).await;
    let client = client.into_primary();
    let refused = client.pipeline_action(Action::Commit, None).await;
    assert_eq!(action_refusal(refused), Code::NotFound);
    client
        .pipeline_action(Action::VerifyAndSave, Some(switch_config(8)))
        .await
        .expect("saved");
    // Writes and reads refer to the new config; packets and the config in force are the old ones.
    let client = client.adopt(7).await.expect("the old one is in force");
    assert_eq!(entries(&client, BY_MAC).await, []);
    write(&client, vec![insert(mac_entry(0xb, 6))]).await;
    assert_eq!(switch.inject(1, &frame(0xa, 1, 0)).len(), 1);
    assert_eq!(switch.inject(1, &frame(0xb, 1, 0)).len(), 0);
    let client = client.into_primary();
    let refused = client
        .pipeline_action(Action::Commit, Some(switch_config(8)))
        .await;
    assert_eq!(action_refusal(refused), Code::InvalidArgument);
    client
        .pipeline_action(Action::Commit, None)
        .await
        .expect("committed");
    let client = client.adopt(8).await.expect("the new one is in force");
    assert_eq!(entries(&client, BY_MAC).await, [mac_entry(0xb, 6)]);
    assert_eq!(switch.inject(1, &frame(0xa, 1, 0)).len(), 0);
    assert_eq!(switch.inject(1, &frame(0xb, 1, 0))[0].0, 6);
    switch.shutdown();
}

#[tokio::test]
async fn reconcile_keeps_entries_or_refuses() {
    let (switch, client) = ready().await;
    write(&client, vec![insert(mac_entry(0xa, 5))]).await;
    let client = client.into_primary();
    let client = client
        .reconcile_pipeline(switch_config(8))
        .await
        .expect("same program");
    assert_eq!(entries(&client, BY_MAC).await, [mac_entry(0xa, 5)]);
    assert_eq!(switch.inject(1, &frame(0xa, 1, 0))[0].0, 5);
    // The other program has this table with this action as well.
    let client = client
        .into_primary()
        .reconcile_pipeline(wire_config(9))
        .await
        .expect("fits");
    assert_eq!(switch.inject(1, &frame(0xa, 1, 0))[0].0, 5);
    assert_eq!(switch.inject(1, &frame(0xb, 1, 0))[0].0, 2);
    let client = client
        .into_primary()
        .set_pipeline(switch_config(10))
        .await
        .expect("set");
    let route = entry(
        BY_ROUTE,
        vec![lpm(1, 0x0a00_0000, 8)],
        action("forward", &[3]),
    );
    write(&client, vec![insert(route.clone())]).await;
    let failed = client
        .into_primary()
        .reconcile_pipeline(wire_config(11))
        .await;
    let failed = failed.expect_err("routes have no place in the other program");
    let client = *failed.client;
    assert!(
        matches!(&failed.source, PipelineError::Refused { source, .. }
        if source.code() == Code::InvalidArgument && source.message().contains("by_route"))
    );
    let client = client.adopt(10).await.expect("the old one is in force");
    assert_eq!(entries(&client, BY_ROUTE).await, [route]);
    switch.shutdown();
}

#[tokio::test]
async fn p4info_of_another_program_is_refused_by_name() {
    let switch = empty();
    let mut config = switch_config(1);
    config.p4_device_config = wire_config(1).p4_device_config;
    let failed = primary(&switch, 1)
        .await
        .set_pipeline(config)
        .await
        .expect_err("mixed up");
    let (code, message) = refusal(failed);
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains("Pipe.to_controller"), "{message}");
    switch.shutdown();
}

/// The pipeline that the product pushes, from its own room.
#[tokio::test]
async fn the_product_pipeline_loads_with_all_its_objects() {
    let programs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs");
    let json = std::fs::read(programs.join("margay.json")).expect("the program");
    let p4info = std::fs::read(programs.join("margay.p4info.bin")).expect("its p4info");
    let p4info = P4Info::decode(p4info.as_slice()).expect("p4info decodes");
    let config = ForwardingPipelineConfig {
        p4info: Some(p4info.clone()),
        p4_device_config: json.into(),
        cookie: None,
    };
    let switch = empty();
    let client = primary(&switch, 1).await;
    let client = client.set_pipeline(config).await.expect("it loads");
    // Every table, counter and register of the p4info can be read.
    let defaults = TableEntry {
        is_default_action: true,
        ..TableEntry::default()
    };
    assert_eq!(
        read(&client, Kind::TableEntry(defaults)).await.len(),
        p4info.tables.len()
    );
    let cells: i64 = p4info.counters.iter().map(|counter| counter.size).sum();
    let counters = read(&client, Kind::CounterEntry(CounterEntry::default())).await;
    assert_eq!(i64::try_from(counters.len()), Ok(cells));
    for register in &p4info.registers {
        let preamble = register.preamble.as_ref().expect("a preamble");
        let first = RegisterEntry {
            register_id: preamble.id,
            index: Some(Index { index: 0 }),
            data: None,
        };
        assert_eq!(read(&client, Kind::RegisterEntry(first)).await.len(), 1);
    }
    switch.shutdown();
}
