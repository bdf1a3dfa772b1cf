//! Multicast groups and clone sessions.

/// One copy of a multicast packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// Port that the copy goes to.
    pub port: u16,
    /// Replication id, seen as `egress_rid`.
    pub instance: u16,
}

/// What a clone session does with a clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloneSession {
    /// One copy for each.
    pub replicas: Vec<Replica>,
    /// A multicast group that gets a copy as well (bmv2's `mirroring_add_mc`).
    pub multicast_group: Option<u16>,
    /// Bytes kept of each clone when it leaves; `None` keeps all.
    pub truncate: Option<u32>,
}
