//! Frames that came in together, so that the engine can take them together.

/// Frames end to end in one stretch of memory, which stays from one turn to the next.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Gathered {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(super) fn push(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// In the order in which they came.
    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| {
            // Ends never go back.
            self.bytes.get(*start..*end).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_and_a_cleared_set_is_empty() {
        let mut gathered = Gathered::default();
        for round in 0..2 {
            gathered.clear();
            for frame in [&b"one"[..], b"", b"three"] {
                gathered.push(frame);
            }
            let frames: Vec<&[u8]> = gathered.frames().collect();
            assert_eq!(frames, [&b"one"[..], b"", b"three"], "round {round}");
            assert_eq!(gathered.len(), 3);
        }
    }
}
