//! Which generation carries which endpoint, and what Felix and people are told about it.

use std::collections::{BTreeMap, BTreeSet};

use felix_bridge::EndpointStatus;
use offload_api::host::EndpointState;
use policy_compiler::{Compiler, EndpointState as Compiled};
use policy_model::{PolicyModel, WorkloadId};
use table_model::Generation;

use crate::reports::Reports;

/// Endpoints by the generation that carries what was compiled for them last.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    generations: BTreeMap<WorkloadId, Generation>,
    /// Not acknowledged yet.
    waiting: BTreeSet<(Generation, WorkloadId)>,
    /// The DPU refused the change that carries those that wait.
    refused: Option<String>,
}

/// What people are told about an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) state: EndpointState,
    pub(crate) reason: String,
    pub(crate) generation: Generation,
}

impl Endpoints {
    /// A commit looked at these. Those that went are told to Felix at once.
    pub(crate) fn committed(
        &mut self,
        touched: &BTreeSet<WorkloadId>,
        generation: Generation,
        model: &PolicyModel,
        reports: &Reports,
    ) {
        for id in touched {
            if let Some(old) = self.generations.remove(id) {
                self.waiting.remove(&(old, id.clone()));
            }
            if model.workload(id).is_none() {
                reports.workload(id, None, None);
                continue;
            }
            self.generations.insert(id.clone(), generation);
            self.waiting.insert((generation, id.clone()));
        }
    }

    /// Everything up to this generation is in force.
    pub(crate) fn acknowledged(
        &mut self,
        generation: Generation,
        model: &PolicyModel,
        compiler: &Compiler,
        reports: &Reports,
    ) {
        self.refused = None;
        while self
            .waiting
            .first()
            .is_some_and(|(at, _)| *at <= generation)
        {
            let Some((_, id)) = self.waiting.pop_first() else {
                return;
            };
            let status = status(model, compiler, &id);
            reports.workload(&id, model.workload(&id), status);
        }
    }

    /// The DPU refused what waits.
    pub(crate) fn refused(&mut self, text: &str, reports: &Reports) {
        if self.refused.as_deref() == Some(text) {
            return;
        }
        self.refused = Some(text.to_owned());
        for (_, id) in &self.waiting {
            reports.workload(id, None, Some(EndpointStatus::Error));
        }
    }

    /// What people are told.
    pub(crate) fn told(
        &self,
        model: &PolicyModel,
        compiler: Option<&Compiler>,
        id: &WorkloadId,
    ) -> Told {
        let generation = self.generations.get(id).copied().unwrap_or_default();
        let told = |state, reason: String| Told {
            state,
            reason,
            generation,
        };
        if self.waiting.contains(&(generation, id.clone())) || generation == Generation(0) {
            return match &self.refused {
                Some(text) => told(EndpointState::Refused, text.clone()),
                None => told(EndpointState::Pending, "not acknowledged yet".to_owned()),
            };
        }
        let compiled = compiler.and_then(|compiler| compiler.endpoint_state(id));
        let down = model.workload(id).is_some_and(|endpoint| !endpoint.active);
        match compiled {
            None => told(EndpointState::Pending, "not compiled yet".to_owned()),
            Some(Compiled::Enforced) => told(EndpointState::Enforced, String::new()),
            Some(Compiled::Partly { reasons }) => told(EndpointState::Partly, reasons.join("; ")),
            Some(Compiled::NoPort { interface }) => told(
                EndpointState::NoPort,
                format!("the DPU has no port for interface {interface}"),
            ),
            Some(Compiled::Closed { reason }) if down => told(EndpointState::Down, reason.clone()),
            Some(Compiled::Closed { reason }) => told(EndpointState::Closed, reason.clone()),
        }
    }
}

/// The word for Felix; none if the endpoint is gone.
fn status(model: &PolicyModel, compiler: &Compiler, id: &WorkloadId) -> Option<EndpointStatus> {
    let endpoint = model.workload(id)?;
    if !endpoint.active {
        return Some(EndpointStatus::Down);
    }
    Some(match compiler.endpoint_state(id) {
        Some(Compiled::Enforced) => EndpointStatus::Up,
        Some(Compiled::NoPort { .. }) => EndpointStatus::Down,
        Some(Compiled::Partly { .. } | Compiled::Closed { .. }) | None => EndpointStatus::Error,
    })
}
