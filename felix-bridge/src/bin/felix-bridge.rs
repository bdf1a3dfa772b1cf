//! The dataplane driver that Felix starts: relays descriptors 3 and 4 to host-agent.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use felix_bridge::DEFAULT_SOCKET;
use felix_bridge::relay::{self, RelayConfig, RelayError};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Felix's dataplane driver: relays between Felix and host-agent.
///
/// Felix starts this program without arguments and gives it two pipes: descriptor 3, on which it
/// sends what to enforce, and descriptor 4, on which it takes status. Both go to host-agent's unix
/// socket. Set `FELIX_USEINTERNALDATAPLANEDRIVER=false` and `FELIX_DATAPLANEDRIVER=<this file>` for
/// calico-node. The relay holds no policy; it may be killed at any time.
#[derive(Debug, Parser)]
#[command(name = "felix-bridge", version)]
struct Arguments {
    /// The unix socket of host-agent.
    ///
    /// It need not exist yet: what Felix says is kept until host-agent is there.
    #[arg(long, env = "MARGAY_FELIX_SOCKET", default_value = DEFAULT_SOCKET, value_name = "PATH")]
    socket: PathBuf,

    /// Mebibytes of messages to keep while host-agent is away.
    ///
    /// When they are full the relay stops reading, and Felix waits without losing anything.
    #[arg(
        long,
        env = "MARGAY_FELIX_BACKLOG",
        default_value_t = 64,
        value_name = "MIB"
    )]
    backlog: usize,

    /// What to log, to standard error, which Felix passes on to its own.
    ///
    /// A level (error, warn, info, debug, trace) or a list of target=level.
    #[arg(
        long,
        env = "MARGAY_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = match EnvFilter::try_new(&arguments.log) {
        Ok(filter) => filter,
        Err(error) => {
            complain(&format!(
                "--log: \"{}\" is no filter ({error}); try --log info",
                arguments.log
            ));
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            complain(&text);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), RelayError> {
    let (from, to) = relay::felix_pipes()?;
    let config = RelayConfig {
        socket: arguments.socket.clone(),
        backlog: arguments.backlog.saturating_mul(1 << 20),
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(RelayError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RelayError::Signal)?;
    tokio::select! {
        outcome = relay::run(&config, from, to) => outcome,
        _ = terminate.recv() => {
            info!("Asked to terminate; what is enforced stays enforced");
            Ok(())
        }
        _ = interrupt.recv() => Ok(()),
    }
}

fn complain(text: &str) {
    // Nothing is left to do if even standard error is gone.
    let _ignored = writeln!(std::io::stderr(), "felix-bridge: {text}");
}
