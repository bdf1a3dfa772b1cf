//! Packets a second of one core through a program, engine only.
//!
//! With the project's own pipeline (`packets p4/programs/margay.json [ENTRIES ["in batches" [PACKETS]]]`) it fills the tables
//! for 500 pods behind 100 ports and about so many policy entries (1 000, 10 000 and a million
//! unless said), and sends established flows, denied flows and a mix, packet by packet and in
//! batches; with any other program it sends the same frames to empty tables.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a program for people prints, and stops where its own tables are not there"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use p4_engine::{
    ActionCall, Engine, EngineConfig, Entry, EntryAction, KeyPart, Outputs, Packet, Program, Value,
};

const UPLINK: u16 = 100;
const PODS: u32 = 500;
const CLASSES: u64 = 10;
/// Distinct packets of a run, so that neither they nor what they look up lie in a cache.
const PACKETS: u32 = 131_072;
/// Connections that packets of established flows belong to.
const FLOWS: u32 = 16_384;

fn main() {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "p4/programs/margay.json".to_owned());
    let json = std::fs::read_to_string(&path).unwrap_or_default();
    let only = std::env::args().nth(2).and_then(|text| text.parse().ok());
    let sizes = only.map_or(vec![1_000, 10_000, 1_000_000], |entries| vec![entries]);
    for entries in sizes {
        let program = match Program::load(&json) {
            Ok(program) => program,
            Err(error) => return println!("{path}: {error}"),
        };
        println!("{path}: {}", program.summary());
        measure(program, entries);
    }
}

fn measure(mut program: Program, entries: u32) {
    let hosts = entries / 4;
    for name in ["acl_host_v4", "acl_host_group", "acl_verdict"] {
        if let Some(table) = program.table(name) {
            program.declare_table(table, 1 << 22, false);
        }
    }
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    if engine.program().table("acl_verdict").is_some() {
        let before = resident();
        let start = Instant::now();
        let (filled, worst) = fill(&mut engine, hosts);
        let spent = start.elapsed();
        println!(
            "{filled} entries in {} ms, {} ns each, longest insert {} us, {} bytes an entry",
            spent.as_millis(),
            spent.as_nanos() / u128::from(filled.max(1)),
            worst.as_micros(),
            resident().saturating_sub(before) / u64::from(filled.max(1)),
        );
    }
    let packets = std::env::args().nth(4).and_then(|text| text.parse().ok());
    let packets = packets.unwrap_or(PACKETS);
    // Each packet comes from another of the hosts, in no order.
    let source = |at: u32| 0x0a00_0000 + at.wrapping_mul(2_654_435_761) % hosts;
    let flows: Vec<Vec<u8>> = (0..packets)
        .map(|at| at % FLOWS)
        .map(|flow| frame(source(flow), pod(flow % PODS), flow, 6))
        .collect();
    let denied: Vec<Vec<u8>> = (0..packets)
        .map(|at| frame_to(source(at), pod(at % PODS), at, 6, 9))
        .collect();
    let mixed: Vec<Vec<u8>> = flows
        .iter()
        .zip(&denied)
        .flat_map(|(a, b)| [a.clone(), b.clone()])
        .collect();
    run("established", &mut engine, &flows);
    run("denied by policy", &mut engine, &denied);
    run("one of each", &mut engine, &mixed);
}

fn pod(index: u32) -> u32 {
    0x0a41_0000 + index
}

/// Resident memory of the process in bytes, where the kernel tells.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1);
    pages
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0)
        * 4096
}

fn run(name: &str, engine: &mut Engine, frames: &[Vec<u8>]) {
    for how in ["alone", "in batches"] {
        if std::env::args().nth(3).is_some_and(|only| only != how) {
            continue;
        }
        let mut out = Outputs::new();
        let mut now = 1_000_000;
        let mut sent = 0usize;
        let mut best = f64::MAX;
        for _ in 0..5 {
            let (start, cpu) = (Instant::now(), cpu_seconds());
            sent = 0;
            for batch in frames.chunks(64) {
                now += 20;
                out.clear();
                send(engine, batch, how, now, &mut out);
                sent += out.frames().len();
            }
            let spent = match (cpu, cpu_seconds()) {
                (Some(before), Some(after)) => after - before,
                _ => start.elapsed().as_secs_f64(),
            };
            best = best.min(spent);
        }
        let rate = frames.len() as f64 / best;
        let each = best / frames.len() as f64 * 1e9;
        println!(
            "  {name}, {how}: {rate:.0} packets/s, {each:.0} ns each, {sent} of {} left",
            frames.len()
        );
    }
}

fn send(engine: &mut Engine, frames: &[Vec<u8>], how: &str, now: u64, out: &mut Outputs) {
    if how == "alone" {
        for frame in frames {
            engine.process(UPLINK, frame, now, out);
        }
        return;
    }
    let mut batch = [Packet {
        port: UPLINK,
        bytes: &[],
    }; 64];
    for (packet, frame) in batch.iter_mut().zip(frames) {
        packet.bytes = frame;
    }
    engine.process_batch(&batch[..frames.len().min(64)], now, out);
}

/// Seconds that this thread has had on a core, where the kernel tells: on a machine that others
/// use as well, wall time says little.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

fn frame(src: u32, dst: u32, flow: u32, protocol: u8) -> Vec<u8> {
    frame_to(src, dst, flow, protocol, 8080)
}

fn frame_to(src: u32, dst: u32, flow: u32, protocol: u8, port: u16) -> Vec<u8> {
    let mut bytes = vec![0xee; 12];
    bytes.extend([8, 0]);
    let mut ip = vec![0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    ip.extend(src.to_be_bytes());
    ip.extend(dst.to_be_bytes());
    let mut sum: u32 = ip
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let check = (!(sum as u16)).to_be_bytes();
    ip[10..12].copy_from_slice(&check);
    bytes.extend(ip);
    bytes.extend(((1024 + flow % 60_000) as u16).to_be_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend([0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.resize(64, 0);
    bytes
}

/// Fills the tables of the project's own pipeline: `hosts` labelled hosts, a group for each label
/// and class, verdicts for each group. How many entries, and the time of the slowest insert.
fn fill(engine: &mut Engine, hosts: u32) -> (u32, Duration) {
    let mut count = 0;
    let mut worst = Duration::ZERO;
    let mut add = |table: &str, key: Vec<KeyPart>, action: &str, args: Vec<u64>| {
        let program = Arc::clone(engine.program());
        let Some(table) = program.table(table) else {
            return;
        };
        let action = program.table_action(table, action).expect("action");
        let params = program.action_info(action).params.len();
        let mut args: Vec<Value> = args.into_iter().map(Value::from).collect();
        args.resize(params, Value::zero());
        let action = EntryAction::Call(ActionCall { action, args });
        let entry = Entry {
            key,
            priority: 0,
            action,
        };
        let start = Instant::now();
        engine.insert(table, entry).expect("insert");
        worst = worst.max(start.elapsed());
        count += 1;
    };
    let exact = |value: u64| KeyPart::Exact(Value::from(value));
    let lpm = |value: u64, prefix_len: u16| KeyPart::Lpm {
        value: Value::from(value),
        prefix_len,
    };
    let uplink = vec![exact(UPLINK.into())];
    add("endpoint_port", uplink, "uplink_port", vec![]);
    for index in 0..PODS {
        let port = u64::from(index % 100);
        let addr = u64::from(pod(index));
        let class = u64::from(index) % CLASSES + 1;
        add(
            "endpoint_local_v4",
            vec![exact(addr)],
            "local_endpoint",
            vec![port, 0x0200 + addr, class, class, 0],
        );
    }
    let labels = u64::from(hosts).div_ceil(7);
    for host in 0..u64::from(hosts) {
        add(
            "acl_host_v4",
            vec![exact(0x0a00_0000 + host)],
            "host_label",
            vec![host % labels + 1],
        );
    }
    for net in 0..200u64 {
        add(
            "acl_net_v4",
            vec![lpm(0xac10_0000 + (net << 8), 24)],
            "net_label",
            vec![net + 1000],
        );
    }
    let wide = vec![lpm(0xc0a8_0000, 16)];
    add("acl_net_v4", wide, "net_label", vec![7]);
    for class in 1..=CLASSES {
        let step = vec![class, 1, 0, 0, 0, 0, 16];
        add("acl_chain", vec![exact(class)], "step", step);
        for label in 1..=labels {
            add(
                "acl_host_group",
                vec![exact(class), exact(label)],
                "host_group",
                vec![label, label],
            );
        }
        for group in 1..=labels {
            let key = vec![exact(class), exact(group), exact(5), exact(0)];
            add("acl_verdict", key, "allow", vec![class * 100 + group]);
        }
        add("acl_class_default", vec![exact(class)], "deny", vec![99]);
    }
    for port in 0..1000u64 {
        add(
            "acl_port",
            vec![exact(1), exact(6), lpm(8000 + port, 16)],
            "port_group",
            vec![5],
        );
    }
    (count, worst)
}
