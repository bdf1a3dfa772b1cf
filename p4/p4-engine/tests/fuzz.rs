//! Hostile input, from a corpus that is kept: `corpus/json` has programs and texts that once were of
//! interest, `corpus/packets` has frames. Each run mutates them from a fixed seed for a bounded time:
//! loading gives a program or an error, a packet goes through or is dropped, and nothing panics or
//! takes memory without bound. A file that made trouble stays in the corpus.

#![expect(clippy::unwrap_used, reason = "test set-up may stop")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use p4_engine::{Engine, EngineConfig, LoadError, Outputs, Packet, Program, Trace};

/// How long each test mutates, at most.
const BUDGET: Duration = Duration::from_secs(3);

struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next() & 0xff).unwrap()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|own| own == extension))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no .{extension} in {}", dir.display());
    paths
}

/// The corpus of programs, and those of the cases.
fn texts() -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths = files(&root().join("corpus/json"), "json");
    for dir in ["cases", "programs"] {
        for entry in std::fs::read_dir(root().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                paths.extend(files(&path, "json"));
            }
        }
    }
    paths
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// The corpus of packets: a line of hexadecimal each, `#` begins a comment.
fn packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for path in files(&root().join("corpus/packets"), "hex") {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line = line.split('#').next().unwrap_or_default();
            let digits: Vec<u8> = line
                .chars()
                .filter_map(|digit| digit.to_digit(16))
                .map(|digit| u8::try_from(digit).unwrap())
                .collect();
            if !digits.is_empty() {
                packets.push(digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect());
            }
        }
    }
    packets
}

/// Changes some bytes: another value, a bit, a piece cut out, doubled or taken from elsewhere, or a
/// number in digits that is larger than any table.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        let end = (at + numbers.below(24)).min(bytes.len());
        match numbers.below(8) {
            0 if at < bytes.len() => bytes[at] = numbers.byte(),
            1 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let from = numbers.below(bytes.len());
                let piece = bytes[from..(from + end - at).min(bytes.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            5 => bytes.truncate(end.max(1)),
            6 => {
                let digits = [&b"4294967296"[..], b"-1", b"99999999", b"1e9", b"65536"];
                let number = digits[numbers.below(digits.len())].to_vec();
                let stop = bytes[at..]
                    .iter()
                    .position(|byte| !byte.is_ascii_digit())
                    .unwrap_or(0);
                bytes.splice(at..at + stop, number);
            }
            _ => bytes.push(numbers.byte()),
        }
    }
}

/// Sends packets every way that there is.
fn play(program: Program, packets: &[Vec<u8>]) {
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    let mut out = Outputs::new();
    let batch: Vec<Packet<'_>> = packets
        .iter()
        .map(|bytes| Packet { port: 1, bytes })
        .collect();
    engine.process_batch(&batch, 5, &mut out);
    for packet in packets.iter().take(4) {
        engine.process_traced(1, packet, 6, &mut out, &mut Trace::default());
    }
}

/// Bytes that a program's arrays take, by what it declares; the loader has its own bound, and tests
/// need not fill memory up to it.
fn modest(program: &Program) -> bool {
    let registers = program.registers().iter();
    let registers = registers.map(|one| one.size.saturating_mul(one.bits.div_ceil(64) * 8));
    let counters = program.counters().iter().map(|one| one.size * 16);
    let meters = program.meters().iter().map(|one| one.size * 80);
    registers.chain(counters).chain(meters).sum::<usize>() < 1 << 24
}

#[test]
fn every_text_of_the_corpus_loads_or_is_refused() {
    let packets = packets();
    for (path, text) in texts() {
        let text = String::from_utf8_lossy(&text);
        match Program::load(&text) {
            Ok(program) => play(program, &packets),
            // An error names what is wrong, so that somebody can mend it.
            Err(error) => assert!(error.to_string().len() > 20, "{}: {error}", path.display()),
        }
    }
}

#[test]
fn mutated_programs_load_or_are_refused() {
    let texts = texts();
    let packets = packets();
    let mut numbers = Numbers(1);
    let start = Instant::now();
    while start.elapsed() < BUDGET {
        let (_, text) = &texts[numbers.below(texts.len())];
        let mut text = text.clone();
        mutate(&mut text, &mut numbers);
        let text = String::from_utf8_lossy(&text);
        if let Ok(program) = Program::load(&text)
            && modest(&program)
        {
            play(program, &packets[..packets.len().min(6)]);
        }
    }
}

#[test]
fn mutated_packets_go_through_every_program() {
    let packets = packets();
    let mut numbers = Numbers(2);
    let own = root().join("../../programs/margay.json");
    let mut texts = texts();
    texts.push((own.clone(), std::fs::read(own).unwrap()));
    let mut engines: Vec<Engine> = texts
        .iter()
        .filter_map(|(_, text)| Program::load(&String::from_utf8_lossy(text)).ok())
        .map(|program| Engine::new(Arc::new(program), EngineConfig::default()))
        .collect();
    let (mut one, mut many) = (Outputs::new(), Outputs::new());
    let start = Instant::now();
    let mut now = 0;
    while start.elapsed() < BUDGET {
        let frames: Vec<Vec<u8>> = (0..32)
            .map(|_| {
                let mut frame = packets[numbers.below(packets.len())].clone();
                mutate(&mut frame, &mut numbers);
                frame
            })
            .collect();
        let batch: Vec<Packet<'_>> = frames
            .iter()
            .map(|bytes| Packet { port: 2, bytes })
            .collect();
        now += 10;
        let at = numbers.below(engines.len());
        let engine = &mut engines[at];
        one.clear();
        many.clear();
        engine.process_batch(&batch, now, &mut many);
        for frame in &frames {
            engine.process(2, frame, now, &mut one);
        }
        assert!(
            one.frames()
                .iter()
                .chain(many.frames())
                .all(|frame| frame.bytes.len() < 1 << 20)
        );
    }
}

#[test]
fn what_would_take_too_much_is_refused_by_name() {
    let text = std::fs::read_to_string(root().join("corpus/json/huge_register.json")).unwrap();
    let refused = Program::load(&text).unwrap_err();
    let LoadError::TooLarge { what, have, limit } = &refused else {
        panic!("refused for another reason: {refused}");
    };
    assert_eq!(*what, "bytes of counters, meters and registers");
    assert!(have > limit, "{refused}");
}
