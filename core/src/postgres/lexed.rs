//! Texts understood by their words alone: for what the database's grammar does not parse, and for tests.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    lexer::{Token, TokenKind},
    normal, reads,
    statements::{Statement, split, tokens},
    tags::{truths, without_comments},
    understood::{Kind, Part, Understand, Understood},
};
use crate::units::ids::QueryId;

/// How fingerprints by words are made. A change of the way changes the name, so that queries are not mixed.
const ALGORITHM: &str = "words 1";

/// Understands by words alone.
#[derive(Clone, Debug, Default)]
pub struct Lexed {
    /// Of which queries are told apart.
    pub database: String,
}

impl Understand for Lexed {
    fn understand(&mut self, text: &str) -> Arc<Understood> {
        let (cut, tags) = without_comments(text);
        let tokens = tokens(&cut);
        let statements = split(&cut, &tokens);
        let mut parts: Vec<_> = statements.iter().map(|statement| part(&self.database, *statement)).collect();
        hide_doubtful(&mut parts, &statements);
        Arc::new(Understood { parts, exact: false, truths: truths(text, &tags), tags })
    }
}

/// A statement by its words alone, which is never a sure read.
pub fn part(database: &str, statement: Statement<'_>) -> Part {
    Part {
        kind: statement.kind(),
        query: QueryId::of_statement(database, ALGORITHM, &normal::shape(statement)),
        text: normal::text(statement).into(),
        sure_read: false,
    }
}

/// A statement that the database's grammar has parsed, with the fingerprint of its tree.
pub fn parsed(
    database: &str,
    statement: Statement<'_>,
    (algorithm, fingerprint): (&str, &str),
    functions: &BTreeSet<String>,
) -> Part {
    let mut kind = statement.kind();
    let sure_read = reads::is_sure_read(statement, &kind, functions);
    if let (Kind::Prepare { inner, sure_read, .. }, Some(prepared)) = (&mut kind, statement.prepared()) {
        *sure_read = reads::is_sure_read(prepared, inner, functions);
    }
    let query = QueryId::of_statement(database, algorithm, fingerprint);
    Part { kind, query, text: normal::text(statement).into(), sure_read }
}

/// Whether the end of a literal is in doubt, so that what follows may be something else.
pub fn is_doubtful(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| token.kind == TokenKind::Doubtful)
}

/// Behind a literal whose end is in doubt, texts may hold what belongs to the literal: they are hidden.
pub fn hide_doubtful(parts: &mut [Part], statements: &[Statement<'_>]) {
    let first = statements.iter().position(|statement| is_doubtful(statement.tokens));
    for part in parts.iter_mut().skip(first.map_or(usize::MAX, |first| first.saturating_add(1))) {
        part.text = "…".into();
    }
    if first.is_some() {
        for part in parts {
            part.sure_read = false;
        }
    }
}
