//! What a text of SQL is, as far as recording and holding have to know.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use crate::units::ids::QueryId;

/// The namespace of queries that are known by nothing but a name; drawn once, for this purpose only.
const OPAQUE: Uuid = Uuid::from_u128(0x0b3f_6c5a_92de_4d17_a1c8_57f0_3b9e_64d2);

/// Who understands texts. Asked for each statement, so the same text again costs a look into a cache.
pub trait Understand {
    /// What `text` holds. A text that cannot be parsed is understood, too, as [`Understood::exact`] says.
    fn understand(&mut self, text: &str) -> Arc<Understood>;
}

/// A text: the statements in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Understood {
    /// In their order. None in a text of blanks and comments.
    pub parts: Vec<Part>,
    /// Whether the database's own grammar has parsed the text. Otherwise a lexer has looked at words alone, and nothing
    /// may rest on what it found but for what is recorded.
    pub exact: bool,
    /// What comments say, as `key='value'` (the style of SQLCommenter): `class`, `truth`, `traceparent` and others.
    pub tags: BTreeMap<String, String>,
    /// What `truth` the comments of each statement say, where there are several; empty where no comment says any.
    pub truths: Vec<Option<String>>,
}

/// One statement of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it does.
    pub kind: Kind,
    /// Which query it is a run of: uuid v5 of database and fingerprint.
    pub query: QueryId,
    /// Its text without literals and comments, with `$1` in place of each literal.
    pub text: Arc<str>,
    /// Whether it surely reads alone: one SELECT without INTO, without locks, without a WITH that writes, which calls none
    /// but functions of `pg_catalog` that are not volatile; or SHOW. A view or an operator may hide a function.
    pub sure_read: bool,
}

impl Understood {
    /// One statement of which nothing is known but what `text` says.
    pub fn opaque(kind: Kind, text: &str) -> Self {
        let query = QueryId(Uuid::new_v5(&OPAQUE, text.as_bytes()));
        let part = Part { kind, query, text: text.into(), sure_read: false };
        Self { parts: vec![part], exact: false, ..Self::default() }
    }

    /// What a comment says as `truth` of the statement at `at`. Of several in a text each has its own.
    pub fn truth(&self, at: usize) -> Option<&String> {
        self.truths.get(at).map_or_else(|| self.tags.get("truth"), Option::as_ref)
    }
}

/// What a statement does, as far as anybody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SELECT, VALUES, TABLE; also SELECT INTO.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// BEGIN or START TRANSACTION.
    Begin,
    /// COMMIT or END; also COMMIT AND CHAIN.
    Commit,
    /// ROLLBACK or ABORT of the whole transaction.
    Rollback,
    /// ROLLBACK TO a savepoint.
    RollbackTo,
    /// SAVEPOINT or RELEASE.
    Savepoint,
    /// PREPARE TRANSACTION.
    PrepareTransaction,
    /// COMMIT PREPARED or ROLLBACK PREPARED.
    FinishPrepared,
    /// SET, of a parameter with a name; the value where it is one plain constant. RESET has none.
    Set {
        /// The parameter, in lower case.
        name: String,
        /// What it is set to.
        value: Option<String>,
        /// SET LOCAL.
        local: bool,
    },
    /// RESET ALL or DISCARD.
    ResetAll,
    /// SHOW.
    Show,
    /// PREPARE of a name: the statement that it prepares.
    Prepare {
        /// Of the statement.
        name: String,
        /// What is prepared.
        inner: Box<Kind>,
        /// Whether that surely reads alone.
        sure_read: bool,
    },
    /// EXECUTE of a name.
    Execute {
        /// Of the statement.
        name: String,
    },
    /// DEALLOCATE, of a name or of all.
    Deallocate,
    /// COPY … FROM STDIN or TO STDOUT, or any other COPY.
    Copy,
    /// DECLARE of a cursor, FETCH, MOVE, CLOSE.
    Cursor,
    /// LISTEN, NOTIFY, UNLISTEN.
    Notify,
    /// LOCK.
    Lock,
    /// CALL or DO: it may commit on the way.
    Procedure,
    /// EXPLAIN; with ANALYZE it runs what it explains.
    Explain {
        /// Whether it has ANALYZE.
        analyze: bool,
    },
    /// VACUUM, ANALYZE, CLUSTER, REINDEX, REFRESH.
    Maintain,
    /// CREATE, ALTER, DROP, GRANT and other changes of the schema.
    Schema,
    /// A text that is too long to be looked at.
    Long,
    /// A call of a function by its number (`FunctionCall`).
    Function,
    /// What is none of these, or has not been understood.
    Other,
}

impl Kind {
    /// As it is recorded.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Merge => "merge",
            Self::Begin => "begin",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::RollbackTo => "rollback to",
            Self::Savepoint => "savepoint",
            Self::PrepareTransaction => "prepare transaction",
            Self::FinishPrepared => "finish prepared",
            Self::Set { .. } => "set",
            Self::ResetAll => "reset",
            Self::Show => "show",
            Self::Prepare { .. } => "prepare",
            Self::Execute { .. } => "execute",
            Self::Deallocate => "deallocate",
            Self::Copy => "copy",
            Self::Cursor => "cursor",
            Self::Notify => "notify",
            Self::Lock => "lock",
            Self::Procedure => "procedure",
            Self::Explain { .. } => "explain",
            Self::Maintain => "maintain",
            Self::Schema => "schema",
            Self::Long => "long",
            Self::Function => "function",
            Self::Other => "other",
        }
    }
}
