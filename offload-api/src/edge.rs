//! The typed edge: the only place where generated messages become values and values messages.
//!
//! Every conversion takes its message apart field by field, so a field that is added to a proto
//! does not compile until this module says what it means.

mod device;
mod host;
mod sync;
mod table;

pub(crate) use table::entry_view;

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

/// A message that makes no sense, with the field that is to blame.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("Field {field} of {message} {problem}")]
pub struct EdgeError {
    /// Message of the proto.
    pub message: &'static str,
    /// Its field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl EdgeError {
    pub(crate) fn new(
        message: &'static str,
        field: &'static str,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            message,
            field,
            problem: problem.into(),
        }
    }

    fn unset(message: &'static str, field: &'static str) -> Self {
        Self::new(message, field, "is not set")
    }

    fn unknown(message: &'static str, field: &'static str, value: i32) -> Self {
        Self::new(
            message,
            field,
            format!("has value {value}, which this release does not know"),
        )
    }
}

impl From<EdgeError> for tonic::Status {
    fn from(error: EdgeError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// An enum field: refuses the zero value and numbers of a newer release.
fn enumeration<E: TryFrom<i32>>(
    value: i32,
    message: &'static str,
    field: &'static str,
) -> Result<E, EdgeError> {
    if value == 0 {
        return Err(EdgeError::unset(message, field));
    }
    E::try_from(value).map_err(|_| EdgeError::unknown(message, field, value))
}

/// A MAC field that may be empty.
fn mac(
    bytes: &[u8],
    message: &'static str,
    field: &'static str,
) -> Result<Option<[u8; 6]>, EdgeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    <[u8; 6]>::try_from(bytes).map(Some).map_err(|_| {
        EdgeError::new(
            message,
            field,
            format!("has {} bytes where a MAC has 6", bytes.len()),
        )
    })
}

fn mac_bytes(mac: Option<[u8; 6]>) -> Vec<u8> {
    mac.map(|mac| mac.to_vec()).unwrap_or_default()
}

fn address(text: &str, message: &'static str, field: &'static str) -> Result<IpAddr, EdgeError> {
    text.parse()
        .map_err(|_| EdgeError::new(message, field, format!("has {text:?}, not an IP address")))
}

fn net(text: &str, message: &'static str, field: &'static str) -> Result<IpNet, EdgeError> {
    text.parse()
        .map_err(|_| EdgeError::new(message, field, format!("has {text:?}, not a CIDR")))
}

/// The last segment of a resource name `collection/id`.
pub(crate) fn segment<'a>(
    name: &'a str,
    collection: &str,
    message: &'static str,
    field: &'static str,
) -> Result<&'a str, EdgeError> {
    let mut parts = name.split('/');
    while let Some(part) = parts.next() {
        if part == collection
            && let Some(id) = parts.next()
            && !id.is_empty()
        {
            return Ok(id);
        }
    }
    Err(EdgeError::new(
        message,
        field,
        format!("has {name:?}, which names nothing of {collection}/"),
    ))
}

#[cfg(test)]
mod tests;
