//! Table writes over P4Runtime: entries a second by kind of match and size of batch, the cost of the
//! millionth entry, memory, and reading a million back.
//!
//! Requests are made and encoded before the clock starts. Switches take turns in each round, each from an empty
//! table. The client is the same for all and shares the machine with them.

use std::time::Instant;

use prost::bytes::Bytes;
use tokio::runtime::Runtime;

use super::kinds::{Kinds, Match};
use super::peer::{Kind, PeerError, Switch};
use super::raw::{self, Raw};
use super::report::{Report, Sense, progress};
use super::{Args, BenchError, Peer};

/// Port that all entries name.
const PORT: u16 = 2;
/// Entries of the large table.
const MILLION: u64 = 1_000_000;
/// Entries at either end of it that are timed.
const END: u64 = 20_000;

/// Entries of a ternary table before its rate is taken, and those that are timed.
const FULL: u64 = 10_000;
const MORE: u64 = 5_000;

/// Times that each rate is taken in a round.
const TRIES: usize = 3;

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
                    let done = rate(&mut switch, &kinds, kind, way);
                    let (rate, cost) = runtime.block_on(done)?;
                    report.sample(&name, "entries/s", rate);
                    if let Some(cost) = cost {
                        report.sample(&format!("{name}: time on a core"), "us an entry", cost);
                    }
                }
            }
            let rate = runtime.block_on(rate_when_full(&mut switch, &kinds))?;
            report.sample(&when_full(peer.name), "entries/s", rate);
        }
    }
    judge(report);
    Ok(())
}

fn when_full(who: &str) -> String {
    format!("{who} ternary, batch 1000, into a table of 10 000 entries")
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
        "ternary, batch 1000, into a table of 10 000 entries: p4switch to bmv2",
        &when_full("p4switch"),
        &when_full("bmv2"),
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

/// Entries a second into an empty table, and microseconds that the switch had on a core for each: the
/// best of some tries, as others may use the machine as well.
async fn rate(
    switch: &mut Switch,
    kinds: &Kinds,
    kind: Match,
    way: Way,
) -> Result<(f64, Option<f64>), BenchError> {
    // Where neither gets slower with what is there, more of them, so that the time can be told.
    let entries = match kind {
        Match::Exact | Match::Lpm if way.batch > 1 => 5 * way.entries,
        _ => way.entries,
    };
    let (mut best, mut least): (f64, Option<f64>) = (0.0, None);
    for _ in 0..TRIES {
        let _primary = switch.push(kinds.config()).await?;
        let raw = Raw::connect(switch).await?;
        let requests = requests(switch, kinds, kind, 0..entries, way.batch);
        let before = switch.cpu_seconds();
        let seconds = raw.write(requests, way.flight).await?;
        let spent = before.and_then(|before| Some(switch.cpu_seconds()? - before));
        best = best.max(per_second(entries, seconds));
        let cost = spent.map(|spent| 1e6 / per_second(entries, spent));
        least = [least, cost].into_iter().flatten().reduce(f64::min);
    }
    Ok((best, least))
}

/// Entries a second into a ternary table that holds ten thousand, at best.
async fn rate_when_full(switch: &mut Switch, kinds: &Kinds) -> Result<f64, BenchError> {
    let mut best: f64 = 0.0;
    for _ in 0..TRIES {
        let _primary = switch.push(kinds.config()).await?;
        let raw = Raw::connect(switch).await?;
        let first = requests(switch, kinds, Match::Ternary, 0..FULL, 1000);
        raw.write(first, 1).await?;
        let more = FULL..FULL + MORE;
        let requests = requests(switch, kinds, Match::Ternary, more, 1000);
        let seconds = raw.write(requests, 1).await?;
        best = best.max(per_second(MORE, seconds));
    }
    Ok(best)
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn per_second(entries: u64, seconds: f64) -> f64 {
    entries as f64 / seconds.max(1e-9)
}

fn requests(
    switch: &Switch,
    kinds: &Kinds,
    kind: Match,
    numbers: std::ops::Range<u64>,
    batch: usize,
) -> Vec<Bytes> {
    let numbers: Vec<u64> = numbers.collect();
    let request = |part: &[u64]| {
        let updates = part.iter().map(|number| kinds.insert(kind, *number, PORT));
        raw::request(switch, updates.collect())
    };
    numbers.chunks(batch).map(request).collect()
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
        let raw = Raw::connect(&switch).await?;
        let part = async |numbers| {
            let requests = requests(&switch, kinds, Match::Exact, numbers, 1000);
            let before = switch.cpu_seconds();
            let seconds = raw.write(requests, 1).await?;
            let spent = before.and_then(|before| Some(switch.cpu_seconds()? - before));
            Ok::<_, PeerError>((seconds, spent.unwrap_or(seconds)))
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let each = |seconds: f64, entries: u64| seconds / entries as f64 * 1e6;
        let (mut seconds, first) = part(0..END).await?;
        let mut from = END;
        while from < MILLION - END {
            // In pieces: requests for all of them at once would take the memory that is measured.
            let to = (from + 10 * END).min(MILLION - END);
            seconds += part(from..to).await?.0;
            from = to;
        }
        let (end, last) = part(MILLION - END..MILLION).await?;
        seconds += end;
        let unit = "us on a core an entry";
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
