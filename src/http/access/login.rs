//! `/login`, `/logout`: a browser exchanges a token for a cookie that scripts cannot read.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    http::header,
    web,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{
    Access, address, cookie_name, needs::To, principal::Principal, session_name, sessions::LIFETIME,
};
use crate::{http::problem::Problem, tokens::Hashed};

/// Largest body of a login: a token and its name.
pub(crate) const LOGIN_BYTES_MAX: usize = 1_024;

#[derive(Deserialize)]
struct Login {
    token: String,
}

impl Login {
    fn read(body: &[u8], is_form: bool) -> Option<Self> {
        if !is_form {
            return serde_json::from_slice(body).ok();
        }
        let query = web::Query::<Self>::from_query(std::str::from_utf8(body).ok()?).ok()?;
        Some(query.into_inner())
    }
}

fn is_form(request: &HttpRequest) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"))
}

/// `POST /login`: JSON for the page, a form for everybody else.
pub(crate) async fn login(
    access: web::Data<Arc<Access>>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    let body = body.map_err(|error| Problem::from_payload(&error, LOGIN_BYTES_MAX))?;
    let is_form = is_form(&request);
    // What does not parse is not shown: it may be a token.
    let wrong = || Problem::bad_request("the body is not {\"token\": \"evk_…\"}");
    let Login { token } = Login::read(&body, is_form).ok_or_else(wrong)?;
    let hash = Hashed::of(token.trim());
    if access.token(&hash).is_none() {
        return Err(failed(&access, &request));
    }
    let session = access.sessions.begin(hash);
    let session = session.ok_or_else(|| Problem::unavailable("no random numbers can be had"))?;
    let lifetime = Duration::seconds(LIFETIME.as_secs().cast_signed());
    Ok(signed_in(&access, cookie(&access, &request, session, lifetime), is_form))
}

fn signed_in(access: &Access, cookie: Cookie<'static>, is_form: bool) -> HttpResponse {
    if !is_form {
        return HttpResponse::NoContent().cookie(cookie).finish();
    }
    let page = (header::LOCATION, access.settings.root());
    HttpResponse::SeeOther().insert_header(page).cookie(cookie).finish()
}

/// Only failures are counted: whoever has a token gets in, whatever others try.
fn failed(access: &Access, request: &HttpRequest) -> Problem {
    let address = address(request);
    match access.failures.count(address, Instant::now()) {
        Ok(()) => Problem::unauthorized(),
        Err(after) => {
            tracing::warn!(%address, "a login was refused: too many have failed from this address");
            Problem::too_many("too many logins have failed from this address, this one, too", after)
        }
    }
}

/// `POST /logout`.
pub(crate) async fn logout(access: web::Data<Arc<Access>>, request: HttpRequest) -> HttpResponse {
    if let Some(To::Session(name)) = session_name(&request) {
        access.sessions.end(&name);
    }
    let gone = cookie(&access, &request, String::new(), Duration::ZERO);
    HttpResponse::NoContent().cookie(gone).finish()
}

fn cookie(access: &Access, request: &HttpRequest, value: String, max_age: Duration) -> Cookie<'static> {
    // Behind an edge that speaks TLS it must not leave on anything else.
    let secure = request.connection_info().scheme() == "https";
    Cookie::build(cookie_name(request), value)
        .path(access.settings.root())
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(secure)
        .max_age(max_age)
        .finish()
}

/// What whoever asks may do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    /// Whether no token is needed.
    open: bool,
    /// `read`, `control`, `admin`: those that it has.
    scopes: Vec<&'static str>,
}

/// What whoever asks may do: the scopes of the token or of the session.
#[utoipa::path(get, path = "/api/v1/session", tag = "status", responses((status = 200, body = Session)))]
pub(crate) async fn session(access: web::Data<Arc<Access>>, principal: Principal) -> HttpResponse {
    HttpResponse::Ok().json(Session { open: access.is_open(), scopes: principal.scopes.names().collect() })
}
