//! What evenkeel asks the database itself, beside its clients: one connection, kept, made anew where it broke.
//!
//! [`Own`] is a handle that any thread may have. The [`Keeper`] behind it is a future for one thread: it connects, waits
//! longer after each failure, and hands the connection out. A question that has no answer within [`ANSWER_MAX`] is given
//! up, and its connection with it.

mod keeper;
mod passfile;
mod questions;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_postgres::{Client, Error, error::SqlState};

pub use self::{
    keeper::Keeper,
    questions::{Activity, Running},
};
use super::upstream::Upstream;

/// Longest time from a question to its answer, the connection included.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Questions that wait for a connection; more are refused at once.
const WAITING_MAX: usize = 1_000;

/// Why there is no answer. Nothing here repeats a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnError {
    /// There is no connection.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// No answer within [`ANSWER_MAX`].
    #[error("the database has not answered within 5 s")]
    Late,
    /// The database refuses the question.
    #[error("the database refuses: {message} ({code})")]
    Refused {
        /// SQLSTATE.
        code: String,
        /// In its words.
        message: String,
    },
    /// Nobody has said how verifiers are asked for.
    #[error("no --pg-auth-query is given")]
    NoAuthQuery,
}

impl From<Error> for OwnError {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(said) if *said.code() == SqlState::QUERY_CANCELED => Self::Late,
            Some(said) => {
                Self::Refused { code: said.code().code().to_owned(), message: said.message().to_owned() }
            }
            None => Self::Away(cause(&error)),
        }
    }
}

/// An error with what caused it.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// What is configured besides the address.
#[derive(Clone, Debug, Default)]
pub struct OwnSettings {
    /// The file of passwords (PGPASSFILE, else `~/.pgpass`), read again at each connect.
    pub passfile: Option<PathBuf>,
    /// See `--pg-auth-query`: one parameter, the user; the verifier is the first column of the first row.
    pub auth_query: Option<String>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Own {
    asks: mpsc::Sender<Ask>,
    auth_query: Option<Arc<str>>,
}

/// What a handle asks of the keeper.
#[derive(Debug)]
enum Ask {
    /// The connection.
    Client(oneshot::Sender<Result<Arc<Client>, OwnError>>),
    /// That this connection, which does not answer, is given up.
    GiveUp(Arc<Client>),
}

impl Own {
    /// The handle, and the keeper, which has to be run: it ends when no handle is left.
    pub fn new(upstream: Upstream, settings: OwnSettings) -> (Self, Keeper) {
        let (asks, asked) = mpsc::channel(WAITING_MAX);
        let auth_query = settings.auth_query.as_deref().map(Arc::from);
        (Self { asks, auth_query }, Keeper::new(upstream, settings.passfile, asked))
    }

    async fn client(&self) -> Result<Arc<Client>, OwnError> {
        let (reply, answer) = oneshot::channel();
        let gone = || OwnError::Away("evenkeel ends, or asks too much at once".to_owned());
        self.asks.try_send(Ask::Client(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Asks `question` over the connection.
    async fn ask<T>(&self, question: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, OwnError> {
        let mut used = None;
        let answer = timeout(ANSWER_MAX, async {
            let client = self.client().await?;
            used = Some(Arc::clone(&client));
            question(&client).await.map_err(OwnError::from)
        });
        let Ok(answer) = answer.await else {
            if let Some(client) = used {
                // Where the keeper is busy or gone, nobody else waits for this connection either.
                let _ = self.asks.try_send(Ask::GiveUp(client));
            }
            return Err(OwnError::Late);
        };
        answer
    }
}
