//! `evenkeel journal verify`: does it say everything, once, and nothing else?

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use evenkeel_actors::ports::history::Verdict;
use evenkeel_core::invariants::{Finding, TruthRow};
use serde_json::json;

use super::{Which, failed, truth_table::TruthTable};
use crate::{
    config::Masked,
    exit::{Exit, ExitError},
    output::{self, DataError},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    which: Which,
    /// Compare with what the database really ran: the file that `run --truth` wrote.
    #[arg(long, env = "EVENKEEL_TRUTH")]
    truth: Option<PathBuf>,
    /// Compare with a table of this PostgreSQL that statements with a comment /*truth='ID'*/ fill:
    /// postgres://[user@]host[:port]/database.
    #[arg(long, value_name = "URL", requires = "truth_table")]
    postgres: Option<Masked>,
    /// That table, perhaps with its schema before a point. It has a column `id`.
    #[arg(long, value_name = "TABLE", requires = "postgres")]
    truth_table: Option<String>,
}

impl Options {
    fn truth_table(&self) -> Result<Option<TruthTable>, ExitError> {
        let (Some(url), Some(table)) = (&self.postgres, &self.truth_table) else { return Ok(None) };
        TruthTable::new(url.expose(), table).map(Some)
    }
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let mut journal = options.which.open()?.history();
    let truth = options.truth.as_deref().map(read_truth).transpose()?;
    let truth_table = options.truth_table()?;
    let mut progress = Progress::default();
    let verified = journal.verify(truth, &mut |read, total| progress.show(read, total));
    progress.end();
    let mut verdict = verified.map_err(|error| failed(&error))?;
    if let Some(table) = truth_table {
        table.compare(&mut *journal, &mut verdict)?;
    }
    let print = if options.which.json { print_json } else { print };
    match output::data(|out| print(out, &verdict)) {
        // What was found matters more than who listened to its end.
        Err(DataError::Closed) if !verdict.holds() => {}
        printed => printed?,
    }
    Ok(if verdict.holds() { Exit::Ok } else { Exit::CheckFailed })
}

/// For a person who waits; a log has no use for it.
#[derive(Default)]
pub(super) struct Progress {
    shown: bool,
}

impl Progress {
    pub(super) fn show(&mut self, read: u64, total: u64) {
        if output::is_watched() {
            self.shown = true;
            output::raw(format_args!("\r{read} of {total} entries"));
        }
    }

    pub(super) fn end(&self) {
        if self.shown {
            output::raw("\n");
        }
    }
}

fn print(out: &mut dyn Write, verdict: &Verdict) -> std::io::Result<()> {
    let Verdict { report, wrong, notes } = verdict;
    let findings = &report.findings;
    for finding in findings.first() {
        writeln!(out, "wrong: {finding}")?;
    }
    let more = findings.count() - findings.first().len() as u64;
    if more > 0 {
        writeln!(out, "wrong: {more} more findings")?;
    }
    for wrong in wrong {
        writeln!(out, "wrong: {wrong}")?;
    }
    for note in notes {
        writeln!(out, "note: {note}")?;
    }
    let entries = &report.entries;
    writeln!(
        out,
        "read {} executions, {} queue events, {} windows",
        entries.executions, entries.queue, entries.windows
    )?;
    let verb = if verdict.holds() { "proved" } else { "checked" };
    match report.proved {
        Some((first, last)) => {
            writeln!(out, "{verb} ticks {first} to {last}: {} executions, each once", report.executed)?;
        }
        None => writeln!(out, "{verb} nothing: no window has closed")?,
    }
    writeln!(out, "open: {} younger entries, {} executions that wait", report.open_entries, report.waiting)?;
    if report.released > 0 {
        writeln!(out, "open: {} executions that were released and have no outcome", report.released)?;
    }
    Ok(())
}

fn print_json(out: &mut dyn Write, verdict: &Verdict) -> std::io::Result<()> {
    let Verdict { report, wrong, notes } = verdict;
    let proved = report.proved.map(|(first, last)| json!({"first_tick": first, "last_tick": last}));
    let findings: Vec<_> = report.findings.first().iter().map(Finding::to_string).collect();
    let verified = json!({
        "ok": verdict.holds(),
        "entries": report.entries, "proved": proved, "executed": report.executed,
        "open_entries": report.open_entries, "waiting": report.waiting, "released": report.released,
        "findings": findings, "finding_count": report.findings.count(),
        "wrong": wrong, "notes": notes,
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
