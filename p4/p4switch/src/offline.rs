//! `p4switch run`: packets of capture files through a program, without a server.

mod commands;

use std::path::{Path, PathBuf};

use p4_engine::{Engine, EngineConfig, LoadError, Outputs, Program, Trace};
use thiserror::Error;

pub use self::commands::CommandError;
use crate::{
    pcap::{Captured, PcapError, Reader, Writer},
    trace::{self, TraceFormat},
};

/// A capture file with the port that its packets belong to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortFile {
    /// In: the port that packets come in by. Out: the one whose packets are written, all if absent.
    pub port: Option<u16>,
    /// The file.
    pub path: PathBuf,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The program's JSON.
    pub program: PathBuf,
    /// Commands in the language of bmv2's `simple_switch_CLI`, run before the packets.
    pub entries: Option<PathBuf>,
    /// Packets in; of several files in the order of their times.
    pub inputs: Vec<PortFile>,
    /// Packets out.
    pub outputs: Vec<PortFile>,
    /// Port that means drop.
    pub drop_port: u16,
    /// Prints each packet's way on stdout.
    pub trace: Option<TraceFormat>,
}

/// What came of it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Summary {
    /// Packets taken.
    pub packets_in: u64,
    /// Frames that left by any port.
    pub packets_out: u64,
    /// Packets of which nothing left.
    pub dropped: u64,
}

/// Why a run ended early.
#[derive(Debug, Error)]
pub enum RunError {
    /// The program or the commands cannot be read.
    #[error("File {path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The engine refuses the program.
    #[error("The program cannot be loaded")]
    Program(#[source] LoadError),
    /// A command is wrong.
    #[error("Line {line} of {path}: {text}")]
    Command {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The command.
        text: String,
        /// Cause.
        source: CommandError,
    },
    /// A capture file cannot be read or written.
    #[error("A capture file failed")]
    Pcap(#[source] PcapError),
    /// The trace cannot be printed.
    #[error("The trace cannot be printed")]
    Print(#[source] std::io::Error),
}

impl From<PcapError> for RunError {
    fn from(error: PcapError) -> Self {
        Self::Pcap(error)
    }
}

impl Run {
    /// Runs all packets and writes what comes out. Times are those of the files, from the first
    /// packet on.
    ///
    /// # Errors
    /// If a file cannot be read or written, or the program or a command is refused.
    pub fn run(&self) -> Result<Summary, RunError> {
        let program = Program::load(&read(&self.program)?).map_err(RunError::Program)?;
        let config = EngineConfig {
            drop_port: self.drop_port,
            ..EngineConfig::default()
        };
        let mut engine = Engine::new(program.into(), config);
        if let Some(path) = &self.entries {
            self.commands(&mut engine, path)?;
        }
        let mut inputs = self
            .inputs
            .iter()
            .map(Input::open)
            .collect::<Result<Vec<_>, _>>()?;
        let mut writers = self
            .outputs
            .iter()
            .map(|file| Ok((file.port, Writer::create(&file.path)?)))
            .collect::<Result<Vec<_>, PcapError>>()?;
        let start = inputs.iter().filter_map(Input::time_us).min().unwrap_or(0);
        let (mut outputs, mut trace) = (Outputs::new(), Trace::default());
        let mut summary = Summary::default();
        while let Some(input) = earliest(&mut inputs) {
            let (port, Some(packet)) = (input.port, input.next.take()) else {
                break;
            };
            input.advance()?;
            let now = packet.time_us.saturating_sub(start);
            outputs.clear();
            summary.packets_in += 1;
            match self.trace {
                None => engine.process(port, &packet.frame, now, &mut outputs),
                Some(format) => {
                    trace.events.clear();
                    engine.process_traced(port, &packet.frame, now, &mut outputs, &mut trace);
                    trace::print(format, summary.packets_in, port, now, &trace)
                        .map_err(RunError::Print)?;
                }
            }
            if outputs.frames().is_empty() {
                summary.dropped += 1;
            }
            for frame in outputs.frames() {
                summary.packets_out += 1;
                for (wanted, writer) in &mut writers {
                    if wanted.is_none_or(|wanted| wanted == frame.port) {
                        writer.write(packet.time_us, &frame.bytes)?;
                    }
                }
            }
        }
        for (_, writer) in &mut writers {
            writer.flush()?;
        }
        Ok(summary)
    }

    fn commands(&self, engine: &mut Engine, path: &Path) -> Result<(), RunError> {
        let mut state = commands::Commands::default();
        for (line, text) in (1..).zip(read(path)?.lines()) {
            state
                .command(engine, text)
                .map_err(|source| RunError::Command {
                    path: path.to_owned(),
                    line,
                    text: text.trim().to_owned(),
                    source,
                })?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, RunError> {
    std::fs::read_to_string(path).map_err(|source| RunError::File {
        path: path.to_owned(),
        source,
    })
}

#[derive(Debug)]
struct Input {
    port: u16,
    reader: Reader,
    next: Option<Captured>,
}

impl Input {
    fn open(file: &PortFile) -> Result<Self, PcapError> {
        let mut input = Self {
            port: file.port.unwrap_or(0),
            reader: Reader::open(&file.path)?,
            next: None,
        };
        input.advance()?;
        Ok(input)
    }

    fn advance(&mut self) -> Result<(), PcapError> {
        self.next = self.reader.next()?;
        Ok(())
    }

    fn time_us(&self) -> Option<u64> {
        self.next.as_ref().map(|packet| packet.time_us)
    }
}

/// The file whose next packet is the oldest, the first among equals.
fn earliest(inputs: &mut [Input]) -> Option<&mut Input> {
    inputs
        .iter_mut()
        .filter(|input| input.next.is_some())
        .min_by_key(|input| input.time_us())
}
