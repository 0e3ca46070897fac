//! How long slots may hold executions.

use std::collections::BTreeMap;

use crate::units::{ids::QueryId, lengths::Lengths, span::Given, tick::Tick};

/// Longest time that a slot may hold an execution, unless configured, in milliseconds: two minutes.
const HOLD_MS: u64 = 120_000;

/// What is configured, for a database of any lengths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HoldSettings {
    /// For queries without a limit of their own; none for two minutes.
    pub default: Option<Given>,
    /// By query.
    pub by_query: BTreeMap<QueryId, Given>,
}

impl HoldSettings {
    /// The limits in a database of these lengths. Two minutes are counted from where an execution may run.
    pub fn of(&self, lengths: Lengths) -> HoldLimits {
        let two_minutes = lengths.default_delay_ticks - 1 + lengths.ticks_in_ms(HOLD_MS);
        let ticks = |given: Given| given.whole_ticks(lengths.tick_ms);
        HoldLimits {
            default_ticks: self.default.map_or(two_minutes, ticks),
            by_query: self.by_query.iter().map(|(query, given)| (*query, ticks(*given))).collect(),
        }
    }
}

/// How long slots may hold executions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// For queries without a limit of their own, in ticks.
    pub default_ticks: u64,
    /// By query, in ticks.
    pub by_query: BTreeMap<QueryId, u64>,
}

impl Default for HoldLimits {
    fn default() -> Self {
        HoldSettings::default().of(Lengths::default())
    }
}

impl HoldLimits {
    /// The latest tick to which a slot may hold an execution; a later base is not a hold.
    pub fn deadline(&self, query: QueryId, queued_tick: Tick, due_tick: Tick) -> Tick {
        let ticks = self.by_query.get(&query).copied().unwrap_or(self.default_ticks);
        queued_tick.after(ticks).max(due_tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unless_configured_nothing_is_held_for_more_than_two_minutes() {
        let lengths =
            |tick_ms, default_delay_ticks| Lengths { tick_ms, window_ticks: 10, default_delay_ticks };
        let ticks = |lengths| HoldSettings::default().of(lengths).default_ticks;
        assert_eq!(
            [(100, 1), (5, 1), (1_000, 100)].map(|(ms, delay)| ticks(lengths(ms, delay))),
            [1_200, 24_000, 219]
        );
        let configured = HoldSettings { default: Some(Given::Ticks(7.0)), ..HoldSettings::default() };
        assert_eq!(configured.of(lengths(5, 1)).default_ticks, 7);
    }

    #[test]
    fn ticks_stay_and_times_become_ticks() {
        let query = QueryId(uuid::Uuid::from_u128(7));
        let by_query = [(query, Given::Ms(6_000.0))].into();
        let settings = HoldSettings { default: Some(Given::Ticks(9.0)), by_query };
        for (tick_ms, ticks) in [(100, 60), (10, 600), (7_000, 1)] {
            let limits = settings.of(Lengths::at_pace(tick_ms));
            assert_eq!(limits, HoldLimits { default_ticks: 9, by_query: [(query, ticks)].into() });
        }
    }
}
