//! A batch does what its packets do one by one: same frames in the same order, same digests, same
//! counters and registers, whatever the programs, the entries and the packets are.

#![expect(clippy::unwrap_used, reason = "test set-up may stop")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use p4_engine::{
    ActionCall, CloneSession, Engine, EngineConfig, Entry, EntryAction, KeyField, KeyPart,
    MatchKind, Outputs, Packet, ProfileGroup, Program, Replica, TableSource, Trace, Value,
    WeightedMember,
};

/// Runs of each program.
const SEEDS: u64 = if cfg!(debug_assertions) { 6 } else { 100 };

/// A generator of numbers (splitmix64), so that a failure names a seed that makes it again.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()].clone()
    }
}

/// The cases of this crate and the project's own pipeline.
fn programs() -> Vec<(PathBuf, Arc<Program>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = ["tests/cases", "tests/programs"]
        .iter()
        .flat_map(|dir| std::fs::read_dir(root.join(dir)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|dir| dir.join(dir.file_name().unwrap()).with_extension("json"))
        .collect();
    paths.push(root.join("../programs/margay.json"));
    paths.sort();
    let load = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, Arc::new(Program::load(&text).unwrap()))
    };
    paths.into_iter().map(load).collect()
}

const ADDRESSES: [u64; 4] = [0x0a00_0001, 0x0a00_0002, 0x0a00_0103, 0xc0a8_0104];

/// Few values, so that packets meet entries and entries meet each other.
fn value(numbers: &mut Numbers, bits: usize) -> Value {
    let value = match numbers.below(4) {
        0 => numbers.pick(&ADDRESSES),
        1 => numbers.pick(&[6, 17, 80, 53, 0x0800, 511]),
        _ => numbers.below(4),
    };
    Value::from(value).and(&Value::ones(bits))
}

fn part(numbers: &mut Numbers, field: &KeyField) -> KeyPart {
    let own = value(numbers, field.bits);
    match field.kind {
        MatchKind::Exact => KeyPart::Exact(own),
        MatchKind::Lpm => {
            let prefix_len = u16::try_from(numbers.below(field.bits as u64 + 1)).unwrap();
            let mask = Value::prefix_mask(field.bits, prefix_len.into());
            let value = own.and(&mask);
            KeyPart::Lpm { value, prefix_len }
        }
        MatchKind::Ternary => {
            let mask = value(numbers, field.bits);
            let value = own.and(&mask);
            KeyPart::Ternary { value, mask }
        }
        MatchKind::Range => KeyPart::Range {
            low: Value::from(numbers.below(2)),
            high: own.clone().max(Value::from(1u64)),
        },
        MatchKind::Optional => KeyPart::Optional((numbers.below(2) == 0).then_some(own)),
    }
}

/// Puts entries, members, groups and sessions into an engine; the same for the same seed.
fn fill(engine: &mut Engine, numbers: &mut Numbers) {
    let program = Arc::clone(engine.program());
    for session in 0..6 {
        let replicas = vec![Replica {
            port: 7,
            instance: 1,
        }];
        let config = CloneSession {
            replicas: replicas.clone(),
            ..CloneSession::default()
        };
        engine.set_clone_session(session, config);
        engine.set_multicast_group(session + 1, replicas);
    }
    for name in program.tables().iter().map(|info| &info.name) {
        let table = program.table(name).unwrap();
        let info = program.table_info(table);
        if info.fields.is_empty() || info.actions.is_empty() || info.const_entries {
            continue;
        }
        let call = |numbers: &mut Numbers| {
            let action = numbers.pick(&info.actions);
            let params = &program.action_info(action).params;
            let args = params
                .iter()
                .map(|param| value(numbers, param.bits))
                .collect();
            ActionCall { action, args }
        };
        for at in 0..24 {
            let key: Vec<KeyPart> = info
                .fields
                .iter()
                .map(|field| part(numbers, field))
                .collect();
            let action = match info.source {
                TableSource::Direct => EntryAction::Call(call(numbers)),
                TableSource::Profile(profile) => {
                    engine.set_member(profile, at % 4, call(numbers)).unwrap();
                    EntryAction::Member(at % 4)
                }
                TableSource::Selector(profile) => {
                    engine.set_member(profile, at % 4, call(numbers)).unwrap();
                    let members = vec![WeightedMember {
                        member: at % 4,
                        weight: 2,
                    }];
                    engine
                        .set_group(profile, at % 3, ProfileGroup { members })
                        .unwrap();
                    EntryAction::Group(at % 3)
                }
            };
            let priority = if info.needs_priority {
                i32::try_from(numbers.below(5)).unwrap() + 1
            } else {
                0
            };
            // Refused if the key is there or the table full, in both engines alike.
            let _ = engine.insert(
                table,
                Entry {
                    key,
                    priority,
                    action,
                },
            );
        }
    }
}

/// A packet that gets somewhere: TCP, UDP or ICMP over IPv4 or IPv6, ARP, or noise.
fn packet(numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1];
    let kind = numbers.below(8);
    match kind {
        0..=3 => {
            bytes.extend([8, 0]);
            let protocol = numbers.pick(&[6, 6, 17, 1]);
            let mut ip = vec![0x45, 0, 0, 44, 0, 0, 0x40, 0, 64, protocol, 0, 0];
            for _ in 0..2 {
                let address = u32::try_from(numbers.pick(&ADDRESSES)).unwrap();
                ip.extend(address.to_be_bytes());
            }
            let words = ip.chunks(2);
            let mut sum: u32 = words
                .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]))
                .sum();
            sum = (sum & 0xffff) + (sum >> 16);
            sum = (sum & 0xffff) + (sum >> 16);
            let check = !u16::try_from(sum).unwrap();
            ip[10..12].copy_from_slice(&check.to_be_bytes());
            bytes.extend(ip);
        }
        4 => {
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20]);
            bytes.extend([numbers.pick(&[6, 17, 58, 44]), 64]);
            bytes.extend([0; 31]);
            bytes.push(1);
        }
        5 => bytes.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]),
        _ => {
            // What the small cases take: an operation, then its operands.
            let length = numbers.below(60);
            bytes = (0..length)
                .map(|_| u8::try_from(numbers.below(256)).unwrap())
                .collect();
            if let Some(first) = bytes.first_mut() {
                *first = u8::try_from(numbers.below(12)).unwrap();
            }
            return bytes;
        }
    }
    for _ in 0..4 {
        bytes.push(u8::try_from(numbers.below(2)).unwrap());
    }
    let flags = numbers.pick(&[0x02, 0x10, 0x11, 0x12, 0x04]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    let cut = bytes.len()
        - usize::try_from(numbers.below(10))
            .unwrap()
            .saturating_sub(6)
            * 8;
    bytes.truncate(cut);
    bytes
}

/// Everything that a control plane can see of an engine's state.
fn state(engine: &Engine) -> Vec<String> {
    let program = engine.program();
    let mut seen = Vec::new();
    for name in program.tables().iter().map(|info| &info.name) {
        let table = program.table(name).unwrap();
        for (handle, entry) in engine.entries(table) {
            let counter = engine.entry_counter(table, handle);
            seen.push(format!("{name} {:?} {counter:?}", entry.key));
        }
        seen.push(format!("{name} {:?}", engine.default_counter(table)));
    }
    for info in program.counters() {
        let counter = program.counter(&info.name).unwrap();
        seen.push(format!("{} {:?}", info.name, engine.counter(counter)));
    }
    for info in program.registers() {
        let register = program.register(&info.name).unwrap();
        let cells = (0..info.size).map(|cell| engine.register(register, cell).unwrap());
        let used: Vec<_> = cells.enumerate().filter(|(_, v)| !v.is_zero()).collect();
        seen.push(format!("{} {used:?}", info.name));
    }
    seen
}

#[test]
fn a_batch_is_its_packets_one_by_one() {
    for (path, program) in programs() {
        for seed in 0..SEEDS {
            let place = format!("{} seed {seed}", path.display());
            let engines = || {
                let mut engine = Engine::new(Arc::clone(&program), EngineConfig::default());
                fill(&mut engine, &mut Numbers(seed));
                engine
            };
            let [mut alone, mut batched, mut traced] = [engines(), engines(), engines()];
            let mut numbers = Numbers(seed ^ 0xffff);
            let (mut one, mut many, mut told) = (Outputs::new(), Outputs::new(), Outputs::new());
            for round in 0..4 {
                // Many of few flows, so that packets of one connection meet in a batch.
                let few: Vec<Vec<u8>> = (0..12).map(|_| packet(&mut numbers)).collect();
                let count = numbers.pick(&[3, 31, 32, 33, 64, 100]);
                let packets: Vec<(u16, Vec<u8>)> = (0..count)
                    .map(|_| {
                        let port = u16::try_from(numbers.below(4)).unwrap();
                        (port, numbers.pick(&few))
                    })
                    .collect();
                let now = 1_000_000 * (round + 1);
                for out in [&mut one, &mut many, &mut told] {
                    out.clear();
                }
                let mut batch = Vec::new();
                for (port, bytes) in &packets {
                    alone.process(*port, bytes, now, &mut one);
                    traced.process_traced(*port, bytes, now, &mut told, &mut Trace::default());
                    batch.push(Packet { port: *port, bytes });
                }
                batched.process_batch(&batch, now, &mut many);
                assert_eq!(one.frames(), told.frames(), "{place}: traced");
                assert_eq!(one.digests(), told.digests(), "{place}: traced");
                assert_eq!(one.frames(), many.frames(), "{place}");
                assert_eq!(one.digests(), many.digests(), "{place}");
            }
            assert_eq!(state(&alone), state(&batched), "{place}");
            assert_eq!(state(&alone), state(&traced), "{place}: traced");
        }
    }
}
