//! Against servers of several manners.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backend_p4rt::{P4rt, Pipeline, Target};
use dpu_backend::{Backend, CounterValue, DeviceError, Outcome};
use p4_tables::{acl_host_v4, acl_net_v4, acl_settings, acl_verdict};
use table_model::{Row, TableId, Update};
use tonic::Code;

use crate::fake::{Manners, Running};

pub(crate) fn backend(address: impl std::fmt::Display) -> P4rt {
    let target = Target {
        deadline: Duration::from_secs(10),
        ..Target::new(address.to_string(), 1)
    };
    P4rt::new(target, Arc::new(Pipeline::built_in().unwrap()))
}

pub(crate) fn host(address: u32, label: u32) -> Row {
    acl_host_v4::host_label(acl_host_v4::key(address), label)
}

pub(crate) async fn rows(backend: &mut P4rt, table: TableId) -> Vec<Row> {
    let mut rows = Vec::new();
    backend
        .read(table, &mut |piece| rows.extend(piece))
        .await
        .unwrap();
    rows.sort_unstable();
    rows
}

fn settings(epoch: u16) -> Row {
    acl_settings::settings(acl_settings::key(), epoch, 4789, true, true)
}

#[tokio::test]
async fn rows_are_written_in_batches_and_read_back() {
    for manners in [Manners::SPEC, Manners::BMV2, Manners::TERSE] {
        let running = Running::start(manners).await;
        let mut backend = backend(running.address);
        let capability = backend.connect().await.unwrap();
        assert!(capability.target.contains("1.3.0"), "{}", capability.target);
        let want: Vec<Row> = (0..2345)
            .map(|address| host(address, address + 1))
            .collect();
        let updates: Vec<Update> = want.iter().cloned().map(Update::Insert).collect();
        assert!(backend.write(&updates).await.is_applied());
        assert_eq!(running.fake.writes.load(Ordering::Relaxed), 5);
        assert_eq!(running.fake.largest.load(Ordering::Relaxed), 500);
        assert_eq!(rows(&mut backend, acl_host_v4::TABLE).await, want);
        let default_route = acl_net_v4::net_label(acl_net_v4::key(0, 0), 9);
        let report = backend
            .write(&[Update::Insert(default_route.clone())])
            .await;
        assert!(report.is_applied());
        assert_eq!(rows(&mut backend, acl_net_v4::TABLE).await, [default_route]);
    }
}

#[tokio::test]
async fn every_update_gets_its_own_outcome() {
    let failed = |code: Code| Outcome::Failed(format!("{code:?} without a word").into());
    for (manners, full) in [
        (Manners::SPEC, Outcome::Full),
        (Manners::TERSE, Outcome::Full),
        (Manners::BMV2, failed(Code::Unknown)),
    ] {
        let running = Running::start(Manners { size: 3, ..manners }).await;
        let mut backend = backend(running.address);
        backend.connect().await.unwrap();
        let report = backend
            .write(&[
                Update::Insert(host(1, 1)),
                Update::Insert(host(1, 2)),
                Update::Insert(host(2, 1)),
                Update::Modify(host(3, 1)),
                Update::Delete(host(4, 1).key),
                Update::Modify(host(2, 7)),
                Update::Insert(host(5, 1)),
                Update::Insert(host(6, 1)),
            ])
            .await;
        assert_eq!(
            report.outcomes,
            [
                Outcome::Ok,
                Outcome::Exists,
                Outcome::Ok,
                Outcome::Missing,
                Outcome::Missing,
                Outcome::Ok,
                Outcome::Ok,
                full
            ]
        );
        assert_eq!(
            rows(&mut backend, acl_host_v4::TABLE).await,
            [host(1, 1), host(2, 7), host(5, 1)]
        );
    }
}

#[tokio::test]
async fn rows_of_another_schema_never_reach_the_wire() {
    let running = Running::start(Manners::SPEC).await;
    let mut backend = backend(running.address);
    backend.connect().await.unwrap();
    let mut short = host(1, 1);
    short.key.bytes.pop();
    let report = backend
        .write(&[Update::Insert(short), Update::Insert(host(2, 1))])
        .await;
    assert!(matches!(
        report.outcomes[..],
        [Outcome::Refused(_), Outcome::Ok]
    ));
    assert_eq!(running.entries(), 1);
}

#[tokio::test]
async fn the_default_entry_is_a_row_once_it_differs_or_was_written() {
    let running = Running::start(Manners::SPEC).await;
    let mut first = backend(running.address);
    first.connect().await.unwrap();
    assert!(rows(&mut first, acl_settings::TABLE).await.is_empty());
    // The pipeline's own initial entry, written nevertheless.
    assert!(
        first
            .write(&[Update::Insert(settings(0))])
            .await
            .is_applied()
    );
    assert_eq!(rows(&mut first, acl_settings::TABLE).await, [settings(0)]);
    assert!(
        first
            .write(&[Update::Modify(settings(3))])
            .await
            .is_applied()
    );
    let mut second = backend(running.address);
    second.connect().await.unwrap();
    assert_eq!(rows(&mut second, acl_settings::TABLE).await, [settings(3)]);
    assert!(
        second
            .write(&[Update::Delete(acl_settings::key())])
            .await
            .is_applied()
    );
    assert!(rows(&mut second, acl_settings::TABLE).await.is_empty());
}

#[tokio::test]
async fn the_pipeline_is_pushed_only_where_another_one_runs() {
    let running = Running::start(Manners::SPEC).await;
    let mut first = backend(running.address);
    first.connect().await.unwrap();
    assert!(
        first
            .write(&[Update::Insert(host(1, 1))])
            .await
            .is_applied()
    );
    let mut second = backend(running.address);
    second.connect().await.unwrap();
    assert_eq!(running.fake.pushes.load(Ordering::Relaxed), 1);
    assert_eq!(rows(&mut second, acl_host_v4::TABLE).await, [host(1, 1)]);
    running.forget_pipeline();
    // The write finds out, and the next connect repairs it.
    let report = second.write(&[Update::Insert(host(2, 1))]).await;
    assert!(matches!(report.outcomes[..], [Outcome::Lost(_)]));
    second.lost().await;
    second.connect().await.unwrap();
    assert_eq!(running.fake.pushes.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_newer_session_takes_over_and_the_older_one_notices() {
    let running = Running::start(Manners::SPEC).await;
    let mut first = backend(running.address);
    first.connect().await.unwrap();
    let mut second = backend(running.address);
    second.connect().await.unwrap();
    let report = first.write(&[Update::Insert(host(1, 1))]).await;
    assert!(matches!(report.outcomes[..], [Outcome::Lost(_)]));
    assert_eq!(running.entries(), 0);
    running.overtake().await;
    let lost = second.lost().await;
    assert!(matches!(lost, DeviceError::NotPrimary { .. }), "{lost}");
    // Somebody with the highest id of all cannot be outbid.
    let refused = second.connect().await.unwrap_err();
    assert!(matches!(
        refused,
        DeviceError::NotPrimary {
            theirs: u128::MAX,
            ..
        }
    ));
}

#[tokio::test]
async fn a_target_that_goes_is_noticed_and_found_again() {
    let running = Running::start(Manners::SPEC).await;
    let mut backend = backend(running.address);
    backend.connect().await.unwrap();
    assert!(
        backend
            .write(&[Update::Insert(host(1, 1))])
            .await
            .is_applied()
    );
    let running = running.restart(true).await;
    let lost = backend.lost().await;
    assert!(matches!(lost, DeviceError::Broken { .. }), "{lost}");
    backend.connect().await.unwrap();
    assert!(rows(&mut backend, acl_host_v4::TABLE).await.is_empty());
    assert_eq!(running.fake.pushes.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut backend = backend(address);
    let error = backend.connect().await.unwrap_err();
    assert!(matches!(error, DeviceError::Unreachable { .. }));
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(matches!(
        backend.write(&[Update::Insert(host(1, 1))]).await.outcomes[..],
        [Outcome::Lost(_)]
    ));
    backend.lost().await;
}

#[tokio::test]
async fn counters_are_read() {
    let running = Running::start(Manners::SPEC).await;
    let mut backend = backend(running.address);
    backend.connect().await.unwrap();
    let key = acl_verdict::key(1, 2, 3, 4);
    let row = acl_verdict::allow(key.clone(), 77);
    assert!(backend.write(&[Update::Insert(row)]).await.is_applied());
    let mut counters = Vec::new();
    backend
        .counters(acl_verdict::TABLE, &mut |piece| counters.extend(piece))
        .await
        .unwrap();
    let value = CounterValue {
        packets: 2,
        bytes: 120,
    };
    assert_eq!(counters, [dpu_backend::EntryCounter { key, value }]);
    backend
        .counters(acl_host_v4::TABLE, &mut |piece| assert!(piece.is_empty()))
        .await
        .unwrap();
    let drops = backend.drop_counters().await.unwrap();
    assert_eq!(drops.len(), 4);
    assert_eq!(
        drops[3],
        CounterValue {
            packets: 3,
            bytes: 180
        }
    );
}
