//! Addresses that may hold secrets. What is shown of one is put together from parts that are none; what cannot be read is
//! not repeated at all, for where its secret ends only its author knows.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{ParseError, Url};

/// A URL whose `Display` and `Debug` show neither user, password nor query.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

/// A text that is no such address. It says why, and nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// As `.env` files have it, whose quotes some readers keep.
    #[error("it begins with a quotation mark that belongs to no address")]
    Quoted,
    /// No scheme, or one of something else.
    #[error("it does not begin with {0}")]
    Scheme(&'static str),
    /// Nothing after the scheme, or one slash only.
    #[error("it names no host after `://`")]
    Host,
    /// What stands where a port belongs is none.
    #[error(
        "its port is no number up to 65535; an IPv6 address stands in brackets, and in a user or password / ? # @ : are \
         written %2F %3F %23 %40 %3A"
    )]
    Port,
    /// The text before the `@` is no UTF-8.
    #[error("its user or password is not UTF-8 once its % escapes are read")]
    Escapes,
    /// Whatever else.
    #[error("it is no URL")]
    Other,
}

impl From<ParseError> for AddressError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::EmptyHost => Self::Host,
            ParseError::InvalidPort | ParseError::InvalidIpv6Address => Self::Port,
            _ => Self::Other,
        }
    }
}

impl Address {
    /// Reads `text`, whose scheme is one of `schemes`; `expected` names them in an error.
    ///
    /// # Errors
    /// [`AddressError`]; it repeats nothing of the text.
    pub fn parse(text: &str, schemes: &[&str], expected: &'static str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.starts_with(['"', '\'', '`']) {
            return Err(AddressError::Quoted);
        }
        let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if !text.contains(':') || !schemes.contains(&scheme.as_str()) {
            return Err(AddressError::Scheme(expected));
        }
        let url = Url::parse(text)?;
        if !scheme.contains("unix")
            && (!text.contains("://") || url.host_str().unwrap_or_default().is_empty())
        {
            return Err(AddressError::Host);
        }
        Ok(Self(url))
    }

    /// How to speak there.
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// Whether anything stands before an `@`.
    pub fn has_user_info(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }

    /// As whom, with `%` escapes read.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn user(&self) -> Result<Option<String>, AddressError> {
        decoded(Some(self.0.username()).filter(|user| !user.is_empty()))
    }

    /// With which password, with `%` escapes read.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn password(&self) -> Result<Option<String>, AddressError> {
        decoded(self.0.password())
    }

    /// The URL itself, for whoever connects: it may hold secrets.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

fn decoded(text: Option<&str>) -> Result<Option<String>, AddressError> {
    let decoded = text.map(|text| percent_decode_str(text).decode_utf8().map(String::from));
    decoded.transpose().map_err(|_| AddressError::Escapes)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        write!(f, "{}:", url.scheme())?;
        if let Some(host) = url.host_str() {
            write!(f, "//{}{host}", if self.has_user_info() { "…@" } else { "" })?;
        }
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        // What a slash in a password leads to.
        match url.path() {
            path if path.contains('@') => f.write_str("/…"),
            "/" => Ok(()),
            path => f.write_str(path),
        }?;
        f.write_str(if url.query().is_some() || url.fragment().is_some() { "?…" } else { "" })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let schemes = ["redis", "rediss", "redis+unix", "unix", "http", "https"];
        let address = Address::parse(text, &schemes, "a scheme");
        address.map_or_else(|error| format!("{error} {error:?}"), |address| format!("{address} {address:?}"))
    }

    #[test]
    fn no_form_shows_its_secret() {
        for text in [
            "redis://server:s:e@SECRET@redis.example:6379/1",
            "redis://SECRET@redis.example",
            "redis://:SECRET@redis.example",
            "redis://redis.example?password=SECRET",
            "redis://redis.example/#SECRET",
            "redis:/x:SECRET@h",
            "redis:x:SECRET@h",
            "redis:///x:SECRET@h",
            "redis://x:a/SECRET@h",
            "redis://x:1/SECRET@h",
            "redis://x:a?SECRET@h",
            "x:SECRET@h",
            "SECRET",
            "\"redis://x:SECRET@h\"",
            "unix:/x:SECRET@h",
            "unix://x:SECRET@h/x",
            "redis+unix:///run/redis.sock?pass=SECRET",
            "http:/x:SECRET@h",
            "http://x:SECRET@h:1/path?token=SECRET#SECRET",
            "SECRET://h",
            "redis://[SECRET]",
        ] {
            let said = shown(text);
            assert!(!said.contains("SECRET"), "{text}: {said}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for (text, expected) in [
            ("redis://server:SECRET@redis.example:6379/1", "redis://…@redis.example:6379/1"),
            (" redis://[::1]:6380\r\n", "redis://[::1]:6380"),
            ("redis+unix:///run/redis.sock?pass=SECRET", "redis+unix:/run/redis.sock?…"),
            ("https://edge.example/evenkeel/", "https://edge.example/evenkeel/"),
            ("http://127.0.0.1:7070/", "http://127.0.0.1:7070"),
        ] {
            assert!(shown(text).starts_with(&format!("{expected} ")), "{text}: {}", shown(text));
        }
        assert!(shown("redis.example:6379").contains("does not begin with a scheme"));
        assert!(shown("redis://fe80::1:6379").contains("brackets"));
        assert!(shown("redis://u:a/b@h").contains("%2F"));
    }

    #[test]
    fn users_and_passwords_may_have_any_character() {
        let parse = |text: &str| Address::parse(text, &["redis"], "redis://").unwrap();
        let address = parse("redis://us%20er:p%40s%2Fs%3A%23%25ü\"<@h");
        assert_eq!(address.user().unwrap().as_deref(), Some("us er"));
        assert_eq!(address.password().unwrap().as_deref(), Some("p@s/s:#%ü\"<"));
        assert_eq!(parse("redis://u:a@b:c@h").password().unwrap().as_deref(), Some("a@b:c"));
        assert_eq!(parse("redis://u:100%@h").password().unwrap().as_deref(), Some("100%"));
        assert_eq!(parse("redis://u:%ff@h").password(), Err(AddressError::Escapes));
    }
}
