//! `StreamChannel` (P4Runtime 5 and 16).

use std::sync::Arc;

use p4runtime_proto::{
    ElectionId,
    p4::v1::{
        DigestListAck, DigestListAckError, MasterArbitrationUpdate, PacketOut, PacketOutError,
        StreamError, StreamMessageRequest, StreamMessageResponse, StreamOtherError,
        stream_error::Details, stream_message_request::Update, stream_message_response,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::Inner;
use crate::{
    arbitration::{ClientId, RoleName},
    control::Command,
    failure::Failure,
    roles::RoleConfig,
    sessions::{Outgoing, QUEUE},
    translate,
};

/// Takes a stream; a task serves it until one side ends it.
pub(super) fn open(
    service: &Arc<Inner>,
    mut incoming: Streaming<StreamMessageRequest>,
) -> Result<ReceiverStream<Outgoing>, Status> {
    let (outgoing, stream) = mpsc::channel(QUEUE);
    let (client, end) = service.sessions.join(outgoing.clone())?;
    let service = Arc::clone(service);
    tokio::spawn(async move {
        let session = Session {
            service: &service,
            client,
        };
        let mut role = None;
        loop {
            let message = tokio::select! {
                message = incoming.message() => message,
                () = end.notified() => break,
                () = outgoing.closed() => break,
            };
            let Ok(Some(message)) = message else { break };
            if let Err(status) = session.take(message, &mut role, &outgoing).await {
                // The client may be gone already.
                let _ = outgoing.try_send(Err(status));
                break;
            }
        }
        service.sessions.leave(client);
    });
    Ok(ReceiverStream::new(stream))
}

struct Session<'a> {
    service: &'a Inner,
    client: ClientId,
}

impl Session<'_> {
    /// Takes one message; an error ends the stream.
    async fn take(
        &self,
        message: StreamMessageRequest,
        role: &mut Option<RoleName>,
        answers: &mpsc::Sender<Outgoing>,
    ) -> Result<(), Status> {
        let error = match message.update {
            Some(Update::Arbitration(update)) => return self.arbitrate(update, role).await,
            Some(Update::Packet(packet)) => match self.packet_out(&packet).await {
                Ok(()) => return Ok(()),
                Err(failure) => {
                    let packet_out = Some(packet);
                    stream_error(failure, Details::PacketOut(PacketOutError { packet_out }))
                }
            },
            Some(Update::DigestAck(ack)) => match self.acknowledge(ack).await {
                Ok(()) => return Ok(()),
                Err(failure) => {
                    let digest_list_ack = Some(ack);
                    stream_error(
                        failure,
                        Details::DigestListAck(DigestListAckError { digest_list_ack }),
                    )
                }
            },
            Some(Update::Other(other)) => stream_error(
                Failure::unimplemented("This server knows no other stream messages"),
                Details::Other(StreamOtherError { other: Some(other) }),
            ),
            None => stream_error(
                Failure::invalid("The message is empty"),
                Details::Other(StreamOtherError { other: None }),
            ),
        };
        let update = Some(stream_message_response::Update::Error(error));
        // Errors go first when a controller does not keep up.
        let _ = answers.try_send(Ok(StreamMessageResponse { update }));
        Ok(())
    }

    async fn arbitrate(
        &self,
        update: MasterArbitrationUpdate,
        role: &mut Option<RoleName>,
    ) -> Result<(), Status> {
        let MasterArbitrationUpdate {
            device_id,
            role: given,
            election_id,
            status: _,
        } = update;
        if let Err(unknown) = self.service.check_device(device_id) {
            return Err(match role {
                None => unknown,
                Some(_) => Status::failed_precondition(
                    "The device of a stream cannot change; open another stream",
                ),
            });
        }
        let given = given.unwrap_or_default();
        let config = given.config.as_ref().map(RoleConfig::read).transpose();
        let config = config.map_err(|error| Status::invalid_argument(error.to_string()))?;
        #[expect(deprecated, reason = "clients before 1.4 number their roles")]
        let name = RoleName::new(&given.name, given.id);
        let id = election_id.as_ref().map(ElectionId::from);
        let config = config.map(Arc::new);
        let sessions = &self.service.sessions;
        sessions.claim(self.client, &name, id, config).await?;
        *role = Some(name);
        Ok(())
    }

    async fn acknowledge(&self, ack: DigestListAck) -> Result<(), Failure> {
        if !self.service.sessions.is_primary(self.client) {
            return Err(Failure::denied("Only the primary acknowledges digests"));
        }
        let Some(pipeline) = self.service.pipelines().running else {
            return Err(Failure::precondition("No forwarding pipeline has been set"));
        };
        let DigestListAck { digest_id, list_id } = ack;
        let digest = translate::digest_position(&pipeline, digest_id)?;
        let command = Command::DigestAck { digest, list_id };
        let sent = self.service.control.send(command).await;
        sent.map_err(|stopped| Failure::aborted(stopped.to_string()))
    }

    async fn packet_out(&self, packet: &PacketOut) -> Result<(), Failure> {
        if !self.service.sessions.is_primary(self.client) {
            return Err(Failure::denied("Only the primary may send packets"));
        }
        if !self.service.sessions.sends_packets(self.client) {
            return Err(Failure::denied(
                "The config of the role leaves packets to others",
            ));
        }
        if self.service.ports.cpu.is_none() {
            return Err(Failure::precondition(
                "The switch runs without a CPU port (--cpu-port)",
            ));
        }
        let Some(pipeline) = self.service.pipelines().running else {
            return Err(Failure::precondition("No forwarding pipeline has been set"));
        };
        let frame = match &pipeline.packet_out {
            Some(header) => header.join(&packet.metadata, &packet.payload)?,
            None if packet.metadata.is_empty() => packet.payload.to_vec(),
            None => {
                return Err(Failure::invalid("The program has no packet_out header"));
            }
        };
        let sent = self.service.control.send(Command::PacketOut(frame)).await;
        sent.map_err(|stopped| Failure::aborted(stopped.to_string()))
    }
}

fn stream_error(failure: Failure, details: Details) -> StreamError {
    StreamError {
        canonical_code: failure.code.into(),
        message: failure.message,
        space: String::new(),
        code: 0,
        details: Some(details),
    }
}
