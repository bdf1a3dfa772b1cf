//! Packets a second: through the project's own pipeline and through a ternary table, over veth pairs
//! beside the peer, and of the engine alone.

mod alone;
mod engines;
mod updates;
mod world;

use std::time::Duration;

use p4runtime_proto::p4::v1::write_request::Atomicity;
use tokio::runtime::Runtime;

use super::kinds::{Kinds, Match};
use super::peer::{Kind, PeerError, Switch};
use super::report::{Report, Sense, progress};
use super::wire::{PORTS, Wire};
use super::{Args, BenchError, Peer};
use crate::lab::namespaces::enter_private_network;
use world::World;

/// Entries of the pipeline when it is measured over the wire.
const ENTRIES: u32 = 10_000;
/// Entries of the ternary table, with a hundred masks.
const TERNARY: u64 = 10_000;
/// Time of one measurement at one window.
const EACH: Duration = Duration::from_millis(700);

/// Measures.
pub(super) fn run(args: &Args, report: &mut Report) -> Result<(), BenchError> {
    // Before any other thread runs.
    let private = enter_private_network();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for round in 0..args.rounds {
        if round > 0 && !report.has_time() {
            break;
        }
        progress(&format!(
            "engine alone, round {} of {}",
            round + 1,
            args.rounds
        ));
        alone::measure(report)?;
    }
    report.ratio(
        "engine alone, pipeline: a million entries to a thousand",
        &alone::name(1_000_000),
        &alone::name(1_000),
        Sense::AtLeast,
        0.7,
    );
    let bmv2 = Kind::bmv2(&args.bmv2);
    let beside = args.against.contains(&Peer::Bmv2);
    if beside && bmv2.is_installed() {
        for round in 0..args.rounds.min(3) {
            if round > 0 && !report.has_time() {
                break;
            }
            engines::measure_bmv2(&bmv2, report)?;
        }
        report.ratio(
            "without a network, packets from memory here and from a file in bmv2, ternary with \
             10 000 entries of 100 masks: p4switch to bmv2",
            &engines::name("p4switch"),
            &engines::name("bmv2"),
            Sense::AtLeast,
            100.0,
        );
    }
    match private {
        Ok(()) => over_the_wire(args, &runtime, report)?,
        Err(_) => report.skip(
            "packets over veth pairs",
            "this user may not make a network of its own (root may)",
        ),
    }
    Ok(())
}

fn over_the_wire(args: &Args, runtime: &Runtime, report: &mut Report) -> Result<(), BenchError> {
    let wire = runtime.block_on(Wire::build())?;
    let mut all = vec![Kind::p4switch()?];
    if args.against.contains(&Peer::Bmv2) {
        let bmv2 = Kind::bmv2(&args.bmv2);
        if bmv2.is_installed() {
            all.push(bmv2);
        } else {
            report.skip("bmv2", &format!("{} is not installed", args.bmv2));
        }
    }
    let world = World::new(ENTRIES)?;
    let kinds = Kinds::new().map_err(PeerError::from)?;
    for round in 0..args.rounds {
        if round > 0 && !report.has_time() {
            break;
        }
        progress(&format!(
            "over veth pairs, round {} of {}",
            round + 1,
            args.rounds
        ));
        updates::measure(&wire, &kinds, runtime, &all[0], report)?;
        for peer in &all {
            let mut switch = Switch::start(peer, &PORTS)?;
            let name = pipeline(peer.name);
            let rows = world.program(runtime, &mut switch)?;
            progress(&format!("{} holds {rows} entries", peer.name));
            let passed = wire.best(&name, &world.frames(), EACH)?;
            report.sample(&name, "packets/s", passed.rate);
            drop(switch);

            let mut switch = Switch::start(peer, &PORTS)?;
            runtime.block_on(ternary_entries(&mut switch, &kinds))?;
            let name = ternary(peer.name);
            let frames: Vec<Vec<u8>> = (0..TERNARY)
                .map(|number| Kinds::frame(Match::Ternary, number * 7919 % TERNARY))
                .collect();
            let passed = wire.best(&name, &frames, EACH)?;
            report.sample(&name, "packets/s", passed.rate);
        }
    }
    report.ratio(
        "over veth pairs, pipeline with 10 000 entries: p4switch to bmv2",
        &pipeline("p4switch"),
        &pipeline("bmv2"),
        Sense::AtLeast,
        10.0,
    );
    let share = |report: &Report| {
        Some(report.median(&ternary("p4switch"))? / report.median(&ternary("bmv2"))?)
    };
    if let Some(share) = share(report) {
        // Not judged: the kernel and the sender bound it. See `engines`.
        let name = "over veth pairs, ternary with 10 000 entries of 100 masks: p4switch to bmv2";
        report.sample(name, "times", share);
    }
    updates::target(report);
    Ok(())
}

fn pipeline(who: &str) -> String {
    format!("{who} over veth pairs, pipeline with 10 000 entries")
}

fn ternary(who: &str) -> String {
    format!("{who} over veth pairs, ternary with 10 000 entries of 100 masks")
}

async fn ternary_entries(switch: &mut Switch, kinds: &Kinds) -> Result<(), BenchError> {
    let client = switch.push(kinds.config()).await?;
    let numbers: Vec<u64> = (0..TERNARY).collect();
    for part in numbers.chunks(1000) {
        let updates = part
            .iter()
            .map(|number| kinds.insert(Match::Ternary, *number, PORTS[1].0))
            .collect();
        let done = client.write(updates, Atomicity::ContinueOnError).await;
        done.map_err(|error| PeerError::Control {
            name: switch.name,
            reason: offload_api::error_chain(&error),
        })?;
    }
    Ok(())
}
