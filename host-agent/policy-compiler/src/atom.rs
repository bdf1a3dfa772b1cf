//! Atoms: the smallest questions that a class asks about the remote end.

use std::collections::BTreeSet;
use std::fmt;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;
use policy_model::IpSetId;

use crate::fingerprint::Fingerprint;
use crate::slab::{NONE, Slab};

/// "Is the remote end in …"
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum AtomKey {
    /// A set of addresses and CIDRs.
    Set(IpSetId),
    /// A net written into a rule.
    Net(IpNet),
    /// A set of (address, protocol, port).
    Ports(IpSetId),
    /// A set of addresses and CIDRs as it is after the change under way ([`crate::ahead`]).
    NextSet(IpSetId),
    /// The same of a set of (address, protocol, port).
    NextPorts(IpSetId),
}

impl fmt::Display for AtomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(id) => write!(f, "set {id}"),
            Self::Net(net) => write!(f, "net {net}"),
            Self::Ports(id) => write!(f, "ports {id}"),
            Self::NextSet(id) => write!(f, "next set {id}"),
            Self::NextPorts(id) => write!(f, "next ports {id}"),
        }
    }
}

impl AtomKey {
    fn hash(&self) -> u128 {
        let mut hash;
        match self {
            Self::Set(id) => {
                hash = Fingerprint::new("set");
                hash.text(id.as_str());
            }
            Self::Net(net) => {
                hash = Fingerprint::new("net");
                match net {
                    IpNet::V4(net) => hash.word(u64::from(u32::from(net.addr()))),
                    IpNet::V6(net) => hash.wide(u128::from(net.addr())),
                }
                hash.word(u64::from(net.prefix_len()));
            }
            Self::Ports(id) => {
                hash = Fingerprint::new("ports");
                hash.text(id.as_str());
            }
            Self::NextSet(id) => {
                hash = Fingerprint::new("next set");
                hash.text(id.as_str());
            }
            Self::NextPorts(id) => {
                hash = Fingerprint::new("next ports");
                hash.text(id.as_str());
            }
        }
        hash.finish()
    }
}

/// An atom of one family.
#[derive(Clone, Debug)]
pub(crate) struct Atom {
    /// The question.
    pub key: AtomKey,
    /// Hash of the question.
    pub word: u128,
    /// Classes that ask it, those that are about to be used included.
    pub users: u32,
    /// Its members are in the planes.
    pub loaded: bool,
    /// Classes that have rows for the labels with this atom; sorted.
    pub classes: Vec<u32>,
    /// Labels with this atom.
    pub labels: BTreeSet<u32>,
    /// CIDRs that are members themselves.
    pub nets: BTreeSet<(u128, u8)>,
}

impl Default for Atom {
    fn default() -> Self {
        Self {
            key: AtomKey::Set(IpSetId::from("")),
            word: 0,
            users: 0,
            loaded: false,
            classes: Vec::new(),
            labels: BTreeSet::new(),
            nets: BTreeSet::new(),
        }
    }
}

/// All atoms of one family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Atoms {
    pub all: Slab<Atom>,
    by_key: HashMap<AtomKey, u32, FixedState>,
    /// Made since the last commit ended.
    pub fresh: Vec<u32>,
}

impl Atoms {
    /// The number of an atom.
    pub(crate) fn intern(&mut self, key: AtomKey) -> u32 {
        if let Some(index) = self.by_key.get(&key) {
            return *index;
        }
        let index = self.all.insert(Atom {
            word: key.hash(),
            key: key.clone(),
            ..Atom::default()
        });
        self.by_key.insert(key, index);
        self.fresh.push(index);
        index
    }

    /// The number of an atom that is known.
    pub(crate) fn find(&self, key: &AtomKey) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// Forgets an atom that nothing asks.
    pub(crate) fn forget(&mut self, index: u32) {
        debug_assert!(self.all[index].labels.is_empty(), "forgotten while in use");
        if let Some(atom) = self.all.remove(index) {
            self.by_key.remove(&atom.key);
        }
    }

    /// Order-free hash of several atoms.
    pub(crate) fn mix(&self, atoms: impl IntoIterator<Item = u32>) -> u128 {
        atoms
            .into_iter()
            .fold(0, |mix, atom| mix ^ self.all[atom].word)
    }

    /// Classes that have rows for a label with these atoms; sorted, each once.
    pub(crate) fn classes_of(&self, atoms: &[u32]) -> Vec<u32> {
        let mut classes: Vec<u32> = atoms
            .iter()
            .flat_map(|atom| &self.all[*atom].classes)
            .copied()
            .collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// Whether the atom is about a port too.
    pub(crate) fn is_ports(&self, index: u32) -> bool {
        index != NONE
            && matches!(
                self.all[index].key,
                AtomKey::Ports(_) | AtomKey::NextPorts(_)
            )
    }
}
