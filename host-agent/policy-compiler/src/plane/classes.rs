//! Classes of a family and the atoms that they ask for.

use super::Plane;
use crate::class::{Class, Judge, dimensions};
use crate::journal::Journal;
use crate::partition::TooManyGroups;
use crate::program::Program;
use crate::shared::Shared;

impl Plane {
    /// The class of a program; a new one has no users and no labels yet.
    ///
    /// # Errors
    /// The program tells more ports apart than a row can number.
    pub(crate) fn intern_class(
        &mut self,
        mut program: Program,
        shared: &mut Shared,
        journal: &mut Journal,
    ) -> Result<u32, TooManyGroups> {
        let mut hash = program.hash(&self.atoms);
        while let Some(&index) = self.class_of.get(&hash) {
            if self.classes[index].program == program {
                return Ok(index);
            }
            hash = hash.wrapping_add(1);
        }
        let (ports, source_ports) = match dimensions(&program) {
            Ok(cuts) => cuts,
            Err(error) => {
                for rule in &program.rules {
                    shared.rules.hold(rule.id);
                    shared.rules.release(rule.id);
                }
                return Err(error);
            }
        };
        let mut atoms: Vec<u32> = program.rules.iter().flat_map(|rule| rule.atoms()).collect();
        atoms.sort_unstable();
        atoms.dedup();
        for atom in &atoms {
            self.atoms.all[*atom].users += 1;
        }
        for rule in &program.rules {
            shared.rules.hold(rule.id);
        }
        program.rules.shrink_to_fit();
        let ids = shared.hold_ports(&ports, &source_ports, journal);
        let judge = Judge::new(&program, &atoms, ports.groups, source_ports.groups);
        let id = shared.class_ids.take(hash);
        let mut class = Class::new(id, program, atoms, judge, ids, journal);
        class.hash = hash;
        let index = self.classes.insert(class);
        self.class_of.insert(hash, index);
        self.transaction.new_classes.push(index);
        Ok(index)
    }

    /// One leg more or less points at a class.
    pub(crate) fn count_leg(&mut self, class: u32, more: bool) {
        let users = &mut self.classes[class].users;
        *users = if more {
            *users + 1
        } else {
            users.saturating_sub(1)
        };
    }

    /// Finds the classes that nothing points at once this commit is through, out of `candidates`,
    /// and takes their questions back. Returns the atoms to load and to unload.
    pub(crate) fn plan_atoms(&mut self, candidates: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut dead: Vec<u32> = candidates
            .iter()
            .chain(&self.transaction.new_classes)
            .copied()
            .filter(|class| self.classes[*class].users == 0)
            .collect();
        dead.sort_unstable();
        dead.dedup();
        self.transaction
            .new_classes
            .retain(|class| !dead.contains(class));
        let mut looked_at: Vec<u32> = Vec::new();
        for class in &dead {
            for atom in &self.classes[*class].atoms {
                let users = &mut self.atoms.all[*atom].users;
                *users = users.saturating_sub(1);
                looked_at.push(*atom);
            }
        }
        for class in &self.transaction.new_classes {
            looked_at.extend_from_slice(&self.classes[*class].atoms);
        }
        self.transaction.dead_classes = dead;
        looked_at.sort_unstable();
        looked_at.dedup();
        let mut load = Vec::new();
        let mut unload = Vec::new();
        for atom in looked_at {
            let entry = &mut self.atoms.all[atom];
            match (entry.users > 0, entry.loaded) {
                (true, false) => load.push(atom),
                (false, true) => unload.push(atom),
                (true, true) => {}
                (false, false) => {
                    self.transaction.idle_atoms.insert(atom);
                }
            }
        }
        for atom in &load {
            self.atoms.all[*atom].loaded = true;
        }
        (load, unload)
    }

    /// Gives the new classes their rows for all labels that are carried now.
    pub(crate) fn show_labels(&mut self, journal: &mut Journal) {
        for class in self.transaction.new_classes.clone() {
            self.register(class);
            let mut labels: Vec<u32> = self.classes[class]
                .atoms
                .iter()
                .flat_map(|atom| &self.atoms.all[*atom].labels)
                .copied()
                .collect();
            labels.sort_unstable();
            labels.dedup();
            for &index in &labels {
                let label = &self.labels.all[index];
                let class = &mut self.classes[class];
                if label.hosts > 0 {
                    class.add_host_label(index, label.id, &label.atoms, &self.atoms, journal);
                }
                if label.nets > 0 {
                    class.add_net_label(index, label.id, &label.atoms, &self.atoms, journal);
                }
            }
            if self.classes[class].net_labels.is_empty() {
                continue;
            }
            for &index in &labels {
                for (net, count) in &self.labels.all[index].partners {
                    if *count > 0 {
                        self.classes[class].add_pair(index, *net, journal);
                    }
                }
            }
        }
    }

    fn register(&mut self, class: u32) {
        for atom in &self.classes[class].atoms {
            let classes = &mut self.atoms.all[*atom].classes;
            if let Err(place) = classes.binary_search(&class) {
                classes.insert(place, class);
            }
        }
    }

    fn unregister(&mut self, class: u32) {
        for atom in &self.classes[class].atoms {
            let classes = &mut self.atoms.all[*atom].classes;
            if let Ok(place) = classes.binary_search(&class) {
                classes.remove(place);
            }
        }
    }

    /// The classes that go see no label of the narrow stage: no pointer leads to them then.
    pub(crate) fn hide_dead_classes(&mut self) {
        for class in self.transaction.dead_classes.clone() {
            self.unregister(class);
        }
    }

    /// Brings the classes that were to go back to life and kills the new ones.
    pub(super) fn swap_fates(&mut self) {
        let new = std::mem::take(&mut self.transaction.new_classes);
        let dead = std::mem::take(&mut self.transaction.dead_classes);
        for class in &dead {
            for atom in &self.classes[*class].atoms {
                self.atoms.all[*atom].users += 1;
            }
        }
        // A class that was new and unused at once stays dead.
        let (unused, back): (Vec<u32>, Vec<u32>) = dead
            .into_iter()
            .partition(|class| self.classes[*class].users == 0);
        for class in back {
            self.register(class);
        }
        for class in new.iter().chain(&unused) {
            self.unregister(*class);
            for atom in &self.classes[*class].atoms {
                let users = &mut self.atoms.all[*atom].users;
                *users = users.saturating_sub(1);
                if *users == 0 {
                    self.transaction.idle_atoms.insert(*atom);
                }
            }
        }
        self.transaction.dead_classes = new;
        self.transaction.dead_classes.extend(unused);
    }

    /// Takes the dead classes out with all their rows.
    pub(super) fn bury(&mut self, shared: &mut Shared, journal: &mut Journal) {
        for index in std::mem::take(&mut self.transaction.dead_classes) {
            let labels = &self.labels;
            self.classes[index].each_row(|label| labels.all[label].id, &mut |row| {
                journal.gone(row.key);
            });
            let Some(class) = self.classes.remove(index) else {
                continue;
            };
            self.class_of.remove(&class.hash);
            for rule in &class.program.rules {
                shared.rules.release(rule.id);
            }
            shared.release_ports(class.ports, class.source_ports, journal);
            shared.class_ids.give(class.id);
        }
    }
}
