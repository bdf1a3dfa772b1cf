//! The client against the server's own rules, over a network that loses and breaks.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use table_model::{
    ActionId, ActionSchema, FieldSchema, FieldValue, MatchKind, ParamSchema, Rank, Row, TableId,
    TableSchema, Update,
};

use super::*;
use crate::chunk::{Assembler, Change};
use crate::server::Ledger;
use crate::types::ToDpu;

fn schema() -> Arc<Schema> {
    let table = |id: u32, rank| TableSchema {
        id: TableId(id),
        name: format!("table_{id}"),
        size: 64,
        rank,
        fields: vec![FieldSchema {
            id: 1,
            name: "key".to_owned(),
            bits: 8,
            kind: MatchKind::Exact,
        }],
        actions: vec![ActionSchema {
            id: ActionId(1),
            name: "set".to_owned(),
            params: vec![ParamSchema {
                id: 1,
                name: "value".to_owned(),
                bits: 8,
            }],
        }],
        counted: false,
    };
    Arc::new(Schema {
        fingerprint: 7,
        tables: vec![
            table(1, Rank::Body),
            table(2, Rank::Label),
            table(3, Rank::Pointer),
        ],
    })
}

fn row(schema: &Schema, table: u32, key: u8, value: u8) -> Row {
    let table = schema.table(TableId(table)).unwrap();
    Row {
        key: table.key(&[FieldValue::Exact(key.into())]).unwrap(),
        action: table.actions[0].call(&[value.into()]).unwrap(),
    }
}

/// What a commit asks for: each triple puts a value, or removes the row with none.
type Wish = Vec<(u32, u8, Option<u8>)>;

fn phases(schema: &Schema, state: &TableSnapshot, wish: &Wish) -> Vec<Phase> {
    let mut next = state.clone();
    for (table, key, value) in wish {
        let row = row(schema, *table, *key, value.unwrap_or_default());
        match value {
            Some(_) => next.put(row),
            None => next.take(&row.key),
        };
    }
    diff(schema, &next, state).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Wish),
    Connect,
    Break,
    /// The DPU agent is started again and has lost the session.
    Forget,
    /// A message arrives at the DPU.
    ToDpu,
    /// A message arrives at the host.
    ToHost,
    /// The DPU has room for so many rows.
    Room(usize),
    Retry,
}

fn step() -> impl Strategy<Value = Step> {
    let wish = prop::collection::vec((1_u32..=3, 0_u8..6, prop::option::of(0_u8..3)), 0..6);
    prop_oneof![
        5 => wish.prop_map(Step::Commit),
        3 => Just(Step::Connect),
        1 => Just(Step::Break),
        1 => Just(Step::Forget),
        8 => Just(Step::ToDpu),
        8 => Just(Step::ToHost),
        1 => (0_usize..20).prop_map(Step::Room),
        1 => Just(Step::Retry),
    ]
}

struct World {
    schema: Arc<Schema>,
    core: SyncCore,
    ledger: Ledger,
    assembler: Assembler,
    to_dpu: VecDeque<ToDpu>,
    to_host: VecDeque<FromDpu>,
    room: usize,
    /// Every state that the host sent, by generation.
    sent: BTreeMap<Generation, TableSnapshot>,
    refused: usize,
}

impl World {
    fn new(limits: Limits) -> Self {
        let schema = schema();
        Self {
            core: SyncCore::new(Arc::clone(&schema), "s".to_owned(), limits),
            schema,
            ledger: Ledger::default(),
            assembler: Assembler::default(),
            to_dpu: VecDeque::new(),
            to_host: VecDeque::new(),
            room: usize::MAX,
            sent: BTreeMap::new(),
            refused: 0,
        }
    }

    fn pump(&mut self) {
        if let Some(messages) = self.core.poll() {
            self.sent
                .insert(self.core.generation(), self.core.desired().clone());
            self.to_dpu.extend(messages);
        }
    }

    fn cut(&mut self) {
        self.to_dpu.clear();
        self.to_host.clear();
        self.assembler = Assembler::default();
        self.core.disconnected();
    }

    fn connect(&mut self) {
        if self.core.link() == Link::Down {
            let hello = self.core.connected();
            self.to_dpu.push_back(hello);
        }
    }

    fn commit(&mut self, wish: &Wish) {
        let before = self.core.generation();
        let phases = phases(&self.schema, self.core.desired(), wish);
        let after = self.core.commit(phases).unwrap();
        assert!(after >= before);
    }

    fn deliver(&mut self) {
        let Some(message) = self.to_dpu.pop_front() else {
            return;
        };
        let change = match message {
            ToDpu::Hello(hello) => {
                let answer = self.ledger.hello(hello);
                self.to_host.push_back(answer);
                return;
            }
            ToDpu::Snapshot(chunk) => self.assembler.snapshot(chunk).unwrap(),
            ToDpu::Delta(chunk) => self.assembler.delta(chunk).unwrap(),
        };
        let Some(change) = change else { return };
        let held = self.ledger.generation();
        let answer = match self.ledger.check(change) {
            Ok((generation, state)) if state.len() > self.room => FromDpu::Nack(Nack {
                generation,
                reason: NackReason::TableFull {
                    table: TableId(1),
                    need: 1,
                    free: 0,
                },
                text: String::new(),
            }),
            Ok((generation, state)) => {
                assert!(generation > held, "generations never go back");
                assert_eq!(
                    self.sent.get(&generation),
                    Some(&state),
                    "what is enforced is a state that the host wanted"
                );
                self.ledger.hold(generation, state)
            }
            Err(nack) => FromDpu::Nack(nack),
        };
        self.to_host.push_back(answer);
    }

    fn receive(&mut self) {
        let Some(message) = self.to_host.pop_front() else {
            return;
        };
        let acknowledged = self.core.acknowledged();
        for event in self.core.receive(message) {
            match event {
                Event::Reconnect(_) => {
                    self.cut();
                    break;
                }
                Event::Refused(_) => self.refused += 1,
                Event::Acknowledged(ack) => {
                    assert_eq!(ack.generation, self.ledger.generation());
                }
                Event::Resync(_) | Event::Linked | Event::Status(_) => {}
            }
        }
        assert!(self.core.acknowledged() >= acknowledged);
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Commit(wish) => self.commit(wish),
            Step::Connect => self.connect(),
            Step::Break => self.cut(),
            Step::Forget => {
                self.cut();
                self.ledger.forget();
            }
            Step::ToDpu => self.deliver(),
            Step::ToHost => self.receive(),
            Step::Room(rows) => self.room = *rows,
            Step::Retry => self.core.retry(),
        }
        self.pump();
    }

    /// Lets everything through until nothing moves.
    fn heal(&mut self) {
        self.room = usize::MAX;
        for _ in 0..200 {
            self.core.retry();
            self.connect();
            self.pump();
            self.deliver();
            self.receive();
        }
        assert!(self.to_dpu.is_empty() && self.to_host.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_dpu_ends_with_what_the_host_wants(
        steps in prop::collection::vec(step(), 0..150),
        deltas in 0_usize..4,
    ) {
        let mut world = World::new(Limits { deltas, updates: 8 });
        for step in &steps {
            world.run(step);
        }
        world.commit(&vec![(1, 1, Some(1))]);
        world.heal();
        prop_assert_eq!(world.ledger.state(), world.core.desired());
        prop_assert_eq!(world.ledger.generation(), world.core.generation());
        prop_assert_eq!(world.core.acknowledged(), world.core.generation());
        prop_assert_eq!(world.core.waiting(), 0);
    }
}

fn settled() -> World {
    let mut world = World::new(Limits::default());
    world.commit(&vec![(1, 1, Some(1)), (3, 1, Some(1))]);
    world.heal();
    world
}

#[test]
fn nothing_is_sent_before_the_first_commit() {
    let mut world = World::new(Limits::default());
    world.heal();
    assert!(world.sent.is_empty());
    assert_eq!(world.core.link(), Link::Up);
}

#[test]
fn an_empty_first_commit_is_a_whole_state() {
    let mut world = World::new(Limits::default());
    world.commit(&vec![]);
    world.heal();
    assert_eq!(world.ledger.generation(), Generation(1));
    assert!(world.ledger.state().is_empty());
}

#[test]
fn a_session_that_is_known_continues_with_a_delta() {
    let mut world = settled();
    world.cut();
    world.commit(&vec![(2, 2, Some(2))]);
    world.connect();
    world.deliver();
    world.receive();
    world.pump();
    assert!(matches!(world.to_dpu.front(), Some(ToDpu::Delta(_))));
    world.heal();
    assert_eq!(world.ledger.state(), world.core.desired());
}

#[test]
fn an_unknown_session_gets_a_whole_state_that_writes_nothing() {
    let mut world = settled();
    world.cut();
    world.ledger.forget();
    world.connect();
    world.deliver();
    world.receive();
    world.pump();
    let Some(ToDpu::Snapshot(chunk)) = world.to_dpu.pop_front() else {
        panic!("a snapshot is due");
    };
    let Some(Change::Snapshot(generation, state)) = world.assembler.snapshot(chunk).unwrap() else {
        panic!("one chunk is enough");
    };
    let FromDpu::Ack(ack) = world.ledger.hold(generation, state) else {
        panic!("it is held");
    };
    assert_eq!((ack.written, ack.unchanged), (0, 2));
}

#[test]
fn a_higher_generation_on_the_dpu_is_overtaken() {
    let mut world = settled();
    world.ledger.hold(Generation(1000), TableSnapshot::new());
    world.ledger.forget();
    world.cut();
    world.heal();
    assert!(world.core.generation() > Generation(1000));
    assert_eq!(world.ledger.state(), world.core.desired());
}

#[test]
fn a_slow_dpu_gets_one_subtraction() {
    let mut world = settled();
    world.commit(&vec![(1, 2, Some(0))]);
    world.pump(); // In flight from here on.
    for value in 0..100 {
        world.commit(&vec![(2, 3, Some(value)), (2, 4, Some(value))]);
        world.commit(&vec![(2, 4, None)]);
    }
    assert_eq!(world.core.waiting(), 1, "what came and went does not wait");
    let sent = world.sent.len();
    world.heal();
    assert_eq!(world.sent.len(), sent + 1);
    assert_eq!(world.ledger.state(), world.core.desired());
}

#[test]
fn a_refused_change_waits_and_joins_the_next() {
    let mut world = settled();
    world.room = 2;
    world.commit(&vec![(1, 2, Some(0))]);
    world.pump();
    world.deliver();
    world.receive();
    world.pump();
    assert_eq!(world.refused, 1);
    assert!(world.to_dpu.is_empty(), "the same is not tried at once");
    world.commit(&vec![(1, 1, None)]);
    world.pump();
    world.deliver();
    world.receive();
    assert_eq!(world.refused, 1);
    assert_eq!(world.ledger.state(), world.core.desired());
}

#[test]
fn a_row_of_no_table_changes_nothing() {
    let mut world = settled();
    let mut wrong = row(&world.schema, 1, 1, 1);
    wrong.key.table = TableId(9);
    let before = world.core.desired().clone();
    let phases = vec![Phase {
        updates: vec![Update::Insert(wrong)],
    }];
    assert_eq!(world.core.commit(phases), Err(SchemaError::UnknownTable(9)));
    assert_eq!(*world.core.desired(), before);
    assert_eq!(world.core.generation(), world.core.acknowledged());
}
