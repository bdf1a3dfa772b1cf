//! The members of one IP set.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Member, Protocol};

/// Members, unordered and exact: overlapping CIDRs live beside each other, and removal is by exact
/// net.
///
/// Hash sets, so that a member that comes or goes costs the same whatever the set's size; the hash
/// is fixed, as this room has no source of randomness. Single addresses are by far the most members
/// there are, and are kept as bare numbers: about 8 bytes an IPv4 address. A clone shares the
/// members until one of both changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members(Arc<Shapes>);

/// Members by shape.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Shapes {
    v4: HashSet<u32, FixedState>,
    v6: HashSet<u128, FixedState>,
    /// CIDRs of more than one address, and ports.
    rest: HashSet<Member, FixedState>,
}

/// One member by its shape.
enum Shape {
    V4(u32),
    V6(u128),
    Rest(Member),
}

impl From<Member> for Shape {
    fn from(member: Member) -> Self {
        match member {
            Member::Net(IpNet::V4(net)) if net.prefix_len() == 32 => Self::V4(net.addr().into()),
            Member::Net(IpNet::V6(net)) if net.prefix_len() == 128 => Self::V6(net.addr().into()),
            Member::Net(_) | Member::Port { .. } => Self::Rest(member),
        }
    }
}

impl Shapes {
    fn insert(&mut self, member: Member) -> bool {
        match member.into() {
            Shape::V4(addr) => self.v4.insert(addr),
            Shape::V6(addr) => self.v6.insert(addr),
            Shape::Rest(member) => self.rest.insert(member),
        }
    }

    fn remove(&mut self, member: &Member) -> bool {
        match (*member).into() {
            Shape::V4(addr) => self.v4.remove(&addr),
            Shape::V6(addr) => self.v6.remove(&addr),
            Shape::Rest(member) => self.rest.remove(&member),
        }
    }
}

impl Members {
    /// Whether this very member is in.
    #[must_use]
    pub fn contains(&self, member: &Member) -> bool {
        match (*member).into() {
            Shape::V4(addr) => self.0.v4.contains(&addr),
            Shape::V6(addr) => self.0.v6.contains(&addr),
            Shape::Rest(member) => self.0.rest.contains(&member),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.v4.len() + self.0.v6.len() + self.0.rest.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Member> {
        let v4 = self.0.v4.iter().map(|addr| Ipv4Addr::from(*addr).into());
        let v6 = self.0.v6.iter().map(|addr| Ipv6Addr::from(*addr).into());
        let hosts = v4.chain(v6).map(|addr: IpAddr| Member::Net(addr.into()));
        hosts.chain(self.0.rest.iter().copied())
    }

    /// All of them, in order.
    #[must_use]
    pub fn sorted(&self) -> Vec<Member> {
        let mut all: Vec<Member> = self.iter().collect();
        all.sort_unstable();
        all
    }

    /// Whether one of the CIDRs holds the address: a look at each, on purpose.
    #[must_use]
    pub fn holds(&self, addr: IpAddr) -> bool {
        self.iter().any(|member| match member {
            Member::Net(net) => net.contains(&addr),
            Member::Port { .. } => false,
        })
    }

    /// Whether address, protocol and port are a member.
    #[must_use]
    pub fn holds_port(&self, addr: IpAddr, protocol: Protocol, port: u16) -> bool {
        self.contains(&Member::Port {
            addr,
            protocol,
            port,
        })
    }

    pub(crate) fn insert(&mut self, member: Member) -> bool {
        Arc::make_mut(&mut self.0).insert(member)
    }

    pub(crate) fn remove(&mut self, member: &Member) -> bool {
        Arc::make_mut(&mut self.0).remove(member)
    }

    pub(crate) fn insert_all(&mut self, members: &[Member]) {
        let shapes = Arc::make_mut(&mut self.0);
        for member in members {
            shapes.insert(*member);
        }
    }

    pub(crate) fn remove_all(&mut self, members: &[Member]) {
        let shapes = Arc::make_mut(&mut self.0);
        for member in members {
            shapes.remove(member);
        }
    }

    /// In what was out, out what was in.
    pub(crate) fn flip(&mut self, members: impl IntoIterator<Item = Member>) {
        let shapes = Arc::make_mut(&mut self.0);
        for member in members {
            if !shapes.remove(&member) {
                shapes.insert(member);
            }
        }
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<I: IntoIterator<Item = Member>>(members: I) -> Self {
        let members = members.into_iter();
        let mut shapes = Shapes::default();
        for member in members {
            shapes.insert(member);
        }
        Self(Arc::new(shapes))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Member> {
        let net = |text: &str| Member::Net(text.parse().unwrap());
        vec![
            net("0.0.0.0/0"),
            net("10.0.0.1/32"),
            net("10.0.0.1/31"),
            net("::/0"),
            net("::10.0.0.1/128"),
            net("fd00::1/128"),
            net("fd00::1/127"),
            Member::Port {
                addr: [10, 0, 0, 1].into(),
                protocol: Protocol::TCP,
                port: 80,
            },
        ]
    }

    #[test]
    fn every_shape_comes_back_as_it_went_in() {
        let mut members: Members = all().into_iter().collect();
        let mut sorted = all();
        sorted.sort_unstable();
        assert_eq!(members.sorted(), sorted);
        assert_eq!(members.len(), all().len());
        for member in all() {
            assert!(members.contains(&member));
            assert!(!members.insert(member));
            assert!(members.remove(&member));
            assert!(!members.contains(&member) && !members.remove(&member));
        }
        assert!(members.is_empty());
        assert_eq!(members, Members::default());
    }

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut members: Members = all().into_iter().collect();
        let before = members.clone();
        members.flip(all().into_iter().take(3));
        assert_eq!(before.len(), members.len() + 3);
        members.flip(all().into_iter().take(3));
        assert_eq!(before, members);
    }
}
