//! What the dataplane tells Felix.
//!
//! Felix takes a sign of life and, if `EndpointReportingEnabled`, the state of endpoints; it ignores
//! `DataplaneInSync` from an external driver. Speaking never blocks: a [`StatusBoard`] holds the
//! latest word for each subject, and the server sends what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use felix_proto::felix::{self, FromDataplane, from_dataplane::Payload};
use policy_model::{HostEndpointId, WorkloadId};
use prost::Message as _;
use tokio::sync::Notify;

/// State of an endpoint, in the words of Felix's own dataplanes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EndpointStatus {
    /// Enforced.
    Up,
    /// Admin down, or without a port.
    Down,
    /// Refused: it denies everything.
    Error,
}

impl EndpointStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Error => "error",
        }
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Subject {
    Workload(WorkloadId),
    Host(HostEndpointId),
    Wireguard { v6: bool },
    InSync,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Word {
    Endpoint(EndpointStatus),
    Removed,
    Key(String),
    Said,
}

/// The latest status of each subject. Clones share one board.
#[derive(Clone, Debug, Default)]
pub struct StatusBoard {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    words: BTreeMap<Subject, Word>,
    unsent: BTreeSet<Subject>,
}

impl StatusBoard {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The state of a workload endpoint; none when it is gone.
    pub fn workload(&self, id: WorkloadId, status: Option<EndpointStatus>) {
        let word = status.map_or(Word::Removed, Word::Endpoint);
        self.say(Subject::Workload(id), word);
    }

    /// The state of a host endpoint; none when it is gone.
    pub fn host_endpoint(&self, id: HostEndpointId, status: Option<EndpointStatus>) {
        let word = status.map_or(Word::Removed, Word::Endpoint);
        self.say(Subject::Host(id), word);
    }

    /// This node's public `WireGuard` key, empty if it has none any more.
    pub fn wireguard_key(&self, v6: bool, key: String) {
        self.say(Subject::Wireguard { v6 }, Word::Key(key));
    }

    /// The snapshot is enforced. Sent once a session, and ignored by today's Felix.
    pub fn in_sync(&self) {
        self.say(Subject::InSync, Word::Said);
    }

    fn say(&self, subject: Subject, word: Word) {
        let mut state = self.lock();
        if state.words.get(&subject) == Some(&word) {
            return;
        }
        state.words.insert(subject.clone(), word);
        state.unsent.insert(subject);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Another Felix listens: everything has to be said again.
    pub(crate) fn repeat(&self, new_session: bool) {
        let mut state = self.lock();
        if new_session {
            state.words.remove(&Subject::InSync);
        }
        state.unsent = state.words.keys().cloned().collect();
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Takes up to `most` messages that were not sent.
    pub(crate) fn take(&self, most: usize) -> Vec<Bytes> {
        let mut state = self.lock();
        let mut bodies = Vec::new();
        while bodies.len() < most {
            let Some(subject) = state.unsent.pop_first() else {
                break;
            };
            let Some(word) = state.words.get(&subject).cloned() else {
                continue;
            };
            if word == Word::Removed {
                state.words.remove(&subject);
            }
            bodies.extend(payload(subject, word).map(body));
        }
        bodies
    }

    /// Resolves when there may be something to take.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere leaves the board whole: each change is one insertion.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn payload(subject: Subject, word: Word) -> Option<Payload> {
    Some(match (subject, word) {
        (Subject::Workload(id), Word::Endpoint(status)) => {
            Payload::WorkloadEndpointStatusUpdate(felix::WorkloadEndpointStatusUpdate {
                id: Some(workload_id(&id)),
                status: Some(endpoint_status(status)),
                endpoint: None, // Felix knows it
            })
        }
        (Subject::Workload(id), Word::Removed) => {
            Payload::WorkloadEndpointStatusRemove(felix::WorkloadEndpointStatusRemove {
                id: Some(workload_id(&id)),
            })
        }
        (Subject::Host(id), Word::Endpoint(status)) => {
            Payload::HostEndpointStatusUpdate(felix::HostEndpointStatusUpdate {
                id: Some(host_id(&id)),
                status: Some(endpoint_status(status)),
            })
        }
        (Subject::Host(id), Word::Removed) => {
            Payload::HostEndpointStatusRemove(felix::HostEndpointStatusRemove {
                id: Some(host_id(&id)),
            })
        }
        (Subject::Wireguard { v6 }, Word::Key(public_key)) => {
            let version = if v6 {
                felix::IpVersion::Ipv6
            } else {
                felix::IpVersion::Ipv4
            };
            Payload::WireguardStatusUpdate(felix::WireguardStatusUpdate {
                public_key,
                ip_version: version.into(),
            })
        }
        (Subject::InSync, _) => Payload::DataplaneInSync(felix::DataplaneInSync {}),
        (Subject::Workload(_) | Subject::Host(_), Word::Key(_) | Word::Said)
        | (Subject::Wireguard { .. }, Word::Endpoint(_) | Word::Removed | Word::Said) => {
            return None;
        }
    })
}

/// A sign of life.
pub(crate) fn process_status(iso_timestamp: String, uptime: f64) -> Bytes {
    body(Payload::ProcessStatusUpdate(felix::ProcessStatusUpdate {
        iso_timestamp,
        uptime,
    }))
}

/// Nobody checks the sequence number of this direction.
fn body(payload: Payload) -> Bytes {
    FromDataplane {
        sequence_number: 0,
        payload: Some(payload),
    }
    .encode_to_vec()
    .into()
}

fn endpoint_status(status: EndpointStatus) -> felix::EndpointStatus {
    felix::EndpointStatus {
        status: status.word().to_owned(),
    }
}

fn workload_id(id: &WorkloadId) -> felix::WorkloadEndpointId {
    felix::WorkloadEndpointId {
        orchestrator_id: id.orchestrator.to_string(),
        workload_id: id.workload.to_string(),
        endpoint_id: id.endpoint.to_string(),
    }
}

fn host_id(id: &HostEndpointId) -> felix::HostEndpointId {
    felix::HostEndpointId {
        endpoint_id: id.to_string(),
    }
}

#[cfg(test)]
mod tests;
