//! The binary `p4switch`; see the library.

use std::{error::Error, io::Write as _, process::ExitCode};

use p4switch::{Switch, cli};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = match cli::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
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
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn run(config: p4switch::Config) -> Result<(), Box<dyn Error>> {
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
    let switch = Switch::start(config)?;
    let addr = switch.grpc_addr();
    // Those who started the switch wait for this line.
    writeln!(std::io::stderr(), "ready: P4Runtime on {addr}")?;
    runtime.block_on(async {
        tokio::select! {
            _ = signals.0.recv() => (),
            _ = signals.1.recv() => (),
        }
    });
    tracing::info!(stats = ?switch.stats(), "Stopping");
    switch.shutdown();
    Ok(())
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
