//! Our engine and bmv2's on the same program, entries and packets, without a network between.
//!
//! bmv2 reads packets from a file and writes what leaves into another (`--use-files`); ours has them
//! in memory. Over veth pairs both are bounded by the kernel and by the sender.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::BenchError;
use super::super::kinds::{Kinds, Match, ternary_json};
use super::super::peer::{Kind, Switch};
use super::super::report::Report;
use super::super::wire::PORTS;
use super::TERNARY;

/// Packets that bmv2 gets.
const PACKETS: u64 = 20_000;
/// Seconds that bmv2 waits before it reads them: until then it loads the program.
const WAIT: u64 = 3;
/// Time within which it has to be done.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time without another packet after which it is done.
const QUIET: Duration = Duration::from_secs(1);

/// The figure's name.
pub(super) fn name(who: &str) -> String {
    format!("{who} without a network, ternary with 10 000 entries of 100 masks")
}

/// Measures bmv2: the better of packets a second, and packets a second of time on a core.
pub(super) fn measure_bmv2(kind: &Kind, report: &mut Report) -> Result<(), BenchError> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("ternary.json");
    std::fs::write(&program, ternary_json(TERNARY, PORTS[1].0)?)?;
    let frames = (0..PACKETS).map(|number| Kinds::frame(Match::Ternary, number * 7919 % TERNARY));
    for (at, (_, interface)) in PORTS.iter().enumerate() {
        let path = folder.path().join(format!("{interface}_in.pcap"));
        write_pcap(&path, frames.clone().filter(|_| at == 0))?;
    }
    let switch = Switch::start_on_files(kind, folder.path(), &program, WAIT)?;
    // It has loaded its program by then, and not yet begun.
    std::thread::sleep(Duration::from_millis(WAIT * 1000 - 500));
    let before = switch.cpu_seconds();
    let out = folder.path().join(format!("{}_out.pcap", PORTS[1].1));
    let (began, mut grew, mut size) = (Instant::now(), Instant::now(), 0);
    while began.elapsed() < PATIENCE && (size <= HEADER || grew.elapsed() < QUIET) {
        std::thread::sleep(Duration::from_millis(50));
        let now = std::fs::metadata(&out).map_or(0, |file| file.len());
        if now != size {
            (grew, size) = (Instant::now(), now);
        }
    }
    let spent = before.and_then(|before| Some(switch.cpu_seconds()? - before));
    drop(switch);
    let (count, seconds) = stamps(&std::fs::read(&out)?);
    if count < PACKETS / 2 {
        return Err(BenchError::Silent {
            name: name(kind.name),
            sent: PACKETS,
        });
    }
    // What its queues lost was looked up all the same.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let packets = PACKETS as f64;
    let of_core = spent.map_or(0.0, |spent| packets / spent.max(1e-9));
    let rate = of_core.max(packets / seconds.max(1e-9));
    report.sample(&name(kind.name), "packets/s", rate);
    Ok(())
}

/// Bytes before the first packet of a pcap file.
const HEADER: u64 = 24;

fn write_pcap(path: &Path, frames: impl Iterator<Item = Vec<u8>>) -> Result<(), BenchError> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    // Microseconds, version 2.4, Ethernet.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.write_all(&word.to_le_bytes())?;
    }
    for (frame, at) in frames.zip(0_u32..) {
        let length = u32::try_from(frame.len()).unwrap_or(0);
        for word in [1, at, length, length] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(&frame)?;
    }
    file.flush()?;
    Ok(())
}

/// Packets of a pcap file, and seconds between the first and the last.
fn stamps(file: &[u8]) -> (u64, f64) {
    let word = |at: usize| {
        let bytes = file.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (mut at, mut count) = (24, 0);
    let (mut first, mut last) = (None, 0.0);
    while let (Some(seconds), Some(micros), Some(length)) = (word(at), word(at + 4), word(at + 8)) {
        let stamp = f64::from(seconds) + f64::from(micros) / 1e6;
        first.get_or_insert(stamp);
        last = stamp;
        count += 1;
        at += 16 + length as usize;
    }
    (count, last - first.unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcap");
        write_pcap(&path, [vec![1; 60], vec![2; 61]].into_iter()).unwrap();
        let (count, seconds) = stamps(&std::fs::read(&path).unwrap());
        assert_eq!(count, 2);
        assert!((seconds - 1e-6).abs() < 1e-7, "{seconds}");
    }
}
