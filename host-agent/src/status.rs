//! The state of the chain, from what the owner knows.

use std::collections::BTreeMap;

use offload_api::host::{DpuSide, EndpointCount, EndpointState, FelixStatus, HostStatus};

use crate::agent::Agent;

pub(crate) fn of(agent: &Agent) -> HostStatus {
    let sync = &agent.sync_state;
    let mut counts: BTreeMap<EndpointState, u64> = EndpointState::ALL
        .into_iter()
        .map(|state| (state, 0))
        .collect();
    for (id, _) in agent.model.workloads() {
        let told = agent
            .endpoints
            .told(&agent.model, agent.compiler.as_ref(), id);
        *counts.entry(told.state).or_default() += 1;
    }
    let refused = sync.refused.as_ref().map(|nack| nack.text.clone());
    let error = sync
        .error
        .clone()
        .or(refused)
        .or_else(|| agent.found.error.clone())
        .or_else(|| Some(sync.status.state_detail.clone()).filter(|detail| !detail.is_empty()));
    HostStatus {
        node: agent.config.identity.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime: agent.began.elapsed().as_secs(),
        felix: FelixStatus {
            connected: agent.felix.connected,
            in_sync: agent.model.in_sync(),
            session: agent.felix.session.clone(),
            sequence: agent.felix.sequence,
            messages: agent.felix.messages,
            enforced: agent.felix.enforced,
        },
        dpu: DpuSide {
            connected: sync.connected,
            address: agent.config.dpu.clone(),
            identity: sync.peer.clone(),
            target: agent
                .found
                .inventory
                .as_ref()
                .map(|inventory| inventory.device.target.clone())
                .unwrap_or_default(),
            desired_generation: sync.desired.0,
            acknowledged_generation: sync.acknowledged.0,
            observed_generation: sync.status.observed.0,
            drift_repaired: sync.status.drift_repaired,
            state: sync.status.state,
            error: error.unwrap_or_default(),
            rows: u64::try_from(agent.out.sync.rows()).unwrap_or(u64::MAX),
        },
        endpoints: counts
            .into_iter()
            .map(|(state, count)| EndpointCount { state, count })
            .collect(),
        policies: u64::try_from(agent.model.policies().len()).unwrap_or(u64::MAX),
        refusals: u64::try_from(agent.refusals.len()).unwrap_or(u64::MAX),
        compile_error: agent.compile_error.clone().unwrap_or_default(),
    }
}
