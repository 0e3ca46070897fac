//! The tokens that are alive: what the file says, as it was last read.
//!
//! ```text
//! read ──────────▶ these, whatever the file's times say
//! gone ──────────▶ none a second later: whoever removes the file revokes them all, an editor puts another one there
//! unreadable, ───▶ those of before for a minute, so that a slip of the pen locks nobody out; then none: what cannot be
//! or broken        read cannot revoke
//! ```
//! Times are handed in.

use std::{io, path::Path, time::Duration};

use tokio::time::Instant;

use crate::tokens::{Hashed, Token, Tokens, TokensError};

/// How long the tokens of before live while the file cannot be read: long enough to see the warning and mend a line.
pub(super) const UNREAD_MAX: Duration = Duration::from_mins(1);
/// How long the file may be gone: an editor needs an instant between two names.
pub(super) const GONE_MAX: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Live {
    file: String,
    tokens: Tokens,
    /// What was read last.
    content: Vec<u8>,
    trouble: Option<Trouble>,
}

/// Why the file does not say who may ask.
#[derive(Debug)]
struct Trouble {
    since: Instant,
    cause: String,
    is_gone: bool,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing new.
    Same,
    /// Other tokens than before, perhaps none.
    Tokens,
    /// It has begun to be in trouble.
    Trouble,
}

impl Live {
    /// What `content` of `file` says.
    ///
    /// # Errors
    /// [`TokensError`].
    pub(super) fn new(file: &Path, content: Vec<u8>) -> Result<Self, TokensError> {
        let tokens = Tokens::parse(file, &content)?;
        Ok(Self { file: file.display().to_string(), tokens, content, trouble: None })
    }

    /// Takes what has been read of the file `now`.
    pub(super) fn look(&mut self, file: &Path, read: io::Result<Vec<u8>>, now: Instant) -> Found {
        let is_gone = matches!(&read, Err(error) if error.kind() == io::ErrorKind::NotFound);
        let content = match read {
            Ok(content) if content == self.content => {
                let ended = self.trouble.take().is_some();
                // Without a file there are no tokens, so the same file is news.
                return if ended { self.again(file) } else { Found::Same };
            }
            Ok(content) => content,
            Err(error) => return self.troubled(error.to_string(), is_gone, now),
        };
        match Tokens::parse(file, &content) {
            Ok(tokens) => {
                *self = Self { file: self.file.clone(), tokens, content, trouble: None };
                Found::Tokens
            }
            Err(error) => self.troubled(error.without_file(), false, now),
        }
    }

    fn again(&mut self, file: &Path) -> Found {
        self.tokens = Tokens::parse(file, &self.content).unwrap_or_default();
        Found::Tokens
    }

    fn troubled(&mut self, cause: String, is_gone: bool, now: Instant) -> Found {
        let before = self.trouble.take();
        let (since, begins) = before.map_or((now, true), |before| (before.since, before.is_gone != is_gone));
        self.trouble = Some(Trouble { since, cause, is_gone });
        // What was revoked so stays so, until there is a file again.
        if is_gone && self.left(now).is_zero() && !self.tokens.is_empty() {
            self.tokens = Tokens::default();
            return Found::Tokens;
        }
        if begins { Found::Trouble } else { Found::Same }
    }

    /// How long the tokens still live.
    fn left(&self, now: Instant) -> Duration {
        let Some(trouble) = &self.trouble else { return Duration::MAX };
        let max = if trouble.is_gone { GONE_MAX } else { UNREAD_MAX };
        max.saturating_sub(now.saturating_duration_since(trouble.since))
    }

    /// The token with this hash, if it is alive `now`.
    pub(super) fn find(&self, hash: &Hashed, now: Instant) -> Option<&Token> {
        self.tokens.find(hash).filter(|_| !self.left(now).is_zero())
    }

    /// Whether there is a token with this hash, alive or not.
    pub(super) fn holds(&self, hash: &Hashed) -> bool {
        self.tokens.find(hash).is_some()
    }

    /// What is stale, since when, and what helps; a sentence.
    pub(super) fn degraded(&self, now: Instant) -> Option<String> {
        let file = &self.file;
        let Some(Trouble { since, cause, is_gone }) = &self.trouble else {
            return self.tokens.is_empty().then(|| {
                format!("{file} holds no token: nobody gets in until `evenkeel token new` has written one")
            });
        };
        let seconds = now.saturating_duration_since(*since).as_secs();
        let left = self.left(now);
        Some(match (is_gone, left.is_zero() || self.tokens.is_empty()) {
            (true, _) => format!("{file} is gone for {seconds} s: nobody gets in until it is there again"),
            (false, true) => format!(
                "{file} could not be read for {seconds} s ({cause}): nobody gets in until it can be read"
            ),
            (false, false) => format!(
                "{file} could not be read for {seconds} s ({cause}): the tokens of before live for another {} s",
                left.as_secs()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/etc/evenkeel/tokens";

    /// A file of tokens with these names, and the look at it after some seconds.
    struct World {
        begun: Instant,
        live: Live,
    }

    fn line(name: &str) -> String {
        format!("{name} read {}\n", Hashed::of(name))
    }

    fn gone() -> io::Result<Vec<u8>> {
        Err(io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn unreadable() -> io::Result<Vec<u8>> {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "permission denied"))
    }

    impl World {
        fn new() -> Self {
            let content = (line("a") + &line("b")).into_bytes();
            Self { begun: Instant::now(), live: Live::new(Path::new(FILE), content).unwrap() }
        }

        fn at(&self, ms: u64) -> Instant {
            self.begun + Duration::from_millis(ms)
        }

        fn look(&mut self, ms: u64, read: io::Result<Vec<u8>>) -> Found {
            let now = self.at(ms);
            self.live.look(Path::new(FILE), read, now)
        }

        fn alive(&self, ms: u64) -> Vec<&'static str> {
            let opens = |name: &&str| self.live.find(&Hashed::of(name), self.at(ms)).is_some();
            ["a", "b", "c"].into_iter().filter(opens).collect()
        }

        fn degraded(&self, ms: u64) -> String {
            self.live.degraded(self.at(ms)).unwrap_or_default()
        }
    }

    #[test]
    fn the_content_decides_and_not_when_it_was_written() {
        let mut world = World::new();
        assert_eq!(world.look(1_000, Ok((line("a") + &line("b")).into_bytes())), Found::Same);
        assert_eq!((world.alive(1_000), world.degraded(1_000)), (vec!["a", "b"], String::new()));
        assert_eq!(world.look(2_000, Ok((line("b") + &line("c")).into_bytes())), Found::Tokens);
        assert_eq!((world.alive(2_000), world.degraded(2_000)), (vec!["b", "c"], String::new()));
        assert_eq!(world.look(3_000, Ok(Vec::new())), Found::Tokens);
        assert_eq!(world.alive(3_000), Vec::<&str>::new());
        assert!(world.degraded(3_000).contains("holds no token"), "{}", world.degraded(3_000));
    }

    #[test]
    fn a_file_that_cannot_be_read_or_is_broken_leaves_the_tokens_of_before_for_a_minute() {
        for read in [
            unreadable,
            || Ok(b"a read sha256:slip\n".to_vec()),
            || Ok(vec![0xff]),
            || Ok(vec![b'#'; 2_000_000]),
        ] {
            let mut world = World::new();
            assert_eq!(world.look(5_000, read()), Found::Trouble);
            assert_eq!(world.look(6_000, read()), Found::Same);
            assert_eq!(world.alive(64_999), ["a", "b"]);
            let said = world.degraded(15_000);
            assert!(
                said.contains(FILE) && said.contains("for 10 s") && said.contains("another 50 s"),
                "{said}"
            );
            assert_eq!(world.alive(65_000), Vec::<&str>::new(), "also while nobody looks");
            assert_eq!(world.look(66_000, read()), Found::Same);
            assert_eq!(world.alive(66_000), Vec::<&str>::new());
            assert!(world.degraded(66_000).contains("for 61 s"), "{}", world.degraded(66_000));
            assert!(world.degraded(66_000).contains("nobody gets in"), "{}", world.degraded(66_000));
            // The same content as before, read again, is as good as before.
            assert_eq!(world.look(70_000, Ok((line("a") + &line("b")).into_bytes())), Found::Tokens);
            assert_eq!((world.alive(70_000), world.degraded(70_000)), (vec!["a", "b"], String::new()));
        }
    }

    #[test]
    fn what_was_wrong_is_said_and_the_line_is_not() {
        let mut world = World::new();
        world.look(0, Ok(b"\na read evk_secret\n".to_vec()));
        let said = world.degraded(0);
        assert!(said.contains("(line 2: expected") && !said.contains("secret"), "{said}");
        world.look(0, unreadable());
        assert!(world.degraded(0).contains("permission denied"), "{}", world.degraded(0));
    }

    #[test]
    fn a_file_that_is_gone_revokes_all_after_the_instant_that_an_editor_needs() {
        let mut world = World::new();
        assert_eq!(world.look(1_000, gone()), Found::Trouble);
        assert_eq!(world.alive(1_999), ["a", "b"]);
        assert_eq!(world.alive(2_000), Vec::<&str>::new());
        assert!(world.degraded(1_000).contains("is gone for 0 s"), "{}", world.degraded(1_000));
        assert_eq!(world.look(2_000, gone()), Found::Tokens);
        assert_eq!(world.look(3_000, gone()), Found::Same);
        // Now it is there and cannot be read: that gives nobody back what was taken.
        assert_eq!(world.look(4_000, unreadable()), Found::Trouble);
        assert_eq!(world.alive(4_000), Vec::<&str>::new());
        assert!(world.degraded(4_000).contains("nobody gets in"), "{}", world.degraded(4_000));
        assert_eq!(world.look(5_000, Ok(line("a").into_bytes())), Found::Tokens);
        assert_eq!(world.alive(5_000), ["a"]);

        let mut editor = World::new();
        editor.look(1_000, gone());
        assert_eq!(editor.look(1_900, Ok((line("a") + &line("b")).into_bytes())), Found::Tokens);
        assert_eq!(editor.alive(9_000), ["a", "b"]);
    }

    #[test]
    fn troubles_that_follow_each_other_are_one() {
        let mut world = World::new();
        world.look(0, unreadable());
        assert_eq!(world.look(59_000, Ok(b"slip".to_vec())), Found::Same);
        assert_eq!(world.alive(60_000), Vec::<&str>::new());
        let mut world = World::new();
        world.look(0, unreadable());
        assert_eq!(world.look(30_000, gone()), Found::Tokens);
        assert_eq!(world.alive(30_000), Vec::<&str>::new());
    }
}
