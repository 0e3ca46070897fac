//! evenkeel: keep a database on an even keel.

use std::process::ExitCode;

fn main() -> ExitCode {
    evenkeel::cli::main()
}
