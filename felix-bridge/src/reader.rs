//! A recorded stream, frame by frame.

use std::io::{self, Read};

use felix_proto::{Decoder, Frame, FrameError};
use thiserror::Error;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// Why a recorded stream cannot be read to its end.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file.
    #[error("The stream cannot be read")]
    Io(#[from] io::Error),
    /// What it holds.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Iterates over the frames of anything that can be read. Compressed recordings have to be
/// decompressed on the way.
#[derive(Debug)]
pub struct FrameReader<R> {
    source: R,
    decoder: Decoder,
    chunk: Vec<u8>,
    ended: bool,
}

impl<R: Read> FrameReader<R> {
    /// At the start of a stream.
    pub fn new(source: R) -> Self {
        Self {
            source,
            decoder: Decoder::default(),
            chunk: vec![0; CHUNK],
            ended: false,
        }
    }

    fn read(&mut self) -> Result<Option<Frame>, ReadError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            let length = match self.source.read(&mut self.chunk) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if length == 0 {
                self.decoder.finish()?;
                return Ok(None);
            }
            self.decoder.push(&self.chunk[..length]);
        }
    }
}

impl<R: Read> Iterator for FrameReader<R> {
    type Item = Result<Frame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.read().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}
