//! The engine without a switch round it: packets in memory, one core.

use std::sync::Arc;
use std::time::{Duration, Instant};

use p4_engine::{
    ActionCall, Engine, EngineConfig, Entry, EntryAction, KeyPart, Outputs, Packet, Program, Value,
};
use table_model::{FieldValue, MatchKind, Row, TableSchema};

use super::super::BenchError;
use super::super::kinds::{self, Match};
use super::super::report::Report;
use super::super::wire::PORTS;
use super::world::World;
use super::{TERNARY, engines};

/// Entries in all tables together.
const SIZES: [u32; 3] = [1_000, 10_000, 1_000_000];
/// Members of IP sets that the table of hosts has room for; beyond, other tables are filled.
const MEMBERS: u32 = 250_000;
/// Time over which a rate is taken: the kernel tells of time on a core in steps of milliseconds.
const WINDOW: Duration = Duration::from_millis(800);
/// Packets handed over at once.
const BATCH: usize = 64;

/// The figure's name.
pub(super) fn name(entries: u32) -> String {
    format!("engine alone, pipeline with {entries} entries")
}

/// One round.
pub(super) fn measure(report: &mut Report) -> Result<(), BenchError> {
    for size in SIZES {
        let world = World::new(size.min(MEMBERS))?;
        let mut engine = pipeline(&world, size as usize)?;
        let rate = rate(&mut engine, &world.frames());
        report.sample(&name(size), "packets/s", rate);
    }
    let mut engine = ternary()?;
    let frames: Vec<Vec<u8>> = (0..TERNARY)
        .map(|number| kinds::Kinds::frame(Match::Ternary, number * 7919 % TERNARY))
        .collect();
    let rate = rate(&mut engine, &frames);
    report.sample(&engines::name("p4switch"), "packets/s", rate);
    Ok(())
}

fn rate(engine: &mut Engine, frames: &[Vec<u8>]) -> f64 {
    let port = PORTS[0].0;
    let packets = frames.iter().map(|bytes| Packet { port, bytes });
    let packets: Vec<Packet<'_>> = packets.collect();
    let mut out = Outputs::new();
    let mut now = 1_000_000;
    let mut pass = |engine: &mut Engine| {
        for batch in packets.chunks(BATCH) {
            now += 20;
            out.clear();
            engine.process_batch(batch, now, &mut out);
        }
    };
    // The first pass meets connections that are not there yet, and cold caches.
    pass(engine);
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut passes = 0_u32;
    while began.elapsed() < WINDOW {
        pass(engine);
        passes += 1;
    }
    let spent = match (cpu, cpu_seconds()) {
        (Some(before), Some(after)) => after - before,
        _ => began.elapsed().as_secs_f64(),
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let count = frames.len() as f64;
    f64::from(passes) * count / spent.max(1e-9)
}

/// Seconds that this thread has had on a core, where the kernel tells: on a machine that others use
/// as well, wall time says little.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a time")]
    let nanoseconds = nanoseconds as f64;
    Some(nanoseconds / 1e9)
}

/// The project's pipeline with the rows of a policy, and as many of other policies' that there are
/// `entries` in all.
fn pipeline(world: &World, entries: usize) -> Result<Engine, BenchError> {
    let mut program = Program::load(p4_tables::BMV2_JSON)?;
    let schema = p4_tables::schema();
    for table in &schema.tables {
        if let Some(index) = find(&program, &table.name) {
            program.declare_table(
                index,
                usize::try_from(table.size).unwrap_or(usize::MAX),
                false,
            );
        }
    }
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    let rows = world.rows()?;
    for (key, action) in rows.iter() {
        let row = Row {
            key: key.clone(),
            action: action.clone(),
        };
        if let Ok(table) = schema.table(key.table) {
            put(&mut engine, table, &row)?;
        }
    }
    let largest = schema.tables.iter().max_by_key(|table| table.size);
    let call = |table: &TableSchema| {
        let mut own = rows.iter().filter(|(key, _)| key.table == table.id);
        own.next().map(|(_, action)| action.clone())
    };
    if let Some((table, action)) = largest.and_then(|table| Some((table, call(table)?))) {
        for number in rows.len()..entries {
            put(&mut engine, table, &other(table, number, action.clone())?)?;
        }
    }
    Ok(engine)
}

/// A row whose key no row of ours has: it counts down from the largest values.
fn other(
    table: &TableSchema,
    number: usize,
    action: table_model::ActionCall,
) -> Result<Row, BenchError> {
    let fields: Vec<FieldValue> = table
        .fields
        .iter()
        .map(|field| {
            let all = u128::MAX >> (128 - u32::from(field.bits.clamp(1, 128)));
            let value = all - (number as u128 & (all >> 1));
            match field.kind {
                MatchKind::Exact => FieldValue::Exact(value),
                MatchKind::Lpm => FieldValue::Lpm {
                    value,
                    prefix_len: field.bits,
                },
            }
        })
        .collect();
    let key = table.key(&fields).map_err(|_| missing())?;
    Ok(Row { key, action })
}

fn missing() -> BenchError {
    BenchError::Wire {
        step: "finding a table or action of the program",
        source: std::io::ErrorKind::NotFound.into(),
    }
}

fn find(program: &Program, name: &str) -> Option<p4_engine::TableIndex> {
    let mut tables = program.tables().iter();
    let full = tables.find(|table| last(&table.name) == name)?;
    program.table(&full.name)
}

/// A name without its control block.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn put(engine: &mut Engine, schema: &TableSchema, row: &Row) -> Result<(), BenchError> {
    let program = Arc::clone(engine.program());
    let table = find(&program, &schema.name).ok_or_else(missing)?;
    let action = schema.action(row.action.action).map_err(|_| missing())?;
    let mut own = program.table_info(table).actions.iter();
    let index = own.find(|index| last(&program.action_info(**index).name) == action.name);
    let index = *index.ok_or_else(missing)?;
    let params = action.params(&row.action).map_err(|_| missing())?;
    let call = ActionCall {
        action: index,
        args: params.into_iter().map(Value::from).collect(),
    };
    if schema.fields.is_empty() {
        engine.set_default(table, call)?;
        return Ok(());
    }
    let fields = schema.fields(&row.key).map_err(|_| missing())?;
    let key = fields.into_iter().map(|field| match field {
        FieldValue::Exact(value) => KeyPart::Exact(Value::from(value)),
        FieldValue::Lpm { value, prefix_len } => KeyPart::Lpm {
            value: Value::from(value),
            prefix_len: prefix_len.into(),
        },
    });
    engine.insert(
        table,
        Entry {
            key: key.collect(),
            priority: 0,
            action: EntryAction::Call(call),
        },
    )?;
    Ok(())
}

/// The bench's own program with its ternary table full.
fn ternary() -> Result<Engine, BenchError> {
    let program = Program::load(&kinds::ternary_json(TERNARY, PORTS[1].0)?)?;
    Ok(Engine::new(Arc::new(program), EngineConfig::default()))
}
