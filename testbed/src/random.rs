//! Seeded choice: the same seed gives the same flows on every machine and in every release.

/// `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }
}

/// Numbers from 0, shuffled; when all were drawn they are shuffled again.
#[derive(Clone, Debug)]
pub(crate) struct Deck {
    cards: Vec<usize>,
    left: usize,
}

impl Deck {
    /// Of `size` cards, at least one.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            cards: (0..size.max(1)).collect(),
            left: 0,
        }
    }

    pub(crate) fn draw(&mut self, random: &mut Random) -> usize {
        if self.left == 0 {
            self.left = self.cards.len();
        }
        let chosen = random.below(self.left);
        self.left -= 1;
        self.cards.swap(chosen, self.left);
        self.cards[self.left]
    }
}
