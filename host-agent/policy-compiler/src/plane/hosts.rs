//! Carriers of labels in the host plane: addresses, and ports of addresses.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::{Carrier, Edits, Plane, Touch, edited};
use crate::journal::Journal;
use crate::label::Key;
use crate::slab::NONE;

impl Plane {
    /// Members of sets that come and go at hosts. An address that only loses waits for the narrow
    /// stage, so that it can never be out of a set that it is in before and after; one that also
    /// gains (another pod has it now) changes in one write.
    pub(crate) fn widen_hosts(&mut self, edits: BTreeMap<Key, Edits>, journal: &mut Journal) {
        let mut now = BTreeMap::new();
        let mut group: Vec<(Key, Edits)> = Vec::new();
        let mut edits = edits.into_iter().peekable();
        while let Some(edit) = edits.next() {
            let addr = edit.0.addr;
            group.push(edit);
            if edits.peek().is_some_and(|(key, _)| key.addr == addr) {
                continue;
            }
            let gains = group.iter().flat_map(|(_, edits)| edits).any(|(_, on)| *on);
            let to = if gains {
                &mut now
            } else {
                &mut self.transaction.waiting
            };
            to.extend(group.drain(..));
        }
        self.edit_hosts(now, journal);
    }

    /// Removals that waited, and atoms that go altogether.
    pub(crate) fn narrow_hosts(&mut self, unloaded: &[u32], journal: &mut Journal) {
        let mut edits = std::mem::take(&mut self.transaction.waiting);
        let labels: BTreeSet<u32> = unloaded
            .iter()
            .flat_map(|atom| &self.atoms.all[*atom].labels)
            .copied()
            .collect();
        for label in labels {
            let label = &self.labels.all[label];
            for key in &label.hosts {
                let edits = edits.entry(*key).or_default();
                for atom in &label.atoms {
                    let mine = self.atoms.is_ports(*atom) == key.service().is_some();
                    if mine && unloaded.binary_search(atom).is_ok() {
                        super::note(edits, *atom, false);
                    }
                }
            }
        }
        self.edit_hosts(edits, journal);
    }

    /// Applies edits: a host's own to the host, those of a port to the port, whose label holds the
    /// host's atoms as well because it stands in for the host's.
    fn edit_hosts(&mut self, edits: BTreeMap<Key, Edits>, journal: &mut Journal) {
        let mut edits = edits.into_iter().peekable();
        while let Some((key, of_key)) = edits.next() {
            let addr = key.addr;
            let mut ports: BTreeMap<Key, Edits> = BTreeMap::new();
            let mut moved = false;
            if key.service().is_some() {
                ports.insert(key, of_key);
            } else {
                let vector = edited(self.vector(key), &of_key);
                moved = vector.as_slice() != self.vector(key);
                self.carry(key, &vector, journal);
            }
            while let Some((key, of_key)) = edits.next_if(|(key, _)| key.addr == addr) {
                ports.insert(key, of_key);
            }
            if moved {
                let first = Key::port(addr, 0, 0);
                for (key, _) in self.hosts.range(first..=Key::last(addr)) {
                    ports.entry(*key).or_default();
                }
            }
            for (key, of_key) in ports {
                self.edit_port(key, &of_key, journal);
            }
        }
    }

    fn edit_port(&mut self, key: Key, edits: &[(u32, bool)], journal: &mut Journal) {
        let own: SmallVec<[u32; 16]> = self
            .vector(key)
            .iter()
            .copied()
            .filter(|atom| self.atoms.is_ports(*atom))
            .collect();
        let mut vector = edited(&own, edits);
        if !vector.is_empty() {
            let host: Edits = self
                .vector(Key::host(key.addr))
                .iter()
                .map(|atom| (*atom, true))
                .collect();
            vector = edited(&vector, &host);
        }
        self.carry(key, &vector, journal);
    }

    fn vector(&self, key: Key) -> &[u32] {
        self.hosts
            .get(&key)
            .map_or(&[], |carrier| self.labels.atoms(carrier.label))
    }

    fn carry(&mut self, key: Key, vector: &[u32], journal: &mut Journal) {
        let label = self.labels.intern(vector, &mut self.atoms);
        self.set_label(key, label, journal);
    }

    /// Gives a carrier its label.
    pub(super) fn set_label(&mut self, key: Key, label: u32, journal: &mut Journal) {
        let old = self.hosts.get(&key).copied();
        let before = old.map_or(NONE, |carrier| carrier.label);
        if before == label {
            return;
        }
        self.transaction.hosts.entry(key).or_insert(Touch {
            before,
            wide: before,
        });
        let net = old.map_or_else(|| self.net_label(key.addr), |carrier| carrier.net);
        if let Some(old) = old {
            self.drop_pair(old.label, net);
            self.take_from_list(old);
        }
        if label == NONE {
            self.hosts.remove(&key);
            return;
        }
        self.use_on_hosts(label, journal);
        let list = &mut self.labels.all[label].hosts;
        let place = u32::try_from(list.len()).unwrap_or(NONE);
        list.push(key);
        self.hosts.insert(key, Carrier { label, net, place });
        self.add_pair(label, net, true, journal);
        // Host and net rows of one stage are written in any order.
        if !self.transaction.stage_nets.is_empty() {
            let before = self.net_label_before(key.addr);
            if before != net {
                self.add_pair(label, before, false, journal);
            }
        }
    }

    fn take_from_list(&mut self, carrier: Carrier) {
        let list = &mut self.labels.all[carrier.label].hosts;
        list.swap_remove(carrier.place as usize);
        if let Some(moved) = list.get(carrier.place as usize)
            && let Some(moved) = self.hosts.get_mut(moved)
        {
            moved.place = carrier.place;
        }
        if self.labels.all[carrier.label].hosts.is_empty() {
            self.transaction.idle_labels.insert(carrier.label);
        }
    }
}
