//! Which program the device runs (P4Runtime 7).

use thiserror::Error;
use tonic::{Code, Status};

use super::{Client, Primary, arbitration::Session};
use crate::p4::v1::{
    ForwardingPipelineConfig, GetForwardingPipelineConfigRequest,
    SetForwardingPipelineConfigRequest, get_forwarding_pipeline_config_request::ResponseType,
    set_forwarding_pipeline_config_request::Action,
};

/// The client holds the role and the device runs the client's program: it may write.
#[derive(Debug)]
pub struct Ready {
    pub(super) session: Session,
    cookie: Option<u64>,
}

/// Why the device does not run the program.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// The server refused it.
    #[error("The server refused the pipeline ({action:?})")]
    Refused {
        /// What was asked.
        action: Action,
        /// What the server said.
        source: Box<Status>,
    },
    /// The server cannot say what it runs.
    #[error("The server does not say which pipeline it runs")]
    Unknown {
        /// What the server said.
        source: Box<Status>,
    },
    /// It runs another one.
    #[error("The device runs the pipeline with cookie {found:?}, not {wanted:#x}")]
    Another {
        /// The cookie asked for.
        wanted: u64,
        /// The cookie in force, if any.
        found: Option<u64>,
    },
}

/// The error and the client, as it was.
#[derive(Debug, Error)]
#[error("{source}")]
pub struct PipelineFailed {
    /// Still the primary.
    pub client: Box<Client<Primary>>,
    /// Why.
    pub source: PipelineError,
}

impl<S> Client<S> {
    /// The pipeline in force; `None` if there is none yet.
    ///
    /// # Errors
    /// The server's status.
    pub async fn pipeline(
        &self,
        parts: ResponseType,
    ) -> Result<Option<ForwardingPipelineConfig>, Status> {
        let request = GetForwardingPipelineConfigRequest {
            device_id: self.device_id,
            response_type: parts.into(),
        };
        match self
            .grpc
            .clone()
            .get_forwarding_pipeline_config(request)
            .await
        {
            Ok(response) => Ok(response.into_inner().config),
            // Some servers say so in this way.
            Err(status) if status.code() == Code::FailedPrecondition => Ok(None),
            Err(status) => Err(status),
        }
    }

    async fn push(
        &self,
        session: &Session,
        action: Action,
        config: Option<ForwardingPipelineConfig>,
    ) -> Result<(), PipelineError> {
        #[expect(
            deprecated,
            reason = "the field is named to see that nothing is forgotten"
        )]
        let request = SetForwardingPipelineConfigRequest {
            device_id: self.device_id,
            role_id: 0,
            role: session.role.clone(),
            election_id: Some(session.election_id.into()),
            action: action.into(),
            config,
        };
        let outcome = self
            .grpc
            .clone()
            .set_forwarding_pipeline_config(request)
            .await;
        outcome.map(drop).map_err(|source| PipelineError::Refused {
            action,
            source: Box::new(source),
        })
    }
}

impl Client<Primary> {
    /// Loads a program and clears all state.
    ///
    /// # Errors
    /// What the server says, with the client; the pipeline before it goes on.
    pub async fn set_pipeline(
        self,
        config: ForwardingPipelineConfig,
    ) -> Result<Client<Ready>, PipelineFailed> {
        self.commit(Action::VerifyAndCommit, config).await
    }

    /// Loads a program and keeps the entries that fit it.
    ///
    /// # Errors
    /// What the server says, with the client; the pipeline before it goes on.
    pub async fn reconcile_pipeline(
        self,
        config: ForwardingPipelineConfig,
    ) -> Result<Client<Ready>, PipelineFailed> {
        self.commit(Action::ReconcileAndCommit, config).await
    }

    /// Goes on with the pipeline in force if it is the one with this cookie.
    ///
    /// # Errors
    /// If the device runs another pipeline or none, with the client.
    pub async fn adopt(self, cookie: u64) -> Result<Client<Ready>, PipelineFailed> {
        let source = match self.pipeline(ResponseType::CookieOnly).await {
            Ok(config) => match config.and_then(|config| config.cookie) {
                Some(found) if found.cookie == cookie => return Ok(self.ready(Some(cookie))),
                found => PipelineError::Another {
                    wanted: cookie,
                    found: found.map(|found| found.cookie),
                },
            },
            Err(status) => PipelineError::Unknown {
                source: Box::new(status),
            },
        };
        Err(PipelineFailed {
            client: Box::new(self),
            source,
        })
    }

    /// One of the other actions (verify, save, commit what was saved).
    ///
    /// # Errors
    /// What the server says.
    pub async fn pipeline_action(
        &self,
        action: Action,
        config: Option<ForwardingPipelineConfig>,
    ) -> Result<(), PipelineError> {
        self.push(&self.state.0, action, config).await
    }

    async fn commit(
        self,
        action: Action,
        config: ForwardingPipelineConfig,
    ) -> Result<Client<Ready>, PipelineFailed> {
        let cookie = config.cookie.map(|cookie| cookie.cookie);
        match self.push(&self.state.0, action, Some(config)).await {
            Ok(()) => Ok(self.ready(cookie)),
            Err(source) => Err(PipelineFailed {
                client: Box::new(self),
                source,
            }),
        }
    }

    fn ready(self, cookie: Option<u64>) -> Client<Ready> {
        self.with_state(|Primary(session)| Ready { session, cookie })
    }
}

impl Client<Ready> {
    /// Cookie of the pipeline, if it has one.
    #[must_use]
    pub fn cookie(&self) -> Option<u64> {
        self.state.cookie
    }

    /// Back to the state in which pipelines are set.
    #[must_use]
    pub fn into_primary(self) -> Client<Primary> {
        self.with_state(|ready| Primary(ready.session))
    }
}
