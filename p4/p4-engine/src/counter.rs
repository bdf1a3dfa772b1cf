//! Counter cells.

/// Packets and bytes, as every counter of bmv2 has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CounterValue {
    /// Packets.
    pub packets: u64,
    /// Bytes of the packets as they came in.
    pub bytes: u64,
}

impl CounterValue {
    /// Counts one packet; both numbers wrap.
    #[inline]
    pub(crate) fn add(&mut self, bytes: u64) {
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(bytes);
    }
}
