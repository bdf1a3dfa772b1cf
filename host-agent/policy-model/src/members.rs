//! The members of one IP set.

use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Member, Protocol};

/// Members, unordered and exact: overlapping CIDRs live beside each other, and removal is by exact
/// net. A hash set, so that a member that comes or goes costs the same whatever the set's size; the
/// hash is fixed, as this room has no source of randomness.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members(HashSet<Member, FixedState>);

impl Members {
    /// Whether this very member is in.
    #[must_use]
    pub fn contains(&self, member: &Member) -> bool {
        self.0.contains(member)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    /// All of them, in order.
    #[must_use]
    pub fn sorted(&self) -> Vec<Member> {
        let mut all: Vec<Member> = self.0.iter().copied().collect();
        all.sort_unstable();
        all
    }

    /// Whether one of the CIDRs holds the address: a look at each, on purpose.
    #[must_use]
    pub fn holds(&self, addr: IpAddr) -> bool {
        self.0.iter().any(|member| match member {
            Member::Net(net) => net.contains(&addr),
            Member::Port { .. } => false,
        })
    }

    /// Whether address, protocol and port are a member.
    #[must_use]
    pub fn holds_port(&self, addr: IpAddr, protocol: Protocol, port: u16) -> bool {
        self.0.contains(&Member::Port {
            addr,
            protocol,
            port,
        })
    }

    pub(crate) fn insert(&mut self, member: Member) -> bool {
        self.0.insert(member)
    }

    pub(crate) fn remove(&mut self, member: &Member) -> bool {
        self.0.remove(member)
    }

    pub(crate) fn insert_all(&mut self, members: &[Member]) {
        self.0.extend(members.iter().copied());
    }

    pub(crate) fn remove_all(&mut self, members: &[Member]) {
        for member in members {
            self.0.remove(member);
        }
    }

    /// In if it was out, out if it was in.
    pub(crate) fn flip(&mut self, member: Member) {
        if !self.0.remove(&member) {
            self.0.insert(member);
        }
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<I: IntoIterator<Item = Member>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.sorted().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
