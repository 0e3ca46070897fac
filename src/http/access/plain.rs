//! What a request may not leave to interpretation: whoever stands before this server (a proxy's rules, a log, a limit) and
//! this server itself must read the same in it.

use actix_web::{dev::ServiceRequest, http::header};

use crate::http::problem::Problem;

/// Refuses a path with escapes that stand for something else than they say, and a body that is not what it is.
pub(crate) fn check(request: &ServiceRequest) -> Result<(), Problem> {
    escapes(request.uri().path())?;
    body(request)
}

/// RFC 3986 §2.3: letters, digits, `-`, `.`, `_`, `~` are never escaped, and those that are stand for themselves. A rule
/// that looks at the text would not see them.
fn escapes(path: &str) -> Result<(), Problem> {
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            return Err(Problem::bad_request(
                "the path has a `%` without two hexadecimal digits: a `%` itself is written %25",
            ));
        };
        if byte.is_ascii_control() {
            return Err(Problem::bad_request(format!("the path has %{byte:02X}, which is no character")));
        }
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            let character = char::from(byte);
            return Err(Problem::bad_request(format!(
                "the path has %{byte:02X}, which stands for `{character}`: write `{character}`"
            )));
        }
        rest = &after[2..];
    }
    Ok(())
}

/// A decoder makes a body of some kilobytes gigabytes before any limit sees them, and all bodies here are small: they come
/// as they are.
fn body(request: &ServiceRequest) -> Result<(), Problem> {
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING);
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Problem::encoded())
}

#[cfg(test)]
mod tests {
    use actix_web::{http::StatusCode, test::TestRequest};

    use super::*;

    #[test]
    fn escapes_that_stand_for_themselves_are_refused() {
        for (path, right) in [
            ("/api/v1/mode", true),
            ("/", true),
            ("/api/v1/queries/a%2Fb%25%20c", true),
            ("/%C3%A4", true),
            ("/api/v1/mod%65", false),
            ("/api/v1/%6Dode", false),
            ("/%7e", false),
            ("/%2e%2e/x", false),
            ("/a%2Db", false),
            ("/a%5fb", false),
            ("/%30", false),
            ("/a%2Fb%41", false),
            ("/%00", false),
            ("/%1b", false),
            ("/%7F", false),
            ("/%", false),
            ("/%4", false),
            ("/%zz", false),
            ("/%+5", false),
        ] {
            assert_eq!(escapes(path).is_ok(), right, "{path}");
        }
        let said = escapes("/mod%65").expect_err("refused").to_string();
        assert!(said.contains("%65, which stands for `e`"), "{said}");
    }

    #[test]
    fn bodies_come_as_they_are() {
        for (encodings, right) in [
            (&[][..], true),
            (&["identity"], true),
            (&["Identity"], true),
            (&["gzip"], false),
            (&["deflate"], false),
            (&["identity, gzip"], false),
            (&["identity", "gzip"], false),
            (&[""], false),
        ] {
            let mut request = TestRequest::post();
            for encoding in encodings {
                request = request.append_header((header::CONTENT_ENCODING, *encoding));
            }
            let checked = check(&request.to_srv_request());
            assert_eq!(checked.is_ok(), right, "{encodings:?}");
            if let Err(problem) = checked {
                assert_eq!(problem.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
                assert_eq!(problem.to_response().headers().get("accept-encoding").unwrap(), "identity");
            }
        }
    }
}
