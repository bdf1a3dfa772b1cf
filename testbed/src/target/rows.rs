//! No device: rows, followed as the pipeline would follow them.

use p4_tables::schema;
use policy_compiler::Walker;
use table_model::{Atomicity, Capability, Flip, Phase, TableLimit, TableSchema, TableSnapshot};

use super::{Batch, Probe, Target, TargetError};

/// Nothing ever gets full.
fn unlimited(table: &TableSchema) -> TableLimit {
    TableLimit {
        table: table.id,
        entries: u64::from(u32::MAX),
    }
}

/// Rows without a pipeline.
#[derive(Debug)]
pub(crate) struct Rows {
    walker: Walker,
    capability: Capability,
}

impl Rows {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            walker: Walker::new(TableSnapshot::new()),
            capability: Capability {
                target: "compiled rows, no device".into(),
                flip: Flip::Modify,
                atomicity: Atomicity::ContinueOnError,
                batch: 1024,
                limits: schema().tables.iter().map(unlimited).collect(),
            },
        }
    }
}

impl Target for Rows {
    fn capability(&self) -> &Capability {
        &self.capability
    }

    fn apply(&mut self, phases: &[Phase]) -> Result<(), TargetError> {
        for update in phases.iter().flat_map(|phase| &phase.updates) {
            self.walker.apply(update.clone())?;
        }
        Ok(())
    }

    fn send(&mut self, batch: &Batch) -> Result<Vec<Option<u16>>, TargetError> {
        let out = |probe: &Probe| self.walker.walk(probe.port, &probe.flow).out_port;
        Ok(batch.probes.iter().map(out).collect())
    }

    fn read(&mut self) -> Result<TableSnapshot, TargetError> {
        Ok(self.walker.rows().clone())
    }
}
