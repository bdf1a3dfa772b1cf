//! What Felix says, into the model.
//!
//! A session of which the model refuses an update cannot be trusted any further: what follows
//! builds on what was refused. Nothing more of it is taken, what is enforced stays, and its relay is
//! told to end, so that Felix starts anew and speaks a fresh snapshot.

use felix_bridge::server::Event;
use felix_bridge::{Problem, SessionId};
use policy_model::{ModelError, PolicyModel, Update};
use tracing::{info, warn};

use crate::agent::Agent;

/// Problems of one event that are logged one by one.
const PROBLEMS_LOGGED: usize = 20;

/// What is known of Felix.
#[derive(Debug, Default)]
pub(crate) struct FelixSide {
    pub(crate) connected: bool,
    pub(crate) session: String,
    pub(crate) sequence: u64,
    pub(crate) messages: u64,
    /// The last message of which all changes are in force.
    pub(crate) enforced: u64,
    /// The session of which an update was refused, and why.
    doomed: Option<(SessionId, String)>,
}

impl Agent {
    /// Takes one event.
    pub(crate) fn hear(&mut self, event: Event) {
        self.stale_status = true;
        match event {
            Event::SessionStarted {
                session,
                resumed_at,
            } => {
                info!(%session, resumed_at, "Felix is here");
                self.felix.connected = true;
                self.felix.session = session.to_string();
                // The journal of the run before may have held what the model refuses.
                self.ask_anew(session);
            }
            Event::SessionEnded { session, reason } => {
                warn!(%session, reason, "Felix is gone; what is enforced stays");
                self.felix.connected = false;
            }
            Event::Snapshot {
                session,
                from_journal,
                next,
                updates,
                problems,
            } => {
                info!(%session, from_journal, updates = updates.len(), "a complete snapshot");
                self.heard(session, next, updates.len(), &problems);
                // A model of its own: nothing of an earlier session is left in it. The old rows
                // stay until the next commit, which writes the difference alone.
                let mut model = PolicyModel::new();
                if let Err(error) = apply(&mut model, updates) {
                    self.doom(session, &error);
                    return;
                }
                self.model = model;
                if let Some(compiler) = &mut self.compiler {
                    compiler.resync();
                }
                self.out.gate.in_sync();
                self.stir();
            }
            Event::Updates {
                session,
                next,
                updates,
                problems,
            } => {
                if self.is_doomed(session) {
                    return;
                }
                self.heard(session, next, updates.len(), &problems);
                let applied = apply(&mut self.model, updates);
                self.stir();
                if let Err(error) = applied {
                    self.doom(session, &error);
                }
            }
        }
    }

    fn heard(&mut self, session: SessionId, next: u64, updates: usize, problems: &[Problem]) {
        self.felix.session = session.to_string();
        self.felix.sequence = next.saturating_sub(1);
        self.felix.messages += updates as u64;
        report(problems);
    }

    fn is_doomed(&self, session: SessionId) -> bool {
        let doomed = self.felix.doomed.as_ref();
        doomed.is_some_and(|(id, _)| *id == session)
    }

    fn doom(&mut self, session: SessionId, error: &ModelError) {
        self.out.metrics.model_refusals.inc();
        warn!(
            %session,
            %error,
            "an update contradicts what Felix said before; what is enforced stays, and Felix has to \
             start anew",
        );
        let reason = format!("an update contradicts what was said before: {error}");
        self.felix.doomed = Some((session, reason));
        self.ask_anew(session);
    }

    /// Asks a doomed session's relay to end.
    fn ask_anew(&self, session: SessionId) {
        if let Some((id, reason)) = &self.felix.doomed
            && *id == session
        {
            self.out.control.start_anew(session, reason.clone());
        }
    }
}

/// Up to the first update that the model refuses.
fn apply(model: &mut PolicyModel, updates: Vec<Update>) -> Result<(), ModelError> {
    for update in updates {
        model.apply(update)?;
    }
    Ok(())
}

/// Logs what Felix said that is not understood or not enforced.
fn report(problems: &[Problem]) {
    for problem in problems.iter().take(PROBLEMS_LOGGED) {
        warn!(%problem, "not taken as it was said");
    }
    if problems.len() > PROBLEMS_LOGGED {
        warn!(
            more = problems.len() - PROBLEMS_LOGGED,
            "more was not taken as it was said: offloadctl policy lists what is refused"
        );
    }
}
