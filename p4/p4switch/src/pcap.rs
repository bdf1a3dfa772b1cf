//! Packet capture files (the classic libpcap format): microseconds or nanoseconds, either byte order
//! in, microseconds in native order out.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// Longest packet that is written and taken; those who write files use the same.
const LONGEST: u32 = 262_144;
const HEADER: usize = 24;
const RECORD: usize = 16;

/// Why a capture file cannot be read.
#[derive(Debug, Error)]
pub enum PcapError {
    /// The file system says so.
    #[error("Capture {path} cannot be read or written")]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Another format.
    #[error(
        "{path} is no classic pcap file; convert it with `editcap -F pcap {path} OUT` \
         (pcapng files are of another format)"
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// No Ethernet frames.
    #[error("{path} holds frames of link type {link}; Ethernet (1) is wanted")]
    Link {
        /// The file.
        path: PathBuf,
        /// Its link type.
        link: u32,
    },
    /// A record that cannot be.
    #[error("{path} is broken at packet {packet}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        packet: u64,
    },
}

/// A packet with its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Captured {
    /// Since 1970.
    pub(crate) time_us: u64,
    pub(crate) frame: Vec<u8>,
}

/// A file that is read.
#[derive(Debug)]
pub(crate) struct Reader<R = BufReader<File>> {
    from: R,
    path: PathBuf,
    swapped: bool,
    nanoseconds: bool,
    packet: u64,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Self, PcapError> {
        let file = File::open(path).map_err(|source| PcapError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::new(BufReader::new(file), path)
    }
}

impl<R: Read> Reader<R> {
    fn new(mut from: R, path: &Path) -> Result<Self, PcapError> {
        let path = path.to_owned();
        let mut header = [0; HEADER];
        if from.read_exact(&mut header).is_err() {
            return Err(PcapError::Format { path });
        }
        let magic = number(&header, 0, false);
        let (swapped, nanoseconds) = match (magic, magic.swap_bytes()) {
            (MICROSECONDS, _) => (false, false),
            (NANOSECONDS, _) => (false, true),
            (_, MICROSECONDS) => (true, false),
            (_, NANOSECONDS) => (true, true),
            _ => return Err(PcapError::Format { path }),
        };
        let link = number(&header, 20, swapped) & 0x0fff_ffff;
        if link != ETHERNET {
            return Err(PcapError::Link { path, link });
        }
        Ok(Self {
            from,
            path,
            swapped,
            nanoseconds,
            packet: 0,
        })
    }

    /// The next packet; `None` at the end of the file. A packet that was captured in part is taken
    /// as it is.
    pub(crate) fn next(&mut self) -> Result<Option<Captured>, PcapError> {
        let mut record = [0; RECORD];
        let mut filled = 0;
        while filled < RECORD {
            match self.from.read(&mut record[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.broken()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let path = self.path.clone();
                    return Err(PcapError::File { path, source });
                }
            }
        }
        self.packet += 1;
        let field = |at| number(&record, at, self.swapped);
        let (seconds, fraction, length) = (field(0), field(4), field(8));
        if length > LONGEST {
            return Err(self.broken());
        }
        let mut frame = vec![0; length as usize];
        if self.from.read_exact(&mut frame).is_err() {
            return Err(self.broken());
        }
        let fraction = u64::from(fraction) / if self.nanoseconds { 1000 } else { 1 };
        Ok(Some(Captured {
            time_us: u64::from(seconds) * 1_000_000 + fraction,
            frame,
        }))
    }

    fn broken(&self) -> PcapError {
        PcapError::Broken {
            path: self.path.clone(),
            packet: self.packet.max(1),
        }
    }
}

fn number(bytes: &[u8], at: usize, swapped: bool) -> u32 {
    let mut own = [0; 4];
    own.copy_from_slice(&bytes[at..at + 4]);
    let number = u32::from_ne_bytes(own);
    if swapped { number.swap_bytes() } else { number }
}

/// A file that is written.
#[derive(Debug)]
pub(crate) struct Writer {
    to: BufWriter<File>,
    path: PathBuf,
}

impl Writer {
    pub(crate) fn create(path: &Path) -> Result<Self, PcapError> {
        let file = File::create(path).map_err(|source| PcapError::File {
            path: path.to_owned(),
            source,
        })?;
        let mut writer = Self {
            to: BufWriter::new(file),
            path: path.to_owned(),
        };
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(&MICROSECONDS.to_ne_bytes());
        // Version 2.4, no time zone, no accuracy.
        header.extend_from_slice(&2_u16.to_ne_bytes());
        header.extend_from_slice(&4_u16.to_ne_bytes());
        for field in [0, 0, LONGEST, ETHERNET] {
            header.extend_from_slice(&field.to_ne_bytes());
        }
        writer.put(&header)?;
        Ok(writer)
    }

    pub(crate) fn write(&mut self, time_us: u64, frame: &[u8]) -> Result<(), PcapError> {
        let fit = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let length = fit(frame.len() as u64).min(LONGEST);
        let mut record = [0; RECORD];
        let fields = [
            fit(time_us / 1_000_000),
            fit(time_us % 1_000_000),
            length,
            fit(frame.len() as u64),
        ];
        for (room, field) in record.chunks_exact_mut(4).zip(fields) {
            room.copy_from_slice(&field.to_ne_bytes());
        }
        self.put(&record)?;
        self.put(&frame[..length as usize])
    }

    pub(crate) fn flush(&mut self) -> Result<(), PcapError> {
        self.to.flush().map_err(|source| PcapError::File {
            path: self.path.clone(),
            source,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), PcapError> {
        self.to.write_all(bytes).map_err(|source| PcapError::File {
            path: self.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.pcap");
        let packets = [(5_000_007, vec![1; 60]), (6_000_000, vec![])];
        let mut writer = Writer::create(&path).expect("created");
        for (time, frame) in &packets {
            writer.write(*time, frame).expect("written");
        }
        writer.flush().expect("flushed");
        let mut reader = Reader::open(&path).expect("opened");
        for (time_us, frame) in packets {
            let read = reader.next().expect("a packet");
            assert_eq!(read, Some(Captured { time_us, frame }));
        }
        assert_eq!(reader.next().expect("the end"), None);
    }

    #[test]
    fn the_other_byte_order_and_nanoseconds_are_read() {
        let mut file = Vec::new();
        file.extend_from_slice(&NANOSECONDS.swap_bytes().to_ne_bytes());
        file.extend_from_slice(&[0; 16]);
        file.extend_from_slice(&1_u32.swap_bytes().to_ne_bytes());
        for field in [1_u32, 2_000, 1, 1] {
            file.extend_from_slice(&field.swap_bytes().to_ne_bytes());
        }
        file.push(9);
        let mut reader = Reader::new(file.as_slice(), Path::new("x")).expect("read");
        let captured = Captured {
            time_us: 1_000_002,
            frame: vec![9],
        };
        assert_eq!(reader.next().expect("a packet"), Some(captured));
    }

    #[test]
    fn files_that_are_none_or_broken_are_named() {
        let read = |bytes: &[u8]| Reader::new(bytes, Path::new("x")).map(drop);
        assert!(matches!(read(b"short"), Err(PcapError::Format { .. })));
        assert!(matches!(read(&[7; 24]), Err(PcapError::Format { .. })));
        let mut other = MICROSECONDS.to_ne_bytes().to_vec();
        other.extend_from_slice(&[0; 16]);
        other.extend_from_slice(&113_u32.to_ne_bytes());
        assert!(matches!(
            read(&other),
            Err(PcapError::Link { link: 113, .. })
        ));
        let mut huge = MICROSECONDS.to_ne_bytes().to_vec();
        huge.extend_from_slice(&[0; 16]);
        huge.extend_from_slice(&1_u32.to_ne_bytes());
        huge.extend_from_slice(&[0xff; 16]);
        let mut reader = Reader::new(huge.as_slice(), Path::new("x")).expect("a header");
        assert!(matches!(
            reader.next(),
            Err(PcapError::Broken { packet: 1, .. })
        ));
    }
}
