//! Random packets through the engine and through bmv2: what leaves has to be the same, byte for byte.
//!
//! The packets are those of the program's own script, changed at random, cut and lengthened, and
//! again and again some that were sent before, so that programs with state meet their flows. Both
//! sides have the entries of the script (`entries.rs`).
//!
//! bmv2 does not forget the fields of headers from one packet to the next. A difference of a program
//! without registers is therefore tried again packet by packet, each on a fresh switch: if it is gone
//! then, it is told as remembered and does not count.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use p4_engine::{Engine, EngineConfig, Outputs, Program};

use crate::random::Random;
use crate::target::RawBmv2;

/// Packets under way at once: bmv2 drops what exceeds 64 in a queue, and packets multiply.
const BATCH: usize = 8;
/// For frames that the engine sent and bmv2 did not yet.
const PATIENCE: Duration = Duration::from_millis(1500);
/// For frames that bmv2 sends and the engine did not.
const QUIET: Duration = Duration::from_millis(8);
/// Packets that may come again.
const POOL: usize = 12;
/// Longest packet.
const LONGEST: usize = 256;
/// Ports that packets come in by.
const PORTS: u16 = 8;

/// A port with a frame.
type PortFrame = (u16, Vec<u8>);

/// What a comparison came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Compared {
    /// All the same, so many packets.
    Equal(usize),
    /// bmv2 sends something else after other packets only: the first such difference.
    Remembered(String),
    /// bmv2 ended: at what.
    Lost(String),
}

/// Compares both on so many packets. The error is the first difference.
pub(super) fn compare(
    bmv2: &str,
    json: &Path,
    script: &str,
    packets: usize,
    seed: u64,
) -> Result<Compared, String> {
    let text = std::fs::read_to_string(json).map_err(|error| error.to_string())?;
    let program = Program::load(&text).map_err(|error| offload_api::error_chain(&error))?;
    let program = Arc::new(program);
    // bmv2's ingress runs ahead of its egress: with state, what is under way together is a race.
    let stateful = !program.registers().is_empty();
    let together = if stateful { 1 } else { BATCH };
    let mut pair = Pair::start(bmv2, json, &program)?;
    let mut random = Random::new(seed);
    let samples = samples(script);
    let mut pool: Vec<PortFrame> = Vec::new();
    let mut sent = 0;
    while sent < packets {
        let batch: Vec<PortFrame> = (0..together.min(packets - sent))
            .map(|_| packet(&mut random, &samples, &mut pool))
            .collect();
        let difference = match pair.send(&batch) {
            Ok(difference) => difference,
            Err(lost) => return Ok(Compared::Lost(lost)),
        };
        sent += batch.len();
        let Some(difference) = difference else {
            continue;
        };
        if stateful {
            return Err(difference);
        }
        // Each packet again, and nothing before it.
        for packet in &batch {
            let alone = Pair::start(bmv2, json, &program)?.send(std::slice::from_ref(packet))?;
            if let Some(difference) = alone {
                return Err(difference);
            }
        }
        return Ok(Compared::Remembered(difference));
    }
    Ok(Compared::Equal(sent))
}

/// Both, fresh.
struct Pair {
    engine: Engine,
    other: RawBmv2,
    sent: usize,
}

impl Pair {
    fn start(bmv2: &str, json: &Path, program: &Arc<Program>) -> Result<Self, String> {
        // A port that was free a moment ago may be taken now.
        let other = RawBmv2::start(bmv2, json).or_else(|_| RawBmv2::start(bmv2, json));
        Ok(Self {
            engine: Engine::new(Arc::clone(program), EngineConfig::default()),
            other: other.map_err(|error| offload_api::error_chain(&error))?,
            sent: 0,
        })
    }

    /// Sends packets through both; the first difference.
    fn send(&mut self, batch: &[PortFrame]) -> Result<Option<String>, String> {
        let mut expected: BTreeMap<PortFrame, usize> = BTreeMap::new();
        let mut count = 0;
        let mut out = Outputs::new();
        for (port, bytes) in batch {
            self.sent += 1;
            out.clear();
            let now = 1_000_000 + (self.sent as u64) * 1000;
            self.engine.process(*port, bytes, now, &mut out);
            for frame in out.frames() {
                let frame = (frame.port, frame.bytes.clone());
                *expected.entry(frame).or_default() += 1;
                count += 1;
            }
        }
        let came = self.other.exchange(batch, count, PATIENCE, QUIET);
        let came = came.map_err(|error| {
            let list = list(batch);
            format!(
                "bmv2 ended ({}) at one of {list}",
                offload_api::error_chain(&error)
            )
        })?;
        for frame in came {
            match expected.get_mut(&frame) {
                Some(left) if *left > 0 => *left -= 1,
                _ => return Ok(Some(self.differs(batch, "bmv2 alone sends", frame))),
            }
        }
        let missing = expected.into_iter().find(|(_, left)| *left > 0);
        let who = "the engine alone sends";
        Ok(missing.map(|(frame, _)| self.differs(batch, who, frame)))
    }

    fn differs(&self, batch: &[PortFrame], who: &str, frame: PortFrame) -> String {
        let (frame, batch) = (list(&[frame]), list(batch));
        format!("by packet {} {who} {frame} for one of {batch}", self.sent)
    }
}

fn list(frames: &[PortFrame]) -> String {
    let words = frames
        .iter()
        .map(|(port, bytes)| format!("{port}:{}", hex(bytes)));
    words.collect::<Vec<_>>().join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The packets of a script.
fn samples(script: &str) -> Vec<PortFrame> {
    let sample = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        if words.next()? != "packet" {
            return None;
        }
        let port = words.next()?.parse().ok()?;
        let digits: String = words.collect();
        let bytes = digits.as_bytes().chunks(2).map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(text, 16).ok()
        });
        Some((port, bytes.collect::<Option<Vec<u8>>>()?))
    };
    script.lines().filter_map(sample).collect()
}

/// The next packet.
fn packet(random: &mut Random, samples: &[PortFrame], pool: &mut Vec<PortFrame>) -> PortFrame {
    if !pool.is_empty() && random.below(3) == 0 {
        return pool[random.below(pool.len())].clone();
    }
    let (mut port, mut bytes) = match samples.len() {
        0 => (0, (0..64).map(|_| byte(random)).collect()),
        some => samples[random.below(some)].clone(),
    };
    for _ in 0..random.below(4) {
        if bytes.is_empty() {
            break;
        }
        // The front of a packet decides more than its end.
        let reach = if random.below(2) == 0 {
            40
        } else {
            bytes.len()
        };
        let at = random.below(bytes.len().min(reach));
        bytes[at] = match random.below(3) {
            0 => byte(random),
            1 => bytes[at] ^ (1 << random.below(8)),
            _ => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        };
    }
    match random.below(8) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => bytes.extend((0..random.below(40)).map(|_| byte(random))),
        2 => port = u16::try_from(random.below(usize::from(PORTS))).unwrap_or(0),
        _ => {}
    }
    bytes.truncate(LONGEST);
    // A packet without a byte is none.
    if bytes.is_empty() {
        bytes.push(byte(random));
    }
    if pool.len() < POOL {
        pool.push((port, bytes.clone()));
    } else {
        let at = random.below(POOL);
        pool[at] = (port, bytes.clone());
    }
    (port, bytes)
}

fn byte(random: &mut Random) -> u8 {
    u8::try_from(random.below(256)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_gives_its_packets() {
        let script = "add t k:1 a()\npacket 3 0a 0B0c # why\nexpect 1 00\npacket 1 zz\n";
        assert_eq!(samples(script), [(3, vec![10, 11, 12])]);
    }

    #[test]
    fn packets_come_again_and_have_bytes() {
        let mut random = Random::new(7);
        let mut pool = Vec::new();
        let all: Vec<PortFrame> = (0..1000)
            .map(|_| packet(&mut random, &[(1, vec![1, 2, 3])], &mut pool))
            .collect();
        assert!(
            all.iter()
                .all(|(_, bytes)| (1..=LONGEST).contains(&bytes.len()))
        );
        let again = all
            .windows(POOL)
            .filter(|some| some[1..].contains(&some[0]));
        assert!(again.count() > 100);
    }
}
