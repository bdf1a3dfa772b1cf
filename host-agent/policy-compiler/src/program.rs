//! What is left of an endpoint's rules for one step of a leg once its own side is folded in.

use policy_model::{Direction, Family, Icmp, Protocol};

use crate::atom::Atoms;
use crate::fingerprint::Fingerprint;
use crate::ports::Ports;

/// What a match leads to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Outcome {
    /// Accepted by this endpoint.
    Allow,
    /// Dropped.
    Deny,
    /// Left to the step after this one: no rule of the policy matched.
    NextPolicy,
    /// Left to the first step of the next tier, or to the next profile.
    NextTier,
    /// Goes on with the rule of this number of the same program, the first one of the next tier.
    Jump(usize),
}

/// What a rule asks of the port at one end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct PortMatch {
    /// In all of these.
    pub within: Vec<Ports>,
    /// Not in this.
    pub outside: Ports,
}

/// A rule without its local side.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ResidualRule {
    /// [`crate::RuleRef`] by id.
    pub id: u32,
    /// What follows.
    pub outcome: Outcome,
    /// Atoms of which one must hold, if there are any: the rule's nets.
    pub nets: Vec<u32>,
    /// Atoms that must hold.
    pub all: Vec<u32>,
    /// Atoms that must not hold.
    pub none: Vec<u32>,
    /// Atoms of which one must hold, if there are any, unless the port is in `alternative`.
    pub named: Vec<u32>,
    /// Numeric ports of the remote end that do instead of `named`.
    pub alternative: Ports,
    /// Protocol.
    pub protocol: Option<Protocol>,
    /// Any protocol but this.
    pub not_protocol: Option<Protocol>,
    /// ICMP of the leg's family with this type and code.
    pub icmp: Option<Icmp>,
    /// Not ICMP of the leg's family with this type and code.
    pub not_icmp: Option<Icmp>,
    /// Source port.
    pub src: PortMatch,
    /// Destination port.
    pub dst: PortMatch,
}

/// The rules of a step in order. The last one matches everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Program {
    /// Direction of the leg.
    pub direction: Direction,
    /// Family.
    pub family: Family,
    /// The rules.
    pub rules: Vec<ResidualRule>,
}

impl Default for Program {
    fn default() -> Self {
        Self {
            direction: Direction::Ingress,
            family: Family::V4,
            rules: Vec::new(),
        }
    }
}

/// ICMP's protocol number in a family.
pub(crate) const fn icmp_protocol(family: Family) -> Protocol {
    match family {
        Family::V4 => Protocol::ICMP,
        Family::V6 => Protocol::ICMPV6,
    }
}

impl ResidualRule {
    /// A rule that matches everything.
    pub(crate) fn unconditional(id: u32, outcome: Outcome) -> Self {
        Self {
            id,
            outcome,
            nets: Vec::new(),
            all: Vec::new(),
            none: Vec::new(),
            named: Vec::new(),
            alternative: Ports::default(),
            protocol: None,
            not_protocol: None,
            icmp: None,
            not_icmp: None,
            src: PortMatch::default(),
            dst: PortMatch::default(),
        }
    }

    /// Whether it matches everything.
    pub(crate) fn is_unconditional(&self) -> bool {
        *self == Self::unconditional(self.id, self.outcome)
    }

    /// Atoms that it looks at.
    pub(crate) fn atoms(&self) -> impl Iterator<Item = u32> {
        let lists = [&self.nets, &self.all, &self.none, &self.named];
        lists.into_iter().flatten().copied()
    }

    fn hash(&self, hash: &mut Fingerprint, atoms: &Atoms) {
        hash.word(u64::from(self.id));
        hash.word(match self.outcome {
            Outcome::Allow => 1,
            Outcome::Deny => 2,
            Outcome::NextPolicy => 3,
            Outcome::NextTier => 4,
            Outcome::Jump(to) => to as u64 + 5,
        });
        for list in [&self.nets, &self.all, &self.none, &self.named] {
            hash.word(list.len() as u64);
            hash.wide(atoms.mix(list.iter().copied()));
        }
        self.alternative.hash(hash);
        let number = |protocol: Option<Protocol>| protocol.map_or(0, |p| u64::from(p.0) + 1);
        hash.word(number(self.protocol) << 32 | number(self.not_protocol));
        for icmp in [self.icmp, self.not_icmp] {
            hash.word(icmp.map_or(0, |icmp| {
                1 | u64::from(icmp.kind) << 8
                    | icmp.code.map_or(0, |code| u64::from(code) + 1) << 16
            }));
        }
        for side in [&self.src, &self.dst] {
            hash.word(side.within.len() as u64);
            for ports in &side.within {
                ports.hash(hash);
            }
            side.outside.hash(hash);
        }
    }
}

impl Program {
    /// Hash of the content, by names and never by numbers that a history gave.
    pub(crate) fn hash(&self, atoms: &Atoms) -> u128 {
        let mut hash = Fingerprint::new("class");
        hash.word(self.direction as u64);
        hash.word(self.family as u64);
        for rule in &self.rules {
            rule.hash(&mut hash, atoms);
        }
        hash.finish()
    }
}
