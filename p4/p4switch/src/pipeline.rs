//! A program with its p4info: which P4Runtime id is which object of the engine.
//!
//! *In:* the two halves of a `ForwardingPipelineConfig`. *Out:* lists sorted by id, ready for the
//! translation of requests. Loading checks that the halves belong together, so that a request which
//! p4info allows can never miss its object later.

mod controller_header;
mod device_config;
mod register;
mod table;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use p4_engine::{CounterIndex, LoadError, Program, RegisterIndex};
use p4runtime_proto::p4::config::v1::{P4Info, Preamble};
use thiserror::Error;

pub(crate) use self::{
    controller_header::ControllerHeader,
    register::{CellType, Register},
    table::{Action, Field, Scope, Table},
};

/// Counts loaded pipelines, so that a request can tell that its pipeline has gone.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// An indirect counter.
#[derive(Debug)]
pub(crate) struct Counter {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) index: CounterIndex,
    pub(crate) size: usize,
}

/// A loaded program and how controllers name its parts.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) generation: u64,
    pub(crate) program: Arc<Program>,
    pub(crate) p4info: P4Info,
    pub(crate) device_config: Bytes,
    pub(crate) cookie: Option<u64>,
    pub(crate) tables: Vec<Table>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) registers: Vec<Register>,
    pub(crate) packet_in: Option<ControllerHeader>,
    pub(crate) packet_out: Option<ControllerHeader>,
    /// Names of objects that this server does not program, by id.
    pub(crate) others: BTreeMap<u32, String>,
}

/// Why a pipeline was refused. The pipeline before it goes on.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// The device config is no text.
    #[error("The device config is not UTF-8 text; it must be the JSON that p4c-bm2-ss writes")]
    NotText,
    /// There is no device config.
    #[error("The device config is empty; it must be the JSON that p4c-bm2-ss writes")]
    NoProgram,
    /// There is no p4info.
    #[error("The config carries no p4info")]
    NoP4Info,
    /// The engine refuses the program.
    #[error("The program cannot be loaded: {0}")]
    Program(#[source] LoadError),
    /// p4info names what the program has not.
    #[error(
        "P4info and device config do not belong together: {kind} {name} is in the p4info and not \
         in the program"
    )]
    Missing {
        /// Kind of object.
        kind: &'static str,
        /// Its name in p4info.
        name: String,
    },
    /// Both have the object and differ in its shape.
    #[error("P4info and device config do not belong together: {name}: {problem}")]
    Shape {
        /// Name in p4info.
        name: String,
        /// The difference.
        problem: String,
    },
    /// Two objects share an id.
    #[error("P4info gives id {id:#010x} to two objects")]
    SameId {
        /// The id.
        id: u32,
    },
}

impl Pipeline {
    /// Loads both halves; everything is checked before it returns.
    pub(crate) fn load(
        p4info: P4Info,
        device_config: Bytes,
        cookie: Option<u64>,
    ) -> Result<Self, PipelineError> {
        if p4info == P4Info::default() {
            return Err(PipelineError::NoP4Info);
        }
        let json = device_config::json(&device_config)?;
        let program = Arc::new(Program::load(&json).map_err(PipelineError::Program)?);
        Self::join(program, p4info, device_config, cookie)
    }

    /// Joins a loaded program with its p4info.
    pub(crate) fn join(
        program: Arc<Program>,
        p4info: P4Info,
        device_config: Bytes,
        cookie: Option<u64>,
    ) -> Result<Self, PipelineError> {
        let mut tables = p4info
            .tables
            .iter()
            .map(|table| Table::load(table, &p4info, &program))
            .collect::<Result<Vec<_>, _>>()?;
        sort_by_id(&mut tables, |table| table.id)?;
        let mut counters = p4info
            .counters
            .iter()
            .map(|counter| {
                let (id, name) = named(counter.preamble.as_ref());
                let index = program
                    .counter(name)
                    .ok_or_else(|| PipelineError::Missing {
                        kind: "counter",
                        name: name.into(),
                    })?;
                let size = program.counters()[index.position()].size;
                Ok(Counter {
                    id,
                    name: name.into(),
                    index,
                    size,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        sort_by_id(&mut counters, |counter| counter.id)?;
        let mut registers = p4info
            .registers
            .iter()
            .map(|register| Register::load(register, &p4info, &program))
            .collect::<Result<Vec<_>, _>>()?;
        sort_by_id(&mut registers, |register| register.id)?;
        let header = |name| {
            p4info
                .controller_packet_metadata
                .iter()
                .find(|header| named(header.preamble.as_ref()).1 == name)
                .map(ControllerHeader::load)
                .transpose()
        };
        Ok(Self {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            packet_in: header("packet_in")?,
            packet_out: header("packet_out")?,
            others: others(&p4info),
            program,
            p4info,
            device_config,
            cookie,
            tables,
            counters,
            registers,
        })
    }

    pub(crate) fn table(&self, id: u32) -> Option<&Table> {
        by_id(&self.tables, id, |table| table.id)
    }

    pub(crate) fn counter(&self, id: u32) -> Option<&Counter> {
        by_id(&self.counters, id, |counter| counter.id)
    }

    pub(crate) fn register(&self, id: u32) -> Option<&Register> {
        by_id(&self.registers, id, |register| register.id)
    }

    pub(crate) fn counter_at(&self, index: CounterIndex) -> Option<&Counter> {
        self.counters.iter().find(|counter| counter.index == index)
    }

    pub(crate) fn register_at(&self, index: RegisterIndex) -> Option<&Register> {
        self.registers
            .iter()
            .find(|register| register.index == index)
    }

    /// `"name" (0x…)` of any object in p4info, for messages.
    pub(crate) fn describe(&self, id: u32) -> String {
        let name = self
            .table(id)
            .map(|table| &table.name)
            .or_else(|| self.counter(id).map(|counter| &counter.name))
            .or_else(|| self.register(id).map(|register| &register.name))
            .or_else(|| self.others.get(&id));
        match name {
            Some(name) => format!("{name} ({id:#010x})"),
            None => format!("{id:#010x}"),
        }
    }
}

fn named(preamble: Option<&Preamble>) -> (u32, &str) {
    preamble.map_or((0, ""), |preamble| (preamble.id, preamble.name.as_str()))
}

fn by_id<T>(list: &[T], id: u32, of: impl Fn(&T) -> u32) -> Option<&T> {
    list.binary_search_by_key(&id, of).ok().map(|at| &list[at])
}

fn sort_by_id<T>(list: &mut [T], of: impl Fn(&T) -> u32) -> Result<(), PipelineError> {
    list.sort_by_key(&of);
    match list.windows(2).find(|pair| of(&pair[0]) == of(&pair[1])) {
        Some(pair) => Err(PipelineError::SameId { id: of(&pair[0]) }),
        None => Ok(()),
    }
}

fn others(p4info: &P4Info) -> BTreeMap<u32, String> {
    let preambles = (p4info.action_profiles.iter().map(|object| &object.preamble))
        .chain(p4info.direct_counters.iter().map(|object| &object.preamble))
        .chain(p4info.meters.iter().map(|object| &object.preamble))
        .chain(p4info.direct_meters.iter().map(|object| &object.preamble))
        .chain(p4info.value_sets.iter().map(|object| &object.preamble))
        .chain(p4info.digests.iter().map(|object| &object.preamble))
        .chain(p4info.actions.iter().map(|object| &object.preamble));
    preambles
        .flatten()
        .map(|preamble| (preamble.id, preamble.name.clone()))
        .collect()
}
