//! Content hashes that are the same in every process, release build and history.
//!
//! Row ids come from these, so that equal policy gives equal rows after a restart and nothing has
//! to be rewritten. The hash needs no strength against an attacker: whoever interns by it compares
//! the content as well, and a collision costs one probe.

use foldhash::fast::FixedState;
use hashbrown::HashSet;

const MULTIPLIER: u128 = 0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9;
const START: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// A running hash of 128 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint(u128);

impl Fingerprint {
    /// Starts a hash; content of different kinds gets different domains.
    pub(crate) fn new(domain: &str) -> Self {
        let mut hash = Self(START);
        hash.text(domain);
        hash
    }

    /// Takes a number.
    pub(crate) fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ u128::from(word)).wrapping_mul(MULTIPLIER);
        self.0 ^= self.0 >> 67;
    }

    /// Takes a wide number.
    pub(crate) fn wide(&mut self, word: u128) {
        let bytes = word.to_le_bytes();
        for half in bytes.chunks(8) {
            self.word(little(half));
        }
    }

    /// Takes a text; its length counts, so that texts in a row cannot run into each other.
    pub(crate) fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            self.word(little(chunk));
        }
    }

    /// The hash.
    pub(crate) fn finish(self) -> u128 {
        let mut end = self;
        end.word(0);
        end.word(1);
        end.0
    }
}

fn little(chunk: &[u8]) -> u64 {
    chunk
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The 32 bits that a row carries; never zero, which every table reserves.
pub(crate) fn short(hash: u128) -> u32 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = hash.to_le_bytes();
    let fold = u32::from_le_bytes([a, b, c, d])
        ^ u32::from_le_bytes([e, f, g, h])
        ^ u32::from_le_bytes([i, j, k, l])
        ^ u32::from_le_bytes([m, n, o, p]);
    fold.max(1)
}

/// Ids of one kind that are in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdSpace {
    taken: HashSet<u32, FixedState>,
}

impl IdSpace {
    /// The content's own id, or the next free one if another content has it.
    pub(crate) fn take(&mut self, hash: u128) -> u32 {
        let mut id = short(hash);
        while !self.taken.insert(id) {
            id = id.wrapping_add(1).max(1);
        }
        id
    }

    /// Gives an id back.
    pub(crate) fn give(&mut self, id: u32) {
        self.taken.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_a_row_do_not_run_together() {
        let hash = |parts: &[&str]| {
            let mut hash = Fingerprint::new("test");
            for part in parts {
                hash.text(part);
            }
            hash.finish()
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["abc"]), hash(&["abc", ""]));
    }

    #[test]
    fn ids_of_many_contents_rarely_collide_and_are_never_zero() {
        let mut ids = std::collections::BTreeSet::new();
        for number in 0..20_000_u64 {
            let mut hash = Fingerprint::new("test");
            hash.word(number);
            let id = short(hash.finish());
            assert_ne!(id, 0);
            ids.insert(id);
        }
        assert!(ids.len() > 19_990, "{}", ids.len());
    }

    #[test]
    fn a_taken_id_moves_to_the_next_and_zero_is_skipped() {
        let mut space = IdSpace::default();
        let hash = u128::from(u32::MAX);
        assert_eq!(space.take(hash), u32::MAX);
        assert_eq!(space.take(hash), 1);
        space.give(u32::MAX);
        assert_eq!(space.take(hash), u32::MAX);
    }
}
