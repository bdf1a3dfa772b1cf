//! Which rows are looked for together.
//!
//! Rows of equal mask are a class. A class is looked for in a group, a hash over the bits of the
//! group's mask. Exact tables have one class, LPM tables one for each prefix length, each with a
//! group of its own. Where priorities decide, similar classes share a group with the bits that all of
//! them have (TupleMerge): fields are cut to whole bytes, so that 32 lengths of prefix are few groups.
//! Rows that agree in the group's bits are chained; where a chain is full, a class gets a group
//! of its own beside the shared one, so nobody can make chains long.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use super::Order;
use crate::index::Index;
use crate::ir::KeyPlace;
use crate::key::{Limbs, Packed};

/// A place that stands for no group.
pub(super) const NO_GROUP: u32 = u32::MAX;

/// Rows of equal mask.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) mask: Limbs,
    pub(super) rows: usize,
    /// Where its rows go first.
    pub(super) home: u32,
    /// Where they go when the chain at home is full.
    pub(super) own: u32,
}

/// Rows that one probe finds.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) mask: Limbs,
    /// Prefix length, or the best priority of the group.
    pub(super) rank: i64,
    /// First row of each masked key; rows of one key are chained, best first.
    pub(super) heads: Index,
    /// How many rows have each priority.
    priorities: BTreeMap<i32, usize>,
    /// Classes that look for rows here.
    classes: usize,
}

/// The classes and groups of a table.
#[derive(Debug)]
pub(super) struct Groups {
    order: Order,
    places: Vec<KeyPlace>,
    pub(super) classes: Vec<Class>,
    pub(super) groups: Vec<Group>,
    masks: HashMap<Limbs, u32, BuildHasherDefault<Fold>>,
    shared: HashMap<Limbs, u32, BuildHasherDefault<Fold>>,
    /// The class asked for last: entries of one kind come together.
    last: u32,
    /// Groups with their ranks, in the order in which a lookup visits them.
    pub(super) visit: Vec<(i64, u32)>,
    spare_classes: Vec<u32>,
    spare_groups: Vec<u32>,
}

impl Groups {
    pub(super) fn new(order: Order, places: Vec<KeyPlace>) -> Self {
        Self {
            order,
            places,
            classes: Vec::new(),
            groups: Vec::new(),
            masks: HashMap::default(),
            shared: HashMap::default(),
            last: 0,
            visit: Vec::new(),
            spare_classes: Vec::new(),
            spare_groups: Vec::new(),
        }
    }

    /// The class of a mask, if there is one.
    #[inline]
    pub(super) fn class(&self, mask: &Limbs) -> Option<u32> {
        let last = self.classes.get(self.last as usize);
        if last.is_some_and(|class| class.rows > 0 && class.mask == *mask) {
            return Some(self.last);
        }
        self.masks.get(mask).copied()
    }

    /// The class of a mask, made if needed.
    pub(super) fn class_for(&mut self, packed: &Packed) -> u32 {
        let at = self.class(&packed.mask).unwrap_or_else(|| {
            let mask = packed.mask.clone();
            let (home, rank) = match self.order {
                Order::Priority => (self.relaxed(&mask), i64::MIN),
                Order::Exact | Order::Lpm => (mask.clone(), i64::from(packed.prefix_len)),
            };
            let home = self.group_for(home, rank);
            let class = Class {
                mask: mask.clone(),
                rows: 0,
                home,
                own: NO_GROUP,
            };
            let at = put(&mut self.classes, &mut self.spare_classes, class);
            self.masks.insert(mask, at);
            at
        });
        self.last = at;
        at
    }

    /// The group of a class's own, made if needed.
    pub(super) fn own(&mut self, class: u32) -> u32 {
        let Some(found) = self.classes.get(class as usize) else {
            return NO_GROUP;
        };
        if found.own != NO_GROUP {
            return found.own;
        }
        let mask = found.mask.clone();
        let own = self.group_for(mask, i64::MIN);
        self.classes[class as usize].own = own;
        own
    }

    /// A group with this mask for one more class.
    fn group_for(&mut self, mask: Limbs, rank: i64) -> u32 {
        let at = self.shared.get(&mask).copied().unwrap_or_else(|| {
            let group = Group {
                mask: mask.clone(),
                rank,
                heads: if self.order == Order::Exact {
                    Index::default()
                } else {
                    Index::filtered()
                },
                priorities: BTreeMap::new(),
                classes: 0,
            };
            let at = put(&mut self.groups, &mut self.spare_groups, group);
            self.shared.insert(mask, at);
            self.place(rank, at);
            at
        });
        self.groups[at as usize].classes += 1;
        at
    }

    /// Notes that a group has one more row.
    pub(super) fn gain(&mut self, group: u32, priority: i32) {
        if self.order == Order::Priority {
            let own = &mut self.groups[group as usize];
            *own.priorities.entry(priority).or_insert(0) += 1;
            let best = own.rank.max(i64::from(priority));
            self.rerank(group, best);
        }
    }

    /// Notes that a group has one row less, and a class as well; what nobody needs any more goes.
    pub(super) fn lose(&mut self, group: u32, class: u32, priority: i32) {
        if self.order == Order::Priority {
            let priorities = &mut self.groups[group as usize].priorities;
            if let Some(count) = priorities.get_mut(&priority) {
                *count -= 1;
                if *count == 0 {
                    priorities.remove(&priority);
                }
            }
            let best = priorities
                .last_key_value()
                .map_or(i64::MIN, |(best, _)| i64::from(*best));
            self.rerank(group, best);
        }
        let own = &mut self.classes[class as usize];
        own.rows -= 1;
        // The one group of an exact table stays with what it has room for.
        if own.rows == 0 && self.order != Order::Exact {
            let (home, own, mask) = (own.home, own.own, std::mem::take(&mut own.mask));
            self.masks.remove(&mask);
            self.spare_classes.push(class);
            self.leave(home);
            if own != NO_GROUP {
                self.leave(own);
            }
        }
    }

    /// A class needs a group no more.
    fn leave(&mut self, group: u32) {
        let left = &mut self.groups[group as usize];
        left.classes -= 1;
        if left.classes == 0 {
            let mask = std::mem::take(&mut left.mask);
            left.heads = Index::default();
            self.shared.remove(&mask);
            self.visit.retain(|(_, at)| *at != group);
            self.spare_groups.push(group);
        }
    }

    fn rerank(&mut self, group: u32, rank: i64) {
        let own = &mut self.groups[group as usize];
        if own.rank != rank {
            own.rank = rank;
            if let Some(at) = self.visit.iter().position(|(_, at)| *at == group) {
                self.visit.remove(at);
            }
            self.place(rank, group);
        }
    }

    /// Best first.
    fn place(&mut self, rank: i64, group: u32) {
        let at = self.visit.partition_point(|(other, _)| *other >= rank);
        self.visit.insert(at, (rank, group));
    }

    /// The mask of the group in which rows of this mask are looked for first: of a field that has
    /// all bits of a byte, the whole bytes; of another, all that it has.
    fn relaxed(&self, mask: &Limbs) -> Limbs {
        let mut relaxed = mask.clone();
        for place in &self.places {
            let bytes = (place.bit..place.bit + place.bits).step_by(8);
            let bytes = bytes.map(|from| from..(from + 8).min(place.bit + place.bits));
            let whole = |byte: &Range<u32>| byte.clone().all(|at| bit(mask, at));
            if bytes.clone().any(|byte| whole(&byte)) {
                for at in bytes.filter(|byte| !whole(byte)).flatten() {
                    if let Some(limb) = relaxed.get_mut(at as usize / 64) {
                        *limb &= !(1 << (at % 64));
                    }
                }
            }
        }
        relaxed
    }
}

fn bit(limbs: &[u64], at: u32) -> bool {
    let limb = limbs.get(at as usize / 64);
    limb.is_some_and(|limb| limb >> (at % 64) & 1 == 1)
}

/// Puts an item where one has gone, or at the end.
fn put<T>(items: &mut Vec<T>, spare: &mut Vec<u32>, item: T) -> u32 {
    match spare.pop() {
        Some(at) => {
            items[at as usize] = item;
            at
        }
        None => {
            items.push(item);
            u32::try_from(items.len() - 1).unwrap_or(NO_GROUP - 1)
        }
    }
}

/// Folded multiplication: masks come from the control plane, and are few.
#[derive(Debug, Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut limb = [0; 8];
            limb[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(limb));
        }
    }

    fn write_u64(&mut self, limb: u64) {
        let wide = u128::from(self.0 ^ limb ^ 0x243f_6a88_85a3_08d3)
            * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = crate::wide::low(wide) ^ crate::wide::low(wide >> 64);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
