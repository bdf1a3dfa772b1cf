//! From changed members to edits of addresses and nets.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use policy_model::{ChangeSet, IpSet, IpSetId, Member, Members, PolicyModel};

use crate::atom::AtomKey;
use crate::label::Key;
use crate::nets::{family_of, family_of_addr, is_host, number, prefix};
use crate::plane::{Edits, HostEdit, Plane, note};

/// Edits of one family.
#[derive(Debug, Default)]
pub(super) struct MemberEdits {
    /// At addresses and their ports; sorted, each atom of a carrier once.
    pub hosts: Vec<HostEdit>,
    /// The same for atoms that are unloaded.
    pub unloaded_hosts: Vec<HostEdit>,
    /// At nets, what comes.
    pub net_gains: BTreeMap<(u128, u8), Edits>,
    /// At nets, what goes.
    pub net_losses: BTreeMap<(u128, u8), Edits>,
}

impl Plane {
    /// All members of the atoms that are loaded now, what changed at those that stay, and all
    /// members that hosts have of atoms that are unloaded. Changes of the sets in `held` wait.
    pub(super) fn member_edits(
        &self,
        model: &PolicyModel,
        changes: &ChangeSet,
        (load, unload): (&[u32], &[u32]),
        held: &BTreeSet<IpSetId>,
        everything: bool,
    ) -> MemberEdits {
        let mut edits = MemberEdits::default();
        // In one piece: of a large cluster there are millions.
        edits
            .hosts
            .reserve_exact(self.edit_count(model, changes, load));
        for atom in load {
            self.all_members(model, *atom, &mut edits);
        }
        // All lists are sorted.
        let stays = |atom: &u32| {
            self.atoms.all[*atom].loaded
                && load.binary_search(atom).is_err()
                && unload.binary_search(atom).is_err()
        };
        if everything {
            for (atom, entry) in self.atoms.all.iter().filter(|(atom, _)| stays(atom)) {
                for net in &entry.nets {
                    note(edits.net_losses.entry(*net).or_default(), atom, false);
                }
            }
            for (key, atom) in self.host_atoms() {
                let list = if unload.binary_search(&atom).is_ok() {
                    &mut edits.unloaded_hosts
                } else {
                    &mut edits.hosts
                };
                list.push(HostEdit::new(key, atom, false));
            }
            for (atom, _) in self.atoms.all.iter().filter(|(atom, _)| stays(atom)) {
                self.all_members(model, atom, &mut edits);
            }
        } else {
            for atom in unload {
                self.old_hosts(model, changes, *atom, &mut edits.unloaded_hosts);
            }
            for (id, members) in &changes.members {
                if held.contains(id) {
                    continue;
                }
                let set = model.ip_set(id);
                for key in [AtomKey::Set(id.clone()), AtomKey::Ports(id.clone())] {
                    let Some(atom) = self.atoms.find(&key).filter(stays) else {
                        continue;
                    };
                    for member in members.iter() {
                        let present = set.is_some_and(|set| set.members.contains(&member));
                        self.member(atom, &key, &member, present, &mut edits);
                    }
                }
            }
        }
        edits.hosts.sort_unstable();
        if everything {
            edits.hosts = settled(&edits.hosts);
        }
        edits
    }

    /// How many edits there will be at the most, unless everything is looked at.
    fn edit_count(&self, model: &PolicyModel, changes: &ChangeSet, load: &[u32]) -> usize {
        let of_atom = |atom: &u32| match &self.atoms.all[*atom].key {
            AtomKey::Set(id)
            | AtomKey::Ports(id)
            | AtomKey::NextSet(id)
            | AtomKey::NextPorts(id) => model.ip_set(id).map_or(0, |set| set.members.len()),
            AtomKey::Net(_) => 1,
        };
        let loaded = load.iter().map(of_atom).sum::<usize>();
        let known = |id: &IpSetId| {
            let keys = [AtomKey::Set(id.clone()), AtomKey::Ports(id.clone())];
            let mut atoms = keys.iter().filter_map(|key| self.atoms.find(key));
            atoms.any(|atom| load.binary_search(&atom).is_err())
        };
        let changed = changes.members.iter().filter(|(id, _)| known(id));
        loaded + changed.map(|(_, members)| members.len()).sum::<usize>()
    }

    /// Hosts that were members of an atom when the last commit ended.
    fn old_hosts(
        &self,
        model: &PolicyModel,
        changes: &ChangeSet,
        atom: u32,
        out: &mut Vec<HostEdit>,
    ) {
        let key = &self.atoms.all[atom].key;
        let mut old = MemberEdits::default();
        match key {
            AtomKey::Set(id)
            | AtomKey::Ports(id)
            | AtomKey::NextSet(id)
            | AtomKey::NextPorts(id) => {
                let now = model.ip_set(id).map(|set| &set.members);
                let changed = changes.members.get(id);
                let stayed = |member: &Member| !changed.is_some_and(|all| all.contains(member));
                let gone = |member: &Member| !now.is_some_and(|all| all.contains(member));
                let there = now.into_iter().flat_map(Members::iter).filter(stayed);
                let lost = changed.into_iter().flat_map(Members::iter).filter(gone);
                for member in there.chain(lost) {
                    self.member(atom, key, &member, false, &mut old);
                }
            }
            AtomKey::Net(net) => self.net(atom, net, false, &mut old),
        }
        out.append(&mut old.hosts);
    }

    fn all_members(&self, model: &PolicyModel, atom: u32, edits: &mut MemberEdits) {
        let key = &self.atoms.all[atom].key;
        let members = |set: Option<&IpSet>, edits: &mut MemberEdits| {
            for member in set.into_iter().flat_map(|set| set.members.iter()) {
                self.member(atom, key, &member, true, edits);
            }
        };
        match key {
            AtomKey::Set(id)
            | AtomKey::Ports(id)
            | AtomKey::NextSet(id)
            | AtomKey::NextPorts(id) => members(model.ip_set(id), edits),
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
            (AtomKey::Set(_) | AtomKey::NextSet(_) | AtomKey::Net(_), Member::Net(net)) => {
                self.net(atom, net, present, edits);
            }
            (
                AtomKey::Ports(_) | AtomKey::NextPorts(_),
                Member::Port {
                    addr,
                    protocol,
                    port,
                },
            ) => {
                // No port criterion holds for another protocol.
                if protocol.has_ports() && family_of_addr(addr) == self.family {
                    let key = Key::port(number(*addr), protocol.0, *port);
                    edits.hosts.push(HostEdit::new(key, atom, present));
                }
            }
            (AtomKey::Set(_) | AtomKey::NextSet(_) | AtomKey::Net(_), Member::Port { .. })
            | (AtomKey::Ports(_) | AtomKey::NextPorts(_), Member::Net(_)) => {}
        }
    }

    fn net(&self, atom: u32, net: &IpNet, present: bool, edits: &mut MemberEdits) {
        if family_of(net) != self.family {
            return;
        }
        if is_host(net) {
            let key = Key::host(number(net.addr()));
            edits.hosts.push(HostEdit::new(key, atom, present));
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

/// Sorted edits without those that take back what another one says: looking at everything first
/// notes all that is there as gone.
fn settled(edits: &[HostEdit]) -> Vec<HostEdit> {
    let same = |a: &HostEdit, b: &HostEdit| a.key == b.key && a.atom() == b.atom();
    let alone = edits.chunk_by(same).filter(|edits| edits.len() == 1);
    alone.flatten().copied().collect()
}
