//! Frames that host-agent has not acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;

/// A bounded queue of frames by sequence number.
#[derive(Debug)]
pub(super) struct Backlog {
    frames: VecDeque<Bytes>,
    oldest: u64,
    bytes: usize,
    limit: usize,
    offered: bool,
}

impl Backlog {
    /// Empty; one frame always fits, whatever the limit in bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            oldest: 0,
            bytes: 0,
            limit,
            offered: false,
        }
    }

    /// Sequence number of the oldest frame that is here.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Sequence number of the frame that comes next.
    pub(super) fn newest(&self) -> u64 {
        self.oldest + self.frames.len() as u64
    }

    pub(super) fn has_room(&self) -> bool {
        self.frames.is_empty() || self.bytes < self.limit
    }

    pub(super) fn push(&mut self, body: Bytes) {
        self.bytes += body.len();
        self.frames.push_back(body);
    }

    pub(super) fn frame(&self, sequence: u64) -> Option<&Bytes> {
        let at = sequence.checked_sub(self.oldest)?;
        self.frames.get(usize::try_from(at).ok()?)
    }

    /// Lets go of everything before `next`.
    pub(super) fn release(&mut self, next: u64) {
        while self.oldest < next {
            let Some(body) = self.frames.pop_front() else {
                return;
            };
            self.bytes -= body.len();
            self.oldest += 1;
        }
    }

    /// An attempt to reach host-agent was made.
    pub(super) fn offered(&mut self) {
        self.offered = true;
    }

    /// Whether one was.
    pub(super) fn was_offered(&self) -> bool {
        self.offered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_not_acknowledged() {
        let mut backlog = Backlog::new(5);
        for body in [&b"abc"[..], b"def", b"g"] {
            backlog.push(Bytes::from_static(body));
        }
        assert!(!backlog.has_room());
        assert_eq!((backlog.oldest(), backlog.newest()), (0, 3));
        backlog.release(2);
        assert!(backlog.has_room());
        assert_eq!((backlog.oldest(), backlog.newest()), (2, 3));
        assert_eq!(backlog.frame(1), None);
        assert_eq!(backlog.frame(2), Some(&Bytes::from_static(b"g")));
        assert_eq!(backlog.frame(3), None);
        backlog.release(9);
        assert_eq!((backlog.oldest(), backlog.newest()), (3, 3));
    }

    #[test]
    fn one_frame_always_fits() {
        let mut backlog = Backlog::new(0);
        assert!(backlog.has_room());
        backlog.push(Bytes::from_static(b"larger than the limit"));
        assert!(!backlog.has_room());
    }
}
