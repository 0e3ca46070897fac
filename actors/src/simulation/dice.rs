//! What a world decides by chance, drawn from its seed.

use evenkeel_core::chance::Dice;

/// Draws that decide.
pub(super) trait Draws {
    /// True `permille` times in a thousand.
    fn hits(&mut self, permille: u64) -> bool;

    /// One of them.
    fn pick<T: Copy>(&mut self, of: &[T]) -> T;

    /// An index into `weights`, the more often the heavier.
    fn weigh(&mut self, weights: &[u64]) -> usize;
}

impl Draws for Dice {
    fn hits(&mut self, permille: u64) -> bool {
        self.roll(1_000) < permille
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }

    fn weigh(&mut self, weights: &[u64]) -> usize {
        let mut left = self.roll(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return index,
            }
        }
        0
    }
}

#[test]
fn what_weighs_nothing_is_never_drawn_and_the_rest_by_its_weight() {
    let mut dice = Dice::new(1);
    let drawn: Vec<_> = (0..1_000).map(|_| dice.weigh(&[1, 0, 3])).collect();
    assert!(drawn.iter().all(|weighed| *weighed != 1));
    let heavy = drawn.iter().filter(|weighed| **weighed == 2).count();
    assert!((700..800).contains(&heavy), "{heavy} of 1,000");
}
