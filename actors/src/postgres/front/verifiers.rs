//! Where the verifiers of users come from.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use evenkeel_core::postgres::replies::{Refusal, code};
use tokio::time::timeout;
use uuid::Uuid;

use super::bridge::ASK_MAX;
use crate::postgres::scram::Verifier;

/// Asks the database for a user's verifier: none where the user has none.
pub type AskVerifier =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Option<String>>> + Send>> + Send + Sync>;

/// See the module.
#[derive(Clone)]
pub struct Verifiers {
    source: Source,
    /// From which the salts of unknown users are made.
    secret: [u8; 16],
}

#[derive(Clone)]
enum Source {
    Nowhere,
    File(PathBuf),
    Database(AskVerifier),
}

impl fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.source {
            Source::Nowhere => "Verifiers(nowhere)",
            Source::File(_) => "Verifiers(file)",
            Source::Database(_) => "Verifiers(database)",
        })
    }
}

/// A file of verifiers that cannot be used. Nothing of a line is repeated.
#[derive(Debug, thiserror::Error)]
pub enum VerifiersError {
    /// It cannot be read.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// Which one.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is none of it.
    #[error("{}, line {line}: expected \"user\" \"SCRAM-SHA-256$…\", as in PgBouncer's userlist.txt", file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line.
        line: usize,
    },
}

impl Verifiers {
    /// None are known: SCRAM through TLS on both sides is refused, and the client told why.
    pub fn nowhere() -> Self {
        Self { source: Source::Nowhere, secret: Uuid::new_v4().into_bytes() }
    }

    /// Those in a file, read anew for each login. Lines `"user" "verifier"`, as in PgBouncer's `userlist.txt`.
    ///
    /// # Errors
    /// [`VerifiersError`]: it cannot be used now.
    pub fn in_file(file: &Path) -> Result<Self, VerifiersError> {
        read(file)?;
        Ok(Self { source: Source::File(file.to_owned()), ..Self::nowhere() })
    }

    /// Those that the database tells.
    pub fn asked(ask: AskVerifier) -> Self {
        Self { source: Source::Database(ask), ..Self::nowhere() }
    }

    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }

    pub(super) async fn of(&self, user: &str) -> Result<Option<Verifier>, Refusal> {
        let not_now = |cause: &dyn fmt::Display| {
            tracing::warn!(user, %cause, "a user's verifier cannot be found out");
            Refusal::new(code::NOT_NOW, "evenkeel cannot find out how to check the password: see its log")
        };
        match &self.source {
            Source::Nowhere => {
                let message = "SCRAM through TLS on both sides needs the verifiers of passwords";
                let hint = "start evenkeel with --pg-auth-query or --pg-auth-file";
                Err(Refusal::new(code::NOT_ALLOWED, message).hint(hint))
            }
            Source::File(file) => Ok(read(file).map_err(|error| not_now(&error))?.remove(user)),
            Source::Database(ask) => match timeout(ASK_MAX, ask(user.to_owned())).await {
                Ok(Ok(text)) => Ok(text.and_then(|text| text.parse().ok())),
                Ok(Err(error)) => Err(not_now(&error)),
                Err(_) => Err(not_now(&"no answer within 5 s")),
            },
        }
    }
}

fn read(file: &Path) -> Result<BTreeMap<String, Verifier>, VerifiersError> {
    let text = fs::read_to_string(file)
        .map_err(|error| VerifiersError::Unreadable { file: file.to_owned(), error })?;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with(';')
    });
    lines
        .map(|(at, line)| {
            let of_line = || {
                let (user, rest) = quoted(line.trim())?;
                let (verifier, _) = quoted(rest.trim_start())?;
                Some((user, verifier.parse().ok()?))
            };
            of_line().ok_or_else(|| VerifiersError::Line { file: file.to_owned(), line: at + 1 })
        })
        .collect()
}

/// A text in double quotes, a doubled one standing for one, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut all = String::new();
    loop {
        let end = rest.find('"')?;
        all.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                all.push('"');
                rest = more;
            }
            None => return Some((all, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn a_file_names_users_and_their_verifiers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("; a comment\n\n\"a \"\"b\"\"\" \"{ONE}\"\n")).unwrap();
        assert_eq!(read(file.path()).unwrap().into_keys().collect::<Vec<_>>(), ["a \"b\""]);
        fs::write(file.path(), "\"a\" \"geheim\"\n").unwrap();
        let error = Verifiers::in_file(file.path()).unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("geheim"), "{error}");
    }
}
