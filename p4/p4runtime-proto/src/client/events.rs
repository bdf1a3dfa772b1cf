//! The stream between client and server after the arbitration.

use thiserror::Error;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

use super::{Client, Primary, Ready};
use crate::{
    ElectionId,
    p4::v1::{
        DigestList, DigestListAck, IdleTimeoutNotification, PacketIn, PacketOut, StreamError,
        StreamMessageRequest, StreamMessageResponse, stream_message_request,
        stream_message_response::Update,
    },
};

/// What the server says unasked.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The primary of the role has changed.
    Arbitration {
        /// `Ok`: this client is the primary; `AlreadyExists`: another one is; `NotFound`: none.
        code: Code,
        /// Highest election id that the server has seen; none if it has seen none.
        highest: Option<ElectionId>,
    },
    /// A packet for the controller.
    Packet(PacketIn),
    /// Digests.
    Digest(DigestList),
    /// Entries that were not hit in time.
    IdleTimeout(IdleTimeoutNotification),
    /// A message of this client that could not be processed.
    Error(StreamError),
    /// A message that this client does not know.
    Other,
}

/// The stream has ended.
#[derive(Debug, Error)]
#[error("The P4Runtime session has ended")]
pub struct SessionLost {
    /// What the server said.
    pub source: Box<Status>,
}

impl SessionLost {
    pub(super) fn ended() -> Self {
        Self {
            source: Box::new(Status::cancelled("The stream has ended")),
        }
    }

    pub(super) fn into_status(self) -> Status {
        *self.source
    }
}

/// The server's half of the stream.
#[derive(Debug)]
pub struct Events(pub(super) Streaming<StreamMessageResponse>);

impl Events {
    /// Waits for the next message.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn next(&mut self) -> Result<Event, SessionLost> {
        let message = self
            .0
            .message()
            .await
            .map_err(|source| SessionLost {
                source: Box::new(source),
            })?
            .ok_or_else(SessionLost::ended)?;
        Ok(match message.update {
            Some(Update::Arbitration(update)) => Event::Arbitration {
                code: update
                    .status
                    .map_or(Code::Ok, |status| Code::from_i32(status.code)),
                highest: update.election_id.as_ref().map(ElectionId::from),
            },
            Some(Update::Packet(packet)) => Event::Packet(packet),
            Some(Update::Digest(list)) => Event::Digest(list),
            Some(Update::IdleTimeoutNotification(notice)) => Event::IdleTimeout(notice),
            Some(Update::Error(error)) => Event::Error(error),
            Some(Update::Other(_)) | None => Event::Other,
        })
    }
}

/// The stream has ended, so nothing can be sent on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("The P4Runtime session has ended; nothing can be sent on it")]
pub struct SendError;

/// The client's half of the stream.
#[derive(Clone, Debug)]
pub(super) struct Outbox(pub(super) mpsc::Sender<StreamMessageRequest>);

impl Outbox {
    pub(super) async fn send(&self, message: StreamMessageRequest) -> Result<(), SendError> {
        self.0.send(message).await.map_err(|_| SendError)
    }
}

macro_rules! stream_of {
    ($state:ty, $client:ident => $session:expr) => {
        impl Client<$state> {
            /// Takes the server's half of the stream, so that another task can follow it. The
            /// session lasts as long as this client. `None` the second time.
            pub fn take_events(&mut self) -> Option<Events> {
                let $client = self;
                $session.events.take()
            }

            /// Waits for the next message of the server.
            ///
            /// # Errors
            /// When the stream has ended or was taken.
            pub async fn event(&mut self) -> Result<Event, SessionLost> {
                let $client = self;
                match &mut $session.events {
                    Some(events) => events.next().await,
                    None => Err(SessionLost::ended()),
                }
            }

            /// Sends a packet into the pipeline. Errors of the packet itself come back as
            /// [`Event::Error`].
            ///
            /// # Errors
            /// When the stream has ended.
            pub async fn packet_out(&self, packet: PacketOut) -> Result<(), SendError> {
                let update = stream_message_request::Update::Packet(packet);
                let $client = self;
                $session
                    .outbox
                    .send(StreamMessageRequest {
                        update: Some(update),
                    })
                    .await
            }

            /// Acknowledges a list of digests.
            ///
            /// # Errors
            /// When the stream has ended.
            pub async fn acknowledge(&self, ack: DigestListAck) -> Result<(), SendError> {
                let update = stream_message_request::Update::DigestAck(ack);
                let $client = self;
                $session
                    .outbox
                    .send(StreamMessageRequest {
                        update: Some(update),
                    })
                    .await
            }

            /// The claim that won.
            #[must_use]
            pub fn election_id(&self) -> ElectionId {
                let $client = self;
                $session.election_id
            }
        }
    };
}

stream_of!(Primary, client => client.state.0);
stream_of!(Ready, client => client.state.session);
