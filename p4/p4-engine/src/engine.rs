//! The engine: one program, its tables and state, packets through it.

mod batch;
mod control;
mod forward;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::entry::EntryAction;
use crate::exec::Machine;
use crate::output::Outputs;
use crate::program::Program;
use crate::state::State;
use crate::trace::Trace;
use crate::vector::Vector;

pub use batch::Packet;

/// Settings of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The port that means drop; 511 as in bmv2 unless set otherwise.
    pub drop_port: u16,
    /// Seed of the generator behind `random`.
    pub seed: u64,
    /// How often one packet may go through ingress or egress in all, copies included.
    pub max_passes: u32,
    /// How many tables, selects and jumps back one pass may run before the packet is dropped.
    pub max_steps: u32,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            drop_port: 511,
            seed: 0x6d61_7267_6179,
            max_passes: 1024,
            max_steps: 1 << 16,
        }
    }
}

/// One program with its entries and state. Owned by one thread.
#[derive(Debug)]
pub struct Engine {
    /// Made with the first batch.
    vector: Option<Box<Vector>>,
    program: Arc<Program>,
    config: EngineConfig,
    state: State,
    machine: Machine,
    jobs: VecDeque<forward::Job>,
}

impl Engine {
    /// An engine with the program's const and initial entries and default actions in place.
    #[must_use]
    pub fn new(program: Arc<Program>, config: EngineConfig) -> Self {
        let state = State::new(&program, config.seed);
        let machine = Machine::new(&program);
        let mut engine = Self {
            vector: None,
            program: Arc::clone(&program),
            config,
            state,
            machine,
            jobs: VecDeque::new(),
        };
        for (table, entry) in &program.initial {
            // Checked when the program was loaded; of two equal entries the first counts.
            let EntryAction::Call(_) = &entry.action else {
                continue;
            };
            let _ = engine.put(*table, entry.clone());
        }
        engine
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Takes one packet through the program; what it causes is appended to `out`.
    ///
    /// `now_us` is the time in microseconds on any clock that starts near zero and does not go back.
    pub fn process(&mut self, port: u16, packet: &[u8], now_us: u64, out: &mut Outputs) {
        let mut unused = Trace::default();
        self.drive::<false>(port, packet, now_us, out, &mut unused);
    }

    /// As [`Engine::process`], and writes down each step.
    pub fn process_traced(
        &mut self,
        port: u16,
        packet: &[u8],
        now_us: u64,
        out: &mut Outputs,
        trace: &mut Trace,
    ) {
        self.drive::<true>(port, packet, now_us, out, trace);
    }
}
