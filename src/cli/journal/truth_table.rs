//! `evenkeel journal verify --postgres`: the journal beside a table that tagged statements fill.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_actors::ports::history::{History, ReadError, Verdict};
use evenkeel_core::{
    invariants::{Ends, TagFinding, Tagged},
    journal::{EntryId, Stream},
    units::ids::QueryId,
};
use tokio_postgres::{Config, NoTls, error::DbError};

use super::failed;
use crate::exit::{Exit, ExitError};

/// Entries read at a time.
const CHUNK: usize = 5_000;
/// Findings that are told; more are counted.
const TOLD_MAX: usize = 1_000;

/// A table with a column `id`.
#[derive(Clone, Debug)]
pub(super) struct TruthTable {
    config: Config,
    /// For people, without a password.
    server: String,
    /// Quoted, ready to stand in a query.
    table: String,
}

impl TruthTable {
    /// The table `name`, perhaps with its schema before a point, in the database at `url`.
    pub(super) fn new(url: &str, name: &str) -> Result<Self, ExitError> {
        let parts: Vec<_> = name.split('.').collect();
        if parts.len() > 2 || parts.iter().any(|part| part.is_empty() || part.contains(['"', '\0'])) {
            let message =
                format!("`--truth-table` is `{name}`: expected a table, or its schema, a point and it");
            return Err(ExitError { exit: Exit::Usage, message });
        }
        let wrong = "`--postgres` cannot be read: expected postgres://user@host:5432/database";
        let config: Config =
            url.parse().map_err(|_| ExitError { exit: Exit::Usage, message: wrong.to_owned() })?;
        let server =
            format!("{:?}, database {}", config.get_hosts(), config.get_dbname().unwrap_or("of that name"));
        let table = parts.iter().map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(".");
        Ok(Self { config, server, table })
    }

    /// What is wrong between `journal` and the table is added to `verdict`. Rows are read before and after the journal, so
    /// that statements may go on meanwhile.
    pub(super) fn compare(&self, journal: &mut dyn History, verdict: &mut Verdict) -> Result<(), ExitError> {
        let before = self.rows()?;
        let (tagged, trimmed) = tagged(journal).map_err(|error| failed(&error))?;
        let after = self.rows()?;
        let mut findings = tagged.compare(&before);
        findings.retain(|finding| !matches!(finding, TagFinding::NoRow(tag) if after.contains(tag)));
        let told = findings.iter().take(TOLD_MAX).map(ToString::to_string);
        verdict.wrong.extend(told);
        if findings.len() > TOLD_MAX {
            verdict.wrong.push(format!("{} more findings beside the truth table", findings.len() - TOLD_MAX));
        }
        verdict.notes.push(format!(
            "compared {} rows of {} with {} tags in the journal",
            before.len(),
            self.table,
            tagged.tags()
        ));
        verdict.notes.extend(trimmed.then(|| {
            "retention has removed old entries: rows from before them have no record any more".to_owned()
        }));
        Ok(())
    }

    fn rows(&self) -> Result<BTreeSet<String>, ExitError> {
        let asked = actix::System::new().block_on(self.ask());
        asked.map_err(|error| ExitError {
            exit: Exit::Unreachable,
            message: format!(
                "the table {} cannot be read from {}: {}",
                self.table,
                self.server,
                cause(&error)
            ),
        })
    }

    async fn ask(&self) -> Result<BTreeSet<String>, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        let connection = actix::spawn(connection);
        let rows = client.query(&format!("SELECT id::text FROM {}", self.table), &[]).await;
        drop(client);
        // Whatever it ends with, the rows are there or the query has said why not.
        let _ = connection.await;
        rows?.iter().map(|row| row.try_get(0)).collect()
    }
}

fn cause(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), DbError::to_string)
}

/// What is journalled of tagged statements, and whether retention has removed entries.
fn tagged(journal: &mut dyn History) -> Result<(Tagged, bool), ReadError> {
    let ends: BTreeMap<QueryId, Ends> =
        journal.texts()?.into_iter().map(|text| (text.query, Ends::of(&text.text))).collect();
    let mut tagged = Tagged::default();
    let mut trimmed = false;
    // An outcome is younger than its release: read the other way round, one could be seen without the other.
    for stream in [Stream::Queue, Stream::Executions] {
        trimmed |= journal.info(stream)?.first.is_some_and(|first| first.seq > 1);
        let mut position = EntryId::default();
        loop {
            let page = journal.after(stream, position, CHUNK)?;
            let Some(last) = page.last_id() else { break };
            position = last;
            for entry in &page.entries {
                tagged.record(&entry.record, |query| ends.get(&query).copied().unwrap_or(Ends::Nothing));
            }
        }
    }
    Ok((tagged, trimmed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_quoted_and_what_is_none_is_refused() {
        let table = |name| TruthTable::new("postgres://u@h:1/d", name).map(|table| table.table);
        assert_eq!(table("truth").unwrap(), "\"truth\"");
        assert_eq!(table("s.Truth").unwrap(), "\"s\".\"Truth\"");
        for name in ["", "a.b.c", "a\"; drop table b; --", ".a"] {
            assert_eq!(table(name).unwrap_err().exit, Exit::Usage, "{name}");
        }
        let secret = TruthTable::new("postgres://u:secret@h:x/d", "t").unwrap_err().message;
        assert!(!secret.contains("secret"), "{secret}");
        let server = TruthTable::new("postgres://u:secret@h:1/d", "t").unwrap().server;
        assert!(!server.contains("secret") && server.contains('h'), "{server}");
    }
}
