//! The control side of a P4Runtime device, for callers that wait for each answer.

use std::sync::Arc;

use backend_p4rt::{P4rt, Pipeline};
use dpu_backend::Backend;
use table_model::{Capability, Phase, TableSnapshot};
use tokio::runtime::Runtime;

use super::TargetError;

/// A connected device with our pipeline in place.
pub(super) struct Device {
    runtime: Arc<Runtime>,
    backend: P4rt,
    capability: Capability,
}

impl Device {
    /// Reaches the device, becomes its primary and puts the pipeline in place.
    ///
    /// # Errors
    /// The device cannot be reached or refuses.
    pub(super) fn connect(
        runtime: Arc<Runtime>,
        address: &str,
        device_id: u64,
        name: &str,
    ) -> Result<Self, TargetError> {
        let pipeline = Arc::new(Pipeline::built_in()?);
        let target = backend_p4rt::Target::new(address, device_id);
        let mut backend = P4rt::new(target, pipeline);
        let mut capability = runtime.block_on(backend.connect())?;
        capability.target = format!("{name}, {}", capability.target);
        Ok(Self {
            runtime,
            backend,
            capability,
        })
    }

    pub(super) fn capability(&self) -> &Capability {
        &self.capability
    }

    /// Writes phase after phase; the next one begins when all of the last one is in force.
    ///
    /// # Errors
    /// A row was not taken.
    pub(super) fn apply(&mut self, phases: &[Phase]) -> Result<(), TargetError> {
        for phase in phases {
            let report = self.runtime.block_on(self.backend.write(&phase.updates));
            let failed = report
                .outcomes
                .iter()
                .enumerate()
                .find(|(_, outcome)| !outcome.is_applied());
            if let Some((index, outcome)) = failed {
                let row = phase.updates.get(index).map(|update| match update {
                    table_model::Update::Insert(row) => {
                        format!("insert {}", policy_compiler::render_row(row))
                    }
                    table_model::Update::Modify(row) => {
                        format!("modify {}", policy_compiler::render_row(row))
                    }
                    table_model::Update::Delete(key) => format!("delete {key:?}"),
                });
                return Err(TargetError::NotTaken {
                    update: row.unwrap_or_default(),
                    outcome: format!("{outcome:?}"),
                });
            }
        }
        Ok(())
    }

    /// All rows of all tables.
    ///
    /// # Errors
    /// The device is lost.
    pub(super) fn read(&mut self) -> Result<TableSnapshot, TargetError> {
        let mut snapshot = TableSnapshot::new();
        for table in &p4_tables::schema().tables {
            let mut rows = Vec::new();
            let mut sink = |piece| rows.extend::<Vec<_>>(piece);
            self.runtime
                .block_on(self.backend.read(table.id, &mut sink))?;
            for row in rows {
                snapshot.put(row);
            }
        }
        Ok(snapshot)
    }
}
