//! The driver's side of a host's stream.

use dpu_reconciler::{Desync, Input, Refusal, Report, Session};
use offload_api::chunk;
use offload_api::types::{Ack, DpuStatus, FromDpu, Nack, NackReason, Resync, ResyncReason};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Driver;
use crate::View;

/// A host opened a stream.
#[derive(Debug)]
pub(crate) struct Hello {
    /// Number of the stream; a higher one takes the place of a lower one.
    pub(crate) stream: u64,
    pub(crate) session: String,
    /// Who it is, for people.
    pub(crate) peer: String,
    /// Answers, which the stream's own task passes on.
    pub(crate) answers: mpsc::Sender<FromDpu>,
}

/// A host gave a change.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) stream: u64,
    pub(crate) change: chunk::Change,
}

/// The stream that is served.
#[derive(Debug)]
pub(crate) struct HostLink {
    stream: u64,
    session: Session,
    peer: String,
    answers: mpsc::Sender<FromDpu>,
    told: Option<DpuStatus>,
}

impl HostLink {
    pub(super) fn peer(&self) -> String {
        self.peer.clone()
    }
}

impl Driver {
    pub(super) fn hello(&mut self, hello: Hello) {
        let newer = self
            .state
            .host
            .as_ref()
            .is_none_or(|held| held.stream < hello.stream);
        if !newer {
            return;
        }
        info!(
            peer = hello.peer,
            session = hello.session,
            "a host opened a stream"
        );
        let session = Session(hello.session.into());
        // Dropping the older one's sender ends its task.
        self.state.host = Some(HostLink {
            stream: hello.stream,
            session: session.clone(),
            peer: hello.peer,
            answers: hello.answers,
            told: None,
        });
        self.handle(Input::Hello(session));
        let view = self.publish.borrow().clone();
        self.status_to_host(&view);
    }

    pub(super) fn change(&mut self, change: Change) {
        let Some(host) = self.state.host.as_ref() else {
            return;
        };
        if host.stream != change.stream {
            return;
        }
        let session = host.session.clone();
        let input = match change.change {
            chunk::Change::Snapshot(generation, rows) => Input::Snapshot {
                session,
                generation,
                rows,
            },
            chunk::Change::Delta(delta) => Input::Delta { session, delta },
        };
        self.handle(input);
    }

    pub(super) fn goodbye(&mut self, stream: u64) {
        if let Some(host) = self.state.host.take_if(|host| host.stream == stream) {
            info!(
                peer = host.peer,
                "the host's stream ended; what is enforced stays"
            );
        }
    }

    /// Tells the host what concerns it.
    pub(super) fn tell_host(&mut self, report: Report) {
        let (session, message) = match report {
            Report::Enforced {
                session,
                generation,
                written,
                unchanged,
                took,
            } => {
                let ack = Ack {
                    generation,
                    written,
                    unchanged,
                    millis: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
                };
                (session, FromDpu::Ack(ack))
            }
            Report::Refused {
                session,
                generation,
                reason,
            } => {
                let nack = Nack {
                    generation,
                    text: reason.to_string(),
                    reason: nack_reason(reason),
                };
                (session, FromDpu::Nack(nack))
            }
            Report::Welcome {
                session,
                generation,
            } => (session, FromDpu::Welcome(generation)),
            Report::Resync {
                session,
                reason,
                generation,
            } => {
                let resync = Resync {
                    text: reason.to_string(),
                    reason: match reason {
                        Desync::NoState => ResyncReason::LostState,
                        Desync::OtherSession { .. } => ResyncReason::NewSession,
                        Desync::Base { .. } | Desync::Misfit(_) => ResyncReason::BrokenChange,
                    },
                    generation,
                };
                (session, FromDpu::Resync(resync))
            }
            Report::Restored { .. }
            | Report::DriftRepaired(_)
            | Report::RepairFailed { .. }
            | Report::Flushed { .. }
            | Report::FlushRefused { .. } => return,
        };
        if self
            .state
            .host
            .as_ref()
            .is_some_and(|host| host.session == session)
        {
            self.send(message);
        }
    }

    /// Tells the host where things stand, if that is news to it.
    pub(super) fn status_to_host(&mut self, view: &View) {
        let status = view.to_host();
        if let Some(host) = &mut self.state.host
            && host.told.as_ref() != Some(&status)
        {
            host.told = Some(status.clone());
            self.send(FromDpu::Status(status));
        }
    }

    fn send(&mut self, message: FromDpu) {
        let Some(host) = &self.state.host else {
            return;
        };
        if host.answers.try_send(message).is_err() {
            // It does not read, or is gone; it will open another stream and learn where it stands.
            warn!(
                peer = host.peer,
                "the host does not take answers; dropping its stream"
            );
            self.state.host = None;
        }
    }
}

fn nack_reason(reason: Refusal) -> NackReason {
    match reason {
        Refusal::Stale { .. } | Refusal::Superseded => NackReason::StaleGeneration,
        Refusal::Full {
            table, need, free, ..
        } => NackReason::TableFull { table, need, free },
        Refusal::Device { .. } => NackReason::Target,
        Refusal::Schema(_) => NackReason::Invalid,
    }
}
