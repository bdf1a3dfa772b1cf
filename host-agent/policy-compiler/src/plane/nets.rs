//! CIDRs: each has a label with everything that enclosing CIDRs have.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::{Edits, NetNode, Plane, Touch, edited};
use crate::journal::Journal;
use crate::label::Key;
use crate::nets::{last, mask, width};
use crate::slab::NONE;

impl Plane {
    /// Label of the longest net that holds an address.
    pub(super) fn net_label(&self, addr: u128) -> u32 {
        self.enclosing(addr, width(self.family) + 1)
            .map_or(NONE, |node| node.label)
    }

    /// The longest net shorter than `below` that holds an address.
    fn enclosing(&self, addr: u128, below: u8) -> Option<&NetNode> {
        (0..below).rev().find_map(|len| {
            if self.lengths[usize::from(len)] == 0 {
                return None;
            }
            self.nets.get(&(addr & mask(self.family, len), len))
        })
    }

    /// Label of the longest net that held an address at the start of this stage.
    pub(super) fn net_label_before(&self, addr: u128) -> u32 {
        let started = &self.transaction.stage_nets;
        let lengths = (0..=width(self.family)).rev();
        lengths
            .map(|len| (addr & mask(self.family, len), len))
            .find_map(|net| match started.get(&net) {
                Some(&label) => (label != NONE).then_some(label),
                None => self.nets.get(&net).map(|node| node.label),
            })
            .unwrap_or(NONE)
    }

    /// Members that come, in the wide stage, or go, in the narrow one: never both in one stage, so
    /// that an address stays in a set whose wide net makes place for a narrow one.
    pub(crate) fn edit_nets(&mut self, edits: BTreeMap<(u128, u8), Edits>, journal: &mut Journal) {
        let mut changed: Vec<(u128, u8)> = Vec::new();
        for (net, edits) in edits {
            let old = self.nets.get(&net).map(|node| node.own.clone());
            let own = edited(old.as_deref().unwrap_or_default(), edits);
            if own.as_slice() == old.as_deref().unwrap_or_default() {
                continue;
            }
            self.transaction.nets_before.entry(net).or_insert(old);
            self.set_own(net, SmallVec::from_slice(&own));
            changed.push(net);
        }
        self.relabel(changed, journal);
    }

    /// All edits that take unloaded atoms out of the nets.
    pub(crate) fn unloading(&self, unloaded: &[u32], edits: &mut BTreeMap<(u128, u8), Edits>) {
        for atom in unloaded {
            for net in &self.atoms.all[*atom].nets {
                super::note(edits.entry(*net).or_default(), *atom, false);
            }
        }
    }

    /// Sets what names a net; its label follows in [`Plane::relabel`].
    pub(super) fn set_own(&mut self, net: (u128, u8), own: SmallVec<[u32; 4]>) {
        let (label, old) = self.nets.get(&net).map_or_else(
            || (NONE, SmallVec::new()),
            |node| (node.label, node.own.clone()),
        );
        for atom in &old {
            self.atoms.all[*atom].nets.remove(&net);
        }
        for atom in &own {
            self.atoms.all[*atom].nets.insert(net);
        }
        let length = &mut self.lengths[usize::from(net.1)];
        if own.is_empty() {
            if !old.is_empty() {
                *length -= 1;
            }
            if label != NONE {
                self.touch_net(net, label);
                self.unuse(label);
            }
            self.nets.remove(&net);
        } else {
            if old.is_empty() {
                *length += 1;
            }
            self.nets.insert(net, NetNode { own, label });
        }
    }

    fn touch_net(&mut self, net: (u128, u8), before: u32) {
        self.transaction.stage_nets.entry(net).or_insert(before);
        self.transaction.nets.entry(net).or_insert(Touch {
            before,
            wide: before,
        });
    }

    fn unuse(&mut self, label: u32) {
        let label_entry = &mut self.labels.all[label];
        label_entry.nets = label_entry.nets.saturating_sub(1);
        if label_entry.nets == 0 {
            self.transaction.idle_labels.insert(label);
        }
    }

    /// Works out labels at and below changed nets, and tells the carriers inside.
    pub(super) fn relabel(&mut self, mut changed: Vec<(u128, u8)>, journal: &mut Journal) {
        changed.sort_unstable();
        let mut done: Option<u128> = None;
        for (first, len) in changed {
            let end = last(self.family, first, len);
            // Sorted by first address and then by length, an enclosing net comes before.
            if done.is_some_and(|done| end <= done) {
                continue;
            }
            done = Some(end);
            self.relabel_below(first, len, end, journal);
            self.retell_carriers(first, end, journal);
        }
    }

    fn relabel_below(&mut self, first: u128, len: u8, end: u128, journal: &mut Journal) {
        let above: SmallVec<[u32; 16]> = self
            .enclosing(first, len)
            .map(|node| SmallVec::from_slice(self.labels.atoms(node.label)))
            .unwrap_or_default();
        let mut open: Vec<(u128, SmallVec<[u32; 16]>)> = vec![(u128::MAX, above)];
        let nets: Vec<(_, SmallVec<[u32; 4]>)> = self
            .nets
            .range((first, len)..=(end, u8::MAX))
            .map(|(net, node)| (*net, node.own.clone()))
            .collect();
        for (net, own) in nets {
            while open.len() > 1 && open.last().is_some_and(|(end, _)| *end < net.0) {
                open.pop();
            }
            let above = open.last().map_or(&[][..], |(_, above)| above);
            let all = edited(above, own.iter().map(|atom| (*atom, true)));
            let label = self.labels.intern(&all, &mut self.atoms);
            self.set_net_label(net, label, journal);
            open.push((last(self.family, net.0, net.1), all));
        }
    }

    fn set_net_label(&mut self, net: (u128, u8), label: u32, journal: &mut Journal) {
        let Some(node) = self.nets.get_mut(&net) else {
            return;
        };
        let before = std::mem::replace(&mut node.label, label);
        if before == label {
            return;
        }
        self.touch_net(net, before);
        self.use_on_nets(label, journal);
        self.labels.all[label].nets += 1;
        if before != NONE {
            self.unuse(before);
        }
    }

    fn retell_carriers(&mut self, first: u128, end: u128, journal: &mut Journal) {
        let carriers: Vec<(Key, u32, u32)> = self
            .hosts
            .range(Key::host(first)..=Key::last(end))
            .map(|(key, carrier)| (*key, carrier.label, carrier.net))
            .collect();
        for (key, label, before) in carriers {
            let net = self.net_label(key.addr());
            if net == before {
                continue;
            }
            self.add_pair(label, net, true, journal);
            self.drop_pair(label, before);
            if let Some(carrier) = self.hosts.get_mut(&key) {
                carrier.net = net;
            }
        }
    }
}
