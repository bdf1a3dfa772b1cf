//! Books over edits, restarts and lost targets: a compiler makes the rows, a made-up target counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy_compiler::generate::site;
use policy_model::{
    Action, Policy, PolicyId, PolicyKind, PolicyModel, PortRange, Protocol, Rule, RuleNotes, Side,
    Tier, Update as ModelUpdate, WorkloadEndpoint, WorkloadId,
};
use table_model::{Atomicity, Capability, Flip};

use super::*;

/// A compiler, and a target that counts on the rows that it holds.
struct World {
    model: PolicyModel,
    compiler: Compiler,
    counts: Counts,
    generation: u64,
    target: BTreeMap<RowKey, (Row, u64)>,
    /// What deleted rows had counted and nobody has collected.
    departed: Departed,
}

fn policy_id() -> PolicyId {
    PolicyId {
        kind: PolicyKind::NetworkPolicy,
        namespace: "shop".into(),
        name: "web".into(),
    }
}

fn allow(id: &str, port: u16) -> Rule {
    Rule {
        action: Action::Allow,
        family: None,
        protocol: Some(Protocol::TCP),
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        src: Side::default(),
        dst: Side {
            ports: vec![PortRange {
                first: port,
                last: port,
            }],
            ..Side::default()
        },
        http: None,
        id: RuleId::from(id),
        notes: Arc::new(RuleNotes::default()),
    }
}

fn name(id: &str) -> RuleName {
    RuleName {
        holder: RuleHolder::Policy(policy_id()),
        direction: Direction::Ingress,
        which: Which::Id(RuleId::from(id)),
    }
}

fn compiler() -> Compiler {
    let capability = Capability {
        target: String::new(),
        flip: Flip::Modify,
        atomicity: Atomicity::Dataplane,
        batch: 1000,
        limits: Vec::new(),
    };
    Compiler::new(capability, policy_model::Semantics::default())
}

impl World {
    fn new(rules: &[Rule]) -> Self {
        let mut world = Self {
            model: PolicyModel::new(),
            compiler: compiler(),
            counts: Counts::default(),
            generation: 0,
            target: BTreeMap::new(),
            departed: Departed {
                ledger: "a".into(),
                ..Departed::default()
            },
        };
        let endpoint = WorkloadEndpoint {
            active: true,
            interface: "cali0".into(),
            nets: vec!["10.0.0.1/32".parse().unwrap()],
            tiers: vec![Tier {
                name: "default".into(),
                ingress: vec![policy_id()],
                egress: Vec::new(),
                default_pass: false,
            }],
            ..WorkloadEndpoint::default()
        };
        let id = WorkloadId {
            orchestrator: "k8s".into(),
            workload: "shop/web-0".into(),
            endpoint: "eth0".into(),
        };
        world
            .model
            .apply(ModelUpdate::Workload(id, endpoint))
            .unwrap();
        world.put(rules);
        world.model.apply(ModelUpdate::InSync).unwrap();
        world.commit(true);
        world
    }

    fn put(&mut self, rules: &[Rule]) {
        let policy = Policy {
            inbound: rules.to_vec(),
            ..Policy::default()
        };
        self.model
            .apply(ModelUpdate::Policy(policy_id(), policy))
            .unwrap();
    }

    /// Felix edits the policy.
    fn edit(&mut self, rules: &[Rule]) {
        self.put(rules);
        self.commit(false);
    }

    fn commit(&mut self, fresh: bool) {
        let changes = self.model.take_changes();
        let commit = self
            .compiler
            .commit(&self.model, &changes, &site())
            .unwrap();
        self.generation += 1;
        let generation = Generation(self.generation);
        if fresh {
            self.counts.restarted(&self.compiler, generation);
        } else {
            let touched = Touched::of(&commit.phases);
            self.counts
                .committed(touched, &self.compiler, generation, true);
        }
        for update in commit.phases.into_iter().flat_map(|phase| phase.updates) {
            match update {
                Update::Insert(row) | Update::Modify(row) => {
                    let count = self.target.get(&row.key).map_or(0, |(_, count)| *count);
                    self.target.insert(row.key.clone(), (row, count));
                }
                Update::Delete(key) => {
                    let (row, packets) = self.target.remove(&key).unwrap();
                    if packets > 0 {
                        self.departed.last += 1;
                        self.departed.counters.push(counter(row, packets));
                    }
                }
            }
        }
    }

    /// Packets on all rows of the rule that stands for this place now.
    fn packets(&mut self, rule: &str, packets: u64) {
        let mut hit = 0;
        for (row, count) in self.target.values_mut() {
            let named = number(row).and_then(|number| self.compiler.rule(number));
            if named
                .is_some_and(|named| named.rule_id.as_ref().is_some_and(|id| id.as_str() == rule))
            {
                if hit == 0 {
                    *count += packets;
                }
                hit += 1;
            }
        }
        assert!(hit > 0, "no row of {rule}");
    }

    fn collect(&mut self) -> Vec<RowKey> {
        let keys = self.counts.departed(&self.departed);
        self.departed.counters.clear();
        keys
    }

    fn read(&mut self) {
        self.collect();
        let counters: Vec<_> = self
            .target
            .values()
            .map(|(row, n)| counter(row.clone(), *n))
            .collect();
        self.counts
            .read(&counters, &[], Generation(self.generation));
    }

    fn total(&self, rule: &str) -> u64 {
        self.counts
            .totals()
            .get(&name(rule))
            .map_or(0, |count| count.packets)
    }

    /// The daemon ends and another one takes over.
    fn restart(&mut self) {
        let dir = tempfile::tempdir().unwrap();
        let keeper = Keeper::new(dir.path());
        keeper.save(&Keeper::text(&self.counts)).unwrap();
        self.counts = keeper.load();
        self.compiler = compiler();
        let nothing = policy_model::ChangeSet::default();
        self.compiler
            .commit(&self.model, &nothing, &site())
            .unwrap();
        self.generation += 1;
        self.counts
            .restarted(&self.compiler, Generation(self.generation));
    }
}

fn counter(row: Row, packets: u64) -> EntryCounter {
    EntryCounter {
        row,
        packets,
        bytes: packets * 60,
    }
}

fn two() -> World {
    let mut world = World::new(&[allow("x", 80), allow("y", 443)]);
    world.packets("x", 5);
    world.packets("y", 7);
    world.read();
    assert_eq!((world.total("x"), world.total("y")), (5, 7));
    world
}

#[test]
fn a_rule_that_moves_keeps_its_count() {
    let mut world = two();
    world.packets("x", 1);
    world.edit(&[allow("new", 22), allow("y", 443), allow("x", 80)]);
    world.packets("x", 10);
    world.packets("new", 3);
    world.read();
    assert_eq!(
        world.total("x"),
        16,
        "what came after the last read counts too"
    );
    assert_eq!((world.total("y"), world.total("new")), (7, 3));
}

#[test]
fn counts_of_rows_on_their_way_out_are_theirs_until_they_are_gone() {
    let mut world = two();
    // The edit is compiled, the target still has the old rows.
    let before = world.target.clone();
    world.edit(&[allow("new", 22), allow("x", 80), allow("y", 443)]);
    let after = std::mem::replace(&mut world.target, before);
    let departed = std::mem::take(&mut world.departed.counters);
    let counters: Vec<_> = world
        .target
        .values()
        .map(|(row, n)| counter(row.clone(), *n))
        .collect();
    world.counts.read(&counters, &[], Generation(1));
    assert_eq!(
        (world.total("x"), world.total("y"), world.total("new")),
        (5, 7, 0)
    );
    // It gets there.
    world.target = after;
    world.departed.counters = departed;
    world.read();
    assert_eq!(
        (world.total("x"), world.total("y"), world.total("new")),
        (5, 7, 0)
    );
}

#[test]
fn many_edits_lose_nothing() {
    let mut world = two();
    for round in 0..40_u16 {
        let extra = format!("extra-{round}");
        let mut rules = vec![allow("x", 80), allow(&extra, 1000 + round), allow("y", 443)];
        rules.rotate_left(usize::from(round % 3));
        world.edit(&rules);
        world.packets("x", 1);
        world.packets("y", 2);
        world.packets(&extra, 3);
        if round % 5 == 0 {
            world.read();
        }
    }
    world.read();
    assert_eq!((world.total("x"), world.total("y")), (45, 87));
    assert_eq!(
        world.total("extra-17"),
        3,
        "a rule of the past is remembered"
    );
    let all: u64 = world
        .counts
        .totals()
        .values()
        .map(|count| count.packets)
        .sum();
    assert_eq!(all, 45 + 87 + 120);
    assert_eq!(world.counts.lost(), 0);
}

#[test]
fn a_restart_of_the_daemon_keeps_all_counts() {
    let mut world = two();
    world.edit(&[allow("y", 443)]);
    world.packets("y", 1);
    world.read();
    world.restart();
    assert_eq!(
        (world.total("x"), world.total("y")),
        (5, 8),
        "before anything was read"
    );
    world.packets("y", 2);
    world.read();
    assert_eq!((world.total("x"), world.total("y")), (5, 10));
}

#[test]
fn a_target_that_begins_anew_loses_what_was_not_read() {
    let mut world = two();
    world.packets("x", 100);
    for (_, count) in world.target.values_mut() {
        *count = 0;
    }
    world.packets("x", 2);
    world.read();
    assert_eq!((world.total("x"), world.total("y")), (7, 7));
}

#[test]
fn a_target_that_begins_anew_while_no_agent_looks_is_noticed() {
    let mut world = two();
    world.restart();
    for (_, count) in world.target.values_mut() {
        *count = 0;
    }
    world.packets("x", 1);
    world.read();
    assert_eq!((world.total("x"), world.total("y")), (6, 7));
}

#[test]
fn rows_that_vanish_without_a_word_keep_what_was_read_last() {
    let mut world = two();
    world.edit(&[allow("y", 443)]);
    // The DPU agent was killed before it could tell.
    world.departed.counters.clear();
    world.read();
    assert_eq!((world.total("x"), world.total("y")), (5, 7));
}

#[test]
fn a_row_that_goes_while_all_are_read_counts_once() {
    let mut world = two();
    let counters: Vec<_> = world
        .target
        .values()
        .map(|(row, n)| counter(row.clone(), *n))
        .collect();
    world.edit(&[allow("y", 443)]);
    let departed = world.collect();
    world
        .counts
        .read(&counters, &departed, Generation(world.generation));
    world.read();
    assert_eq!((world.total("x"), world.total("y")), (5, 7));
}

#[test]
fn an_edit_while_the_daemon_is_away_is_credited_by_the_old_names() {
    let mut world = two();
    world.put(&[allow("new", 22), allow("y", 443)]);
    // The next daemon compiles what is new and has the old rows deleted.
    let before = world.target.clone();
    world.restart();
    let mut there = BTreeMap::new();
    world
        .compiler
        .each_row(|row| drop(there.insert(row.key.clone(), row)));
    for (key, (row, packets)) in before {
        if !there.contains_key(&key) {
            world.target.remove(&key);
            if packets > 0 {
                world.departed.last += 1;
                world.departed.counters.push(counter(row, packets));
            }
        }
    }
    for (key, row) in there {
        world.target.entry(key).or_insert((row, 0));
    }
    world.read();
    assert_eq!(
        (world.total("x"), world.total("y"), world.total("new")),
        (5, 7, 0)
    );
}

#[test]
fn books_that_make_no_sense_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::new(dir.path());
    assert!(keeper.load().totals().is_empty(), "no books yet");
    for text in [
        "{",
        "{\"version\":9,\"ledger\":\"\",\"taken\":0,\"rules\":[],\"names\":[]}",
    ] {
        keeper.save(text).unwrap();
        assert!(keeper.load().totals().is_empty());
        assert!(dir.path().join("counts.json.unreadable").exists());
    }
}

#[test]
fn rules_of_the_past_are_put_together_when_they_are_many() {
    let mut counts = Counts::default();
    for number in 0..2 * MOST {
        let rule = name(&format!("rule-{number}"));
        put(
            &mut counts.gone,
            rule,
            HitCount {
                packets: 1,
                bytes: 1,
            },
        );
    }
    counts.prune();
    assert!(counts.gone.len() < 10);
    let all: u64 = counts.totals().values().map(|count| count.packets).sum();
    assert_eq!(all, 2 * MOST as u64);
}
