//! Times of the compiler on the shapes of large clusters, for whoever makes it faster.

use std::time::Instant;

use policy_compiler::Compiler;
use policy_compiler::generate::Choices;
use policy_compiler::generate::shapes::{Shape, delta, member};
use policy_model::{ChangeSet, PolicyModel, Semantics};
use table_model::{Atomicity, Capability, Flip, TableLimit};

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn rss() -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let get = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    };
    format!("{:.1} MB, peak {:.1} MB", get("VmRSS"), get("VmHWM"))
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let shape = match args[1].as_str() {
        "seven" => Shape::SEVEN_SETS,
        "selectors" => Shape::SELECTORS,
        "long" => Shape::LONG_LIST,
        "nets1" => Shape::network_sets(1_000),
        "nets10" => Shape::network_sets(10_000),
        "tenants1" => Shape::tenants(1_000),
        "tenants10" => Shape::tenants(10_000),
        "tenants100" => Shape::tenants(100_000),
        "unique" => Shape::near_unique(2_000),
        "small" => Shape { pods: 100_000, ..Shape::SEVEN_SETS },
        "million" => Shape { pods: 1_000_000, ..Shape::SEVEN_SETS },
        other => panic!("{other}"),
    };
    let batch: u32 = args.get(2).map_or(10_000, |text| text.parse().unwrap());
    println!("start: {}", rss());
    let limits = p4_tables::schema().tables.iter();
    let limits = limits.map(|table| TableLimit { table: table.id, entries: 100_000_000 });
    let capability = Capability {
        target: String::new(),
        flip: Flip::Modify,
        atomicity: Atomicity::ContinueOnError,
        batch: 1000,
        limits: limits.collect(),
    };
    let site = shape.site();
    let mut model = PolicyModel::new();
    let mut compiler = Compiler::new(capability, Semantics::default());
    let (mut apply, wall) = (0.0, Instant::now());
    let began = cpu();
    shape.each(|update| {
        let began = cpu();
        model.apply(update).unwrap();
        apply += cpu() - began;
    });
    println!("load: apply {apply:.3} s of {:.3}; {}", cpu() - began, rss());
    let began = cpu();
    let changes = model.take_changes();
    let commit = compiler.commit(&model, &changes, &site).unwrap();
    println!("cold commit {:.3} s cpu, all {:.3} s wall; {}", cpu() - began, wall.elapsed().as_secs_f64(), rss());
    drop((commit, changes));
    println!("dropped: {}", rss());
    let mut rows = 0;
    for usage in compiler.usage() {
        if usage.rows > 0 {
            println!("  {:24} {}", usage.name, usage.rows);
        }
        rows += usage.rows;
    }
    println!("{rows} rows, {:.3} a membership, {:.3} a rule", rows as f64 / shape.memberships() as f64,
        compiler.usage().iter().filter(|u| u.name.contains("verdict")).map(|u| u.rows).sum::<u64>() as f64 / shape.rule_count() as f64);

    let mut choices = Choices::new(7);
    let groups = shape.groups();
    for pods in [batch, 1] {
        if shape.sets_a_pod == 0 { break; }
        let rounds = if pods == 1 { 2000 } else { 6 };
        let (mut apply, mut compile, mut count, mut written) = (0.0, 0.0, 0, 0);
        let mut longest: Vec<f64> = Vec::new();
        for _ in 0..rounds {
            let mut which: Vec<u32> = (0..pods).map(|_| choices.below(shape.pods as usize) as u32).collect();
            which.sort_unstable();
            which.dedup();
            for start in [false, true] {
                let updates = shape.pods_move(&groups, &which, start);
                count += which.len() * shape.sets_a_pod as usize;
                let t0 = cpu();
                for update in updates {
                    model.apply(update).unwrap();
                }
                let changes = model.take_changes();
                let t1 = cpu();
                let commit = compiler.commit(&model, &changes, &site).unwrap();
                let t2 = cpu();
                apply += t1 - t0;
                compile += t2 - t1;
                longest.push(t2 - t0);
                written += commit.phases.iter().map(|phase| phase.updates.len()).sum::<usize>();
            }
        }
        longest.sort_by(f64::total_cmp);
        println!("{pods} pods at once: {:.0} members/s, {:.0} ns apply, {:.0} ns commit, {written} writes; best {:.0}/s; p99 {:.1} us", count as f64 / (apply + compile),
            apply / count as f64 * 1e9, compile / count as f64 * 1e9,
            count as f64 / longest.len() as f64 / longest[0], longest[longest.len() * 99 / 100] * 1e6);
    }
    // One membership at a time.
    if shape.sets_a_pod > 0 {
        for batch in [1_u32, 10_000] {
            let rounds = if batch == 1 { 2000 } else { 6 };
            let (mut times, mut writes, mut count) = (Vec::new(), 0, 0);
            for _ in 0..rounds {
                let mut by_set: std::collections::BTreeMap<u32, std::collections::BTreeSet<u32>> = std::collections::BTreeMap::new();
                for _ in 0..batch {
                    let pod = choices.below(shape.pods as usize) as u32;
                    let group = &groups[(pod / shape.alike) as usize];
                    by_set.entry(group[choices.below(group.len())]).or_default().insert(pod);
                }
                for come in [false, true] {
                    let t0 = cpu();
                    for (set, pods) in &by_set {
                        count += pods.len();
                        model.apply(delta(*set, pods.iter().copied().map(member).collect(), come)).unwrap();
                    }
                    let changes: ChangeSet = model.take_changes();
                    let commit = compiler.commit(&model, &changes, &site).unwrap();
                    times.push(cpu() - t0);
                    writes += commit.phases.iter().map(|phase| phase.updates.len()).sum::<usize>();
                }
            }
            times.sort_by(f64::total_cmp);
            println!("{batch} single memberships: {:.0}/s, p50 {:.1} us p99 {:.1} us, {:.2} writes each", count as f64 / times.iter().sum::<f64>(),
                times[times.len() / 2] * 1e6, times[times.len() * 99 / 100] * 1e6, writes as f64 / count as f64);
        }
    }
    // Policy edits.
    let mut times = Vec::new();
    for edition in 1..100 {
        model.apply(shape.policy(edition % shape.policies, u16::try_from(edition).unwrap() + 500)).unwrap();
        let t0 = cpu();
        let changes = model.take_changes();
        compiler.commit(&model, &changes, &site).unwrap();
        times.push(cpu() - t0);
    }
    times.sort_by(f64::total_cmp);
    println!("policy edit: p50 {:.1} us, longest {:.1} us", times[50] * 1e6, times[98] * 1e6);
    println!("end: {}", rss());
}
