//! Where logs go: stderr, as text for people or as JSON for machines, through [`output`], so that nobody who logs waits.

use std::io::Write as _;

use evenkeel_core::text;
use serde::{Deserialize, Serialize};

use crate::output::{self, Log};

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for a person.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// Longest event: what others sent is cut before, so this is what the program itself has to say.
const EVENT_CHARS_MAX: usize = 4_000;
/// What is logged unless `RUST_LOG` says otherwise.
const FILTER: &str = "info,actix_server=warn";

/// Picks one sink for `tracing`'s events: `env_logger` for text (through tracing's `log` feature), or
/// tracing-subscriber for JSON. Both at once would show each event twice. `RUST_LOG` filters.
pub fn init(format: LogFormat) {
    let given = std::env::var("RUST_LOG").ok().filter(|given| !given.trim().is_empty());
    match format {
        LogFormat::Text => text(given.as_deref()),
        LogFormat::Json => json(given.as_deref()),
    }
}

fn text(given: Option<&str>) {
    let style =
        if output::is_coloured() { env_logger::WriteStyle::Always } else { env_logger::WriteStyle::Never };
    let given = given.filter(|given| match env_filter::Builder::new().try_parse(given) {
        Ok(_) => true,
        Err(error) => {
            not_a_filter(given, &error);
            false
        }
    });
    let mut logger = env_logger::Builder::new();
    logger.parse_filters(given.unwrap_or(FILTER)).write_style(style);
    logger.target(env_logger::Target::Pipe(Box::new(Log)));
    logger.format(|out, record| {
        // One line, whatever others have put into what they sent: no escape of a terminal, and no line that looks like ours.
        let message = text::shown(&record.args().to_string(), EVENT_CHARS_MAX);
        let (level, style) = (record.level(), out.default_level_style(record.level()));
        writeln!(out, "[{} {style}{level:<5}{style:#} {}] {message}", out.timestamp(), record.target())
    });
    // Already initialised only in tests, which share one process.
    let _ = logger.try_init();
}

fn json(given: Option<&str>) {
    output::speak_json();
    let filter = given.and_then(|given| {
        given.parse::<tracing_subscriber::EnvFilter>().map_err(|error| not_a_filter(given, &error)).ok()
    });
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        // Its complaints would go to stderr directly, and panic there.
        .log_internal_errors(false)
        .with_writer(|| Log)
        .with_env_filter(filter.unwrap_or_else(|| FILTER.into()))
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn not_a_filter(given: &str, error: &impl std::fmt::Display) {
    output::note(format!("RUST_LOG `{given}` is no filter ({error}): `{FILTER}` is used, of the same form"));
}
