//! Values that completions and help know, while the parser behind them says what is wrong with others.

use std::ffi::OsStr;

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, TypedValueParser},
};
use evenkeel_core::{
    journal::Stream,
    scheduler::PolicyName,
    simulate::real::RealPolicy,
    world::{Scenario, real::RealScenario},
};

use crate::tokens::Scope;

/// `parser`, which is known to take these values, and perhaps others.
#[derive(Clone)]
pub(super) struct Known<P> {
    parser: P,
    values: Vec<&'static str>,
}

impl<P: TypedValueParser> TypedValueParser for Known<P> {
    type Value = P::Value;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Self::Value, Error> {
        self.parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.values.iter().map(PossibleValue::new)))
    }
}

/// A value with a name, such as a mode.
fn named<T>(values: Vec<&'static str>) -> Known<impl TypedValueParser<Value = T>>
where
    T: std::str::FromStr<Err: std::fmt::Display> + Clone + Send + Sync + 'static,
{
    let parse = |text: &str| text.parse::<T>().map_err(|error| error.to_string());
    Known { parser: parse, values }
}

/// Text, of which some is known.
fn text(values: Vec<&'static str>) -> Known<impl TypedValueParser<Value = String>> {
    named::<String>(values)
}

/// A scenario's name, or a file.
pub(super) fn scenarios() -> Known<impl TypedValueParser<Value = String>> {
    text(Scenario::ALL.iter().map(|scenario| scenario.name()).collect())
}

/// The same, or all of them.
pub(super) fn scenarios_or_all() -> Known<impl TypedValueParser<Value = String>> {
    let real = RealScenario::ALL.iter().map(|scenario| scenario.name());
    text(Scenario::ALL.iter().map(|scenario| scenario.name()).chain(real).chain(["all"]).collect())
}

/// The same of a policy, those of real databases, too.
pub(super) fn simulated_policies() -> Known<impl TypedValueParser<Value = String>> {
    let real = RealPolicy::ALL.iter().skip(1).map(|policy| policy.name());
    text(PolicyName::ALL.iter().map(|policy| policy.name()).chain(real).chain(["all"]).collect())
}

/// A policy's name, or all.
pub(super) fn policies() -> Known<impl TypedValueParser<Value = String>> {
    text(PolicyName::ALL.iter().map(|policy| policy.name()).chain(["all"]).collect())
}

/// A mode.
pub(super) fn modes() -> Known<impl TypedValueParser<Value = evenkeel_core::journal::Mode>> {
    named(vec!["off", "shadow", "enforce"])
}

/// A token's scope.
pub(super) fn scopes() -> Known<impl TypedValueParser<Value = Scope>> {
    named(Scope::ALL.iter().map(|scope| scope.name()).collect())
}

/// A stream of the journal.
pub(super) fn streams() -> Known<impl TypedValueParser<Value = Stream>> {
    named(Stream::ALL.iter().map(|stream| stream.name()).collect())
}
