//! Whether a statement surely reads alone, by its words. Whatever is in doubt does not: a false no costs a sync.

use std::collections::BTreeSet;

use super::{lexer::TokenKind, statements::Statement, understood::Kind};

/// Words that no sure read has, wherever they stand. OPERATOR and TREAT call what their words do not name.
const NEVER: &[&str] = &["into", "insert", "update", "delete", "merge", "share", "operator", "treat"];

/// Keywords behind which a bracket opens that is no function's. None of them can name a function: the grammar reserves
/// them, or makes something of them that runs no code of anybody's.
const SYNTAX: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "asymmetric",
    "between",
    "bigint",
    "bit",
    "boolean",
    "case",
    "cast",
    "char",
    "character",
    "coalesce",
    "current_time",
    "current_timestamp",
    "dec",
    "decimal",
    "else",
    "except",
    "exists",
    "fetch",
    "float",
    "for",
    "from",
    "greatest",
    "grouping",
    "having",
    "in",
    "int",
    "integer",
    "intersect",
    "interval",
    "lateral",
    "least",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "nchar",
    "not",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "precision",
    "real",
    "row",
    "select",
    "smallint",
    "some",
    "symmetric",
    "then",
    "time",
    "timestamp",
    "union",
    "using",
    "values",
    "varchar",
    "when",
    "where",
    "with",
];

/// Words that make a clause of a bracket behind another bracket: `count(*) OVER (…)`.
const CLAUSES: &[&str] = &["filter", "over", "within", "repeatable"];

/// Whether `statement`, which the database's grammar has parsed, is a sure read, if `functions` are the names in
/// `pg_catalog` all of whose functions are not volatile and which no other schema has.
pub(super) fn is_sure_read(statement: Statement<'_>, kind: &Kind, functions: &BTreeSet<String>) -> bool {
    match kind {
        Kind::Show => true,
        Kind::Select => {
            let tokens = 0..statement.tokens.len();
            let never = tokens.clone().any(|at| statement.is_any(at, NEVER) || is_doubtful(statement, at));
            let distinct_on =
                tokens.clone().any(|at| statement.is(at, "distinct") && statement.is(at + 1, "on"));
            !never && tokens.clone().all(|at| calls_nothing(statement, at, distinct_on, functions))
        }
        _ => false,
    }
}

fn is_doubtful(statement: Statement<'_>, at: usize) -> bool {
    statement.kind_at(at) == Some(TokenKind::Doubtful)
}

/// Whether the token at `at` is not the name of a function that is called, but for those of `functions`.
fn calls_nothing(
    statement: Statement<'_>,
    at: usize,
    distinct_on: bool,
    functions: &BTreeSet<String>,
) -> bool {
    if statement.at(at + 1) != "("
        || !matches!(statement.kind_at(at), Some(TokenKind::Word | TokenKind::Quoted))
    {
        return true;
    }
    let Some(name) = statement.name(at) else { return false };
    let before = at.checked_sub(1).map_or("", |before| statement.at(before));
    if before == "." {
        let of_catalog =
            at.checked_sub(2).and_then(|schema| statement.name(schema)).is_some_and(|it| it == "pg_catalog");
        let whole = at.checked_sub(3).is_none_or(|before| statement.at(before) != ".");
        return of_catalog && whole && functions.contains(&name);
    }
    let is_word = statement.kind_at(at) == Some(TokenKind::Word);
    let alias_or_type =
        before == "::" || at > 0 && statement.is(at - 1, "as") || at == 1 && statement.is(0, "with");
    let clause = before == ")" && is_word && CLAUSES.contains(&name.as_str()) && !distinct_on;
    let select = is_word && name == "join" && statement.is_any(at + 2, &["select"]);
    let called = if is_word && name == "trim" { "btrim" } else { &name };
    alias_or_type
        || clause
        || select
        || is_word && SYNTAX.contains(&name.as_str())
        || functions.contains(called)
        || is_word && group_or_order(statement, at)
}

/// `GROUP BY (…)`, `ORDER BY (…)`, `PARTITION BY (…)`, `WITHIN GROUP (…)`.
fn group_or_order(statement: Statement<'_>, at: usize) -> bool {
    let by = statement.is(at, "by") && at > 0 && statement.is_any(at - 1, &["group", "order", "partition"]);
    by || statement.is(at, "group") && at > 0 && statement.is(at - 1, "within")
}
