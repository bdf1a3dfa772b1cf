//! `dpu-agent`: the agent on the DPU.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use dpu_agent::config::{Config, ConfigError, Flags, LogFormat, Variables};
use dpu_agent::{Agent, AgentError};
use offload_api::error_chain;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// The agent on the DPU: takes rows from host-agent and keeps the device's tables at them.
///
/// Settings come from a TOML file, from flags, and from variables named MARGAY_DPU_ and the flag's
/// name; of these the later stands above the earlier. It may be stopped or killed at any time: the
/// device goes on forwarding with what it holds, and the agent reads it back when it starts.
#[derive(Debug, Parser)]
#[command(name = "dpu-agent", version)]
struct Arguments {
    /// Check the configuration, say what is wrong with it, and exit.
    #[arg(long)]
    check_config: bool,

    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let variables = Variables::from(std::env::vars_os());
    let config = match Config::load(&arguments.flags, &variables) {
        Ok(config) => config,
        Err(error) => {
            complain(&error_chain(&error));
            return ExitCode::from(match error {
                ConfigError::Read { .. } => 1,
                ConfigError::Parse { .. }
                | ConfigError::Override(_)
                | ConfigError::Name { .. }
                | ConfigError::Range { .. }
                | ConfigError::Twice { .. }
                | ConfigError::Port { .. } => 2,
            });
        }
    };
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| config.log.clone());
    let filter = match EnvFilter::try_new(&filter) {
        Ok(filter) => filter,
        Err(error) => {
            complain(&format!(
                "log: {filter:?} is no filter ({error}); try \"info\""
            ));
            return ExitCode::from(2);
        }
    };
    if arguments.check_config {
        // Who closed standard output does not want to know.
        drop(writeln!(std::io::stdout(), "The configuration is fine"));
        return ExitCode::SUCCESS;
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that nobody reads any more must not end the agent.
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("Cannot start threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), AgentError> {
    // Before anyone is told that the agent serves: whoever knows may ask it to stop.
    let stop = stop();
    let mut agent = Agent::start(config).await?;
    notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        error = agent.failed() => return Err(error),
        signal = stop => info!(signal, "asked to stop; the device keeps forwarding"),
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    agent.stop().await
}

/// Catches SIGTERM and SIGINT from now on, and completes with the first.
fn stop() -> impl Future<Output = &'static str> {
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
            warn!("signals cannot be caught; only a kill ends this agent");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    }
}

/// Tells systemd, if it listens.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify systemd");
    }
}

fn complain(text: &str) {
    // Nothing is left to do if even standard error is gone.
    drop(writeln!(std::io::stderr(), "dpu-agent: {text}"));
}
