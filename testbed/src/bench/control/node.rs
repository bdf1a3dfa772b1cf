//! A node's model and compiler with the policy of a shape.

use policy_compiler::generate::shapes::Shape;
use policy_compiler::{Commit, Compiler, Site};
use policy_model::{PolicyModel, Semantics, Update};
use table_model::{Atomicity, Capability, Flip, TableLimit};

use super::super::BenchError;

/// What the host's agent holds of policy.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) model: PolicyModel,
    pub(super) compiler: Compiler,
    site: Site,
}

impl Node {
    /// With everything that the shape's Felix says, compiled.
    ///
    /// # Errors
    /// The shape contradicts itself or does not fit.
    pub(super) fn new(shape: &Shape, capability: Capability) -> Result<(Self, Commit), BenchError> {
        let mut node = Self::empty(shape, capability);
        node.load(shape)?;
        let commit = node.commit()?;
        Ok((node, commit))
    }

    /// Before Felix has said anything.
    pub(super) fn empty(shape: &Shape, capability: Capability) -> Self {
        Self {
            model: PolicyModel::new(),
            compiler: Compiler::new(capability, Semantics::default()),
            site: shape.site(),
        }
    }

    /// Applies everything that the shape's Felix says.
    ///
    /// # Errors
    /// The shape contradicts itself.
    pub(super) fn load(&mut self, shape: &Shape) -> Result<(), BenchError> {
        let mut done = Ok(());
        shape.each(|update| {
            if done.is_ok() {
                done = self.model.apply(update);
            }
        });
        Ok(done?)
    }

    /// Applies some updates.
    ///
    /// # Errors
    /// They contradict the model.
    pub(super) fn apply(&mut self, updates: Vec<Update>) -> Result<(), BenchError> {
        for update in updates {
            self.model.apply(update)?;
        }
        Ok(())
    }

    /// Compiles what changed.
    ///
    /// # Errors
    /// It does not fit.
    pub(super) fn commit(&mut self) -> Result<Commit, BenchError> {
        let changes = self.model.take_changes();
        Ok(self.compiler.commit(&self.model, &changes, &self.site)?)
    }
}

/// A target with room for everything, where none is programmed.
pub(super) fn roomy() -> Capability {
    let tables = p4_tables::schema().tables.iter();
    let limits = tables.map(|table| TableLimit {
        table: table.id,
        entries: u64::from(u32::MAX),
    });
    Capability {
        target: String::new(),
        flip: Flip::Modify,
        atomicity: Atomicity::ContinueOnError,
        batch: 1000,
        limits: limits.collect(),
    }
}
