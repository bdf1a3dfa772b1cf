//! The session with a target: reach it, become its primary, put the pipeline in place.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dpu_backend::{Backend, CounterValue, DeviceError, EntryCounter, Sink, WriteReport};
use p4runtime_proto::client::{
    ArbitrateError, Event, Events, PipelineError as PushError, Primary, Ready, endpoint,
};
use p4runtime_proto::p4::v1::get_forwarding_pipeline_config_request::ResponseType;
use p4runtime_proto::{Client, ElectionId};
use table_model::{Atomicity, Capability, Flip, Row, RowKey, TableId, Update};
use tokio::sync::watch;
use tonic::Code;
use tracing::{info, warn};

use crate::Pipeline;

/// Where a target is and how to talk to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port` or a URI.
    pub address: String,
    /// P4Runtime device id.
    pub device_id: u64,
    /// Updates in one Write.
    pub batch: usize,
    /// Writes under way at once, all of one phase.
    pub in_flight: usize,
    /// Time that a connect, a write, or the next piece of a read may take.
    pub deadline: Duration,
}

impl Target {
    /// A target with the defaults: batches of 500, four at once, 30 s.
    #[must_use]
    pub fn new(address: impl Into<String>, device_id: u64) -> Self {
        Self {
            address: address.into(),
            device_id,
            batch: 500,
            in_flight: 4,
            deadline: Duration::from_secs(30),
        }
    }
}

/// The back end.
#[derive(Debug)]
pub struct P4rt {
    pub(crate) target: Target,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) session: Option<Session>,
    /// Default entries that were written: they are rows even where they equal the initial ones.
    pub(crate) defaults: HashSet<TableId>,
    /// Nothing is known yet of what an agent before this one wrote.
    stranger: bool,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Arc<Client<Ready>>,
    /// Why it is over, once it is.
    over: watch::Receiver<Option<Over>>,
    watcher: tokio::task::JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

#[derive(Clone, Debug)]
enum Over {
    Ended(String),
    Overtaken(u128),
}

impl P4rt {
    /// A back end that is not connected yet.
    #[must_use]
    pub fn new(target: Target, pipeline: Arc<Pipeline>) -> Self {
        Self {
            target,
            pipeline,
            session: None,
            defaults: HashSet::new(),
            stranger: true,
        }
    }

    pub(crate) fn unreachable(&self, text: impl Into<String>) -> DeviceError {
        DeviceError::Unreachable {
            target: self.target.address.clone(),
            text: text.into(),
        }
    }

    pub(crate) fn broken(&self, text: impl Into<String>) -> DeviceError {
        DeviceError::Broken {
            target: self.target.address.clone(),
            text: text.into(),
        }
    }

    async fn open(&mut self) -> Result<Capability, DeviceError> {
        let endpoint = endpoint(&self.target.address)
            .map_err(|error| self.unreachable(chain(&error)))?
            .connect_timeout(self.target.deadline);
        let client = Client::connect_to(endpoint, self.target.device_id)
            .await
            .map_err(|error| self.unreachable(chain(&error)))?;
        let election = election_id();
        let client = client
            .primary("", election)
            .await
            .map_err(|error| match error {
                ArbitrateError::NotPrimary { highest, .. } => DeviceError::NotPrimary {
                    target: self.target.address.clone(),
                    ours: election.0,
                    theirs: highest.0,
                },
                error @ (ArbitrateError::Refused { .. } | ArbitrateError::Silent { .. }) => {
                    self.unreachable(chain(&error))
                }
            })?;
        let mut client = self.put_pipeline(client).await?;
        let version = match client.capabilities().await {
            Ok(version) => version,
            // Servers before 1.1 do not know the question.
            Err(_) => "unknown".to_owned(),
        };
        let events = client
            .take_events()
            .ok_or_else(|| self.broken("the stream is taken"))?;
        let (tell, over) = watch::channel(None);
        self.session = Some(Session {
            client: Arc::new(client),
            over,
            watcher: tokio::spawn(follow(events, tell)),
        });
        Ok(Capability {
            target: format!(
                "P4Runtime {version} at {}, device {}",
                self.target.address, self.target.device_id
            ),
            flip: Flip::Modify,
            // Of a batch; a phase may take several.
            atomicity: Atomicity::ContinueOnError,
            batch: self.target.batch,
            limits: Vec::new(),
        })
    }

    /// Goes on with the target's pipeline if it is ours, else replaces it. Replacing clears all
    /// entries: those of another program would have other meanings.
    async fn put_pipeline(
        &mut self,
        client: Client<Primary>,
    ) -> Result<Client<Ready>, DeviceError> {
        let refused = |text: String| DeviceError::Pipeline {
            target: self.target.address.clone(),
            text,
        };
        let cookie = self.pipeline.cookie;
        let stranger = std::mem::take(&mut self.stranger);
        let failed = match client.adopt(cookie).await {
            Ok(client) => {
                if stranger {
                    // An agent before this one may have written them with what they were anyway;
                    // taking them for rows saves writing that again.
                    self.defaults.extend(self.pipeline.initial.keys());
                }
                return Ok(client);
            }
            Err(failed) => failed,
        };
        match &failed.source {
            PushError::Another { found, .. } => {
                info!(
                    target_address = self.target.address,
                    cookie = format!("{cookie:#018x}"),
                    found = ?found,
                    "the target runs another pipeline or none: pushing ours"
                );
            }
            PushError::Unknown { source } if source.code() == Code::Unimplemented => {
                warn!(
                    target_address = self.target.address,
                    "the target does not say which pipeline it runs: pushing ours"
                );
            }
            error => return Err(self.broken(chain(error))),
        }
        self.defaults.clear();
        let config = self.pipeline.config.clone();
        failed.client.set_pipeline(config).await.map_err(|failed| {
            let text = chain(&failed.source);
            match failed.source {
                PushError::Refused { source, .. } if source.code() == Code::Unavailable => {
                    self.broken(text)
                }
                _ => refused(text),
            }
        })
    }

    /// The pipeline that the target runs, as its cookie.
    ///
    /// # Errors
    /// There is no session, or the target does not answer.
    pub async fn cookie(&self) -> Result<Option<u64>, DeviceError> {
        let session = self.session()?;
        let config = session.client.pipeline(ResponseType::CookieOnly).await;
        let config = config.map_err(|status| self.broken(status.message()))?;
        Ok(config
            .and_then(|config| config.cookie)
            .map(|cookie| cookie.cookie))
    }

    pub(crate) fn session(&self) -> Result<&Session, DeviceError> {
        self.session
            .as_ref()
            .ok_or_else(|| self.broken("not connected"))
    }

    fn over(&self, over: &Over) -> DeviceError {
        match over {
            Over::Ended(text) => self.broken(text.clone()),
            Over::Overtaken(theirs) => DeviceError::NotPrimary {
                target: self.target.address.clone(),
                ours: self
                    .session
                    .as_ref()
                    .map_or(0, |session| session.client.election_id().0),
                theirs: *theirs,
            },
        }
    }
}

impl Backend for P4rt {
    async fn connect(&mut self) -> Result<Capability, DeviceError> {
        // The old session goes first, so that the target does not see two of us.
        self.session = None;
        let deadline = self.target.deadline;
        match tokio::time::timeout(deadline, self.open()).await {
            Ok(result) => result,
            Err(_) => Err(self.unreachable(format!("no answer within {deadline:?}"))),
        }
    }

    async fn lost(&mut self) -> DeviceError {
        let Some(session) = &self.session else {
            return self.broken("not connected");
        };
        let mut over = session.over.clone();
        let over = match over.wait_for(Option::is_some).await {
            Ok(over) => over.clone(),
            Err(_) => None,
        };
        let over = over.unwrap_or_else(|| Over::Ended("the session ended".to_owned()));
        self.over(&over)
    }

    async fn write(&mut self, updates: &[Update]) -> WriteReport {
        self.write_phase(updates).await
    }

    async fn read(&mut self, table: TableId, sink: &mut Sink<'_, Row>) -> Result<(), DeviceError> {
        self.read_rows(table, sink).await
    }

    async fn counters(
        &mut self,
        table: TableId,
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        self.read_counters(table, sink).await
    }

    async fn counters_of(
        &mut self,
        keys: &[RowKey],
        sink: &mut Sink<'_, EntryCounter>,
    ) -> Result<(), DeviceError> {
        self.read_counters_of(keys, sink).await
    }

    async fn drop_counters(&mut self) -> Result<Vec<CounterValue>, DeviceError> {
        self.read_drop_counters().await
    }
}

/// Watches the stream: the session lasts as long as it does, and as long as we are the primary.
async fn follow(mut events: Events, tell: watch::Sender<Option<Over>>) {
    let over = loop {
        match events.next().await {
            Ok(Event::Arbitration { code, highest }) if code != Code::Ok => {
                break Over::Overtaken(highest.map_or(0, |id| id.0));
            }
            Ok(Event::Error(error)) => warn!(?error, "the target reports a stream error"),
            // Nothing that this pipeline would send to us.
            Ok(_) => {}
            Err(lost) => break Over::Ended(chain(&lost)),
        }
    };
    // Nobody listens any more: then nobody needs to know.
    let _ = tell.send(Some(over));
}

/// Fresh on every connect and higher than any before: seconds since 1970 above, the rest below.
fn election_id() -> ElectionId {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    ElectionId(u128::from(now.as_secs()) << 64 | u128::from(now.subsec_nanos()))
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
