//! First match over a class's rules, many ports at a time.

use std::collections::BTreeMap;

use policy_model::{Direction, Icmp, PortRange, Protocol};

use super::{Bits, Cells};
use crate::fingerprint::Fingerprint;
use crate::partition::{Partition, Signature, TooManyGroups, partition};
use crate::ports::{Ports, WITH_PORTS};
use crate::program::{Outcome, PortMatch, Program, ResidualRule, icmp_protocol};

/// What a cell says, with the rule that says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ruling {
    Allow(u32),
    Deny(u32),
    NextPolicy,
    NextTier(u32),
}

/// A rule's atoms by their places in the class.
#[derive(Clone, Debug, Default)]
struct Places {
    nets: Box<[usize]>,
    all: Box<[usize]>,
    none: Box<[usize]>,
    named: Box<[usize]>,
}

/// A program made quick to judge: rules as bits, one word for 64 of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judge {
    places: Box<[Places]>,
    /// For each port group the rules whose destination criteria hold, and then those whose
    /// alternative to named ports holds.
    ports: Box<[Signature]>,
    /// The same for source ports.
    source_ports: Box<[Signature]>,
    direction: Option<Direction>,
}

impl Judge {
    /// Prepares a program. `atoms` are the class's, sorted.
    pub(crate) fn new(
        program: &Program,
        atoms: &[u32],
        ports: Vec<Signature>,
        source_ports: Vec<Signature>,
    ) -> Self {
        let place = |list: &[u32]| -> Box<[usize]> {
            list.iter()
                .filter_map(|atom| atoms.binary_search(atom).ok())
                .collect()
        };
        let places = program.rules.iter().map(|rule| Places {
            nets: place(&rule.nets),
            all: place(&rule.all),
            none: place(&rule.none),
            named: place(&rule.named),
        });
        Self {
            places: places.collect(),
            ports: ports.into(),
            source_ports: source_ports.into(),
            direction: Some(program.direction),
        }
    }

    /// How many source port groups there are, at least one.
    pub(crate) fn source_groups(&self) -> usize {
        self.source_ports.len().max(1)
    }

    /// The deciding rule for every combination of port groups, given the atoms that hold.
    pub(crate) fn cells(&self, program: &Program, bits: &Bits) -> Cells {
        let holds = |place: &usize| bits[place / 64] >> (place % 64) & 1 == 1;
        let words = program.rules.len().div_ceil(64);
        let mut address = vec![0_u64; words];
        let mut named = vec![0_u64; words];
        for (index, places) in self.places.iter().enumerate() {
            let bit = 1_u64 << (index % 64);
            if (places.nets.is_empty() || places.nets.iter().any(holds))
                && places.all.iter().all(holds)
                && !places.none.iter().any(holds)
            {
                address[index / 64] |= bit;
            }
            if places.named.is_empty() || places.named.iter().any(holds) {
                named[index / 64] |= bit;
            }
        }
        let mut cells = Vec::with_capacity(self.ports.len() * self.source_groups());
        for port in &self.ports {
            for source in &self.source_ports {
                let alternative = match self.direction {
                    Some(Direction::Egress) => port,
                    Some(Direction::Ingress) | None => source,
                };
                let word = |at: usize| {
                    address[at] & port[at] & source[at] & (named[at] | alternative[words + at])
                };
                cells.push(first_match(program, words, word));
            }
        }
        cells.into()
    }

    /// What a cell says. One without a rule, which no program has, denies.
    pub(crate) fn verdict(&self, program: &Program, cell: u32) -> Ruling {
        let rule = program.rules.get(cell as usize);
        rule.map_or(Ruling::Deny(0), |rule| match rule.outcome {
            Outcome::Allow => Ruling::Allow(rule.id),
            Outcome::Deny | Outcome::Jump(_) => Ruling::Deny(rule.id),
            Outcome::NextPolicy => Ruling::NextPolicy,
            Outcome::NextTier => Ruling::NextTier(rule.id),
        })
    }
}

fn first_match(program: &Program, words: usize, word: impl Fn(usize) -> u64) -> u32 {
    let mut from = 0;
    while from / 64 < words {
        let rest = word(from / 64) & (u64::MAX << (from % 64));
        if rest == 0 {
            from = (from / 64 + 1) * 64;
            continue;
        }
        let index = from / 64 * 64 + rest.trailing_zeros() as usize;
        match program.rules[index].outcome {
            Outcome::Jump(to) => from = to,
            _ => return u32::try_from(index).unwrap_or(u32::MAX),
        }
    }
    u32::MAX
}

/// Hash of a behaviour, by the ids of the deciding rules.
pub(super) fn hash(program: &Program, cells: &[u32]) -> u128 {
    let mut hash = Fingerprint::new("group");
    for cell in cells {
        let rule = program.rules.get(*cell as usize);
        hash.word(rule.map_or(0, |rule| u64::from(rule.id)));
    }
    hash.finish()
}

/// The cell that most places have, the first one among equals.
pub(super) fn most_frequent(cells: &[u32]) -> u32 {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for cell in cells {
        *counts.entry(*cell).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(cell, count)| (*count, std::cmp::Reverse(*cell)))
        .map_or(u32::MAX, |(cell, _)| cell)
}

/// Cuts both port dimensions of a program.
pub(crate) fn dimensions(program: &Program) -> Result<(Partition, Partition), TooManyGroups> {
    let egress = program.direction == Direction::Egress;
    let icmp = icmp_protocol(program.family);
    let mut starts: BTreeMap<u8, Vec<u16>> = BTreeMap::new();
    let mut source_starts = BTreeMap::new();
    for rule in &program.rules {
        for protocol in rule.protocol.iter().chain(&rule.not_protocol) {
            starts.entry(protocol.0).or_default();
        }
        for criterion in rule.icmp.iter().chain(&rule.not_icmp) {
            let (first, last) = icmp_range(criterion);
            add_range(starts.entry(icmp.0).or_default(), first, last);
        }
        let (near, far) = if egress {
            (&mut source_starts, &mut starts)
        } else {
            (&mut starts, &mut source_starts)
        };
        add_ports(far, &rule.alternative);
        let (local, remote) = if egress {
            (&rule.src, &rule.dst)
        } else {
            (&rule.dst, &rule.src)
        };
        add_match(near, local);
        add_match(far, remote);
    }
    let signature = |side: fn(&ResidualRule) -> &PortMatch, destination: bool| {
        move |port: Option<(Protocol, u16)>| -> Signature {
            let words = program.rules.len().div_ceil(64);
            let mut bits = vec![0_u64; 2 * words];
            for (index, rule) in program.rules.iter().enumerate() {
                let bit = 1_u64 << (index % 64);
                let holds = port_holds(side(rule), port)
                    && (!destination || protocol_holds(rule, icmp, port));
                if !holds {
                    continue;
                }
                bits[index / 64] |= bit;
                let in_alternative =
                    port.is_some_and(|(protocol, port)| rule.alternative.contains(protocol, port));
                if destination == egress && in_alternative {
                    bits[words + index / 64] |= bit;
                }
            }
            bits.into()
        }
    };
    Ok((
        partition(&starts, signature(|rule| &rule.dst, true))?,
        partition(&source_starts, signature(|rule| &rule.src, false))?,
    ))
}

fn icmp_range(icmp: &Icmp) -> (u16, u16) {
    let kind = u16::from(icmp.kind) << 8;
    match icmp.code {
        Some(code) => (kind | u16::from(code), kind | u16::from(code)),
        None => (kind, kind | 0xff),
    }
}

fn add_range(starts: &mut Vec<u16>, first: u16, last: u16) {
    starts.push(first);
    starts.extend(last.checked_add(1));
}

fn add_ports(starts: &mut BTreeMap<u8, Vec<u16>>, ports: &Ports) {
    for protocol in WITH_PORTS {
        for PortRange { first, last } in ports.ranges(protocol) {
            add_range(starts.entry(protocol.0).or_default(), *first, *last);
        }
    }
}

fn add_match(starts: &mut BTreeMap<u8, Vec<u16>>, ports: &PortMatch) {
    for within in &ports.within {
        add_ports(starts, within);
    }
    add_ports(starts, &ports.outside);
}

/// A positive criterion never holds without a port, a negated one always does.
fn port_holds(ports: &PortMatch, port: Option<(Protocol, u16)>) -> bool {
    let inside =
        |ports: &Ports| port.is_some_and(|(protocol, port)| ports.contains(protocol, port));
    ports.within.iter().all(inside) && !inside(&ports.outside)
}

fn protocol_holds(rule: &ResidualRule, icmp: Protocol, at: Option<(Protocol, u16)>) -> bool {
    let is = |protocol: Protocol| at.is_some_and(|(there, _)| there == protocol);
    let is_icmp = |criterion: Icmp| {
        let (first, last) = icmp_range(&criterion);
        at.is_some_and(|(protocol, port)| protocol == icmp && (first..=last).contains(&port))
    };
    rule.protocol.is_none_or(is)
        && !rule.not_protocol.is_some_and(is)
        && rule.icmp.is_none_or(is_icmp)
        && !rule.not_icmp.is_some_and(is_icmp)
}
