//! `Write` (P4Runtime 12).

use p4runtime_proto::{
    encode_update_errors,
    p4::v1::{Update, WriteResponse, write_request},
};
use tokio::{sync::oneshot, task::block_in_place};
use tonic::Status;

use super::{
    Inner,
    front::{RawWrite, part},
};
use crate::{
    arbitration::RoleName,
    control::{Atomicity, Stopped, Write},
    failure::Failure,
    pipeline::Pipeline,
    roles::Access,
    translate,
};

/// Updates of one request; so many in the engine's terms are some hundred megabytes.
const UPDATES: usize = 1 << 20;
/// Updates that take so long that others should not wait for them.
const LARGE: usize = 2000;

impl Inner {
    pub(super) async fn write(&self, request: RawWrite) -> Result<WriteResponse, Status> {
        let RawWrite {
            device_id,
            role_id,
            role,
            election_id,
            updates,
            atomicity,
        } = request;
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
        let total = updates.len();
        if total > UPDATES {
            return Err(Status::resource_exhausted(format!(
                "The request has {total} updates; {UPDATES} are the most"
            )));
        }
        let translate = |update: Update| {
            if !access.is_full() {
                permitted(&pipeline, &access, &update)?;
            }
            translate::update(&pipeline, self.ports, update)
        };
        let translate_all = || {
            updates
                .into_iter()
                .map(|update| Ok(translate(part(update, "An update")?)))
                .collect::<Result<_, Status>>()
        };
        let updates = if total > LARGE {
            block_in_place(translate_all)?
        } else {
            translate_all()?
        };
        let (reply, answer) = oneshot::channel();
        let write = Write {
            generation: pipeline.generation,
            updates,
            atomicity,
            reply,
            under_way: Some(under_way),
        };
        self.control.write(write).await?;
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
