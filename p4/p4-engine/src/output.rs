//! What a packet caused.

use crate::program::DigestIndex;
use crate::value::Value;

/// A frame that leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputFrame {
    /// Port that it leaves by.
    pub port: u16,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// A digest for the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Which learn list.
    pub digest: DigestIndex,
    /// Field values in the order of the list.
    pub fields: Vec<Value>,
}

/// What one or more packets caused; reuse it, the buffers are kept.
#[derive(Debug, Default)]
pub struct Outputs {
    frames: Vec<OutputFrame>,
    used: usize,
    digests: Vec<Digest>,
}

impl Outputs {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what is in it, keeps the buffers.
    pub fn clear(&mut self) {
        self.used = 0;
        self.digests.clear();
    }

    /// Frames in the order in which they left; frames for the CPU port are among them.
    #[must_use]
    pub fn frames(&self) -> &[OutputFrame] {
        &self.frames[..self.used]
    }

    /// Digests in order.
    #[must_use]
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// Takes the digests out.
    pub fn take_digests(&mut self) -> Vec<Digest> {
        std::mem::take(&mut self.digests)
    }

    /// The buffer of the next frame, empty, with its port set.
    pub(crate) fn next_frame(&mut self, port: u16) -> &mut Vec<u8> {
        if self.used == self.frames.len() {
            self.frames.push(OutputFrame::default());
        }
        let frame = &mut self.frames[self.used];
        self.used += 1;
        frame.port = port;
        frame.bytes.clear();
        &mut frame.bytes
    }

    /// Appends a frame and takes another buffer for it.
    pub(crate) fn swap_frame(&mut self, frame: &mut OutputFrame) {
        if self.used == self.frames.len() {
            self.frames.push(OutputFrame::default());
        }
        std::mem::swap(&mut self.frames[self.used], frame);
        self.used += 1;
    }

    /// Puts the buffer of the frame that was made last back into its place.
    pub(crate) fn put_back(&mut self, bytes: Vec<u8>) {
        if let Some(last) = self.used.checked_sub(1) {
            self.frames[last].bytes = bytes;
        }
    }

    pub(crate) fn push_digest(&mut self, digest: Digest) {
        self.digests.push(digest);
    }
}
