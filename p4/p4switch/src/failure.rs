//! Why one update or one query failed, in the codes that P4Runtime names.

use p4_engine::ControlError;
use p4runtime_proto::UpdateError;
use tonic::{Code, Status};

/// `Error.space` of all failures.
const SPACE: &str = "p4switch";

/// One failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

macro_rules! kinds {
    ($($name:ident => $code:ident),* $(,)?) => {
        impl Failure {
            $(
                pub(crate) fn $name(message: impl Into<String>) -> Self {
                    Self { code: Code::$code, message: message.into() }
                }
            )*
        }
    };
}

kinds! {
    invalid => InvalidArgument,
    not_found => NotFound,
    exists => AlreadyExists,
    denied => PermissionDenied,
    out_of_range => OutOfRange,
    unimplemented => Unimplemented,
    aborted => Aborted,
    precondition => FailedPrecondition,
    exhausted => ResourceExhausted,
}

impl Failure {
    /// The failure of the update (or query) at `index`.
    pub(crate) fn at(self, index: usize) -> UpdateError {
        UpdateError {
            index,
            code: self.code,
            message: self.message,
            space: SPACE.to_owned(),
            target_code: 0,
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code, failure.message)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let code = match &error {
            ControlError::NotFound { .. } => Code::NotFound,
            ControlError::Exists { .. } => Code::AlreadyExists,
            ControlError::Full { .. } => Code::ResourceExhausted,
            ControlError::Const { .. } => Code::PermissionDenied,
            ControlError::InUse { .. } => Code::FailedPrecondition,
            ControlError::TooWide { .. } | ControlError::Invalid { .. } => Code::InvalidArgument,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}
