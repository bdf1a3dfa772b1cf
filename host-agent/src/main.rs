//! `host-agent`: the daemon.

#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use host_agent::config::{Config, ConfigError, Layer, LogFormat};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Exit code for wrong settings, as for wrong flags.
const USAGE: u8 = 2;

/// Takes policy from Felix, compiles it to table rows, and keeps a DPU up to date with them.
#[derive(Parser, Debug)]
#[command(name = "host-agent", version)]
#[command(
    after_help = "Settings come from the file, from flags over it, and from MARGAY_HOST_… \
                        variables over both (MARGAY_HOST_PKI for --pki)."
)]
struct Arguments {
    /// Settings file (TOML); its keys are the long names of the flags below.
    #[arg(long, short, value_name = "FILE", env = "MARGAY_HOST_CONFIG")]
    config: Option<PathBuf>,

    /// Check the settings and certificates and exit: 0 if the daemon could start, 2 for
    /// wrong settings, 1 for wrong certificates.
    #[arg(long)]
    check_config: bool,

    #[command(flatten)]
    settings: Layer,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let check = arguments.check_config;
    let config = match settle(arguments) {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            return ExitCode::from(USAGE);
        }
    };
    if check {
        return match host_agent::check(&config) {
            Ok(()) => {
                let _ = writeln!(io::stderr(), "host-agent: the settings work");
                ExitCode::SUCCESS
            }
            Err(error) => complain(&error),
        };
    }
    let filter = match EnvFilter::try_new(&config.log) {
        Ok(filter) => filter,
        Err(error) => {
            complain(&error);
            return ExitCode::from(USAGE);
        }
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error),
    };
    match runtime.block_on(serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(error.as_ref()),
    }
}

fn settle(arguments: Arguments) -> Result<Config, ConfigError> {
    let file = match &arguments.config {
        Some(path) => Layer::file(path)?,
        None => Layer::default(),
    };
    // A variable that is no text cannot be one of ours.
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables = Layer::variables(texts)?;
    variables.over(arguments.settings.over(file)).resolve()
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    host_agent::run(config, shutdown).await?;
    Ok(())
}

fn complain(error: &dyn std::error::Error) -> ExitCode {
    // Nothing can be done about a standard error that is gone.
    let _ = writeln!(
        io::stderr(),
        "host-agent: {}",
        offload_api::error_chain(error)
    );
    ExitCode::FAILURE
}
