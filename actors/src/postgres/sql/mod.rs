//! What texts are, by the database's own grammar (`libpg_query`), behind a cache.
//!
//! Which statements a text holds, what each does, its text without literals and whether it surely reads are told by the
//! core's lexer. The grammar says whether the text is what the lexer took it for, and how statements are told apart. So
//! nothing that goes into a journal rests on a tree, and a tree of any depth is never walked here.

mod cache;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evenkeel_core::{
    postgres::{
        lexed,
        lexer::{self, Token, TokenKind},
        statements::{self, Statement},
        tags::{truths, without_comments},
        understood::{Part, Understand, Understood},
    },
    units::ids::QueryId,
};
use pg_query::FingerprintOptions;

use self::cache::Cache;

/// How fingerprints are made: with names of tables and schemas, whatever the alias; runs of digits in names are one.
/// Another version of the grammar makes others.
pub const ALGORITHM: &str = "pg_query 18";
/// Longest text that is parsed; longer ones are streamed by the front and known by their session alone.
const PARSED_BYTES_MAX: usize = 1024 * 1024;
/// Deepest brackets that are parsed. The grammar's own limit is 10,000 open rules; what is written by people has 20.
const DEPTH_MAX: usize = 500;
/// Most kinds of statements a process; what comes then is one kind, `other`.
const KINDS_MAX: usize = 100_000;
/// What stands for the texts of kinds that are too many.
const OTHER: &str = "other";

/// Understands texts for one database of the server. Clones, and those for other databases, share the cache and the
/// count of kinds.
#[derive(Clone)]
pub struct PgQuery {
    database: Arc<str>,
    shared: Arc<Mutex<Shared>>,
}

/// What came of all texts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Texts that were in the cache.
    pub cached: u64,
    /// Texts that were looked at.
    pub looked_at: u64,
    /// Of those: texts that the grammar does not know, or that were not given to it.
    pub inexact: u64,
    /// Of those: statements of kinds beyond the limit.
    pub other: u64,
    /// Kinds of statements.
    pub kinds: usize,
    /// Bytes in the cache, at most what is said of it.
    pub cache_bytes: usize,
}

struct Shared {
    cache: Cache,
    /// By database, of those where they are known.
    functions: HashMap<Arc<str>, Arc<BTreeSet<String>>>,
    kinds: HashSet<QueryId>,
    kinds_max: usize,
    counts: Counts,
}

impl PgQuery {
    /// With an empty cache, for texts that go to `database`. No function is sure not to write.
    pub fn new(database: &str) -> Self {
        let shared = Shared {
            cache: Cache::default(),
            functions: HashMap::new(),
            kinds: HashSet::new(),
            kinds_max: KINDS_MAX,
            counts: Counts::default(),
        };
        Self { database: database.into(), shared: Arc::new(Mutex::new(shared)) }
    }

    /// The same for another database, with the same cache and limits.
    pub fn for_database(&self, database: &str) -> Self {
        Self { database: database.into(), shared: Arc::clone(&self.shared) }
    }

    /// From now on a SELECT that goes to this handle's database and calls nothing but these is a sure read: names of
    /// `pg_catalog` all of whose functions are not volatile, and which no other schema of that database has.
    pub fn functions(&mut self, names: Arc<BTreeSet<String>>) {
        let database = Arc::clone(&self.database);
        let mut shared = self.shared();
        if shared.functions.get(&database) != Some(&names) {
            shared.cache.forget(&database);
            shared.functions.insert(database, names);
        }
    }

    /// What came of all texts so far, of all databases.
    pub fn counts(&self) -> Counts {
        let shared = self.shared();
        Counts { kinds: shared.kinds.len(), cache_bytes: shared.cache.bytes(), ..shared.counts }
    }

    /// Nothing is left half done when somebody panics: the cache and the kinds are valid after each change.
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Understand for PgQuery {
    fn understand(&mut self, text: &str) -> Arc<Understood> {
        let (cut, tags) = without_comments(text);
        let cached = self.shared().cached(&self.database, &cut);
        let understood = cached.unwrap_or_else(|| {
            // Other threads need not wait for the parser.
            let functions = self.shared().functions(&self.database);
            let none = BTreeSet::new();
            let understood = look_at(&self.database, &cut, functions.as_deref().unwrap_or(&none));
            self.shared().keep(&self.database, &cut, understood, functions.as_ref())
        });
        if tags.is_empty() {
            return understood;
        }
        Arc::new(Understood { truths: truths(text, &tags), tags, ..(*understood).clone() })
    }
}

impl Shared {
    fn cached(&mut self, database: &str, text: &str) -> Option<Arc<Understood>> {
        let understood = self.cache.get(database, text)?;
        self.counts.cached += 1;
        Some(understood)
    }

    fn functions(&self, database: &str) -> Option<Arc<BTreeSet<String>>> {
        self.functions.get(database).cloned()
    }

    /// Keeps what was understood while `functions` were those of the database.
    fn keep(
        &mut self,
        database: &Arc<str>,
        text: &str,
        mut understood: Understood,
        functions: Option<&Arc<BTreeSet<String>>>,
    ) -> Arc<Understood> {
        self.counts.looked_at += 1;
        self.counts.inexact += u64::from(!understood.exact);
        for part in &mut understood.parts {
            self.limit_kinds(database, part);
        }
        let understood = Arc::new(understood);
        if self.functions.get(database).map(Arc::as_ptr) == functions.map(Arc::as_ptr) {
            self.cache.put(database, text, &understood);
        }
        understood
    }

    fn limit_kinds(&mut self, database: &str, part: &mut Part) {
        if self.kinds.contains(&part.query) {
            return;
        }
        if self.kinds.len() < self.kinds_max {
            self.kinds.insert(part.query);
            return;
        }
        self.counts.other += 1;
        part.query = QueryId::of_statement(database, OTHER, "");
        part.text = OTHER.into();
    }
}

/// What `text`, which has no comments, holds.
fn look_at(database: &str, text: &str, functions: &BTreeSet<String>) -> Understood {
    let tokens = statements::tokens(text);
    let statements = statements::split(text, &tokens);
    let parsable = text.len() <= PARSED_BYTES_MAX && lexer::depth_max(&tokens) <= DEPTH_MAX;
    let mut exact = parsable && !lexed::is_doubtful(&tokens);
    let mut parts = Vec::with_capacity(statements.len());
    for statement in &statements {
        let fingerprint = if parsable { fingerprint(*statement) } else { None };
        exact &= fingerprint.is_some();
        parts.push(match fingerprint {
            Some(hex) => lexed::parsed(database, *statement, (ALGORITHM, &hex), functions),
            None => lexed::part(database, *statement),
        });
    }
    lexed::hide_doubtful(&mut parts, &statements);
    if !exact {
        for part in &mut parts {
            part.sure_read = false;
        }
    }
    Understood { parts, exact, ..Understood::default() }
}

/// The fingerprint of the one statement that `statement` is to the grammar; none if it is none, or more than one.
fn fingerprint(statement: Statement<'_>) -> Option<String> {
    let source = statement.source();
    let inner = |token: &Token| token.kind == TokenKind::Semicolon;
    if statement.tokens.iter().any(inner) && pg_query::split_with_parser(source).ok()?.len() != 1 {
        return None;
    }
    Some(pg_query::fingerprint(source, 0, FingerprintOptions::RANGEVAR_PG17_COMPAT).ok()?.hex)
}
