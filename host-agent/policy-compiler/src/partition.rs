//! Cutting the space of (protocol, port) into groups, and the groups into prefixes.
//!
//! Two ports are in one group if no rule of a leg can tell them apart. Group 0 is what a lookup
//! that misses gives: protocols that no rule names. The other groups are numbered by their first
//! place in the order of protocols and ports, so equal criteria give equal numbers.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use policy_model::Protocol;

use crate::fingerprint::Fingerprint;

/// What the rules make of a port, one bit a rule and criterion.
pub(crate) type Signature = Box<[u64]>;

/// One row of a port table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PortRow {
    /// Protocol.
    pub protocol: u8,
    /// First port of the prefix.
    pub port: u16,
    /// Length of the prefix.
    pub prefix_len: u8,
    /// The group.
    pub group: u16,
}

/// A partition: rows, and what each group stands for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Partition {
    /// In the order of protocols and prefixes.
    pub rows: Vec<PortRow>,
    /// By group number.
    pub groups: Vec<Signature>,
}

/// More groups than a row can number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooManyGroups;

/// Cuts the space.
///
/// `starts` has, for every protocol that a criterion names, the ports where something may change;
/// `signature` says what the rules make of one port, and of none for protocols that no rule names.
pub(crate) fn partition(
    starts: &BTreeMap<u8, Vec<u16>>,
    signature: impl Fn(Option<(Protocol, u16)>) -> Signature,
) -> Result<Partition, TooManyGroups> {
    let mut numbers: HashMap<Signature, u16, FixedState> = HashMap::default();
    let mut groups = vec![signature(None)];
    numbers.insert(groups[0].clone(), 0);
    let mut rows = Vec::new();
    for (&protocol, ports) in starts {
        let mut ports = ports.clone();
        ports.push(0);
        ports.sort_unstable();
        ports.dedup();
        let mut pieces: Vec<(u16, u16)> = Vec::with_capacity(ports.len());
        for port in ports {
            let signature = signature(Some((Protocol(protocol), port)));
            let group = match numbers.get(&signature) {
                Some(group) => *group,
                None => {
                    let group = u16::try_from(groups.len()).map_err(|_| TooManyGroups)?;
                    numbers.insert(signature.clone(), group);
                    groups.push(signature);
                    group
                }
            };
            if pieces.last().is_none_or(|(_, last)| *last != group) {
                pieces.push((port, group));
            }
        }
        let tree = Node::build(&pieces, 0, 0);
        tree.choose(0, 0, 0, &mut |port, prefix_len, group| {
            rows.push(PortRow {
                protocol,
                port,
                prefix_len,
                group,
            });
        });
    }
    Ok(Partition { rows, groups })
}

impl Partition {
    /// Hash of the rows; zero rows have none.
    pub(crate) fn hash(&self, domain: &str) -> u128 {
        let mut hash = Fingerprint::new(domain);
        for row in &self.rows {
            hash.word(
                u64::from(row.protocol) << 40
                    | u64::from(row.port) << 24
                    | u64::from(row.prefix_len) << 16
                    | u64::from(row.group),
            );
        }
        hash.finish()
    }
}

/// A prefix with the groups that its own row may carry at no extra cost (Draves, King,
/// Venkatachary, Zill: "Constructing Optimal IP Routing Tables"): the fewest rows for a function.
enum Node {
    Leaf(u16),
    Split(Vec<u16>, Box<[Node; 2]>),
}

impl Node {
    fn build(pieces: &[(u16, u16)], first: u32, prefix_len: u8) -> Self {
        let size = 1_u32 << (16 - prefix_len);
        let from = pieces
            .partition_point(|(start, _)| u32::from(*start) <= first)
            .saturating_sub(1);
        let to = pieces.partition_point(|(start, _)| u32::from(*start) < first + size);
        if to - from <= 1 || prefix_len == 16 {
            return Self::Leaf(pieces.get(from).map_or(0, |(_, group)| *group));
        }
        let pieces = &pieces[from..to];
        let low = Self::build(pieces, first, prefix_len + 1);
        let high = Self::build(pieces, first + size / 2, prefix_len + 1);
        let both: Vec<u16> = low
            .groups()
            .iter()
            .copied()
            .filter(|group| high.groups().contains(group))
            .collect();
        let groups = if both.is_empty() {
            let mut any = [low.groups(), high.groups()].concat();
            any.sort_unstable();
            any
        } else {
            both
        };
        Self::Split(groups, Box::new([low, high]))
    }

    fn groups(&self) -> &[u16] {
        match self {
            Self::Leaf(group) => std::slice::from_ref(group),
            Self::Split(groups, _) => groups,
        }
    }

    fn choose(
        &self,
        inherited: u16,
        first: u32,
        prefix_len: u8,
        put: &mut impl FnMut(u16, u8, u16),
    ) {
        let mut group = inherited;
        if !self.groups().contains(&inherited) {
            group = self.groups().first().copied().unwrap_or(inherited);
            put(u16::try_from(first).unwrap_or(u16::MAX), prefix_len, group);
        }
        if let Self::Split(_, halves) = self {
            let [low, high] = halves.as_ref();
            low.choose(group, first, prefix_len + 1, put);
            high.choose(group, first + (1 << (15 - prefix_len)), prefix_len + 1, put);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(rows: &[PortRow], protocol: u8, port: u16) -> u16 {
        rows.iter()
            .filter(|row| {
                row.protocol == protocol
                    && u32::from(row.port ^ port) >> (16 - u32::from(row.prefix_len)) == 0
            })
            .max_by_key(|row| row.prefix_len)
            .map_or(0, |row| row.group)
    }

    fn by_value(values: BTreeMap<u16, u64>) -> Partition {
        let starts = BTreeMap::from([(6, values.keys().copied().collect())]);
        partition(&starts, |port| {
            let value = port.map_or(0, |(_, port)| {
                values.range(..=port).next_back().map_or(0, |(_, v)| *v)
            });
            Box::new([value])
        })
        .unwrap()
    }

    #[test]
    fn a_range_costs_no_more_rows_than_prefixes_can_do() {
        // 1..=65534 is the worst range: 30 prefixes as a plain expansion, three with a default.
        let partition = by_value(BTreeMap::from([(1, 7), (65535, 0)]));
        assert_eq!(partition.rows.len(), 3, "{:?}", partition.rows);
        assert_eq!(by_value(BTreeMap::from([(80, 1), (81, 0)])).rows.len(), 1);
        assert_eq!(by_value(BTreeMap::from([(0, 1)])).rows.len(), 1);
        assert_eq!(by_value(BTreeMap::new()).rows.len(), 0);
    }

    proptest! {
        #[test]
        fn every_port_finds_its_group(
            values in prop::collection::btree_map(any::<u16>(), 0_u64..4, 0..12),
            probes in prop::collection::vec(any::<u16>(), 50),
        ) {
            let partition = by_value(values.clone());
            let edges = values.keys().flat_map(|p| [p.wrapping_sub(1), *p, p.wrapping_add(1)]);
            for port in edges.chain(probes) {
                let want = values.range(..=port).next_back().map_or(0, |(_, v)| *v);
                let group = lookup(&partition.rows, 6, port);
                prop_assert_eq!(partition.groups[usize::from(group)][0], want);
            }
            prop_assert_eq!(lookup(&partition.rows, 17, 80), 0);
        }
    }
}
