//! Configurations of digests (P4Runtime 9.6).

use p4runtime_proto::p4::v1::{DigestEntry, digest_entry, update::Type};

use crate::{
    failure::Failure,
    operation::{Change, DigestConfig, Operation},
    pipeline::Pipeline,
};

/// Position of the digest that an entity names.
pub(crate) fn position(pipeline: &Pipeline, id: u32) -> Result<usize, Failure> {
    let mut digests = pipeline.digests.iter();
    digests
        .position(|digest| digest.id == id)
        .ok_or_else(|| Failure::invalid(format!("There is no digest {}", pipeline.describe(id))))
}

pub(super) fn update(
    pipeline: &Pipeline,
    change: Type,
    given: &DigestEntry,
) -> Result<Operation, Failure> {
    let digest = position(pipeline, given.digest_id)?;
    let config = || {
        let digest_entry::Config {
            max_timeout_ns,
            max_list_size,
            ack_timeout_ns,
        } = given.config.unwrap_or_default();
        if max_timeout_ns < 0 || max_list_size < 0 || ack_timeout_ns < 0 {
            return Err(Failure::invalid(
                "A time or size of the digest configuration is negative",
            ));
        }
        Ok(DigestConfig {
            max_timeout_ns,
            max_list_size,
            ack_timeout_ns,
        })
    };
    Ok(Operation::Digest {
        digest,
        change: match change {
            Type::Insert => Change::Insert(config()?),
            Type::Modify => Change::Modify(config()?),
            Type::Delete | Type::Unspecified => Change::Delete,
        },
    })
}
