//! Options about delays: how long executions may be held, at which delay levelling stops, and from which on people are
//! told. Each is given in ticks, or as a time with its unit.

use std::str::FromStr;

use clap::Args;
use evenkeel_core::{
    server::queue::HoldSettings,
    units::{
        ids::QueryId,
        span::{EXPECTED, Given},
    },
};

use super::layers::{Layers, Setting};
use crate::{config, exit::ExitError, run::Levelling};

/// The limit for keeping a person's attention on one thing (Nielsen, Usability Engineering, 1993, chapter 5).
const OBJECTIVE: Given = Given::Ms(10_000.0);

/// A maximum delay, of one query or of all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MaxDelay {
    /// None where it is for all that have none of their own.
    query: Option<QueryId>,
    given: Given,
}

impl FromStr for MaxDelay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (query, given) = match text.split_once('=') {
            None => (None, text),
            Some((query, given)) => (Some(query), given),
        };
        let query = query.map(|id| {
            id.trim()
                .parse::<QueryId>()
                .map_err(|_| format!("`{id}` is no query's id: expected QUERY={EXPECTED}"))
        });
        let given = given.parse::<Given>().map_err(|error| error.to_string())?;
        Ok(Self { query: query.transpose()?, given })
    }
}

/// How long slots may hold executions.
#[derive(Debug, Args)]
pub(super) struct MaxDelayOptions {
    /// Longest that a slot may hold an execution: ticks, or a time such as 6s. QUERY=6s is for the query with that id; may
    /// be repeated [default: 2min]
    #[arg(long, env = "EVENKEEL_MAX_DELAY", value_name = "TIME|QUERY=TIME", value_delimiter = ',')]
    max_delay: Vec<MaxDelay>,
}

impl MaxDelayOptions {
    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers) -> [Setting; 2] {
        let file = &layers.file;
        let given = self.max_delay.iter().rev().find(|one| one.query.is_none()).map(|one| one.given);
        let by_query = self.merge(&file.hold_settings()).by_query;
        let by_query = by_query.iter().map(|(query, given)| format!("{query}={given}")).collect::<Vec<_>>();
        let filed = Some(by_query.join(",")).filter(|text| !text.is_empty());
        [
            layers.setting("max_delay", given, file.max_delay, Some("2min")),
            layers.setting("max_delay_by_query", None, filed, None),
        ]
    }

    /// What the file says, below what was given.
    pub(super) fn merge(&self, filed: &HoldSettings) -> HoldSettings {
        let mut merged = filed.clone();
        for MaxDelay { query, given } in &self.max_delay {
            match query {
                Some(query) => drop(merged.by_query.insert(*query, *given)),
                None => merged.default = Some(*given),
            }
        }
        merged
    }
}

/// From which delay on people are told.
#[derive(Debug, Args)]
pub(super) struct ObjectiveOptions {
    /// Delay within which executions should run: ticks, or a time such as 2s; the page, the line and the metrics tell when
    /// they do not [default: 10s]
    #[arg(long, env = "EVENKEEL_DELAY_OBJECTIVE", value_name = "TIME")]
    delay_objective: Option<Given>,
}

impl ObjectiveOptions {
    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers) -> Setting {
        let default = OBJECTIVE.to_string();
        layers.setting("delay_objective", self.delay_objective, layers.file.delay_objective, Some(&default))
    }

    pub(super) fn merge(&self, layers: &Layers) -> Given {
        self.delay_objective.or(layers.file.delay_objective).unwrap_or(OBJECTIVE)
    }
}

/// What the commands with a client's half take.
#[derive(Debug, Args)]
pub(super) struct LevellingOptions {
    /// Ceiling for the mean delay: ticks, where 1 is none added, or a time such as 6s [default: where more buys little]
    #[arg(long, env = "EVENKEEL_DELAY_BUDGET", value_name = "TIME")]
    delay_budget: Option<Given>,
}

impl LevellingOptions {
    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers) -> Setting {
        let default = Some("where more buys little");
        layers.setting("delay_budget", self.delay_budget, layers.file.delay_budget, default)
    }

    pub(super) fn merge(&self, layers: &Layers) -> Result<Levelling, ExitError> {
        let filed = layers.file.delay_budget;
        let delay_budget = config::delay_budget(self.delay_budget.or(filed))
            .map_err(|error| layers.refuse("delay_budget", filed.is_some(), error))?;
        Ok(Levelling { delay_budget })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const QUERY: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

    #[test]
    fn a_maximum_delay_is_for_all_or_for_one_query() {
        let of = |text: &str| text.parse::<MaxDelay>();
        assert_eq!(of("6s"), Ok(MaxDelay { query: None, given: Given::Ms(6_000.0) }));
        assert_eq!(of("60").map(|one| one.given), Ok(Given::Ticks(60.0)));
        let own = of(&format!("{QUERY}=2s")).unwrap();
        assert_eq!(own.query, Some(QUERY.parse().unwrap()));
        assert!(of("a=2s").unwrap_err().contains("QUERY="), "{:?}", of("a=2s"));
        assert!(of(&format!("{QUERY}=2d")).unwrap_err().contains(EXPECTED));
    }

    #[test]
    fn what_is_given_goes_before_the_file_query_by_query() {
        let query = QUERY.parse().unwrap();
        let other = "6ba7b811-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();
        let filed = HoldSettings {
            default: Some(Given::Ticks(7.0)),
            by_query: BTreeMap::from([(query, Given::Ticks(8.0)), (other, Given::Ticks(9.0))]),
        };
        let max_delay = vec![format!("{QUERY}=2s").parse().unwrap()];
        let merged = MaxDelayOptions { max_delay }.merge(&filed);
        assert_eq!(merged.default, Some(Given::Ticks(7.0)));
        assert_eq!(merged.by_query, [(query, Given::Ms(2_000.0)), (other, Given::Ticks(9.0))].into());
    }
}
