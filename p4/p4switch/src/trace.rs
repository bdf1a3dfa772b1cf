//! Printing each packet's way on stdout, for people or as JSON lines.

use std::io::{self, Write as _};

use p4_engine::Trace;
use serde::Serialize;

/// How a packet's way is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum TraceFormat {
    /// Lines for people.
    Text,
    /// One JSON document a packet, each on a line of its own.
    Json,
}

#[derive(Serialize)]
struct Line<'t> {
    packet: u64,
    port: u16,
    time_us: u64,
    #[serde(flatten)]
    trace: &'t Trace,
}

/// Prints the way of packet number `packet`, which came in by `port` at `time_us` of the switch's
/// clock.
pub(crate) fn print(
    format: TraceFormat,
    packet: u64,
    port: u16,
    time_us: u64,
    trace: &Trace,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        TraceFormat::Text => {
            writeln!(out, "packet {packet}")?;
            write!(out, "{trace}")?;
        }
        TraceFormat::Json => {
            let line = Line {
                packet,
                port,
                time_us,
                trace,
            };
            serde_json::to_writer(&mut out, &line)?;
            writeln!(out)?;
        }
    }
    out.flush()
}
