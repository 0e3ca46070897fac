//! Chance from a seed: the same seed, the same numbers on every machine.
//!
//! [`Dice`] serves whoever searches, jitters or simulates faults. The simulated database draws from `ChaCha8`, whose
//! streams keep its parts apart: what it drew is in a golden file and in every table of figures, so it stays.
//! [`unit()`] and [`below`] make the same of either.

use std::convert::Infallible;

use rand_core::{Rng, TryRng};

/// What `SplitMix64` adds each time: 2⁶⁴ divided by the golden ratio.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 0 to `sides` − 1; 0 for no sides.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.next_u64().checked_rem(sides).unwrap_or(0)
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(STEP);
        Ok(mixed(self.0))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// `SplitMix64`'s finalizer: each bit of the answer depends on each of `bits`.
pub fn mixed(bits: u64) -> u64 {
    let mut z = bits;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in [0, 1), 53 bits.
pub fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform in `0..n` by multiplication: the bias is below n / 2⁶⁴; 0 when n is 0.
pub fn below(rng: &mut impl Rng, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        // https://prng.di.unimi.it/splitmix64.c, seed 1234567.
        let mut dice = Dice::new(1_234_567);
        let drawn: Vec<_> = (0..5).map(|_| dice.next_u64()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut dice = Dice::new(1);
        let drawn: Vec<_> = (0..1_000).map(|_| (below(&mut dice, 7), dice.roll(7))).collect();
        assert!(drawn.iter().all(|(below, roll)| *below < 7 && *roll < 7));
        for end in [0, 6] {
            assert!(drawn.iter().any(|(below, _)| *below == end));
            assert!(drawn.iter().any(|(_, roll)| *roll == end as u64));
        }
        assert!((0..1_000).map(|_| unit(&mut dice)).all(|unit| (0.0..1.0).contains(&unit)));
        assert_eq!((below(&mut dice, 0), dice.roll(0)), (0, 0));
    }
}
