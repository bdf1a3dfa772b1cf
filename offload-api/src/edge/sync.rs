//! The messages of the sync stream.

use table_model::{Generation, TableId, Update};

use super::device::device_state;
use super::{EdgeError, enumeration};
use crate::proto;
use crate::proto::sync_request::Message as Request;
use crate::proto::sync_response::Message as Response;
use crate::types::{
    Ack, DeltaChunk, DpuStatus, FromDpu, Hello, Nack, NackReason, Resync, ResyncReason,
    SnapshotChunk, ToDpu,
};

impl From<ToDpu> for proto::SyncRequest {
    fn from(message: ToDpu) -> Self {
        let message = match message {
            ToDpu::Hello(Hello {
                session,
                schema_fingerprint,
                generation,
            }) => Request::Hello(proto::Hello {
                session,
                schema_fingerprint,
                generation: generation.0,
            }),
            ToDpu::Snapshot(SnapshotChunk {
                generation,
                begin,
                end,
                rows,
            }) => Request::Snapshot(proto::SnapshotChunk {
                generation: generation.0,
                begin,
                end,
                rows: rows.iter().map(Into::into).collect(),
            }),
            ToDpu::Delta(DeltaChunk {
                base,
                generation,
                parts,
                last,
            }) => Request::Delta(proto::DeltaChunk {
                base: base.0,
                generation: generation.0,
                parts: parts
                    .iter()
                    .map(|(phase, updates)| proto::PhasePart {
                        phase: *phase,
                        updates: updates.iter().map(Into::into).collect(),
                    })
                    .collect(),
                last,
            }),
        };
        Self {
            message: Some(message),
        }
    }
}

impl TryFrom<proto::SyncRequest> for ToDpu {
    type Error = EdgeError;

    fn try_from(message: proto::SyncRequest) -> Result<Self, EdgeError> {
        let proto::SyncRequest { message } = message;
        match message.ok_or_else(|| EdgeError::unset("SyncRequest", "message"))? {
            Request::Hello(proto::Hello {
                session,
                schema_fingerprint,
                generation,
            }) => {
                if session.is_empty() {
                    return Err(EdgeError::unset("Hello", "session"));
                }
                Ok(Self::Hello(Hello {
                    session,
                    schema_fingerprint,
                    generation: Generation(generation),
                }))
            }
            Request::Snapshot(proto::SnapshotChunk {
                generation,
                begin,
                end,
                rows,
            }) => Ok(Self::Snapshot(SnapshotChunk {
                generation: Generation(generation),
                begin,
                end,
                rows: rows
                    .into_iter()
                    .map(TryInto::try_into)
                    .collect::<Result<_, _>>()?,
            })),
            Request::Delta(proto::DeltaChunk {
                base,
                generation,
                parts,
                last,
            }) => {
                if generation <= base {
                    return Err(EdgeError::new(
                        "DeltaChunk",
                        "generation",
                        format!("has {generation}, which does not follow base {base}"),
                    ));
                }
                Ok(Self::Delta(DeltaChunk {
                    base: Generation(base),
                    generation: Generation(generation),
                    parts: parts.into_iter().map(part).collect::<Result<_, _>>()?,
                    last,
                }))
            }
        }
    }
}

fn part(message: proto::PhasePart) -> Result<(u32, Vec<Update>), EdgeError> {
    let proto::PhasePart { phase, updates } = message;
    let updates = updates
        .into_iter()
        .map(TryInto::try_into)
        .collect::<Result<_, _>>()?;
    Ok((phase, updates))
}

impl From<FromDpu> for proto::SyncResponse {
    fn from(message: FromDpu) -> Self {
        let message = match message {
            FromDpu::Welcome(Generation(generation)) => {
                Response::Welcome(proto::Welcome { generation })
            }
            FromDpu::Ack(Ack {
                generation,
                written,
                unchanged,
                millis,
            }) => Response::Ack(proto::Ack {
                generation: generation.0,
                written,
                unchanged,
                millis,
            }),
            FromDpu::Nack(nack) => Response::Nack(nack.into()),
            FromDpu::Resync(Resync {
                reason,
                generation,
                text,
            }) => Response::Resync(proto::Resync {
                reason: match reason {
                    ResyncReason::NewSession => proto::ResyncReason::NewSession,
                    ResyncReason::LostState => proto::ResyncReason::LostState,
                    ResyncReason::BrokenChange => proto::ResyncReason::BrokenChange,
                }
                .into(),
                generation: generation.0,
                text,
            }),
            FromDpu::Status(DpuStatus {
                observed,
                drift_repaired,
                state,
                state_detail,
            }) => Response::Status(proto::Status {
                observed_generation: observed.0,
                drift_repaired,
                state: proto::DeviceState::from(state).into(),
                state_detail,
            }),
        };
        Self {
            message: Some(message),
        }
    }
}

impl From<Nack> for proto::Nack {
    fn from(nack: Nack) -> Self {
        let Nack {
            generation,
            reason,
            text,
        } = nack;
        let (reason, table, need, free) = match reason {
            NackReason::TableFull { table, need, free } => {
                (proto::NackReason::TableFull, table.0, need, free)
            }
            NackReason::StaleGeneration => (proto::NackReason::StaleGeneration, 0, 0, 0),
            NackReason::WrongBase => (proto::NackReason::WrongBase, 0, 0, 0),
            NackReason::Invalid => (proto::NackReason::Invalid, 0, 0, 0),
            NackReason::Target => (proto::NackReason::Target, 0, 0, 0),
            NackReason::Schema => (proto::NackReason::Schema, 0, 0, 0),
        };
        Self {
            generation: generation.0,
            reason: reason.into(),
            table,
            need,
            free,
            text,
        }
    }
}

impl TryFrom<proto::Nack> for Nack {
    type Error = EdgeError;

    fn try_from(message: proto::Nack) -> Result<Self, EdgeError> {
        let proto::Nack {
            generation,
            reason,
            table,
            need,
            free,
            text,
        } = message;
        let reason = match enumeration(reason, "Nack", "reason")? {
            proto::NackReason::Unspecified => return Err(EdgeError::unset("Nack", "reason")),
            proto::NackReason::TableFull => NackReason::TableFull {
                table: TableId(table),
                need,
                free,
            },
            proto::NackReason::StaleGeneration => NackReason::StaleGeneration,
            proto::NackReason::WrongBase => NackReason::WrongBase,
            proto::NackReason::Invalid => NackReason::Invalid,
            proto::NackReason::Target => NackReason::Target,
            proto::NackReason::Schema => NackReason::Schema,
        };
        Ok(Self {
            generation: Generation(generation),
            reason,
            text,
        })
    }
}

impl TryFrom<proto::SyncResponse> for FromDpu {
    type Error = EdgeError;

    fn try_from(message: proto::SyncResponse) -> Result<Self, EdgeError> {
        let proto::SyncResponse { message } = message;
        Ok(
            match message.ok_or_else(|| EdgeError::unset("SyncResponse", "message"))? {
                Response::Welcome(proto::Welcome { generation }) => {
                    Self::Welcome(Generation(generation))
                }
                Response::Ack(proto::Ack {
                    generation,
                    written,
                    unchanged,
                    millis,
                }) => Self::Ack(Ack {
                    generation: Generation(generation),
                    written,
                    unchanged,
                    millis,
                }),
                Response::Nack(nack) => Self::Nack(nack.try_into()?),
                Response::Resync(proto::Resync {
                    reason,
                    generation,
                    text,
                }) => Self::Resync(Resync {
                    reason: match enumeration(reason, "Resync", "reason")? {
                        proto::ResyncReason::Unspecified => {
                            return Err(EdgeError::unset("Resync", "reason"));
                        }
                        proto::ResyncReason::NewSession => ResyncReason::NewSession,
                        proto::ResyncReason::LostState => ResyncReason::LostState,
                        proto::ResyncReason::BrokenChange => ResyncReason::BrokenChange,
                    },
                    generation: Generation(generation),
                    text,
                }),
                Response::Status(proto::Status {
                    observed_generation,
                    drift_repaired,
                    state,
                    state_detail,
                }) => Self::Status(DpuStatus {
                    observed: Generation(observed_generation),
                    drift_repaired,
                    state: device_state(state, "Status")?,
                    state_detail,
                }),
            },
        )
    }
}
