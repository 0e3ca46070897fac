//! The statements of a text, told apart by their words: where each ends, and what it does.

use super::{
    lexer::{Lexer, Token, TokenKind},
    understood::Kind,
};

/// A statement: its tokens, without comments and without the semicolon.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// What the tokens were cut from.
    pub text: &'a str,
    /// At least one.
    pub tokens: &'a [Token],
}

/// The tokens of `text`, without its comments.
pub fn tokens(text: &str) -> Vec<Token> {
    Lexer::new(text).filter(|token| token.kind != TokenKind::Comment).collect()
}

/// `tokens` of `text`, split at its semicolons. Those in brackets (CREATE RULE) and those of a function's body in SQL
/// (BEGIN ATOMIC … END) split nothing.
pub fn split<'a>(text: &'a str, tokens: &'a [Token]) -> Vec<Statement<'a>> {
    let mut statements = Vec::new();
    let (mut start, mut depth, mut body) = (0, 0_usize, Body::default());
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Word => body.word(Statement { text, tokens: &tokens[start..=at] }),
            TokenKind::Semicolon if depth == 0 && body.depth == 0 => {
                statements.push(Statement { text, tokens: &tokens[start..at] });
                (start, body) = (at + 1, Body::default());
            }
            _ => {}
        }
    }
    statements.push(Statement { text, tokens: &tokens[start..] });
    statements.retain(|statement| !statement.tokens.is_empty());
    statements
}

/// How deep in the body of a function in SQL we are.
#[derive(Default)]
struct Body {
    depth: usize,
}

impl Body {
    /// Takes the last word of `so_far`.
    fn word(&mut self, so_far: Statement<'_>) {
        let last = so_far.tokens.len() - 1;
        if self.depth == 0 {
            let begins = last > 0 && so_far.is(last, "atomic") && so_far.is(last - 1, "begin");
            self.depth = usize::from(begins && so_far.creates_routine());
        } else if so_far.is(last, "case") {
            self.depth += 1;
        } else if so_far.is(last, "end") {
            self.depth -= 1;
        }
    }
}

impl<'a> Statement<'a> {
    /// Whether the token at `at` is the keyword `word`.
    pub fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(self.text, word))
    }

    /// Whether the token at `at` is one of the keywords `words`.
    pub fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    /// The kind of the token at `at`.
    pub fn kind_at(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// The token at `at`, as it stands in the text.
    pub fn at(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.of(self.text))
    }

    /// Its bytes in the text.
    pub fn source(&self) -> &'a str {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => &self.text[first.start..last.end],
            _ => "",
        }
    }

    /// The statement from the token at `at` on.
    pub fn from(&self, at: usize) -> Self {
        Self { text: self.text, tokens: &self.tokens[at.min(self.tokens.len())..] }
    }

    fn creates_routine(&self) -> bool {
        let replace = if self.is(1, "or") && self.is(2, "replace") { 3 } else { 1 };
        self.is(0, "create") && self.is_any(replace, &["function", "procedure"])
    }

    /// The name at `at` without its quotes, in lower case where it had none.
    pub fn name(&self, at: usize) -> Option<String> {
        let text = self.at(at);
        match self.kind_at(at)? {
            TokenKind::Word => Some(text.to_ascii_lowercase()),
            TokenKind::Quoted => Some(text.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"")),
            _ => None,
        }
    }

    /// What the statement does, by its words.
    pub fn kind(&self) -> Kind {
        let opened = self.tokens.iter().take_while(|token| token.kind == TokenKind::Open).count();
        let inner = self.from(opened);
        let first = inner.at(0).to_ascii_lowercase();
        if opened > 0 {
            return match first.as_str() {
                "select" | "values" | "table" => Kind::Select,
                "with" => inner.with(),
                _ => Kind::Other,
            };
        }
        match first.as_str() {
            "select" | "values" | "table" => Kind::Select,
            "with" => self.with(),
            "insert" => Kind::Insert,
            "update" => Kind::Update,
            "delete" => Kind::Delete,
            "merge" => Kind::Merge,
            "begin" | "start" => Kind::Begin,
            "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => self.ends(&first),
            "prepare" => self.prepares(),
            "execute" => self.name(1).map_or(Kind::Other, |name| Kind::Execute { name }),
            "deallocate" => Kind::Deallocate,
            "set" => self.sets(),
            "reset" => self.resets(),
            "discard" => Kind::ResetAll,
            "show" => Kind::Show,
            "copy" => Kind::Copy,
            "declare" | "fetch" | "move" | "close" => Kind::Cursor,
            "listen" | "notify" | "unlisten" => Kind::Notify,
            "lock" => Kind::Lock,
            "call" | "do" => Kind::Procedure,
            "explain" => Kind::Explain { analyze: self.explains_by_running() },
            "vacuum" | "analyze" | "analyse" | "cluster" | "reindex" | "refresh" | "checkpoint" => {
                Kind::Maintain
            }
            "create" | "alter" | "drop" | "grant" | "revoke" | "comment" | "security" | "reassign"
            | "import" | "truncate" => Kind::Schema,
            _ => Kind::Other,
        }
    }

    /// WITH … of something: the first verb outside of brackets that is no name of what WITH defines.
    fn with(&self) -> Kind {
        let mut depth = 0_usize;
        for at in 1..self.tokens.len() {
            match self.tokens[at].kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                TokenKind::Word if depth == 0 => {
                    let names = self.is_any(at - 1, &["with", "recursive"]) || self.at(at - 1) == ",";
                    let kind = match self.at(at).to_ascii_lowercase().as_str() {
                        _ if names => continue,
                        "select" | "values" | "table" => Kind::Select,
                        "insert" => Kind::Insert,
                        "update" => Kind::Update,
                        "delete" => Kind::Delete,
                        "merge" => Kind::Merge,
                        _ => continue,
                    };
                    return kind;
                }
                _ => {}
            }
        }
        // WITH … (SELECT …): what is in brackets there can but read.
        Kind::Select
    }

    fn ends(&self, first: &str) -> Kind {
        let prepared = self.is(1, "prepared");
        let to = self.is(1, "to") || self.is_any(1, &["work", "transaction"]) && self.is(2, "to");
        match first {
            "commit" | "rollback" if prepared => Kind::FinishPrepared,
            "rollback" if to => Kind::RollbackTo,
            "commit" | "end" => Kind::Commit,
            "rollback" | "abort" => Kind::Rollback,
            _ => Kind::Savepoint,
        }
    }

    fn prepares(&self) -> Kind {
        if self.is(1, "transaction") && self.tokens.get(2).is_some_and(Token::is_literal) {
            return Kind::PrepareTransaction;
        }
        match (self.name(1), self.prepared()) {
            (Some(name), Some(inner)) => {
                Kind::Prepare { name, inner: Box::new(inner.kind_but_prepare()), sure_read: false }
            }
            _ => Kind::Other,
        }
    }

    /// Only one PREPARE is looked into: the grammar knows no PREPARE of a PREPARE.
    fn kind_but_prepare(&self) -> Kind {
        if self.is(0, "prepare") { Kind::Other } else { self.kind() }
    }

    /// What PREPARE prepares: the statement behind AS.
    pub fn prepared(&self) -> Option<Self> {
        let mut depth = 0_usize;
        for at in 2..self.tokens.len() {
            match self.tokens[at].kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                TokenKind::Word if depth == 0 && self.is(at, "as") => {
                    return Some(self.from(at + 1)).filter(|inner| !inner.tokens.is_empty());
                }
                _ => {}
            }
        }
        None
    }

    fn sets(&self) -> Kind {
        let scope = self.is_any(1, &["local", "session"]);
        // SET SESSION AUTHORIZATION and SET SESSION CHARACTERISTICS are about what comes after.
        let local = self.is(1, "local");
        let at = 1 + usize::from(scope);
        let set = |name: &str, value| Kind::Set { name: name.to_owned(), value, local };
        let special = match self.at(at).to_ascii_lowercase().as_str() {
            "time" if self.is(at + 1, "zone") => Some(("timezone", at + 2)),
            "role" => Some(("role", at + 1)),
            "authorization" if scope => Some(("session_authorization", at + 1)),
            "names" => Some(("client_encoding", at + 1)),
            "schema" => Some(("search_path", at + 1)),
            _ => None,
        };
        if let Some((name, value)) = special
            && !self.assigns(value)
        {
            return set(name, self.value(value));
        }
        let words = ["transaction", "characteristics", "constraints", "xml"];
        let mut behind = at + 1;
        let Some(mut name) = self.name(at) else { return Kind::Other };
        while self.at(behind) == "." {
            let Some(part) = self.name(behind + 1) else { return Kind::Other };
            name = format!("{name}.{part}");
            behind += 2;
        }
        if words.contains(&name.as_str()) && !self.assigns(behind) {
            return set(&name, None);
        }
        let value = if self.assigns(behind) { self.value(behind + 1) } else { None };
        set(&name, value)
    }

    /// Whether `= …` or `TO …` begins at `at`.
    pub fn assigns(&self, at: usize) -> bool {
        self.at(at) == "=" || self.is(at, "to")
    }

    /// The one plain constant from `at` to the end.
    fn value(&self, at: usize) -> Option<String> {
        let sign = usize::from(matches!(self.at(at), "-" | "+"));
        if self.tokens.len() != at + sign + 1 {
            return None;
        }
        let value = self.at(at + sign);
        match self.kind_at(at + sign)? {
            TokenKind::Number => Some(format!("{}{value}", if self.at(at) == "-" { "-" } else { "" })),
            TokenKind::Text if sign == 0 => plain_string(value),
            TokenKind::Word if sign == 0 && !self.is(at, "default") => Some(value.to_ascii_lowercase()),
            TokenKind::Quoted if sign == 0 => self.name(at),
            _ => None,
        }
    }

    fn resets(&self) -> Kind {
        let name = match self.at(1).to_ascii_lowercase().as_str() {
            "all" => return Kind::ResetAll,
            "time" if self.is(2, "zone") => "timezone".to_owned(),
            "session" if self.is(2, "authorization") => "session_authorization".to_owned(),
            "transaction" if self.is(2, "isolation") => "transaction_isolation".to_owned(),
            _ => {
                let names = (1..self.tokens.len()).step_by(2).map(|at| self.name(at));
                let Some(names) = names.collect::<Option<Vec<_>>>() else { return Kind::Other };
                names.join(".")
            }
        };
        Kind::Set { name, value: None, local: false }
    }

    fn explains_by_running(&self) -> bool {
        if self.kind_at(1) != Some(TokenKind::Open) {
            return self.is_any(1, &["analyze", "analyse"]);
        }
        let end =
            self.tokens.iter().position(|token| token.kind == TokenKind::Close).unwrap_or(self.tokens.len());
        // The last one counts; what the value is, is left to the database, but for what surely says no.
        (2..end)
            .rfind(|at| self.is_any(*at, &["analyze", "analyse"]))
            .is_some_and(|at| !self.is_any(at + 1, &["false", "off"]) && self.at(at + 1) != "0")
    }
}

/// What a string without escapes holds.
fn plain_string(literal: &str) -> Option<String> {
    let body = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let plain = !body.contains('\\') && !body.replace("''", "").contains('\'');
    plain.then(|| body.replace("''", "'"))
}
