//! From where a browser asks. A page elsewhere that has its name point here would otherwise read everything (DNS
//! rebinding), and one that sends a form here would change it.

use std::net::IpAddr;

use actix_web::{
    dev::ServiceRequest,
    http::{Method, StatusCode, header, header::HeaderName},
};
use evenkeel_core::text;

use crate::http::problem::Problem;

/// Longest name that an answer repeats.
const SHOWN_CHARS_MAX: usize = 100;

/// Refuses what a page elsewhere sends; `hosts` are the names under which this server may be asked.
pub(super) fn check(request: &ServiceRequest, hosts: &[String]) -> Result<(), Problem> {
    let host = only(request, &header::HOST)?;
    if let Some(host) = host {
        let asked = Authority::parse(host).filter(|asked| asked.is_known(hosts));
        let Some(asked) = asked else {
            return Err(forbidden(format!(
                "this server is not known as `{}` (header Host): ask for it by its address, or start it with --allow-host",
                text::shown(host, SHOWN_CHARS_MAX)
            )));
        };
        // `GET http://elsewhere/…`: the line goes before the header for those who read both.
        let line = request.uri().authority().map(|authority| Authority::parse(authority.as_str()));
        if line.is_some_and(|line| line != Some(asked)) {
            return Err(Problem::bad_request(
                "the request's line and its header Host name different servers",
            ));
        }
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    match only(request, &header::ORIGIN)? {
        Some(origin) if !reads && !is_same(origin, host) => Err(forbidden(format!(
            "the header Origin says `{}` and the header Host `{}`: a page of another origin may not change anything \
             here. A proxy must hand on the Host that the browser sent (nginx: proxy_set_header Host $http_host)",
            text::shown(origin, SHOWN_CHARS_MAX),
            text::shown(host.unwrap_or_default(), SHOWN_CHARS_MAX)
        ))),
        _ => Ok(()),
    }
}

fn forbidden(what: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, what)
}

/// The value of a header that there may be one of. What is no text is empty, which is no name and no origin.
fn only<'a>(request: &'a ServiceRequest, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = request.headers().get_all(name);
    let first = values.next().map(|value| value.to_str().unwrap_or_default());
    if values.next().is_some() {
        return Err(Problem::bad_request(format!("there are several headers {name}: which one holds?")));
    }
    Ok(first)
}

/// `host`, `host:port`, `[address]:port`.
#[derive(Debug, PartialEq, Eq)]
struct Authority {
    name: String,
    port: Option<u16>,
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<std::net::Ipv6Addr>().ok()?;
                (address, port)
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            None | Some(_) => return None,
        };
        (!name.is_empty()).then(|| Self { name: name.to_ascii_lowercase(), port })
    }

    fn is_known(&self, hosts: &[String]) -> bool {
        self.name == "localhost"
            || self.name.parse::<IpAddr>().is_ok()
            || hosts.iter().any(|known| known.eq_ignore_ascii_case(&self.name))
    }
}

/// Whether a page of `origin` is this server's, which was asked as `host`. Browsers leave out the scheme's own port in one
/// of the two, or in both.
fn is_same(origin: &str, host: Option<&str>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let own_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let parsed = |text| Authority::parse(text).map(|it| (it.name, it.port.unwrap_or(own_port)));
    let page = parsed(authority);
    page.is_some() && page == host.and_then(parsed)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn status(headers: &[(&str, &str)]) -> u16 {
        let mut request = TestRequest::post().uri("/delay");
        for header in headers {
            request = request.append_header(*header);
        }
        let hosts = ["evenkeel.internal".to_owned()];
        check(&request.to_srv_request(), &hosts).map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn default_ports_are_equal_however_they_are_written() {
        for (host, origin, same) in [
            ("localhost:443", "https://localhost", true),
            ("localhost", "https://localhost:443", true),
            ("localhost:80", "http://localhost", true),
            ("localhost", "http://localhost", true),
            ("LOCALHOST", "https://localhost", true),
            ("[::1]:7070", "http://[::1]:7070", true),
            ("localhost:7070", "http://localhost:7070", true),
            ("localhost:443", "http://localhost", false),
            ("localhost:80", "https://localhost", false),
            ("localhost:7070", "http://localhost", false),
            ("localhost:7070", "http://localhost:7071", false),
            ("localhost", "ftp://localhost", false),
            ("localhost", "null", false),
            ("localhost", "", false),
            ("localhost", "http://", false),
            ("localhost", "http://elsewhere.example", false),
        ] {
            let answered = status(&[("host", host), ("origin", origin)]);
            assert_eq!(answered, if same { 200 } else { 403 }, "{host} {origin}");
        }
        assert_eq!(status(&[("origin", "http://localhost")]), 403, "without a Host nobody is the same");
    }

    #[test]
    fn names_are_taken_to_the_letter() {
        for (host, expected) in [
            ("localhost", 200),
            ("localhost:", 200),
            ("127.0.0.1:1", 200),
            ("EVENKEEL.internal:7070", 200),
            ("[::1]", 200),
            ("localhost:evil.example", 403),
            ("localhost:99999", 403),
            ("localhost:+1", 403),
            ("evil.example", 403),
            ("user@localhost", 403),
            ("localhost.evil.example", 403),
            ("[localhost]", 403),
            ("[::1]evil.example", 403),
            ("[::1", 403),
            (":7070", 403),
            ("", 403),
        ] {
            assert_eq!(status(&[("host", host)]), expected, "{host}");
        }
        assert_eq!(status(&[]), 200, "what has no Host is no browser");
        assert_eq!(status(&[("host", "localhost"), ("host", "evil.example")]), 400);
        let twice =
            [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example")];
        assert_eq!(status(&twice), 400);
    }

    #[test]
    fn the_line_of_the_request_and_its_host_agree() {
        let ask = |uri: &str| {
            let request = TestRequest::get().uri(uri).insert_header(("host", "localhost:7070"));
            check(&request.to_srv_request(), &[]).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(ask("http://localhost:7070/queued"), Ok(()));
        assert_eq!(ask("/queued"), Ok(()));
        assert_eq!(ask("http://evil.example/queued"), Err(400));
        assert_eq!(ask("http://localhost:7071/queued"), Err(400));
    }

    #[test]
    fn the_answer_names_the_headers_and_obeys_nothing_in_them() {
        let request = TestRequest::post()
            .insert_header(("host", "localhost:7070"))
            .insert_header(("origin", "https://evenkeel.example"))
            .to_srv_request();
        let said = check(&request, &[]).expect_err("refused").to_string();
        for part in ["Origin", "`https://evenkeel.example`", "Host", "`localhost:7070`", "proxy_set_header"] {
            assert!(said.contains(part), "{said}");
        }
        let long = "x".repeat(5_000);
        let request = TestRequest::get().insert_header(("host", long.as_str())).to_srv_request();
        let said = check(&request, &[]).expect_err("refused").to_string();
        assert!(said.len() < 400 && said.contains("Host") && said.contains("--allow-host"), "{said}");
    }
}
