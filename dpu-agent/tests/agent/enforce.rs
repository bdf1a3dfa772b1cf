//! What a host asks for is on the target, and everyone can see it.

use offload_api::types::{EntryView, PageRequest, PortRole};
use p4_tables::{acl_host_v4, acl_verdict, gateway_v4};
use table_model::Generation;

use crate::lab::{
    Lab, acknowledged, client, free_address, fresh_switch, gateways, get, ready, state, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_rows_are_enforced_and_shown() {
    let switch = fresh_switch();
    let mut lab = Lab::new(switch.grpc_addr());
    lab.config.ports = toml::from_str::<std::collections::BTreeMap<String, Vec<_>>>(
        "ports = [{ number = 510, interface = \"eth0\", role = \"uplink\" }, \
         { number = 3, interface = \"cali3\", mac = \"02:00:00:00:00:03\" }]",
    )
    .unwrap()
    .remove("ports")
    .unwrap();
    let agent = lab.agent().await;
    let host = lab.host(agent.api());
    let rows = state(3000);
    host.replace(&rows).unwrap();
    let acked = acknowledged(&host).await;
    assert_eq!(acked.ack.unwrap().written, 3002);
    assert_eq!(ready(&agent).await.observed, acked.acknowledged);

    let client = client(&host).await;
    let mut listed = Vec::new();
    let mut request = PageRequest {
        size: 700,
        token: String::new(),
    };
    loop {
        let page = client
            .entries("acl_host_v4", EntryView::Observed, request.clone())
            .await
            .unwrap();
        listed.extend(page.items);
        match page.next {
            Some(token) => request.token = token,
            None => break,
        }
    }
    assert_eq!(listed, rows.table(acl_host_v4::TABLE));
    let desired = client
        .entries("acl_verdict", EntryView::Desired, PageRequest::default())
        .await
        .unwrap();
    assert_eq!(desired.items, rows.table(acl_verdict::TABLE));
    let counters = client
        .counters("acl_verdict", PageRequest::default())
        .await
        .unwrap();
    assert_eq!(counters.items.len(), 1);
    assert_eq!(counters.items[0].row, rows.table(acl_verdict::TABLE)[0]);
    let error = client
        .entries("acl_hst", EntryView::Observed, PageRequest::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("No table \"acl_hst\""),
        "{error}"
    );

    let ports = client.ports().await.unwrap();
    assert_eq!(
        ports.iter().map(|port| port.number).collect::<Vec<_>>(),
        [3, 510]
    );
    assert!(matches!(ports[1].role, PortRole::Uplink { .. }));
    let capability = client.capability().await.unwrap();
    assert_eq!(
        capability.schema_fingerprint,
        p4_tables::schema().fingerprint
    );
    let device = client.device().await.unwrap();
    assert_eq!(device.name, "dpu-1");
    let tables = client.tables().await.unwrap();
    let usage = tables
        .iter()
        .find(|table| table.name == "acl_host_v4")
        .unwrap();
    assert_eq!(
        (usage.desired, usage.observed, usage.size),
        (3000, 3000, 262_144)
    );

    // A packet on a port without a row is dropped and counted.
    assert!(switch.inject(7, &[0; 60]).is_empty());
    let drops = client.drop_counters().await.unwrap();
    assert!(
        drops
            .iter()
            .any(|drop| drop.reason == "unknown_port" && drop.packets == 1),
        "{drops:?}"
    );
    let epoch = client.flush_connections().await.unwrap();
    assert_eq!(client.flush_connections().await.unwrap(), epoch + 1);

    let (code, text) = get(&agent, "/metrics").await;
    assert_eq!(code, 200);
    let enforced = acked.acknowledged.0;
    let generation = format!("offload_dpu_generation{{kind=\"enforced\"}} {enforced}");
    for line in [
        generation.as_str(),
        "offload_dpu_ready 1",
        "offload_dpu_operations_total{kind=\"update\"} 3004",
        "offload_dpu_table_rows{kind=\"observed\",table=\"acl_host_v4\"} 3000",
        "offload_dpu_dropped_packets_total{reason=\"unknown_port\"} 1",
        "offload_dpu_enforce_seconds_count 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(get(&agent, "/readyz").await.0, 200);
    assert_eq!(get(&agent, "/healthz").await, (200, "ok\n".to_owned()));
    agent.stop().await.unwrap();
    switch.shutdown();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_room_is_refused_and_the_rest_stays() {
    let switch = fresh_switch();
    let lab = Lab::new(switch.grpc_addr());
    let agent = lab.agent().await;
    let host = lab.host(agent.api());
    let before = gateways(10).collect();
    host.replace(&before).unwrap();
    let first = acknowledged(&host).await.acknowledged;
    // The table has 256 entries.
    host.replace(&gateways(300).collect()).unwrap();
    let refused = until(&mut host.state(), "a refusal", |state| {
        state.refused.is_some()
    })
    .await;
    let nack = refused.refused.unwrap();
    assert_eq!(
        nack.reason,
        offload_api::types::NackReason::TableFull {
            table: gateway_v4::TABLE,
            need: 290,
            free: 246
        }
    );
    assert!(nack.text.contains("gateway_v4"), "{}", nack.text);
    let view = agent.view().borrow().clone();
    assert_eq!(view.status.enforced, Some(first));
    assert!(view.ready());
    let client = client(&host).await;
    let there = client
        .entries("gateway_v4", EntryView::Observed, PageRequest::default())
        .await
        .unwrap();
    assert_eq!(there.items, before.table(gateway_v4::TABLE));
    // What fits again is taken.
    host.replace(&gateways(20).collect()).unwrap();
    let after = until(&mut agent.view(), "the change that fits", |view| {
        view.status.rows == 20
    })
    .await;
    assert!(after.status.enforced > Some(Generation(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_device_says_so_and_waits() {
    let address = free_address();
    let lab = Lab::new(address);
    let agent = lab.agent().await;
    let host = lab.host(agent.api());
    host.replace(&state(5)).unwrap();
    until(&mut host.state(), "a stream", |state| state.connected).await;
    until(&mut agent.view(), "a reason", |view| {
        !view.detail.is_empty()
    })
    .await;
    let (code, why) = get(&agent, "/readyz").await;
    assert_eq!(code, 503);
    assert!(why.contains(&address.to_string()), "{why}");
    let client = client(&host).await;
    assert!(client.capability().await.is_err());
    assert!(client.drop_counters().await.is_err());
    let switch = crate::lab::switch(address);
    acknowledged(&host).await;
    ready(&agent).await;
    switch.shutdown();
}

/// What entries have counted, of a few at once; nobody has counted anything here, so nothing is kept
/// of entries that go.
#[tokio::test(flavor = "multi_thread")]
async fn counters_of_a_few_entries_are_read() {
    let switch = fresh_switch();
    let lab = Lab::new(switch.grpc_addr());
    let agent = lab.agent().await;
    let host = lab.host(agent.api());
    let verdict = |class| acl_verdict::deny(acl_verdict::key(class, 0, 0, 0), class);
    let mut rows = state(10);
    rows.put(verdict(8));
    rows.put(verdict(10));
    host.replace(&rows).unwrap();
    acknowledged(&host).await;
    let client = client(&host).await;
    let keys = [verdict(8).key, verdict(9).key, verdict(10).key];
    let mut counters = client.counters_of(&keys).await.unwrap();
    counters.sort_unstable_by(|a, b| a.row.cmp(&b.row));
    let read: Vec<_> = counters.into_iter().map(|counter| counter.row).collect();
    assert_eq!(
        read,
        [verdict(8), verdict(10)],
        "what is not there is left out"
    );
    let uncounted = [acl_host_v4::key(0x0a41_0000)];
    let error = client.counters_of(&uncounted).await.unwrap_err();
    assert!(error.to_string().contains("not counted"), "{error}");
    rows.take(&verdict(8).key);
    host.replace(&rows).unwrap();
    acknowledged(&host).await;
    let departed = client.departed("", 0).await.unwrap();
    assert!(!departed.ledger.is_empty());
    assert_eq!((departed.counters.len(), departed.lost), (0, 0));
}
