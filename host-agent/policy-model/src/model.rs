//! The store.

use thiserror::Error;

use crate::{ChangeSet, Update};

/// Why an update was refused; the model is as it was before.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ModelError {
    /// A delta or removal of a set that was never sent.
    #[error("IP set {0} is not known")]
    UnknownIpSet(crate::IpSetId),
}

/// Everything that the control plane said, by key.
#[derive(Clone, Debug, Default)]
pub struct PolicyModel {
    changes: ChangeSet,
}

impl PolicyModel {
    /// An empty one, not in sync.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one update.
    ///
    /// # Errors
    /// See [`ModelError`].
    pub fn apply(&mut self, _update: Update) -> Result<(), ModelError> {
        Ok(())
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> ChangeSet {
        std::mem::take(&mut self.changes)
    }
}
