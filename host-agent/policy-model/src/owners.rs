//! Which local endpoint an address belongs to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{WorkloadEndpoint, WorkloadId};

/// Claims on addresses. Inside one burst of updates an address may be claimed twice: by the
/// endpoint that goes and by the one that takes it over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Owners {
    /// For each address the claimants and whether they are active.
    claims: BTreeMap<IpAddr, BTreeMap<WorkloadId, bool>>,
}

impl Owners {
    /// The lowest id among the active claimants, else the lowest of all: it depends on who claims
    /// the address and never on who came first.
    pub(crate) fn owner(&self, addr: IpAddr) -> Option<&WorkloadId> {
        let claimants = self.claims.get(&addr)?;
        claimants
            .iter()
            .find(|(_, active)| **active)
            .or_else(|| claimants.iter().next())
            .map(|(id, _)| id)
    }

    /// Replaces the claims of one endpoint and returns the others that won or lost an address.
    pub(crate) fn replace(
        &mut self,
        id: &WorkloadId,
        old: Option<&WorkloadEndpoint>,
        new: Option<&WorkloadEndpoint>,
    ) -> Vec<WorkloadId> {
        let mut touched: Vec<IpAddr> = Vec::new();
        touched.extend(old.into_iter().flat_map(WorkloadEndpoint::addresses));
        touched.extend(new.into_iter().flat_map(WorkloadEndpoint::addresses));
        touched.sort_unstable();
        touched.dedup();
        let before: Vec<_> = touched.iter().map(|a| self.owner(*a).cloned()).collect();
        for addr in old.into_iter().flat_map(WorkloadEndpoint::addresses) {
            if let Some(claimants) = self.claims.get_mut(&addr) {
                claimants.remove(id);
                if claimants.is_empty() {
                    self.claims.remove(&addr);
                }
            }
        }
        if let Some(new) = new {
            for addr in new.addresses() {
                self.claims
                    .entry(addr)
                    .or_default()
                    .insert(id.clone(), new.active);
            }
        }
        let mut moved = Vec::new();
        for (addr, before) in touched.iter().zip(before) {
            let after = self.owner(*addr).cloned();
            if before != after {
                moved.extend(before.into_iter().chain(after).filter(|other| other != id));
            }
        }
        moved
    }
}
