//! What ten thousand updates a second cost the packets.
//!
//! Slices with and without updates take turns in one run, on the very table in which the packets are
//! looked up. What is judged is the packet thread's time on a core for each packet: sender, writer
//! and switch share the cores, so the rate over the wire tells as well what the writer takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use p4runtime_proto::p4::v1::Update;
use p4runtime_proto::p4::v1::update::Type;
use tokio::runtime::Runtime;

use super::super::BenchError;
use super::super::kinds::{Kinds, Match};
use super::super::peer::{Kind, PeerError, Switch};
use super::super::raw::{self, Raw};
use super::super::report::{Report, Sense};
use super::super::wire::{PORTS, Wire};

/// Entries that the packets hit.
const ENTRIES: u64 = 10_000;
/// Updates of a request: inserts, then deletes of the same.
const BATCH: u64 = 100;
/// Time between two requests: ten thousand updates a second.
const PACE: Duration = Duration::from_millis(10);
/// Slices of each kind, and how long each is.
const SLICES: usize = 8;
const SLICE: Duration = Duration::from_millis(400);
/// Packets under way.
const WINDOW: u64 = 192;
/// The thread that forwards.
const THREAD: &str = "p4switch-packets";

/// Packets and time of the slices of one kind.
#[derive(Clone, Copy, Default)]
struct Sum {
    packets: u64,
    seconds: f64,
    rate: f64,
}

/// Measures ours.
pub(super) fn measure(
    wire: &Wire,
    kinds: &Kinds,
    runtime: &Runtime,
    kind: &Kind,
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut switch = Switch::start(kind, &PORTS)?;
    let _primary = runtime.block_on(switch.push(kinds.config()))?;
    let insert = |number| kinds.insert(Match::Exact, number, PORTS[1].0);
    let first: Vec<u64> = (0..ENTRIES).collect();
    let first = first.chunks(1000).map(|part| {
        let updates = part.iter().map(|number| insert(*number));
        raw::request(&switch, updates.collect())
    });
    let first = first.collect();
    runtime.block_on(async { Raw::connect(&switch).await?.write(first, 1).await })?;
    let inserts: Vec<Update> = (ENTRIES..ENTRIES + BATCH).map(insert).collect();
    let deletes = inserts.iter().map(|update| {
        let mut update = update.clone();
        update.r#type = Type::Delete.into();
        update
    });
    let requests = [
        raw::request(&switch, inserts.clone()),
        raw::request(&switch, deletes.collect()),
    ];
    let frames: Vec<Vec<u8>> = (0..ENTRIES)
        .map(|number| Kinds::frame(Match::Exact, number * 7919 % ENTRIES))
        .collect();
    let (writes, ends) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let applied = AtomicU64::new(0);
    let mut sums = [Sum::default(); 2];
    let mut writing = Duration::ZERO;
    let outcome = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let raw = Raw::connect(&switch).await?;
                let mut turns = tokio::time::interval(PACE);
                let mut next = 0;
                while !ends.load(Ordering::Relaxed) {
                    turns.tick().await;
                    if writes.load(Ordering::Relaxed) || next % 2 == 1 {
                        raw.write(vec![requests[next % 2].clone()], 1).await?;
                        applied.fetch_add(BATCH, Ordering::Relaxed);
                        next += 1;
                    }
                }
                Ok::<(), PeerError>(())
            })
        });
        let mut slices = || {
            wire.run(&frames, WINDOW, SLICE)?;
            for slice in 0..2 * SLICES {
                let busy = slice % 2 == 1;
                writes.store(busy, Ordering::Relaxed);
                let (began, before) = (Instant::now(), switch.thread_seconds(THREAD));
                let passed = wire.run(&frames, WINDOW, SLICE)?;
                let after = switch.thread_seconds(THREAD);
                let sum = &mut sums[usize::from(busy)];
                if let (Some(before), Some(after)) = (before, after) {
                    sum.packets += passed.delivered;
                    sum.seconds += after - before;
                }
                sum.rate += passed.rate;
                if busy {
                    writing += began.elapsed();
                }
            }
            Ok::<(), BenchError>(())
        };
        let done = slices();
        ends.store(true, Ordering::Relaxed);
        let written = writer.join();
        done?;
        written.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<(), BenchError>(())
    });
    outcome?;
    judge(sums, applied.into_inner(), writing, report);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn judge([quiet, busy]: [Sum; 2], applied: u64, writing: Duration, report: &mut Report) {
    let updates = applied as f64 / writing.as_secs_f64().max(1e-9);
    report.sample("updates beside the packets", "updates/s", updates);
    let cost = |sum: Sum| sum.seconds / (sum.packets.max(1) as f64) * 1e9;
    let unit = "ns of the packet thread a packet";
    report.sample("packets without updates", unit, cost(quiet));
    report.sample("packets beside 10 000 updates a second", unit, cost(busy));
    let rates = busy.rate / quiet.rate.max(1e-9);
    report.sample("share of the rate over veth pairs beside updates", "", rates);
}

/// Judges what was measured.
pub(super) fn target(report: &mut Report) {
    report.ratio(
        "beside 10 000 updates a second: packets for each second of the packet thread, to those without",
        "packets without updates",
        "packets beside 10 000 updates a second",
        Sense::AtLeast,
        0.99,
    );
}
