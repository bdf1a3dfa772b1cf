//! Who may write (P4Runtime 5).

use std::time::Duration;

use thiserror::Error;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::{
    Client, Connected,
    events::{Event, Events, Outbox},
};
use crate::{
    ElectionId,
    p4::v1::{MasterArbitrationUpdate, Role, StreamMessageRequest, stream_message_request::Update},
};

/// How long the server has to answer an arbitration update.
const ANSWER: Duration = Duration::from_secs(10);
/// Packets and acknowledgements that may wait for the connection.
const OUTBOX: usize = 256;

/// What both outcomes of an arbitration have: the stream and the claim made on it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) role: String,
    pub(super) election_id: ElectionId,
    pub(super) outbox: Outbox,
    pub(super) events: Option<Events>,
}

/// The client holds the role: it may set the pipeline.
#[derive(Debug)]
pub struct Primary(pub(super) Session);

/// Another client holds the role, or none does and this one's claim is not the highest seen.
#[derive(Debug)]
pub struct Backup {
    session: Session,
    highest: Option<ElectionId>,
}

/// The outcome of an arbitration.
#[derive(Debug)]
pub enum Arbitrated {
    /// The claim won.
    Primary(Client<Primary>),
    /// The claim lost.
    Backup(Client<Backup>),
}

/// Why an arbitration has no outcome.
#[derive(Debug, Error)]
pub enum ArbitrateError {
    /// The server refused the stream or closed it.
    #[error("The server refused the arbitration of role {role:?} with election id {election_id}")]
    Refused {
        /// Claimed role.
        role: String,
        /// Claimed id.
        election_id: ElectionId,
        /// What the server said.
        source: Box<Status>,
    },
    /// No answer in time.
    #[error("The server did not answer the arbitration of role {role:?} within {within:?}")]
    Silent {
        /// Claimed role.
        role: String,
        /// How long it had.
        within: Duration,
    },
    /// Another client is the primary.
    #[error(
        "Another client is primary for role {role:?} with an election id of {highest}; \
         ours is {election_id}"
    )]
    NotPrimary {
        /// Claimed role.
        role: String,
        /// Claimed id.
        election_id: ElectionId,
        /// Highest id that the server has seen.
        highest: ElectionId,
    },
}

impl Client<Connected> {
    /// Opens the stream and claims `role` (empty for the default one).
    ///
    /// # Errors
    /// If the server refuses the stream or does not answer.
    pub async fn arbitrate(
        self,
        role: &str,
        election_id: ElectionId,
    ) -> Result<Arbitrated, ArbitrateError> {
        let (sender, receiver) = mpsc::channel(OUTBOX);
        let refused = |source: Status| ArbitrateError::Refused {
            role: role.to_owned(),
            election_id,
            source: Box::new(source),
        };
        let outbox = Outbox(sender);
        let claim = claim(self.device_id, role, election_id);
        if outbox.send(claim).await.is_err() {
            return Err(refused(Status::cancelled(
                "The stream closed before its first message",
            )));
        }
        let mut opening = self.grpc.clone();
        let response = timeout(
            ANSWER,
            opening.stream_channel(ReceiverStream::new(receiver)),
        )
        .await
        .map_err(|_| ArbitrateError::Silent {
            role: role.to_owned(),
            within: ANSWER,
        })?
        .map_err(refused)?;
        let session = Session {
            role: role.to_owned(),
            election_id,
            outbox,
            events: Some(Events(response.into_inner())),
        };
        settle(self.with_state(|_| session)).await
    }

    /// [`arbitrate`](Self::arbitrate) for those who cannot use a backup's place.
    ///
    /// # Errors
    /// As there, and [`ArbitrateError::NotPrimary`].
    pub async fn primary(
        self,
        role: &str,
        election_id: ElectionId,
    ) -> Result<Client<Primary>, ArbitrateError> {
        match self.arbitrate(role, election_id).await? {
            Arbitrated::Primary(client) => Ok(client),
            Arbitrated::Backup(client) => Err(ArbitrateError::NotPrimary {
                role: role.to_owned(),
                election_id,
                highest: client.highest().unwrap_or(election_id),
            }),
        }
    }
}

impl Client<Backup> {
    /// The highest election id that the server has seen for the role.
    #[must_use]
    pub fn highest(&self) -> Option<ElectionId> {
        self.state.highest
    }

    /// Waits for the next message of the server; an [`Event::Arbitration`] without a primary is
    /// the moment to [`claim`](Self::claim).
    ///
    /// # Errors
    /// If the stream has ended.
    pub async fn event(&mut self) -> Result<Event, super::SessionLost> {
        match &mut self.state.session.events {
            Some(events) => events.next().await,
            None => Err(super::SessionLost::ended()),
        }
    }

    /// Claims the role anew on the same stream.
    ///
    /// # Errors
    /// If the server refuses the claim or does not answer.
    pub async fn claim(mut self, election_id: ElectionId) -> Result<Arbitrated, ArbitrateError> {
        let role = self.state.session.role.clone();
        let update = claim(self.device_id, &role, election_id);
        if self.state.session.outbox.send(update).await.is_err() {
            return Err(ArbitrateError::Refused {
                role,
                election_id,
                source: Box::new(Status::cancelled("The stream has ended")),
            });
        }
        self.state.session.election_id = election_id;
        settle(self.with_state(|backup| backup.session)).await
    }
}

fn claim(device_id: u64, role: &str, election_id: ElectionId) -> StreamMessageRequest {
    let role = (!role.is_empty()).then(|| Role {
        name: role.to_owned(),
        ..Role::default()
    });
    StreamMessageRequest {
        update: Some(Update::Arbitration(MasterArbitrationUpdate {
            device_id,
            role,
            election_id: Some(election_id.into()),
            status: None,
        })),
    }
}

/// Waits for the answer to the last claim. What else comes first on a stream that was a backup's
/// (notices of other claims) is older than the answer and may be passed over.
async fn settle(mut client: Client<Session>) -> Result<Arbitrated, ArbitrateError> {
    let Session {
        role,
        election_id,
        events,
        ..
    } = &mut client.state;
    let answer = timeout(ANSWER, async {
        loop {
            let Some(stream) = events.as_mut() else {
                return Err(super::SessionLost::ended());
            };
            if let Event::Arbitration { code, highest } = stream.next().await? {
                // A claim at or above all others is answered with its own id.
                if code == Code::Ok || highest.is_none_or(|highest| highest >= *election_id) {
                    return Ok((code, highest));
                }
            }
        }
    })
    .await
    .map_err(|_| ArbitrateError::Silent {
        role: role.clone(),
        within: ANSWER,
    })?;
    match answer {
        Ok((Code::Ok, _)) => Ok(Arbitrated::Primary(client.with_state(Primary))),
        Ok((_, highest)) => Ok(Arbitrated::Backup(
            client.with_state(|session| Backup { session, highest }),
        )),
        Err(lost) => Err(ArbitrateError::Refused {
            role: role.clone(),
            election_id: *election_id,
            source: Box::new(lost.into_status()),
        }),
    }
}
