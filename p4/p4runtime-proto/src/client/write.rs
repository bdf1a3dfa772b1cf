//! Batches of updates (P4Runtime 12).

use thiserror::Error;
use tonic::{Code, Status};

use super::{Client, Ready};
use crate::{
    UpdateError, decode_update_errors,
    p4::v1::{Update, WriteRequest, write_request::Atomicity},
};

/// What to do about a failed Write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// The same request may pass later.
    Backoff,
    /// Nobody knows what was applied: read back first.
    Resync,
}

/// Why a Write failed.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Some updates failed. Whether the others are applied is a matter of the atomicity asked for.
    #[error("{} of {total} updates failed; first: {}", errors.len(), first(errors))]
    Updates {
        /// The failures, in order of their place in the request.
        errors: Vec<UpdateError>,
        /// Updates in the request.
        total: usize,
    },
    /// The server refused the request as a whole; nothing of it is applied.
    #[error("The server refused the write ({code:?}): {}", source.message())]
    Refused {
        /// Canonical code.
        code: Code,
        /// What the server said.
        source: Box<Status>,
    },
    /// The connection failed, and with it the answer.
    #[error("The write has no answer; what it did is unknown")]
    Lost {
        /// What the transport said.
        source: Box<Status>,
    },
}

fn first(errors: &[UpdateError]) -> String {
    errors
        .first()
        .map_or_else(|| "none".to_owned(), ToString::to_string)
}

impl WriteError {
    /// What to do about it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Updates { .. } => Retry::Never,
            Self::Refused { code, .. } => match code {
                Code::ResourceExhausted | Code::Aborted => Retry::Backoff,
                _ => Retry::Never,
            },
            Self::Lost { .. } => Retry::Resync,
        }
    }
}

impl From<(Status, usize)> for WriteError {
    fn from((status, total): (Status, usize)) -> Self {
        if let Some(errors) = decode_update_errors(&status) {
            return Self::Updates { errors, total };
        }
        let source = Box::new(status);
        match source.code() {
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Internal => {
                Self::Lost { source }
            }
            code => Self::Refused { code, source },
        }
    }
}

impl Client<Ready> {
    /// Applies a batch. The server may reorder updates inside it; what must come later goes into a
    /// later batch. Several batches may be under way at once.
    ///
    /// # Errors
    /// One for each update that failed, or one for the whole request.
    pub async fn write(
        &self,
        updates: Vec<Update>,
        atomicity: Atomicity,
    ) -> Result<(), WriteError> {
        let total = updates.len();
        #[expect(
            deprecated,
            reason = "the field is named to see that nothing is forgotten"
        )]
        let request = WriteRequest {
            device_id: self.device_id,
            role_id: 0,
            role: self.state.session.role.clone(),
            election_id: Some(self.state.session.election_id.into()),
            updates,
            atomicity: atomicity.into(),
        };
        match self.grpc.clone().write(request).await {
            Ok(_) => Ok(()),
            Err(status) => Err(WriteError::from((status, total))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_update_errors;

    #[test]
    fn errors_are_told_apart() {
        let failed = UpdateError {
            index: 2,
            code: Code::NotFound,
            message: "No such entry".to_owned(),
            space: String::new(),
            target_code: 0,
        };
        let error = WriteError::from((encode_update_errors(3, &[failed]), 3));
        assert!(matches!(&error, WriteError::Updates { errors, total: 3 } if errors[0].index == 2));
        assert_eq!(error.retry(), Retry::Never);
        assert_eq!(
            error.to_string(),
            "1 of 3 updates failed; first: Update 2 failed (NotFound): No such entry"
        );
        let error = WriteError::from((Status::permission_denied("Not the primary"), 3));
        assert!(matches!(
            error,
            WriteError::Refused {
                code: Code::PermissionDenied,
                ..
            }
        ));
        let error = WriteError::from((Status::unavailable("gone"), 3));
        assert_eq!(error.retry(), Retry::Resync);
    }
}
