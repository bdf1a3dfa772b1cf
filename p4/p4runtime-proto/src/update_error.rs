//! The outcome of each update of a Write, as the status details carry it (P4Runtime 12.3).

use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};

use crate::{google::rpc, p4::v1::Error};

/// `Any.type_url` of a [`p4.v1.Error`](Error).
const ERROR_TYPE: &str = "type.googleapis.com/p4.v1.Error";

/// One update that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateError {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Canonical code, never `Ok`.
    pub code: Code,
    /// What the server says.
    pub message: String,
    /// Namespace of `target_code`; may be empty.
    pub space: String,
    /// The target's own number; 0 if it has none.
    pub target_code: i32,
}

impl std::fmt::Display for UpdateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Update {} failed ({:?}): {}",
            self.index, self.code, self.message
        )
    }
}

impl std::error::Error for UpdateError {}

/// Reads the failed updates out of the status of a Write.
///
/// `None` if the status carries no outcome for each update: then the request failed as a whole.
/// `Some` of an empty list means that details were there and none of them tells of a failure.
#[must_use]
pub fn decode_update_errors(status: &Status) -> Option<Vec<UpdateError>> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let mut any = false;
    let mut failed = Vec::new();
    for (index, detail) in details.iter().enumerate() {
        // Servers differ in the host part of the URL; the type name behind the slash counts.
        if !detail.type_url.ends_with("/p4.v1.Error") && detail.type_url != "p4.v1.Error" {
            continue;
        }
        let Ok(error) = Error::decode(detail.value.as_slice()) else {
            continue;
        };
        any = true;
        let code = Code::from_i32(error.canonical_code);
        if code != Code::Ok {
            failed.push(UpdateError {
                index,
                code,
                message: error.message,
                space: error.space,
                target_code: error.code,
            });
        }
    }
    any.then_some(failed)
}

/// Builds the status of a Write of `total` updates of which some failed.
///
/// The status has code UNKNOWN and, in `grpc-status-details-bin`, one [`Error`] for each update in
/// order, OK for those that did not fail.
#[must_use]
pub fn encode_update_errors(total: usize, failed: &[UpdateError]) -> Status {
    let message = match failed {
        [only] => only.to_string(),
        [first, ..] => format!("{} of {total} updates failed; first: {first}", failed.len()),
        [] => "No update failed".to_owned(),
    };
    let mut errors = vec![Error::default(); total];
    for failure in failed {
        if let Some(error) = errors.get_mut(failure.index) {
            *error = Error {
                canonical_code: failure.code as i32,
                message: failure.message.clone(),
                space: failure.space.clone(),
                code: failure.target_code,
                details: None,
            };
        }
    }
    let details = rpc::Status {
        code: Code::Unknown as i32,
        message: message.clone(),
        details: errors
            .iter()
            .map(|error| Any {
                type_url: ERROR_TYPE.to_owned(),
                value: error.encode_to_vec(),
            })
            .collect(),
    };
    Status::with_details(Code::Unknown, message, details.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_keep_their_place() {
        let failed = vec![
            UpdateError {
                index: 1,
                code: Code::AlreadyExists,
                message: "Twice".to_owned(),
                space: "margay".to_owned(),
                target_code: 7,
            },
            UpdateError {
                index: 3,
                code: Code::ResourceExhausted,
                message: "Full".to_owned(),
                space: String::new(),
                target_code: 0,
            },
        ];
        let status = encode_update_errors(4, &failed);
        assert_eq!(status.code(), Code::Unknown);
        assert_eq!(decode_update_errors(&status), Some(failed));
    }

    #[test]
    fn a_plain_status_has_no_outcomes() {
        assert_eq!(decode_update_errors(&Status::permission_denied("no")), None);
        let garbage = Status::with_details(Code::Unknown, "", vec![0xff; 9].into());
        assert_eq!(decode_update_errors(&garbage), None);
    }
}
