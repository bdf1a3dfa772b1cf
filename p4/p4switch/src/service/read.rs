//! `Read` (P4Runtime 13).

use std::{sync::Arc, time::Duration};

use p4runtime_proto::{
    UpdateError, encode_update_errors,
    p4::v1::{Entity, ReadResponse},
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    Inner,
    front::{RawRead, part},
};
use crate::{
    arbitration::RoleName,
    control::{Answered, Command, Read},
    failure::Failure,
    pipeline::Pipeline,
    roles::Access,
    translate::{self, Answer},
};

/// Size at which a response is sent. One entity may come on top; gRPC clients take 4 MiB.
const RESPONSE: usize = 512 << 10;
/// Entities of one request.
const ENTITIES: usize = 1 << 16;
/// Responses that may wait for the client.
const RESPONSES: usize = 4;
/// How long a client may take for one response before the read is given up.
const PATIENCE: Duration = Duration::from_secs(60);

type Responses = mpsc::Sender<Result<ReadResponse, Status>>;

impl Inner {
    pub(super) async fn read(
        &self,
        request: RawRead,
    ) -> Result<ReceiverStream<Result<ReadResponse, Status>>, Status> {
        let RawRead {
            device_id,
            role,
            entities,
        } = request;
        self.check_device(device_id)?;
        let access = if role.is_empty() {
            Access::default()
        } else {
            let access = self.sessions.access(&RoleName::new(&role, 0));
            access.ok_or_else(|| Status::not_found(format!("No client has role {role:?}")))?
        };
        let visible = |id| access.sees(Some(id));
        let pipeline = self.current()?;
        let permit = Arc::clone(&self.reads)
            .acquire_owned()
            .await
            .map_err(|_| Status::unavailable("The switch is shutting down"))?;
        let total = entities.len();
        if total > ENTITIES {
            return Err(Status::resource_exhausted(format!(
                "The request has {total} entities; {ENTITIES} are the most"
            )));
        }
        let mut failed = Vec::new();
        let mut queries = Vec::with_capacity(total);
        for (index, entity) in entities.into_iter().enumerate() {
            let entity: Entity = part(entity, "An entity")?;
            match readable(&pipeline, &access, &entity)
                .and_then(|()| translate::query(&pipeline, &visible, entity))
            {
                Ok(query) => queries.push((index, query)),
                Err(failure) => failed.push(failure.at(index)),
            }
        }
        let (pieces, answers) = mpsc::unbounded_channel();
        let read = Read {
            generation: pipeline.generation,
            queries,
            pieces,
        };
        self.control.send(Command::Read(read)).await?;
        let (responses, stream) = mpsc::channel(RESPONSES);
        tokio::spawn(async move {
            respond(&pipeline, answers, failed, total, &responses).await;
            drop(permit);
        });
        Ok(ReceiverStream::new(stream))
    }
}

/// Refuses what the role may not see if it is asked for by name; wildcards leave it out.
fn readable(pipeline: &Pipeline, access: &Access, entity: &Entity) -> Result<(), Failure> {
    let Some(entity) = &entity.entity else {
        return Ok(());
    };
    let object = translate::object_of(entity);
    if object == Some(0) || access.sees(object) {
        return Ok(());
    }
    Err(Failure::denied(match object {
        Some(id) => format!("The role may not read {}", pipeline.describe(id)),
        None => "Only roles without config may read multicast groups and clone sessions".into(),
    }))
}

/// Sends all pieces, then the errors if there are any.
async fn respond(
    pipeline: &Pipeline,
    mut answers: mpsc::UnboundedReceiver<Answered>,
    mut failed: Vec<UpdateError>,
    total: usize,
    responses: &Responses,
) {
    let mut answer = Answer::new(pipeline);
    let mut found = Vec::new();
    let mut entities = Vec::new();
    let mut size = 0;
    while let Some(answered) = answers.recv().await {
        match answered {
            Answered::Failed(error) => failed.push(error),
            Answered::Piece(piece) => {
                answer.extend(piece, &mut found);
                for entity in found.drain(..) {
                    // The entity with its tag and length.
                    size += entity.encoded_len() + 8;
                    entities.push(entity);
                    if size >= RESPONSE {
                        size = 0;
                        if !send(responses, std::mem::take(&mut entities)).await {
                            return;
                        }
                    }
                }
            }
        }
    }
    if !entities.is_empty() && !send(responses, entities).await {
        return;
    }
    if !failed.is_empty() {
        failed.sort_by_key(|error| error.index);
        // The client has gone if this fails.
        let _ = responses
            .send_timeout(Err(encode_update_errors(total, &failed)), PATIENCE)
            .await;
    }
}

async fn send(responses: &Responses, entities: Vec<Entity>) -> bool {
    responses
        .send_timeout(Ok(ReadResponse { entities }), PATIENCE)
        .await
        .is_ok()
}
