//! Messages of the switch's packet service (package `p4.bm`, service `DataplaneInterface`).

/// A packet for the switch.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PacketStreamRequest {
    /// Comes back with what this packet becomes, if it is not zero.
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    /// The switch's.
    #[prost(uint64, tag = "2")]
    pub(super) device_id: u64,
    /// Ingress port.
    #[prost(uint32, tag = "3")]
    pub(super) port: u32,
    /// From the Ethernet header on.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) packet: Vec<u8>,
}

/// A packet from the switch.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PacketStreamResponse {
    /// The request's.
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    /// The switch's.
    #[prost(uint64, tag = "2")]
    pub(super) device_id: u64,
    /// Egress port.
    #[prost(uint32, tag = "3")]
    pub(super) port: u32,
    /// From the Ethernet header on.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) packet: Vec<u8>,
}
