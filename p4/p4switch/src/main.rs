//! The binary `p4switch`; see the library.

use std::{
    error::Error,
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use p4switch::{
    Handle, Observe, Stats, Switch,
    cli::{self, CommandLine, RunArguments},
};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = match cli::parse(std::env::args_os()) {
        Ok(CommandLine::Serve(arguments)) => arguments,
        Ok(CommandLine::Run(arguments)) => return run_files(&arguments),
        Err(error) => {
            // Nothing can be done about a stream that is closed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let filter = EnvFilter::builder()
        .with_default_directive(arguments.log_level.filter().into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    for flag in arguments.without_effect() {
        tracing::warn!("No effect: {flag}");
    }
    let config = match arguments.config() {
        Ok(config) => config,
        Err(error) => {
            say(&error);
            return ExitCode::from(if error.is_usage() { 2 } else { 1 });
        }
    };
    match run(config, arguments.observe(), arguments.stats) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn run(config: p4switch::Config, observe: Observe, stats: bool) -> Result<(), Box<dyn Error>> {
    // Before the threads of the switch, so that no signal finds nobody listening.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        use tokio::signal::unix::{SignalKind, signal};
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    let switch = Switch::start_observed(config, observe)?;
    let addr = switch.grpc_addr();
    // Those who started the switch wait for this line.
    writeln!(std::io::stderr(), "ready: P4Runtime on {addr}")?;
    runtime.block_on(async {
        tokio::select! {
            _ = signals.0.recv() => (),
            _ = signals.1.recv() => (),
            () = rates(&switch), if stats => (),
        }
    });
    tracing::info!(stats = ?switch.stats(), "Stopping");
    switch.shutdown();
    Ok(())
}

/// Prints what went through, once a second, for ever.
async fn rates(switch: &Handle) {
    let mut before = (Instant::now(), switch.stats());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = (Instant::now(), switch.stats());
        let rate = |of: fn(&Stats) -> u64| per_second(of(&now.1) - of(&before.1), now.0 - before.0);
        let line = format!(
            "in {}/s, out {}/s, lost {}/s, nowhere {}/s, to the controller {}/s",
            rate(|stats| stats.received),
            rate(|stats| stats.sent),
            rate(|stats| stats.not_sent),
            rate(|stats| stats.unattached),
            rate(|stats| stats.packet_in),
        );
        // Nothing can be done about a stream that is closed.
        let _ = writeln!(std::io::stderr(), "{line}");
        before = now;
    }
}

fn per_second(count: u64, time: Duration) -> u128 {
    u128::from(count) * 1_000_000 / time.as_micros().max(1)
}

/// `p4switch run`.
fn run_files(arguments: &RunArguments) -> ExitCode {
    let begun = Instant::now();
    match arguments.run().run() {
        Ok(summary) => {
            let rate = if arguments.stats {
                let rate = per_second(summary.packets_in, begun.elapsed());
                format!(", {rate} packets/s")
            } else {
                String::new()
            };
            // Nothing can be done about a stream that is closed.
            let _ = writeln!(
                std::io::stderr(),
                "{} packets in, {} out, {} dropped{rate}",
                summary.packets_in,
                summary.packets_out,
                summary.dropped,
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints an error with its causes, on one line.
fn say(error: &dyn Error) {
    let mut text = format!("p4switch: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // Nothing can be done about a stream that is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}
