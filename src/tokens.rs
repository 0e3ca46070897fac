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

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
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

/// A token or password in clear: it is never printed.
#[derive(Clone)]
pub struct Secret {
    text: String,
    /// Where it was read.
    file: PathBuf,
}

impl Secret {
    /// Reads the one token or password that `file` holds, in one line.
    ///
    /// # Errors
    /// [`TokensError`]; what the file says is not shown.
    pub fn read(file: &Path) -> Result<Self, TokensError> {
        let named = || file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| TokensError::Io { file: named(), error })?;
        let token = text.trim_start_matches('\u{feff}').trim();
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            let reason = "expected one line that holds the secret and nothing else".to_owned();
            return Err(TokensError::Line { file: named(), line: 1, reason });
        }
        Ok(Self { text: token.to_owned(), file: file.to_owned() })
    }

    /// What its file holds now, when that is a secret and another one.
    pub fn reread(&self) -> Option<Self> {
        Self::read(&self.file).ok().filter(|now| now.text != self.text)
    }

    /// Reads the password that `file` holds: all of it but the line's end, for a password may have any character.
    ///
    /// # Errors
    /// [`TokensError`]; what the file says is not shown.
    pub fn read_password(file: &Path) -> Result<Self, TokensError> {
        let named = || file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| TokensError::Io { file: named(), error })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let password = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if password.is_empty() || password.contains(['\n', '\r']) {
            let reason = "expected one line that holds the password and nothing else".to_owned();
            return Err(TokensError::Line { file: named(), line: 1, reason });
        }
        Ok(Self { text: password.to_owned(), file: file.to_owned() })
    }

    /// The secret itself, for whoever carries it to where it is asked for.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_found_by_its_hash_and_kept_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let secret = Tokens::create(&file, "grafana", Scope::Read).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(secret.starts_with(PREFIX) && secret.len() == 68 && !text.contains(&secret[4..]), "{text}");
        let tokens = Tokens::read(&file).unwrap();
        let found = tokens.find(&Hashed::of(&secret)).unwrap();
        assert_eq!((found.name.as_str(), found.scope), ("grafana", Scope::Read));
        assert_eq!(tokens.find(&Hashed::of("evk_other")), None);
        assert_eq!(format!("{:?}", Hashed::of(&secret)), "sha256:…");
    }

    #[test]
    fn a_secret_is_read_again_when_its_file_holds_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "evk_one\n").unwrap();
        let secret = Secret::read(&file).unwrap();
        assert!(secret.reread().is_none(), "the same one opens no more than before");
        std::fs::write(&file, "two words\n").unwrap();
        assert!(secret.reread().is_none(), "half a file is none");
        std::fs::write(&file, "evk_two\n").unwrap();
        assert_eq!(secret.reread().unwrap().expose(), "evk_two");
        std::fs::remove_file(&file).unwrap();
        assert!(secret.reread().is_none());
    }

    #[test]
    fn two_live_tokens_of_one_name_are_enough_to_rotate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let both = [(); 2].map(|()| Tokens::create(&file, "client", Scope::Control).unwrap());
        let tokens = Tokens::read(&file).unwrap();
        assert!(both.iter().all(|secret| tokens.find(&Hashed::of(secret)).is_some()));
        let third = Tokens::create(&file, "client", Scope::Control).unwrap_err();
        assert!(third.to_string().contains("remove the line"), "{third}");
    }

    #[test]
    fn a_last_line_without_an_end_gets_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let first = format!("a read {}", Hashed::of("evk_a"));
        std::fs::write(&file, &first).unwrap();
        let secret = Tokens::create(&file, "b", Scope::Admin).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("{first}\nb admin {}\n", Hashed::of(&secret)));
        Tokens::create(&file, "c", Scope::Read).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3, "no line is empty");
        assert_eq!(Tokens::read(&file).unwrap().0.len(), 3);
    }

    #[test]
    fn what_cannot_be_added_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        for name in ["", "a b", "a/b", "ä", "a#b", "\u{1b}[2J", &"x".repeat(65)] {
            let error = Tokens::create(&file, name, Scope::Read).unwrap_err().to_string();
            assert!(error.contains("cannot be a name") && !error.contains('\u{1b}'), "{error}");
            assert!(error.len() < 200 && !file.exists(), "{error}");
        }
        for broken in ["nonsense", "a read sha256:00\n", "\n\u{0}"] {
            std::fs::write(&file, broken).unwrap();
            let error = Tokens::create(&file, "b", Scope::Read).unwrap_err().to_string();
            assert!(error.contains("line "), "{error}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), broken);
        }
        assert!(Tokens::create(folder.path(), "b", Scope::Read).is_err(), "a folder is no file");
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_one_that_is_there_keeps_its_rights() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        Tokens::create(&file, "a", Scope::Read).unwrap();
        assert_eq!(mode(), 0o600);
        // Whoever runs the server may be of the file's group: what was given is not taken back.
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        Tokens::create(&file, "b", Scope::Read).unwrap();
        assert_eq!(mode(), 0o640);
    }

    #[test]
    fn those_who_add_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let add = |n: usize| {
            let file = file.clone();
            std::thread::spawn(move || Tokens::create(&file, &format!("n{n}"), Scope::Read).unwrap())
        };
        let added: Vec<_> = (0..20).map(add).collect();
        let secrets: Vec<_> = added.into_iter().map(|one| one.join().unwrap()).collect();
        let tokens = Tokens::read(&file).unwrap();
        assert!(secrets.iter().all(|secret| tokens.find(&Hashed::of(secret)).is_some()));
    }

    #[test]
    fn limits_of_the_file_hold_to_the_last_one() {
        let lines = |n: usize| -> String {
            (0..n).fold(String::new(), |text, n| text + &format!("n{n} read {}\n", Hashed::of("a")))
        };
        let parse = |text: &str| Tokens::parse(Path::new("tokens"), text.as_bytes());
        assert_eq!(parse(&lines(TOKENS_MAX)).unwrap().0.len(), TOKENS_MAX);
        assert!(parse(&lines(TOKENS_MAX + 1)).is_err());
        let filled = |bytes: u64| "#".repeat(bytes as usize);
        assert!(parse(&filled(FILE_BYTES_MAX)).unwrap().is_empty());
        let error = parse(&filled(FILE_BYTES_MAX + 1)).unwrap_err();
        assert!(error.to_string().contains("no file of tokens"), "{error}");
        let name = |length: usize| parse(&format!("{} read {}", "n".repeat(length), Hashed::of("a")));
        assert!(name(64).is_ok() && name(65).is_err());
        let marked = format!("\u{feff}a read {}\r\n# b\r\n", Hashed::of("a"));
        assert_eq!(parse(&marked).unwrap().0.len(), 1);
        let error = Tokens::parse(Path::new("tokens"), b"# a\n\n\xff").unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("UTF-8"), "{error}");
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        for (line, wrong) in [
            ("x read evk_secret", "sha256"),
            ("x write sha256:00", "sha256"),
            ("x", "name scope"),
            (&format!("x write {}", Hashed::of("a")), "unknown scope"),
            (&format!("x evk_secret {}", Hashed::of("a")), "unknown scope"),
            (&format!("a/secret read {}", Hashed::of("a")), "cannot be a name"),
            (&format!("evk_secret{} read {}", "0".repeat(60), Hashed::of("a")), "cannot be a name"),
        ] {
            std::fs::write(&file, format!("# tokens\n{line}\n")).unwrap();
            let error = Tokens::read(&file).unwrap_err().to_string();
            assert!(
                error.contains("line 2") && error.contains(wrong) && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
