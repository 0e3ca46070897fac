//! Where logs go: stderr, as text for people or as JSON for machines.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};

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

/// Picks one sink for `tracing`'s events: `env_logger` for text (through tracing's `log` feature), or
/// tracing-subscriber for JSON. Both at once would show each event twice. `RUST_LOG` filters.
pub fn init(format: LogFormat) {
    match format {
        LogFormat::Text => {
            let env = env_logger::Env::default().default_filter_or("info,actix_server=warn");
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let style = if colour { env_logger::WriteStyle::Auto } else { env_logger::WriteStyle::Never };
            // Already initialised only in tests, which share one process.
            let _ = env_logger::Builder::from_env(env).write_style(style).try_init();
        }
        LogFormat::Json => {
            let filter = tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,actix_server=warn".into());
            let subscriber = tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_writer(std::io::stderr)
                .with_env_filter(filter)
                .finish();
            let _ = tracing::subscriber::set_global_default(subscriber);
        }
    }
}
