//! Agents, targets and hosts that go away and come back.

use std::sync::Arc;
use std::time::Instant;

use backend_p4rt::{P4rt, Pipeline};
use dpu_agent::{Agent, Device};
use dpu_backend::{Backend, Faults, Faulty};
use dpu_reconciler::Drift;
use p4_tables::{acl_host_v4, acl_settings};
use table_model::{Row, TableSnapshot, Update};

use crate::lab::{Lab, acknowledged, free_address, fresh_switch, ready, state, switch, until};

async fn target_rows(address: std::net::SocketAddr) -> (P4rt, TableSnapshot) {
    let target = backend_p4rt::Target::new(address.to_string(), 0);
    let mut other = P4rt::new(target, Arc::new(Pipeline::built_in().unwrap()));
    other.connect().await.unwrap();
    let mut rows = TableSnapshot::new();
    for table in &p4_tables::schema().tables {
        let mut sink = |piece: Vec<Row>| {
            for row in piece {
                rows.put(row);
            }
        };
        other.read(table.id, &mut sink).await.unwrap();
    }
    (other, rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_agent_writes_nothing_if_nothing_changed() {
    let switch = fresh_switch();
    let mut lab = Lab::new(switch.grpc_addr());
    let agent = lab.agent().await;
    let host = lab.host(agent.api());
    let rows = state(2000);
    host.replace(&rows).unwrap();
    acknowledged(&host).await;
    // Dropping ends it like a kill; stopping ends it in order. Neither touches the target.
    for orderly in [false, true, false] {
        lab.config.listen = free_address();
        let agent = lab.agent().await;
        let host = lab.host(agent.api());
        host.replace(&rows).unwrap();
        let acked = acknowledged(&host).await.ack.unwrap();
        assert_eq!((acked.written, acked.unchanged), (0, 2002));
        assert_eq!(ready(&agent).await.status.updates, 0);
        if orderly {
            agent.stop().await.unwrap();
        }
    }
    let (_, there) = target_rows(switch.grpc_addr()).await;
    assert_eq!(there, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_survives_the_agents_death_and_goes_on() {
    let switch = fresh_switch();
    let lab = Lab::new(switch.grpc_addr());
    let agent = lab.agent().await;
    let host = lab.host(agent.api());
    host.replace(&state(500)).unwrap();
    acknowledged(&host).await;
    agent.stop().await.unwrap();
    until(&mut host.state(), "the loss", |state| !state.connected).await;
    let rows = state(510);
    host.replace(&rows).unwrap();
    let agent = lab.agent().await;
    let acked = acknowledged(&host).await.ack.unwrap();
    assert_eq!(
        acked.written, 10,
        "the new agent knows no session and subtracts"
    );
    assert_eq!(ready(&agent).await.status.updates, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_was_killed_gets_everything_back() {
    let first = fresh_switch();
    let address = first.grpc_addr();
    let lab = Lab::new(address);
    let agent = lab.agent().await;
    let host = lab.host(agent.api());
    let rows = state(20_000);
    host.replace(&rows).unwrap();
    acknowledged(&host).await;
    first.shutdown();
    until(&mut agent.view(), "the loss", |view| !view.status.connected).await;
    let start = Instant::now();
    let second = switch(address);
    let view = until(&mut agent.view(), "the rows", |view| {
        view.status.restored >= 20_002 && view.ready()
    })
    .await;
    println!(
        "{} rows restored in {:?}",
        view.status.restored,
        start.elapsed()
    );
    let (_, there) = target_rows(address).await;
    assert_eq!(there, rows);
    second.shutdown();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_someone_else_changes_is_put_right() {
    let switch = fresh_switch();
    let mut lab = Lab::new(switch.grpc_addr());
    lab.config.reconcile.drift_seconds = 1;
    let agent = lab.agent().await;
    let host = lab.host(agent.api());
    let rows = state(100);
    host.replace(&rows).unwrap();
    acknowledged(&host).await;
    let (mut other, there) = target_rows(switch.grpc_addr()).await;
    assert_eq!(there, rows);
    let hosts = rows.table(acl_host_v4::TABLE);
    let changed = acl_host_v4::host_label(hosts[1].key.clone(), 99);
    let foreign = acl_host_v4::host_label(acl_host_v4::key(1), 1);
    let report = other
        .write(&[
            Update::Delete(hosts[0].key.clone()),
            Update::Modify(changed),
            Update::Insert(foreign),
            Update::Delete(acl_settings::key()),
        ])
        .await;
    // The agent notices that it was overtaken and takes over again at once, maybe before that.
    println!("the other controller wrote: {report:?}");
    drop(other);
    until(&mut agent.view(), "the repair", |view| {
        view.connects > 1 && view.ready() && view.status.drift_checks > 0
    })
    .await;
    let (_, there) = target_rows(switch.grpc_addr()).await;
    assert_eq!(there, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_found_by_the_timer_and_counted() {
    let device = dpu_backend::MemoryDevice::new(Arc::new(p4_tables::schema().clone()));
    let mut lab = Lab::new("127.0.0.1:1".parse().unwrap());
    lab.config.reconcile.drift_seconds = 1;
    let agent = Agent::start_with(lab.config.clone(), Device::Memory(device.backend()))
        .await
        .unwrap();
    let host = lab.host(agent.api());
    let rows = state(50);
    host.replace(&rows).unwrap();
    acknowledged(&host).await;
    let gone = rows.table(acl_host_v4::TABLE)[7].key.clone();
    device.disturb(|there| drop(there.take(&gone)));
    let view = until(&mut agent.view(), "the repair", |view| {
        view.status.drift.total() > 0
    })
    .await;
    let missing = Drift {
        missing: 1,
        ..Drift::default()
    };
    assert_eq!(view.status.drift, missing);
    assert_eq!(device.rows(), rows);
    until(&mut host.state(), "the news", |state| {
        state.status.drift_repaired == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_fails_now_and_then_gets_there() {
    let device = dpu_backend::MemoryDevice::new(Arc::new(p4_tables::schema().clone()));
    let crashed = device.clone();
    let faults = Faults {
        fail: 0.02,
        lose_answer: 0.02,
        break_off: 0.2,
        read: 0.05,
        connect: 0.2,
        crash_after: Some(700),
        reorder: true,
    };
    let faulty = Faulty::new(device.backend(), faults, 20).on_crash(move || crashed.restart());
    let lab = Lab::new("127.0.0.1:1".parse().unwrap());
    let agent = Agent::start_with(lab.config.clone(), Device::Faulty(Box::new(faulty)))
        .await
        .unwrap();
    let host = lab.host(agent.api());
    let mut view = agent.view();
    for hosts in [300, 500, 100, 600] {
        let rows = state(hosts);
        let generation = host.replace(&rows).unwrap();
        until(&mut view, "the generation", |view| {
            view.observed == generation && view.ready()
        })
        .await;
        assert_eq!(device.rows(), rows);
    }
    assert!(view.borrow().connects > 1, "nothing went wrong");
}
