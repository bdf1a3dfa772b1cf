//! A `WriteRequest` as it comes: its updates stay where they are until they are needed.

use std::ops::Range;

use bytes::{Buf, Bytes};
use p4runtime_proto::p4::v1::{Uint128, WriteResponse};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstCodec;

/// Field of the updates.
const UPDATES: u32 = 4;

/// `WriteRequest` without its updates.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Head {
    #[prost(uint64, tag = "1")]
    pub(super) device_id: u64,
    #[prost(uint64, tag = "2")]
    pub(super) role_id: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) election_id: Option<Uint128>,
    #[prost(int32, tag = "5")]
    pub(super) atomicity: i32,
    #[prost(string, tag = "6")]
    pub(super) role: String,
}

/// `WriteRequest` with its updates as bytes.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct RawWrite {
    pub(super) head: Head,
    pub(super) updates: Updates,
}

/// The updates of a request, one after the other.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Updates {
    request: Bytes,
    at: usize,
    left: usize,
}

impl RawWrite {
    /// Takes a request apart, as far as it must be.
    ///
    /// # Errors
    /// It is no such message.
    pub(super) fn read(request: Bytes) -> Result<Self, DecodeError> {
        let mut head = Head::default();
        let mut left = 0;
        let mut rest = &*request;
        while let Some((tag, wire)) = key(&mut rest)? {
            if (tag, wire) == (UPDATES, WireType::LengthDelimited) {
                skip(&mut rest)?;
                left += 1;
            } else {
                head.merge_field(tag, wire, &mut rest, DecodeContext::default())?;
            }
        }
        let updates = Updates {
            request,
            at: 0,
            left,
        };
        Ok(Self { head, updates })
    }
}

/// The next field, if there is one.
fn key(rest: &mut &[u8]) -> Result<Option<(u32, WireType)>, DecodeError> {
    if rest.is_empty() {
        return Ok(None);
    }
    decode_key(rest).map(Some)
}

/// Takes an update, whose length comes first; how long it is.
fn skip(rest: &mut &[u8]) -> Result<usize, DecodeError> {
    let mut ahead = *rest;
    let length = decode_varint(&mut ahead)?;
    let context = DecodeContext::default();
    skip_field(WireType::LengthDelimited, UPDATES, rest, context)?;
    // It is there, so it is shorter than memory.
    Ok(usize::try_from(length).unwrap_or(0))
}

impl Updates {
    /// The bytes of an update that [`Updates::next`] gave.
    pub(super) fn bytes(&self, update: &Range<usize>) -> &[u8] {
        self.request.get(update.clone()).unwrap_or_default()
    }

    /// The same, to be kept.
    pub(super) fn cut(&self, update: Range<usize>) -> Bytes {
        self.request.slice(update)
    }

    /// How many are left.
    pub(super) fn count_left(&self) -> usize {
        self.left
    }
}

impl Iterator for Updates {
    /// Where it is.
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        if self.left == 0 {
            return None;
        }
        let mut rest = self.request.get(self.at..)?;
        let mut other = Head::default();
        // All of it was read once, so nothing is wrong with it.
        while let Ok(Some((tag, wire))) = key(&mut rest) {
            if (tag, wire) == (UPDATES, WireType::LengthDelimited) {
                let length = skip(&mut rest).ok()?;
                let end = self.request.len() - rest.len();
                self.at = end;
                self.left -= 1;
                return Some(end - length..end);
            }
            let context = DecodeContext::default();
            other.merge_field(tag, wire, &mut rest, context).ok()?;
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Reads requests with their updates as bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WriteCodec;

impl Codec for WriteCodec {
    type Encode = WriteResponse;
    type Decode = RawWrite;
    type Encoder = <ProstCodec<WriteResponse, Head> as Codec>::Encoder;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<WriteResponse, Head>::default().encoder()
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Decoder for WriteCodec {
    type Item = RawWrite;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<RawWrite>, Status> {
        let request = bytes.copy_to_bytes(bytes.remaining());
        let read = RawWrite::read(request);
        read.map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
