//! Packets a second of one core through a program, engine only.
//!
//! With the project's own pipeline (`packets p4/programs/margay.json`) it fills the tables for 500
//! pods behind 100 ports and sends established flows, denied flows and a mix; with any other
//! program it sends the same frames to empty tables.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a program for people prints, and stops where its own tables are not there"
)]

use std::sync::Arc;
use std::time::Instant;

use p4_engine::{
    ActionCall, Engine, EngineConfig, Entry, EntryAction, KeyPart, Outputs, Program, Value,
};

const UPLINK: u16 = 100;
const PODS: u32 = 500;

fn main() {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "p4/programs/margay.json".to_owned());
    let json = std::fs::read_to_string(&path).unwrap_or_default();
    let program = match Program::load(&json) {
        Ok(program) => program,
        Err(error) => return println!("{path}: {error}"),
    };
    println!("{path}: {}", program.summary());
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    if engine.program().table("acl_verdict").is_some() {
        fill(&mut engine);
    }
    let flows: Vec<Vec<u8>> = (0..65_536u32)
        .map(|flow| frame(0x0a00_0000 + flow % 5000, pod(flow % PODS), flow, 6))
        .collect();
    let denied: Vec<Vec<u8>> = (0..65_536u32)
        .map(|flow| frame(0xc600_0000 + flow * 7919, pod(flow % PODS), flow, 6))
        .collect();
    let mixed: Vec<Vec<u8>> = flows
        .iter()
        .zip(&denied)
        .flat_map(|(a, b)| [a.clone(), b.clone()])
        .collect();
    run(
        "allowed, established after the first round",
        &mut engine,
        &flows[..20_000],
    );
    run("denied by policy, distinct sources", &mut engine, &denied);
    run("mixed", &mut engine, &mixed);
}

fn pod(index: u32) -> u32 {
    0x0a41_0000 + index
}

fn run(name: &str, engine: &mut Engine, frames: &[Vec<u8>]) {
    let mut out = Outputs::new();
    let mut now = 1_000_000;
    let mut sent = 0usize;
    let mut best = f64::MAX;
    for _ in 0..8 {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        sent = 0;
        for batch in frames.chunks(64) {
            now += 20;
            out.clear();
            for frame in batch {
                engine.process(UPLINK, frame, now, &mut out);
            }
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
        "{name}: {rate:.0} packets/s, {each:.0} ns each, {sent} of {} left",
        frames.len()
    );
}

/// Seconds that this thread has had on a core, where the kernel tells: on a machine that others
/// use as well, wall time says little.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

fn frame(src: u32, dst: u32, flow: u32, protocol: u8) -> Vec<u8> {
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
    bytes.extend(8080u16.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend([0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.resize(64, 0);
    bytes
}

fn fill(engine: &mut Engine) {
    let mut add = |table: &str, key: Vec<KeyPart>, action: &str, args: Vec<u64>| {
        let program = Arc::clone(engine.program());
        let table = program.table(table).expect("table");
        let action = program.table_action(table, action).expect("action");
        let args = args.into_iter().map(Value::from).collect();
        let action = EntryAction::Call(ActionCall { action, args });
        engine
            .insert(
                table,
                Entry {
                    key,
                    priority: 0,
                    action,
                },
            )
            .expect("insert");
    };
    let exact = |value: u64| KeyPart::Exact(Value::from(value));
    let lpm = |value: u64, prefix_len: u16| KeyPart::Lpm {
        value: Value::from(value),
        prefix_len,
    };
    add(
        "endpoint_port",
        vec![exact(UPLINK.into())],
        "uplink_port",
        vec![],
    );
    for port in 0..100 {
        add("endpoint_port", vec![exact(port)], "workload_port", vec![0]);
    }
    for index in 0..PODS {
        let port = u64::from(index % 100);
        let addr = u64::from(pod(index));
        let class = u64::from(index % 10 + 1);
        add(
            "endpoint_source_v4",
            vec![exact(port), lpm(addr, 32)],
            "source_endpoint",
            vec![class, 1, 0],
        );
        add(
            "endpoint_local_v4",
            vec![exact(addr)],
            "local_endpoint",
            vec![port, 0x0200 + addr, class, 1, 0],
        );
    }
    for host in 0..5000u64 {
        add(
            "acl_host_v4",
            vec![exact(0x0a00_0000 + host)],
            "host_label",
            vec![host % 100 + 1],
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
    add(
        "acl_net_v4",
        vec![lpm(0xc0a8_0000, 16)],
        "net_label",
        vec![7],
    );
    for class in 1..=10u64 {
        for label in 1..=100u64 {
            add(
                "acl_host_group",
                vec![exact(class), exact(label)],
                "host_group",
                vec![label, label % 8 + 1],
            );
        }
        for group in 1..=8u64 {
            let key = vec![exact(class), exact(group), exact(5), exact(0)];
            add("acl_verdict", key, "allow", vec![class * 100 + group]);
        }
        add(
            "acl_verdict_default",
            vec![exact(class), exact(0)],
            "deny",
            vec![99],
        );
    }
    for port in 0..1000u64 {
        add(
            "acl_port",
            vec![exact(1), exact(6), lpm(8000 + port, 16)],
            "port_group",
            vec![5],
        );
    }
}
