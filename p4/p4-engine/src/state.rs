//! Everything that outlives a packet: rows, counters, registers, meters, profiles, sessions.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use crate::counter::CounterValue;
use crate::entry::{ActionCall, EntryAction, ProfileGroup};
use crate::matching::Rows;
use crate::meter::Meter;
use crate::program::{ActionIndex, MatchKind, Program, TableIndex};
use crate::replicate::{CloneSession, Replica};
use crate::value::Value;

/// Arguments of an action as limbs.
pub(crate) type Args = SmallVec<[u64; 4]>;

/// An action of a table with its arguments as limbs.
#[derive(Clone, Debug)]
pub(crate) struct BoundAction {
    pub(crate) action: ActionIndex,
    /// Position among the table's actions.
    pub(crate) local: usize,
    pub(crate) args: Args,
}

#[derive(Debug)]
pub(crate) struct TableState {
    pub(crate) rows: Rows,
    pub(crate) default: Option<BoundAction>,
    pub(crate) default_counter: CounterValue,
    /// Direct meters by row, where the table has one.
    pub(crate) meters: Vec<Meter>,
    pub(crate) default_meter: Meter,
}

/// What the word of a row means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowAction {
    /// The action at this position of the table's list.
    Call(usize),
    Member(u32),
    Group(u32),
}

impl RowAction {
    pub(crate) fn word(self) -> u64 {
        match self {
            Self::Call(local) => local as u64,
            Self::Member(id) => (1 << 32) | u64::from(id),
            Self::Group(id) => (2 << 32) | u64::from(id),
        }
    }

    #[inline]
    pub(crate) fn of(word: u64) -> Self {
        let [a, b, c, d, kind, ..] = word.to_le_bytes();
        let id = u32::from_le_bytes([a, b, c, d]);
        match kind {
            0 => Self::Call(id as usize),
            1 => Self::Member(id),
            _ => Self::Group(id),
        }
    }
}

#[derive(Debug)]
pub(crate) struct RegisterState {
    pub(crate) size: usize,
    pub(crate) limbs: usize,
    pub(crate) cells: Vec<u64>,
}

impl RegisterState {
    pub(crate) fn cell(&self, index: u64) -> Option<usize> {
        usize::try_from(index).ok().filter(|cell| *cell < self.size)
    }
}

/// A member of a profile.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) call: ActionCall,
    pub(crate) args: Args,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) config: ProfileGroup,
    /// Members that get no packets for now.
    pub(crate) disabled: BTreeSet<u32>,
    /// Member ids that get packets, each as often as its weight.
    pub(crate) spread: Vec<u32>,
}

impl Group {
    /// Spreads the enabled members by their weights.
    pub(crate) fn respread(&mut self) {
        self.spread.clear();
        for one in &self.config.members {
            if !self.disabled.contains(&one.member) {
                let weight = usize::try_from(one.weight).unwrap_or(0);
                let copies = std::iter::repeat_n(one.member, weight);
                self.spread.extend(copies);
            }
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct ProfileState {
    pub(crate) members: BTreeMap<u32, Member>,
    pub(crate) groups: BTreeMap<u32, Group>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tables: Vec<TableState>,
    pub(crate) counters: Vec<Vec<CounterValue>>,
    pub(crate) meters: Vec<Vec<Meter>>,
    pub(crate) registers: Vec<RegisterState>,
    pub(crate) profiles: Vec<ProfileState>,
    pub(crate) value_sets: Vec<Vec<Value>>,
    pub(crate) sessions: BTreeMap<u16, CloneSession>,
    pub(crate) groups: BTreeMap<u16, Vec<Replica>>,
    pub(crate) random: u64,
    /// Indexes of tables are still growing.
    pub(crate) growing: bool,
}

impl State {
    pub(crate) fn new(program: &Program, seed: u64) -> Self {
        let tables = program.tables().iter().zip(0u32..).map(|(info, at)| {
            let lpm = info.fields.iter().any(|field| field.kind == MatchKind::Lpm);
            let arg_limbs = info
                .actions
                .iter()
                .map(|action| arg_limbs(program, *action));
            let layout = program.key_layout(TableIndex(at));
            let rows = Rows::new(
                (layout.limbs, &layout.places),
                arg_limbs.max().unwrap_or(0),
                lpm,
                info.needs_priority,
                info.counters,
                info.idle_timeout,
            );
            let default = info.default.as_ref().map(|default| BoundAction {
                action: default.call.action,
                local: local(info, default.call.action).unwrap_or(0),
                args: spread_args(program, &default.call),
            });
            TableState {
                rows,
                default,
                default_counter: CounterValue::default(),
                meters: Vec::new(),
                default_meter: Meter::default(),
            }
        });
        Self {
            tables: tables.collect(),
            counters: program
                .counters()
                .iter()
                .map(|info| {
                    vec![CounterValue::default(); if info.table.is_some() { 0 } else { info.size }]
                })
                .collect(),
            meters: program
                .meters()
                .iter()
                .map(|info| {
                    vec![Meter::default(); if info.table.is_some() { 0 } else { info.size }]
                })
                .collect(),
            registers: program
                .registers()
                .iter()
                .map(|info| {
                    let limbs = info.bits.div_ceil(64);
                    RegisterState {
                        size: info.size,
                        limbs,
                        cells: vec![0; info.size * limbs],
                    }
                })
                .collect(),
            profiles: program
                .profiles()
                .iter()
                .map(|_| ProfileState::default())
                .collect(),
            value_sets: program.value_sets().iter().map(|_| Vec::new()).collect(),
            sessions: BTreeMap::new(),
            groups: BTreeMap::new(),
            random: seed,
            growing: false,
        }
    }

    /// Goes on with the growth of indexes, a bit of each.
    pub(crate) fn settle(&mut self) {
        if self.growing {
            let mut tables = self.tables.iter_mut();
            // One after the other: a table that still grows is all there is to do now.
            self.growing = tables.any(|table| table.rows.settle());
        }
    }

    /// A number from the generator (splitmix64; the seed came from outside).
    pub(crate) fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number between the bounds, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        let drawn = self.draw();
        match (high - low).checked_add(1) {
            Some(span) => low + drawn % span,
            None => drawn,
        }
    }
}

/// Position of an action among a table's own.
pub(crate) fn local(info: &crate::program::TableInfo, action: ActionIndex) -> Option<usize> {
    info.actions.iter().position(|own| *own == action)
}

/// Limbs of an action's parameters.
pub(crate) fn arg_limbs(program: &Program, action: ActionIndex) -> usize {
    program
        .action_info(action)
        .params
        .iter()
        .map(|param| param.bits.div_ceil(64))
        .sum()
}

/// Arguments as limbs, in the order of the parameter slots.
pub(crate) fn spread_args(program: &Program, call: &ActionCall) -> Args {
    let params = &program.action_info(call.action).params;
    let mut limbs = Args::new();
    for (param, arg) in params.iter().zip(&call.args) {
        limbs.extend((0..param.bits.div_ceil(64)).map(|at| arg.limb(at)));
    }
    limbs
}

/// Arguments again.
pub(crate) fn gather_args(program: &Program, action: ActionIndex, mut limbs: &[u64]) -> Vec<Value> {
    let params = &program.action_info(action).params;
    params
        .iter()
        .map(|param| {
            let (own, rest) = limbs.split_at(param.bits.div_ceil(64).min(limbs.len()));
            limbs = rest;
            Value::from_limbs(own)
        })
        .collect()
}

impl BoundAction {
    pub(crate) fn call(&self, program: &Program) -> EntryAction {
        EntryAction::Call(ActionCall {
            action: self.action,
            args: gather_args(program, self.action, &self.args),
        })
    }
}
