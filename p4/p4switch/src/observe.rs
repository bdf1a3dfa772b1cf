//! What people watch a running switch by: captures of its ports, and each packet's way.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use p4_engine::{Engine, Outputs, Packet, Trace};

use crate::{
    pcap::{PcapError, Writer},
    trace::{self, TraceFormat},
};

/// Packets that the engine gets at once.
const BATCH: usize = 64;

/// What is to be watched. Both cost packets a second; neither is on unless asked for.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Observe {
    /// Directory of capture files: `NAME_in.pcap` and `NAME_out.pcap` for each port, by the name
    /// of its interface or `portN`.
    pub pcap: Option<PathBuf>,
    /// Prints each packet's way on stdout.
    pub trace: Option<TraceFormat>,
}

/// The watching itself, on the packet thread.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    captures: Option<Captures>,
    trace: Option<TraceFormat>,
    events: Trace,
    packets: u64,
}

#[derive(Debug)]
struct Captures {
    directory: PathBuf,
    names: BTreeMap<u16, String>,
    /// By port and direction; those of ports that have had no packet are not there yet.
    files: BTreeMap<(u16, Direction), Writer>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Direction {
    In,
    Out,
}

impl Observer {
    /// Makes the directory; `names` are the interfaces of ports.
    pub(crate) fn new(observe: Observe, names: BTreeMap<u16, String>) -> Result<Self, PcapError> {
        let Observe { pcap, trace } = observe;
        let captures = match pcap {
            None => None,
            Some(directory) => {
                std::fs::create_dir_all(&directory).map_err(|source| PcapError::File {
                    path: directory.clone(),
                    source,
                })?;
                Some(Captures {
                    directory,
                    names,
                    files: BTreeMap::new(),
                })
            }
        };
        Ok(Self {
            captures,
            trace,
            ..Self::default()
        })
    }

    /// Whether the frames that leave are to be shown to [`Observer::sent`].
    pub(crate) fn captures(&self) -> bool {
        self.captures.is_some()
    }

    /// Takes a packet through the engine, watched as asked.
    pub(crate) fn process(
        &mut self,
        engine: &mut Engine,
        port: u16,
        frame: &[u8],
        now_us: u64,
        outputs: &mut Outputs,
    ) {
        if let Some(captures) = &mut self.captures {
            captures.write(port, Direction::In, frame);
        }
        let Some(format) = self.trace else {
            engine.process(port, frame, now_us, outputs);
            return;
        };
        self.packets += 1;
        self.events.events.clear();
        engine.process_traced(port, frame, now_us, outputs, &mut self.events);
        if let Err(error) = trace::print(format, self.packets, port, now_us, &self.events) {
            tracing::warn!(%error, "The trace cannot be printed; it ends");
            self.trace = None;
        }
    }

    /// Takes packets of one port through the engine in their order: all at once, unless each of them
    /// is watched.
    pub(crate) fn process_all<'f>(
        &mut self,
        engine: &mut Engine,
        port: u16,
        frames: impl Iterator<Item = &'f [u8]>,
        now_us: u64,
        outputs: &mut Outputs,
    ) {
        if self.captures.is_some() || self.trace.is_some() {
            for frame in frames {
                self.process(engine, port, frame, now_us, outputs);
            }
            return;
        }
        let mut batch = [Packet { port, bytes: &[] }; BATCH];
        let mut count = 0;
        for bytes in frames {
            batch[count].bytes = bytes;
            count += 1;
            if count == BATCH {
                engine.process_batch(&batch, now_us, outputs);
                count = 0;
            }
        }
        engine.process_batch(&batch[..count], now_us, outputs);
    }

    /// Takes note of a frame that leaves.
    pub(crate) fn sent(&mut self, port: u16, frame: &[u8]) {
        if let Some(captures) = &mut self.captures {
            captures.write(port, Direction::Out, frame);
        }
    }

    /// Writes what waits in memory.
    pub(crate) fn flush(&mut self) {
        let files = self.captures.iter_mut().flat_map(|all| &mut all.files);
        for (_, file) in files {
            report(file.flush());
        }
    }
}

impl Captures {
    fn write(&mut self, port: u16, direction: Direction, frame: &[u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        });
        let file = match self.files.get_mut(&(port, direction)) {
            Some(file) => file,
            None => match Writer::create(&self.path(port, direction)) {
                Ok(file) => self.files.entry((port, direction)).or_insert(file),
                Err(error) => return report(Err(error)),
            },
        };
        report(file.write(now, frame));
    }

    fn path(&self, port: u16, direction: Direction) -> PathBuf {
        let way = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let name = match self.names.get(&port) {
            // Names of interfaces hold no slash.
            Some(name) => format!("{name}_{way}.pcap"),
            None => format!("port{port}_{way}.pcap"),
        };
        Path::new(&self.directory).join(name)
    }
}

fn report(outcome: Result<(), PcapError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "A capture lost a packet");
    }
}
