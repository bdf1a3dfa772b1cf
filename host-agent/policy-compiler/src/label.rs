//! Labels: interned vectors of the atoms that hold for an address.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::atom::Atoms;
use crate::fingerprint::{Fingerprint, IdSpace};
use crate::slab::{NONE, Slab};

/// Hash of a label's atoms; only tables in memory see it.
const HASH: FixedState = FixedState::with_seed(0);

/// What carries a label in the host plane: an address, or one port of an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    /// Address as a number, from its high end: there are as many keys as addresses, and a `u128`
    /// would pad each of them.
    addr: [u32; 4],
    /// 0 for the address itself, else `1 << 24 | protocol << 16 | port`.
    place: u32,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |key: &Self| (key.addr(), key.place);
        number(self).cmp(&number(other))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Key {
    /// An address.
    pub(crate) const fn host(addr: u128) -> Self {
        Self::new(addr, 0)
    }

    /// A port of an address.
    pub(crate) const fn port(addr: u128, protocol: u8, port: u16) -> Self {
        Self::new(addr, 1 << 24 | (protocol as u32) << 16 | port as u32)
    }

    /// The last one of an address.
    pub(crate) const fn last(addr: u128) -> Self {
        Self::new(addr, u32::MAX)
    }

    const fn new(addr: u128, place: u32) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = addr.to_be_bytes();
        let addr = [
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
            u32::from_be_bytes([i, j, k, l]),
            u32::from_be_bytes([m, n, o, p]),
        ];
        Self { addr, place }
    }

    /// The address as a number.
    pub(crate) const fn addr(self) -> u128 {
        let [a, b, c, d] = self.addr;
        (a as u128) << 96 | (b as u128) << 64 | (c as u128) << 32 | d as u128
    }

    /// Protocol and port, if it is about one.
    pub(crate) fn service(self) -> Option<(u8, u16)> {
        let [flag, protocol, high, low] = self.place.to_be_bytes();
        (flag != 0).then(|| (protocol, u16::from_be_bytes([high, low])))
    }
}

/// A label.
#[derive(Clone, Debug, Default)]
pub(crate) struct Label {
    /// Content id.
    pub id: u32,
    /// Atoms that hold; sorted, never empty.
    pub atoms: Box<[u32]>,
    /// How many hosts and ports of hosts carry it.
    pub hosts: u32,
    /// How many nets carry it.
    pub nets: u32,
    /// Classes have rows for it in `acl_host_group`.
    pub host_rows: bool,
    /// Classes have rows for it in `acl_net_group`.
    pub net_rows: bool,
    /// Labels of nets that hold carriers of this one, and how many carriers.
    pub partners: BTreeMap<u32, u32>,
}

/// All labels of one family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    pub all: Slab<Label>,
    /// By their atoms, which stay where they are.
    by_atoms: HashTable<u32>,
    ids: IdSpace,
}

impl Labels {
    /// The label of a vector, [`NONE`] for the empty one.
    pub(crate) fn intern(&mut self, vector: &[u32], atoms: &mut Atoms) -> u32 {
        if vector.is_empty() {
            return NONE;
        }
        let place = HASH.hash_one(vector);
        let same = |index: &u32| *self.all[*index].atoms == *vector;
        if let Some(index) = self.by_atoms.find(place, same) {
            return *index;
        }
        let mut hash = Fingerprint::new("label");
        hash.wide(atoms.mix(vector.iter().copied()));
        let index = self.all.insert(Label {
            id: self.ids.take(hash.finish()),
            atoms: vector.into(),
            ..Label::default()
        });
        for atom in vector {
            atoms.all[*atom].labels.insert(index);
        }
        let all = &self.all;
        self.by_atoms
            .insert_unique(place, index, |index| HASH.hash_one(&*all[*index].atoms));
        index
    }

    /// Forgets a label that nothing carries.
    pub(crate) fn forget(&mut self, index: u32, atoms: &mut Atoms) {
        if let Some(label) = self.all.remove(index) {
            for atom in &label.atoms {
                atoms.all[*atom].labels.remove(&index);
            }
            let place = HASH.hash_one(&*label.atoms);
            if let Ok(entry) = self.by_atoms.find_entry(place, |there| *there == index) {
                entry.remove();
            }
            self.ids.give(label.id);
        }
    }

    /// The vector of a label.
    pub(crate) fn atoms(&self, index: u32) -> &[u32] {
        if index == NONE {
            &[]
        } else {
            &self.all[index].atoms
        }
    }
}
