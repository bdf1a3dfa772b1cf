//! Runs a program that ends when the demo ends, even if the demo is killed.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, ExitCode};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the program; comes back only if it cannot.
pub(crate) fn run(args: &Args) -> ExitCode {
    let parent = parent_id();
    let failed = match set_pdeathsig(Signal::SIGKILL) {
        // The demo may have gone before the kernel knew of its claim.
        Ok(()) if parent_id() != parent => "the demo is gone".to_owned(),
        Ok(()) => {
            let mut words = args.command.iter();
            let Some(program) = words.next() else {
                return ExitCode::from(2);
            };
            Command::new(program).args(words).exec().to_string()
        }
        Err(error) => error.to_string(),
    };
    let _ = writeln!(std::io::stderr(), "testbed supervised: {failed}");
    ExitCode::FAILURE
}
