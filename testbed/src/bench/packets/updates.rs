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
use super::super::wire::{PORTS, Passed, Wire};

/// Entries that the packets hit.
const ENTRIES: u64 = 10_000;
/// Updates of a request: inserts, then deletes of the same.
const BATCH: u64 = 100;
/// Time between two requests: ten thousand updates a second.
const PACE: Duration = Duration::from_millis(10);
/// Pairs of a slice with and one without updates, and how long a slice is.
const PAIRS: usize = 12;
const SLICE: Duration = Duration::from_millis(300);
/// Packets under way.
const WINDOW: u64 = 192;
/// The thread that forwards.
const THREAD: &str = "p4switch-packets";

/// What a slice came to.
#[derive(Clone, Copy, Default)]
struct Slice {
    /// Nanoseconds that the packet thread had on a core for each packet.
    cost: f64,
    /// Packets a second.
    rate: f64,
}

/// The figure that is judged.
const KEPT: &str = "packets for each second of the packet thread beside updates, to those without";

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
    let mut pairs = [[Slice::default(); 2]; PAIRS];
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
            for (at, pair) in pairs.iter_mut().enumerate() {
                for turn in 0..2 {
                    // Each comes first as often: whatever drifts falls on both.
                    let busy = (at + turn) % 2 == 1;
                    writes.store(busy, Ordering::Relaxed);
                    let (began, before) = (Instant::now(), switch.thread_seconds(THREAD));
                    let passed = wire.run(&frames, WINDOW, SLICE)?;
                    let after = switch.thread_seconds(THREAD);
                    let spent = before.and_then(|before| Some(after? - before));
                    pair[usize::from(busy)] = Slice::of(spent, passed);
                    if busy {
                        writing += began.elapsed();
                    }
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
    judge(&pairs, applied.into_inner(), writing, report);
    Ok(())
}

impl Slice {
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    fn of(spent: Option<f64>, passed: Passed) -> Self {
        let packets = passed.delivered.max(1) as f64;
        Self {
            cost: spent.unwrap_or_default() * 1e9 / packets,
            rate: passed.rate,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn judge(pairs: &[[Slice; 2]], applied: u64, writing: Duration, report: &mut Report) {
    let updates = applied as f64 / writing.as_secs_f64().max(1e-9);
    report.sample("updates beside the packets", "updates/s", updates);
    for [quiet, busy] in pairs {
        let unit = "ns of the packet thread a packet";
        report.note("packets without updates", unit, quiet.cost);
        report.note("packets beside 10 000 updates a second", unit, busy.cost);
        report.note(KEPT, "", quiet.cost / busy.cost.max(1e-9));
        let share = busy.rate / quiet.rate.max(1e-9);
        report.note(
            "share of the rate over veth pairs beside updates",
            "",
            share,
        );
    }
}

/// Judges what was measured.
pub(super) fn target(report: &mut Report) {
    if let Some(kept) = report.median(KEPT) {
        let name = format!("beside 10 000 updates a second: {KEPT}");
        report.target(&name, kept, Sense::AtLeast, 0.99);
    }
}
