//! From changed members to edits of addresses and nets.

use std::collections::BTreeMap;

use ipnet::IpNet;
use policy_model::{ChangeSet, IpSet, Member, PolicyModel};

use crate::atom::AtomKey;
use crate::label::Key;
use crate::nets::{family_of, family_of_addr, is_host, number, prefix};
use crate::plane::{Edits, Plane, note};

/// Edits of one family.
#[derive(Debug, Default)]
pub(super) struct MemberEdits {
    /// At addresses and their ports.
    pub hosts: BTreeMap<Key, Edits>,
    /// At nets, what comes.
    pub net_gains: BTreeMap<(u128, u8), Edits>,
    /// At nets, what goes.
    pub net_losses: BTreeMap<(u128, u8), Edits>,
}

impl Plane {
    /// All members of the atoms that are loaded now, and what changed at those that stay.
    pub(super) fn member_edits(
        &self,
        model: &PolicyModel,
        changes: &ChangeSet,
        (load, unload): (&[u32], &[u32]),
        everything: bool,
    ) -> MemberEdits {
        let mut edits = MemberEdits::default();
        for atom in load {
            self.all_members(model, *atom, &mut edits);
        }
        let stays = |atom: &u32| {
            // Both lists are sorted.
            self.atoms.all[*atom].loaded
                && load.binary_search(atom).is_err()
                && unload.binary_search(atom).is_err()
        };
        if everything {
            for (atom, entry) in self.atoms.all.iter().filter(|(atom, _)| stays(atom)) {
                for net in &entry.nets {
                    note(edits.net_losses.entry(*net).or_default(), atom, false);
                }
                for label in &entry.labels {
                    for key in &self.labels.all[*label].hosts {
                        if key.service().is_some() == self.atoms.is_ports(atom) {
                            note(edits.hosts.entry(*key).or_default(), atom, false);
                        }
                    }
                }
                self.all_members(model, atom, &mut edits);
            }
            return edits;
        }
        for (id, members) in &changes.members {
            let set = model.ip_set(id);
            for key in [AtomKey::Set(id.clone()), AtomKey::Ports(id.clone())] {
                let Some(atom) = self.atoms.find(&key).filter(stays) else {
                    continue;
                };
                for member in members.iter() {
                    let present = set.is_some_and(|set| set.members.contains(member));
                    self.member(atom, &key, member, present, &mut edits);
                }
            }
        }
        edits
    }

    fn all_members(&self, model: &PolicyModel, atom: u32, edits: &mut MemberEdits) {
        let key = &self.atoms.all[atom].key;
        let members = |set: Option<&IpSet>, edits: &mut MemberEdits| {
            for member in set.into_iter().flat_map(|set| set.members.iter()) {
                self.member(atom, key, member, true, edits);
            }
        };
        match key {
            AtomKey::Set(id) | AtomKey::Ports(id) => members(model.ip_set(id), edits),
            AtomKey::Net(net) => self.net(atom, net, true, edits),
        }
    }

    /// Notes one member, if it is of this family and of the atom's shape.
    fn member(
        &self,
        atom: u32,
        key: &AtomKey,
        member: &Member,
        present: bool,
        edits: &mut MemberEdits,
    ) {
        match (key, member) {
            (AtomKey::Set(_) | AtomKey::Net(_), Member::Net(net)) => {
                self.net(atom, net, present, edits);
            }
            (
                AtomKey::Ports(_),
                Member::Port {
                    addr,
                    protocol,
                    port,
                },
            ) => {
                // No port criterion holds for another protocol.
                if protocol.has_ports() && family_of_addr(addr) == self.family {
                    let key = Key::port(number(*addr), protocol.0, *port);
                    note(edits.hosts.entry(key).or_default(), atom, present);
                }
            }
            (AtomKey::Set(_) | AtomKey::Net(_), Member::Port { .. })
            | (AtomKey::Ports(_), Member::Net(_)) => {}
        }
    }

    fn net(&self, atom: u32, net: &IpNet, present: bool, edits: &mut MemberEdits) {
        if family_of(net) != self.family {
            return;
        }
        if is_host(net) {
            let key = Key::host(number(net.addr()));
            note(edits.hosts.entry(key).or_default(), atom, present);
            return;
        }
        let net = prefix(net);
        if present {
            note(edits.net_gains.entry(net).or_default(), atom, true);
            // Looking at everything first notes all that is there as gone.
            if let Some(losses) = edits.net_losses.get_mut(&net) {
                losses.retain(|(there, _)| *there != atom);
            }
        } else {
            note(edits.net_losses.entry(net).or_default(), atom, false);
        }
    }
}
