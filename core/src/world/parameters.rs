//! What a simulated database is made of, and the scenarios that have names.

use std::{f64::consts::PI, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::units::{
    lengths::{DEFAULT_DELAY_TICKS_RANGE, Lengths, WINDOW_TICKS_RANGE},
    tick::Tick,
};

/// Location μ, scale σ and skew λ of a skew normal distribution, in resource units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkewNormal {
    /// μ
    pub location: f64,
    /// σ
    pub scale: f64,
    /// λ
    pub skew: f64,
}

/// How the load moves over the day: s(t) = `amplitude`·sin((t − `phase_ticks`)·π / `half_period_ticks`) + `level`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailyCurve {
    /// Half the way from the quietest to the busiest tick.
    pub amplitude: f64,
    /// The mean.
    pub level: f64,
    /// The tick at which the curve crosses its mean upwards.
    pub phase_ticks: f64,
    /// Half a period.
    pub half_period_ticks: f64,
}

impl DailyCurve {
    /// s(t).
    pub fn at(&self, tick: Tick) -> f64 {
        let angle = (tick.0 as f64 - self.phase_ticks) * PI / self.half_period_ticks;
        self.amplitude * libm::sin(angle) + self.level
    }
}

/// Extra arrivals at every tick divisible by `every_ticks`, queries uniform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// Ticks from one burst to the next.
    pub every_ticks: u64,
    /// Arrivals of one burst.
    pub arrivals: u32,
}

/// The costs of every second query are drawn anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The first tick with the new costs.
    pub at_tick: u64,
}

/// Everything that defines a simulated database, besides its seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Queries; the i-th is bound by cpu, io or memory as i mod 3 is 0, 1 or 2.
    pub query_count: usize,
    /// Scales all arrival rates.
    pub rate: f64,
    /// How unlike queries are in how often they arrive: shares in proportion to Exp(1) to this power. 0 makes all alike,
    /// 1 is exponential, more leaves most arrivals to a few queries.
    pub rate_exponent: f64,
    /// Length of a tick.
    pub tick_ms: u64,
    /// Ticks in a window.
    pub window_ticks: u64,
    /// Ticks between an arrival and its base due tick.
    pub default_delay_ticks: u64,
    /// Cost of the resource that binds a query: truncated, at least 1.
    pub bound_cost: SkewNormal,
    /// Cost of each of the two others: truncated, at least 1.
    pub other_cost: SkewNormal,
    /// How the rate moves over time.
    pub daily_curve: DailyCurve,
    /// Bursts, if any.
    pub bursts: Option<Bursts>,
    /// A change of costs, if any.
    pub drift: Option<Drift>,
}

impl Default for Parameters {
    fn default() -> Self {
        let Lengths { tick_ms, window_ticks, default_delay_ticks } = Lengths::default();
        Self {
            query_count: 100,
            rate: 1.0,
            rate_exponent: 1.0,
            tick_ms,
            window_ticks,
            default_delay_ticks,
            bound_cost: SkewNormal { location: 70.0, scale: 15.0, skew: -10.0 },
            other_cost: SkewNormal { location: 30.0, scale: 15.0, skew: 10.0 },
            daily_curve: DailyCurve {
                amplitude: 0.5,
                level: 1.5,
                phase_ticks: 500.0,
                half_period_ticks: 10_000.0,
            },
            bursts: None,
            drift: None,
        }
    }
}

/// A parameter that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{parameter}` is {value}: expected {expected}")]
pub struct ParametersError {
    /// Its name, with dots.
    pub parameter: &'static str,
    /// What it was set to.
    pub value: String,
    /// What would be right.
    pub expected: &'static str,
}

impl Parameters {
    /// Mean arrivals per tick that may be asked for: beyond it a tick would not fit into memory.
    const RATE_MAX: f64 = 100_000.0;

    /// How long ticks, windows and the delay that nobody asked for are.
    pub fn lengths(&self) -> Lengths {
        let Self { tick_ms, window_ticks, default_delay_ticks, .. } = *self;
        Lengths { tick_ms, window_ticks, default_delay_ticks }
    }

    /// # Errors
    /// The first parameter that cannot be.
    pub fn check(&self) -> Result<(), ParametersError> {
        let curve = self.daily_curve;
        let positive = "a finite number above 0";
        let finite = "a finite number";
        require(self.query_count, "query_count", "1..=1000000", (1..=1_000_000).contains(&self.query_count))?;
        require(self.rate, "rate", "0..=100000", (0.0..=Self::RATE_MAX).contains(&self.rate))?;
        let exponent = self.rate_exponent;
        require(exponent, "rate_exponent", "0..=4", (0.0..=4.0).contains(&exponent))?;
        require(self.tick_ms, "tick_ms", "1..=60000", (1..=60_000).contains(&self.tick_ms))?;
        let (window, delay) = (self.window_ticks, self.default_delay_ticks);
        require(window, "window_ticks", "2..=600", WINDOW_TICKS_RANGE.contains(&window))?;
        require(delay, "default_delay_ticks", "1..=100", DEFAULT_DELAY_TICKS_RANGE.contains(&delay))?;
        for (shape, names) in [
            (self.bound_cost, ["bound_cost.location", "bound_cost.scale", "bound_cost.skew"]),
            (self.other_cost, ["other_cost.location", "other_cost.scale", "other_cost.skew"]),
        ] {
            let sane = "a number of -1000000..=1000000";
            require(shape.location, names[0], sane, shape.location.abs() <= 1e6)?;
            require(shape.scale, names[1], "0..=1000000", (0.0..=1e6).contains(&shape.scale))?;
            require(shape.skew, names[2], sane, shape.skew.abs() <= 1e6)?;
        }
        require(curve.amplitude, "daily_curve.amplitude", finite, curve.amplitude.is_finite())?;
        let lowest = curve.level - curve.amplitude.abs();
        require(
            curve.level,
            "daily_curve.level",
            "at least the amplitude",
            lowest >= 0.0 && lowest.is_finite(),
        )?;
        require(curve.phase_ticks, "daily_curve.phase_ticks", finite, curve.phase_ticks.is_finite())?;
        let half = curve.half_period_ticks;
        require(half, "daily_curve.half_period_ticks", positive, half.is_finite() && half > 0.0)?;
        if let Some(bursts) = self.bursts {
            require(bursts.every_ticks, "bursts.every_ticks", "1 or more", bursts.every_ticks > 0)?;
            require(bursts.arrivals, "bursts.arrivals", "0..=100000", bursts.arrivals <= 100_000)?;
        }
        Ok(())
    }
}

fn require(
    value: impl fmt::Display,
    parameter: &'static str,
    expected: &'static str,
    holds: bool,
) -> Result<(), ParametersError> {
    if holds { Ok(()) } else { Err(ParametersError { parameter, value: value.to_string(), expected }) }
}

/// A named set of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Rate 1: one or two executions a tick.
    Seed,
    /// Rate 2.
    Busy,
    /// Rate 5.
    X5,
    /// Rate 10.
    X10,
    /// Rate 50.
    X50,
    /// Rate 0.2: fewer than one execution a tick.
    Quiet,
    /// Three queries.
    Few,
    /// 10,000 queries at rate 10.
    Many,
    /// Rate 5, and another 100 arrivals every 300 ticks.
    Spiky,
    /// Rate 5, and every second query's costs change at tick 10,000.
    Drift,
    /// Rate 10 at 100 ticks a second.
    Fast,
}

/// No scenario has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scenario `{name}`: one of {}", Scenario::ALL.map(Scenario::name).join(", "))]
pub struct UnknownScenario {
    /// What was asked for.
    pub name: String,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Seed,
        Self::Busy,
        Self::X5,
        Self::X10,
        Self::X50,
        Self::Quiet,
        Self::Few,
        Self::Many,
        Self::Spiky,
        Self::Drift,
        Self::Fast,
    ];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Busy => "busy",
            Self::X5 => "x5",
            Self::X10 => "x10",
            Self::X50 => "x50",
            Self::Quiet => "quiet",
            Self::Few => "few",
            Self::Many => "many",
            Self::Spiky => "spiky",
            Self::Drift => "drift",
            Self::Fast => "fast",
        }
    }

    /// Its parameters.
    pub fn parameters(self) -> Parameters {
        let rate = |rate| Parameters { rate, ..Parameters::default() };
        match self {
            Self::Seed => rate(1.0),
            Self::Busy => rate(2.0),
            Self::X5 => rate(5.0),
            Self::X10 => rate(10.0),
            Self::X50 => rate(50.0),
            Self::Quiet => rate(0.2),
            Self::Few => Parameters { query_count: 3, ..rate(1.0) },
            Self::Many => Parameters { query_count: 10_000, ..rate(10.0) },
            Self::Spiky => {
                Parameters { bursts: Some(Bursts { every_ticks: 300, arrivals: 100 }), ..rate(5.0) }
            }
            Self::Drift => Parameters { drift: Some(Drift { at_tick: 10_000 }), ..rate(5.0) },
            Self::Fast => Parameters { tick_ms: 10, ..rate(10.0) },
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == text)
            .ok_or_else(|| UnknownScenario { name: text.to_owned() })
    }
}
