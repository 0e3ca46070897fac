//! `evenkeel journal verify`: does it say everything, once, and nothing else?

use std::{
    fs::File,
    io::{BufRead as _, BufReader, IsTerminal as _, Write, stderr, stdout},
    path::{Path, PathBuf},
};

use clap::Args;
use evenkeel_actors::journal::outbox::{self, Verified};
use evenkeel_core::invariants::{Finding, TruthRow};
use serde_json::json;

use super::{Which, failed};
use crate::exit::{Exit, ExitError};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    which: Which,
    /// Compare with what the database really ran: the file that `run --truth` wrote.
    #[arg(long, env = "EVENKEEL_TRUTH")]
    truth: Option<PathBuf>,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let reader = super::open(&options.which.data_dir)?;
    let truth = options.truth.as_deref().map(read_truth).transpose()?;
    let mut shown = false;
    let verified = outbox::verify(&reader, truth, |read, total| {
        // For a person who waits; a log has no use for it.
        if stderr().is_terminal() {
            shown = true;
            eprint!("\r{read} of {total} entries");
        }
    });
    if shown {
        eprintln!();
    }
    let verified = verified.map_err(|error| failed(&error))?;
    let mut out = stdout().lock();
    if options.which.json {
        print_json(&mut out, &verified)?;
    } else {
        print(&mut out, &verified)?;
    }
    let holds = verified.damage.is_none() && verified.report.findings.count() == 0;
    Ok(if holds { Exit::Ok } else { Exit::CheckFailed })
}

fn print(out: &mut impl Write, verified: &Verified) -> std::io::Result<()> {
    let Verified { report, damage } = verified;
    let findings = &report.findings;
    for finding in findings.first() {
        writeln!(out, "wrong: {finding}")?;
    }
    let more = findings.count() - findings.first().len() as u64;
    if more > 0 {
        writeln!(out, "wrong: {more} more findings")?;
    }
    if let Some(damage) = damage {
        writeln!(out, "wrong: {damage}")?;
    }
    let entries = &report.entries;
    writeln!(
        out,
        "read {} executions, {} queue events, {} windows",
        entries.executions, entries.queue, entries.windows
    )?;
    let verb = if findings.count() == 0 { "proved" } else { "checked" };
    match report.proved {
        Some((first, last)) => {
            writeln!(out, "{verb} ticks {first} to {last}: {} executions, each once", report.executed)?;
        }
        None => writeln!(out, "{verb} nothing: no window has closed")?,
    }
    writeln!(out, "open: {} younger entries, {} executions that wait", report.open_entries, report.waiting)
}

fn print_json(out: &mut impl Write, verified: &Verified) -> std::io::Result<()> {
    let Verified { report, damage } = verified;
    let proved = report.proved.map(|(first, last)| json!({"first_tick": first, "last_tick": last}));
    let findings: Vec<_> = report.findings.first().iter().map(Finding::to_string).collect();
    let verified = json!({
        "ok": damage.is_none() && report.findings.count() == 0,
        "entries": report.entries, "proved": proved, "executed": report.executed,
        "open_entries": report.open_entries, "waiting": report.waiting,
        "findings": findings, "finding_count": report.findings.count(),
        "damage": damage.as_ref().map(ToString::to_string),
    });
    writeln!(out, "{verified}")
}

/// The rows of a truth file. A last line that a kill cut short did not run.
fn read_truth(path: &Path) -> Result<Vec<TruthRow>, ExitError> {
    let unusable = |what: String| ExitError {
        exit: Exit::Unreachable,
        message: format!("the truth file {} cannot be used: {what}", path.display()),
    };
    let file = File::open(path).map_err(|error| unusable(error.to_string()))?;
    let mut reader = BufReader::new(file);
    let mut rows = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).map_err(|error| unusable(error.to_string()))? > 0 {
        if line.ends_with('\n') {
            rows.push(line.parse().map_err(|error| unusable(format!("line {}: {error}", rows.len() + 1)))?);
        }
        line.clear();
    }
    Ok(rows)
}
