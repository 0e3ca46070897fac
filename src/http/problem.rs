//! Errors as RFC 9457 problem details.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError, Route,
    http::{Method, StatusCode, header},
    web,
};
use evenkeel_core::text;
use serde::Serialize;
use utoipa::ToSchema;

/// RFC 9457 §4.2.1: the status says what kind of problem it is.
#[derive(Clone, Copy, Debug)]
struct AboutBlank;

impl Serialize for AboutBlank {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("about:blank")
    }
}

/// Longest sentence of an answer: it repeats what was sent in, or what many causes say, and is read in a terminal.
const DETAIL_CHARS_MAX: usize = 2_000;

/// An error, as its reader gets it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: AboutBlank,
    title: &'static str,
    status: u16,
    /// What was wrong, and what would be right.
    #[schema(value_type = String)]
    detail: Box<str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<String>)]
    reasons: Box<[String]>,
    /// With 503 of `/readyz`: what works less well than it should, besides.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<String>)]
    degraded: Box<[String]>,
    /// With 409: who levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Box<str>>,
    /// With 409: under which epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip)]
    allow: Option<Box<str>>,
    #[serde(skip)]
    retry_after_seconds: Option<u8>,
    /// Whether a body that is not encoded would be taken.
    #[serde(skip)]
    takes_identity: bool,
    #[serde(skip)]
    authenticate: bool,
}

fn all_shown(sentences: &[String]) -> Box<[String]> {
    sentences.iter().map(|sentence| text::shown(sentence, DETAIL_CHARS_MAX)).collect()
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl fmt::Display) -> Self {
        Self {
            kind: AboutBlank,
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: text::shown(&detail.to_string(), DETAIL_CHARS_MAX).into(),
            reasons: Box::default(),
            degraded: Box::default(),
            holder: None,
            epoch: None,
            allow: None,
            retry_after_seconds: None,
            takes_identity: false,
            authenticate: false,
        }
    }

    pub(super) fn bad_request(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_found(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Not now: worth another try in a second.
    pub(super) fn unavailable(detail: impl fmt::Display) -> Self {
        Self { retry_after_seconds: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Who asks must say who they are.
    pub(super) fn unauthorized() -> Self {
        let detail = "this needs a token: send `Authorization: Bearer evk_…`, or sign in at /login";
        Self { authenticate: true, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// Too often: worth another try after so long.
    pub(super) fn too_many(detail: impl fmt::Display, after: Duration) -> Self {
        let seconds = after.as_secs_f64().ceil().clamp(1.0, f64::from(u8::MAX)) as u8;
        Self { retry_after_seconds: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The actor failed on this request: what became of it is unknown.
    pub(super) fn outcome_unknown() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the queue failed on this request: whether it had an effect is unknown, GET /queued tells",
        )
    }

    /// The body is encoded, and would be taken as it is (RFC 7694).
    pub(super) fn encoded() -> Self {
        let detail = "the body is encoded (header Content-Encoding): send it as it is, bodies here are small";
        Self { takes_identity: true, ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail) }
    }

    pub(super) fn with_reasons(self, reasons: &[String]) -> Self {
        Self { reasons: all_shown(reasons), ..self }
    }

    pub(super) fn with_degraded(self, degraded: &[String]) -> Self {
        Self { degraded: all_shown(degraded), ..self }
    }

    pub(super) fn with_holder(self, holder: &str, epoch: u64) -> Self {
        let holder = text::shown(holder, DETAIL_CHARS_MAX);
        Self { holder: Some(holder.into()), epoch: Some(epoch), ..self }
    }

    /// A body that could not be read.
    pub(super) fn from_payload(error: &actix_web::Error, bytes_max: usize) -> Self {
        match error.as_response_error().status_code() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than the {bytes_max} bytes that fit here"),
            ),
            _ => Self::bad_request(format!("the body could not be read: {error}")),
        }
    }

    pub(super) fn to_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.content_type("application/problem+json");
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, &**allow));
        }
        if self.authenticate {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"evenkeel\""));
        }
        if self.takes_identity {
            response.insert_header((header::ACCEPT_ENCODING, "identity"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((header::RETRY_AFTER, u64::from(seconds)));
        }
        response.body(serde_json::to_string(self).unwrap_or_default())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.to_response()
    }
}

impl actix_web::Responder for Problem {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _request: &actix_web::HttpRequest) -> HttpResponse {
        self.to_response()
    }
}

/// 405, naming the methods that would be right.
pub(super) fn method_not_allowed(methods: &[Method]) -> Route {
    let mut names: Vec<_> = methods.iter().map(Method::as_str).collect();
    // HEAD is possible wherever GET is.
    if let Some(get) = names.iter().position(|name| *name == "GET")
        && !names.contains(&"HEAD")
    {
        names.insert(get + 1, "HEAD");
    }
    let allow = names.join(", ");
    web::to(move |method: Method| {
        let problem = Problem {
            allow: Some(allow.as_str().into()),
            ..Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("{method} is not possible here: use {allow}"),
            )
        };
        async move { problem }
    })
}
