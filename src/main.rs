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
    evenkeel::cli::main()
}
