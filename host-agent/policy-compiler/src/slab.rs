//! Values with small stable numbers.

use std::ops::{Index, IndexMut};

/// Stands for "no value" where a number of a slab is stored.
pub(crate) const NONE: u32 = u32::MAX;

/// A vector whose places are used again.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
    vacant: T,
}

impl<T: Default> Default for Slab<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
            vacant: T::default(),
        }
    }
}

impl<T> Slab<T> {
    /// Stores a value.
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.items[index as usize] = Some(item);
            return index;
        }
        let index = u32::try_from(self.items.len()).unwrap_or(NONE);
        self.items.push(Some(item));
        index
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let item = self.items.get_mut(index as usize)?.take();
        if item.is_some() {
            self.free.push(index);
        }
        item
    }

    /// Whether there is a value.
    pub(crate) fn has(&self, index: u32) -> bool {
        matches!(self.items.get(index as usize), Some(Some(_)))
    }

    /// All values by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..)
            .zip(&self.items)
            .filter_map(|(index, item)| Some((index, item.as_ref()?)))
    }
}

/// A vacant place reads as the default value and what is written there is lost: a slip in the
/// bookkeeping shows as a missing row in the tests and never stops the agent.
impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        match self.items.get(index as usize) {
            Some(Some(item)) => item,
            _ => &self.vacant,
        }
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        match self.items.get_mut(index as usize) {
            Some(Some(item)) => item,
            _ => {
                debug_assert!(false, "no value {index}");
                &mut self.vacant
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again() {
        let mut slab = Slab::default();
        let a = slab.insert(1);
        let b = slab.insert(2);
        assert_eq!(slab.remove(a), Some(1));
        assert_eq!(slab.remove(a), None);
        assert!(!slab.has(a));
        assert_eq!(slab.insert(3), a);
        assert_eq!((slab[a], slab[b]), (3, 2));
    }
}
