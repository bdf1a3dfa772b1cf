//! From a frame's body to a message.

use prost::Message as _;
use thiserror::Error;

use crate::felix::{FromDataplane, ToDataplane, to_dataplane};
use crate::wire::{self, UnknownField};
use crate::{Frame, felix::from_dataplane};

/// A message from Felix.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// `sequence_number`.
    pub sequence: u64,
    /// What it says; none if it is of a type that these messages do not have, which `unknown` then
    /// names, or if it says nothing at all.
    pub payload: Option<to_dataplane::Payload>,
    /// Fields that these messages do not have, at any depth.
    pub unknown: Vec<UnknownField>,
}

/// Why a body is no message.
#[derive(Clone, PartialEq, Debug, Error)]
#[error(
    "The body of frame {index} at byte {offset} ({length} bytes) is not a {message} message. \
     Either the stream is not Felix's, or it is of a release older than 3.30 or newer than this \
     program knows"
)]
pub struct DecodeError {
    /// Place of the frame.
    pub index: u64,
    /// Offset of its header.
    pub offset: u64,
    /// Length of the body.
    pub length: usize,
    /// `ToDataplane` or `FromDataplane`.
    pub message: &'static str,
    /// What the decoder says.
    pub source: prost::DecodeError,
}

/// Decodes what Felix wrote, in the dialect of any release from 3.30 to 3.33.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(frame: &Frame) -> Result<Message, DecodeError> {
    let body = &frame.body[..];
    // Felix 3.30 writes an enum where later releases have a message (`WorkloadEndpoint` field 14);
    // the decoder refuses the wire type. Only then is the body looked at a second time.
    let decoded = ToDataplane::decode(body).or_else(|error| {
        wire::move_workload_type(body).map_or(Err(error), |moved| ToDataplane::decode(&moved[..]))
    });
    let ToDataplane {
        sequence_number,
        payload,
    } = decoded.map_err(|source| failure(frame, "ToDataplane", source))?;
    Ok(Message {
        sequence: sequence_number,
        payload,
        unknown: wire::unknown_fields("ToDataplane", body),
    })
}

/// Decodes what a driver wrote: for tests that play Felix.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_from(frame: &Frame) -> Result<Option<from_dataplane::Payload>, DecodeError> {
    FromDataplane::decode(&frame.body[..])
        .map(|message| message.payload)
        .map_err(|source| failure(frame, "FromDataplane", source))
}

fn failure(frame: &Frame, message: &'static str, source: prost::DecodeError) -> DecodeError {
    DecodeError {
        index: frame.index,
        offset: frame.offset,
        length: frame.body.len(),
        message,
        source,
    }
}

#[cfg(test)]
mod tests;
