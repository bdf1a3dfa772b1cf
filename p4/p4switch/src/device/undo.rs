//! Taking a batch back.

use std::ops::Range;

use p4_engine::{CounterIndex, CounterValue, MeterConfig, MeterIndex, RegisterIndex, Value};

use super::Device;
use crate::{
    failure::Failure,
    operation::{Cells, Operation},
};

/// What takes one operation back. Entries go by key: a handle does not outlive its entry.
#[derive(Debug)]
pub(crate) enum Undo {
    /// Most are taken back by another one.
    Operation(Operation),
    Counter {
        counter: CounterIndex,
        first: usize,
        values: Vec<CounterValue>,
    },
    Meter {
        meter: MeterIndex,
        first: usize,
        configs: Vec<Option<MeterConfig>>,
    },
    Register {
        register: RegisterIndex,
        first: usize,
        values: Vec<Value>,
    },
}

impl Device {
    /// Takes everything back, newest first.
    ///
    /// A step fails only if the engine refuses what it held a moment ago; the first such refusal is
    /// returned after all other steps were tried.
    pub(crate) fn roll_back(&mut self, undo: Vec<Undo>) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for step in undo.into_iter().rev() {
            let done = self.step_back(step);
            if outcome.is_ok() {
                outcome = done;
            }
        }
        outcome
    }

    fn step_back(&mut self, step: Undo) -> Result<(), Failure> {
        match step {
            Undo::Operation(operation) => self.apply(operation, None)?,
            Undo::Counter {
                counter,
                first,
                values,
            } => {
                let array = self.engine.counter_mut(counter).iter_mut().skip(first);
                for (cell, value) in array.zip(values) {
                    *cell = value;
                }
            }
            Undo::Meter {
                meter,
                first,
                configs,
            } => {
                for (cell, config) in (first..).zip(configs) {
                    self.engine.set_meter(meter, cell, config)?;
                }
            }
            Undo::Register {
                register,
                first,
                values,
            } => {
                for (cell, value) in (first..).zip(&values) {
                    self.engine.set_register(register, cell, value)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn restore_counter(&self, counter: CounterIndex, cells: Cells) -> Undo {
        let array = self.engine.counter(counter);
        let (first, values) = match cells {
            Cells::One(cell) => (cell, array.get(cell).into_iter().copied().collect()),
            Cells::All => (0, array.to_vec()),
        };
        Undo::Counter {
            counter,
            first,
            values,
        }
    }

    pub(super) fn restore_meter(&self, meter: MeterIndex, cells: Cells) -> Undo {
        let range = self.meter_cells(meter, cells);
        Undo::Meter {
            meter,
            first: range.start,
            configs: range.map(|cell| self.engine.meter(meter, cell)).collect(),
        }
    }

    pub(super) fn restore_register(&self, register: RegisterIndex, cells: Cells) -> Undo {
        let range = self.register_cells(register, cells);
        let first = range.start;
        let values = range
            .filter_map(|cell| self.engine.register(register, cell))
            .collect();
        Undo::Register {
            register,
            first,
            values,
        }
    }

    pub(super) fn register_cells(&self, register: RegisterIndex, cells: Cells) -> Range<usize> {
        range(
            cells,
            self.engine.program().registers()[register.position()].size,
        )
    }

    pub(super) fn meter_cells(&self, meter: MeterIndex, cells: Cells) -> Range<usize> {
        range(cells, self.engine.program().meters()[meter.position()].size)
    }
}

fn range(cells: Cells, size: usize) -> Range<usize> {
    match cells {
        Cells::One(cell) => cell..cell + 1,
        Cells::All => 0..size,
    }
}
