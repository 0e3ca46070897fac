//! What levelling would bring, or brings: the database as it is beside a [`Twin`] of it, over an hour and a day.
//!
//! ```text
//! journal entries ─┬────────────────────────────────▶ Recent (as it is) ──┐
//!                  └▶ Twin: same arrivals, own plans ─▶ Recent (the twin) ─┴▶ Comparison
//! estimates ────────┘
//! ```
//! In mode `shadow` the twin is levelled as `enforce` would do it; in `enforce` nobody levels it.

mod recent;
mod replay;
mod tally;
mod twin;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::recent::Recent;
pub use self::{
    replay::Replay,
    tally::{Summary, Tally},
    twin::{Twin, TwinSettings},
};
use crate::{
    estimator::Estimates,
    insight::recap::{DelayCounts, DelaySummary},
    journal::{Mode, Record},
    scheduler::{Feasibility, PolicyName},
    server::queue::HoldLimits,
    units::{ids::QueryId, lengths::Lengths, tick::Tick},
};

/// Ticks that a twin may be behind: it begins anew beyond that, because each takes up to some milliseconds.
const BEHIND_MAX: u64 = 600;
/// Queries that a comparison names: those that ran most often.
const QUERIES_TOLD: usize = 100;
/// Time between two comparisons, which are for people.
const COMPARED_MS: u64 = 10_000;

/// What the twin shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Other {
    /// The database as `enforce` would have it.
    Enforced,
    /// The database as nobody levels it.
    Unlevelled,
}

/// The database beside its twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowReport {
    /// What the twin shows.
    pub other: Other,
    /// The first tick that is compared.
    pub since: Tick,
    /// The first tick that is not compared yet. Where the client was more than 600 ticks behind, the twin passed over what it
    /// missed, and these ticks count on the other side only.
    pub until: Tick,
    /// What the twin's last plan said; none where nobody levels it.
    pub feasibility: Option<Feasibility>,
    /// The last hour at most.
    pub hour: Comparison,
    /// The last day at most.
    pub day: Comparison,
}

/// One stretch of time, twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// As it was.
    pub actual: Summary,
    /// As it was in the twin.
    pub twin: Summary,
    /// The queries that ran most often, at most 100, the most frequent first.
    pub queries: Vec<QueryComparison>,
}

/// Delays of one query, twice, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryComparison {
    /// Which one.
    pub query: QueryId,
    /// Executions, as it was.
    pub executed: u64,
    /// As it was.
    pub actual: Option<DelaySummary>,
    /// In the twin.
    pub twin: Option<DelaySummary>,
}

impl Comparison {
    /// Of two tallies of the same ticks.
    pub fn of(actual: &Tally, twin: &Tally) -> Self {
        let mut queries: Vec<_> = actual
            .by_query()
            .iter()
            .map(|(query, delays)| QueryComparison {
                query: *query,
                executed: delays.executions(),
                actual: delays.summary(),
                twin: twin.by_query().get(query).and_then(DelayCounts::summary),
            })
            .collect();
        queries.sort_by_key(|query| (std::cmp::Reverse(query.executed), query.query));
        queries.truncate(QUERIES_TOLD);
        Self { actual: actual.summary(), twin: twin.summary(), queries }
    }
}

/// How the database is levelled, whose twin this is.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowSettings {
    /// Ceiling for the mean delay, in ticks; none lets the policy choose.
    pub delay_budget: Option<f64>,
    /// How long slots may hold executions.
    pub limits: HoldLimits,
    /// Of the database.
    pub lengths: Lengths,
}

/// See the module.
pub struct Shadow {
    other: Other,
    settings: ShadowSettings,
    twin: Twin,
    since: Tick,
    feasibility: Option<Feasibility>,
    actual: Recent,
    twins: Recent,
    /// Comparisons that were due so far.
    compared: u64,
    report: Option<Arc<ShadowReport>>,
}

impl Shadow {
    /// The shadow of a database in `mode`, from `from` on; none while nobody is to be asked about levelling.
    pub fn begin(mode: Mode, settings: ShadowSettings, from: Tick) -> Option<Self> {
        let other = match mode {
            Mode::Off => return None,
            Mode::Shadow => Other::Enforced,
            Mode::Enforce => Other::Unlevelled,
        };
        let twin = Self::twin(other, &settings, from);
        let since = twin.next();
        let (actual, twins) = (Recent::new(settings.lengths), Recent::new(settings.lengths));
        Some(Self {
            other,
            settings,
            twin,
            since,
            feasibility: None,
            actual,
            twins,
            compared: 0,
            report: None,
        })
    }

    fn twin(other: Other, settings: &ShadowSettings, from: Tick) -> Twin {
        let ShadowSettings { delay_budget, limits, lengths } = settings.clone();
        let policy = match other {
            Other::Enforced => PolicyName::Evenkeel,
            Other::Unlevelled => PolicyName::None,
        };
        Twin::new(TwinSettings { policy, delay_budget, limits, lengths }, from)
    }

    /// Applies an entry of the journal.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Queue(event) => self.twin.event(event),
            Record::Executed(executed) if executed.tick >= self.since => self.actual.apply(record),
            Record::Window(window) if window.first_tick >= self.since => self.actual.apply(record),
            Record::Executed(_) | Record::Window(_) => {}
        }
    }

    /// Runs the twin through tick `through`, whose entries have all been applied, at costs as they are known now.
    pub fn run(&mut self, through: Tick, estimates: &Estimates) {
        if through.since(self.twin.next()) > BEHIND_MAX {
            self.twin = Self::twin(self.other, &self.settings, through.next());
        }
        while self.twin.next() <= through {
            let (records, feasibility) = self.twin.run(estimates);
            for record in &records {
                self.twins.apply(record);
            }
            self.feasibility = feasibility;
        }
        let lengths = self.settings.lengths;
        let period = lengths.ticks_in_ms(COMPARED_MS).max(lengths.window_ticks);
        let due = self.twin.next().since(self.since) / period;
        if due > self.compared {
            self.compared = due;
            self.compare();
        }
    }

    fn compare(&mut self) {
        self.report = Some(Arc::new(ShadowReport {
            other: self.other,
            since: self.since,
            until: self.twin.next(),
            feasibility: self.feasibility,
            hour: Comparison::of(&self.actual.hour(), &self.twins.hour()),
            day: Comparison::of(&self.actual.day(), &self.twins.day()),
        }));
    }

    /// The comparison as of ten seconds ago at most, or a window where that is longer; none before the first.
    pub fn report(&self) -> Option<&Arc<ShadowReport>> {
        self.report.as_ref()
    }
}
