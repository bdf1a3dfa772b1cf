//! A program with its p4info: which P4Runtime id is which object of the engine.
//!
//! *In:* the two halves of a `ForwardingPipelineConfig`. *Out:* lists sorted by id, ready for the
//! translation of requests. Loading checks that the halves belong together, so that a request which
//! p4info allows can never miss its object later.

mod controller_header;
mod data;
mod device_config;
mod names;
mod object;
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
use p4_engine::{
    CounterIndex, LoadError, MeterIndex, ProfileIndex, Program, RegisterIndex, ValueSetIndex,
};
use p4runtime_proto::p4::config::v1::{P4Info, Preamble};
use thiserror::Error;

use self::data::Types;
pub(crate) use self::{
    controller_header::ControllerHeader,
    data::Shape,
    names::{Form, NamedTypes},
    object::{Counter, Digest, GroupSize, Meter, Profile, Rates, ValueSet},
    register::{CellType, Register},
    table::{Action, Field, Scope, Table},
};

/// Counts loaded pipelines, so that a request can tell that its pipeline has gone.
static GENERATION: AtomicU64 = AtomicU64::new(1);

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
    pub(crate) meters: Vec<Meter>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) value_sets: Vec<ValueSet>,
    pub(crate) digests: Vec<Digest>,
    /// Types that controllers name by strings.
    pub(crate) named_types: NamedTypes,
    pub(crate) packet_in: Option<ControllerHeader>,
    pub(crate) packet_out: Option<ControllerHeader>,
    /// Names of all objects, by id.
    pub(crate) names: BTreeMap<u32, String>,
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
        let program = Program::load(&json).map_err(PipelineError::Program)?;
        Self::join(program, p4info, device_config, cookie)
    }

    /// Joins a loaded program with its p4info.
    pub(crate) fn join(
        mut program: Program,
        p4info: P4Info,
        device_config: Bytes,
        cookie: Option<u64>,
    ) -> Result<Self, PipelineError> {
        for table in &p4info.tables {
            // The JSON calls all entries const and tables as large as those are many.
            if let Some(index) = program.table(named(table.preamble.as_ref()).1) {
                let size = usize::try_from(table.size).unwrap_or(0);
                let size = size.max(program.table_info(index).max_size);
                program.declare_table(index, size, table.is_const_table);
            }
        }
        let program = Arc::new(program);
        let named_types = NamedTypes::load(&p4info);
        let types = Types::new(&p4info, &named_types);
        let tables = sorted(
            p4info
                .tables
                .iter()
                .map(|table| Table::load(table, &p4info, &types, &program)),
            |table| table.id,
        )?;
        let counters = sorted(
            (p4info.counters.iter()).map(|counter| Counter::load(counter, &program)),
            |counter| counter.id,
        )?;
        let registers = sorted(
            (p4info.registers.iter()).map(|register| Register::load(register, &p4info, &program)),
            |register| register.id,
        )?;
        let meters = sorted(
            (p4info.meters.iter()).map(|meter| Meter::load(meter, &program)),
            |meter| meter.id,
        )?;
        let profiles = sorted(
            (p4info.action_profiles.iter())
                .map(|profile| Profile::load(profile, &tables, &program)),
            |profile| profile.id,
        )?;
        let value_sets = sorted(
            (p4info.value_sets.iter()).map(|set| ValueSet::load(set, &types, &program)),
            |set| set.id,
        )?;
        let digests = sorted(
            (p4info.digests.iter()).map(|digest| Digest::load(digest, &types, &program)),
            |digest| digest.id,
        )?;
        let header = |name| {
            p4info
                .controller_packet_metadata
                .iter()
                .find(|header| named(header.preamble.as_ref()).1 == name)
                .map(|header| ControllerHeader::load(header, &types, &program))
                .transpose()
        };
        Ok(Self {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            packet_in: header("packet_in")?,
            packet_out: header("packet_out")?,
            names: names_of(&p4info),
            program,
            device_config,
            cookie,
            tables,
            counters,
            registers,
            meters,
            profiles,
            value_sets,
            digests,
            named_types,
            p4info,
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

    pub(crate) fn meter(&self, id: u32) -> Option<&Meter> {
        by_id(&self.meters, id, |meter| meter.id)
    }

    pub(crate) fn profile(&self, id: u32) -> Option<&Profile> {
        by_id(&self.profiles, id, |profile| profile.id)
    }

    pub(crate) fn value_set(&self, id: u32) -> Option<&ValueSet> {
        by_id(&self.value_sets, id, |set| set.id)
    }

    pub(crate) fn counter_at(&self, index: CounterIndex) -> Option<&Counter> {
        self.counters.iter().find(|counter| counter.index == index)
    }

    pub(crate) fn register_at(&self, index: RegisterIndex) -> Option<&Register> {
        self.registers
            .iter()
            .find(|register| register.index == index)
    }

    pub(crate) fn meter_at(&self, index: MeterIndex) -> Option<&Meter> {
        self.meters.iter().find(|meter| meter.index == index)
    }

    pub(crate) fn profile_at(&self, index: ProfileIndex) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.index == index)
    }

    pub(crate) fn value_set_at(&self, index: ValueSetIndex) -> Option<&ValueSet> {
        self.value_sets.iter().find(|set| set.index == index)
    }

    /// `name (0x…)` of any object in p4info, for messages.
    pub(crate) fn describe(&self, id: u32) -> String {
        match self.names.get(&id) {
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

/// A list by id; an id that is there twice is refused.
fn sorted<T>(
    objects: impl Iterator<Item = Result<T, PipelineError>>,
    of: impl Fn(&T) -> u32,
) -> Result<Vec<T>, PipelineError> {
    let mut list = objects.collect::<Result<Vec<_>, _>>()?;
    sort_by_id(&mut list, of)?;
    Ok(list)
}

fn sort_by_id<T>(list: &mut [T], of: impl Fn(&T) -> u32) -> Result<(), PipelineError> {
    list.sort_by_key(&of);
    match list.windows(2).find(|pair| of(&pair[0]) == of(&pair[1])) {
        Some(pair) => Err(PipelineError::SameId { id: of(&pair[0]) }),
        None => Ok(()),
    }
}

fn names_of(p4info: &P4Info) -> BTreeMap<u32, String> {
    let preambles = (p4info.tables.iter().map(|object| &object.preamble))
        .chain(p4info.action_profiles.iter().map(|object| &object.preamble))
        .chain(p4info.counters.iter().map(|object| &object.preamble))
        .chain(p4info.direct_counters.iter().map(|object| &object.preamble))
        .chain(p4info.meters.iter().map(|object| &object.preamble))
        .chain(p4info.direct_meters.iter().map(|object| &object.preamble))
        .chain(p4info.registers.iter().map(|object| &object.preamble))
        .chain(p4info.value_sets.iter().map(|object| &object.preamble))
        .chain(p4info.digests.iter().map(|object| &object.preamble))
        .chain(p4info.actions.iter().map(|object| &object.preamble));
    preambles
        .flatten()
        .map(|preamble| (preamble.id, preamble.name.clone()))
        .collect()
}
