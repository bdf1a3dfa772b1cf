//! From changes to rows in a target, and from flows to packets through it.

use policy_model::{ChangeSet, Flow, PolicyModel, Semantics};
use thiserror::Error;

use super::report::Summary;
use super::trial::Fate;
use crate::progress::Progress;
use crate::target::{Target, TargetError, TargetKind};

/// Why enforcement failed.
#[derive(Debug, Error)]
pub(crate) enum EnforceError {
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
}

pub(crate) struct Enforcement {
    target: Box<dyn Target>,
}

impl Enforcement {
    pub(crate) fn new(
        _kind: TargetKind,
        _p4runtime: &str,
        _semantics: &Semantics,
    ) -> Result<Option<Self>, EnforceError> {
        Ok(None)
    }
    pub(crate) fn commit(&mut self, _m: &PolicyModel, _c: &ChangeSet) -> Result<(), EnforceError> {
        Ok(())
    }
    pub(crate) fn send(
        &mut self,
        _m: &PolicyModel,
        flows: &[Flow],
        _p: &mut Progress,
    ) -> Result<Vec<Fate>, EnforceError> {
        Ok(flows.iter().map(|_| Fate::Dropped).collect())
    }
    pub(crate) fn writes(&self) -> u64 {
        0
    }
    pub(crate) fn finish(self, _summary: &mut Summary) -> Result<(), EnforceError> {
        let _ = self.target.name();
        Ok(())
    }
}
