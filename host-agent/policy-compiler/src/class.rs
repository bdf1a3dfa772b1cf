//! A class: one step's program, the groups of remote addresses that it tells apart, and their rows.

mod judge;

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use table_model::Row;

use crate::atom::Atoms;
use crate::fingerprint::IdSpace;
use crate::journal::Journal;
use crate::program::Program;
use crate::rows;
use crate::slab::Slab;

pub(crate) use judge::{Judge, Ruling, dimensions};

/// Atoms of a class that hold, one bit each by their place in [`Class::atoms`].
pub(crate) type Bits = SmallVec<[u64; 2]>;

/// What a group does: for each port group, and in it for each source port group, the number of the
/// rule that decides.
pub(crate) type Cells = Box<[u32]>;

/// Number of the group of an address in no set and no net.
const GROUP_0: u32 = 0;

/// A distinct restriction of labels to the class's atoms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    pub bits: Bits,
    pub id: u32,
    /// Number of its group.
    pub group: u32,
    users: u32,
}

/// A distinct behaviour.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub cells: Cells,
    /// 0 for the behaviour of an address in no set and no net.
    pub id: u32,
    users: u32,
}

/// A label of hosts that the class sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostLabel {
    /// The label's content id.
    pub id: u32,
    /// Number of the set that it comes to.
    pub set: u32,
}

/// A pair of a host's set and a net's set that some address has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pair {
    /// Number of the group of both together.
    pub group: u32,
    users: u32,
}

/// A class and all that it owns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Class {
    /// Content id; 0 is the closed class, which is no value of this type.
    pub id: u32,
    /// Hash of the content.
    pub hash: u128,
    /// Pointers of endpoints whose chains lead here.
    pub users: u32,
    /// Content.
    pub program: Program,
    /// Atoms that the program looks at; sorted.
    pub atoms: Vec<u32>,
    /// The program made quick to judge.
    pub judge: Judge,
    /// Id in `acl_port`.
    pub ports: u32,
    /// Id in `acl_source_port`.
    pub source_ports: u32,
    /// Labels of hosts that the class sees, with the set that they come to.
    pub host_labels: BTreeMap<u32, HostLabel>,
    /// Labels of nets that the class sees.
    pub net_labels: BTreeMap<u32, u32>,
    /// Pairs of labels that the class sees both of.
    pub label_pairs: BTreeSet<(u32, u32)>,
    /// Restrictions.
    pub sets: Slab<Set>,
    /// Behaviours; number 0 is that of group 0.
    pub groups: Slab<Group>,
    /// Pairs of sets.
    pub pairs: BTreeMap<(u32, u32), Pair>,
    set_of: HashMap<Bits, u32, FixedState>,
    group_of: HashMap<Cells, u32, FixedState>,
    set_ids: IdSpace,
    group_ids: IdSpace,
}

impl Class {
    /// A class without labels. Its group 0 is there from the start.
    pub(crate) fn new(
        id: u32,
        program: Program,
        atoms: Vec<u32>,
        judge: Judge,
        (ports, source_ports): (u32, u32),
        journal: &mut Journal,
    ) -> Self {
        let mut class = Self {
            id,
            program,
            atoms,
            judge,
            ports,
            source_ports,
            ..Self::default()
        };
        let cells = class.judge.cells(&class.program, &class.bits(&[]));
        let group = class.groups.insert(Group {
            cells: cells.clone(),
            id: 0,
            users: 1,
        });
        class.group_of.insert(cells, group);
        journal.put(rows::class_default(class.id, class.usual()));
        class.group_rows(group, |row| journal.put(row));
        class
    }

    /// What becomes of an address that is in nothing, on most ports: most groups do the same there,
    /// and need no row of their own for it.
    fn usual(&self) -> Ruling {
        let cell = judge::most_frequent(&self.groups[GROUP_0].cells);
        self.judge.verdict(&self.program, cell)
    }

    fn bits(&self, atoms: &[u32]) -> Bits {
        let mut bits = Bits::from_elem(0, self.atoms.len().div_ceil(64));
        let mut mine = self.atoms.iter().enumerate().peekable();
        for atom in atoms {
            while mine.next_if(|(_, own)| *own < atom).is_some() {}
            if let Some((place, _)) = mine.next_if(|(_, own)| *own == atom) {
                bits[place / 64] |= 1 << (place % 64);
            }
        }
        bits
    }

    /// Sees a label of hosts.
    pub(crate) fn add_host_label(
        &mut self,
        label: u32,
        label_id: u32,
        label_atoms: &[u32],
        atoms: &Atoms,
        journal: &mut Journal,
    ) {
        if self.host_labels.contains_key(&label) {
            return;
        }
        let Some(set) = self.hold_set(label_atoms, atoms, journal) else {
            return;
        };
        self.host_labels
            .insert(label, HostLabel { id: label_id, set });
        if self.shows(set) {
            journal.put(self.host_row(label_id, set));
        }
    }

    /// Whether hosts of a set need a row: one that does what group 0 does needs none, unless it
    /// may meet a net.
    fn shows(&self, set: u32) -> bool {
        self.sets[set].group != GROUP_0 || !self.net_labels.is_empty()
    }

    fn host_row(&self, label_id: u32, set: u32) -> Row {
        let set = &self.sets[set];
        rows::host_group(self.id, label_id, set.id, self.groups[set.group].id)
    }

    /// Rows of hosts that nets alone make necessary.
    fn rows_for_nets(&self) -> impl Iterator<Item = Row> {
        let labels = self.host_labels.values();
        let labels = labels.filter(|label| self.sets[label.set].group == GROUP_0);
        labels.map(|label| self.host_row(label.id, label.set))
    }

    /// Sees a label of nets.
    pub(crate) fn add_net_label(
        &mut self,
        label: u32,
        label_id: u32,
        label_atoms: &[u32],
        atoms: &Atoms,
        journal: &mut Journal,
    ) {
        if self.net_labels.contains_key(&label) {
            return;
        }
        let Some(set) = self.hold_set(label_atoms, atoms, journal) else {
            return;
        };
        if self.net_labels.is_empty() {
            self.rows_for_nets().for_each(|row| journal.put(row));
        }
        self.net_labels.insert(label, set);
        let group = self.groups[self.sets[set].group].id;
        journal.put(rows::net_group(self.id, label_id, self.sets[set].id, group));
    }

    /// Sees an address with both labels.
    pub(crate) fn add_pair(&mut self, host: u32, net: u32, journal: &mut Journal) {
        let (Some(&host_set), Some(&net_set)) =
            (self.host_set(host).as_ref(), self.net_labels.get(&net))
        else {
            return;
        };
        if !self.label_pairs.insert((host, net)) {
            return;
        }
        if let Some(pair) = self.pairs.get_mut(&(host_set, net_set)) {
            pair.users += 1;
            return;
        }
        let mut bits = self.sets[host_set].bits.clone();
        for (word, more) in bits.iter_mut().zip(&self.sets[net_set].bits) {
            *word |= more;
        }
        let group = self.hold_group(&bits, journal);
        self.pairs
            .insert((host_set, net_set), Pair { group, users: 1 });
        if let Some(row) = self.pair_row(host_set, net_set, group) {
            journal.put(row);
        }
    }

    /// No address has both labels any more.
    pub(crate) fn drop_pair(&mut self, host: u32, net: u32, journal: &mut Journal) {
        if !self.label_pairs.remove(&(host, net)) {
            return;
        }
        let (Some(&host_set), Some(&net_set)) =
            (self.host_set(host).as_ref(), self.net_labels.get(&net))
        else {
            return;
        };
        let Some(pair) = self.pairs.get_mut(&(host_set, net_set)) else {
            return;
        };
        pair.users -= 1;
        if pair.users == 0 {
            let group = pair.group;
            self.pairs.remove(&(host_set, net_set));
            if let Some(row) = self.pair_row(host_set, net_set, group) {
                journal.gone(row.key);
            }
            self.release_group(group, journal);
        }
    }

    /// No host has the label any more.
    pub(crate) fn drop_host_label(&mut self, label: u32, label_id: u32, journal: &mut Journal) {
        if let Some(HostLabel { set, .. }) = self.host_labels.remove(&label) {
            if self.shows(set) {
                journal.gone(rows::host_group_key(self.id, label_id));
            }
            self.release_set(set, journal);
        }
    }

    fn host_set(&self, label: u32) -> Option<u32> {
        self.host_labels.get(&label).map(|label| label.set)
    }

    /// No net has the label any more.
    pub(crate) fn drop_net_label(&mut self, label: u32, label_id: u32, journal: &mut Journal) {
        if let Some(set) = self.net_labels.remove(&label) {
            journal.gone(rows::net_group_key(self.id, label_id));
            if self.net_labels.is_empty() {
                self.rows_for_nets().for_each(|row| journal.gone(row.key));
            }
            self.release_set(set, journal);
        }
    }

    /// The set of a label, none if the class sees nothing of it.
    fn hold_set(
        &mut self,
        label_atoms: &[u32],
        atoms: &Atoms,
        journal: &mut Journal,
    ) -> Option<u32> {
        let bits = self.bits(label_atoms);
        if bits.iter().all(|word| *word == 0) {
            return None;
        }
        if let Some(&set) = self.set_of.get(&bits) {
            self.sets[set].users += 1;
            return Some(set);
        }
        let mine = self.atoms.iter().enumerate();
        let hold = mine.filter(|(place, _)| bits[place / 64] >> (place % 64) & 1 == 1);
        let id = self.set_ids.take(atoms.mix(hold.map(|(_, atom)| *atom)));
        let group = self.hold_group(&bits, journal);
        let set = self.sets.insert(Set {
            bits: bits.clone(),
            id,
            group,
            users: 1,
        });
        self.set_of.insert(bits, set);
        Some(set)
    }

    fn release_set(&mut self, set: u32, journal: &mut Journal) {
        self.sets[set].users -= 1;
        if self.sets[set].users == 0
            && let Some(set) = self.sets.remove(set)
        {
            self.set_of.remove(&set.bits);
            self.set_ids.give(set.id);
            self.release_group(set.group, journal);
        }
    }

    fn hold_group(&mut self, bits: &Bits, journal: &mut Journal) -> u32 {
        let cells = self.judge.cells(&self.program, bits);
        if let Some(&group) = self.group_of.get(&cells) {
            self.groups[group].users += 1;
            return group;
        }
        let id = self.group_ids.take(judge::hash(&self.program, &cells));
        let group = self.groups.insert(Group {
            cells: cells.clone(),
            id,
            users: 1,
        });
        self.group_of.insert(cells, group);
        self.group_rows(group, |row| journal.put(row));
        group
    }

    fn release_group(&mut self, group: u32, journal: &mut Journal) {
        self.groups[group].users -= 1;
        if self.groups[group].users == 0 {
            self.group_rows(group, |row| journal.gone(row.key));
            if let Some(group) = self.groups.remove(group) {
                self.group_of.remove(&group.cells);
                self.group_ids.give(group.id);
            }
        }
    }

    /// The row of a pair, none if the host's own group says the same.
    fn pair_row(&self, host_set: u32, net_set: u32, group: u32) -> Option<Row> {
        let host = &self.sets[host_set];
        (host.group != group).then(|| {
            rows::pair_group(
                self.id,
                host.id,
                self.sets[net_set].id,
                self.groups[group].id,
            )
        })
    }

    /// Ruling rows of a group: a default, if it is not the class's, and what differs from it.
    fn group_rows(&self, group: u32, mut put: impl FnMut(Row)) {
        let group = &self.groups[group];
        let verdict = |cell: u32| self.judge.verdict(&self.program, cell);
        let like = |ruling: Ruling| group.cells.iter().filter(move |c| verdict(**c) == ruling);
        let usual = self.usual();
        let mut default = verdict(judge::most_frequent(&group.cells));
        // A default of its own costs a row, which it has to save elsewhere.
        if like(usual).count() + 1 >= like(default).count() {
            default = usual;
        }
        if default != usual {
            put(rows::verdict_default(self.id, group.id, default));
        }
        let width = self.judge.source_groups();
        for (place, cell) in group.cells.iter().enumerate() {
            let ruling = verdict(*cell);
            if ruling != default {
                let at = (place / width, place % width);
                put(rows::verdict(self.id, group.id, at, ruling));
            }
        }
    }

    /// Every row that the class owns, given the ids of labels.
    pub(crate) fn each_row(&self, label_id: impl Fn(u32) -> u32, put: &mut impl FnMut(Row)) {
        for label in self.host_labels.values() {
            if self.shows(label.set) {
                put(self.host_row(label.id, label.set));
            }
        }
        for (&label, &set) in &self.net_labels {
            let set = &self.sets[set];
            let group = self.groups[set.group].id;
            put(rows::net_group(self.id, label_id(label), set.id, group));
        }
        for (&(host, net), pair) in &self.pairs {
            self.pair_row(host, net, pair.group)
                .into_iter()
                .for_each(&mut *put);
        }
        put(rows::class_default(self.id, self.usual()));
        for (group, _) in self.groups.iter() {
            self.group_rows(group, &mut *put);
        }
    }
}
