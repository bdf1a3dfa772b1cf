//! Frames: 8 bytes of length, little endian, then as many bytes of body; both directions alike.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use thiserror::Error;

/// Bytes of a frame's header.
pub const HEADER: usize = 8;

/// Largest body that is taken unless a caller says otherwise: 64 MiB. The largest frame of a
/// cluster is its biggest IP set; a million members are below this.
pub const DEFAULT_LIMIT: usize = 64 << 20;

/// First bytes of a gzip file: recordings often come compressed. Read as a length they may be below
/// the limit, but the first frame is a `ConfigUpdate`, and none is of this very size.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Place in the stream, from 0.
    pub index: u64,
    /// Offset of its header in the stream, in bytes.
    pub offset: u64,
    /// One encoded message.
    pub body: Bytes,
}

/// Why a stream cannot be cut into frames. None of these can be skipped: where the next frame
/// begins is not known.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// A length above the limit.
    #[error(
        "Frame {index} at byte {offset} says that it holds {length} bytes; the limit is {limit}. \
         Either these are not Felix's frames (8 bytes of length, little endian, before each \
         message), or some of them were lost or damaged"
    )]
    Oversized {
        /// Place of the frame.
        index: u64,
        /// Offset of its header.
        offset: u64,
        /// What the header says.
        length: u64,
        /// What is allowed.
        limit: usize,
    },
    /// A gzip file in place of frames.
    #[error("The stream is gzip data, not frames: decompress it first")]
    Compressed,
    /// The stream ended inside a header.
    #[error(
        "The stream ends at byte {end} inside the header of frame {index}, which begins at byte \
         {offset}: {have} of 8 bytes are there. Its writer was cut off; everything before this \
         frame is whole and was used"
    )]
    TruncatedHeader {
        /// Place of the frame.
        index: u64,
        /// Offset of its header.
        offset: u64,
        /// Bytes of the header that are there.
        have: usize,
        /// End of the stream.
        end: u64,
    },
    /// The stream ended inside a body.
    #[error(
        "The stream ends at byte {end} inside the body of frame {index}, which begins at byte \
         {offset}: {have} of {want} bytes are there. Its writer was cut off; everything before \
         this frame is whole and was used"
    )]
    TruncatedBody {
        /// Place of the frame.
        index: u64,
        /// Offset of its header.
        offset: u64,
        /// Bytes of the body that are there.
        have: usize,
        /// Bytes of the body that the header announced.
        want: usize,
        /// End of the stream.
        end: u64,
    },
}

/// Cuts a byte stream into frames. Feed it pieces of any size.
#[derive(Clone, Debug)]
pub struct Decoder {
    limit: usize,
    buffer: BytesMut,
    index: u64,
    offset: u64,
    failed: Option<FrameError>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Decoder {
    /// At the start of a stream; `limit` is the largest body in bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: BytesMut::new(),
            index: 0,
            offset: 0,
            failed: None,
        }
    }

    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole frame, none if more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::Oversized`] and [`FrameError::Compressed`]; the same answer from then on.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Some(length) = self.announced() else {
            return Ok(None);
        };
        if self.index == 0 && self.buffer.starts_with(&GZIP) {
            return Err(self.fail(FrameError::Compressed));
        }
        let want = match usize::try_from(length) {
            Ok(want) if want <= self.limit => want,
            _ => {
                let (index, offset, limit) = (self.index, self.offset, self.limit);
                return Err(self.fail(FrameError::Oversized {
                    index,
                    offset,
                    length,
                    limit,
                }));
            }
        };
        if self.buffer.len() - HEADER < want {
            self.buffer.reserve(want + HEADER - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        let frame = Frame {
            index: self.index,
            offset: self.offset,
            body: self.buffer.split_to(want).freeze(),
        };
        self.index += 1;
        self.offset += (HEADER as u64).saturating_add(length);
        Ok(Some(frame))
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// A truncated frame, or the error that came before.
    pub fn finish(&self) -> Result<(), FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let have = self.buffer.len();
        let end = self.offset.saturating_add(have as u64);
        let (index, offset) = (self.index, self.offset);
        match self.announced() {
            None if have == 0 => Ok(()),
            None => Err(FrameError::TruncatedHeader {
                index,
                offset,
                have,
                end,
            }),
            Some(length) => Err(FrameError::TruncatedBody {
                index,
                offset,
                have: have - HEADER,
                want: usize::try_from(length).unwrap_or(usize::MAX),
                end,
            }),
        }
    }

    /// Bytes that wait for the rest of their frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    fn announced(&self) -> Option<u64> {
        self.buffer
            .first_chunk::<HEADER>()
            .map(|header| u64::from_le_bytes(*header))
    }

    fn fail(&mut self, error: FrameError) -> FrameError {
        self.buffer = BytesMut::new();
        self.failed = Some(error.clone());
        error
    }
}

/// Appends a message as one frame.
pub fn encode<M: Message>(message: &M, out: &mut BytesMut) {
    let length = message.encoded_len();
    out.reserve(HEADER + length);
    out.put_u64_le(length as u64);
    // A `BytesMut` grows, so the only error of `encode_raw`'s checked sibling cannot happen.
    message.encode_raw(out);
}

#[cfg(test)]
mod tests;
