//! Table writes over P4Runtime: entries a second by kind of match and size of batch, the cost of the
//! millionth entry, memory, and reading a million back.
//!
//! Requests are made before the clock starts. Switches take turns in each round, each from an empty
//! table. The client is the same for all and shares the machine with them.

use std::sync::Mutex;
use std::time::Instant;

use p4runtime_proto::Client;
use p4runtime_proto::client::Ready;
use p4runtime_proto::p4::v1::Update;
use p4runtime_proto::p4::v1::write_request::Atomicity;
use tokio::runtime::Runtime;

use super::kinds::{Kinds, Match};
use super::peer::{Kind, PeerError, Switch};
use super::report::{Report, Sense, progress};
use super::{Args, BenchError, Peer};

/// Port that all entries name.
const PORT: u16 = 2;
/// Entries of the large table.
const MILLION: u64 = 1_000_000;
/// Entries at either end of it that are timed.
const END: u64 = 20_000;

/// How entries are written.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    batch: usize,
    flight: usize,
    entries: u64,
}

const WAYS: [Way; 4] = [
    Way {
        name: "batch 1",
        batch: 1,
        flight: 1,
        entries: 2_000,
    },
    Way {
        name: "batch 1, eight in flight",
        batch: 1,
        flight: 8,
        entries: 4_000,
    },
    Way {
        name: "batch 100",
        batch: 100,
        flight: 1,
        entries: 10_000,
    },
    Way {
        name: "batch 1000",
        batch: 1000,
        flight: 1,
        entries: 10_000,
    },
];

/// Measures.
pub(super) fn run(args: &Args, report: &mut Report) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ours = Kind::p4switch()?;
    let mut all = vec![ours.clone()];
    if args.against.contains(&Peer::Bmv2) {
        let bmv2 = Kind::bmv2(&args.bmv2);
        if bmv2.is_installed() {
            all.push(bmv2);
        } else {
            report.skip("bmv2", &format!("{} is not installed", args.bmv2));
        }
    }
    let kinds = Kinds::new().map_err(PeerError::from)?;
    million(&runtime, &kinds, &ours, report)?;
    for round in 0..args.rounds {
        if round > 0 && !report.has_time() {
            break;
        }
        progress(&format!("round {} of {}", round + 1, args.rounds));
        for peer in &all {
            // One at a time: an idle switch is not idle enough on two cores.
            let mut switch = Switch::start(peer, &[])?;
            for kind in Match::ALL {
                for way in WAYS {
                    if round > 0 && !report.has_time() {
                        break;
                    }
                    let name = format!("{} {}, {}", peer.name, kind.name(), way.name);
                    let rate = runtime.block_on(rate(&mut switch, &kinds, kind, way))?;
                    report.sample(&name, "entries/s", rate);
                }
            }
        }
    }
    judge(report);
    Ok(())
}

fn judge(report: &mut Report) {
    for kind in Match::ALL {
        for (way, want) in WAYS.iter().zip([1.0, 3.0, 2.0, 2.0]) {
            let of = |who: &str| format!("{who} {}, {}", kind.name(), way.name);
            let name = format!("{}, {}: p4switch to bmv2", kind.name(), way.name);
            report.ratio(&name, &of("p4switch"), &of("bmv2"), Sense::AtLeast, want);
        }
    }
    report.ratio(
        "ternary, 10 000 entries: p4switch to bmv2",
        "p4switch ternary, batch 1000",
        "bmv2 ternary, batch 1000",
        Sense::AtLeast,
        20.0,
    );
    report.ratio(
        "cost of the millionth entry to the first",
        "p4switch exact, last of a million",
        "p4switch exact, first of a million",
        Sense::AtMost,
        1.5,
    );
    if let Some(seconds) = report.median("p4switch, a million entries read back") {
        let name = "seconds to read a million entries back";
        report.target(name, seconds, Sense::AtMost, 3.0);
    }
}

/// Entries a second into an empty table.
async fn rate(
    switch: &mut Switch,
    kinds: &Kinds,
    kind: Match,
    way: Way,
) -> Result<f64, BenchError> {
    let client = switch.push(kinds.config()).await?;
    let requests = requests(kinds, kind, 0..way.entries, way.batch);
    let seconds = write(switch, &client, requests, way.flight).await?;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let entries = way.entries as f64;
    Ok(entries / seconds)
}

fn requests(
    kinds: &Kinds,
    kind: Match,
    numbers: std::ops::Range<u64>,
    batch: usize,
) -> Vec<Vec<Update>> {
    let numbers: Vec<u64> = numbers.collect();
    let request = |part: &[u64]| {
        let updates = part.iter().map(|number| kinds.insert(kind, *number, PORT));
        updates.collect()
    };
    numbers.chunks(batch).map(request).collect()
}

/// Seconds that these requests take.
async fn write(
    switch: &Switch,
    client: &Client<Ready>,
    mut requests: Vec<Vec<Update>>,
    flight: usize,
) -> Result<f64, BenchError> {
    requests.reverse();
    let requests = Mutex::new(requests);
    let next = || {
        let mut requests = requests
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        requests.pop()
    };
    let began = Instant::now();
    let worker = async || {
        while let Some(updates) = next() {
            let done = client.write(updates, Atomicity::ContinueOnError).await;
            done.map_err(|error| PeerError::Control {
                name: switch.name,
                reason: offload_api::error_chain(&error),
            })?;
        }
        Ok::<(), PeerError>(())
    };
    let workers = futures::future::join_all((0..flight).map(|_| worker())).await;
    let seconds = began.elapsed().as_secs_f64();
    workers.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(seconds)
}

/// A million exact entries: the cost of the first and the last, memory, and the way back.
fn million(
    runtime: &Runtime,
    kinds: &Kinds,
    ours: &Kind,
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut switch = Switch::start(ours, &[])?;
    runtime.block_on(async {
        let client = switch.push(kinds.config()).await?;
        let empty = switch.resident();
        let part = async |numbers| {
            let requests = requests(kinds, Match::Exact, numbers, 1000);
            write(&switch, &client, requests, 1).await
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let each = |seconds: f64, entries: u64| seconds / entries as f64 * 1e6;
        let first = part(0..END).await?;
        let mut seconds = first;
        let mut from = END;
        while from < MILLION - END {
            // In pieces: requests for all of them at once would take the memory that is measured.
            let to = (from + 10 * END).min(MILLION - END);
            seconds += part(from..to).await?;
            from = to;
        }
        let last = part(MILLION - END..MILLION).await?;
        seconds += last;
        let unit = "us an entry";
        report.sample("p4switch exact, first of a million", unit, each(first, END));
        report.sample("p4switch exact, last of a million", unit, each(last, END));
        #[expect(clippy::cast_precision_loss, reason = "figures")]
        let (million, full) = (MILLION as f64, switch.resident());
        report.sample("p4switch exact, a million", "entries/s", million / seconds);
        if let (Some(empty), Some(full)) = (empty, full) {
            #[expect(clippy::cast_precision_loss, reason = "a figure")]
            let bytes = full.saturating_sub(empty) as f64;
            report.sample(
                "p4switch exact, memory (goal 64)",
                "bytes an entry",
                bytes / million,
            );
        }
        let began = Instant::now();
        let failed = |reason: String| PeerError::Control {
            name: "p4switch",
            reason,
        };
        let answers = client.read_table(kinds.table(Match::Exact), false).await;
        let mut answers = answers.map_err(|error| failed(offload_api::error_chain(&error)))?;
        let mut count = 0;
        loop {
            let piece = answers.next().await;
            match piece.map_err(|error| failed(offload_api::error_chain(&error)))? {
                Some(piece) => count += piece.len() as u64,
                None => break,
            }
        }
        if count != MILLION {
            return Err(failed(format!("{count} of {MILLION} entries were read back")).into());
        }
        let seconds = began.elapsed().as_secs_f64();
        report.sample("p4switch, a million entries read back", "s", seconds);
        Ok(())
    })
}
