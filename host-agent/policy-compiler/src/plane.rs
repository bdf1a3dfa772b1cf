//! One family's addresses, labels and classes, and how a commit moves them.
//!
//! A commit goes through two stages. In the *wide* stage atoms that a new class asks about are
//! loaded and members that come are added; in the *narrow* stage members that go are taken out and
//! atoms that no class asks about any more are unloaded. Between the two, pointers flip. Rows of
//! classes only ever come and go (their keys are content), so all of them are there before the
//! first label moves and the unused ones go last.

mod classes;
mod collect;
mod hosts;
mod nets;

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use policy_model::Family;
use smallvec::SmallVec;
use table_model::{Row, RowKey, Update};

use crate::atom::Atoms;
use crate::class::Class;
use crate::journal::Journal;
use crate::label::{Key, Labels};
use crate::rows;
use crate::slab::{NONE, Slab};

/// Atoms that come (`true`) and go at one net.
pub(crate) type Edits = SmallVec<[(u32, bool); 4]>;

/// An atom that comes to a carrier in the host plane, or goes from it. Edits sort by carrier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct HostEdit {
    pub key: Key,
    /// The atom, and in the lowest bit whether it comes.
    mark: u32,
}

impl HostEdit {
    pub(crate) const fn new(key: Key, atom: u32, comes: bool) -> Self {
        let mark = atom << 1 | comes as u32;
        Self { key, mark }
    }

    pub(crate) const fn atom(self) -> u32 {
        self.mark >> 1
    }

    pub(crate) const fn comes(self) -> bool {
        self.mark & 1 == 1
    }
}

/// What a carrier in the host plane has.
#[derive(Clone, Copy, Debug)]
struct Carrier {
    label: u32,
    /// Label of the longest net that holds the address, or [`NONE`].
    net: u32,
}

/// A CIDR that is a member of a loaded atom.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct NetNode {
    /// Atoms that name this very CIDR; sorted.
    own: SmallVec<[u32; 4]>,
    /// Label of these and of all that enclosing CIDRs have.
    label: u32,
}

/// A carrier that got another label, and the one before: [`NONE`] if it had none. A stage gets to
/// each carrier once at most, so lists will do.
type Moved = (Key, u32);

/// Labels that the row of a net had and has.
#[derive(Clone, Copy, Debug)]
struct Touch {
    before: u32,
    wide: u32,
}

/// What a commit has done so far, so that its rows can be told and all of it undone.
#[derive(Clone, Debug, Default)]
struct Transaction {
    /// Carriers that moved in the wide stage, once that is over.
    wide_hosts: Vec<Moved>,
    /// Rows of these.
    wide_rows: Vec<Update>,
    /// Carriers that moved in this stage.
    hosts: Vec<Moved>,
    nets: BTreeMap<(u128, u8), Touch>,
    /// Own atoms of changed nets as they were.
    nets_before: BTreeMap<(u128, u8), Option<SmallVec<[u32; 4]>>>,
    /// Labels that nets had at the start of this stage.
    stage_nets: BTreeMap<(u128, u8), u32>,
    /// Removals that wait for the narrow stage.
    waiting: Vec<HostEdit>,
    idle_labels: BTreeSet<u32>,
    idle_pairs: BTreeSet<(u32, u32)>,
    idle_atoms: BTreeSet<u32>,
    new_classes: Vec<u32>,
    dead_classes: Vec<u32>,
}

/// One family.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub family: Family,
    pub atoms: Atoms,
    pub labels: Labels,
    pub classes: Slab<Class>,
    class_of: HashMap<u128, u32, FixedState>,
    hosts: BTreeMap<Key, Carrier>,
    /// How many of the carriers are ports.
    ports: usize,
    nets: BTreeMap<(u128, u8), NetNode>,
    /// How many nets there are of each prefix length.
    lengths: Vec<u32>,
    transaction: Transaction,
}

/// Label rows of a commit by phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelUpdates {
    /// Before the pointers flip.
    pub wide: Vec<Update>,
    /// After.
    pub narrow: Vec<Update>,
}

impl Plane {
    /// An empty one.
    pub(crate) fn new(family: Family) -> Self {
        Self {
            family,
            atoms: Atoms::default(),
            labels: Labels::default(),
            classes: Slab::default(),
            class_of: HashMap::default(),
            hosts: BTreeMap::new(),
            ports: 0,
            nets: BTreeMap::new(),
            lengths: vec![0; 129],
            transaction: Transaction::default(),
        }
    }

    /// The wide stage is over: what rows have now is what they get before the pointers flip.
    pub(crate) fn end_wide(&mut self) {
        let moved = std::mem::take(&mut self.transaction.hosts);
        self.transaction.wide_rows = self.host_updates(&moved);
        let Self {
            nets, transaction, ..
        } = self;
        transaction.wide_hosts = moved;
        for (net, touch) in &mut transaction.nets {
            touch.wide = nets.get(net).map_or(NONE, |node| node.label);
        }
        transaction.stage_nets.clear();
    }

    /// Rows of carriers that moved.
    fn host_updates(&self, moved: &[Moved]) -> Vec<Update> {
        let mut updates = Vec::with_capacity(moved.len());
        for (key, before) in moved {
            let now = self.hosts.get(key).map_or(NONE, |carrier| carrier.label);
            let row = |label: u32| rows::host(self.family, *key, self.labels.all[label].id);
            let row_key = || rows::host_key(self.family, *key);
            updates.extend(step(*before, now, row, row_key));
        }
        updates
    }

    /// Label rows that the commit changes.
    pub(crate) fn label_updates(&mut self) -> LabelUpdates {
        let mut updates = LabelUpdates {
            wide: std::mem::take(&mut self.transaction.wide_rows),
            narrow: self.host_updates(&self.transaction.hosts),
        };
        let family = self.family;
        let id = |label: u32| self.labels.all[label].id;
        for (net, touch) in &self.transaction.nets {
            let now = self.nets.get(net).map_or(NONE, |node| node.label);
            let row = |label| rows::net(family, *net, id(label));
            let row_key = || rows::net_key(family, *net);
            updates
                .wide
                .extend(step(touch.before, touch.wide, row, row_key));
            updates.narrow.extend(step(touch.wide, now, row, row_key));
        }
        updates
    }

    /// Every label row and every row of a class.
    pub(crate) fn each_row(&self, put: &mut impl FnMut(Row)) {
        let id = |label: u32| self.labels.all[label].id;
        for (key, carrier) in &self.hosts {
            put(rows::host(self.family, *key, id(carrier.label)));
        }
        for (net, node) in &self.nets {
            put(rows::net(self.family, *net, id(node.label)));
        }
        for (_, class) in self.classes.iter() {
            class.each_row(id, put);
        }
    }

    /// Every carrier in the host plane with the atoms that are its own: a port's label holds those
    /// of its host as well.
    pub(crate) fn host_atoms(&self) -> impl Iterator<Item = (Key, u32)> {
        self.hosts.iter().flat_map(move |(key, carrier)| {
            let is_port = key.service().is_some();
            let atoms = self.labels.atoms(carrier.label).iter().copied();
            let own = atoms.filter(move |atom| self.atoms.is_ports(*atom) == is_port);
            own.map(|atom| (*key, atom))
        })
    }

    /// Notes that classes need rows for a label on hosts.
    fn use_on_hosts(&mut self, label: u32, journal: &mut Journal) {
        let entry = &mut self.labels.all[label];
        // A label without carriers may have been passed over by a class that came since.
        if std::mem::replace(&mut entry.host_rows, true) && entry.hosts > 0 {
            return;
        }
        let entry = &self.labels.all[label];
        for class in self.atoms.classes_of(&entry.atoms) {
            self.classes[class].add_host_label(label, entry.id, &entry.atoms, &self.atoms, journal);
        }
    }

    /// Notes that classes need rows for a label on nets.
    fn use_on_nets(&mut self, label: u32, journal: &mut Journal) {
        let entry = &mut self.labels.all[label];
        if std::mem::replace(&mut entry.net_rows, true) && entry.nets > 0 {
            return;
        }
        let entry = &self.labels.all[label];
        for class in self.atoms.classes_of(&entry.atoms) {
            self.classes[class].add_net_label(label, entry.id, &entry.atoms, &self.atoms, journal);
        }
    }

    /// One more carrier of `host` inside a net of `net`; `stays` is false for a pair that only the
    /// way through a phase can show.
    fn add_pair(&mut self, host: u32, net: u32, stays: bool, journal: &mut Journal) {
        if host == NONE || net == NONE {
            return;
        }
        let count = self.labels.all[host].partners.entry(net).or_default();
        let fresh = *count == 0;
        if stays {
            *count += 1;
        } else if *count == 0 {
            self.transaction.idle_pairs.insert((host, net));
        }
        if fresh {
            for class in self.atoms.classes_of(&self.labels.all[host].atoms) {
                self.classes[class].add_pair(host, net, journal);
            }
        }
    }

    fn drop_pair(&mut self, host: u32, net: u32) {
        if host == NONE || net == NONE {
            return;
        }
        if let Some(count) = self.labels.all[host].partners.get_mut(&net) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.transaction.idle_pairs.insert((host, net));
            }
        }
    }
}

impl LabelUpdates {
    /// Takes another family's.
    pub(crate) fn append(&mut self, mut other: Self) {
        for (mine, theirs) in [
            (&mut self.wide, &mut other.wide),
            (&mut self.narrow, &mut other.narrow),
        ] {
            if mine.is_empty() {
                std::mem::swap(mine, theirs);
            }
            mine.append(theirs);
        }
    }
}

/// What becomes of a row whose label moves.
fn step(from: u32, to: u32, row: impl Fn(u32) -> Row, key: impl Fn() -> RowKey) -> Option<Update> {
    match (from == NONE, to == NONE) {
        _ if from == to => None,
        (true, _) => Some(Update::Insert(row(to))),
        (false, false) => Some(Update::Modify(row(to))),
        (false, true) => Some(Update::Delete(key())),
    }
}

/// A sorted vector with edits applied.
fn edited(vector: &[u32], edits: impl IntoIterator<Item = (u32, bool)>) -> SmallVec<[u32; 16]> {
    let mut out: SmallVec<[u32; 16]> = SmallVec::from_slice(vector);
    for (atom, present) in edits {
        match (out.binary_search(&atom), present) {
            (Err(place), true) => out.insert(place, atom),
            (Ok(place), false) => {
                out.remove(place);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
    }
    out
}

/// Notes an edit; the later one counts.
pub(crate) fn note(edits: &mut Edits, atom: u32, present: bool) {
    match edits.iter_mut().find(|(there, _)| *there == atom) {
        Some((_, there)) => *there = present,
        None => edits.push((atom, present)),
    }
}
