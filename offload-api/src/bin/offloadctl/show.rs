//! What each command prints.

mod details;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use offload_api::host::{HostCallError, HostClient, HostStatus};
use offload_api::identity::{Identity, IdentityError, Role};
use offload_api::pki::{self, PkiError};
use offload_api::types::EntryView;
use serde::Serialize;
use thiserror::Error;

use crate::command::{Command, Output, Pki};
use crate::question::{self, QuestionError};
use crate::text::{or_dash, table};

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub(crate) enum ShowError {
    #[error(transparent)]
    Call(#[from] HostCallError),
    #[error(transparent)]
    Question(#[from] QuestionError),
    #[error("Cannot print")]
    Print(#[from] io::Error),
    #[error("Cannot print")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Name(#[from] IdentityError),
    #[error("Say whose certificate to issue: --host-agent NAME, --dpu-agent NAME, or both")]
    Nobody,
    #[error(
        "This has the DPU forget every connection: replies that policy does not allow by themselves \
         are dropped until the other side speaks again. Say --yes to do it"
    )]
    Unconfirmed,
}

/// Prints a document.
fn json(value: &impl Serialize) -> Result<(), ShowError> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

pub(crate) async fn run(
    socket: &Path,
    output: Output,
    command: Command,
) -> Result<ExitCode, ShowError> {
    // Wrong words are told before the daemon is asked.
    let flow = match &command {
        Command::Explain(words) => Some(question::flow(words)?),
        Command::FlushConnections { yes: false } => return Err(ShowError::Unconfirmed),
        _ => None,
    };
    let mut host = HostClient::connect(socket).await?;
    let people = output == Output::Table;
    match command {
        Command::Pki(command) => return pki(&command),
        Command::Status => {
            let status = host.status().await?;
            if people {
                details::status(&mut io::stdout().lock(), &status)?;
            } else {
                json(&status)?;
            }
        }
        Command::Watch => watch(&mut host, people).await?,
        Command::Endpoints => {
            let endpoints = host.endpoints().await?;
            if people {
                details::endpoints(&mut io::stdout().lock(), &endpoints)?;
            } else {
                json(&endpoints)?;
            }
        }
        Command::Policy { name, rules } => {
            let mut policies = host.policies().await?;
            let mut refusals = host.refusals().await?;
            if let Some(name) = name {
                policies.retain(|policy| policy.name.contains(&name));
                refusals.retain(|refusal| refusal.subject.contains(&name));
            }
            if people {
                details::policies(&mut io::stdout().lock(), &policies, &refusals, rules)?;
            } else {
                json(&serde_json::json!({ "policies": policies, "refusals": refusals }))?;
            }
        }
        Command::Tables {
            table: None,
            desired: _,
        } => {
            let tables = host.tables().await?;
            if people {
                details::tables(&mut io::stdout().lock(), &tables)?;
            } else {
                json(&tables)?;
            }
        }
        Command::Tables {
            table: Some(name),
            desired,
        } => {
            let view = if desired {
                EntryView::Desired
            } else {
                EntryView::Observed
            };
            let entries = host.entries(&name, view).await?;
            if people {
                details::entries(&mut io::stdout().lock(), &entries)?;
            } else {
                json(&entries)?;
            }
        }
        Command::Explain(_) => {
            let explanation = host.explain(flow.unwrap_or_default()).await?;
            if people {
                details::explanation(&mut io::stdout().lock(), &explanation)?;
            } else {
                json(&explanation)?;
            }
            return Ok(success(explanation.agrees()));
        }
        Command::Diff { limit } => {
            let diff = host.diff(limit.max(1)).await?;
            if people {
                details::diff(&mut io::stdout().lock(), &diff)?;
            } else {
                json(&diff)?;
            }
            return Ok(success(diff.is_equal()));
        }
        Command::Drift => {
            let drift = host.drift().await?;
            if people {
                details::drift(&mut io::stdout().lock(), &drift)?;
            } else {
                json(&drift)?;
            }
            return Ok(success(drift.tables.is_empty()));
        }
        Command::Counters => {
            let drops = host.drops().await?;
            if people {
                let rows: Vec<Vec<String>> = drops
                    .iter()
                    .map(|drop| {
                        vec![
                            or_dash(&drop.reason),
                            drop.code.to_string(),
                            drop.packets.to_string(),
                            drop.bytes.to_string(),
                        ]
                    })
                    .collect();
                let heads = ["DROPPED FOR", "CODE", "PACKETS", "BYTES"];
                table(&mut io::stdout().lock(), &heads, &rows)?;
            } else {
                json(&serde_json::json!({ "drops": drops }))?;
            }
        }
        Command::FlushConnections { yes: _ } => {
            let epoch = host.flush_connections().await?;
            if people {
                let mut out = io::stdout().lock();
                writeln!(
                    out,
                    "All connections are forgotten; new ones carry epoch {epoch}"
                )?;
            } else {
                json(&serde_json::json!({ "epoch": epoch }))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn success(right: bool) -> ExitCode {
    if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn watch(host: &mut HostClient, people: bool) -> Result<(), ShowError> {
    let mut states = host.watch().await?;
    let mut last: Option<String> = None;
    while let Some(status) = states.next().await? {
        if !people {
            let mut out = io::stdout().lock();
            serde_json::to_writer(&mut out, &status)?;
            writeln!(out)?;
            out.flush()?;
            continue;
        }
        let line = watch_line(&status);
        if last.as_ref() != Some(&line) {
            writeln!(io::stdout(), "{line}")?;
            last = Some(line);
        }
    }
    Ok(())
}

fn watch_line(status: &HostStatus) -> String {
    let endpoints: Vec<String> = status
        .endpoints
        .iter()
        .filter(|count| count.count > 0)
        .map(|count| format!("{} {}", count.count, count.state.as_str()))
        .collect();
    format!(
        "felix {} {} | dpu {} generation {}/{}/{} rows {} | endpoints {} | refusals {}",
        if status.felix.connected { "up" } else { "away" },
        if status.felix.in_sync {
            "in-sync"
        } else {
            "not in-sync"
        },
        if status.dpu.connected { "up" } else { "away" },
        status.dpu.desired_generation,
        status.dpu.acknowledged_generation,
        status.dpu.observed_generation,
        status.dpu.rows,
        or_dash(&endpoints.join(", ")),
        status.refusals,
    )
}

pub(crate) fn pki(command: &Pki) -> Result<ExitCode, ShowError> {
    let asked = [
        (Role::HostAgent, &command.host_agent),
        (Role::DpuAgent, &command.dpu_agent),
    ];
    if asked.iter().all(|(_, name)| name.is_none()) {
        return Err(ShowError::Nobody);
    }
    for (role, name) in asked {
        let Some(name) = name else { continue };
        let identity = Identity::new(role, name)?;
        let made = pki::ensure(&command.dir, &identity)?;
        pki::load(&command.dir, &identity)?;
        let mut out = io::stdout().lock();
        for file in &made.files {
            writeln!(out, "{}", file.display())?;
        }
        if made.files.is_empty() {
            writeln!(out, "{identity} has its certificate already")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
