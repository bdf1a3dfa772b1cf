//! The end of a commit: either what nothing uses any more goes, or everything is as it was.

use super::{Plane, Transaction};
use crate::journal::Journal;
use crate::shared::Shared;
use crate::slab::NONE;

impl Plane {
    /// Drops what nothing uses any more; its rows go last.
    pub(crate) fn finish(&mut self, unloaded: &[u32], shared: &mut Shared, journal: &mut Journal) {
        for atom in unloaded {
            self.atoms.all[*atom].loaded = false;
            self.transaction.idle_atoms.insert(*atom);
        }
        self.bury(shared, journal);
        self.collect(journal);
        self.transaction = Transaction::default();
    }

    /// Undoes everything that this commit did. The endpoints' legs must have been counted back.
    pub(crate) fn undo(&mut self, loaded: &[u32], shared: &mut Shared) {
        // Rows that came are not told to anyone, and those that go never went.
        let mut unheard = Journal::default();
        self.swap_fates();
        self.transaction.stage_nets.clear();
        let nets = std::mem::take(&mut self.transaction.nets_before);
        let mut changed = Vec::with_capacity(nets.len());
        for (net, own) in nets {
            self.set_own(net, own.unwrap_or_default());
            changed.push(net);
        }
        self.relabel(changed, &mut unheard);
        let narrow = std::mem::take(&mut self.transaction.hosts);
        let wide = std::mem::take(&mut self.transaction.wide_hosts);
        for (key, before) in narrow.into_iter().chain(wide) {
            self.set_label(key, before, &mut unheard);
        }
        for atom in loaded {
            self.atoms.all[*atom].loaded = false;
            self.transaction.idle_atoms.insert(*atom);
        }
        self.bury(shared, &mut unheard);
        self.collect(&mut unheard);
        self.transaction = Transaction::default();
    }

    fn collect(&mut self, journal: &mut Journal) {
        for (host, net) in std::mem::take(&mut self.transaction.idle_pairs) {
            let label = &mut self.labels.all[host];
            if label.partners.get(&net) != Some(&0) {
                continue;
            }
            label.partners.remove(&net);
            for class in self.atoms.classes_of(&self.labels.all[host].atoms) {
                self.classes[class].drop_pair(host, net, journal);
            }
        }
        for index in std::mem::take(&mut self.transaction.idle_labels) {
            if index == NONE || !self.labels.all.has(index) {
                continue;
            }
            let label = &mut self.labels.all[index];
            let hosts_left = label.host_rows && label.hosts == 0;
            let nets_left = label.net_rows && label.nets == 0;
            label.host_rows &= !hosts_left;
            label.net_rows &= !nets_left;
            let unused = label.hosts == 0 && label.nets == 0;
            let label = &self.labels.all[index];
            for class in self.atoms.classes_of(&label.atoms) {
                let class = &mut self.classes[class];
                if hosts_left {
                    class.drop_host_label(index, label.id, journal);
                }
                if nets_left {
                    class.drop_net_label(index, label.id, journal);
                }
            }
            if unused {
                self.labels.forget(index, &mut self.atoms);
            }
        }
        // Rules that turned out never to match may have asked for atoms that no class looks at.
        let fresh = std::mem::take(&mut self.atoms.fresh);
        self.transaction.idle_atoms.extend(fresh);
        for atom in std::mem::take(&mut self.transaction.idle_atoms) {
            let entry = &self.atoms.all[atom];
            if self.atoms.all.has(atom) && entry.users == 0 && !entry.loaded {
                self.atoms.forget(atom);
            }
        }
    }
}
