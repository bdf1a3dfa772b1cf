//! What Felix, and the CNI plugin beside it, are told of endpoints.
//!
//! Felix hears by the status board. A CNI plugin that waits for policy (`policy_setup_timeout_seconds`)
//! looks for a file for each endpoint below Felix's `EndpointStatusPathPrefix`. Felix writes none with
//! an external driver, so they are written here where the setting `endpoint-status` names a folder.

mod files;

use std::collections::BTreeSet;
use std::path::Path;

use felix_bridge::{EndpointStatus, StatusBoard};
use policy_model::{HostEndpointId, WorkloadEndpoint, WorkloadId};

pub(crate) use files::{Files, FilesError};

/// Both ways.
#[derive(Debug)]
pub(crate) struct Reports {
    board: StatusBoard,
    files: Option<Files>,
    hosts: BTreeSet<HostEndpointId>,
}

impl Reports {
    /// To Felix, and to files below `folder` if there is one.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub(crate) fn new(board: StatusBoard, folder: Option<&Path>) -> Result<Self, FilesError> {
        Ok(Self {
            board,
            files: folder.map(Files::open).transpose()?,
            hosts: BTreeSet::new(),
        })
    }

    /// The state of an endpoint; none when it is gone.
    pub(crate) fn workload(
        &self,
        id: &WorkloadId,
        endpoint: Option<&WorkloadEndpoint>,
        status: Option<EndpointStatus>,
    ) {
        if let Some(files) = &self.files {
            let up = status == Some(EndpointStatus::Up);
            files.set(id, endpoint.filter(|_| up));
        }
        self.board.workload(id.clone(), status);
    }

    /// The host endpoints that there are, and whether they are enforced. As with Felix's own
    /// dataplanes one that covers no interface is in error.
    pub(crate) fn host_endpoints<'i>(
        &mut self,
        endpoints: impl Iterator<Item = (&'i HostEndpointId, bool)>,
    ) {
        let mut now = BTreeSet::new();
        for (id, enforced) in endpoints {
            let status = if enforced {
                EndpointStatus::Up
            } else {
                EndpointStatus::Error
            };
            self.board.host_endpoint(id.clone(), Some(status));
            now.insert(id.clone());
        }
        for gone in self.hosts.difference(&now) {
            self.board.host_endpoint(gone.clone(), None);
        }
        self.hosts = now;
    }

    /// All that the snapshot has is in force.
    pub(crate) fn in_sync(&self) {
        if let Some(files) = &self.files {
            files.sweep();
        }
        self.board.in_sync();
    }
}
