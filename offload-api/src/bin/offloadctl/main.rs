//! `offloadctl`: shows people what the host agent and its DPU are doing.

#![forbid(unsafe_code)]

mod command;
mod question;
mod show;
mod text;

use std::process::ExitCode;

use clap::Parser;

use command::Command;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = command::Arguments::parse();
    let outcome = match arguments.command {
        Command::Pki(pki) => show::pki(&pki),
        command => show::run(&arguments.socket, arguments.output, command).await,
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            text::complain(&offload_api::error_chain(&error));
            ExitCode::FAILURE
        }
    }
}
