//! SQL as PostgreSQL's own lexer cuts it: words, strings in all their forms, comments, operators. It never fails: what does
//! not end goes to the end of the text. Time is linear in the text, and nothing recurses.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes, also `U&"…"`.
    Quoted,
    /// A string: `'…'`, `E'…'`, `U&'…'`, `B'…'`, `X'…'`, `$tag$…$tag$`; of `N'…'` what follows the `N`.
    Text,
    /// As [`TokenKind::Text`], but whoever takes a backslash for an escape (`standard_conforming_strings = off`) sees its
    /// end elsewhere: nothing behind it is sure.
    Doubtful,
    /// A number.
    Number,
    /// `$1`.
    Parameter,
    /// A run of the characters that operators have; also `:`, `::`, `:=`, `.`, `..`.
    Operator,
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    /// `,`.
    Comma,
    /// `;`.
    Semicolon,
    /// `-- …` without the end of its line, or `/* … */`.
    Comment,
    /// A character that SQL has no use for.
    Stray,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Byte at which it begins.
    pub start: usize,
    /// Byte behind its last.
    pub end: usize,
}

impl Token {
    /// The token as it stands in `text`, which is what it was cut from.
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }

    /// Whether the token is the keyword `word` (given in lower case).
    pub fn is(&self, text: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.of(text).eq_ignore_ascii_case(word)
    }

    /// Whether it stands for a value.
    pub fn is_literal(&self) -> bool {
        matches!(self.kind, TokenKind::Text | TokenKind::Doubtful | TokenKind::Number)
    }
}

/// Cuts a text into tokens, comments included, blanks left out.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

/// How a quote stands in a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Twice.
    Plain,
    /// Twice, or behind a backslash.
    Escapes,
    /// Not at all.
    Bits,
}

/// What PostgreSQL's lexer calls a space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn goes_on_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

impl<'a> Lexer<'a> {
    /// At the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0 }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_while(&mut self, holds: impl Fn(u8) -> bool) {
        while self.at < self.text.len() && holds(self.text[self.at]) {
            self.at += 1;
        }
    }

    /// The rest of a comment that runs to the end of its line.
    fn line_comment(&mut self) -> TokenKind {
        self.skip_while(|byte| byte != b'\n' && byte != b'\r');
        TokenKind::Comment
    }

    /// The rest of a comment that may hold others.
    fn block_comment(&mut self) -> TokenKind {
        let mut depth = 0_usize;
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        break;
                    }
                }
                _ => self.at += 1,
            }
        }
        TokenKind::Comment
    }

    /// A string that begins here, and what continues it on further lines.
    fn string(&mut self, form: Form) -> TokenKind {
        let escapes = form == Form::Escapes;
        let mut doubtful = false;
        loop {
            self.at += 1;
            let body = self.at;
            while self.at < self.text.len() {
                match self.peek(0) {
                    b'\\' if escapes => self.at += 2,
                    b'\'' => {
                        doubtful |= form == Form::Plain && self.at > body && self.text[self.at - 1] == b'\\';
                        if self.peek(1) != b'\'' || form == Form::Bits {
                            break;
                        }
                        self.at += 2;
                    }
                    _ => self.at += 1,
                }
            }
            self.at = (self.at + 1).min(self.text.len());
            let Some(next) = self.continued() else { break };
            self.at = next;
        }
        if doubtful { TokenKind::Doubtful } else { TokenKind::Text }
    }

    /// Where the string that ended here goes on: behind blanks with a line's end among them.
    fn continued(&self) -> Option<usize> {
        let mut ahead = Self { text: self.text, at: self.at };
        let mut line_ended = false;
        while ahead.at < ahead.text.len() {
            match ahead.peek(0) {
                b'\n' | b'\r' => {
                    line_ended = true;
                    ahead.at += 1;
                }
                byte if is_space(byte) => ahead.at += 1,
                b'-' if ahead.peek(1) == b'-' => {
                    ahead.line_comment();
                }
                b'\'' if line_ended => return Some(ahead.at),
                _ => return None,
            }
        }
        None
    }

    /// A name in double quotes that begins here.
    fn quoted(&mut self) -> TokenKind {
        self.at += 1;
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (b'"', b'"') => self.at += 2,
                (b'"', _) => break,
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(self.text.len());
        TokenKind::Quoted
    }

    /// `$1`, `$tag$…$tag$`, or a stray `$`.
    fn dollar(&mut self) -> TokenKind {
        self.at += 1;
        if self.peek(0).is_ascii_digit() {
            self.skip_while(|byte| byte.is_ascii_digit());
            return TokenKind::Parameter;
        }
        let tag = self.at;
        if begins_word(self.peek(0)) {
            self.skip_while(|byte| goes_on_word(byte) && byte != b'$');
        }
        if self.peek(0) != b'$' {
            self.at = tag;
            return TokenKind::Stray;
        }
        self.at += 1;
        let (tag, body) = (&self.text[tag - 1..self.at], self.at);
        // A `$` of the body may begin the tag that ends it, so each is looked at.
        while self.at < self.text.len() {
            self.skip_while(|byte| byte != b'$');
            if self.text[self.at..].starts_with(tag) {
                self.at += tag.len();
                return TokenKind::Text;
            }
            self.at += 1;
        }
        self.at = self.text.len();
        debug_assert!(self.at >= body);
        TokenKind::Text
    }

    fn number(&mut self) -> TokenKind {
        let based = self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X' | b'o' | b'O' | b'b' | b'B');
        if !based {
            let digit = |byte: u8| byte.is_ascii_digit() || byte == b'_';
            self.skip_while(digit);
            if self.peek(0) == b'.' && self.peek(1) != b'.' {
                self.at += 1;
                self.skip_while(digit);
            }
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.skip_while(digit);
            }
        }
        // Behind the digits there may be rubbish, which the database refuses; `$` begins something else.
        if based || begins_word(self.peek(0)) {
            self.skip_while(goes_on_word);
        }
        TokenKind::Number
    }

    fn word(&mut self) -> TokenKind {
        match (self.peek(0).to_ascii_lowercase(), self.peek(1), self.peek(2)) {
            (b'e', b'\'', _) => {
                self.at += 1;
                return self.string(Form::Escapes);
            }
            (b'b' | b'x', b'\'', _) => {
                self.at += 1;
                return self.string(Form::Bits);
            }
            (b'u', b'&', b'\'') => {
                self.at += 2;
                return self.string(Form::Plain);
            }
            (b'u', b'&', b'"') => {
                self.at += 2;
                return self.quoted();
            }
            _ => {}
        }
        self.skip_while(goes_on_word);
        TokenKind::Word
    }

    /// Operators are as long as they can be, but for a sign at their end, and end before a comment.
    fn operator(&mut self) -> TokenKind {
        let start = self.at;
        while self.at < self.text.len() && is_operator(self.text[self.at]) {
            if matches!((self.peek(0), self.peek(1)), (b'-', b'-') | (b'/', b'*')) {
                break;
            }
            self.at += 1;
        }
        let signs_may_end = self.text[start..self.at].iter().any(|byte| b"~!@#^&|`?%".contains(byte));
        while !signs_may_end && self.at - start > 1 && matches!(self.text[self.at - 1], b'+' | b'-') {
            self.at -= 1;
        }
        TokenKind::Operator
    }

    fn one(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        kind
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_while(is_space);
        let start = self.at;
        let first = *self.text.get(start)?;
        let kind = match first {
            b'-' if self.peek(1) == b'-' => self.line_comment(),
            b'/' if self.peek(1) == b'*' => self.block_comment(),
            b'\'' => self.string(Form::Plain),
            b'"' => self.quoted(),
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            b'(' | b'[' => self.one(TokenKind::Open),
            b')' | b']' => self.one(TokenKind::Close),
            b',' => self.one(TokenKind::Comma),
            b';' => self.one(TokenKind::Semicolon),
            b'.' | b':' => {
                let two = matches!((first, self.peek(1)), (b'.', b'.') | (b':', b':' | b'='));
                self.at += 1 + usize::from(two);
                TokenKind::Operator
            }
            byte if begins_word(byte) => self.word(),
            byte if is_operator(byte) => self.operator(),
            _ => self.one(TokenKind::Stray),
        };
        // An escape may stand at the very end.
        self.at = self.at.min(self.text.len());
        Some(Token { kind, start, end: self.at })
    }
}

/// How deep brackets stand in each other in `text`, at most.
pub fn depth_max(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for token in tokens {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        Lexer::new(text).map(|token| token.of(text)).collect()
    }

    fn kinds(text: &str) -> Vec<TokenKind> {
        Lexer::new(text).map(|token| token.kind).collect()
    }

    #[test]
    fn strings_end_where_the_database_ends_them() {
        for text in [
            "'a''b'",
            r"E'a\'b'",
            r"e'\\'",
            "U&'d\\0061t' ",
            "b'01'",
            "X'1F'",
            "$$a'b$$",
            "$tag$ $$ $ta$ $tag$",
            "'a'\n  'b'",
            "'a' -- why\n'b'",
            "E'a'\n'\\'b'",
            "'never ends ; --",
            "$x$never ends $y$",
            "E'\\",
        ] {
            assert_eq!(cut(text), [text.trim_end()], "{text}");
            assert_eq!(kinds(text), [TokenKind::Text], "{text}");
        }
        assert_eq!(cut("'a' 'b'"), ["'a'", "'b'"]);
        assert_eq!(cut("N'a'"), ["N", "'a'"]);
        assert_eq!(kinds(r"'a\'"), [TokenKind::Doubtful]);
        assert_eq!(kinds(r"'a\'' or'"), [TokenKind::Doubtful]);
        assert_eq!(kinds(r"'a\b'"), [TokenKind::Text]);
    }

    #[test]
    fn everything_else_is_cut_as_the_database_cuts_it() {
        assert_eq!(cut("a=-1"), ["a", "=", "-", "1"]);
        assert_eq!(cut("a@-1"), ["a", "@-", "1"]);
        assert_eq!(cut("1.5e-3+.5"), ["1.5e-3", "+", ".5"]);
        assert_eq!(cut("1..2"), ["1", "..", "2"]);
        assert_eq!(cut("x::int[1]"), ["x", "::", "int", "[", "1", "]"]);
        assert_eq!(cut("a/* /* */ ; */b--c\nd"), ["a", "/* /* */ ; */", "b", "--c", "d"]);
        assert_eq!(cut("a+/*x*/b"), ["a", "+", "/*x*/", "b"]);
        assert_eq!(cut("a$b$c $1 $"), ["a$b$c", "$1", "$"]);
        assert_eq!(cut(r#""a""b" U&"x""#), [r#""a""b""#, r#"U&"x""#]);
        assert_eq!(cut("grün;0x1F 1_000"), ["grün", ";", "0x1F", "1_000"]);
        assert_eq!(cut("/* never ends"), ["/* never ends"]);
    }

    #[test]
    fn depth_is_counted_without_being_gone_down() {
        let text = "(".repeat(100_000);
        assert_eq!(depth_max(&Lexer::new(&text).collect::<Vec<_>>()), 100_000);
        assert_eq!(depth_max(&Lexer::new("(a)) [(b)]").collect::<Vec<_>>()), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_into_tokens_and_blanks(text in r#"(['"$;()/*\\ \n\-eEuU&a.1é]|[[:print:]]){0,60}"#) {
            let mut at = 0;
            for token in Lexer::new(&text) {
                prop_assert!(token.start >= at && token.end > token.start);
                prop_assert!(text[at..token.start].bytes().all(is_space));
                at = token.end;
            }
            prop_assert!(text[at..].bytes().all(is_space));
        }
    }
}
