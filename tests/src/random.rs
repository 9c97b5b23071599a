//! Seeded random numbers, the same in every run.

/// SplitMix64 generator.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from `least` to `most`, both included.
    pub fn within(&mut self, least: usize, most: usize) -> usize {
        let choices = (most - least) as u64 + 1;
        least + usize::try_from(self.number() % choices).unwrap_or_default()
    }

    /// Returns an element of the list; panics if it is empty.
    #[track_caller]
    #[expect(clippy::indexing_slicing, reason = "the index is within the list")]
    pub fn one_of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.within(0, list.len() - 1)]
    }

    /// Returns at most `most` random bytes.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.within(0, most);
        (0..count).map(|_| self.number().to_le_bytes()[0]).collect()
    }
}
