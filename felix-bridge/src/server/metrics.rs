//! Counts for host-agent's metrics page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::session::Counts;

/// Counts of the door to Felix. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    frames: AtomicU64,
    bytes: AtomicU64,
    updates: AtomicU64,
    unknown_messages: AtomicU64,
    unknown_fields: AtomicU64,
    problems: AtomicU64,
    sessions: AtomicU64,
    failed_sessions: AtomicU64,
    journal_failures: AtomicU64,
    connected: AtomicU64,
    in_sync: AtomicU64,
}

/// One sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Name of the metric.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// May go down.
    pub gauge: bool,
    /// Value.
    pub value: u64,
}

impl Metrics {
    /// The present values.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let shared = &*self.shared;
        [
            (
                "offload_felix_frames_total",
                "Frames from Felix",
                false,
                &shared.frames,
            ),
            (
                "offload_felix_bytes_total",
                "Bytes of their bodies",
                false,
                &shared.bytes,
            ),
            (
                "offload_felix_updates_total",
                "Updates made of them",
                false,
                &shared.updates,
            ),
            (
                "offload_felix_unknown_messages_total",
                "Messages of a type that is not known",
                false,
                &shared.unknown_messages,
            ),
            (
                "offload_felix_unknown_fields_total",
                "Fields that are not known",
                false,
                &shared.unknown_fields,
            ),
            (
                "offload_felix_problems_total",
                "Parts that could not be understood or are not enforced",
                false,
                &shared.problems,
            ),
            (
                "offload_felix_sessions_total",
                "Connections of relays",
                false,
                &shared.sessions,
            ),
            (
                "offload_felix_failed_sessions_total",
                "Sessions that could not go on",
                false,
                &shared.failed_sessions,
            ),
            (
                "offload_felix_journal_failures_total",
                "Failed writes of the journal",
                false,
                &shared.journal_failures,
            ),
            (
                "offload_felix_connected_relays",
                "Relays that are there",
                true,
                &shared.connected,
            ),
            (
                "offload_felix_in_sync",
                "A complete snapshot is held",
                true,
                &shared.in_sync,
            ),
        ]
        .into_iter()
        .map(|(name, help, gauge, value)| Sample {
            name,
            help,
            gauge,
            value: value.load(Ordering::Relaxed),
        })
        .collect()
    }

    pub(super) fn count(&self, counts: &Counts) {
        let shared = &*self.shared;
        for (total, more) in [
            (&shared.frames, counts.frames),
            (&shared.bytes, counts.bytes),
            (&shared.updates, counts.updates),
            (&shared.unknown_messages, counts.unknown_messages),
            (&shared.unknown_fields, counts.unknown_fields),
            (&shared.problems, counts.problems),
        ] {
            total.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn session_started(&self) {
        self.shared.sessions.fetch_add(1, Ordering::Relaxed);
        self.shared.connected.store(1, Ordering::Relaxed);
    }

    pub(super) fn session_ended(&self) {
        self.shared.connected.store(0, Ordering::Relaxed);
    }

    pub(super) fn session_failed(&self) {
        self.shared.failed_sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn journal_failed(&self) {
        self.shared.journal_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn in_sync(&self, value: bool) {
        self.shared.in_sync.store(value.into(), Ordering::Relaxed);
    }
}
