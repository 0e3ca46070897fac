//! How long the ticks and windows are of a server that does not tell.

use clap::Args;
use evenkeel_core::units::lengths::Lengths;

use super::layers::{Layers, Setting};
use crate::exit::ExitError;

/// What `client --poll` takes.
#[derive(Debug, Args)]
pub(super) struct PaceOptions {
    /// With --poll: milliseconds in a tick of the server [default: 100]
    #[arg(long, env = "EVENKEEL_TICK_MS", value_name = "MS")]
    tick_ms: Option<u64>,
    /// With --poll: ticks in a window of the server [default: 10]
    #[arg(long, env = "EVENKEEL_WINDOW_TICKS", value_name = "TICKS")]
    window_ticks: Option<u64>,
    /// With --poll: ticks between an arrival and its base due tick [default: 1]
    #[arg(long, env = "EVENKEEL_DEFAULT_DELAY_TICKS", value_name = "TICKS")]
    default_delay_ticks: Option<u64>,
}

impl PaceOptions {
    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers) -> Vec<Setting> {
        let Lengths { tick_ms, window_ticks, default_delay_ticks } = Lengths::default();
        let (file, text) = (&layers.file, |ticks: u64| ticks.to_string());
        vec![
            layers.setting("tick_ms", self.tick_ms, file.tick_ms, Some(&text(tick_ms))),
            layers.setting("window_ticks", self.window_ticks, file.window_ticks, Some(&text(window_ticks))),
            layers.setting(
                "default_delay_ticks",
                self.default_delay_ticks,
                file.default_delay_ticks,
                Some(&text(default_delay_ticks)),
            ),
        ]
    }

    /// Whether any of them was.
    pub(super) fn is_given(&self) -> bool {
        [self.tick_ms, self.window_ticks, self.default_delay_ticks].iter().any(Option::is_some)
    }

    /// # Errors
    /// A length that cannot be; exit code 2.
    pub(super) fn merge(&self, layers: &Layers) -> Result<Lengths, ExitError> {
        let file = &layers.file;
        let mut told = [None; 3];
        let given = [
            ("tick_ms", self.tick_ms, file.tick_ms, "1..=60000"),
            ("window_ticks", self.window_ticks, file.window_ticks, "2..=600"),
            ("default_delay_ticks", self.default_delay_ticks, file.default_delay_ticks, "1..=100"),
        ];
        for (place, (name, given, filed, expected)) in given.into_iter().enumerate() {
            let mut alone = [None; 3];
            alone[place] = given.or(filed);
            if Lengths::told(alone).is_none_or(|lengths| lengths.tick_ms > 60_000) {
                let value = alone[place].unwrap_or_default();
                let message = format!("`{name}` is {value}: expected {expected}");
                return Err(layers.refuse(name, filed.is_some(), message));
            }
            told[place] = alone[place];
        }
        Ok(Lengths::told(told).unwrap_or_default())
    }
}
