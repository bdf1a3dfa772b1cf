//! `Write` (P4Runtime 12).

use std::sync::Arc;

use p4runtime_proto::{
    encode_update_errors,
    p4::v1::{Update, WriteResponse, write_request},
};
use tokio::{sync::oneshot, task::spawn_blocking};
use tonic::Status;

use super::{
    Inner,
    front::part,
    request::{Head, RawWrite, Updates},
};
use crate::{
    arbitration::RoleName,
    control::{Atomicity, Stopped, Write},
    failure::Failure,
    operation::Operation,
    pipeline::Pipeline,
    roles::Access,
    translate::{self, Ports},
};

/// Updates of one request; so many in the engine's terms are some hundred megabytes.
const UPDATES: usize = 1 << 20;
/// Updates that take so long that others should not wait for them.
const LARGE: usize = 2000;
/// Updates that are handed over at a time.
const PIECE: usize = 128;

impl Inner {
    pub(super) async fn write(&self, request: RawWrite) -> Result<WriteResponse, Status> {
        let RawWrite { head, updates } = request;
        let Head {
            device_id,
            role_id,
            role,
            election_id,
            atomicity,
        } = head;
        self.check_device(device_id)?;
        let role = RoleName::new(&role, role_id);
        let (under_way, access) = self.admit(&role, election_id.as_ref()).await?;
        let pipeline = self.current()?;
        let atomicity = match write_request::Atomicity::try_from(atomicity) {
            Ok(write_request::Atomicity::ContinueOnError) => Atomicity::ContinueOnError,
            Ok(
                write_request::Atomicity::RollbackOnError
                | write_request::Atomicity::DataplaneAtomic,
            ) => Atomicity::AllOrNothing,
            Err(_) => {
                return Err(Status::invalid_argument(format!(
                    "Atomicity {atomicity} is unknown"
                )));
            }
        };
        let total = updates.count_left();
        if total > UPDATES {
            return Err(Status::resource_exhausted(format!(
                "The request has {total} updates; {UPDATES} are the most"
            )));
        }
        let mut updates = Translated {
            request: updates.clone(),
            updates,
            pipeline: Arc::clone(&pipeline),
            access,
            ports: self.ports,
        };
        let (reply, answer) = oneshot::channel();
        let write = |updates, more| Write {
            generation: pipeline.generation,
            updates,
            more,
            atomicity,
            reply,
            under_way: Some(under_way),
        };
        if atomicity == Atomicity::ContinueOnError && total > PIECE {
            // The engine's thread applies a piece while the next is translated here.
            let (pieces, more) = std::sync::mpsc::channel();
            let first = updates.by_ref().take(PIECE).collect();
            self.control.write(write(first, Some(more))).await?;
            let control = self.control.clone();
            let rest = move || {
                loop {
                    let piece: Vec<_> = updates.by_ref().take(PIECE).collect();
                    // Fails if the switch stops; the answer does not come then either.
                    if piece.is_empty() || pieces.send(piece).is_err() {
                        break;
                    }
                    control.proceed();
                }
                drop(pieces);
                control.proceed();
            };
            stand_aside(total, rest).await?;
        } else {
            let all = stand_aside(total, move || updates.collect()).await?;
            self.control.write(write(all, None)).await?;
        }
        let failed = answer.await.map_err(|_| Stopped)??;
        if failed.is_empty() {
            Ok(WriteResponse {})
        } else {
            Err(encode_update_errors(total, &failed))
        }
    }
}

/// Whether the role's config and those of other roles let the update through.
fn permitted(pipeline: &Pipeline, access: &Access, update: &Update) -> Result<(), Failure> {
    let entity = update.entity.as_ref();
    let Some(entity) = entity.and_then(|entity| entity.entity.as_ref()) else {
        // The translation says what is wrong with it.
        return Ok(());
    };
    let object = translate::object_of(entity);
    if access.allows(object) {
        return Ok(());
    }
    Err(Failure::denied(match object {
        Some(id) => format!("The role may not write {}", pipeline.describe(id)),
        None => "Only roles without config may write multicast groups and clone sessions".into(),
    }))
}

/// The updates of a request in the engine's terms.
struct Translated {
    updates: Updates,
    /// The same, for their bytes.
    request: Updates,
    pipeline: Arc<Pipeline>,
    access: Access,
    ports: Ports,
}

impl Iterator for Translated {
    type Item = Result<Operation, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let update = self.updates.next()?;
        if self.access.is_full()
            && let Some(plain) = translate::plain(&self.pipeline, self.request.bytes(&update))
        {
            return Some(Ok(plain));
        }
        // One that is no such message fails alone.
        let update = part(self.request.cut(update), "An update");
        let update = update.map_err(|status| Failure::invalid(status.message()));
        Some(update.and_then(|update: Update| {
            if !self.access.is_full() {
                permitted(&self.pipeline, &self.access, &update)?;
            }
            translate::update(&self.pipeline, self.ports, update)
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.updates.size_hint()
    }
}

/// Does the work; if it is much, elsewhere, so that others are served meanwhile.
async fn stand_aside<T: Send + 'static>(
    updates: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    if updates <= LARGE {
        return Ok(work());
    }
    let done = spawn_blocking(work).await;
    // The runtime ends with the switch.
    done.map_err(|_| Stopped.into())
}
