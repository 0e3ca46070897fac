//! A statement without what somebody may have to hide: no literal, no comment, no password. And without what does not
//! tell queries apart: blanks, line ends.

use super::{
    lexer::{Token, TokenKind},
    statements::Statement,
};

/// Longest normalised text, in bytes: what is longer is cut, since texts are kept in memory and in the journal.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// The statement with `$1` in place of each literal, numbered behind the parameters that it has. What stands behind a
/// literal whose end is in doubt is left out.
pub fn text(statement: Statement<'_>) -> String {
    let mut written = String::with_capacity(statement.source().len().min(TEXT_BYTES_MAX) + 16);
    let mut last = highest_parameter(statement);
    let hidden = Hidden::of(statement);
    let mut end_of_last = None;
    let mut at = 0;
    while let Some(token) = statement.tokens.get(at) {
        if written.len() > TEXT_BYTES_MAX {
            break;
        }
        if end_of_last.is_some_and(|end| end < token.start) {
            written.push(' ');
        }
        let signed = is_sign_of_number(statement, at);
        let shown = statement.tokens.get(at + usize::from(signed)).unwrap_or(token);
        if shown.is_literal() || hidden.hides(statement, at) {
            last += 1;
            written.push('$');
            written.push_str(&last.to_string());
        } else {
            written.push_str(token.of(statement.text));
        }
        if shown.kind == TokenKind::Doubtful {
            written.push_str(" …");
            break;
        }
        end_of_last = Some(shown.end);
        at += 1 + usize::from(signed);
    }
    if written.len() > TEXT_BYTES_MAX {
        cut(&mut written);
    }
    written
}

fn cut(written: &mut String) {
    let mut end = TEXT_BYTES_MAX;
    while !written.is_char_boundary(end) {
        end -= 1;
    }
    written.truncate(end);
    written.push('…');
}

fn highest_parameter(statement: Statement<'_>) -> u32 {
    let numbers = statement.tokens.iter().filter(|token| token.kind == TokenKind::Parameter);
    let number = |token: &Token| {
        let digits = token.of(statement.text)[1..].split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse::<u16>().ok()).unwrap_or(0)
    };
    numbers.map(number).max().unwrap_or(0).into()
}

/// `-1` behind something that takes a value is one literal, not an operator and a literal.
fn is_sign_of_number(statement: Statement<'_>, at: usize) -> bool {
    let sign = matches!(statement.at(at), "-" | "+");
    if !sign || statement.kind_at(at + 1) != Some(TokenKind::Number) {
        return false;
    }
    let before = at.checked_sub(1).and_then(|before| statement.kind_at(before));
    let takes_value = matches!(before, None | Some(TokenKind::Operator | TokenKind::Open | TokenKind::Comma));
    takes_value || statement.is_any(at - 1, TAKES_VALUE)
}

/// Reserved words behind which a value stands.
const TAKES_VALUE: &[&str] = &[
    "select",
    "distinct",
    "where",
    "and",
    "or",
    "not",
    "having",
    "case",
    "when",
    "then",
    "else",
    "limit",
    "offset",
    "by",
    "to",
    "default",
    "returning",
];

/// Words that stand for values, though they look like names.
enum Hidden {
    /// None.
    Nothing,
    /// What a parameter is set to: `SET a.secret TO word`, `ALTER ROLE r SET …`, `CREATE FUNCTION … SET …`.
    From(usize),
    /// A password that somebody forgot to quote.
    Password,
}

impl Hidden {
    fn of(statement: Statement<'_>) -> Self {
        let role = statement.is_any(1, &["role", "user", "group"]);
        if !statement.is_any(0, &["set", "alter", "create"]) {
            return Self::Nothing;
        }
        let mut sets = (0..statement.tokens.len()).filter(|at| statement.is(*at, "set"));
        let assigned = sets.find_map(|at| assigned(statement, at + 1));
        match assigned {
            Some(from) => Self::From(from),
            None if role => Self::Password,
            None => Self::Nothing,
        }
    }

    fn hides(&self, statement: Statement<'_>, at: usize) -> bool {
        let is_name =
            matches!(statement.kind_at(at), Some(TokenKind::Word | TokenKind::Quoted | TokenKind::Stray));
        match self {
            Self::Nothing => false,
            Self::From(from) => at >= *from && is_name && !statement.is_any(at, &["default", "null"]),
            Self::Password => {
                at > 0 && is_name && statement.is(at - 1, "password") && !statement.is(at, "null")
            }
        }
    }
}

/// Where the value begins, if `at` begins `[SESSION | LOCAL] name {= | TO} value`.
fn assigned(statement: Statement<'_>, at: usize) -> Option<usize> {
    let mut at = at + usize::from(statement.is_any(at, &["session", "local"]));
    statement.name(at)?;
    while statement.at(at + 1) == "." {
        at += 2;
    }
    statement.assigns(at + 1).then_some(at + 2)
}

/// What tells the statement apart from others, where the database's grammar cannot be asked: its words, with `?` in place
/// of literals and parameters, and of lists of those.
pub fn shape(statement: Statement<'_>) -> String {
    let mut shape = String::new();
    let mut value_last = false;
    let hidden = Hidden::of(statement);
    for at in 0..statement.tokens.len() {
        let token = statement.tokens[at];
        let comma_of_list = token.kind == TokenKind::Comma && value_last;
        let value = token.is_literal() || token.kind == TokenKind::Parameter || hidden.hides(statement, at);
        if token.kind == TokenKind::Doubtful {
            shape.push_str("? …");
            break;
        }
        if value {
            if !value_last {
                shape.push_str("? ");
            }
        } else if !comma_of_list && !is_sign_of_number(statement, at) {
            if token.kind == TokenKind::Quoted {
                shape.push_str(token.of(statement.text));
            } else {
                shape.extend(token.of(statement.text).chars().map(|c| c.to_ascii_lowercase()));
            }
            shape.push(' ');
        }
        value_last = value || comma_of_list;
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::statements::{split, tokens};

    fn texts(sql: &str) -> Vec<String> {
        let tokens = tokens(sql);
        split(sql, &tokens).into_iter().map(text).collect()
    }

    fn shapes(sql: &str) -> Vec<String> {
        let tokens = tokens(sql);
        split(sql, &tokens).into_iter().map(shape).collect()
    }

    #[test]
    fn literals_and_comments_are_gone_and_names_stay() {
        let table = [
            ("select 1, -2, a - 3 from t -- x\n where b = 'y'", "select $1, $2, a - $3 from t where b = $4"),
            ("select $2, 'x'  /* secret */ ", "select $2, $3"),
            ("SET app.token TO hunter2", "SET app.token TO $1"),
            ("set session a = b, \"c\", 'd'", "set session a = $1, $2, $3"),
            ("ALTER ROLE bob IN DATABASE d SET a.b TO secret", "ALTER ROLE bob IN DATABASE d SET a.b TO $1"),
            ("CREATE ROLE bob LOGIN PASSWORD 'x'", "CREATE ROLE bob LOGIN PASSWORD $1"),
            ("ALTER USER bob PASSWORD hunter2", "ALTER USER bob PASSWORD $1"),
            ("alter user bob password null", "alter user bob password null"),
            ("update t set a = b, c = 'd'", "update t set a = b, c = $1"),
            ("do $$begin x 'y'; end$$", "do $1"),
            (r"select 'a\', secret, 'b'", "select $1 …"),
        ];
        for (sql, expected) in table {
            assert_eq!(texts(sql), [expected], "{sql}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let sql = format!("select {}", "é, ".repeat(TEXT_BYTES_MAX));
        let text = &texts(&sql)[0];
        assert!(text.len() <= TEXT_BYTES_MAX + '…'.len_utf8() && text.ends_with('…'));
    }

    #[test]
    fn shapes_tell_queries_apart_and_values_not() {
        let alike = |a: &str, b: &str| assert_eq!(shapes(a), shapes(b));
        alike("SELECT x FROM t WHERE a IN (1, 2, 3)", "select x from t\nwhere a in ('y', $1) -- z");
        alike("select -1", "select 'x'");
        alike("set a to b", "set a to c, d");
        assert_ne!(shapes("select a from t"), shapes("select b from t"));
        assert_ne!(shapes("select a from \"T\""), shapes("select a from \"t\""));
    }
}
