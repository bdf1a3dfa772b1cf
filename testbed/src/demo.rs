//! `testbed demo`: the main job with no hardware.
//!
//! *In:* a recorded stream of a real Felix. *Out:* the matrix of verdicts, what packets did beside
//! what the reference evaluator says, with the rule that decided. The chain consists of the
//! product's own programs; packets are real: kernel sockets between network namespaces for root,
//! frames over the switch's packet socket for anybody.

mod chain;
mod device;
mod flows;
mod kill;
mod plan;
mod player;
mod process;
mod report;
mod stream;
pub(crate) mod supervised;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::lab::namespaces::enter_private_network;
use crate::lab::{Lab, LabError, Place, Probe, memory, namespaces};
use chain::Chain;
use kill::Victim;
use plan::{Plan, Stage};
use process::Launcher;
use report::{Enforced, Report, StageReport};
use stream::Stream;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON document on standard output instead of the matrix.
    #[arg(long)]
    json: bool,

    /// The recorded stream to play: a name below testbed/cases/felix-streams, or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "small")]
    stream: String,

    /// Keep the folder with settings, certificates and logs, and say where it is.
    #[arg(long)]
    keep: bool,

    /// Kill a part with SIGKILL while packets flow, and show what that does to them.
    ///
    /// May be given many times.
    #[arg(long, value_enum)]
    kill: Vec<Victim>,

    /// Where packets flow: network namespaces (needs root) or ports in memory.
    ///
    /// Namespaces if this user may make them, else memory.
    #[arg(long, value_enum)]
    lab: Option<Mode>,

    /// Most flows to try at each stage.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    flows: usize,
}

/// Where packets flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Network namespaces, veth pairs, kernel sockets.
    Namespaces,
    /// Frames over the switch's packet socket.
    Memory,
}

/// Live changes that are timed one by one; beyond, the stream is played at full speed.
const TIMED_CHANGES: usize = 200;

pub(crate) fn run(args: Args) -> ExitCode {
    match try_run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            progress("packets and evaluator differ: see the lines that say DIFFERS or NOT OK");
            ExitCode::FAILURE
        }
        Err(error) => {
            crate::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn try_run(args: &Args) -> Result<bool, DemoError> {
    let stream = Stream::open(&args.stream)?;
    let folder = tempfile::Builder::new()
        .prefix("margay-demo-")
        .tempdir()
        .map_err(DemoError::Folder)?;
    let launcher = Launcher::find(folder.path())?;
    let started = Instant::now();
    let plan = Plan::of(&stream, args.flows)?;
    let mode = mode(args.lab)?;
    raise_descriptor_limit();
    // One thread: programs that are started end with the thread that has started them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DemoError::Folder)?;
    let done = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Folder)?;
        tokio::select! {
            done = show(args, &stream, &plan, mode, &launcher, folder.path(), started) => done,
            _ = tokio::signal::ctrl_c() => Err(DemoError::Interrupted),
            _ = terminate.recv() => Err(DemoError::Interrupted),
        }
    });
    // Whoever still runs is killed before the folder goes.
    drop(runtime);
    if args.keep {
        let kept = folder.keep();
        progress(&format!("kept: {}", kept.display()));
    }
    let report = done?;
    let mut out = std::io::stdout().lock();
    let written = if args.json {
        serde_json::to_writer(&mut out, &report)
            .map_err(std::io::Error::other)
            .and_then(|()| writeln!(out))
    } else {
        report.write(&mut out)
    };
    written.map_err(DemoError::Output)?;
    Ok(report.ok)
}

/// Moves into a network of its own for namespaces; before any other thread runs.
fn mode(wanted: Option<Mode>) -> Result<Mode, DemoError> {
    match wanted {
        Some(Mode::Memory) => Ok(Mode::Memory),
        Some(Mode::Namespaces) => {
            enter_private_network()?;
            Ok(Mode::Namespaces)
        }
        None => match enter_private_network() {
            Ok(()) => Ok(Mode::Namespaces),
            Err(_) => {
                progress(
                    "pods are ports in memory: this user may not make network namespaces (root may)",
                );
                Ok(Mode::Memory)
            }
        },
    }
}

async fn show(
    args: &Args,
    stream: &Stream,
    plan: &Plan,
    mode: Mode,
    launcher: &Launcher,
    folder: &Path,
    started: Instant,
) -> Result<Report, DemoError> {
    let topology = Arc::new(plan.topology.clone());
    let namespaces = match mode {
        Mode::Namespaces => {
            progress(&format!(
                "{} pods as network namespaces",
                topology.pods.len()
            ));
            Some(namespaces::Lab::build(Arc::clone(&topology)).await?)
        }
        Mode::Memory => None,
    };
    progress("starting p4switch, dpu-agent, host-agent and Felix's driver");
    let frames = stream.frames.clone();
    let mut chain = Chain::start(launcher, folder, &topology, mode, frames).await?;
    let mut lab = match namespaces {
        Some(lab) => Lab::Namespaces(lab),
        None => Lab::Memory(memory::Lab::build(topology, &chain.packet_socket()).await?),
    };
    let mut report = Report {
        stream: plan.stream.clone(),
        lab: lab.name(),
        pods: plan
            .topology
            .pods
            .iter()
            .map(|pod| pod.name().to_owned())
            .collect(),
        frames: stream.frames.len(),
        ..Report::default()
    };
    let mut from = 0;
    for stage in &plan.stages {
        play(&mut chain, from, stage, &mut report.enforced).await?;
        from = stage.frame + 1;
        report
            .stages
            .push(try_packets(&chain, &mut lab, plan, stage).await?);
    }
    let victims: Vec<Victim> = if args.kill.contains(&Victim::All) {
        Victim::EACH.to_vec()
    } else {
        args.kill.clone()
    };
    for victim in victims {
        progress(&format!("killing {}", victim.name()));
        report
            .kills
            .push(kill::kill(victim, &mut chain, &mut lab, plan).await?);
    }
    report.entries = chain.device().await?.entries().await?.len() as u64;
    report.status_to_felix = chain.told_to_felix();
    report.ok = report.stages.iter().all(|stage| stage.differ == 0)
        && report.kills.iter().all(|kill| kill.ok);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Plays up to a stage: the snapshot at once, live changes one by one as far as they can be timed.
async fn play(
    chain: &mut Chain,
    from: usize,
    stage: &Stage,
    enforced: &mut Vec<Enforced>,
) -> Result<(), DemoError> {
    let count = stage.frame + 1 - from;
    let live = from > 0;
    progress(&format!("playing {count} frames to frame {}", stage.frame));
    let mut note = |what: String, took: std::time::Duration| {
        enforced.push(Enforced {
            what,
            milliseconds: took.as_secs_f64() * 1e3,
        });
    };
    if live && count <= TIMED_CHANGES {
        for frame in from..=stage.frame {
            let took = chain.play(frame).await?;
            note(format!("frame {frame}"), took);
        }
    } else {
        let took = chain.play(stage.frame).await?;
        note(format!("{count} frames, up to frame {}", stage.frame), took);
    }
    Ok(())
}

/// Tries all flows of a stage.
async fn try_packets(
    chain: &Chain,
    lab: &mut Lab,
    plan: &Plan,
    stage: &Stage,
) -> Result<StageReport, DemoError> {
    progress(&format!(
        "{}: sending {} first packets",
        stage.title,
        stage.cases.len()
    ));
    let started = Instant::now();
    let mut device = chain.device().await?;
    let before = device.drops().await?;
    let gateways = lab.ask_gateways(&places(plan, stage)).await?;
    lab.calibrate(&mut device).await?;
    let probes: Vec<Probe> = stage.cases.iter().map(|case| case.probe.clone()).collect();
    let outcomes = lab.run(&probes, &mut device).await?;
    let mut report = StageReport::new(stage, &outcomes, &plan.topology);
    report.gateways = gateways;
    report.milliseconds = started.elapsed().as_millis();
    report.dropped = device.drops().await?;
    for (reason, count) in &mut report.dropped {
        *count = count.saturating_sub(before.get(reason).copied().unwrap_or(0));
    }
    report.dropped.retain(|_, count| *count > 0);
    Ok(report)
}

/// Where somebody is at this stage: active pods, and the network.
fn places(plan: &Plan, stage: &Stage) -> Vec<Place> {
    let pods = plan.topology.pods.iter().enumerate();
    let active = pods.filter(|(_, pod)| {
        let workload = stage.model.workload(&pod.id);
        workload.is_some_and(|workload| workload.active)
    });
    let active = active.map(|(index, _)| Place::Pod(index));
    active.chain([Place::Network]).collect()
}

/// As many descriptors as this user may have: each probe is a socket at either end.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // With fewer the lab says what it could not open.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// A line on standard error.
fn progress(line: &str) {
    // Progress that nobody can see is no reason to stop.
    let _ = writeln!(std::io::stderr().lock(), "demo: {line}");
}

/// Why the demo ended early.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    /// The stream cannot be cut into frames.
    #[error("Stream {name} is not whole. Copy or record it again")]
    Frames {
        /// Which.
        name: String,
        /// Where and why.
        source: felix_bridge::ReadError,
    },
    /// The stream's file.
    #[error(transparent)]
    Input(#[from] crate::replay::input::InputError),
    /// The stream says what no stream says.
    #[error("Stream {name} cannot be used")]
    Session {
        /// Which.
        name: String,
        /// Where and why.
        source: felix_bridge::SessionError,
    },
    /// The stream contradicts itself.
    #[error("Frame {frame} of stream {name} does not fit what came before")]
    Model {
        /// Which.
        name: String,
        /// From 0.
        frame: usize,
        /// Why.
        source: policy_model::ModelError,
    },
    /// The stream ends before its snapshot is complete.
    #[error(
        "Stream {name} ends after {frames} frames without an in-sync message, so nothing of it may \
         be enforced. Record it for longer"
    )]
    NotInSync {
        /// Which.
        name: String,
        /// How many it has.
        frames: usize,
    },
    /// More pods than the switch has ports.
    #[error("The stream names {count} pods; the switch has 509 ports for them")]
    TooManyPods {
        /// How many.
        count: usize,
    },
    /// A program is not there.
    #[error("{} is missing. Run: cargo build --release", path.display())]
    NoProgram {
        /// Where it should be.
        path: PathBuf,
    },
    /// cargo could not build.
    #[error("The agents and the switch cannot be built; see what cargo says above")]
    Build,
    /// This process cannot find itself or cargo.
    #[error("This program's own file, or cargo, cannot be found")]
    OwnProgram(#[source] std::io::Error),
    /// A folder or a port of its own.
    #[error("The demo cannot set itself up in its temporary folder")]
    Folder(#[source] std::io::Error),
    /// A program cannot be run.
    #[error("{program} cannot be started, stopped or asked")]
    Start {
        /// Which.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A program ended that should run.
    #[error("{program} has ended ({status}). It said last:\n{log}")]
    Ended {
        /// Which.
        program: &'static str,
        /// How.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// A program does not listen.
    #[error("{program} does not listen; its log is {}", log.display())]
    Silent {
        /// Which.
        program: &'static str,
        /// Its log.
        log: PathBuf,
    },
    /// The player is stuck.
    #[error("Felix cannot go on: {reason}")]
    Felix {
        /// Why.
        reason: String,
    },
    /// The chain is not whole.
    #[error("What Felix said is not enforced in time. The host agent says: {status}")]
    NotEnforced {
        /// Its state.
        status: String,
    },
    /// The switch has other entries than before.
    #[error("The switch had {had} entries and has {has} others, or others of them")]
    EntriesLost {
        /// Before.
        had: usize,
        /// After.
        has: usize,
    },
    /// The switch cannot be read.
    #[error("The switch cannot be read")]
    Device(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The lab.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// Standard output.
    #[error("The report cannot be written to standard output")]
    Output(#[source] std::io::Error),
    /// Ctrl-C or SIGTERM.
    #[error("Interrupted; everything that was started is gone")]
    Interrupted,
}

#[cfg(test)]
mod tests;
