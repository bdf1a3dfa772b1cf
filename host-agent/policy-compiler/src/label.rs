//! Labels: interned vectors of the atoms that hold for an address.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::atom::Atoms;
use crate::fingerprint::{Fingerprint, IdSpace};
use crate::slab::{NONE, Slab};

/// What carries a label in the host plane: an address, or one port of an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    /// Address as a number.
    pub addr: u128,
    /// 0 for the address itself, else `1 << 24 | protocol << 16 | port`.
    place: u32,
}

impl Key {
    /// An address.
    pub(crate) const fn host(addr: u128) -> Self {
        Self { addr, place: 0 }
    }

    /// A port of an address.
    pub(crate) const fn port(addr: u128, protocol: u8, port: u16) -> Self {
        let place = 1 << 24 | (protocol as u32) << 16 | port as u32;
        Self { addr, place }
    }

    /// The last one of an address.
    pub(crate) const fn last(addr: u128) -> Self {
        let place = u32::MAX;
        Self { addr, place }
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
    /// Carriers in the host plane.
    pub hosts: Vec<Key>,
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
    by_atoms: HashMap<Box<[u32]>, u32, FixedState>,
    ids: IdSpace,
}

impl Labels {
    /// The label of a vector, [`NONE`] for the empty one.
    pub(crate) fn intern(&mut self, vector: &[u32], atoms: &mut Atoms) -> u32 {
        if vector.is_empty() {
            return NONE;
        }
        if let Some(index) = self.by_atoms.get(vector) {
            return *index;
        }
        let mut hash = Fingerprint::new("label");
        hash.wide(atoms.mix(vector.iter().copied()));
        let vector: Box<[u32]> = vector.into();
        let index = self.all.insert(Label {
            id: self.ids.take(hash.finish()),
            atoms: vector.clone(),
            ..Label::default()
        });
        for atom in &vector {
            atoms.all[*atom].labels.insert(index);
        }
        self.by_atoms.insert(vector, index);
        index
    }

    /// Forgets a label that nothing carries.
    pub(crate) fn forget(&mut self, index: u32, atoms: &mut Atoms) {
        if let Some(label) = self.all.remove(index) {
            for atom in &label.atoms {
                atoms.all[*atom].labels.remove(&index);
            }
            self.by_atoms.remove(&label.atoms);
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
