//! Carriers of labels in the host plane: addresses, and ports of addresses.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::{Carrier, HostEdit, Plane, edited};
use crate::journal::Journal;
use crate::label::Key;
use crate::slab::NONE;

impl Plane {
    /// Members of sets that come and go at hosts, sorted. An address that only loses waits for the
    /// narrow stage, so that it can never be out of a set that it is in before and after; one that
    /// also gains (another pod has it now) changes in one write.
    pub(crate) fn widen_hosts(&mut self, edits: &[HostEdit], journal: &mut Journal) {
        for of_address in by_address(edits) {
            if of_address.iter().any(|edit| edit.comes()) {
                self.edit_address(of_address, journal);
            } else {
                self.transaction.waiting.extend_from_slice(of_address);
            }
        }
    }

    /// Removals that waited, and atoms that go altogether.
    pub(crate) fn narrow_hosts(&mut self, unloaded: Vec<HostEdit>, journal: &mut Journal) {
        let mut edits = std::mem::take(&mut self.transaction.waiting);
        if !unloaded.is_empty() {
            edits.extend(unloaded);
            edits.sort_unstable();
        }
        for of_address in by_address(&edits) {
            self.edit_address(of_address, journal);
        }
    }

    /// Applies edits at one address: a host's own to the host, those of a port to the port, whose
    /// label holds the host's atoms as well because it stands in for the host's.
    fn edit_address(&mut self, edits: &[HostEdit], journal: &mut Journal) {
        let Some(addr) = edits.first().map(|edit| edit.key.addr()) else {
            return;
        };
        let mut by_key = edits.chunk_by(|a, b| a.key == b.key).peekable();
        let mut moved = false;
        let host = Key::host(addr);
        if let Some(own) = by_key.next_if(|own| own.iter().all(|edit| edit.key == host)) {
            let old = self.hosts.get(&host).copied();
            let atoms = old.map_or(&[][..], |old| self.labels.atoms(old.label));
            let vector = edited(atoms, changes(own));
            moved = vector.as_slice() != atoms;
            if moved {
                let label = self.labels.intern(&vector, &mut self.atoms);
                self.move_carrier(host, old, label, journal);
            }
        }
        let mut ports: BTreeMap<Key, &[HostEdit]> = BTreeMap::new();
        if moved && self.ports > 0 {
            let there = self.hosts.range(Key::port(addr, 0, 0)..=Key::last(addr));
            ports.extend(there.map(|(key, _)| (*key, &[][..])));
        }
        ports.extend(by_key.filter_map(|own| Some((own.first()?.key, own))));
        for (key, own) in ports {
            self.edit_port(key, own, journal);
        }
    }

    fn edit_port(&mut self, key: Key, edits: &[HostEdit], journal: &mut Journal) {
        let own: SmallVec<[u32; 16]> = self
            .vector(key)
            .iter()
            .copied()
            .filter(|atom| self.atoms.is_ports(*atom))
            .collect();
        let mut vector = edited(&own, changes(edits));
        if !vector.is_empty() {
            let host = self.vector(Key::host(key.addr()));
            vector = edited(&vector, host.iter().map(|atom| (*atom, true)));
        }
        let label = self.labels.intern(&vector, &mut self.atoms);
        self.set_label(key, label, journal);
    }

    fn vector(&self, key: Key) -> &[u32] {
        self.hosts
            .get(&key)
            .map_or(&[], |carrier| self.labels.atoms(carrier.label))
    }

    /// Gives a carrier its label.
    pub(super) fn set_label(&mut self, key: Key, label: u32, journal: &mut Journal) {
        let old = self.hosts.get(&key).copied();
        self.move_carrier(key, old, label, journal);
    }

    fn move_carrier(&mut self, key: Key, old: Option<Carrier>, label: u32, journal: &mut Journal) {
        let before = old.map_or(NONE, |carrier| carrier.label);
        if before == label {
            return;
        }
        self.transaction.hosts.push((key, before));
        let net = old.map_or_else(|| self.net_label(key.addr()), |carrier| carrier.net);
        if let Some(old) = old {
            self.drop_pair(old.label, net);
            let carriers = &mut self.labels.all[old.label].hosts;
            *carriers = carriers.saturating_sub(1);
            if *carriers == 0 {
                self.transaction.idle_labels.insert(old.label);
            }
        }
        let is_port = usize::from(key.service().is_some());
        if label == NONE {
            self.hosts.remove(&key);
            self.ports -= is_port;
            return;
        }
        self.use_on_hosts(label, journal);
        self.labels.all[label].hosts += 1;
        self.hosts.insert(key, Carrier { label, net });
        if old.is_none() {
            self.ports += is_port;
        }
        self.add_pair(label, net, true, journal);
        // Host and net rows of one stage are written in any order.
        if !self.transaction.stage_nets.is_empty() {
            let before = self.net_label_before(key.addr());
            if before != net {
                self.add_pair(label, before, false, journal);
            }
        }
    }
}

/// Sorted edits in pieces of one address each.
fn by_address(edits: &[HostEdit]) -> impl Iterator<Item = &[HostEdit]> {
    edits.chunk_by(|a, b| a.key.addr() == b.key.addr())
}

fn changes(edits: &[HostEdit]) -> impl Iterator<Item = (u32, bool)> {
    edits.iter().map(|edit| (edit.atom(), edit.comes()))
}
