//! evenkeel: keep a database on an even keel.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Nothing of this is in a release: tests/it/cli.rs looks.
    #[cfg(feature = "mutants")]
    if let Ok(name) = std::env::var("EVENKEEL_MUTANT") {
        match name.parse() {
            Ok(mutant) => evenkeel_core::mutant::choose(Some(mutant)),
            Err(unknown) => {
                evenkeel::output::error(unknown);
                evenkeel::output::flush();
                return evenkeel::exit::Exit::Usage.into();
            }
        }
    }
    #[cfg(feature = "faults")]
    if let Err(unusable) = choose_disk() {
        evenkeel::output::error(unusable);
        evenkeel::output::flush();
        return evenkeel::exit::Exit::Usage.into();
    }
    evenkeel::cli::main()
}

/// With `EVENKEEL_DISK=forgets` (or `tears`, or `lies`) the process' end takes what SQLite has not synced.
#[cfg(feature = "faults")]
fn choose_disk() -> Result<(), String> {
    let Ok(name) = std::env::var("EVENKEEL_DISK") else { return Ok(()) };
    let disk = name.parse().map_err(|error| format!("EVENKEEL_DISK: {error}"))?;
    evenkeel_forgetful::install(disk).map_err(|error| error.to_string())
}
