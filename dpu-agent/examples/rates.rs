//! Rows a second: reconciler over memory, and over P4Runtime to a target.
//!
//! `cargo run --release -p dpu-agent --example rates [ROWS [HOST:PORT]]`. Without an address the target
//! is `p4switch` in this process; with one it is whoever listens there, and its entries are replaced.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backend_p4rt::{P4rt, Pipeline, Target};
use dpu_backend::{Backend, MemoryDevice};
use dpu_reconciler::{Input, Output, Reconciler, Report, Session, Settings};
use p4_tables::{acl_host_group, acl_host_v4, acl_settings, acl_verdict};
use table_model::{Generation, Row, TableSnapshot, Update};

type Make = fn(&Row) -> Update;
type Outcome<T> = Result<T, Box<dyn Error>>;

/// A third each of labels, groups and verdicts.
fn state(rows: u32) -> TableSnapshot {
    let settings = acl_settings::settings(acl_settings::key(), 1, 4789, true, true);
    (0..rows / 3)
        .flat_map(|i| {
            [
                acl_host_v4::host_label(acl_host_v4::key(0x0a00_0000 + i), i),
                acl_host_group::host_group(acl_host_group::key(i % 50, i), 1, i % 7),
                acl_verdict::allow(acl_verdict::key(i % 50, i, 1, 0), i),
            ]
        })
        .chain([settings])
        .collect()
}

async fn drive<B: Backend>(
    reconciler: &mut Reconciler,
    device: &mut B,
    start: Instant,
) -> Outcome<Vec<Report>> {
    let mut reports = Vec::new();
    while let Some(output) = reconciler.next(start.elapsed()) {
        match output {
            Output::Read(table) => {
                let mut sink = |rows| reconciler.handle(start.elapsed(), Input::Rows(rows));
                device.read(table, &mut sink).await?;
                reconciler.handle(start.elapsed(), Input::ReadEnd(Ok(())));
            }
            Output::Write(updates) => {
                let report = device.write(&updates).await;
                reconciler.handle(start.elapsed(), Input::Written(report));
            }
            Output::Report(report) => reports.push(report),
        }
    }
    Ok(reports)
}

async fn measure<B: Backend>(name: &str, device: &mut B, rows: u32) -> Outcome<()> {
    let mut out = std::io::stdout();
    let schema = Arc::new(p4_tables::schema().clone());
    let settings = Settings {
        drift_every: Duration::from_secs(3600),
        ..Settings::default()
    };
    for what in ["first snapshot", "same snapshot, new agent"] {
        let rows = state(rows);
        let count = rows.len();
        let mut reconciler = Reconciler::new(Arc::clone(&schema), settings);
        let capability = device.connect().await?;
        let start = Instant::now();
        reconciler.handle(start.elapsed(), Input::Connected(capability));
        reconciler.handle(
            start.elapsed(),
            Input::Snapshot {
                session: Session("rates".into()),
                generation: Generation(1),
                rows,
            },
        );
        let reports = drive(&mut reconciler, device, start).await?;
        let took = start.elapsed();
        let rate = f64::from(u32::try_from(count)?) / took.as_secs_f64();
        let status = reconciler.status();
        writeln!(
            out,
            "{name}: {what}: {count} rows in {took:.2?}, {rate:.0} rows/s, {} updates, in sync: {}",
            status.updates, status.in_sync
        )?;
        if !status.in_sync {
            return Err(format!("{reports:?}").into());
        }
    }
    Ok(())
}

async fn writes(device: &mut P4rt, rows: u32) -> Outcome<()> {
    let mut out = std::io::stdout();
    let row = |i| acl_host_v4::host_label(acl_host_v4::key(0xac10_0000 + i), 1);
    let rows: Vec<Row> = (0..rows.min(200_000)).map(row).collect();
    let kinds: [(&str, Make); 3] = [
        ("insert", |row| Update::Insert(row.clone())),
        ("modify", |row| Update::Modify(row.clone())),
        ("delete", |row| Update::Delete(row.key.clone())),
    ];
    for (kind, update) in kinds {
        let updates: Vec<Update> = rows.iter().map(update).collect();
        let start = Instant::now();
        let report = device.write(&updates).await;
        let rate = f64::from(u32::try_from(rows.len())?) / start.elapsed().as_secs_f64();
        writeln!(
            out,
            "p4rt: {kind}: {rate:.0} updates/s, all applied: {}",
            report.is_applied()
        )?;
        if kind == "modify" {
            let (start, mut count) = (Instant::now(), 0_u32);
            let mut sink = |piece: Vec<Row>| count += u32::try_from(piece.len()).unwrap_or(0);
            device.read(acl_host_v4::TABLE, &mut sink).await?;
            let rate = f64::from(count) / start.elapsed().as_secs_f64();
            writeln!(out, "p4rt: read: {rate:.0} rows/s")?;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let rows = arguments.next().map_or(Ok(500_000), |rows| rows.parse())?;
    let mut memory = MemoryDevice::new(Arc::new(p4_tables::schema().clone())).backend();
    measure("memory", &mut memory, rows).await?;
    let (address, switch) = match arguments.next() {
        Some(address) => (address, None),
        None => {
            let switch = p4switch::Switch::start(p4switch::Config::default())?;
            (switch.grpc_addr().to_string(), Some(switch))
        }
    };
    let pipeline = Arc::new(Pipeline::built_in()?);
    let mut device = P4rt::new(Target::new(address, 1), pipeline);
    device.connect().await?;
    writes(&mut device, rows).await?;
    measure("p4rt", &mut device, rows).await?;
    if let Some(switch) = switch {
        switch.shutdown();
    }
    Ok(())
}
