//! Known faults that the simulation must notice: one that it passed would prove nothing.
//!
//! `cargo test -p evenkeel-actors --features mutants --lib simulation::mutants`, alone, because the fault is chosen for the
//! whole process.

use evenkeel_core::mutant::{Mutant, choose};

use super::{failure, front, live};

/// Seeds within which each fault must show.
const SEEDS_MAX: u64 = 1_000;

#[test]
#[expect(clippy::disallowed_macros, reason = "whoever runs it wants to see how soon")]
fn each_known_fault_is_noticed() {
    for mutant in Mutant::ALL {
        choose(Some(mutant));
        let live = if mutant.is_of_a_session() { front::live } else { live };
        let noticed = (1..=SEEDS_MAX).find_map(|seed| Some((seed, failure(live, seed, false)?)));
        choose(None);
        let (seed, said) = noticed.unwrap_or_else(|| panic!("{mutant:?} passes {SEEDS_MAX} seeds"));
        println!("{mutant:?}: seed {seed}: {said}");
    }
}
