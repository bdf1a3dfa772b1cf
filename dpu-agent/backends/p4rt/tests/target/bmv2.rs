//! Against `simple_switch_grpc`, where it is installed.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dpu_backend::{Backend, Outcome};
use p4_tables::{acl_host_v4, acl_net_v4, acl_settings, acl_verdict, endpoint_port};
use table_model::{Row, Update};

use crate::served::{backend, host, rows};

struct Bmv2 {
    child: Child,
    address: String,
}

impl Drop for Bmv2 {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Bmv2 {
    fn start() -> Option<Self> {
        // Ports that are free now; both at once, so that they differ.
        let free = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [address, thrift] = free.map(|free| free.local_addr().unwrap());
        let device = format!("inproc://notifications-{}", thrift.port());
        let child = Command::new("simple_switch_grpc")
            .args(["--no-p4", "--device-id", "1", "--log-level", "off"])
            .args(["--thrift-port", &thrift.port().to_string()])
            .args(["--notifications-addr", &device, "--"])
            .args(["--grpc-server-addr", &address.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let address = address.to_string();
        match child {
            Ok(child) => Some(Self { child, address }),
            Err(error) => {
                println!("SKIP bmv2: simple_switch_grpc cannot be run: {error}");
                None
            }
        }
    }

    async fn connected(&self) -> backend_p4rt::P4rt {
        let mut backend = backend(&self.address);
        let start = Instant::now();
        loop {
            match backend.connect().await {
                Ok(_) => return backend,
                Err(error) if start.elapsed() > Duration::from_secs(30) => panic!("{error}"),
                // Still starting.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

#[tokio::test]
async fn bmv2_takes_and_gives_back_every_kind_of_row() {
    let Some(bmv2) = Bmv2::start() else { return };
    let mut backend = bmv2.connected().await;
    let settings = |epoch| acl_settings::settings(acl_settings::key(), epoch, 4789, true, true);
    let verdict = acl_verdict::allow(acl_verdict::key(1, 0, 0, 0), 5);
    let port = endpoint_port::workload_port(endpoint_port::key(0), true, false);
    let any = acl_net_v4::net_label(acl_net_v4::key(0, 0), 3);
    let net = acl_net_v4::net_label(acl_net_v4::key(0x0a00_0000, 8), 4);
    assert!(rows(&mut backend, acl_settings::TABLE).await.is_empty());
    let wanted = [settings(7), verdict, port, any, net];
    let updates: Vec<Update> = wanted.iter().cloned().map(Update::Insert).collect();
    let report = backend.write(&updates).await;
    assert!(report.is_applied(), "{report:?}");
    for row in &wanted {
        let there = rows(&mut backend, row.key.table).await;
        assert!(there.contains(row), "{row:?} in {there:?}");
    }
    let report = backend
        .write(&[
            Update::Insert(host(1, 1)),
            Update::Insert(host(1, 2)),
            Update::Modify(host(2, 1)),
            Update::Delete(host(3, 1).key),
            Update::Modify(host(1, 9)),
        ])
        .await;
    assert_eq!(
        report.outcomes,
        [
            Outcome::Ok,
            Outcome::Exists,
            Outcome::Missing,
            Outcome::Missing,
            Outcome::Ok
        ]
    );
    let many: Vec<Row> = (10..5010).map(|address| host(address, 1)).collect();
    let updates: Vec<Update> = many.iter().cloned().map(Update::Insert).collect();
    assert!(backend.write(&updates).await.is_applied());
    assert_eq!(rows(&mut backend, acl_host_v4::TABLE).await.len(), 5001);
    let mut counters = Vec::new();
    backend
        .counters(acl_verdict::TABLE, &mut |piece| counters.extend(piece))
        .await
        .unwrap();
    assert_eq!(counters.len(), 1);
    assert_eq!(backend.drop_counters().await.unwrap().len(), 64);
    // Another run of the agent finds it all.
    drop(backend);
    let mut backend = bmv2.connected().await;
    assert_eq!(rows(&mut backend, acl_settings::TABLE).await, [settings(7)]);
    assert_eq!(rows(&mut backend, acl_host_v4::TABLE).await.len(), 5001);
    assert!(
        backend
            .write(&[Update::Delete(acl_settings::key())])
            .await
            .is_applied()
    );
    assert!(rows(&mut backend, acl_settings::TABLE).await.is_empty());
}

#[tokio::test]
async fn bmv2_says_nothing_useful_about_a_full_table() {
    let Some(bmv2) = Bmv2::start() else { return };
    let mut backend = bmv2.connected().await;
    // endpoint_port has 512 entries, and 9 bits of port.
    let size = p4_tables::schema()
        .table(endpoint_port::TABLE)
        .unwrap()
        .size;
    assert_eq!(size, 512);
    let size = p4_tables::schema()
        .table(p4_tables::gateway_v4::TABLE)
        .unwrap()
        .size;
    let gateway = |address| {
        let key = p4_tables::gateway_v4::key(true, address);
        Update::Insert(p4_tables::gateway_v4::gateway(key, 1))
    };
    let updates: Vec<Update> = (0..=u32::try_from(size).unwrap()).map(gateway).collect();
    let report = backend.write(&updates).await;
    let failed: Vec<&Outcome> = report
        .outcomes
        .iter()
        .filter(|o| **o != Outcome::Ok)
        .collect();
    assert!(
        matches!(failed[..], [Outcome::Failed(_) | Outcome::Full]),
        "{failed:?}"
    );
}
