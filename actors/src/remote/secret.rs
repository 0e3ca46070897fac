//! What opens a server: read from a file, carried to whom it is for, and never printed.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// No secret can be read. What the file says is not shown.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// Which one.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{}, line 1: expected one line that holds the {what} and nothing else", file.display())]
    NotOne {
        /// Which one.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
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
    /// [`SecretError`]; what the file says is not shown.
    pub fn read(file: &Path) -> Result<Self, SecretError> {
        let text = content(file)?;
        let token = text.trim_start_matches('\u{feff}').trim();
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(SecretError::NotOne { file: file.to_owned(), what: "secret" });
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
    /// [`SecretError`]; what the file says is not shown.
    pub fn read_password(file: &Path) -> Result<Self, SecretError> {
        let text = content(file)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let password = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if password.is_empty() || password.contains(['\n', '\r']) {
            return Err(SecretError::NotOne { file: file.to_owned(), what: "password" });
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

fn content(file: &Path) -> Result<String, SecretError> {
    std::fs::read_to_string(file).map_err(|error| SecretError::Unreadable { file: file.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_password_may_have_any_character_and_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let read = |content: &str| {
            std::fs::write(&file, content).unwrap();
            Secret::read_password(&file).map(|secret| secret.expose().to_owned())
        };
        for (content, password) in
            [("hush", "hush"), (" hu sh \n", " hu sh "), ("hush\r\n", "hush"), ("\u{feff}hüsh\n", "hüsh")]
        {
            assert_eq!(read(content).unwrap(), password);
        }
        for content in ["", "\n", "\r\n", "hush\n\n", "hush\nhush\n", "hu\rsh"] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains("one line that holds the password") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "evk_hush\n").unwrap();
        assert_eq!(format!("{:?}", Secret::read(&file).unwrap()), "Secret(…)");
    }
}
