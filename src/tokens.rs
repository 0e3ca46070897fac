//! Bearer tokens: a file of names, scopes and hashes. The tokens themselves are shown once and kept nowhere.
//!
//! ```text
//! # name   scope    hash of the token
//! grafana  read     sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! client   control  sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
//! ```
//!
//! A token is 256 random bits, so one round of SHA-256 hides it; a slow hash is for what people make up. Two
//! lines may have the same name: the new token is handed out before the old one's line is removed.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    str::FromStr,
};

use evenkeel_core::text;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// How all tokens begin, so that secret scanners know them.
const PREFIX: &str = "evk_";
/// Live tokens of one name.
const PER_NAME_MAX: usize = 2;
/// Longest name of a token, in bytes: a host's.
const NAME_BYTES_MAX: usize = 64;
/// A file with more is a mistake.
const TOKENS_MAX: usize = 1_000;
/// Room for [`TOKENS_MAX`] lines of 150 bytes, and for as much to explain each.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a token allows; each scope includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See everything.
    Read,
    /// Place slots, add delays.
    Control,
    /// Change the mode.
    Admin,
}

impl Scope {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Control, Self::Admin];

    /// As it stands in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Control => "control",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| {
            format!("unknown scope `{}`: one of read, control, admin", text::shown(text, NAME_BYTES_MAX))
        })
    }
}

/// SHA-256 of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hashed([u8; 32]);

impl Hashed {
    /// The hash of `secret`.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether they are equal, in a time that does not depend on where they differ.
    pub fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:…")
    }
}

impl FromStr for Hashed {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii()).ok_or(())?;
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).map_err(|_| ())?;
        }
        Ok(Self(bytes))
    }
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// Its hash.
    pub hash: Hashed,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.scope, self.hash)
    }
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read or written.
    #[error("{file}: {error}")]
    Io {
        /// Which one.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// It says something that it cannot say.
    #[error("{file}, line {line}: {reason}")]
    Line {
        /// Which one.
        file: String,
        /// Where, from 1.
        line: usize,
        /// What is wrong. The line itself is not shown: a token may have been put there by mistake.
        reason: String,
    },
    /// Bigger than any file of tokens.
    #[error("{file} has more than {FILE_BYTES_MAX} bytes: that is no file of tokens")]
    TooLarge {
        /// Which one.
        file: String,
    },
    /// A third token of one name.
    #[error("`{0}` has two live tokens: remove the line of the older one first")]
    TooMany(String),
    /// More tokens than a file may have.
    #[error("{TOKENS_MAX} tokens are in one file already: remove the lines that nobody needs")]
    Full,
    /// A name that the file cannot hold.
    #[error("`{}` cannot be a name: 1 to 64 letters, digits, `-`, `_`, `.`", text::shown(.0, NAME_BYTES_MAX))]
    Name(String),
}

impl TokensError {
    /// What is wrong, where the file has been named already.
    pub fn without_file(&self) -> String {
        match self {
            Self::Io { error, .. } => error.to_string(),
            Self::Line { line, reason, .. } => format!("line {line}: {reason}"),
            Self::TooLarge { .. } => format!("more than {FILE_BYTES_MAX} bytes"),
            Self::TooMany(_) | Self::Full | Self::Name(_) => self.to_string(),
        }
    }

    /// What is wrong with a line, where a token may stand in the name's place by mistake.
    fn without_name(&self) -> String {
        match self {
            Self::TooMany(_) => "a third token of one name: remove the line of the oldest one".to_owned(),
            Self::Name(_) => {
                format!("this cannot be a name: 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_`, `.`")
            }
            _ => self.to_string(),
        }
    }
}

/// The live tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads `file`.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn read(file: &Path) -> Result<Self, TokensError> {
        let read =
            Self::bytes(file).map_err(|error| TokensError::Io { file: file.display().to_string(), error });
        Self::parse(file, &read?)
    }

    /// What `file` holds, and no more of it than one byte too many.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bytes(file: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
        Ok(content)
    }

    /// The tokens in `content`, which `file` holds.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn parse(file: &Path, content: &[u8]) -> Result<Self, TokensError> {
        let named = || file.display().to_string();
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(TokensError::TooLarge { file: named() });
        }
        let text = std::str::from_utf8(content).map_err(|error| TokensError::Line {
            file: named(),
            line: content[..error.valid_up_to()].split(|byte| *byte == b'\n').count(),
            reason: "expected text in UTF-8".to_owned(),
        })?;
        let mut tokens = Self::default();
        // Some editors begin each file with a mark.
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let added = parse(line).and_then(|token| tokens.add(token).map_err(|error| error.without_name()));
            added.map_err(|reason| TokensError::Line { file: named(), line: at + 1, reason })?;
        }
        Ok(tokens)
    }

    fn add(&mut self, token: Token) -> Result<(), TokensError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if token.name.is_empty() || token.name.len() > NAME_BYTES_MAX || !token.name.chars().all(fits) {
            return Err(TokensError::Name(token.name));
        }
        if self.0.iter().filter(|other| other.name == token.name).count() >= PER_NAME_MAX {
            return Err(TokensError::TooMany(token.name));
        }
        if self.0.len() >= TOKENS_MAX {
            return Err(TokensError::Full);
        }
        self.0.push(token);
        Ok(())
    }

    /// The token with this hash, found in a time that does not depend on which it is.
    pub fn find(&self, hash: &Hashed) -> Option<&Token> {
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.hash.is(hash)) {
                found = Some(token);
            }
        }
        found
    }

    /// Whether there is none: nobody could get in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Draws a token, adds its hash to `file`, which is created for its owner only, and returns the token.
    ///
    /// # Errors
    /// [`TokensError`]; the file is as it was then.
    pub fn create(file: &Path, name: &str, scope: Scope) -> Result<String, TokensError> {
        let io = |error| TokensError::Io { file: file.display().to_string(), error };
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| io(io::Error::other(error.to_string())))?;
        let secret = bytes.iter().fold(PREFIX.to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let token = Token { name: name.to_owned(), scope, hash: Hashed::of(&secret) };
        // No file is begun for what cannot be in one.
        Self::default().add(token.clone())?;
        append(file, &token)?;
        Ok(secret)
    }
}

/// Adds a line to `file`, whole or not at all.
fn append(file: &Path, token: &Token) -> Result<(), TokensError> {
    let io = |error| TokensError::Io { file: file.display().to_string(), error };
    let mut options = OpenOptions::new();
    let mut open = options.read(true).append(true).create(true).mode(0o600).open(file).map_err(io)?;
    // Two who add at once: the second one reads what the first has written.
    open.lock().map_err(io)?;
    let mut content = Vec::new();
    Read::by_ref(&mut open).take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(io)?;
    let before = content.len();
    Tokens::parse(file, &content)?;
    if content.last().is_some_and(|last| *last != b'\n') {
        content.push(b'\n');
    }
    content.extend(format!("{token}\n").into_bytes());
    // Whoever reads the new file must be able to: this is asked before it is one.
    Tokens::parse(file, &content)?;
    let written = open.write_all(&content[before..]).and_then(|()| open.sync_all());
    if let Err(error) = written {
        // Half a line would make the whole file broken.
        let _ = open.set_len(before as u64);
        return Err(io(error));
    }
    Ok(())
}

fn parse(line: &str) -> Result<Token, String> {
    let [name, scope, hash] = line.split_whitespace().collect::<Vec<_>>()[..] else {
        return Err("expected `name scope sha256:…`".to_owned());
    };
    let hash = hash.parse().map_err(|()| {
        "expected `sha256:` and 64 hexadecimal digits: `evenkeel token new` writes such a line".to_owned()
    })?;
    let scope = scope.parse().map_err(|_| "unknown scope: one of read, control, admin")?;
    Ok(Token { name: name.to_owned(), scope, hash })
}
