//! `--base-path`: a proxy shows this server under a path of its own, `https://host/evenkeel/`.
//!
//! The page names everything relative to where it is. What a proxy hands on may have the path before it or not: it is taken
//! off before the router looks.

use std::{fmt, str::FromStr};

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{Uri, header, uri::PathAndQuery},
};

/// Longest path: a proxy's location, not a document.
const BYTES_MAX: usize = 100;
/// What this server's own addresses begin with: a path of the same name would hide them.
const OWN: [&str; 10] =
    ["api", "assets", "delay", "healthz", "login", "logout", "metrics", "queued", "readyz", "resources"];

/// Empty, or `/evenkeel`: without a slash at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Where the page is.
    pub(super) fn root(&self) -> String {
        format!("{self}/")
    }

    /// Takes the path off, where `request` has it; the answer, where that is all.
    pub(super) fn take_off(&self, request: &mut ServiceRequest) -> Option<HttpResponse> {
        if self.0.is_empty() {
            return None;
        }
        let uri = request.uri();
        let rest = uri.path_and_query()?.as_str().strip_prefix(&self.0)?;
        if rest.is_empty() || rest.starts_with('?') {
            // The page's relative addresses need the slash.
            let mut moved = HttpResponse::PermanentRedirect();
            return Some(moved.insert_header((header::LOCATION, format!("{self}/{rest}"))).finish());
        }
        let mut parts = uri.clone().into_parts();
        // `/evenkeeler` is another path.
        parts.path_and_query = Some(PathAndQuery::from_str(rest).ok().filter(|_| rest.starts_with('/'))?);
        let uri = Uri::from_parts(parts).ok()?;
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
        None
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        let fits = |part: &str| {
            !part.is_empty()
                && part.bytes().any(|byte| byte != b'.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        let Some(parts) = path.strip_prefix('/') else {
            return if text.is_empty() || text == "/" {
                Ok(Self::default())
            } else {
                Err(format!("`{text}` is no base path: expected one like /evenkeel"))
            };
        };
        if path.len() > BYTES_MAX || !parts.split('/').all(fits) {
            return Err(format!(
                "`{text}` is no base path: expected one like /evenkeel, of letters, digits, `-`, `.`, `_`, `~`, at most \
                 {BYTES_MAX} of them"
            ));
        }
        let first = parts.split('/').next().unwrap_or_default();
        if OWN.contains(&first) {
            return Err(format!(
                "`{text}` cannot be a base path: addresses of this server begin with /{first}"
            ));
        }
        Ok(Self(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn base(text: &str) -> BasePath {
        text.parse().expect("a base path")
    }

    #[test]
    fn it_is_taken_off_where_it_is() {
        for (base_path, asked, left) in [
            ("/evenkeel", "/evenkeel/api/v1/mode?x=/evenkeel", "/api/v1/mode?x=/evenkeel"),
            ("/evenkeel/", "/evenkeel/", "/"),
            ("/a/b", "/a/b/queued", "/queued"),
            ("/evenkeel", "/queued", "/queued"),
            ("/evenkeel", "/evenkeeler/queued", "/evenkeeler/queued"),
            ("/evenkeel", "/Evenkeel/queued", "/Evenkeel/queued"),
            ("", "/evenkeel/queued", "/evenkeel/queued"),
            ("/", "//queued", "//queued"),
        ] {
            let mut request = TestRequest::with_uri(asked).to_srv_request();
            assert!(base(base_path).take_off(&mut request).is_none(), "{asked}");
            assert_eq!(request.uri().to_string(), left, "{base_path} {asked}");
            let path = left.split('?').next().expect("a path");
            assert_eq!((request.path(), request.match_info().as_str()), (path, path));
        }
    }

    #[test]
    fn without_a_slash_at_its_end_it_is_somewhere_else() {
        for (asked, there) in [("/evenkeel", "/evenkeel/"), ("/evenkeel?a=1", "/evenkeel/?a=1")] {
            let mut request = TestRequest::with_uri(asked).to_srv_request();
            let moved = base("/evenkeel").take_off(&mut request).expect("an answer");
            assert_eq!(
                (moved.status().as_u16(), moved.headers().get("location").unwrap().as_bytes()),
                (308, there.as_bytes())
            );
        }
    }

    #[test]
    fn what_cannot_be_one_says_what_could() {
        assert_eq!(
            (base("").root(), base("/").root(), base("/a/b/").root()),
            ("/".into(), "/".into(), "/a/b/".into())
        );
        for wrong in ["evenkeel", "/a//b", "/../b", "/.", "/a b", "/a%20b", "/ä", "/a?b", "//"] {
            let said = wrong.parse::<BasePath>().expect_err(wrong);
            assert!(said.contains("like /evenkeel"), "{said}");
        }
        assert!(format!("/{}", "x".repeat(BYTES_MAX)).parse::<BasePath>().is_err());
        for own in OWN {
            assert!(format!("/{own}/x").parse::<BasePath>().expect_err(own).contains(own));
        }
    }
}
