//! Sets of ports of the protocols whose ports policy may look at.

use policy_model::{PortRange, Protocol};

use crate::fingerprint::Fingerprint;

/// The protocols that have ports for policy, in the order of [`Ports`].
pub(crate) const WITH_PORTS: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

/// Port ranges by protocol: sorted, disjoint and not adjacent, so that equal sets are equal values.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Ports {
    ranges: [Vec<PortRange>; 3],
}

/// The place of a protocol in [`Ports`].
pub(crate) fn slot(protocol: Protocol) -> Option<usize> {
    WITH_PORTS.iter().position(|p| *p == protocol)
}

impl Ports {
    /// These ranges of every protocol that has ports.
    pub(crate) fn of_ranges(ranges: &[PortRange]) -> Self {
        let merged = merge(ranges.to_vec());
        Self {
            ranges: [merged.clone(), merged.clone(), merged],
        }
    }

    /// Single ports; a protocol without ports is passed over, as no criterion holds for it.
    pub(crate) fn of_members(members: impl IntoIterator<Item = (Protocol, u16)>) -> Self {
        let mut ports = Self::default();
        for (protocol, port) in members {
            if let Some(slot) = slot(protocol) {
                ports.ranges[slot].push(PortRange {
                    first: port,
                    last: port,
                });
            }
        }
        for ranges in &mut ports.ranges {
            *ranges = merge(std::mem::take(ranges));
        }
        ports
    }

    /// Both together.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (ranges, more) in both.ranges.iter_mut().zip(&other.ranges) {
            ranges.extend_from_slice(more);
            *ranges = merge(std::mem::take(ranges));
        }
        both
    }

    /// Leaves only one protocol's ports: the others cannot matter to a rule for that protocol.
    pub(crate) fn only(mut self, protocol: Option<Protocol>) -> Self {
        if let Some(protocol) = protocol {
            for (place, ranges) in self.ranges.iter_mut().enumerate() {
                if slot(protocol) != Some(place) {
                    ranges.clear();
                }
            }
        }
        self
    }

    /// Whether there is no port at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.iter().all(Vec::is_empty)
    }

    /// Whether this port of this protocol is in.
    pub(crate) fn contains(&self, protocol: Protocol, port: u16) -> bool {
        slot(protocol).is_some_and(|slot| {
            let ranges = &self.ranges[slot];
            let place = ranges.partition_point(|range| range.last < port);
            ranges.get(place).is_some_and(|range| range.first <= port)
        })
    }

    /// Ranges of one protocol.
    pub(crate) fn ranges(&self, protocol: Protocol) -> &[PortRange] {
        slot(protocol).map_or(&[], |slot| &self.ranges[slot])
    }

    /// Feeds the set to a hash.
    pub(crate) fn hash(&self, hash: &mut Fingerprint) {
        for ranges in &self.ranges {
            hash.word(ranges.len() as u64);
            for range in ranges {
                hash.word(u64::from(range.first) << 16 | u64::from(range.last));
            }
        }
    }
}

fn merge(mut ranges: Vec<PortRange>) -> Vec<PortRange> {
    ranges.sort_unstable();
    let mut merged: Vec<PortRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if u32::from(range.first) <= u32::from(last.last) + 1 => {
                last.last = last.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u16, last: u16) -> PortRange {
        PortRange { first, last }
    }

    #[test]
    fn equal_sets_are_equal_values() {
        let a = Ports::of_ranges(&[range(80, 90), range(91, 100), range(85, 86)]);
        let b = Ports::of_ranges(&[range(80, 100)]);
        assert_eq!(a, b);
        assert_eq!(
            Ports::of_ranges(&[range(0, 65535), range(65535, 65535)]),
            Ports::of_ranges(&[range(0, 65535)])
        );
    }

    #[test]
    fn only_protocols_with_ports_are_in() {
        let ports = Ports::of_members([(Protocol::TCP, 80), (Protocol::UDPLITE, 80)]);
        assert!(ports.contains(Protocol::TCP, 80));
        assert!(!ports.contains(Protocol::UDPLITE, 80));
        assert!(!ports.contains(Protocol::UDP, 80));
        assert!(ports.only(Some(Protocol::UDP)).is_empty());
    }
}
